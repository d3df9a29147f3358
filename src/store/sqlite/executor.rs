//! Executes work: on threads behind a bounded queue, or inline on the calling thread.

use std::sync::mpsc::{SyncSender, TrySendError};
use std::sync::{Mutex, PoisonError};
use std::thread::JoinHandle;

use crate::store::StoreError;

/// Executes submitted work. Dropping it waits until all submitted work is done.
pub(super) struct Executor<T: 'static> {
    submit: Box<dyn Fn(T) -> Result<(), StoreError> + Send + Sync>,
    /// They end when the queue is closed and empty.
    threads: Vec<JoinHandle<()>>,
}

impl<T: Send> Executor<T> {
    pub(super) fn threads(queue: SyncSender<T>, threads: Vec<JoinHandle<()>>) -> Self {
        let submit = move |work| {
            queue.try_send(work).map_err(|fault| match fault {
                TrySendError::Full(_) => StoreError::Busy,
                TrySendError::Disconnected(_) => {
                    StoreError::Failed("the store's threads have stopped".to_owned())
                }
            })
        };
        Self { submit: Box::new(submit), threads }
    }

    pub(super) fn inline(execute: impl FnMut(T) + Send + 'static) -> Self {
        let execute = Mutex::new(execute);
        let submit = move |work| {
            execute.lock().unwrap_or_else(PoisonError::into_inner)(work);
            Ok(())
        };
        Self { submit: Box::new(submit), threads: Vec::new() }
    }

    /// Submits work.
    ///
    /// # Errors
    /// [`StoreError::Busy`] if the queue is full.
    pub(super) fn submit(&self, work: T) -> Result<(), StoreError> {
        (self.submit)(work)
    }
}

impl<T> Drop for Executor<T> {
    fn drop(&mut self) {
        // Closes the queue.
        self.submit = Box::new(|_| Err(StoreError::Busy));
        for thread in self.threads.drain(..) {
            // A panic was already handled on its thread.
            let _ = thread.join();
        }
    }
}
