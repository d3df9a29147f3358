//! Starting a session that stores a method.

use std::time::Duration;

use port::{
    Advice, Approach, AttemptId, Customer, LinkDelivery, PaymentRequest, ProfileSessionId, ProviderError,
    Timestamp, Vault,
};
use tokio::sync::Mutex;

use super::{ProfileKey, ProfileSessionStateStore};
use crate::domain::{
    AttemptState, ProfileRequest, ProfileSession, ProfileStart, RouteAttempt, Routing, SessionStatus,
};
use crate::payments::start::{StartOutcome, may_repeat, start_failure};
use crate::payments::{Account, PaymentError, Payments};
use crate::routing::{RouteError, RuledOut};
use crate::store::Write;

/// What a merchant asks for, checked for its shape.
#[derive(Clone)]
pub struct ProfileSessionRequest {
    /// The merchant's own id of the customer.
    pub customer_id: String,
    /// How the customer does it.
    pub approach: Approach,
    /// How long the session lives.
    pub expires_in: Duration,
    /// The account to pin.
    pub account: Option<String>,
    /// What is kept of it.
    pub request: ProfileRequest,
}

/// The word that stands for a rule where the first account that can do it takes a session.
const FIRST_ABLE: &str = "first-able";

/// The word that stands for a rule where the merchant has named the account.
const PINNED: &str = "pinned";

impl Payments {
    /// Chooses an account, writes the intent down and starts the session.
    ///
    /// # Errors
    /// [`PaymentError::Route`], and [`PaymentError::Store`], also for a key that is in use.
    pub async fn open_profile_session(
        &self,
        merchant: &str,
        request: &ProfileSessionRequest,
        key: Option<&ProfileKey>,
    ) -> Result<(ProfileSession, StartOutcome), PaymentError> {
        let shared = &self.shared;
        let (candidates, routing) = self.capable_accounts(merchant, request)?;
        let [first, fallback @ ..] = candidates.as_slice() else {
            let ruled_out = routing.tried.into_iter();
            let ruled_out = ruled_out.map(|out| RuledOut { account: out.account, why: vec![out.outcome] });
            return Err(RouteError::NoRoute { ruled_out: ruled_out.collect() }.into());
        };
        let now = shared.now();
        let mut session = ProfileSession {
            id: ProfileSessionId::from_uuid(shared.env.uuid()),
            merchant: merchant.to_owned(),
            customer_id: request.customer_id.clone(),
            approach: request.approach,
            status: SessionStatus::Pending,
            failure: None,
            start_failure: None,
            routing,
            fallback: fallback.to_vec(),
            request: request.request.clone(),
            start: self.new_start(&*self.account(first)?, now),
            closing: None,
            profile: None,
            created_at: now,
            updated_at: now,
            expires_at: now.plus(request.expires_in),
            version: 1,
        };
        let keys: Vec<Write> = key.map(|key| key.row(&session, now)).into_iter().collect();
        shared.write_session("open profile session", &session, keys).await?;
        let outcome = self.start_session(&mut session, false).await?;
        Ok((session, outcome))
    }

