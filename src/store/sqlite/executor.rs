//! Where work is submitted: a bounded queue with threads behind it, or the thread that calls.

use std::sync::mpsc::{SyncSender, TrySendError};
use std::sync::{Mutex, PoisonError};
use std::thread::JoinHandle;

use crate::store::StoreError;

/// Does work on the thread that calls.
type Inline<T> = Box<dyn FnMut(T) + Send>;

/// Where work is submitted. Dropping it waits until the work submitted before is done.
pub(super) enum Executor<T> {
    /// Threads do it.
    Threads {
        /// Present until the drop.
        queue: Option<SyncSender<T>>,
        /// They end when the queue is gone and empty.
        threads: Vec<JoinHandle<()>>,
    },
    /// It is done at once.
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
                // A panic was dealt with where it happened.
                let _ = thread.join();
            }
        }
    }
}
