//! SQLite: the store of one gateway on one machine.
//!
//! One thread owns the connection that writes. It takes whatever waits, writes it in one transaction and commits
//! once for all (group commit), so that many durable changes cost one flush of the disk. Reads go to a few
//! read-only connections, each read a snapshot. Writing starts at [`writer`] and [`rows`], reading at [`reads`].

mod audit;
mod connection;
mod executor;
mod jobs;
mod lists;
mod migrations;
mod reads;
mod rows;
mod vault;
mod webhooks;
mod writer;

use std::fs::File;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use port::{AttentionId, EndpointId, NotificationId, OrderId, PaymentId, Timestamp};
use rusqlite::Connection;
use tokio::sync::{broadcast, oneshot};

pub use self::connection::OpenError;
use self::executor::Executor;
use self::writer::{QueuedTask, Task, Writer};
use super::{
    ApiKeyRow, AttentionFilter, Change, InboxFilter, InboxRow, Job, JobKind, KeyUse, Lease, OrderFilter,
    OrderLocator, PaymentFilter, Reads, Store, StoreError, StoredEvent,
};
use crate::crash;
use crate::domain::OrderAggregate;
use crate::metrics::Metrics;

/// How the store is opened.
#[derive(Clone, Debug)]
pub struct Options {
    /// The database's file; made if it is not there, with its folder.
    pub path: PathBuf,
    /// Changes that may wait, and reads: one more is [`StoreError::Busy`].
    pub queue: usize,
    /// Changes in one transaction at most; 1 commits each by itself.
    pub batch_max: usize,
    /// Connections that read.
    pub readers: usize,
    /// Whether the store has threads. Without, it works on the thread that calls, one thing at a time: for a
    /// simulation, in which nothing else may run.
    pub threads: bool,
}

impl Options {
    /// As a gateway runs, on a file.
    pub fn at(path: impl Into<PathBuf>) -> Self {
        Self { path: path.into(), queue: 4096, batch_max: 256, readers: 4, threads: true }
    }
}

/// Changed orders that are kept for a slow listener, before it is told that it missed some.
const CHANGES_KEPT: usize = 4096;

/// The store. Dropping it writes what waits, then gives the file free.
pub struct Sqlite {
    writer: Executor<QueuedTask>,
    readers: Executor<Query>,
    changes: broadcast::Sender<OrderId>,
    metrics: Arc<Metrics>,
    /// The last to go: held until the threads have ended.
    _lock: File,
}

/// A read, and handing over what it found.
type Query = Box<dyn FnOnce(&Connection) + Send>;

impl Sqlite {
    /// Opens the database, brings it up to date and starts the threads.
    ///
    /// # Errors
    /// [`OpenError`]; then nothing runs.
    pub fn open(options: &Options, metrics: Arc<Metrics>) -> Result<Self, OpenError> {
        let lock = connection::lock(&options.path)?;
        let mut db = connection::for_writing(&options.path)?;
        migrations::run(&mut db)?;
        let (changes, _) = broadcast::channel(CHANGES_KEPT);
        let mut writer = Writer::new(db, changes.clone(), metrics.clone());
        let readers = if options.threads { options.readers.max(1) } else { 1 };
        let mut connections = (0..readers)
            .map(|_| connection::for_reading(&options.path, readers))
            .collect::<Result<Vec<_>, _>>()?;
        let (writer, readers) = if options.threads {
            (writer.start(options.queue, options.batch_max)?, reads::start(connections, options.queue)?)
        } else {
            let reader = connections.remove(0);
            let write = move |job| writer.write(&mut vec![job]);
            (Executor::inline(write), Executor::inline(move |query: Query| query(&reader)))
        };
        Ok(Self { writer, readers, changes, metrics, _lock: lock })
    }

    async fn write(&self, task: Task) -> Result<Vec<Job>, StoreError> {
        let (answer, answered) = oneshot::channel();
        self.writer.submit(QueuedTask { task, answer }).inspect_err(|fault| {
            if *fault == StoreError::Busy {
                self.metrics.store_queue_full();
            }
        })?;
        answered.await.unwrap_or_else(|_| Err(StoreError::Failed("the writer has stopped".to_owned())))
    }

    async fn read<T: Send + 'static>(
        &self,
        query: impl FnOnce(&Connection) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, StoreError> {
        let (answer, answered) = oneshot::channel();
        self.readers.submit(Box::new(move |db: &Connection| {
            // Nobody waits any more if this fails.
            let _ = answer.send(reads::in_snapshot(db, query));
        }))?;
        answered.await.unwrap_or_else(|_| Err(StoreError::Failed("the read was given up".to_owned())))
    }
}

