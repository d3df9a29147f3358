//! Executes work: on threads behind a bounded queue, or inline on the calling thread.

use std::sync::mpsc::{SyncSender, TrySendError};
use std::sync::{Mutex, PoisonError};
use std::thread::JoinHandle;

use crate::store::StoreError;

/// Does work on the thread that calls.
type Inline<T> = Box<dyn FnMut(T) + Send>;

/// Executes submitted work. Dropping it waits until all submitted work is done.
pub(super) enum Executor<T> {
    Threads {
        /// `None` only while it is dropped.
        queue: Option<SyncSender<T>>,
        /// They end when the queue is closed and empty.
        threads: Vec<JoinHandle<()>>,
    },
    /// Work runs at once on the calling thread.
    Inline(Mutex<Inline<T>>),
}

impl<T> Executor<T> {
    pub(super) fn threads(queue: SyncSender<T>, threads: Vec<JoinHandle<()>>) -> Self {
        Self::Threads { queue: Some(queue), threads }
    }

    pub(super) fn inline(work: impl FnMut(T) + Send + 'static) -> Self {
        Self::Inline(Mutex::new(Box::new(work)))
    }

    /// Submits work.
    ///
    /// # Errors
    /// [`StoreError::Busy`] if the queue is full.
    pub(super) fn submit(&self, work: T) -> Result<(), StoreError> {
        match self {
            Self::Threads { queue, .. } => match queue.as_ref().map(|queue| queue.try_send(work)) {
                Some(Ok(())) => Ok(()),
                Some(Err(TrySendError::Full(_))) => Err(StoreError::Busy),
                Some(Err(TrySendError::Disconnected(_))) | None => {
                    Err(StoreError::Failed("the store's threads have stopped".to_owned()))
                }
            },
            Self::Inline(inline) => {
                let mut inline = inline.lock().unwrap_or_else(PoisonError::into_inner);
                inline(work);
                Ok(())
            }
        }
    }
}

impl<T> Drop for Executor<T> {
    fn drop(&mut self) {
        if let Self::Threads { queue, threads } = self {
            *queue = None;
            for thread in threads.drain(..) {
                // A panic was already handled on its thread.
                let _ = thread.join();
            }
        }
    }
}
