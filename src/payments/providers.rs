//! Calls adapters: timeout, error classification and metrics of each call.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use port::{
    AdapterState, Attempt, AttemptId, Ctx, Env, Observation, ProfileStatus, ProviderError, ProviderView,
    StateStore, StateStoreError, StatusMapping, StoredProfile, Timestamp, Transport, translate,
};
use tokio::sync::Mutex;
use tracing::field::display;

use super::task::Task;
use super::{Account, Accounts, PaymentError, ReadPass, Result, Returns};
use crate::crash;
use crate::domain::{Erasable, Event, Lane, OrderAggregate, ProfileSession, ProfileSessionEvent, Subject};
use crate::engine::Engine;
use crate::metrics::Metrics;

/// How long one operation at a provider may take, with all its calls: less than a job's lease.
const OPERATION_TIMEOUT: Duration = Duration::from_secs(40);

/// The operation that reads a payment. It is repeated by schedule.
const FETCH: &str = "fetch";

/// The accounts, and what is needed to call their providers.
#[derive(Clone)]
pub struct Providers {
    accounts: Arc<Accounts>,
    transport: Arc<dyn Transport>,
    returns: Arc<Returns>,
    env: Arc<dyn Env>,
    metrics: Arc<Metrics>,
}

impl Providers {
    pub fn new(
        accounts: Arc<Accounts>,
        transport: Arc<dyn Transport>,
        returns: Arc<Returns>,
        engine: &Engine,
    ) -> Self {
        Self { accounts, transport, returns, env: engine.env.clone(), metrics: engine.metrics.clone() }
    }

    pub fn accounts(&self) -> &Accounts {
        &self.accounts
    }

    pub fn returns(&self) -> &Returns {
        &self.returns
    }

    /// The account of a payment.
    ///
    /// # Errors
    /// As [`Providers::account_of`].
    pub fn account(&self, name: &str) -> Result<Arc<Account>> {
        self.account_of("payment", name)
    }

    /// The account of what is called so in errors, such as `payment profile`.
    ///
    /// # Errors
    /// [`PaymentError::AccountNotConfigured`].
    pub fn account_of(&self, what: &'static str, name: &str) -> Result<Arc<Account>> {
        let found = self.accounts.get(name).cloned();
        found.ok_or_else(|| PaymentError::AccountNotConfigured { account: name.to_owned(), of: what })
    }

    /// The account that a lane reads; `None` for the general lane, and if it is not configured.
    pub fn account_of_lane(&self, lane: &Lane) -> Option<&Arc<Account>> {
        match lane {
            Lane::Account(name) => self.accounts.get(name),
            Lane::General => None,
        }
    }

    /// Everything that one operation at an account may use.
    pub(super) fn ctx<'a>(&'a self, account: &'a Account, state_store: &'a dyn StateStore) -> Ctx<'a> {
        Ctx::new(&account.base_url, &account.statuses, &*self.transport, state_store, &*self.env)
    }

    /// Lets an adapter's operation `about` an order's attempt, or about none, run: limits its time, classifies its error,
    /// counts it. Also returns the moment that the provider's answer describes.
    ///
    /// # Errors
    /// By certainty, see [`ProviderError`].
    pub(super) async fn call<T>(
        &self,
        account: &Account,
        operation: &'static str,
        about: Option<&Attempt>,
        ctx: &Ctx<'_>,
        act: impl Future<Output = Result<T, ProviderError>>,
    ) -> Result<(T, Timestamp), ProviderError> {
        crash::point("before send", operation);
        let started_at = self.env.now();
        let answered = tokio::time::timeout(OPERATION_TIMEOUT, act).await;
        crash::point("after send", operation);
        let outcome =
            answered.unwrap_or_else(|_| Err(ProviderError::OutcomeUnknown("it took too long".to_owned())));
        let outcome = ctx.classify(outcome);
        let label = outcome.as_ref().map_or_else(ProviderError::label, |_| crate::metrics::CALL_OK);
        let provider = account.about().name;
        self.metrics.provider_call(provider, operation, label, self.env.now().since(started_at));
        if let Err(ProviderError::Busy { retry_after }) = &outcome {
            account.reads.throttled(*retry_after, self.env.now());
        }
        report(account, operation, about, outcome.as_ref().err());
        outcome.map(|value| (value, ctx.as_of()))
    }

    /// Lets an adapter's operation run that answers how a payment is, and translates the answer.
    pub(super) async fn observe(
        &self,
        account: &Account,
        operation: &'static str,
        attempt: &Attempt,
        ctx: &Ctx<'_>,
        act: impl Future<Output = Result<ProviderView, ProviderError>>,
    ) -> Result<Observation, ProviderError> {
        let (view, as_of) = self.call(account, operation, Some(attempt), ctx, act).await?;
        Ok(self.translate(account, view, as_of))
    }

    /// Reads a payment; the read is already paid for.
    pub(super) async fn fetch(
        &self,
        account: &Account,
        attempt: &Attempt,
    ) -> Result<Observation, ProviderError> {
        let ctx = self.ctx(account, &NoState);
        self.observe(account, FETCH, attempt, &ctx, account.adapter.fetch(&ctx, attempt)).await
    }

    /// Takes a read from the account's read limit.
    ///
    /// # Errors
    /// [`ProviderError::Busy`] if there is none for this urgency; then the provider was not called.
    pub(super) fn spend_read(&self, account: &Account, pass: &ReadPass) -> Result<(), ProviderError> {
        let spent = pass.spend(&account.reads, self.env.now());
        spent.map_err(|wait| ProviderError::Busy { retry_after: Some(wait) })
    }

    pub(super) fn translate(&self, account: &Account, view: ProviderView, as_of: Timestamp) -> Observation {
        let seen = translate(&account.statuses, view, as_of);
        if seen.meaning == StatusMapping::Unmapped {
            self.report_unknown_status(account, &seen.provider_status.object, &seen.provider_status.status);
        }
        seen
    }

    /// Whether a payment profile can be used. One with an unknown status cannot; one whose provider gives no status can,
    /// as long as it is listed.
    pub(super) fn profile_status(&self, account: &Account, stored: &StoredProfile) -> ProfileStatus {
        let Some(status) = &stored.provider_status else { return ProfileStatus::Active };
        account.statuses.profile(status).unwrap_or_else(|| {
            self.report_unknown_status(account, "profile", status);
            ProfileStatus::Inactive
        })
    }

    fn report_unknown_status(&self, account: &Account, object: &str, status: &str) {
        let provider = account.about().name;
        self.metrics.unknown_status(provider);
        tracing::warn!(account.name = %account.name, provider.name = provider,
            "the provider reports a status that is not in its statuses.toml: [{object}] {status}");
    }
}

