//! Where work is handed in: a bounded queue with threads behind it, or the thread that calls.

use std::sync::mpsc::{SyncSender, TrySendError};
use std::sync::{Mutex, PoisonError};
use std::thread::JoinHandle;

use crate::store::StoreError;

/// Does work on the thread that calls.
type Worker<T> = Box<dyn FnMut(T) + Send>;

/// Where work is handed in. Dropping it waits until the work handed in before is done.
pub(super) enum Executor<T> {
    /// For threads.
    Threads {
        /// Present until the drop.
        queue: Option<SyncSender<T>>,
        /// They end when the queue is gone and empty.
        threads: Vec<JoinHandle<()>>,
    },
    /// At once.
    Inline(Mutex<Worker<T>>),
}

impl<T> Executor<T> {
    pub(super) fn threads(queue: SyncSender<T>, threads: Vec<JoinHandle<()>>) -> Self {
        Self::Threads { queue: Some(queue), threads }
    }

    pub(super) fn inline(hands: impl FnMut(T) + Send + 'static) -> Self {
        Self::Inline(Mutex::new(Box::new(hands)))
    }

    pub(super) fn submit(&self, work: T) -> Result<(), StoreError> {
        match self {
            Self::Threads { queue, .. } => match queue.as_ref().map(|queue| queue.try_send(work)) {
                Some(Ok(())) => Ok(()),
                Some(Err(TrySendError::Full(_))) => Err(StoreError::Busy),
                Some(Err(TrySendError::Disconnected(_))) | None => {
                    Err(StoreError::Failed("the store's threads have stopped".to_owned()))
                }
            },
            Self::Inline(hands) => {
                let mut hands = hands.lock().unwrap_or_else(PoisonError::into_inner);
                hands(work);
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
