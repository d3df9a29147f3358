//! SQLite: the store of one gateway on one machine.
//!
//! One thread owns the connection that writes. It takes whatever waits, writes it in one transaction and commits
//! once for all (group commit), so that many durable changes cost one flush of the disk. Reads go to a few
//! read-only connections, each read a snapshot, unless the cache already holds the subject. Writing starts at
//! [`writer`] and [`rows`], reading at [`load`] and [`lists`].

mod audit;
mod cache;
mod connection;
mod deliveries;
mod executor;
mod jobs;
mod kept;
mod lists;
mod load;
mod migrations;
mod names;
mod readers;
mod rows;
mod statement;
mod writer;

use std::fs::File;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use port::{EndpointId, NotificationId, OrderId, ProfileId, Timestamp, Uuid};
use rusqlite::Connection;
use strum::VariantArray as _;
use tokio::sync::{broadcast, oneshot};

use self::cache::SubjectCache;
pub use self::connection::OpenError;
use self::executor::Executor;
use self::jobs::Leases;
use self::writer::{Waiting, Writer};
use super::{
    ApiKeyRow, AttentionFilter, Change, CheckpointRow, ClaimedDelivery, ClaimedJob, Cursor, DeliveryRow,
    DeliveryStream, Due, IdempotencyRow, InboxFilter, InboxRow, OrderFilter, Page, PaymentFilter,
    ProfileFilter, PublicFilter, Store, StoreError, StoredChange, SubjectRow, Write,
};
use crate::crash;
use crate::domain::{AnySubject, Hash, Lane, Lookup, SubjectKind, Urgency};
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

/// Changed subjects that are kept for a slow listener, before it is told that it missed some.
const CHANGES_KEPT: usize = 4096;

/// The store. Dropping it writes what waits, then gives the file free.
pub struct Sqlite {
    /// They go first, so that the writer closes the file last and leaves all of it in one piece.
    readers: Executor<readers::Query>,
    writer: Executor<Waiting>,
    cache: Arc<SubjectCache>,
    jobs: Arc<Leases<(Lane, Uuid)>>,
    deliveries: Arc<Leases<DeliveryStream>>,
    changes: broadcast::Sender<Uuid>,
    metrics: Arc<Metrics>,
    /// The last to go: held until the threads have ended.
    _lock: File,
}

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
        let cache: Arc<SubjectCache> = Arc::default();
        let mut writer = Writer::new(db, cache.clone(), changes.clone(), metrics.clone());
        let readers = if options.threads { options.readers.max(1) } else { 1 };
        let mut connections = (0..readers)
            .map(|_| connection::for_reading(&options.path, readers))
            .collect::<Result<Vec<_>, _>>()?;
        let (writer, readers) = if options.threads {
            (writer.start(options.queue, options.batch_max)?, readers::start(connections, options.queue)?)
        } else {
            let reader = connections.remove(0);
            let write = move |waiting| writer.write(&mut vec![waiting]);
            (Executor::inline(write), Executor::inline(move |query: readers::Query| query(&reader)))
        };
        let (jobs, deliveries) = (Arc::default(), Arc::default());
        Ok(Self { writer, readers, cache, jobs, deliveries, changes, metrics, _lock: lock })
    }

    async fn write(&self, change: Change) -> Result<(), StoreError> {
        let (answer, answered) = oneshot::channel();
        self.writer.submit(Waiting { change, answer }).inspect_err(|fault| {
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
            let _ = answer.send(readers::in_snapshot(db, query));
        }))?;
        answered.await.unwrap_or_else(|_| Err(StoreError::Failed("the read was given up".to_owned())))
    }

    /// Ends the leases on what a change has dealt with.
    fn end_leases(&self, change: &Finished) {
        change.jobs.iter().for_each(|(lane, subject)| self.release(lane, *subject));
        change.deliveries.iter().for_each(|stream| self.release_delivery(*stream));
    }
}

/// What a change deals with of what was claimed.
struct Finished {
    jobs: Vec<(Lane, Uuid)>,
    deliveries: Vec<DeliveryStream>,
}

impl Finished {
    fn of(change: &Change) -> Self {
        let jobs = change.writes.iter().filter_map(|write| match write {
            Write::Reschedule(done) => Some((done.job.lane.clone(), done.job.subject)),
            _ => None,
        });
        let deliveries = change.writes.iter().filter_map(|write| match write {
            Write::Advance { delivery, .. } => Some(delivery.stream),
            _ => None,
        });
        Self { jobs: jobs.collect(), deliveries: deliveries.collect() }
    }
}

