//! Starting a session that stores a method.

use std::time::Duration;

use port::{Advice, Approach, Customer, LinkDelivery, PaymentRequest, ProfileSessionId, ProviderError};
use tokio::sync::Mutex;

use super::{SessionStateStore, vault_of};
use crate::domain::{
    Erasable, ProfileSession, ProfileSessionEvent, ProfileSessionRequest, ProfileStart, RouteAttempt,
    Routing, StartFailure,
};
use crate::engine::{Command, Decision, WorkingCopy};
use crate::payments::start::{StartOutcome, may_repeat, start_failure};
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
        let (mut candidates, mut tried) = (Vec::new(), Vec::new());
        for name in named {
            let Some(account) = self.providers.accounts().get(name) else { continue };
            if account.adapter.vault().is_some_and(|vault| vault.approaches().contains(&new.approach)) {
                candidates.push(name.to_owned());
            } else {
                let outcome = "cannot store a payment method this way".to_owned();
                tried.push(RouteAttempt { account: name.to_owned(), outcome });
            }
        }
        let first = candidates.first().map_or("nobody", String::as_str);
        let reason = match rule {
            PINNED => format!("the request names {first}"),
            _ => {
                format!("{first} is the first account of the rules that can store a payment method this way")
            }
        };
        Ok((candidates, Routing { rule: rule.to_owned(), reason, tried }))
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
        let mut repeated = session.attempt().filter(|_| again).map(|attempt| attempt.id);
        while let Some(attempt) = session.attempt().cloned() {
            let account = self.providers.account(&attempt.account)?;
            let Err(error) = self.send_profile_session(session, &account, command).await? else {
                return Ok(StartOutcome::Ready);
            };
            let unsure = error.advice() == Advice::ResolveUnknown
                || repeated == Some(attempt.id) && error.advice() != Advice::Stop;
            if unsure {
                if may_repeat(&account) && repeated.replace(attempt.id) != Some(attempt.id) {
                    continue;
                }
                return Ok(StartOutcome::Unknown);
            }
            if error.advice() != Advice::Stop && self.fail_over_session(session, &error, command).await? {
                continue;
            }
            let failure = start_failure(&error);
            let end = |session: &ProfileSession, _| {
                Ok::<_, PaymentError>(
                    session.never_started(StartFailure::from(&error), failure.clone()).into(),
                )
            };
            self.engine.change("abandon profile session", command, session, end).await?;
            return Ok(match error {
                ProviderError::Busy { retry_after } => StartOutcome::Down { retry_after },
                _ if error.advice() == Advice::Stop => StartOutcome::Ended,
                _ => StartOutcome::Down { retry_after: None },
            });
        }
        Ok(StartOutcome::Ended)
    }

    async fn fail_over_session(
        &self,
        session: &mut WorkingCopy<ProfileSession>,
        error: &ProviderError,
        command: &Command,
    ) -> Result<bool, PaymentError> {
        let Some(name) = session.fallback.first().cloned() else { return Ok(false) };
        let account = self.providers.account(&name)?;
        let fail_over = |session: &ProfileSession, _| {
            let start = profile_start(session.id, session.attempts.len(), &account);
            Ok::<_, PaymentError>(session.failed_over(StartFailure::from(error), start).into())
        };
        let changed = self.engine.change("fail over profile session", command, session, fail_over).await?;
        Ok(changed.is_some())
    }

    /// Sends a start and accepts what it made.
    async fn send_profile_session(
        &self,
        session: &mut WorkingCopy<ProfileSession>,
        account: &Account,
        command: &Command,
    ) -> Result<Result<(), ProviderError>, PaymentError> {
        let vault = vault_of(account)?;
        let (Some(view), Some(request)) = (session.for_adapter(), self.store_request(session)) else {
            return Ok(Err(ProviderError::Unsupported("store a method of a customer whose data was erased")));
        };
        let state = SessionStateStore { engine: &self.engine, command, session: Mutex::new(session.clone()) };
        let ctx = self.providers.ctx(account, &state);
        let create = vault.create(&ctx, &view, &request);
        let outcome = self.providers.call(account, "profile_create", &ctx, create).await;
        *session = state.session.into_inner();
        match outcome {
            Ok((created, _)) => self.accept_profile_session(session, created, command).await.map(Ok),
            Err(error) => Ok(Err(error)),
        }
    }

    async fn accept_profile_session(
        &self,
        session: &mut WorkingCopy<ProfileSession>,
        created: port::CreatedPayment,
        command: &Command,
    ) -> Result<(), PaymentError> {
        let accept = |session: &ProfileSession, _| {
            let attempt = session.attempt().filter(|_| session.is_starting());
            let event = attempt.map(|attempt| {
                let known = attempt.adapter_state.as_ref().and_then(Erasable::value);
                let mut state = known.cloned().unwrap_or_default();
                state.extend(created.adapter_state.clone());
                let nonce = || self.engine.env.nonce();
                ProfileSessionEvent::AttemptCreated {
                    reference: created.reference.clone(),
                    next: Erasable::new(created.next.clone(), nonce()),
                    adapter_state: (!created.adapter_state.is_empty()).then(|| Erasable::new(state, nonce())),
                }
            });
            Ok::<_, PaymentError>(event.into())
        };
        self.engine.change("accept profile session", command, session, accept).await.map(drop)
    }

    /// What a session asks of its provider: the same whenever it is asked. `None` once the customer's data was erased.
    fn store_request(&self, session: &ProfileSession) -> Option<PaymentRequest> {
        let (attempt, request) = (session.attempt()?, session.request.value()?);
        Some(PaymentRequest {
            description: "Payment method".to_owned(),
            items: Vec::new(),
            subtotal: 0,
            discount: 0,
            tax: 0,
            shipping: 0,
            tax_included: false,
            customer: Customer { id: Some(request.customer_id.clone()), ..Customer::default() },
            billing_address: None,
            shipping_address: None,
            urls: self.providers.returns().urls(attempt.id),
            link_delivery: LinkDelivery::default(),
            language: request.language.clone(),
            expires_at: session.expires_at,
            save_profile: true,
            profile: None,
        })
    }
}

fn profile_start(id: ProfileSessionId, before: usize, account: &Account) -> ProfileStart {
    ProfileStart {
        attempt: ProfileSession::next_attempt_id(id, before),
        account: account.name.clone(),
        provider: account.about().name.to_owned(),
    }
}
