//! Starting a payment: route, write the intent, call, and move on where nothing can have happened.

use std::time::Duration;

use port::{
    Advice, Approach, AttemptId, CaptureMode, LineItem, LinkDelivery, Lookup, Money, PaymentId,
    PaymentRequest, ProfileId, ProviderError, Repeat, SessionId, Timestamp,
};

use super::call::AttemptStateStore;
use super::read_limiter::Priority;
use super::{Account, PaymentError, Payments};
use crate::domain::observe::misquoted;
use crate::domain::open::{NewAttempt, NewSession, abandon, fail_over, open, payable};
use crate::domain::{
    Attempt, AttemptState, Cause, Erasable, Event, FailureCode, Metadata, OrderAggregate, PersonalData,
    Price, Profile, Requirement, ReturnUrls, RouteAttempt, Routing, SessionFailure, SessionRequest,
    SessionStatus, price_line,
};
use crate::routing::{AccountFacts, Request, RouteDecision, RouteError, decide};

/// What a merchant asks of a checkout, checked for its shape.
#[derive(Clone, Debug)]
pub struct CheckoutRequest {
    /// How the customer pays.
    pub approach: Approach,
    /// When the money is taken.
    pub capture: CaptureMode,
    /// Where the customer returns to.
    pub return_urls: ReturnUrls,
    /// Whom the provider sends the link to.
    pub link_delivery: LinkDelivery,
    /// How long the session lives.
    pub expires_in: Duration,
    /// BCP 47 tag.
    pub language: Option<String>,
    /// Whether the method is stored; where a profile is required if absent.
    pub save_payment_profile: Option<bool>,
    /// A stored method to prefill.
    pub payment_profile_id: Option<ProfileId>,
    /// Whether the stored method is charged without the customer.
    pub charge: bool,
    /// The account to pin.
    pub account: Option<String>,
    /// The merchant's own notes.
    pub metadata: Metadata,
}

/// How a start went.
#[derive(Clone, Debug, PartialEq)]
pub enum StartOutcome {
    /// The customer can pay.
    Ready,
    /// The outcome is not known yet; the agenda finds out.
    Unknown,
    /// The provider said no: the session has ended.
    Ended,
    /// No account could be reached: the session has ended and the order is a cart.
    Down {
        /// When to come back, as far as a provider has said.
        retry_after: Option<Duration>,
    },
}

impl Payments {
    /// Routes a checkout and makes the facts that open its session: the intent. A stored method goes to its account.
    ///
    /// # Errors
    /// [`PaymentError::Refused`] and [`PaymentError::Route`].
    pub fn new_session(
        &self,
        order: &OrderAggregate,
        request: &CheckoutRequest,
        stored: Option<&Profile>,
        now: Timestamp,
    ) -> Result<(SessionId, Vec<Event>), PaymentError> {
        let shared = &self.shared;
        let money = payable(order)?;
        stored.map(|profile| profile.ensure_pays(&order.header)).transpose()?;
        let decision = self.route(order, request, stored, money, now)?;
        let [first, fallback @ ..] = decision.candidates.as_slice() else {
            return Err(RouteError::NoRoute { ruled_out: decision.ruled_out }.into());
        };
        let account = self.account(first)?;
        let page = account.about().capabilities.limits.page_lifetime;
        let lives = page.map_or(request.expires_in, |(shortest, _)| request.expires_in.max(shortest));
        let session = SessionId::from_uuid(shared.env.uuid());
        let new_session = NewSession {
            session,
            payment: PaymentId::from_uuid(shared.env.uuid()),
            approach: request.approach,
            capture: request.capture,
            charge: request.charge.then(|| stored.map(|profile| profile.id)).flatten(),
            request: Erasable::new(session_request(order, request, stored), shared.env.nonce()),
            expires_at: now.plus(lives),
        };
        let ruled_out = decision.ruled_out.into_iter();
        let tried =
            ruled_out.map(|out| RouteAttempt { account: out.account, outcome: out.why.join("; ") }).collect();
        let routing = Routing { rule: decision.rule, reason: decision.reason, tried };
        let events = open(new_session, self.new_attempt(&account), money, routing, fallback.to_vec(), now);
        Ok((session, events))
    }