/// Logs a call that failed. A payment is read for as long as that fails, so of its reads the first failure is logged,
/// and the first success after it.
fn report(
    account: &Account,
    operation: &'static str,
    about: Option<&Attempt>,
    error: Option<&ProviderError>,
) {
    let read = about.filter(|_| operation == FETCH).map(|attempt| attempt.id);
    let failed_before = read.is_some_and(|attempt| match error {
        Some(_) => !account.failing_reads.entry(attempt).or_insert(()).is_fresh(),
        None => account.failing_reads.remove(&attempt).is_some(),
    });
    let (order, attempt) = (about.map(|about| display(about.order)), about.map(|about| display(about.id)));
    let (account, provider) = (&account.name, account.about().name);
    match error {
        Some(error) if failed_before => {
            tracing::debug!(order.id = order, attempt.id = attempt, account.name = %account,
                provider.name = provider, operation, "provider call failed again: {error}");
        }
        Some(error) => {
            tracing::warn!(order.id = order, attempt.id = attempt, account.name = %account,
                provider.name = provider, operation, "provider call failed: {error}");
        }
        None if failed_before => {
            tracing::info!(order.id = order, attempt.id = attempt, account.name = %account,
                provider.name = provider, operation, "provider calls work again");
        }
        None => {}
    }
}

/// A subject whose attempts hold state for their adapters.
pub(super) trait WithAttempts: Subject {
    fn adapter_state(&self, attempt: AttemptId) -> Option<&Erasable<AdapterState>>;

    fn state_saved(attempt: AttemptId, adapter_state: Erasable<AdapterState>) -> Self::Event;
}

impl WithAttempts for OrderAggregate {
    fn adapter_state(&self, attempt: AttemptId) -> Option<&Erasable<AdapterState>> {
        self.attempt(attempt)?.adapter_state.as_ref()
    }

    fn state_saved(attempt: AttemptId, adapter_state: Erasable<AdapterState>) -> Event {
        Event::AdapterStateSaved { attempt, adapter_state }
    }
}

impl WithAttempts for ProfileSession {
    fn adapter_state(&self, attempt: AttemptId) -> Option<&Erasable<AdapterState>> {
        self.attempts.iter().find(|known| known.id == attempt)?.adapter_state.as_ref()
    }

    fn state_saved(_: AttemptId, adapter_state: Erasable<AdapterState>) -> ProfileSessionEvent {
        ProfileSessionEvent::AdapterStateSaved(adapter_state)
    }
}

/// Saves what an adapter needs again later, with the attempt.
pub(super) struct AttemptStateStore<'t, 'a, S: Subject> {
    attempt: AttemptId,
    task: Mutex<&'t mut Task<'a, S>>,
}

impl<'a, S: Subject> Task<'a, S> {
    pub(super) fn state_store(&mut self, attempt: AttemptId) -> AttemptStateStore<'_, 'a, S> {
        AttemptStateStore { attempt, task: Mutex::new(self) }
    }
}

/// An attempt's adapter state with more of it; `None` if there is no more.
pub(super) fn extended(
    known: Option<&Erasable<AdapterState>>,
    more: AdapterState,
    nonce: [u8; 16],
) -> Option<Erasable<AdapterState>> {
    if more.is_empty() {
        return None;
    }
    let mut state = known.and_then(Erasable::value).cloned().unwrap_or_default();
    state.extend(more);
    Some(Erasable::new(state, nonce))
}

#[async_trait]
impl<S: WithAttempts> StateStore for AttemptStateStore<'_, '_, S> {
    async fn save_state(&self, pairs: &[(&str, &str)]) -> Result<(), StateStoreError> {
        let mut task = self.task.lock().await;
        let (attempt, engine) = (self.attempt, task.engine);
        let more = || pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        let saved = task.change("save adapter state", |subject, _| {
            let state = extended(subject.adapter_state(attempt), more(), engine.env.nonce());
            state.map(|state| S::state_saved(attempt, state))
        });
        saved.await.map(drop).map_err(|fault| {
            tracing::error!(attempt.id = %attempt, "the adapter's state could not be saved: {fault}");
            StateStoreError
        })
    }
}

/// For operations that save nothing.
pub(super) struct NoState;

#[async_trait]
impl StateStore for NoState {
    async fn save_state(&self, _: &[(&str, &str)]) -> Result<(), StateStoreError> {
        Err(StateStoreError)
    }
}
