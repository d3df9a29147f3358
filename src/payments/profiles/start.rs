//! Starting a session that stores a method.

use std::time::Duration;

use port::{
    Advice, Approach, CreatedProfileSession, ProfileSessionId, ProviderError, StoreAttempt, StoreRequest,
};

use super::vault_of;
use crate::domain::{
    Erasable, ProfileSession, ProfileSessionEvent, ProfileSessionRequest, ProfileStart, RouteAttempt, Routing,
};
use crate::engine::{Command, Decision, WorkingCopy};
use crate::payments::accept::can_be_opened;
use crate::payments::providers::{AttemptStateStore, extended};
use crate::payments::start::{Repeats, StartOutcome, start_failure};
use crate::payments::{Account, PaymentError, Payments};
use crate::routing::{RouteError, RuledOut};

/// What a merchant asks for, checked for its shape.
#[derive(Clone, Debug)]
pub struct NewProfileSession {
    /// How the customer does it.
    pub approach: Approach,
    /// How long the session lives.
    pub expires_in: Duration,
    /// The account to pin.
    pub account: Option<String>,
    /// What is kept of it.
    pub request: ProfileSessionRequest,
}

/// The name of the rule by which the first account that can do it takes a session.
const FIRST_ABLE: &str = "first-able";

/// The name of the rule by which the merchant has named the account.
const PINNED: &str = "pinned";

impl Payments {
    /// Chooses an account, writes the intent down and starts the session.
    ///
    /// # Errors
    /// [`PaymentError::Route`], and [`PaymentError::Command`], also for a key that is in use.
    pub async fn create_profile_session(
        &self,
        merchant: &str,
        new: &NewProfileSession,
        command: &Command,
    ) -> Result<(WorkingCopy<ProfileSession>, StartOutcome), PaymentError> {
        let (candidates, routing) = self.capable_accounts(merchant, new)?;
        let [first, fallback @ ..] = candidates.as_slice() else {
            let ruled_out = routing.tried.into_iter();
            let ruled_out = ruled_out.map(|out| RuledOut { account: out.account, why: vec![out.outcome] });
            return Err(RouteError::NoRoute { ruled_out: ruled_out.collect() }.into());
        };
        let id = ProfileSessionId::from_uuid(self.engine.subject_id());
        let start = profile_start(id, 0, &*self.providers.account(first)?);
        let created = ProfileSessionEvent::Created {
            id,
            merchant: merchant.to_owned(),
            approach: new.approach,
            routing,
            fallback: fallback.to_vec(),
            request: Erasable::new(new.request.clone(), self.engine.env.nonce()),
            expires_at: self.engine.now().plus(new.expires_in),
        };
        let events = vec![created, ProfileSessionEvent::AttemptStarted(start)];
        let mut session =
            self.engine.create("create profile session", command, Decision::from(events)).await?;
        let outcome = self.start_profile_session(&mut session, false, &command.following()).await?;
        Ok((session, outcome))
    }

    /// The accounts that can store a method this way: the named one, else all of them in the order in which the rules
    /// name them. What a rule asks of an amount or a country says nothing here, since there is none.
    fn capable_accounts(
        &self,
        merchant: &str,
        new: &NewProfileSession,
    ) -> Result<(Vec<String>, Routing), RouteError> {
        let rules = self.routing.rules.load();
        let (rule, named) = match new.account.as_deref() {
            Some(_) if !rules.pins => return Err(RouteError::PinsNotAllowed),
            Some(name) if self.providers.accounts().get(name).is_none() => {
                return Err(RouteError::UnknownAccount(name.to_owned()));
            }
            Some(name) => (PINNED, vec![name]),
            None => (FIRST_ABLE, rules.accounts_for(merchant)),
        };
        let configured = named.into_iter().filter_map(|name| self.providers.accounts().get(name));
        let (able, unable): (Vec<_>, Vec<_>) =
            configured.partition(|account| account.about().capabilities.stores_by(new.approach));
        let outcome = "cannot store a payment method this way".to_owned();
        let tried = unable
            .into_iter()
            .map(|account| RouteAttempt { account: account.name.clone(), outcome: outcome.clone() });
        let first = able.first().map_or("nobody", |account| &account.name);
        let reason = match rule {
            PINNED => format!("the request names {first}"),
            _ => {
                format!("{first} is the first account of the rules that can store a payment method this way")
            }
        };
        let routing = Routing { rule: rule.to_owned(), reason, tried: tried.collect() };
        Ok((able.into_iter().map(|account| account.name.clone()).collect(), routing))
    }

