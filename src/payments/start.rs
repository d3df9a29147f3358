//! Starting a payment: route, write the intent, call, and fail over where nothing can have happened.

use std::time::Duration;

use port::{
    Advice, Approach, AttemptId, CaptureMode, LinkDelivery, Lookup, Money, PaymentRequest, ProfileId,
    ProviderError, Repeat, SessionId, Timestamp,
};

use super::providers::{AttemptStateStore, NoState};
use super::{Account, PaymentError, Payments, ReadPass};
use crate::domain::session_start::{abandon, create_session, fail_over, payable};
use crate::domain::{
    Attempt, AttemptState, AttentionCode, Context, Erasable, Event, FailureCode, LineItem, Metadata,
    NewAttempt, OrderAggregate, PersonalData, Price, Profile, Requirement, ReturnUrls, RouteAttempt, Routing,
    Session, SessionFailure, SessionRequest, SessionStatus, StartFailure, Urgency, price_line,
};
use crate::engine::{Command, WorkingCopy};
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
    /// Where the provider sends the link.
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
    /// The merchant's own metadata.
    pub metadata: Metadata,
}

/// How a start went.
#[derive(Clone, Debug, PartialEq)]
pub enum StartOutcome {
    /// The customer can pay.
    Ready,
    /// The outcome is not known yet; a job finds out.
    Unknown,
    /// The provider said no: the session has ended.
    Ended,
    /// No account could be reached: the session has ended and the order is a cart.
    Down {
        /// When to come back, as far as a provider has said.
        retry_after: Option<Duration>,
    },
}

impl StartOutcome {
    /// After an error that leaves nothing open.
    pub(super) fn abandoned(error: &ProviderError) -> Self {
        match error {
            ProviderError::Busy { retry_after } => Self::Down { retry_after: *retry_after },
            _ if error.advice() == Advice::Stop => Self::Ended,
            _ => Self::Down { retry_after: None },
        }
    }
}

/// Which start was sent a second time. A start of unknown outcome is, once, where the provider knows our key.
#[derive(Default)]
pub(super) struct Repeats(pub(super) Option<AttemptId>);

impl Repeats {
    /// How an error of this start counts: the first send is unsure for ever, whatever a second one says short of a plain
    /// no.
    pub(super) fn classify(&self, attempt: AttemptId, error: ProviderError) -> ProviderError {
        match self.0 == Some(attempt) && error.advice() != Advice::Stop {
            true => ProviderError::OutcomeUnknown(error.to_string()),
            false => error,
        }
    }

    /// Whether this start of unknown outcome is sent again at once.
    pub(super) fn allow(&mut self, attempt: AttemptId, account: &Account) -> bool {
        may_repeat(account) && self.0.replace(attempt) != Some(attempt)
    }
}

impl Payments {
    /// Routes a checkout and makes the events that create its session: the intent. A stored method goes to its account.
    ///
    /// # Errors
    /// [`PaymentError::Route`], and [`PaymentError::Command`] for what the state forbids.
    pub fn new_session(
        &self,
        order: &OrderAggregate,
        request: &CheckoutRequest,
        stored: Option<&Profile>,
        now: Timestamp,
    ) -> Result<(SessionId, Vec<Event>), PaymentError> {
        let money = payable(order)?;
        stored.map(|profile| profile.ensure_pays(order)).transpose()?;
        let session_data = session_request(order, request, stored);
        let decision = self.route(order, request, &session_data, stored, money, now)?;
        let [first, fallback @ ..] = decision.candidates.as_slice() else {
            return Err(RouteError::NoRoute { ruled_out: decision.ruled_out }.into());
        };
        let account = self.providers.account(first)?;
        let page = account.about().capabilities.limits.page_lifetime;
        let lifetime = page.map_or(request.expires_in, |(shortest, _)| request.expires_in.max(shortest));
        let mut context = self.engine.context(order, now);
        let attempt = new_attempt(&mut context, &account);
        let ruled_out = decision.ruled_out.into_iter();
        let tried = ruled_out.map(|out| RouteAttempt { account: out.account, outcome: out.why.join("; ") });
        let session = Session {
            id: context.session_id(),
            payment: context.payment_id(),
            attempt: attempt.attempt,
            approach: request.approach,
            capture: request.capture,
            money,
            status: SessionStatus::Pending,
            failure: None,
            closing: None,
            used: false,
            profiles_synced: false,
            created_at: now,
            updated_at: now,
            version: 0,
            fallback: fallback.to_vec(),
            charge: request.charge.then(|| stored.map(|profile| profile.id)).flatten(),
            request: Erasable::new(session_data, context.salt()),
            expires_at: now.plus(lifetime),
            routing: Routing { rule: decision.rule, reason: decision.reason, tried: tried.collect() },
        };
        Ok((session.id, create_session(session, attempt)))
    }

