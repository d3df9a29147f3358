//! Requests with an idempotency key while they run: one at a time for each, its repeats in line behind it.
//!
//! Nothing is handed on but the turn: what came of the request before is in the store. Only a refusal is not, so
//! those in line are told it instead of asking the same again. What becomes of a key that is sent with different
//! requests is the store's to say: they stand in different lines.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::timeout;

use super::problem::{Code, Problem};

/// How long a request stands in line: as long as a call to a provider may take.
pub(super) const QUEUE_TIMEOUT: Duration = Duration::from_secs(30);

/// Requests that wait behind a running one.
const MAX_WAITING: usize = 128;

/// The lines of this process.
#[derive(Clone, Default)]
pub(super) struct InFlightRequests(Arc<Mutex<HashMap<KeyScope, WaitQueue>>>);

/// Whose request, its key, and the fingerprint of all that was sent with it.
pub(super) type KeyScope = (Arc<str>, String, String);

/// A request that runs, and its repeats.
struct WaitQueue {
    /// How many they are.
    requests: usize,
    /// Held by the one that runs.
    turn: Arc<Semaphore>,
    /// What the one before was told, if nothing was stored of it.
    refused: Option<Problem>,
}

/// A request's place in its line, from joining it; free again when dropped.
pub(super) struct Permit {
    running: InFlightRequests,
    key: KeyScope,
    turn: Option<OwnedSemaphorePermit>,
}

impl InFlightRequests {
    /// Waits until it is the request's turn.
    ///
    /// # Errors
    /// What the request before it was refused with; `idempotency_key_in_use` if the line is too long or too slow.
    pub(super) async fn permit(&self, place: KeyScope, patience: Duration) -> Result<Permit, Problem> {
        let (mut permit, turn) = self.join(place)?;
        let Ok(Ok(turn)) = timeout(patience, turn.acquire_owned()).await else {
            return Err(Problem::key_in_use());
        };
        permit.turn = Some(turn);
        match self.queues().get(&permit.key).and_then(|line| line.refused.clone()) {
            Some(problem) => Err(problem),
            None => Ok(permit),
        }
    }

    fn join(&self, place: KeyScope) -> Result<(Permit, Arc<Semaphore>), Problem> {
        let mut lines = self.queues();
        let one = || WaitQueue { requests: 0, turn: Arc::new(Semaphore::new(1)), refused: None };
        let line = lines.entry(place.clone()).or_insert_with(one);
        if line.requests > MAX_WAITING {
            return Err(Problem::key_in_use());
        }
        line.requests += 1;
        Ok((Permit { running: self.clone(), key: place, turn: None }, line.turn.clone()))
    }

    fn queues(&self) -> MutexGuard<'_, HashMap<KeyScope, WaitQueue>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Permit {
    /// Tells those in line how the request was refused. A provider's no is not for them: it is stored.
    pub(super) fn refused(&self, problem: &Problem) {
        let stored = problem.code().status() == Code::ProviderDeclined.status();
        if let Some(line) = self.running.queues().get_mut(&self.key).filter(|_| !stored) {
            line.refused = Some(problem.clone());
        }
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        let mut lines = self.running.queues();
        if let Some(line) = lines.get_mut(&self.key) {
            line.requests -= 1;
            if line.requests == 0 {
                lines.remove(&self.key);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn place(fingerprint: &str) -> KeyScope {
        ("shop".into(), "k".to_owned(), fingerprint.to_owned())
    }

    async fn code(running: &InFlightRequests, fingerprint: &str, patience: Duration) -> Option<Code> {
        running.permit(place(fingerprint), patience).await.err().map(|problem| problem.code())
    }

    #[tokio::test]
    async fn a_request_runs_once_at_a_time_and_the_line_is_forgotten_when_all_have_left() {
        let running = InFlightRequests::default();
        let first = running.permit(place("a"), Duration::ZERO).await.ok().unwrap();
        assert_eq!(code(&running, "a", Duration::ZERO).await, Some(Code::IdempotencyKeyInUse));
        assert_eq!(code(&running, "b", Duration::ZERO).await, None);
        let next = tokio::spawn({
            let running = running.clone();
            async move { code(&running, "a", QUEUE_TIMEOUT).await }
        });
        while running.queues()[&place("a")].requests < 2 {
            tokio::task::yield_now().await;
        }
        drop(first);
        assert_eq!(next.await.unwrap(), None);
        assert!(running.queues().is_empty());
    }

    #[tokio::test]
    async fn those_in_line_are_told_of_a_refusal_and_those_who_come_later_are_not() {
        let running = InFlightRequests::default();
        let first = running.permit(place("a"), Duration::ZERO).await.ok().unwrap();
        let (in_line, later) = (code(&running, "a", QUEUE_TIMEOUT), async {
            first.refused(&Problem::not_found());
            drop(first);
        });
        assert_eq!(futures_util::join!(in_line, later).0, Some(Code::NotFound));
        assert_eq!(code(&running, "a", Duration::ZERO).await, None);
    }

    #[tokio::test]
    async fn a_line_has_an_end_and_a_client_that_leaves_it_makes_room() {
        let running = InFlightRequests::default();
        let _first = running.permit(place("a"), Duration::ZERO).await.ok().unwrap();
        let mut line = Vec::new();
        for _ in 0..MAX_WAITING {
            line.push(running.join(place("a")).ok().unwrap());
        }
        assert_eq!(code(&running, "a", QUEUE_TIMEOUT).await, Some(Code::IdempotencyKeyInUse));
        line.pop();
        assert!(running.join(place("a")).is_ok());
    }
}