    /// Makes the start whose intent is recorded, at one account after the other where nothing can have happened at the
    /// one before. `again` if it may have been sent before, which stays unsure whatever a repeat says short of a plain
    /// no.
    pub(super) async fn start_profile_session(
        &self,
        session: &mut WorkingCopy<ProfileSession>,
        again: bool,
        command: &Command,
    ) -> Result<StartOutcome, PaymentError> {
        let mut repeats = Repeats(session.attempt().filter(|_| again).map(|attempt| attempt.id));
        while let Some((account, attempt)) = self.at_provider(session)? {
            let Err(error) = self.send_profile_session(session, &account, &attempt, command).await? else {
                return Ok(StartOutcome::Ready);
            };
            let error = repeats.classify(attempt.id, error);
            if error.advice() == Advice::ResolveUnknown {
                if repeats.allow(attempt.id, &account) {
                    continue;
                }
                return Ok(StartOutcome::Unknown);
            }
            if !self.fail_over_session(session, &error, command).await? {
                return Ok(StartOutcome::abandoned(&error));
            }
        }
        Ok(StartOutcome::Ended)
    }

    /// Abandons a start: for one at the next account where another may be tried, else for good. False if it was for good.
    async fn fail_over_session(
        &self,
        session: &mut WorkingCopy<ProfileSession>,
        error: &ProviderError,
        command: &Command,
    ) -> Result<bool, PaymentError> {
        let next = session.fallback.first().filter(|_| error.advice() != Advice::Stop);
        let next = next.map(|name| self.providers.account(name)).transpose()?;
        let abandon = |session: &ProfileSession, _| {
            let start = |account| profile_start(session.id, session.attempts.len(), account);
            let next = next.as_deref().map(start).ok_or_else(|| start_failure(error));
            Ok::<_, PaymentError>(session.start_failed(error.into(), next).into())
        };
        let changed = self.engine.change("abandon profile start", command, session, abandon).await?;
        Ok(changed.is_some() && next.is_some())
    }

    /// Sends a start and accepts what it made. A page that is no web page is never shown to the customer.
    async fn send_profile_session(
        &self,
        session: &mut WorkingCopy<ProfileSession>,
        account: &Account,
        attempt: &StoreAttempt,
        command: &Command,
    ) -> Result<Result<(), ProviderError>, PaymentError> {
        let vault = vault_of(account)?;
        let Some(request) = session.request.value() else {
            return Ok(Err(ProviderError::Unsupported("store a method of a customer whose data was erased")));
        };
        let request = StoreRequest {
            customer_id: request.customer_id.clone(),
            urls: self.providers.returns().urls(attempt.id),
            language: request.language.clone(),
            expires_at: session.expires_at,
        };
        let state = AttemptStateStore::new(&self.engine, session.clone(), attempt.id, command);
        let ctx = self.providers.ctx(account, &state);
        let create = vault.create(&ctx, attempt, &request);
        let outcome = self.providers.call(account, "profile_create", &ctx, create).await;
        *session = state.into_subject();
        match outcome {
            Ok((created, _)) if can_be_opened(&created.next) => {
                self.accept_profile_session(session, created, command).await.map(Ok)
            }
            Ok(_) => Ok(Err(ProviderError::rejected(None, Some("the provider's page is no web page")))),
            Err(error) => Ok(Err(error)),
        }
    }

    async fn accept_profile_session(
        &self,
        session: &mut WorkingCopy<ProfileSession>,
        created: CreatedProfileSession,
        command: &Command,
    ) -> Result<(), PaymentError> {
        let accept = |session: &ProfileSession, _| {
            let nonce = || self.engine.env.nonce();
            let attempt = session.attempt().filter(|_| session.is_starting());
            let event = attempt.map(|attempt| ProfileSessionEvent::AttemptCreated {
                reference: created.reference.clone(),
                next: Erasable::new(created.next.clone(), nonce()),
                adapter_state: extended(
                    attempt.adapter_state.as_ref(),
                    created.adapter_state.clone(),
                    nonce(),
                ),
            });
            Ok::<_, PaymentError>(event.into())
        };
        self.engine.change("accept profile session", command, session, accept).await.map(drop)
    }
}

fn profile_start(id: ProfileSessionId, before: usize, account: &Account) -> ProfileStart {
    ProfileStart {
        attempt: ProfileSession::next_attempt_id(id, before),
        account: account.name.clone(),
        provider: account.about().name.to_owned(),
    }
}