#[async_trait]
impl Store for Sqlite {
    async fn commit(&self, change: Change) -> Result<(), StoreError> {
        let (name, finished) = (change.name, Finished::of(&change));
        crash::point("before commit", name);
        self.write(change).await?;
        crash::point("after commit", name);
        self.end_leases(&finished);
        Ok(())
    }

    fn changes(&self) -> broadcast::Receiver<Uuid> {
        self.changes.subscribe()
    }

    async fn claim(
        &self,
        lane: &Lane,
        urgency: Urgency,
        now: Timestamp,
        lease: Duration,
        limit: u32,
    ) -> Result<Vec<ClaimedJob>, StoreError> {
        let (lane, leases) = (lane.clone(), self.jobs.clone());
        self.read(move |db| {
            let look = |most| jobs::waiting(db, &lane, urgency, now, most);
            leases.claim(now, lease, limit, look, |job| (job.lane.clone(), job.subject))
        })
        .await
    }

    async fn next_due(&self, lane: &Lane) -> Result<Vec<Due>, StoreError> {
        let (lane, leases) = (lane.clone(), self.jobs.clone());
        self.read(move |db| {
            let mut next = Vec::new();
            for urgency in Urgency::VARIANTS {
                let look = |most| jobs::next(db, &lane, *urgency, most);
                let at = leases.next(look, |(subject, _)| (lane.clone(), *subject), |(_, at)| *at)?;
                next.extend(at.map(|at| Due { at, urgency: *urgency }));
            }
            Ok(next)
        })
        .await
    }

    async fn claim_deliveries(
        &self,
        endpoint: EndpointId,
        now: Timestamp,
        lease: Duration,
        limit: u32,
    ) -> Result<Vec<ClaimedDelivery>, StoreError> {
        let leases = self.deliveries.clone();
        self.read(move |db| {
            let look = |most| deliveries::waiting(db, endpoint, now, most);
            leases.claim(now, lease, limit, look, |delivery| delivery.stream)
        })
        .await
    }

    async fn next_delivery(&self, endpoint: EndpointId) -> Result<Option<Timestamp>, StoreError> {
        let leases = self.deliveries.clone();
        let ever = Timestamp::from_micros(i64::MAX);
        self.read(move |db| {
            let look = |most| deliveries::waiting(db, endpoint, ever, most);
            leases.next(look, |delivery| delivery.stream, |delivery| delivery.due_at)
        })
        .await
    }

    fn release(&self, lane: &Lane, subject: Uuid) {
        self.jobs.end(&(lane.clone(), subject));
    }

    fn release_delivery(&self, stream: DeliveryStream) {
        self.deliveries.end(&stream);
    }

    async fn subject(&self, kind: SubjectKind, id: Uuid) -> Result<Option<AnySubject>, StoreError> {
        if let Some(known) = self.cache.get(id) {
            return Ok(Some(known).filter(|known| known.kind() == kind));
        }
        let cache = self.cache.clone();
        self.read(move |db| {
            let epoch = cache.epoch();
            // The snapshot of a read begins with its first statement, so what is found is not older than the epoch.
            let found = load::any(db, kind, id, None)?;
            found.iter().for_each(|subject| cache.read(id, subject, epoch));
            Ok(found)
        })
        .await
    }

    async fn subject_at(
        &self,
        kind: SubjectKind,
        id: Uuid,
        sequence: u64,
    ) -> Result<Option<AnySubject>, StoreError> {
        let known =
            self.cache.get(id).filter(|known| known.kind() == kind && known.head().sequence == sequence);
        match known {
            Some(known) => Ok(Some(known)),
            None => self.read(move |db| load::any(db, kind, id, Some(sequence))).await,
        }
    }

    async fn changes_of(&self, id: Uuid, after: u64, limit: u32) -> Result<Vec<StoredChange>, StoreError> {
        self.read(move |db| load::changes_of(db, id, after, limit)).await
    }

    async fn kind_of(&self, id: Uuid) -> Result<Option<SubjectKind>, StoreError> {
        if let Some(known) = self.cache.get(id) {
            return Ok(Some(known.kind()));
        }
        self.read(move |db| load::kind_of(db, id)).await
    }

    async fn with_provider_reference(&self, account: &str, reference: &str) -> Result<Vec<Uuid>, StoreError> {
        let (account, reference) = (account.to_owned(), reference.to_owned());
        self.read(move |db| lists::with_provider_reference(db, &account, &reference)).await
    }

    async fn profile_with_reference(
        &self,
        account: &str,
        reference: &str,
    ) -> Result<Option<ProfileId>, StoreError> {
        let (account, reference) = (account.to_owned(), reference.to_owned());
        self.read(move |db| lists::profile_with_reference(db, &account, &reference)).await
    }

