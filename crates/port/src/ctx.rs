//! The context of an operation: calls, adapter state, time.

use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU16, Ordering};

use async_trait::async_trait;
use serde::de::DeserializeOwned;

use crate::{
    Currency, Decimal, Env, HttpRequest, HttpResponse, Money, ProviderError, StatusTable, Timestamp,
    Transport,
};

/// Saves adapter state so that it survives a crash. Durable when it returns.
#[async_trait]
pub trait StateStore: Send + Sync {
    /// Stores the pairs with the attempt, all or none.
    ///
    /// # Errors
    /// [`StateStoreError`]; then nothing may be sent that relies on them.
    async fn save_state(&self, pairs: &[(&str, &str)]) -> Result<(), StateStoreError>;
}

/// The adapter state was not stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the adapter state could not be stored")]
pub struct StateStoreError;

/// The provider's own code and text in a refusal, as far as it gives them.
pub type Complaint = (Option<String>, Option<String>);

/// The context of one operation. It remembers whether a write may have been sent, so that a later error of the same
/// operation is classified as unknown ([`Ctx::classify`]).
pub struct Ctx<'a> {
    base_url: &'a str,
    statuses: &'a StatusTable,
    transport: &'a dyn Transport,
    state_store: &'a dyn StateStore,
    env: &'a dyn Env,
    write_left: AtomicBool,
    last_was_read: AtomicBool,
    last_status: AtomicU16,
    as_of_micros: AtomicI64,
}

impl<'a> Ctx<'a> {
    /// For one operation at the account whose provider listens at `base_url` and means this by its statuses.
    pub fn new(
        base_url: &'a str,
        statuses: &'a StatusTable,
        transport: &'a dyn Transport,
        state_store: &'a dyn StateStore,
        env: &'a dyn Env,
    ) -> Self {
        Self {
            base_url,
            statuses,
            transport,
            state_store,
            env,
            write_left: AtomicBool::new(false),
            last_was_read: AtomicBool::new(true),
            last_status: AtomicU16::new(0),
            as_of_micros: AtomicI64::new(env.now().micros()),
        }
    }

    /// The present moment.
    pub fn now(&self) -> Timestamp {
        self.env.now()
    }

