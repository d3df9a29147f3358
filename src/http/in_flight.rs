//! Requests with an idempotency key while they run: one at a time for each key, its repeats queued behind it.
//!
//! The outcome of a request is in the store, where the next in the queue reads it. Errors are not stored, so they are
//! passed on to the waiting repeats. Different requests with the same key wait in different queues; the store decides
//! between them.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::timeout;

use super::problem::{Code, Problem};

/// How long a request waits; longer than an operation at a provider may take.
pub(super) const QUEUE_TIMEOUT: Duration = Duration::from_secs(45);

/// The most requests that wait behind a running one.
const MAX_WAITING: usize = 128;

#[derive(Clone, Default)]
pub(super) struct InFlightRequests(Arc<Mutex<HashMap<KeyScope, WaitQueue>>>);

/// The merchant, the idempotency key, and the fingerprint of the request.
pub(super) type KeyScope = (Arc<str>, String, [u8; 32]);

/// A running request and its repeats.
struct WaitQueue {
    requests: usize,
    /// Its permit is the running request's.
    running: Arc<Semaphore>,
    /// The error of the previous request, if it was not stored.
    error: Option<Problem>,
}

/// A request's membership in its queue, until it is dropped.
pub(super) struct Permit {
    requests: InFlightRequests,
    scope: KeyScope,
    running: Option<OwnedSemaphorePermit>,
}

impl InFlightRequests {
    /// Waits until the request may run.
    ///
    /// # Errors
    /// The error of the request before it; `idempotency_key_in_use` if the queue is too long or too slow.
    pub(super) async fn permit(&self, scope: KeyScope, max_wait: Duration) -> Result<Permit, Problem> {
        let (mut permit, running) = self.join(scope)?;
        let Ok(Ok(running)) = timeout(max_wait, running.acquire_owned()).await else {
            return Err(Problem::key_in_use());
        };
        permit.running = Some(running);
        match self.queues().get(&permit.scope).and_then(|queue| queue.error.clone()) {
            Some(problem) => Err(problem),
            None => Ok(permit),
        }
    }

    fn join(&self, scope: KeyScope) -> Result<(Permit, Arc<Semaphore>), Problem> {
        let mut queues = self.queues();
        let new = || WaitQueue { requests: 0, running: Arc::new(Semaphore::new(1)), error: None };
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
    /// Passes an error on to the waiting repeats; but not a provider's decline, which is stored.
    pub(super) fn pass_on(&self, problem: &Problem) {
        let stored = problem.code().status() == Code::ProviderDeclined.status();
        if let Some(queue) = self.requests.queues().get_mut(&self.scope).filter(|_| !stored) {
            queue.error = Some(problem.clone());
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

    async fn code(requests: &InFlightRequests, fingerprint: u8, max_wait: Duration) -> Option<Code> {
        requests.permit(scope(fingerprint), max_wait).await.err().map(|problem| problem.code())
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
    async fn requests_in_the_queue_get_an_error_and_later_ones_do_not() {
        let requests = InFlightRequests::default();
        let first = requests.permit(scope(1), Duration::ZERO).await.ok().unwrap();
        let (queued, later) = (code(&requests, 1, QUEUE_TIMEOUT), async {
            first.pass_on(&Problem::not_found());
            drop(first);
        });
        assert_eq!(futures_util::join!(queued, later).0, Some(Code::NotFound));
        assert_eq!(code(&requests, 1, Duration::ZERO).await, None);
    }

    #[tokio::test]
    async fn a_queue_has_a_limit_and_a_client_that_leaves_it_makes_room() {
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
