//! The only caller of adapters.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use port::{
    AdapterState, AttemptId, Ctx, Env, Observation, ProfileStatus, ProviderError, ProviderView, StateStore,
    StateStoreError, StatusMapping, StoredProfile, Timestamp, Transport, translate,
};
use tokio::sync::Mutex;

use super::{Account, Accounts, PaymentError, ReadPass, Returns};
use crate::crash;
use crate::domain::{Erasable, Event, Lane, OrderAggregate, ProfileSession, ProfileSessionEvent, Subject};
use crate::engine::{Command, Engine, WorkingCopy};
use crate::metrics::Metrics;

/// How long one operation at a provider may take, with all its calls: shorter than jobs wait.
const OPERATION_TIMEOUT: Duration = Duration::from_secs(40);

/// The accounts, and the way to their providers.
#[derive(Clone)]
pub struct Providers {
    accounts: Arc<Accounts>,
    transport: Arc<dyn Transport>,
    returns: Arc<Returns>,
    env: Arc<dyn Env>,
    metrics: Arc<Metrics>,
}

impl Providers {
    /// Accounts that are reached by a transport, with what an engine has of time and counters.
    pub fn new(
        accounts: Arc<Accounts>,
        transport: Arc<dyn Transport>,
        returns: Arc<Returns>,
        engine: &Engine,
    ) -> Self {
        Self { accounts, transport, returns, env: engine.env.clone(), metrics: engine.metrics.clone() }
    }

    /// The configured accounts.
    pub fn accounts(&self) -> &Accounts {
        &self.accounts
    }

    /// Return addresses.
    pub fn returns(&self) -> &Returns {
        &self.returns
    }

    /// The account of an attempt.
    ///
    /// # Errors
    /// [`PaymentError::AccountNotConfigured`].
    pub fn account(&self, name: &str) -> Result<Arc<Account>, PaymentError> {
        let found = self.accounts.get(name).cloned();
        found.ok_or_else(|| PaymentError::AccountNotConfigured(name.to_owned()))
    }

    /// The account whose reads a lane is, if it is configured.
    pub fn account_of_lane(&self, lane: &Lane) -> Option<&Arc<Account>> {
        match lane {
            Lane::Account(name) => self.accounts.get(name),
            Lane::General => None,
        }
    }

    /// Everything that one operation at an account may touch.
    pub(super) fn ctx<'a>(&'a self, account: &'a Account, state_store: &'a dyn StateStore) -> Ctx<'a> {
        Ctx::new(&account.base_url, &account.statuses, &*self.transport, state_store, &*self.env)
    }

    /// Lets an adapter's operation run: sets the limit, classifies what came, counts. Also answers the moment that
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
        if let Err(error) = &outcome {
            if let ProviderError::Busy { retry_after } = error {
                account.reads.throttled(*retry_after, self.env.now());
            }
            tracing::warn!(account.name = %account.name, provider.name = provider, operation,
                "provider call failed: {error}");
        }
        outcome.map(|value| (value, ctx.as_of()))
    }

    /// Takes a read out of an account's budget.
    ///
    /// # Errors
    /// [`ProviderError::Busy`] if there is none for this reader: then nobody was called.
    pub(super) fn spend_read(&self, account: &Account, pass: &ReadPass) -> Result<(), ProviderError> {
        let spent = pass.spend(&account.reads, self.env.now());
        spent.map_err(|wait| ProviderError::Busy { retry_after: Some(wait) })
    }

    /// What a provider's view means.
    pub(super) fn translate(&self, account: &Account, view: ProviderView, as_of: Timestamp) -> Observation {
        let seen = translate(&account.statuses, view, as_of);
        if seen.meaning == StatusMapping::Unmapped {
            self.report_unknown_status(account, &seen.provider_status.object, &seen.provider_status.status);
        }
        seen
    }

    /// Whether a stored method can be used. One with an unknown status cannot; where its provider gives no status, it
    /// can as long as it is listed.
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
            "the provider reports a status that its statuses.toml does not have: [{object}] {status}");
    }
}

/// A subject whose attempts remember something for their adapters.
pub(super) trait WithAttempts: Subject {
    /// What an attempt remembers.
    fn adapter_state(&self, attempt: AttemptId) -> Option<&Erasable<AdapterState>>;

    /// The event that an attempt remembers this.
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

/// Saves what an adapter wants to find again, with the attempt.
pub(super) struct AttemptStateStore<'a, S: Subject> {
    engine: &'a Engine,
    attempt: AttemptId,
    command: &'a Command,
    subject: Mutex<WorkingCopy<S>>,
}

impl<'a, S: Subject> AttemptStateStore<'a, S> {
    pub(super) fn new(
        engine: &'a Engine,
        subject: WorkingCopy<S>,
        attempt: AttemptId,
        command: &'a Command,
    ) -> Self {
        Self { engine, attempt, command, subject: Mutex::new(subject) }
    }

    /// The subject with everything that was saved.
    pub(super) fn into_subject(self) -> WorkingCopy<S> {
        self.subject.into_inner()
    }
}

/// What an attempt remembers once its adapter has said more; `None` if it says nothing more.
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
impl<S: WithAttempts> StateStore for AttemptStateStore<'_, S> {
    async fn save_state(&self, pairs: &[(&str, &str)]) -> Result<(), StateStoreError> {
        let mut subject = self.subject.lock().await;
        let attempt = self.attempt;
        let more = || pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        let saved = self.engine.change("save adapter state", self.command, &mut subject, |subject: &S, _| {
            let state = extended(subject.adapter_state(attempt), more(), self.engine.env.nonce());
            Ok::<_, PaymentError>(state.map(|state| S::state_saved(attempt, state)).into())
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
