//! The only caller of adapters.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use port::{
    AdapterState, AttemptId, Ctx, Observation, ProviderError, ProviderView, StateStore, StateStoreError,
    translate,
};
use tokio::sync::Mutex;

use super::read_limiter::Priority;
use super::{Account, PaymentError, Payments, Shared};
use crate::crash;
use crate::domain::{Cause, Erasable, Event, OrderAggregate};

/// How long one operation at a provider may take, with all its calls: shorter than the agenda waits.
const LIMIT: Duration = Duration::from_secs(40);

impl Payments {
    /// Everything that one operation at an account may touch.
    pub(super) fn ctx<'a>(&'a self, account: &'a Account, state_store: &'a dyn StateStore) -> Ctx<'a> {
        Ctx::new(&account.base_url, &*self.transport, state_store, &*self.shared.env)
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
        let outcome = ctx.classify(outcome);
        let label = outcome.as_ref().map_or_else(ProviderError::label, |_| "ok");
        let provider = account.about().name;
        shared.metrics.provider_call(provider, operation, label, shared.now().since(started_at));
        if let Err(error) = &outcome {
            if let ProviderError::Busy { retry_after } = error {
                account.reads.throttled(*retry_after, shared.now());
            }
            tracing::warn!(account.name = %account.name, provider.name = provider, operation,
                "provider call failed: {error}");
        }
        outcome.map(|value| (value, ctx.as_of()))
    }

    /// Takes a read out of an account's budget.
    ///
    /// # Errors
    /// [`ProviderError::Busy`] if it is used up: then nobody was called.
    pub(super) fn may_read(&self, account: &Account, priority: Priority) -> Result<(), ProviderError> {
        let taken = account.reads.take(priority, self.shared.now());
        taken.map_err(|wait| ProviderError::Busy { retry_after: Some(wait) })
    }

    /// What a snapshot means.
    pub(super) fn translate(
        &self,
        account: &Account,
        view: ProviderView,
        as_of: port::Timestamp,
    ) -> Observation {
        let seen = translate(&account.statuses, view, as_of);
        if seen.says == port::StatusMapping::Unmapped {
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
pub(super) struct AttemptStateStore<'a> {
    shared: &'a Shared,
    attempt: AttemptId,
    cause: &'a Cause,
    order: Mutex<OrderAggregate>,
}

impl<'a> AttemptStateStore<'a> {
    pub(super) fn new(
        shared: &'a Shared,
        order: OrderAggregate,
        attempt: AttemptId,
        cause: &'a Cause,
    ) -> Self {
        Self { shared, attempt, cause, order: Mutex::new(order) }
    }

    /// The file with everything that was kept.
    pub(super) fn into_order(self) -> OrderAggregate {
        self.order.into_inner()
    }
}

#[async_trait]
impl StateStore for AttemptStateStore<'_> {
    async fn save_state(&self, pairs: &[(&str, &str)]) -> Result<(), StateStoreError> {
        let mut order = self.order.lock().await;
        let attempt = self.attempt;
        let kept = self.shared.change("keep", &mut order, self.cause, |order, _| {
            let record = order.attempt(attempt);
            let mut adapter_state: AdapterState =
                record.and_then(|record| record.adapter_state.as_ref()?.value().cloned()).unwrap_or_default();
            adapter_state.extend(pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())));
            let adapter_state = Erasable::new(adapter_state, self.shared.env.nonce());
            Ok::<_, PaymentError>(vec![Event::AdapterStateSaved { attempt, adapter_state }].into())
        });
        kept.await.map(|_| ()).map_err(|fault| {
            tracing::error!(attempt.id = %attempt, "what the adapter keeps could not be stored: {fault}");
            StateStoreError
        })
    }
}

/// For operations that keep nothing.
pub(super) struct NoState;

#[async_trait]
impl StateStore for NoState {
    async fn save_state(&self, _: &[(&str, &str)]) -> Result<(), StateStoreError> {
        Err(StateStoreError)
    }
}
