//! The only caller of adapters.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use port::{AttemptId, Ctx, KeepError, Keeper, Observation, ProviderError, Snapshot, Theirs, translate};
use tokio::sync::Mutex;

use super::budget::Wish;
use super::{Account, PaymentError, Payments, Shared};
use crate::crash;
use crate::domain::{Cause, Fact, OrderFile, Sealed};

/// How long one operation at a provider may take, with all its calls: shorter than the agenda waits.
const LIMIT: Duration = Duration::from_secs(40);

impl Payments {
    /// Everything that one operation at an account may touch.
    pub(super) fn ctx<'a>(&'a self, account: &'a Account, keeper: &'a dyn Keeper) -> Ctx<'a> {
        Ctx::new(&account.base_url, &*self.transport, keeper, &*self.shared.source)
    }

    /// Lets an adapter's operation run: sets the limit, settles what came, counts. Also answers the moment that
    /// the provider's answer speaks of.
    ///
    /// # Errors
    /// By certainty, see [`ProviderError`].
    pub(super) async fn call<T>(
        &self,
        account: &Account,
        operation: &'static str,
        ctx: &Ctx<'_>,
        act: impl Future<Output = Result<T, ProviderError>>,
    ) -> Result<(T, port::Timestamp), ProviderError> {
        let shared = &self.shared;
        crash::point("before send", operation);
        let started_at = shared.now();
        let answered = tokio::time::timeout(LIMIT, act).await;
        crash::point("after send", operation);
        let outcome =
            answered.unwrap_or_else(|_| Err(ProviderError::OutcomeUnknown("it took too long".to_owned())));
        let outcome = ctx.settle(outcome);
        let label = outcome.as_ref().map_or_else(ProviderError::label, |_| "ok");
        let provider = account.about().name;
        shared.metrics.provider_call(provider, operation, label, shared.now().since(started_at));
        if let Err(error) = &outcome {
            if let ProviderError::Busy { retry_after } = error {
                account.reads.complained(*retry_after, shared.now());
            }
            tracing::warn!(account.name = %account.name, provider.name = provider, operation,
                "provider call failed: {error}");
        }
        outcome.map(|value| (value, ctx.place()))
    }

    /// Takes a read out of an account's budget.
    ///
    /// # Errors
    /// [`ProviderError::Busy`] if it is used up: then nobody was called.
    pub(super) fn may_read(&self, account: &Account, wish: Wish) -> Result<(), ProviderError> {
        let taken = account.reads.take(wish, self.shared.now());
        taken.map_err(|wait| ProviderError::Busy { retry_after: Some(wait) })
    }

    /// What a snapshot means.
    pub(super) fn understand(
        &self,
        account: &Account,
        snapshot: Snapshot,
        place: port::Timestamp,
    ) -> Observation {
        let seen = translate(&account.words, snapshot, place);
        if seen.says == port::Says::Unmapped {
            self.shared.metrics.unknown_status(account.about().name);
        }
        seen
    }

    /// The account of an attempt.
    pub(super) fn account(&self, name: &str) -> Result<Arc<Account>, PaymentError> {
        self.shared.accounts.get(name).cloned().ok_or_else(|| PaymentError::NoAccount(name.to_owned()))
    }
}

/// Keeps what an adapter wants to find again, in the order's file.
pub(super) struct FileKeeper<'a> {
    shared: &'a Shared,
    attempt: AttemptId,
    cause: &'a Cause,
    file: Mutex<OrderFile>,
}

impl<'a> FileKeeper<'a> {
    pub(super) fn new(shared: &'a Shared, file: OrderFile, attempt: AttemptId, cause: &'a Cause) -> Self {
        Self { shared, attempt, cause, file: Mutex::new(file) }
    }

    /// The file with everything that was kept.
    pub(super) fn into_file(self) -> OrderFile {
        self.file.into_inner()
    }
}

#[async_trait]
impl Keeper for FileKeeper<'_> {
    async fn keep(&self, pairs: &[(&str, &str)]) -> Result<(), KeepError> {
        let mut file = self.file.lock().await;
        let attempt = self.attempt;
        let kept = self.shared.change("keep", &mut file, self.cause, |file, _| {
            let record = file.attempt(attempt);
            let mut theirs: Theirs =
                record.and_then(|record| record.theirs.as_ref()?.value().cloned()).unwrap_or_default();
            theirs.extend(pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())));
            let theirs = Sealed::new(theirs, self.shared.source.nonce());
            Ok::<_, PaymentError>(vec![Fact::AttemptKept { attempt, theirs }].into())
        });
        kept.await.map(|_| ()).map_err(|fault| {
            tracing::error!(attempt.id = %attempt, "what the adapter keeps could not be stored: {fault}");
            KeepError
        })
    }
}

/// For operations that keep nothing.
pub(super) struct NothingToKeep;

#[async_trait]
impl Keeper for NothingToKeep {
    async fn keep(&self, _: &[(&str, &str)]) -> Result<(), KeepError> {
        Err(KeepError)
    }
}
