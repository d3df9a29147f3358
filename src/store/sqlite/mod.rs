//! SQLite: the store of one gateway on one machine.
//!
//! One thread owns the connection that writes. It writes all waiting changes in one transaction and commits once (group
//! commit), so that many changes cost one disk flush. Reads go to a few read-only connections, each read a snapshot,
//! unless the cache already holds the subject. Writing starts at [`writer`] and [`rows`], reading at [`load`] and
//! [`lists`].

mod audit;
mod by_key;
mod cache;
mod connection;
mod deliveries;
mod executor;
mod jobs;
mod last_change;
mod leases;
mod lists;
mod load;
mod lock;
mod lookups;
mod migrations;
mod names;
mod readers;
mod rows;
mod statement;
mod writer;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use async_trait::async_trait;
use port::Uuid;
use rusqlite::Connection;
use tokio::sync::{broadcast, oneshot};

use self::cache::SubjectCache;
pub use self::connection::OpenError;
use self::executor::Executor;
use self::last_change::LastChangeFile;
pub use self::last_change::{LastChange, UnreadableLastChange};
pub use self::leases::Leases;
use self::lock::Lock;
pub use self::readers::Query;
use self::writer::{Waiting, Writer};
use super::{Change, OpenWork, Store, StoreError};
use crate::crash;
use crate::domain::AnySubject;
use crate::metrics::Metrics;

/// How the store is opened.
#[derive(Clone, Debug)]
pub struct Options {
    /// The database's file.
    pub path: PathBuf,
    /// Whether it is made if it is not there, with its folder.
    pub create: bool,
    /// How many changes, and how many reads, may wait; beyond it [`StoreError::Busy`].
    pub queue: usize,
    /// Changes in one transaction at most; 1 commits each by itself.
    pub batch_max: usize,
    /// Whether the store has threads. Without threads it works on the calling thread, for the simulation.
    pub threads: bool,
}

impl Options {
    /// The defaults of a gateway, with a file.
    pub fn at(path: impl Into<PathBuf>) -> Self {
        Self { path: path.into(), create: true, queue: 4096, batch_max: 256, threads: true }
    }
}

/// How many changed subjects are buffered for a slow listener.
const CHANGES_KEPT: usize = 4096;

/// The store. Dropping it writes all waiting changes, then closes the database and releases the lock.
pub struct Sqlite {
    /// Dropped first, so that the writer closes the database last and can checkpoint its write-ahead log.
    readers: Executor<Query>,
    writer: Executor<Waiting>,
    cache: Arc<SubjectCache>,
    leases: Leases,
    changes: broadcast::Sender<Uuid>,
    metrics: Arc<Metrics>,
    newest_subject: Option<Uuid>,
    /// Dropped last: held until the threads have ended.
    _lock: Lock,
}

/// A look into a database that a gateway may have open.
pub struct Peek(Connection);

impl Peek {
    /// # Errors
    /// Why it cannot be read.
    pub fn open(database: &Path) -> Result<Self, OpenError> {
        let db = connection::for_reading(database)?;
        migrations::check(&db)?;
        Ok(Self(db))
    }

    /// The accounts at which something is still open.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn open_work(&self) -> Result<Vec<OpenWork>, StoreError> {
        lists::open_work(&self.0)
    }

    /// Whether it has an API key, revoked or not, by the hash of its text.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn has_api_key(&self, hash: &str) -> Result<bool, StoreError> {
        by_key::has_api_key(&self.0, hash)
    }
}

impl Sqlite {
    /// Opens the database, brings it up to date and starts the threads.
    ///
    /// # Errors
    /// [`OpenError`]; then nothing runs.
    pub fn open(options: &Options, metrics: Arc<Metrics>) -> Result<Self, OpenError> {
        let lock = Lock::take(&options.path, options.create)?;
        let path = &lock.database;
        let mut db = connection::for_writing(path)?;
        migrations::run(&mut db)?;
        let newest_subject = load::newest_subject(&db)?;
        let (changes, _) = broadcast::channel(CHANGES_KEPT);
        let cache: Arc<SubjectCache> = Arc::default();
        // One that cannot be read is found by who reads it.
        let newest = audit::last_change(&db).ok().flatten();
        let newest = newest.map(|(position, hash)| LastChange { position, hash });
        let last_change = LastChangeFile::open(path, newest)?;
        let mut writer = Writer::new(db, last_change, cache.clone(), changes.clone(), metrics.clone());
        let (readers, writer) = if options.threads {
            (readers::start(path, options.queue)?, writer.start(options.queue, options.batch_max)?)
        } else {
            let reader = connection::for_reading(path)?;
            let write = move |waiting| writer.write(&mut vec![waiting]);
            (Executor::inline(move |query: Query| (query.0)(&reader)), Executor::inline(write))
        };
        let leases = Leases::default();
        Ok(Self { writer, readers, cache, leases, changes, metrics, newest_subject, _lock: lock })
    }

