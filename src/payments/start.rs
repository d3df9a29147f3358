//! Starting a payment: route, commit the intent, call, and fail over where nothing can have happened.

use std::time::Duration;

use port::{
    Advice, Approach, AttemptId, CaptureMode, CreatedPayment, Ctx, LinkDelivery, Lookup, Money,
    PaymentMethodType, PaymentRequest, ProfileId, ProviderError, Repeat, SessionId, Timestamp,
};

use super::providers::NoState;
use super::task::OrderTask;
use super::{Account, Payments, ReadPass, Result};
use crate::domain::session_start::{abandon, create_session, fail_over, payable};
use crate::domain::{
    Attempt, AttemptState, AttentionCode, Context, Erasable, Event, FailureCode, LineItem, Metadata,
    NewAttempt, OrderAggregate, PersonalData, Price, Profile, ReturnUrls, RouteAttempt, Routing, Session,
    SessionFailure, SessionRequest, SessionStatus, StartFailure, Urgency, price_line,
};
use crate::engine::{Command, WorkingCopy};
use crate::routing::{AccountFacts, Request, RouteDecision, RouteError, decide};

/// What a merchant requests of a checkout, checked for its shape.
#[derive(Clone, Debug)]
pub struct CheckoutRequest {
    pub approach: Approach,
    pub capture: CaptureMode,
    pub return_urls: ReturnUrls,
    pub link_delivery: LinkDelivery,
    pub expires_in: Duration,
    /// BCP 47 tag.
    pub language: Option<String>,
    /// What the page may offer; empty for whatever the account has.
    pub payment_methods: Vec<PaymentMethodType>,
    /// How often the customer may try on the page.
    pub max_attempts: Option<u8>,
    /// Whether the method is stored; if absent, where the order requires a profile.
    pub save_payment_profile: Option<bool>,
    /// A payment profile to prefill.
    pub payment_profile_id: Option<ProfileId>,
    /// Whether the payment profile is charged without the customer.
    pub charge: bool,
    pub account: Option<String>,
    pub metadata: Metadata,
}

#[derive(Clone, Debug, PartialEq)]
pub enum StartOutcome {
    /// The provider has created it.
    Created,
    /// The outcome is not known yet; a job resolves it.
    Unknown,
    /// The provider declined: the session has ended.
    Ended,
    /// No account could be reached: the session has failed and the order is a cart.
    Down {
        /// When to try again, as far as a provider reports it.
        retry_after: Option<Duration>,
    },
    /// As `Down`, since every account refuses our credentials: a retry does not help.
    CredentialsRefused,
}

/// What a start created, and the moment that the provider's answer describes.
pub(super) type Created = (CreatedPayment, Timestamp);

/// Why a start did not work.
pub(super) struct FailedStart {
    pub(super) error: ProviderError,
    /// Whether the provider has refused the request as such, and has provably created nothing.
    pub(super) created_nothing: bool,
}

impl FailedStart {
    pub(super) fn new(error: ProviderError, ctx: &Ctx<'_>) -> Self {
        let created_nothing = matches!(error, ProviderError::Rejected { .. }) && ctx.created_nothing();
        Self { error, created_nothing }
    }
}

impl From<FailedStart> for ProviderError {
    fn from(failed: FailedStart) -> Self {
        failed.error
    }
}

impl StartOutcome {
    /// The outcome after an error that is certain, and the failures of all accounts that were tried.
    pub(super) fn abandoned(
        error: &ProviderError,
        mut failures: impl Iterator<Item = Option<StartFailure>>,
    ) -> Self {
        match error {
            ProviderError::Misconfigured
                if failures.all(|failure| failure == Some(StartFailure::Misconfigured)) =>
            {
                Self::CredentialsRefused
            }
            ProviderError::Busy { retry_after } => Self::Down { retry_after: *retry_after },
            _ if error.advice() == Advice::Stop => Self::Ended,
            _ => Self::Down { retry_after: None },
        }
    }
}