    /// Where a checkout would go.
    fn route(
        &self,
        order: &OrderAggregate,
        request: &CheckoutRequest,
        stored: Option<&Profile>,
        money: Money,
        now: Timestamp,
    ) -> Result<RouteDecision, PaymentError> {
        let personal = order.header.personal.value().cloned().unwrap_or_default();
        let session_ask = session_request(order, request, stored);
        let checkout = payment_request(order, &personal, &session_ask, now.plus(request.expires_in));
        let saves = checkout.save_profile && checkout.profile.is_none();
        let objections = |account: &Account| {
            let mut against = account.about().capabilities.ineligible_because(
                money,
                request.approach,
                request.capture,
                &checkout,
            );
            if saves && account.adapter.vault().is_none() {
                against.push("cannot store a payment method".to_owned());
            }
            against
        };
        let facts: Vec<_> = self
            .shared
            .accounts
            .iter()
            .map(|account| AccountFacts {
                account: &account.name,
                ineligible_because: objections(account),
                available: true,
            })
            .collect();
        let mut metadata = personal.metadata.clone();
        metadata.extend(request.metadata.clone());
        let request = Request {
            merchant: &order.header.merchant,
            money,
            country: Request::country_of(&checkout),
            approach: request.approach,
            capture: request.capture,
            metadata: &metadata,
            pin: request.account.as_deref(),
            stored_at: stored.map(|profile| &*profile.account),
        };
        let decision = decide(&request, &self.shared.rules.load(), &facts, self.shared.draw())?;
        if let Some(first) = decision.candidates.first() {
            self.shared.metrics.routed(&decision.rule, first);
        }
        Ok(decision)
    }

    fn new_attempt(&self, account: &Account) -> NewAttempt {
        let attempt = AttemptId::from_uuid(self.shared.env.uuid());
        NewAttempt {
            attempt,
            account: account.name.clone(),
            provider: account.about().name.to_owned(),
            capabilities: account.capabilities(),
            submits_order: account.adapter.submits_order(),
            return_hash: self.shared.returns.hash(attempt),
        }
    }

    /// Makes the start whose intent is in the file, at one account after the other where nothing can have
    /// happened at the one before.
    ///
    /// # Errors
    /// [`PaymentError::Store`]; what was sent is then settled by the agenda.
    pub async fn start(
        &self,
        order: &mut OrderAggregate,
        session: SessionId,
        cause: &Cause,
    ) -> Result<StartOutcome, PaymentError> {
        let mut repeated = None;
        loop {
            let Some(record) = current(order, session) else { return Ok(StartOutcome::Ended) };
            let account = self.account(&record.account)?;
            let outcome = self.send_create(order, &account, &record, cause).await?;
            let error = match outcome {
                Ok(()) => return Ok(self.start_outcome(order, session)),
                // The first send is unsure for ever, whatever a second one says short of a plain no.
                Err(error) if repeated == Some(record.id) && error.advice() != Advice::Stop => {
                    ProviderError::OutcomeUnknown(error.to_string())
                }
                Err(error) => error,
            };
            if error.advice() == Advice::ResolveUnknown {
                if self.accept_if_found(order, &account, &record, cause).await? {
                    return Ok(self.start_outcome(order, session));
                }
                let charge = order.session(session).is_some_and(|session| session.charge.is_some());
                if !charge && may_repeat(&account) && repeated.replace(record.id) != Some(record.id) {
                    continue;
                }
            }
            if let Some(done) =
                self.after_failed_start(order, session, &record, &account, &error, cause).await?
            {
                return Ok(done);
            }
        }
    }

    /// Sends a start and adopts what it made.
    pub(super) async fn send_create(
        &self,
        order: &mut OrderAggregate,
        account: &Account,
        record: &Attempt,
        cause: &Cause,
    ) -> Result<Result<(), ProviderError>, PaymentError> {
        let request = self.request_of(order, record);
        let attempt = record.for_adapter(order.id());
        let state_store = AttemptStateStore::new(&self.shared, order.clone(), record.id, cause);
        let ctx = self.ctx(account, &state_store);
        let charge =
            record.session.and_then(|id| order.session(id)).is_some_and(|session| session.charge.is_some());
        let outcome = match account.adapter.vault().filter(|_| charge) {
            Some(vault) => self.call(account, "charge", &ctx, vault.charge(&ctx, &attempt, &request)).await,
            None => self.call(account, "begin", &ctx, account.adapter.create(&ctx, &attempt, &request)).await,
        };
        *order = state_store.into_order();
        match outcome {
            Ok((created, as_of)) => {
                self.accept_start(order, account, record.id, created, as_of, cause).await.map(Ok)
            }
            Err(error) => Ok(Err(error)),
        }
    }

