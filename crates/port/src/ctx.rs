//! Everything that an operation may touch.

use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};

use async_trait::async_trait;
use serde::de::DeserializeOwned;

use crate::{Env, HttpRequest, HttpResponse, ProviderError, Timestamp, Transport};

/// Remembers what an adapter wants to find again after a crash. Durable when it returns.
#[async_trait]
pub trait StateStore: Send + Sync {
    /// Stores the pairs with the attempt, all or none.
    ///
    /// # Errors
    /// [`StateStoreError`]; then nothing may be sent that relies on them.
    async fn save_state(&self, pairs: &[(&str, &str)]) -> Result<(), StateStoreError>;
}

/// What was to be remembered is not stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("what was to be remembered could not be stored")]
pub struct StateStoreError;

/// The provider's own code and text in a refusal.
pub type Complaint = (Option<String>, Option<String>);

/// One operation's way to the outside: calls, memory, time. It remembers whether a write has left, so that no
/// later failure of the same operation looks harmless ([`Ctx::classify`]).
pub struct Ctx<'a> {
    base_url: &'a str,
    transport: &'a dyn Transport,
    state_store: &'a dyn StateStore,
    env: &'a dyn Env,
    write_left: AtomicBool,
    last_was_read: AtomicBool,
    as_of_micros: AtomicI64,
}

impl<'a> Ctx<'a> {
    /// For one operation at the account whose provider listens at `base_url`.
    pub fn new(
        base_url: &'a str,
        transport: &'a dyn Transport,
        state_store: &'a dyn StateStore,
        env: &'a dyn Env,
    ) -> Self {
        Self {
            base_url,
            transport,
            state_store,
            env,
            write_left: AtomicBool::new(false),
            last_was_read: AtomicBool::new(true),
            as_of_micros: AtomicI64::new(env.now().micros()),
        }
    }

    /// The present moment.
    pub fn now(&self) -> Timestamp {
        self.env.now()
    }

    /// Stores pairs with the attempt; durable when it returns.
    ///
    /// # Errors
    /// [`ProviderError::NotSent`]: whatever was to follow has not been sent.
    pub async fn save_state(&self, pairs: &[(&str, &str)]) -> Result<(), ProviderError> {
        self.state_store.save_state(pairs).await.map_err(|fault| ProviderError::NotSent(fault.to_string()))
    }

    /// Sends a call and returns whatever answer came, for providers with their own dialect of failure.
    ///
    /// # Errors
    /// No answer: [`ProviderError::NotSent`], `Unavailable` after a read, `OutcomeUnknown` after a write.
    pub async fn send_raw(&self, http_request: HttpRequest) -> Result<HttpResponse, ProviderError> {
        if !http_request.is_in_its_place() {
            return Err(ProviderError::NotSent("the address would leave its place".to_owned()));
        }
        let reads_only = http_request.reads_only;
        self.last_was_read.store(reads_only, Ordering::Relaxed);
        let sent_at = self.now();
        let outcome =
            self.transport.send(self.base_url, &http_request).await.map_err(|lost| lost.sorted(reads_only));
        let as_of = if reads_only { sent_at } else { self.now() };
        self.as_of_micros.store(as_of.micros(), Ordering::Relaxed);
        if !reads_only && may_have_worked(&outcome) {
            self.write_left.store(true, Ordering::Relaxed);
        }
        outcome
    }

    /// Sends a call and reads its JSON answer. `complaint` finds the provider's code and text in a refusal.
    ///
    /// # Errors
    /// By certainty. An unreadable or 5xx answer is `OutcomeUnknown` to a write and `Unavailable` to a read.
    pub async fn send<T: DeserializeOwned>(
        &self,
        http_request: HttpRequest,
        complaint: impl FnOnce(&HttpResponse) -> Option<Complaint> + Send,
    ) -> Result<T, ProviderError> {
        let reads_only = http_request.reads_only;
        let response = self.send_raw(http_request).await?;
        if !response.ok() {
            return Err(response.into_error(reads_only, complaint(&response)));
        }
        response.json().map_err(|why| Self::unreadable(reads_only, why))
    }

    /// The error for an answer that says nothing certain.
    pub fn unreadable(reads_only: bool, why: String) -> ProviderError {
        if reads_only { ProviderError::Unavailable(why) } else { ProviderError::OutcomeUnknown(why) }
    }

    /// The moment that the operation's last answer speaks of: when a read was sent, when a write was answered.
    /// A read sent earlier and answered later is older.
    pub fn as_of(&self) -> Timestamp {
        Timestamp::from_micros(self.as_of_micros.load(Ordering::Relaxed))
    }

    /// Makes a result honest about everything the operation has sent: once a write may have worked, no later
    /// failure is harmless. "Captured, then the confirming read failed" is an unknown outcome.
    ///
    /// # Errors
    /// The same error, or [`ProviderError::OutcomeUnknown`].
    pub fn classify<T>(&self, result: Result<T, ProviderError>) -> Result<T, ProviderError> {
        if !self.write_left.load(Ordering::Relaxed) {
            return result;
        }
        let read_failed = self.last_was_read.load(Ordering::Relaxed);
        result.map_err(|error| match error {
            ProviderError::Declined { .. }
            | ProviderError::Rejected { .. }
            | ProviderError::AmountDiffers(_)
                if !read_failed =>
            {
                error
            }
            ProviderError::OutcomeUnknown(_) | ProviderError::Unsupported(_) => error,
            harmless => ProviderError::OutcomeUnknown(harmless.to_string()),
        })
    }
}

/// Whether a write with this outcome can have had an effect.
fn may_have_worked(outcome: &Result<HttpResponse, ProviderError>) -> bool {
    match outcome {
        Ok(response) => !(400..500).contains(&response.status),
        Err(error) => !matches!(error, ProviderError::NotSent(_)),
    }
}
