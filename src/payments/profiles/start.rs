//! Creates profile sessions.

use std::sync::Arc;
use std::time::Duration;

use port::{
    Advice, Approach, CreatedProfileSession, ProfileSessionId, ProviderError, StoreAttempt, StoreRequest,
};

use super::vault_of;
use crate::domain::{
    Erasable, ProfileSession, ProfileSessionEvent, ProfileSessionRequest, ProfileStart, RouteAttempt,
    Routing, Urgency,
};
use crate::engine::{Command, WorkingCopy};
use crate::payments::accept::can_be_opened;
use crate::payments::providers::extended;
use crate::payments::start::{FailedStart, RepeatedStart, StartOutcome, start_failure};
use crate::payments::task::ProfileTask;
use crate::payments::{Account, Payments, ReadPass, Result};
use crate::routing::{PINNED, RouteError, RuledOut};

/// What a merchant requests, checked for its shape.
#[derive(Clone, Debug)]
pub struct NewProfileSession {
    pub approach: Approach,
    pub expires_in: Duration,
    pub account: Option<String>,
    /// The part that the session keeps.
    pub request: ProfileSessionRequest,
}

/// Shown as the rule where the first account that can store a method this way gets the session.
const FIRST_ABLE: &str = "first-able";

/// Why an account is not one of those.
const UNABLE: &str = "cannot store a payment method this way";

impl Payments {
    /// Chooses an account, commits the intent and starts the session.
    ///
    /// # Errors
    /// `PaymentError::Route`, and `PaymentError::Command`, also for a key that is in use.
    pub async fn create_profile_session(
        &self,
        merchant: &str,
        new: &NewProfileSession,
        command: &Command,
    ) -> Result<(WorkingCopy<ProfileSession>, StartOutcome)> {
        let (first, fallback, routing) = self.capable_accounts(merchant, new)?;
        let id = ProfileSessionId::from_uuid(self.engine.subject_id());
        let start = profile_start(id, 0, &first);
        let created = ProfileSessionEvent::Created {
            id,
            merchant: merchant.to_owned(),
            approach: new.approach,
            routing,
            fallback,
            request: Erasable::new(new.request.clone(), self.engine.env.nonce()),
            expires_at: self.engine.now().plus(new.expires_in),
        };
        let events = vec![created, ProfileSessionEvent::AttemptStarted(start)];
        let mut session = self.engine.create("create profile session", command, events).await?;
        let task = &mut self.task(&mut session, command, &ReadPass::of(Urgency::Customer));
        let outcome = self.start_profile_session(task, false).await?;
        Ok((session, outcome))
    }

    /// The first account that can store a method this way and those to fall back to: the named one, else all of them in
    /// the order in which the rules name them. Conditions on an amount or a country do not apply, since there is none.
    fn capable_accounts(
        &self,
        merchant: &str,
        new: &NewProfileSession,
    ) -> Result<(Arc<Account>, Vec<String>, Routing), RouteError> {
        let rules = self.routing.rules.load();
        let (rule, named) = match new.account.as_deref() {
            Some(_) if !rules.pins => return Err(RouteError::PinsNotAllowed),
            Some(name) if self.providers.accounts().get(name).is_none() => {
                return Err(RouteError::UnknownAccount(name.to_owned()));
            }
            Some(name) => (PINNED, vec![name]),
            None => (FIRST_ABLE, rules.accounts_for(merchant)),
        };
        let configured = named.iter().filter_map(|name| self.providers.accounts().get(name));
        let (able, unable): (Vec<_>, Vec<_>) =
            configured.partition(|account| account.about().capabilities.stores_by(new.approach));
        let ruled_out = |account: &Arc<Account>, why: &str| RuledOut {
            account: account.name.clone(),
            why: vec![why.to_owned()],
        };
        let other = match new.account.as_deref() {
            Some(name) => format!("the request is pinned to {name}"),
            None => "no rule names it".to_owned(),
        };
        let others =
            self.providers.accounts().iter().filter(|account| !named.contains(&account.name.as_str()));
        let unable = unable.into_iter().map(|account| ruled_out(account, UNABLE));
        let ruled_out: Vec<_> = unable.chain(others.map(|account| ruled_out(account, &other))).collect();
        let [first, fallback @ ..] = able.as_slice() else {
            return Err(RouteError::NoRoute { of: "payment profile session", ruled_out });
        };
        let reason = match rule {
            PINNED => format!("the request names {}", first.name),
            _ => format!(
                "{} is the first account of the rules that can store a payment method this way",
                first.name
            ),
        };
        let tried = |out: RuledOut| RouteAttempt { account: out.account, outcome: out.why.join("; ") };
        let tried = ruled_out.into_iter().map(tried).collect();
        let fallback = fallback.iter().map(|account| account.name.clone()).collect();
        Ok((Arc::clone(first), fallback, Routing { rule: rule.to_owned(), reason, tried }))
    }

