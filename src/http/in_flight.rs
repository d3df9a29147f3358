//! Requests with an idempotency key while they run: one at a time for each key, its repeats queued behind it.
//!
//! What a request came to is in the store, and the next in the queue reads it there. Only a refusal is not stored, so
//! those in the queue get the same instead of trying the same again. What becomes of a key that is sent with different
//! requests is decided by the store: they wait in different queues.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::timeout;

use super::problem::{Code, Problem};

/// How long a request waits: as long as a call to a provider may take.
pub(super) const QUEUE_TIMEOUT: Duration = Duration::from_secs(30);

/// Requests that wait behind a running one.
const MAX_WAITING: usize = 128;

/// The requests of this process.
#[derive(Clone, Default)]
pub(super) struct InFlightRequests(Arc<Mutex<HashMap<KeyScope, WaitQueue>>>);

/// Whose request, its key, and the fingerprint of all that was sent with it.
pub(super) type KeyScope = (Arc<str>, String, [u8; 32]);

/// A request that runs, and its repeats.
struct WaitQueue {
    /// How many they are.
    requests: usize,
    /// Held by the one that runs.
    running: Arc<Semaphore>,
    /// What the one before was refused with, if nothing was stored of it.
    refused: Option<Problem>,
}

/// A request's place in its queue, from joining it until it is dropped.
pub(super) struct Permit {
    requests: InFlightRequests,
    scope: KeyScope,
    running: Option<OwnedSemaphorePermit>,
}

impl InFlightRequests {
    /// Waits until the request may run.
    ///
    /// # Errors
    /// What the request before it was refused with; `idempotency_key_in_use` if the queue is too long or too slow.
    pub(super) async fn permit(&self, scope: KeyScope, patience: Duration) -> Result<Permit, Problem> {
        let (mut permit, running) = self.join(scope)?;
        let Ok(Ok(running)) = timeout(patience, running.acquire_owned()).await else {
            return Err(Problem::key_in_use());
        };
        permit.running = Some(running);
        match self.queues().get(&permit.scope).and_then(|queue| queue.refused.clone()) {
            Some(problem) => Err(problem),
            None => Ok(permit),
        }
    }

    fn join(&self, scope: KeyScope) -> Result<(Permit, Arc<Semaphore>), Problem> {
        let mut queues = self.queues();
        let new = || WaitQueue { requests: 0, running: Arc::new(Semaphore::new(1)), refused: None };
        let queue = queues.entry(scope.clone()).or_insert_with(new);
        if queue.requests > MAX_WAITING {
            return Err(Problem::key_in_use());
        }
        queue.requests += 1;
        Ok((Permit { requests: self.clone(), scope, running: None }, queue.running.clone()))
    }

    fn queues(&self) -> MutexGuard<'_, HashMap<KeyScope, WaitQueue>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Permit {
    /// Passes a refusal on to those in the queue. A provider's decline is not for them: it is stored.
    pub(super) fn refused(&self, problem: &Problem) {
        let stored = problem.code().status() == Code::ProviderDeclined.status();
        if let Some(queue) = self.requests.queues().get_mut(&self.scope).filter(|_| !stored) {
            queue.refused = Some(problem.clone());
        }
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        let mut queues = self.requests.queues();
        if let Some(queue) = queues.get_mut(&self.scope) {
            queue.requests -= 1;
            if queue.requests == 0 {
                queues.remove(&self.scope);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn scope(fingerprint: u8) -> KeyScope {
        ("shop".into(), "k".to_owned(), [fingerprint; 32])
    }

    async fn code(requests: &InFlightRequests, fingerprint: u8, patience: Duration) -> Option<Code> {
        requests.permit(scope(fingerprint), patience).await.err().map(|problem| problem.code())
    }

    #[tokio::test]
    async fn a_request_runs_once_at_a_time_and_its_queue_is_forgotten_when_all_have_left() {
        let requests = InFlightRequests::default();
        let first = requests.permit(scope(1), Duration::ZERO).await.ok().unwrap();
        assert_eq!(code(&requests, 1, Duration::ZERO).await, Some(Code::IdempotencyKeyInUse));
        assert_eq!(code(&requests, 2, Duration::ZERO).await, None);
        let next = tokio::spawn({
            let requests = requests.clone();
            async move { code(&requests, 1, QUEUE_TIMEOUT).await }
        });
        while requests.queues()[&scope(1)].requests < 2 {
            tokio::task::yield_now().await;
        }
        drop(first);
        assert_eq!(next.await.unwrap(), None);
        assert!(requests.queues().is_empty());
    }

    #[tokio::test]
    async fn those_in_the_queue_get_a_refusal_and_those_who_come_later_do_not() {
        let requests = InFlightRequests::default();
        let first = requests.permit(scope(1), Duration::ZERO).await.ok().unwrap();
        let (queued, later) = (code(&requests, 1, QUEUE_TIMEOUT), async {
            first.refused(&Problem::not_found());
            drop(first);
        });
        assert_eq!(futures_util::join!(queued, later).0, Some(Code::NotFound));
        assert_eq!(code(&requests, 1, Duration::ZERO).await, None);
    }

    #[tokio::test]
    async fn a_queue_has_an_end_and_a_client_that_leaves_it_makes_room() {
        let requests = InFlightRequests::default();
        let _first = requests.permit(scope(1), Duration::ZERO).await.ok().unwrap();
        let mut queue = Vec::new();
        for _ in 0..MAX_WAITING {
            queue.push(requests.join(scope(1)).ok().unwrap());
        }
        assert_eq!(code(&requests, 1, QUEUE_TIMEOUT).await, Some(Code::IdempotencyKeyInUse));
        queue.pop();
        assert!(requests.join(scope(1)).is_ok());
    }
}
