//! The reader threads.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::mpsc::sync_channel;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;

use rusqlite::Connection;

use super::OpenError;
use super::executor::Executor;
use crate::store::StoreError;

/// A query that also sends its result to the caller.
pub struct Query(Box<dyn FnOnce(&Connection) + Send>);

impl Query {
    pub(super) fn new(query: impl FnOnce(&Connection) + Send + 'static) -> Self {
        Self(Box::new(query))
    }

    pub(super) fn run(self, db: &Connection) {
        (self.0)(db);
    }
}

/// Puts a thread behind each connection; they share one queue.
pub(super) fn start(connections: Vec<Connection>, capacity: usize) -> Result<Executor<Query>, OpenError> {
    let (queue, work) = sync_channel::<Query>(capacity);
    let work = Arc::new(Mutex::new(work));
    let mut threads = Vec::with_capacity(connections.len());
    for db in connections {
        let work = work.clone();
        let next = move || work.lock().unwrap_or_else(PoisonError::into_inner).recv();
        let serve = move || {
            while let Ok(query) = next() {
                // A query that panics drops its sender, so the caller gets an error; its transaction is rolled back.
                let _ = catch_unwind(AssertUnwindSafe(|| query.run(&db)));
            }
        };
        let thread = thread::Builder::new().name("store-reader".to_owned()).spawn(serve);
        threads.push(thread.map_err(OpenError::Thread)?);
    }
    Ok(Executor::threads(queue, threads))
}

/// Runs a query in a read transaction.
pub(super) fn in_snapshot<T>(
    db: &Connection,
    query: impl FnOnce(&Connection) -> Result<T, StoreError>,
) -> Result<T, StoreError> {
    let snapshot = db.unchecked_transaction()?;
    query(&snapshot)
}