    /// Opens a database to read it on the calling thread: every write fails. Nothing is changed or made beside it.
    ///
    /// # Errors
    /// [`OpenError`].
    pub fn open_for_reading(database: &Path) -> Result<Self, OpenError> {
        let lock = Lock::take_for_reading(database)?;
        let db = connection::for_reading_alone(&lock.database)?;
        migrations::check(&db)?;
        let newest_subject = load::newest_subject(&db)?;
        let refuse = |Waiting { change, answer }| {
            let refused = Err(StoreError::Failed("the database is only read".to_owned()));
            // Fails only if the caller is gone.
            let _ = answer.send((change, refused));
        };
        Ok(Self {
            readers: Executor::inline(move |query: Query| (query.0)(&db)),
            writer: Executor::inline(refuse),
            cache: Arc::default(),
            leases: Leases::default(),
            changes: broadcast::channel(1).0,
            metrics: Arc::default(),
            newest_subject,
            _lock: lock,
        })
    }

    /// The subject with the greatest id when the database was opened. New ids have to be greater.
    pub fn newest_subject(&self) -> Option<Uuid> {
        self.newest_subject
    }

    /// Sends a change to the writer and returns it when it is written.
    async fn write(&self, change: Change) -> Result<Change, StoreError> {
        let (answer, answered) = oneshot::channel();
        self.writer.submit(Waiting { change, answer }).inspect_err(|fault| {
            if *fault == StoreError::Busy {
                self.metrics.store_queue_full();
            }
        })?;
        let stopped = |_| StoreError::Failed("the writer has stopped".to_owned());
        let (change, result) = answered.await.map_err(stopped)?;
        result.map(|()| change)
    }
}

#[async_trait]
impl Store for Sqlite {
    async fn commit(&self, change: Change) -> Result<(), StoreError> {
        crash::point("before commit", change.name);
        let change = self.write(change).await?;
        crash::point("after commit", change.name);
        self.leases.end_of(&change);
        Ok(())
    }

    fn changes(&self) -> broadcast::Receiver<Uuid> {
        self.changes.subscribe()
    }

    async fn subject(&self, id: Uuid, sequence: Option<u64>) -> Result<Option<AnySubject>, StoreError> {
        let wanted = |known: &AnySubject| sequence.is_none_or(|sequence| known.head().sequence == sequence);
        if let Some(known) = self.cache.get(id).filter(wanted) {
            return Ok(Some(known));
        }
        let cache = self.cache.clone();
        let store: &dyn Store = self;
        let read = move |db: &Connection| {
            let epoch = cache.epoch();
            // The snapshot of a read begins with its first statement, so what is found is not older than the epoch.
            let found = load::subject(db, id, sequence)?;
            let newest = found.iter().filter(|_| sequence.is_none());
            newest.for_each(|subject| cache.read(id, subject, epoch));
            Ok(found)
        };
        store.read(read).await
    }

    async fn run(&self, query: Query) -> Result<(), StoreError> {
        self.readers.submit(query)
    }

    fn leases(&self) -> &Leases {
        &self.leases
    }
}

impl dyn Store + '_ {
    /// Runs a query on a consistent snapshot.
    async fn read<T: Send + 'static>(
        &self,
        query: impl FnOnce(&Connection) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, StoreError> {
        let (answer, answered) = oneshot::channel();
        self.run(Query(Box::new(move |db| {
            let snapshot = db.unchecked_transaction().map_err(StoreError::from);
            // Fails only if the caller is gone.
            let _ = answer.send(snapshot.and_then(|snapshot| query(&snapshot)));
        })))
        .await?;
        answered.await.unwrap_or_else(|_| Err(StoreError::Failed("the read was aborted".to_owned())))
    }
}