    /// Where a checkout would go.
    fn route(
        &self,
        order: &OrderAggregate,
        request: &CheckoutRequest,
        session_data: &SessionRequest,
        stored: Option<&Profile>,
        money: Money,
        now: Timestamp,
    ) -> Result<RouteDecision, PaymentError> {
        let personal = order.header.content.personal.value().cloned().unwrap_or_default();
        let payment = payment_request(order, &personal, session_data, now.plus(request.expires_in));
        let ineligible_because = |account: &Account| {
            let capabilities = &account.about().capabilities;
            capabilities.ineligible_because(money, request.approach, request.capture, &payment)
        };
        let accounts = self.providers.accounts().iter();
        let facts: Vec<_> = accounts
            .map(|account| AccountFacts {
                account: &account.name,
                ineligible_because: ineligible_because(account),
            })
            .collect();
        let mut metadata = personal.metadata.clone();
        metadata.extend(request.metadata.clone());
        let routed = Request {
            merchant: &order.header.merchant,
            money,
            country: Request::country_of(&payment),
            approach: request.approach,
            capture: request.capture,
            metadata: &metadata,
            pin: request.account.as_deref(),
            stored_at: stored.map(|profile| &*profile.account),
        };
        let decision = decide(&routed, &self.routing.rules.load(), &facts, self.engine.draw())?;
        if let Some(first) = decision.candidates.first() {
            self.engine.metrics.routed(&decision.rule, first);
        }
        Ok(decision)
    }

    /// Makes the start whose intent is recorded, at one account after the other where nothing can have happened at the
    /// one before.
    ///
    /// # Errors
    /// That of the store; what was sent is then resolved by a job.
    pub async fn start(
        &self,
        order: &mut WorkingCopy<OrderAggregate>,
        session: SessionId,
        command: &Command,
    ) -> Result<StartOutcome, PaymentError> {
        let mut repeats = Repeats::default();
        loop {
            let Some(attempt) = current(order, session) else { return Ok(StartOutcome::Ended) };
            let account = self.providers.account(&attempt.account)?;
            let outcome = self.send_create(order, &account, &attempt, command).await?;
            let error = match outcome {
                Ok(()) => return Ok(start_outcome(order, session)),
                Err(error) => repeats.classify(attempt.id, error),
            };
            if error.advice() == Advice::ResolveUnknown {
                if self.accept_if_found(order, &account, &attempt, command).await? {
                    return Ok(start_outcome(order, session));
                }
                let charge = order.session(session).is_some_and(|session| session.charge.is_some());
                if !charge && repeats.allow(attempt.id, &account) {
                    continue;
                }
            }
            let failed = self.after_failed_start(order, session, &attempt, &account, &error, command);
            if let Some(done) = failed.await? {
                return Ok(done);
            }
        }
    }

    /// Sends a start and accepts what it made.
    pub(super) async fn send_create(
        &self,
        order: &mut WorkingCopy<OrderAggregate>,
        account: &Account,
        attempt: &Attempt,
        command: &Command,
    ) -> Result<Result<(), ProviderError>, PaymentError> {
        let request = self.request_of(order, attempt);
        let view = attempt.for_adapter(order.id());
        let state = AttemptStateStore::new(&self.engine, order.clone(), attempt.id, command);
        let ctx = self.providers.ctx(account, &state);
        let session = order.session(attempt.session);
        let charge = session.is_some_and(|session| session.charge.is_some());
        let outcome = match account.adapter.vault().filter(|_| charge) {
            Some(vault) => {
                self.providers.call(account, "charge", &ctx, vault.charge(&ctx, &view, &request)).await
            }
            None => {
                self.providers
                    .call(account, "create", &ctx, account.adapter.create(&ctx, &view, &request))
                    .await
            }
        };
        *order = state.into_subject();
        match outcome {
            Ok((created, as_of)) => {
                self.accept_start(order, account, attempt.id, created, as_of, command).await.map(Ok)
            }
            Err(error) => Ok(Err(error)),
        }
    }