    async fn orders(&self, filter: &OrderFilter) -> Result<Vec<OrderId>, StoreError> {
        let filter = filter.clone();
        self.read(move |db| lists::orders(db, &filter)).await
    }

    async fn payments(&self, filter: &PaymentFilter) -> Result<Vec<Cursor>, StoreError> {
        let filter = filter.clone();
        self.read(move |db| lists::payments(db, &filter)).await
    }

    async fn attention(&self, filter: &AttentionFilter) -> Result<Vec<Cursor>, StoreError> {
        let filter = filter.clone();
        self.read(move |db| lists::attention(db, &filter)).await
    }

    async fn profiles(&self, filter: &ProfileFilter) -> Result<Vec<ProfileId>, StoreError> {
        let filter = filter.clone();
        self.read(move |db| lists::profiles(db, &filter)).await
    }

    async fn endpoints(&self) -> Result<Vec<(EndpointId, Option<Timestamp>)>, StoreError> {
        self.read(lists::endpoints).await
    }

    async fn public_changes(&self, filter: &PublicFilter) -> Result<Vec<StoredChange>, StoreError> {
        let filter = filter.clone();
        self.read(move |db| lists::public_changes(db, &filter)).await
    }

    async fn position_of(&self, id: Uuid, sequence: u64) -> Result<Option<u64>, StoreError> {
        self.read(move |db| lists::position_of(db, id, sequence)).await
    }

    async fn idempotency(&self, merchant: &str, key: &str) -> Result<Option<IdempotencyRow>, StoreError> {
        let (merchant, key) = (merchant.to_owned(), key.to_owned());
        self.read(move |db| kept::idempotency(db, &merchant, &key)).await
    }

    async fn api_key(&self, hash: &str) -> Result<Option<ApiKeyRow>, StoreError> {
        let hash = hash.to_owned();
        self.read(move |db| kept::api_key(db, &hash)).await
    }

    async fn api_keys(&self) -> Result<Vec<ApiKeyRow>, StoreError> {
        self.read(kept::api_keys).await
    }

    async fn setting(&self, name: &str) -> Result<Option<String>, StoreError> {
        let name = name.to_owned();
        self.read(move |db| kept::setting(db, &name)).await
    }

    async fn notifications(
        &self,
        filter: &InboxFilter,
    ) -> Result<Vec<(Timestamp, NotificationId, String)>, StoreError> {
        let filter = filter.clone();
        self.read(move |db| lists::notifications(db, &filter)).await
    }

    async fn notification(&self, id: NotificationId) -> Result<Option<InboxRow>, StoreError> {
        self.read(move |db| kept::notification(db, id)).await
    }

    async fn deliveries(&self, endpoint: EndpointId, page: &Page) -> Result<Vec<DeliveryRow>, StoreError> {
        let page = page.clone();
        self.read(move |db| deliveries::tries(db, endpoint, &page)).await
    }

    async fn oldest_open_payment(&self, account: &str) -> Result<Option<Timestamp>, StoreError> {
        let account = account.to_owned();
        self.read(move |db| lists::oldest_open(db, &account)).await
    }

    async fn subjects_after(&self, after: Option<Uuid>, limit: u32) -> Result<Vec<SubjectRow>, StoreError> {
        self.read(move |db| audit::subjects_after(db, after, limit)).await
    }

    async fn subject_count(&self) -> Result<u64, StoreError> {
        self.read(audit::subject_count).await
    }

    async fn change_count(&self) -> Result<u64, StoreError> {
        self.read(audit::change_count).await
    }

    async fn missing_lookups(
        &self,
        subject: Uuid,
        merchant: &str,
        lookups: Vec<Lookup>,
    ) -> Result<Vec<Lookup>, StoreError> {
        let merchant = merchant.to_owned();
        self.read(move |db| audit::missing_lookups(db, subject, &merchant, lookups)).await
    }

    async fn lookup_count(&self) -> Result<u64, StoreError> {
        self.read(audit::lookup_count).await
    }

    async fn snapshot(&self, id: Uuid) -> Result<Option<(u64, String)>, StoreError> {
        self.read(move |db| load::snapshot(db, id, u64::MAX)).await
    }

    async fn change_hashes(&self, after: u64, limit: u32) -> Result<Vec<(u64, Hash)>, StoreError> {
        self.read(move |db| audit::change_hashes(db, after, limit)).await
    }

    async fn checkpoints(&self, after: u64, limit: u32) -> Result<Vec<CheckpointRow>, StoreError> {
        self.read(move |db| audit::checkpoints(db, after, limit)).await
    }

    async fn last_checkpoint(&self) -> Result<Option<CheckpointRow>, StoreError> {
        self.read(audit::last_checkpoint).await
    }
}