    /// What an attempt asks of its provider: the same whenever it is asked.
    pub(super) fn request_of(&self, order: &OrderAggregate, record: &Attempt) -> PaymentRequest {
        let session = record.session.and_then(|id| order.session(id));
        let personal = order.header.personal.value().cloned().unwrap_or_default();
        let asked =
            session.and_then(|session| session.request.value()).cloned().unwrap_or_else(empty_request);
        let expires_at = session.map_or(record.started_at, |session| session.expires_at);
        PaymentRequest {
            urls: self.shared.returns.urls(record.id),
            ..payment_request(order, &personal, &asked, expires_at)
        }
    }

    /// Looks for an object whose answer was lost and adopts it. False if it is not to be found.
    pub(super) async fn accept_if_found(
        &self,
        order: &mut OrderAggregate,
        account: &Account,
        record: &Attempt,
        cause: &Cause,
    ) -> Result<bool, PaymentError> {
        match self.find_by_reference(order, account, record, Priority::Urgent).await {
            Ok(Some((created, as_of))) => {
                self.accept_start(order, account, record.id, created, as_of, cause).await?;
                Ok(true)
            }
            Ok(None) | Err(_) => Ok(false),
        }
    }

    /// Asks the provider for an object by our reference.
    pub(super) async fn find_by_reference(
        &self,
        order: &OrderAggregate,
        account: &Account,
        record: &Attempt,
        priority: Priority,
    ) -> Result<Option<(port::CreatedPayment, Timestamp)>, ProviderError> {
        if account.about().capabilities.lookup != Lookup::ByMerchantReference {
            return Err(ProviderError::Unsupported("look an object up by our reference"));
        }
        self.may_read(account, priority)?;
        let attempt = record.for_adapter(order.id());
        let ctx = self.ctx(account, &super::call::NoState);
        let (found, as_of) =
            self.call(account, "find", &ctx, account.adapter.find_by_reference(&ctx, &attempt)).await?;
        Ok(found.map(|created| (created, as_of)))
    }

    /// A start that did not work: the next account, or the end. `None` to go on with the next.
    async fn after_failed_start(
        &self,
        order: &mut OrderAggregate,
        session: SessionId,
        record: &Attempt,
        account: &Account,
        error: &ProviderError,
        cause: &Cause,
    ) -> Result<Option<StartOutcome>, PaymentError> {
        let capabilities = &account.about().capabilities;
        let charge = order.session(session).is_some_and(|session| session.charge.is_some());
        let harmless = !charge && !capabilities.create_moves_money && record.approach != Approach::Link;
        let (elsewhere, orphaned) = match error.advice() {
            Advice::TryElsewhere | Advice::RetryLater => (true, false),
            Advice::ResolveUnknown => (harmless && self.shared.failover_after_unknown, true),
            Advice::Stop => (false, false),
        };
        let next = order.session(session).and_then(|session| session.fallback.first().cloned());
        if let Some(name) = next.filter(|_| elsewhere) {
            let new_attempt = self.new_attempt(&*self.account(&name)?);
            let change = self.shared.change("failover", order, cause, |order, now| {
                let facts =
                    order.session(session).filter(|open| open.status.is_open() && open.attempt == record.id);
                let events = facts
                    .map(|open| fail_over(record, orphaned, error.label(), open, new_attempt.clone(), now));
                Ok::<_, PaymentError>(events.unwrap_or_default().into())
            });
            change.await?;
            self.shared.metrics.attempt_failed_over(&account.name);
            return Ok(None);
        }
        if error.advice() == Advice::ResolveUnknown {
            return Ok(Some(StartOutcome::Unknown));
        }
        self.abandon(order, record, error, cause).await?;
        Ok(Some(match error {
            ProviderError::Busy { retry_after } => StartOutcome::Down { retry_after: *retry_after },
            _ if error.advice() == Advice::Stop => StartOutcome::Ended,
            _ => StartOutcome::Down { retry_after: None },
        }))
    }