    /// What the provider's statuses mean, for an adapter whose next call depends on one.
    pub fn statuses(&self) -> &'a StatusTable {
        self.statuses
    }

    /// Stores pairs with the attempt; durable when it returns.
    ///
    /// # Errors
    /// [`ProviderError::NotSent`]: whatever was to follow has not been sent.
    pub async fn save_state(&self, pairs: &[(&str, &str)]) -> Result<(), ProviderError> {
        self.state_store.save_state(pairs).await.map_err(|fault| ProviderError::NotSent(fault.to_string()))
    }

    /// Sends a request and returns any response, for providers with their own error format.
    ///
    /// # Errors
    /// No answer: [`ProviderError::NotSent`], `Unavailable` after a read, `OutcomeUnknown` after a write.
    pub async fn send_raw(&self, http_request: HttpRequest) -> Result<HttpResponse, ProviderError> {
        if !http_request.is_in_its_place() {
            return Err(ProviderError::NotSent("the path leaves the base URL".to_owned()));
        }
        let reads_only = http_request.reads_only();
        self.last_was_read.store(reads_only, Ordering::Relaxed);
        let sent_at = self.now();
        let outcome =
            self.transport.send(self.base_url, &http_request).await.map_err(|lost| lost.sorted(reads_only));
        self.last_status.store(outcome.as_ref().map_or(0, |response| response.status), Ordering::Relaxed);
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
    /// By certainty. To a write an unreadable or 5xx answer is `OutcomeUnknown`; to a read one is `Unreadable`, the other
    /// `Unavailable`.
    pub async fn send<T: DeserializeOwned>(
        &self,
        http_request: HttpRequest,
        complaint: impl FnOnce(&HttpResponse) -> Option<Complaint> + Send,
    ) -> Result<T, ProviderError> {
        let response = self.send_raw(http_request).await?;
        self.ensure_ok(&response, complaint)?;
        self.json(&response)
    }

    /// Converts a response that is not 2xx to an error, by the usual meaning of its status. `complaint` finds the
    /// provider's code and text in it.
    ///
    /// # Errors
    /// By certainty; a 5xx proves nothing.
    pub fn ensure_ok(
        &self,
        response: &HttpResponse,
        complaint: impl FnOnce(&HttpResponse) -> Option<Complaint>,
    ) -> Result<(), ProviderError> {
        if response.ok() {
            return Ok(());
        }
        let (code, text) = complaint(response).unwrap_or_default();
        Err(match response.status {
            401 | 403 => ProviderError::Misconfigured,
            404 => ProviderError::NotFound,
            429 => ProviderError::Busy { retry_after: response.retry_after },
            402 => ProviderError::declined(code.as_deref(), text.as_deref()),
            400..=499 => ProviderError::rejected(code.as_deref(), text.as_deref()),
            status if self.last_was_read.load(Ordering::Relaxed) => {
                ProviderError::Unavailable(format!("HTTP {status}"))
            }
            status => ProviderError::OutcomeUnknown(format!("HTTP {status}")),
        })
    }

    /// Reads the JSON of the last answer.
    ///
    /// # Errors
    /// [`Ctx::unreadable`] if it is none, or of another shape.
    pub fn json<T: DeserializeOwned>(&self, response: &HttpResponse) -> Result<T, ProviderError> {
        response.json().map_err(|why| self.unreadable(why))
    }

    /// The error for a complaint inside a 2xx: a write was rejected; of a read it says nothing about the object.
    pub fn refusal_in_success(&self, (code, text): Complaint) -> ProviderError {
        match self.last_was_read.load(Ordering::Relaxed) {
            true => ProviderError::Unavailable("an error inside a 2xx".to_owned()),
            false => ProviderError::rejected(code.as_deref(), text.as_deref()),
        }
    }

    /// The error for a last answer that proves nothing: the read is repeated, the outcome of a write is unknown.
    pub fn unreadable(&self, why: impl Into<String>) -> ProviderError {
        match self.last_was_read.load(Ordering::Relaxed) {
            true => ProviderError::Unreadable(why.into()),
            false => ProviderError::OutcomeUnknown(why.into()),
        }
    }

    /// Something that the last answer must have, such as "an id".
    ///
    /// # Errors
    /// [`Ctx::unreadable`] if it has not.
    pub fn require<T>(&self, found: Option<T>, what: &str) -> Result<T, ProviderError> {
        found.ok_or_else(|| self.unreadable(format!("an answer without {what}")))
    }

    /// Sees to it that the last answer is about the object that was `asked` for: it has that id, in any letter case, or a
    /// merchant reference, which the gateway compares for every adapter. Of an object that is being made no id is known.
    ///
    /// # Errors
    /// [`Ctx::unreadable`] if it names another object, or none.
    pub fn ensure_about(
        &self,
        asked: Option<&str>,
        id: Option<&str>,
        merchant_reference: Option<&str>,
    ) -> Result<(), ProviderError> {
        let same = |asked: &str| id.is_some_and(|id| id.trim().eq_ignore_ascii_case(asked));
        if merchant_reference.is_some() || asked.is_none_or(same) {
            return Ok(());
        }
        let named = if id.is_some() { "another object" } else { "no object" };
        Err(self.unreadable(format!("an answer that names {named}")))
    }

    /// A currency as the last answer states it, in any letter case.
    ///
    /// # Errors
    /// [`Ctx::unreadable`] if it is none.
    pub fn currency(&self, code: &str) -> Result<Currency, ProviderError> {
        Currency::from_stated(code).map_err(|fault| self.unreadable(fault.to_string()))
    }

    /// An amount in major units as the last answer states it.
    ///
    /// # Errors
    /// [`Ctx::unreadable`] if it has more digits than the currency, beyond what a binary float leaves.
    pub fn money(&self, major: Decimal, currency: Currency) -> Result<Money, ProviderError> {
        Money::from_stated(major, currency).map_err(|fault| self.unreadable(fault.to_string()))
    }

    /// The time that the last response is about: when a read was sent, or when a write was answered.
    pub fn as_of(&self) -> Timestamp {
        Timestamp::from_micros(self.as_of_micros.load(Ordering::Relaxed))
    }

    /// Whether the provider has refused the request as one that it cannot take, and no write before it can have worked:
    /// nothing was created. A conflict is no such refusal, since it may be one with something that exists.
    pub fn created_nothing(&self) -> bool {
        let status = self.last_status.load(Ordering::Relaxed);
        !self.write_left.load(Ordering::Relaxed) && matches!(status, 400 | 413 | 414 | 415 | 422)
    }

    /// Corrects the error of an operation with several calls: once a write may have taken effect, a later error means
    /// an unknown outcome. "Captured, then the confirming read failed" is an unknown outcome.
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
