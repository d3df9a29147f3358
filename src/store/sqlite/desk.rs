//! Where work is handed in: a bounded queue with threads behind it, or the thread that calls.

use std::sync::mpsc::{SyncSender, TrySendError};
use std::sync::{Mutex, PoisonError};
use std::thread::JoinHandle;

use crate::store::StoreError;

/// Does work on the thread that calls.
type Hands<T> = Box<dyn FnMut(T) + Send>;

/// Where work is handed in. Dropping it waits until the work handed in before is done.
pub(super) enum Desk<T> {
    /// For threads.
    Queue {
        /// Present until the drop.
        queue: Option<SyncSender<T>>,
        /// They end when the queue is gone and empty.
        threads: Vec<JoinHandle<()>>,
    },
    /// At once.
    Here(Mutex<Hands<T>>),
}

impl<T> Desk<T> {
    pub(super) fn queue(queue: SyncSender<T>, threads: Vec<JoinHandle<()>>) -> Self {
        Self::Queue { queue: Some(queue), threads }
    }

    pub(super) fn here(hands: impl FnMut(T) + Send + 'static) -> Self {
        Self::Here(Mutex::new(Box::new(hands)))
    }

    pub(super) fn hand(&self, work: T) -> Result<(), StoreError> {
        match self {
            Self::Queue { queue, .. } => match queue.as_ref().map(|queue| queue.try_send(work)) {
                Some(Ok(())) => Ok(()),
                Some(Err(TrySendError::Full(_))) => Err(StoreError::Busy),
                Some(Err(TrySendError::Disconnected(_))) | None => {
                    Err(StoreError::Failed("the store's threads have stopped".to_owned()))
                }
            },
            Self::Here(hands) => {
                let mut hands = hands.lock().unwrap_or_else(PoisonError::into_inner);
                hands(work);
                Ok(())
            }
        }
    }
}

impl<T> Drop for Desk<T> {
    fn drop(&mut self) {
        if let Self::Queue { queue, threads } = self {
            *queue = None;
            for thread in threads.drain(..) {
                // A panic was dealt with where it happened.
                let _ = thread.join();
            }
        }
    }
}