    /// Gives a start up for good: the session ends, the order is a cart again. A person is told of a provider that
    /// asks for another amount.
    pub(super) async fn abandon(
        &self,
        order: &mut OrderAggregate,
        record: &Attempt,
        error: &ProviderError,
        cause: &Cause,
    ) -> Result<bool, PaymentError> {
        let failure = start_failure(error);
        let decide = |order: &OrderAggregate, now| {
            let still = order.attempt(record.id).filter(|record| record.state == AttemptState::Started);
            let events = still.map(|record| {
                let mut events = abandon(order, record, error.label(), failure.clone());
                if let ProviderError::AmountDiffers(_) = error {
                    let (detail, mut ids) = (error.to_string(), self.shared.ids());
                    events.extend(misquoted(order, record.payment, detail, now, &mut ids));
                }
                events
            });
            Ok::<_, PaymentError>(events.unwrap_or_default().into())
        };
        self.shared.change("leave", order, cause, decide).await
    }

    fn start_outcome(&self, order: &OrderAggregate, session: SessionId) -> StartOutcome {
        match order.session(session).map(|session| session.status) {
            Some(SessionStatus::Failed) => StartOutcome::Ended,
            _ => StartOutcome::Ready,
        }
    }
}

/// Whether a start whose outcome is unknown may simply be sent again: the provider knows our key.
pub(super) fn may_repeat(account: &Account) -> bool {
    account.about().capabilities.repeat.create == Repeat::Deduplicated
}

/// The attempt of a session that is to be started now.
fn current(order: &OrderAggregate, session: SessionId) -> Option<Attempt> {
    let session = order.session(session).filter(|session| session.status.is_open())?;
    order.attempt(session.attempt).filter(|record| record.state == AttemptState::Started).cloned()
}

/// How a session ends that could not be started.
pub(super) fn start_failure(error: &ProviderError) -> SessionFailure {
    let (code, provider_code, message) = match error {
        ProviderError::Declined { code, text } => (FailureCode::Rejected, code.clone(), text.clone()),
        ProviderError::Rejected { code, text } => (FailureCode::ProviderError, code.clone(), text.clone()),
        ProviderError::AmountDiffers(text) => (FailureCode::ProviderError, None, Some(text.clone())),
        _ => (FailureCode::ProviderError, None, None),
    };
    SessionFailure { code, message, provider_code, retryable: false }
}

fn session_request(
    order: &OrderAggregate,
    request: &CheckoutRequest,
    stored: Option<&Profile>,
) -> SessionRequest {
    let needs = order.header.requirements.map(|needs| needs.requires_payment_profile);
    SessionRequest {
        return_urls: request.return_urls.clone(),
        link_delivery: request.link_delivery,
        language: request.language.clone(),
        save_payment_profile: request.save_payment_profile.unwrap_or(needs == Some(Requirement::Required)),
        payment_profile_id: request.payment_profile_id,
        profile_reference: stored.map(|profile| profile.reference.clone()),
        metadata: request.metadata.clone(),
    }
}

/// What stands in for what a merchant asked once that was erased.
fn empty_request() -> SessionRequest {
    SessionRequest {
        return_urls: ReturnUrls::default(),
        link_delivery: LinkDelivery::default(),
        language: None,
        save_payment_profile: false,
        payment_profile_id: None,
        profile_reference: None,
        metadata: Metadata::new(),
    }
}

/// The order in the words that every adapter understands.
fn payment_request(
    order: &OrderAggregate,
    personal: &PersonalData,
    request: &SessionRequest,
    expires_at: Timestamp,
) -> PaymentRequest {
    let header = &order.header;
    let line = |item: &crate::domain::LineItem| LineItem {
        sku: item.sku.clone(),
        title: item.title.clone(),
        quantity: item.quantity,
        unit_price: item.unit_price,
        discount: item.discount,
        tax: price_line(item, header.tax_included).map(|line| line.tax).unwrap_or_default(),
        tax_rate: item.tax_rate.percent(),
    };
    let total = |part: fn(&Price) -> i64| header.price.as_ref().map(part).unwrap_or_default();
    PaymentRequest {
        description: format!("Order {}", header.reference.clone().unwrap_or_else(|| header.id.to_string())),
        items: header.items.iter().map(line).collect(),
        subtotal: total(|price| price.subtotal),
        discount: total(|price| price.discount),
        tax: total(|price| price.tax),
        shipping: total(|price| price.shipping),
        tax_included: header.tax_included,
        customer: personal.customer.clone(),
        billing_address: personal.billing_address.clone(),
        shipping_address: personal.shipping_address.clone(),
        urls: port::RedirectUrls::default(),
        link_delivery: request.link_delivery,
        language: request.language.clone(),
        expires_at,
        save_profile: request.save_payment_profile,
        profile: request.profile_reference.clone(),
    }
}