/// The start that was sent a second time. A start of unknown outcome is repeated once if the provider deduplicates.
#[derive(Default)]
pub(super) struct RepeatedStart(pub(super) Option<AttemptId>);

impl RepeatedStart {
    /// How an error of this start counts: the outcome of the first send stays unknown, whatever the second reports short
    /// of a plain no.
    pub(super) fn classify(&self, attempt: AttemptId, error: ProviderError) -> ProviderError {
        match self.0 == Some(attempt) && error.advice() != Advice::Stop {
            true => ProviderError::OutcomeUnknown(error.to_string()),
            false => error,
        }
    }

    /// Whether another account may try after this failure. The refusal of a second send proves nothing about the first.
    pub(super) fn created_nothing(&self, attempt: AttemptId, failed: &FailedStart) -> bool {
        failed.created_nothing && self.0 != Some(attempt)
    }

    /// Whether this start of unknown outcome is sent again at once.
    pub(super) fn allow(&mut self, attempt: AttemptId, account: &Account) -> bool {
        may_repeat(account) && self.0.replace(attempt) != Some(attempt)
    }
}

impl Payments {
    /// Routes a checkout and returns the events that create its session: the intent. A payment profile goes to its account.
    ///
    /// # Errors
    /// `PaymentError::Route`, and `PaymentError::Command` for what the state forbids.
    pub fn new_session(
        &self,
        order: &OrderAggregate,
        request: &CheckoutRequest,
        stored: Option<&Profile>,
        now: Timestamp,
    ) -> Result<(SessionId, Vec<Event>)> {
        let money = payable(order)?;
        stored.map(|profile| profile.ensure_pays(order)).transpose()?;
        let session_data = session_request(order, request, stored);
        let decision = self.route(order, request, &session_data, stored, money, now)?;
        let [first, fallback @ ..] = decision.candidates.as_slice() else {
            return Err(RouteError::NoRoute { of: kind_of(request), ruled_out: decision.ruled_out }.into());
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
            profile_found: None,
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

    fn route(
        &self,
        order: &OrderAggregate,
        request: &CheckoutRequest,
        session_data: &SessionRequest,
        stored: Option<&Profile>,
        money: Money,
        now: Timestamp,
    ) -> Result<RouteDecision> {
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
        let decision = decide(&routed, &self.routing.rules.load(), &facts, self.engine.draw());
        let decision = decision.map_err(|error| error.about(kind_of(request)))?;
        if let Some(first) = decision.candidates.first() {
            self.engine.metrics.routed(&decision.rule, first);
        }
        Ok(decision)
    }

    /// Sends the recorded start, failing over to the next account while the one before provably had no effect.
    ///
    /// # Errors
    /// That of the store; a job then resolves what was sent.
    pub async fn start(
        &self,
        order: &mut WorkingCopy<OrderAggregate>,
        session: SessionId,
        command: &Command,
    ) -> Result<StartOutcome> {
        let order = &mut self.task(order, command, &ReadPass::of(Urgency::UnknownOutcome));
        let mut repeated = RepeatedStart::default();
        loop {
            let Some(attempt) = current(order, session) else { return Ok(StartOutcome::Ended) };
            let account = self.providers.account(&attempt.account)?;
            let charge = is_charge(order, &attempt);
            let sent = self.send_create(order, &account, &attempt, charge).await;
            let created_nothing =
                sent.as_ref().is_err_and(|failed| repeated.created_nothing(attempt.id, failed)) && !charge;
            let mut sent = sent.map_err(|failed| repeated.classify(attempt.id, failed.error));
            let unknown = sent.as_ref().is_err_and(|error| error.advice() == Advice::ResolveUnknown);
            if unknown && let Ok(Some(found)) = self.find_by_reference(order, &account, &attempt).await {
                sent = Ok(found);
            }
            let error = match sent {
                Ok(created) => {
                    self.accept_start(order, &account, attempt.id, created).await?;
                    return Ok(StartOutcome::Created);
                }
                Err(error) => error,
            };
            if unknown && !charge && repeated.allow(attempt.id, &account) {
                continue;
            }
            let failed = FailedStart { error, created_nothing };
            if let Some(done) = self.after_failed_start(order, session, &attempt, &account, &failed).await? {
                return Ok(done);
            }
        }
    }

    /// Sends what creates an attempt's object at its provider, or charges the payment profile.
    pub(super) async fn send_create(
        &self,
        order: &mut OrderTask<'_>,
        account: &Account,
        attempt: &Attempt,
        charge: bool,
    ) -> Result<Created, FailedStart> {
        let request = self.request_of(order, attempt);
        let view = attempt.for_adapter(order.id());
        let state = order.state_store(attempt.id);
        let ctx = self.providers.ctx(account, &state);
        let sent = match account.adapter.vault().filter(|_| charge) {
            Some(vault) => {
                self.providers
                    .call(account, "charge", Some(&view), &ctx, vault.charge(&ctx, &view, &request))
                    .await
            }
            None => {
                let create = account.adapter.create(&ctx, &view, &request);
                self.providers.call(account, "create", Some(&view), &ctx, create).await
            }
        };
        sent.map_err(|error| FailedStart::new(error, &ctx))
    }

    /// What an attempt requests of its provider: the same each time.
    fn request_of(&self, order: &OrderAggregate, attempt: &Attempt) -> PaymentRequest {
        let session = order.session(attempt.session);
        let personal = order.header.content.personal.value().cloned().unwrap_or_default();
        let session_data = session.and_then(|session| session.request.value()).cloned().unwrap_or_default();
        let expires_at = session.map_or(attempt.started_at, |session| session.expires_at);
        PaymentRequest {
            urls: self.providers.returns().urls(attempt.id),
            ..payment_request(order, &personal, &session_data, expires_at)
        }
    }

    /// Looks an object up at the provider by our reference.
    pub(super) async fn find_by_reference(
        &self,
        order: &OrderTask<'_>,
        account: &Account,
        attempt: &Attempt,
    ) -> Result<Option<Created>, ProviderError> {
        if account.about().capabilities.lookup != Lookup::ByMerchantReference {
            return Err(ProviderError::Unsupported("look an object up by our reference"));
        }
        self.providers.spend_read(account, &order.pass)?;
        let view = attempt.for_adapter(order.id());
        let ctx = self.providers.ctx(account, &NoState);
        let find = account.adapter.find_by_reference(&ctx, &view);
        let (found, as_of) = self.providers.call(account, "find", Some(&view), &ctx, find).await?;
        Ok(found.map(|created| (created, as_of)))
    }

    /// After a start that did not work: the next account (`None`), or the end.
    async fn after_failed_start(
        &self,
        order: &mut OrderTask<'_>,
        session: SessionId,
        attempt: &Attempt,
        account: &Account,
        FailedStart { error, created_nothing }: &FailedStart,
    ) -> Result<Option<StartOutcome>> {
        // The customer never received the page's address and no money moves in the start: what may exist there can be
        // closed unseen.
        let harmless = !is_charge(order, attempt)
            && !account.about().capabilities.create_moves_money
            && attempt.approach != Approach::Link;
        let (elsewhere, orphaned) = match error.advice() {
            Advice::TryElsewhere | Advice::RetryLater => (true, false),
            Advice::ResolveUnknown => (harmless && self.routing.failover_after_unknown, true),
            Advice::Stop => (*created_nothing, false),
        };
        let next = order.session(session).and_then(|session| session.fallback.first()).filter(|_| elsewhere);
        if let Some(name) = next {
            let next = self.providers.account(name)?;
            let fail_over = order.extend("fail over", |context| {
                let open = context.order.session(session);
                let open = open.filter(|open| open.status.is_open() && open.attempt == attempt.id);
                let to = |_| fail_over(attempt, orphaned, error.into(), new_attempt(context, &next));
                open.map(to).unwrap_or_default()
            });
            fail_over.await?;
            self.engine.metrics.attempt_failed_over(&account.name);
            return Ok(None);
        }
        if error.advice() == Advice::ResolveUnknown {
            let unknown = order.change("start unknown", |order, _| {
                let waits =
                    order.attempt(attempt.id).filter(|attempt| attempt.state == AttemptState::Started);
                waits.map(|attempt| Event::StartUnknown { attempt: attempt.id })
            });
            unknown.await?;
            return Ok(Some(StartOutcome::Unknown));
        }
        self.abandon(order, attempt, error).await?;
        let attempts = order.attempts.iter().filter(|attempt| attempt.session == session);
        Ok(Some(StartOutcome::abandoned(error, attempts.map(|attempt| attempt.failure))))
    }

    /// Abandons a start for good: the session ends, the order is a cart again. A provider that wants another amount
    /// raises attention.
    pub(super) async fn abandon(
        &self,
        order: &mut OrderTask<'_>,
        attempt: &Attempt,
        error: &ProviderError,
    ) -> Result<()> {
        let abandon = order.extend("abandon", |context| {
            let started =
                context.order.attempt(attempt.id).filter(|attempt| attempt.state == AttemptState::Started);
            let Some(attempt) = started else { return Vec::new() };
            let mut events = abandon(context.order, attempt, error.into(), start_failure(error));
            if let ProviderError::AmountDiffers(_) = error {
                events.extend(context.raise(
                    AttentionCode::AmountMismatch,
                    attempt.payment,
                    error.to_string(),
                ));
            }
            events
        });
        abandon.await.map(drop)
    }
}

/// What an error calls it.
fn kind_of(request: &CheckoutRequest) -> &'static str {
    if request.charge { "charge of a payment profile" } else { "checkout" }
}

/// Whether an attempt charges a payment profile without the customer.
pub(super) fn is_charge(order: &OrderAggregate, attempt: &Attempt) -> bool {
    let session = order.session(attempt.session);
    session.is_some_and(|session| session.charge.is_some())
}

fn new_attempt(context: &mut Context<'_>, account: &Account) -> NewAttempt {
    NewAttempt {
        attempt: context.attempt_id(),
        account: account.name.clone(),
        provider: account.about().name.to_owned(),
        capabilities: account.capabilities(),
        submits_order: account.about().capabilities.submits_order,
    }
}

/// Whether a start of unknown outcome may simply be sent again: the provider knows our key.
pub(super) fn may_repeat(account: &Account) -> bool {
    account.about().capabilities.repeat.create == Repeat::Deduplicated
}

/// The attempt of a session that is to be started now.
fn current(order: &OrderAggregate, session: SessionId) -> Option<Attempt> {
    let session = order.session(session).filter(|session| session.status.is_open())?;
    order.attempt(session.attempt).filter(|attempt| attempt.state == AttemptState::Started).cloned()
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
    let required = order.header.requires_profile();
    SessionRequest {
        return_urls: request.return_urls.clone(),
        link_delivery: request.link_delivery,
        language: request.language.clone(),
        save_payment_profile: request.save_payment_profile.unwrap_or(required),
        payment_methods: request.payment_methods.clone(),
        max_attempts: request.max_attempts,
        payment_profile_id: request.payment_profile_id,
        profile_reference: stored.and_then(Profile::reference).map(ToOwned::to_owned),
        metadata: request.metadata.clone(),
    }
}

/// The order as a port request.
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
        reference: header.reference.clone(),
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
        payment_methods: session_data.payment_methods.clone(),
        max_attempts: session_data.max_attempts,
        save_profile: session_data.save_payment_profile,
        profile: session_data.profile_reference.clone(),
    }
}