#[async_trait]
impl Store for Sqlite {
    async fn commit(&self, change: Change) -> Result<(), StoreError> {
        let name = change.name;
        crash::point("before commit", name);
        self.write(Task::Commit(change)).await?;
        crash::point("after commit", name);
        Ok(())
    }

    async fn claim(&self, now: Timestamp, lease: Duration, limit: u16) -> Result<Vec<Job>, StoreError> {
        let until = Lease(now.plus(lease));
        if self.read(move |db| jobs::waiting(db, now, until, 1)).await?.is_empty() {
            return Ok(Vec::new());
        }
        self.write(Task::Claim { now, until, limit }).await
    }

    async fn claim_deliveries(
        &self,
        now: Timestamp,
        lease: Duration,
        limit: u16,
        wanted: Vec<(EndpointId, u16)>,
    ) -> Result<Vec<Job>, StoreError> {
        let until = Lease(now.plus(lease));
        let look = wanted.clone();
        if self.read(move |db| jobs::deliveries_waiting(db, now, until, 1, &look)).await?.is_empty() {
            return Ok(Vec::new());
        }
        self.write(Task::ClaimDeliveries { now, until, limit, wanted }).await
    }

    fn changes(&self) -> broadcast::Receiver<OrderId> {
        self.changes.subscribe()
    }
}

#[async_trait]
impl Reads for Sqlite {
    async fn order(&self, id: OrderId) -> Result<Option<OrderAggregate>, StoreError> {
        self.read(move |db| reads::order(db, id)).await
    }

    async fn order_at(&self, id: OrderId, sequence: u64) -> Result<Option<OrderAggregate>, StoreError> {
        self.read(move |db| reads::order_at(db, id, sequence)).await
    }

    async fn order_of(&self, locator: &OrderLocator) -> Result<Option<OrderId>, StoreError> {
        let locator = locator.clone();
        self.read(move |db| reads::order_of(db, &locator)).await
    }

    async fn orders(&self, filter: &OrderFilter) -> Result<Vec<OrderAggregate>, StoreError> {
        let filter = filter.clone();
        self.read(move |db| lists::orders(db, filter)).await
    }

    async fn payments(&self, filter: &PaymentFilter) -> Result<Vec<(PaymentId, OrderAggregate)>, StoreError> {
        let filter = filter.clone();
        self.read(move |db| lists::payments(db, filter)).await
    }

    async fn attention(
        &self,
        filter: &AttentionFilter,
    ) -> Result<Vec<(AttentionId, OrderAggregate)>, StoreError> {
        let filter = filter.clone();
        self.read(move |db| lists::attention(db, filter)).await
    }

    async fn events(&self, order: OrderId, after: u64, limit: u32) -> Result<Vec<StoredEvent>, StoreError> {
        self.read(move |db| reads::events(db, order, after, limit)).await
    }

    async fn key(&self, merchant: &str, key: &str) -> Result<Option<KeyUse>, StoreError> {
        let (merchant, key) = (merchant.to_owned(), key.to_owned());
        self.read(move |db| reads::key(db, &merchant, &key)).await
    }

    async fn api_key(&self, hash: &str) -> Result<Option<ApiKeyRow>, StoreError> {
        let hash = hash.to_owned();
        self.read(move |db| reads::api_key(db, &hash)).await
    }

    async fn api_keys(&self) -> Result<Vec<ApiKeyRow>, StoreError> {
        self.read(reads::api_keys).await
    }

    async fn setting(&self, name: &str) -> Result<Option<String>, StoreError> {
        let name = name.to_owned();
        self.read(move |db| reads::setting(db, &name)).await
    }

    async fn notifications(
        &self,
        filter: &InboxFilter,
        after: Option<(Timestamp, NotificationId)>,
        limit: u32,
    ) -> Result<Vec<(Timestamp, NotificationId)>, StoreError> {
        let filter = filter.clone();
        self.read(move |db| lists::notifications(db, filter, after, limit)).await
    }

    async fn notification(&self, id: &str) -> Result<Option<InboxRow>, StoreError> {
        let id = id.to_owned();
        self.read(move |db| reads::notification(db, &id)).await
    }

    async fn oldest_open_payment(&self, account: &str) -> Result<Option<Timestamp>, StoreError> {
        let account = account.to_owned();
        self.read(move |db| lists::oldest_open_payment(db, &account)).await
    }

    async fn oldest_jobs(&self) -> Result<Vec<(JobKind, Timestamp)>, StoreError> {
        self.read(jobs::oldest).await
    }
}