    /// The accounts that can store a method this way: the named one, else all of them in the order in which the
    /// rules name them. What a rule asks of an amount or a country says nothing here, since there is none.
    fn capable_accounts(
        &self,
        merchant: &str,
        request: &ProfileSessionRequest,
    ) -> Result<(Vec<String>, Routing), RouteError> {
        let rules = self.shared.rules.load();
        let (rule, named) = match request.account.as_deref() {
            Some(_) if !rules.pins => return Err(RouteError::PinsNotAllowed),
            Some(name) if self.shared.accounts.get(name).is_none() => {
                return Err(RouteError::UnknownAccount(name.to_owned()));
            }
            Some(name) => (PINNED, vec![name]),
            None => (FIRST_ABLE, rules.accounts_for(merchant)),
        };
        let (mut candidates, mut tried) = (Vec::new(), Vec::new());
        for name in named {
            let Some(account) = self.shared.accounts.get(name) else { continue };
            let able =
                account.adapter.vault().is_some_and(|vault| vault.approaches().contains(&request.approach));
            if able {
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

    fn new_start(&self, account: &Account, now: Timestamp) -> ProfileStart {
        let id = AttemptId::from_uuid(self.shared.env.uuid());
        ProfileStart {
            id,
            account: account.name.clone(),
            provider: account.about().name.to_owned(),
            state: AttemptState::Started,
            reference: None,
            adapter_state: port::AdapterState::new(),
            next: None,
            return_hash: self.shared.returns.hash(id),
            started_at: now,
        }
    }

    /// Makes the start whose intent is written, at one account after the other where nothing can have happened at
    /// the one before. `again` if it may have been sent before, which stays unsure whatever a repeat says short of a
    /// plain no.
    pub(super) async fn start_session(
        &self,
        session: &mut ProfileSession,
        again: bool,
    ) -> Result<StartOutcome, PaymentError> {
        let mut repeated = again.then_some(session.start.id);
        loop {
            let account = self.account(&session.start.account)?;
            let start = session.start.id;
            let Err(error) = self.send_session(session, &account).await? else {
                return Ok(StartOutcome::Ready);
            };
            let unsure = error.advice() == Advice::ResolveUnknown
                || repeated == Some(start) && error.advice() != Advice::Stop;
            if unsure {
                if may_repeat(&account) && repeated.replace(start) != Some(start) {
                    continue;
                }
                return Ok(StartOutcome::Unknown);
            }
            if error.advice() != Advice::Stop && self.fail_over_session(session, &error).await? {
                continue;
            }
            let failure = start_failure(&error);
            self.shared
                .change_session("end profile session", session, |session, now| {
                    Ok(session.never_created(error.label(), failure.clone(), now))
                })
                .await?;
            return Ok(match error {
                ProviderError::Busy { retry_after } => StartOutcome::Down { retry_after },
                _ if error.advice() == Advice::Stop => StartOutcome::Ended,
                _ => StartOutcome::Down { retry_after: None },
            });
        }
    }

    async fn fail_over_session(
        &self,
        session: &mut ProfileSession,
        error: &ProviderError,
    ) -> Result<bool, PaymentError> {
        let Some(name) = session.fallback.first().cloned() else { return Ok(false) };
        let account = self.account(&name)?;
        self.shared
            .change_session("profile failover", session, |session, now| {
                Ok(session.moved_on(error.label(), self.new_start(&account, now), now))
            })
            .await
    }

    /// Sends a start and adopts what it made.
    async fn send_session(
        &self,
        session: &mut ProfileSession,
        account: &Account,
    ) -> Result<Result<(), ProviderError>, PaymentError> {
        let vault = vault_of(account)?;
        let (attempt, request) = (session.for_adapter(), self.store_request(session));
        let state_store =
            ProfileSessionStateStore { shared: &self.shared, session: Mutex::new(session.clone()) };
        let ctx = self.ctx(account, &state_store);
        let outcome = self.call(account, "save_begin", &ctx, vault.create(&ctx, &attempt, &request)).await;
        *session = state_store.session.into_inner();
        match outcome {
            Ok((created, _)) => {
                let adopt = |session: &ProfileSession, now| Ok(session.created(created.clone(), now));
                self.shared.change_session("profile begun", session, adopt).await?;
                Ok(Ok(()))
            }
            Err(error) => Ok(Err(error)),
        }
    }

    /// What a session asks of its provider: the same whenever it is asked. Nothing is bought.
    fn store_request(&self, session: &ProfileSession) -> PaymentRequest {
        PaymentRequest {
            description: "Payment method".to_owned(),
            items: Vec::new(),
            subtotal: 0,
            discount: 0,
            tax: 0,
            shipping: 0,
            tax_included: false,
            customer: Customer { id: Some(session.customer_id.clone()), ..Customer::default() },
            billing_address: None,
            shipping_address: None,
            urls: self.shared.returns.urls(session.start.id),
            link_delivery: LinkDelivery::default(),
            language: session.request.language.clone(),
            expires_at: session.expires_at,
            save_profile: true,
            profile: None,
        }
    }
}

/// The stored methods of an account.
///
/// # Errors
/// [`ProviderError::Unsupported`] if its adapter has none.
pub(super) fn vault_of(account: &Account) -> Result<&dyn Vault, ProviderError> {
    account.adapter.vault().ok_or(ProviderError::Unsupported("store payment methods"))
}
