//! The reader threads.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::sync::mpsc::sync_channel;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;

use rusqlite::Connection;

use super::executor::Executor;
use super::{OpenError, connection};

const READERS: usize = 4;

/// A query that also sends its result to the caller.
pub struct Query(pub(super) Box<dyn FnOnce(&Connection) + Send>);

/// Starts threads with a connection each; they share one queue.
pub(super) fn start(database: &Path, capacity: usize) -> Result<Executor<Query>, OpenError> {
    let (queue, work) = sync_channel::<Query>(capacity);
    let work = Arc::new(Mutex::new(work));
    let mut threads = Vec::with_capacity(READERS);
    for _ in 0..READERS {
        let (db, work) = (connection::for_reading(database)?, work.clone());
        let next = move || work.lock().unwrap_or_else(PoisonError::into_inner).recv();
        let serve = move || {
            while let Ok(query) = next() {
                // A query that panics drops its sender, so the caller gets an error; its transaction is rolled back.
                let _ = catch_unwind(AssertUnwindSafe(|| (query.0)(&db)));
            }
        };
        let thread = thread::Builder::new().name("store-reader".to_owned()).spawn(serve);
        threads.push(thread.map_err(OpenError::Thread)?);
    }
    Ok(Executor::threads(queue, threads))
}