    /// Sends the recorded start, failing over to the next account while the one before provably had no effect. `again`
    /// if it may have been sent before: then its outcome stays unknown, whatever a repeat reports short of a plain no.
    pub(super) async fn start_profile_session(
        &self,
        session: &mut ProfileTask<'_>,
        again: bool,
    ) -> Result<StartOutcome> {
        let mut repeated = RepeatedStart(session.attempt().filter(|_| again).map(|attempt| attempt.id));
        while let Some((account, attempt)) = self.at_provider(session)? {
            let failed = match self.send_profile_session(session, &account, &attempt).await {
                Ok(created) => {
                    self.accept_profile_session(session, created).await?;
                    return Ok(StartOutcome::Created);
                }
                Err(failed) => failed,
            };
            let created_nothing = repeated.created_nothing(attempt.id, &failed);
            let error = repeated.classify(attempt.id, failed.error);
            if error.advice() == Advice::ResolveUnknown {
                if repeated.allow(attempt.id, &account) {
                    continue;
                }
                return Ok(StartOutcome::Unknown);
            }
            let failed = FailedStart { error, created_nothing };
            if !self.fail_over_session(session, &failed).await? {
                let failures = session.attempts.iter().map(|attempt| attempt.failure);
                return Ok(StartOutcome::abandoned(&failed.error, failures));
            }
        }
        Ok(StartOutcome::Ended)
    }

    /// Abandons a start for one at the next account where another may be tried, else for good (false).
    async fn fail_over_session(
        &self,
        session: &mut ProfileTask<'_>,
        FailedStart { error, created_nothing }: &FailedStart,
    ) -> Result<bool> {
        let next = session.fallback.first().filter(|_| *created_nothing || error.advice() != Advice::Stop);
        let next = next.map(|name| self.providers.account(name)).transpose()?;
        let abandon = |session: &ProfileSession, _| {
            let start = |account| profile_start(session.id, session.attempts.len(), account);
            let next = next.as_deref().map(start).ok_or_else(|| start_failure(error));
            session.start_failed(error.into(), next)
        };
        Ok(session.change("abandon profile start", abandon).await?.is_some() && next.is_some())
    }

    /// Sends a start. A page that is no web page is never shown to the customer.
    async fn send_profile_session(
        &self,
        session: &mut ProfileTask<'_>,
        account: &Account,
        attempt: &StoreAttempt,
    ) -> Result<CreatedProfileSession, FailedStart> {
        let failed = |error| FailedStart { error, created_nothing: false };
        let vault = vault_of(account).map_err(failed)?;
        let Some(request) = session.request.value() else {
            let erased = "store a method of a customer whose data was erased";
            return Err(failed(ProviderError::Unsupported(erased)));
        };
        let request = StoreRequest {
            customer_id: request.customer_id.clone(),
            urls: self.providers.returns().urls(attempt.id),
            language: request.language.clone(),
            expires_at: session.expires_at,
        };
        let state = session.state_store(attempt.id);
        let ctx = self.providers.ctx(account, &state);
        let create = vault.create(&ctx, attempt, &request);
        let created = self.providers.call(account, "profile_create", None, &ctx, create).await;
        let (created, _) = created.map_err(|error| FailedStart::new(error, &ctx))?;
        if !can_be_opened(&created.next) {
            let why = "the provider's page is not an http or https address";
            return Err(failed(ProviderError::rejected(None, Some(why))));
        }
        Ok(created)
    }

    async fn accept_profile_session(
        &self,
        session: &mut ProfileTask<'_>,
        created: CreatedProfileSession,
    ) -> Result<()> {
        let accept = |session: &ProfileSession, _| {
            let nonce = || self.engine.env.nonce();
            let attempt = session.attempt().filter(|_| session.is_starting())?;
            let state = created.adapter_state.clone();
            Some(ProfileSessionEvent::AttemptCreated {
                reference: created.reference.clone(),
                next: Erasable::new(created.next.clone(), nonce()),
                adapter_state: extended(attempt.adapter_state.as_ref(), state, nonce()),
            })
        };
        session.change("accept profile session", accept).await.map(drop)
    }
}

fn profile_start(id: ProfileSessionId, before: usize, account: &Account) -> ProfileStart {
    ProfileStart {
        attempt: ProfileSession::next_attempt_id(id, before),
        account: account.name.clone(),
        provider: account.about().name.to_owned(),
    }
}