    /// What an attempt asks of its provider: the same whenever it is asked.
    pub(super) fn request_of(&self, order: &OrderAggregate, attempt: &Attempt) -> PaymentRequest {
        let session = order.session(attempt.session);
        let personal = order.header.content.personal.value().cloned().unwrap_or_default();
        let session_data = session.and_then(|session| session.request.value()).cloned().unwrap_or_default();
        let expires_at = session.map_or(attempt.started_at, |session| session.expires_at);
        PaymentRequest {
            urls: self.providers.returns().urls(attempt.id),
            ..payment_request(order, &personal, &session_data, expires_at)
        }
    }

    /// Looks for an object whose answer was lost and accepts it. False if it is not to be found.
    async fn accept_if_found(
        &self,
        order: &mut WorkingCopy<OrderAggregate>,
        account: &Account,
        attempt: &Attempt,
        command: &Command,
    ) -> Result<bool, PaymentError> {
        let pass = ReadPass::of(Urgency::UnknownOutcome);
        match self.find_by_reference(order, account, attempt, &pass).await {
            Ok(Some((created, as_of))) => {
                self.accept_start(order, account, attempt.id, created, as_of, command).await?;
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
        attempt: &Attempt,
        pass: &ReadPass,
    ) -> Result<Option<(port::CreatedPayment, Timestamp)>, ProviderError> {
        if account.about().capabilities.lookup != Lookup::ByMerchantReference {
            return Err(ProviderError::Unsupported("look an object up by our reference"));
        }
        self.providers.spend_read(account, pass)?;
        let view = attempt.for_adapter(order.id());
        let ctx = self.providers.ctx(account, &NoState);
        let find = account.adapter.find_by_reference(&ctx, &view);
        let (found, as_of) = self.providers.call(account, "find", &ctx, find).await?;
        Ok(found.map(|created| (created, as_of)))
    }

    /// A start that did not work: the next account, or the end. `None` to go on with the next.
    async fn after_failed_start(
        &self,
        order: &mut WorkingCopy<OrderAggregate>,
        session: SessionId,
        attempt: &Attempt,
        account: &Account,
        error: &ProviderError,
        command: &Command,
    ) -> Result<Option<StartOutcome>, PaymentError> {
        let capabilities = &account.about().capabilities;
        let charge = order.session(session).is_some_and(|session| session.charge.is_some());
        // Nobody has the page's address and no money moves in the start: what may exist there can be closed unseen.
        let harmless = !charge && !capabilities.create_moves_money && attempt.approach != Approach::Link;
        let (elsewhere, orphaned) = match error.advice() {
            Advice::TryElsewhere | Advice::RetryLater => (true, false),
            Advice::ResolveUnknown => (harmless && self.routing.failover_after_unknown, true),
            Advice::Stop => (false, false),
        };
        let next = order.session(session).and_then(|session| session.fallback.first().cloned());
        if let Some(name) = next.filter(|_| elsewhere) {
            let (account_name, next) = (&account.name, self.providers.account(&name)?);
            let fail_over = |order: &OrderAggregate, now| {
                let open = order.session(session);
                let open = open.filter(|open| open.status.is_open() && open.attempt == attempt.id);
                let events = open.map(|_| {
                    let new_attempt = new_attempt(&mut self.engine.context(order, now), &next);
                    fail_over(attempt, orphaned, error.into(), new_attempt)
                });
                Ok::<_, PaymentError>(events.unwrap_or_default().into())
            };
            self.engine.change("fail over", &command.following(), order, fail_over).await?;
            self.engine.metrics.attempt_failed_over(account_name);
            return Ok(None);
        }
        if error.advice() == Advice::ResolveUnknown {
            return Ok(Some(StartOutcome::Unknown));
        }
        self.abandon(order, attempt, error, command).await?;
        Ok(Some(StartOutcome::abandoned(error)))
    }

    /// Abandons a start for good: the session ends, the order is a cart again. Attention is raised on a provider that
    /// asks for another amount.
    pub(super) async fn abandon(
        &self,
        order: &mut WorkingCopy<OrderAggregate>,
        attempt: &Attempt,
        error: &ProviderError,
        command: &Command,
    ) -> Result<(), PaymentError> {
        let failure = start_failure(error);
        let decide = |order: &OrderAggregate, now| {
            let still = order.attempt(attempt.id).filter(|attempt| attempt.state == AttemptState::Started);
            let events = still.map(|attempt| {
                let mut events = abandon(order, attempt, StartFailure::from(error), failure.clone());
                if let ProviderError::AmountDiffers(_) = error {
                    let mut context = self.engine.context(order, now);
                    let raised =
                        context.raise(AttentionCode::AmountMismatch, attempt.payment, error.to_string());
                    events.extend(raised);
                }
                events
            });
            Ok::<_, PaymentError>(events.unwrap_or_default().into())
        };
        self.engine.change("abandon", &command.following(), order, decide).await.map(drop)
    }
}

/// The next attempt of an order, at an account.
fn new_attempt(context: &mut Context<'_>, account: &Account) -> NewAttempt {
    NewAttempt {
        attempt: context.attempt_id(),
        account: account.name.clone(),
        provider: account.about().name.to_owned(),
        capabilities: account.capabilities(),
        submits_order: account.about().capabilities.submits_order,
    }
}

/// Whether a start whose outcome is unknown may simply be sent again: the provider knows our key.
pub(super) fn may_repeat(account: &Account) -> bool {
    account.about().capabilities.repeat.create == Repeat::Deduplicated
}

/// The attempt of a session that is to be started now.
fn current(order: &OrderAggregate, session: SessionId) -> Option<Attempt> {
    let session = order.session(session).filter(|session| session.status.is_open())?;
    order.attempt(session.attempt).filter(|attempt| attempt.state == AttemptState::Started).cloned()
}

fn start_outcome(order: &OrderAggregate, session: SessionId) -> StartOutcome {
    match order.session(session).map(|session| session.status) {
        Some(SessionStatus::Failed) => StartOutcome::Ended,
        _ => StartOutcome::Ready,
    }
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
    let requirements = order.header.requirements;
    let required = requirements.is_some_and(|needs| needs.requires_payment_profile == Requirement::Required);
    SessionRequest {
        return_urls: request.return_urls.clone(),
        link_delivery: request.link_delivery,
        language: request.language.clone(),
        save_payment_profile: request.save_payment_profile.unwrap_or(required),
        payment_profile_id: request.payment_profile_id,
        profile_reference: stored.and_then(Profile::reference).map(ToOwned::to_owned),
        metadata: request.metadata.clone(),
    }
}

/// The order in the terms that every adapter understands.
fn payment_request(
    order: &OrderAggregate,
    personal: &PersonalData,
    session_data: &SessionRequest,
    expires_at: Timestamp,
) -> PaymentRequest {
    let header = &order.header;
    let item = |item: &LineItem| port::LineItem {
        sku: item.sku.clone(),
        title: item.title.clone(),
        quantity: item.quantity,
        unit_price: item.unit_price,
        discount: item.discount,
        tax: price_line(item, header.content.tax_included).map(|line| line.tax).unwrap_or_default(),
        tax_rate: item.tax_rate.percent(),
    };
    let total = |part: fn(&Price) -> i64| header.price.as_ref().map(part).unwrap_or_default();
    PaymentRequest {
        description: format!("Order {}", header.reference.clone().unwrap_or_else(|| header.id.to_string())),
        items: header.content.items.iter().map(item).collect(),
        subtotal: total(|price| price.subtotal),
        discount: total(|price| price.discount),
        tax: total(|price| price.tax),
        shipping: total(|price| price.shipping),
        tax_included: header.content.tax_included,
        customer: personal.customer.clone(),
        billing_address: personal.billing_address.clone(),
        shipping_address: personal.shipping_address.clone(),
        urls: port::RedirectUrls::default(),
        link_delivery: session_data.link_delivery,
        language: session_data.language.clone(),
        expires_at,
        save_profile: session_data.save_payment_profile,
        profile: session_data.profile_reference.clone(),
    }
}
