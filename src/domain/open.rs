//! Opening a payment session, and moving on to the next account when one cannot start it.

use port::{CaptureMode, Money, PaymentId, ProfileId, SessionId, Timestamp};

use super::aggregate::OrderAggregate;
use super::cart::ensure;
use super::error::DomainError;
use super::event::Event;
use super::order::{OrderState, Requirement};
use super::payment::{Payment, PaymentCapabilities};
use super::payment_state::PaymentState;
use super::session::{
    Attempt, AttemptState, FailureCode, Routing, Session, SessionFailure, SessionRequest, SessionStatus,
};
use super::{Approach, AttemptId, Erasable};

/// What a checkout asks for, checked.
#[derive(Clone, Debug)]
pub struct NewSession {
    /// The new session's id.
    pub session: SessionId,
    /// The new payment's id.
    pub payment: PaymentId,
    /// How the customer pays.
    pub approach: Approach,
    /// When the money is taken.
    pub capture: CaptureMode,
    /// The stored method to charge without the customer.
    pub charge: Option<ProfileId>,
    /// Addresses, delivery, language, notes.
    pub request: Erasable<SessionRequest>,
    /// When the session ends by itself.
    pub expires_at: Timestamp,
}

/// A start to be made at an account.
#[derive(Clone, Debug)]
pub struct NewAttempt {
    /// The new attempt's id.
    pub attempt: AttemptId,
    /// Where.
    pub account: String,
    /// The account's provider.
    pub provider: String,
    /// What the provider can do with the payment.
    pub capabilities: PaymentCapabilities,
    /// Whether it has an order of its own to hand over.
    pub submits_order: bool,
    /// The hash of the secret in the return addresses.
    pub return_hash: String,
}

/// What there is to pay, if a session may be opened.
///
/// # Errors
/// [`DomainError::InvalidState`] (also beside an open session), [`DomainError::NotPriced`],
/// [`DomainError::PaymentNotRequired`].
pub fn payable(order: &OrderAggregate) -> Result<Money, DomainError> {
    ensure(&order.header, "checked out", &[OrderState::Pending])?;
    let (Some(price), Some(needs)) = (order.header.price, order.header.requirements) else {
        return Err(DomainError::NotPriced);
    };
    if needs.requires_payment == Requirement::NotRequired {
        return Err(DomainError::PaymentNotRequired);
    }
    Ok(Money::new(price.total, order.header.currency))
}

/// Opens a session with its payment and its first attempt: the intent, before anything is sent.
pub fn open(
    new_session: NewSession,
    new_attempt: NewAttempt,
    money: Money,
    routing: Routing,
    fallback: Vec<String>,
    now: Timestamp,
) -> Vec<Event> {
    let session = Session {
        id: new_session.session,
        payment: new_session.payment,
        attempt: new_attempt.attempt,
        approach: new_session.approach,
        capture: new_session.capture,
        money,
        status: SessionStatus::Pending,
        failure: None,
        routing,
        fallback,
        request: new_session.request,
        charge: new_session.charge,
        closing: None,
        used: false,
        created_at: now,
        updated_at: now,
        expires_at: new_session.expires_at,
        version: 0,
    };
    let payment = Payment {
        id: new_session.payment,
        session: Some(new_session.session),
        attempt: None,
        money,
        capture: new_session.capture,
        capabilities: new_attempt.capabilities,
        authorization_expires_at: None,
        state: PaymentState::default(),
        provider_status: None,
        detail: None,
        failure: None,
        reported_at: Timestamp::default(),
        capture_requested: None,
        operation: None,
        external: false,
        created_at: now,
        updated_at: now,
        version: 0,
    };
    let attempt = Event::AttemptStarted(Box::new(attempt_of(&session, new_attempt, now)));
    let moved =
        Event::OrderStateChanged { from: OrderState::Pending, to: OrderState::PendingPayment, why: None };
    vec![Event::SessionCreated { session: Box::new(session), payment: Box::new(payment) }, attempt, moved]
}

fn attempt_of(session: &Session, new_attempt: NewAttempt, now: Timestamp) -> Attempt {
    Attempt {
        id: new_attempt.attempt,
        session: Some(session.id),
        payment: session.payment,
        account: new_attempt.account,
        provider: new_attempt.provider,
        money: session.money,
        approach: session.approach,
        capture: session.capture,
        state: AttemptState::Started,
        reference: None,
        adapter_state: None,
        next: None,
        start_failure: None,
        provider_order_submitted: false,
        capabilities: new_attempt.capabilities,
        submits_order: new_attempt.submits_order,
        return_hash: Some(new_attempt.return_hash),
        started_at: now,
    }
}

/// Leaves an attempt and starts the next: the intent of another account. `orphaned` if the one that is left
/// may exist all the same.
pub fn fail_over(
    left: &Attempt,
    orphaned: bool,
    why: &str,
    session: &Session,
    new_attempt: NewAttempt,
    now: Timestamp,
) -> Vec<Event> {
    vec![
        Event::AttemptAbandoned { attempt: left.id, orphaned, why: why.to_owned() },
        Event::AttemptStarted(Box::new(attempt_of(session, new_attempt, now))),
    ]
}

/// Leaves an attempt with nothing to follow: payment and session end, and the order is a cart again.
pub fn abandon(order: &OrderAggregate, left: &Attempt, why: &str, failure: SessionFailure) -> Vec<Event> {
    let mut events = vec![Event::AttemptAbandoned { attempt: left.id, orphaned: false, why: why.to_owned() }];
    if order.payment(left.payment).is_some_and(|payment| payment.provider_status.is_none()) {
        events.push(Event::PaymentNotStarted { payment: left.payment });
    }
    let session = left.session.and_then(|id| order.session(id));
    events.extend(session.map(|session| end(order, session, failure)).unwrap_or_default());
    events
}

/// What the answer to a start means for its attempt.
#[derive(Debug, PartialEq)]
pub enum StartResult {
    /// What was made is the attempt's own.
    Accepted(Vec<Event>),
    /// Nobody waits for it any more.
    Abandoned(Vec<Event>),
}

/// Takes what a provider made for an attempt, told by `begun`. A start may be sent twice under one key, and the attempt
/// be given up for the answer to one when the other comes: it is not taken back, as another account may be paying by
/// now, but left to be looked up and closed.
pub fn accept_start(order: &OrderAggregate, attempt: AttemptId, events: &[Event]) -> StartResult {
    let left = || Event::AttemptAbandoned { attempt, orphaned: true, why: "answered too late".to_owned() };
    match order.attempt(attempt).map(|record| (record.state, record.reference.is_some())) {
        Some((AttemptState::Started, _)) => StartResult::Accepted(events.to_vec()),
        Some((AttemptState::Created, _)) => StartResult::Accepted(Vec::new()),
        Some((AttemptState::Ended, false)) => StartResult::Abandoned(vec![left()]),
        Some((AttemptState::Ended, true) | (AttemptState::Orphaned, _)) | None => {
            StartResult::Abandoned(Vec::new())
        }
    }
}

/// The session ends without money, and the order is a cart again.
pub(super) fn end(order: &OrderAggregate, session: &Session, failure: SessionFailure) -> Vec<Event> {
    if !session.status.is_open() {
        return Vec::new();
    }
    let why = Some(format!("the payment session ended: {}", failure_text(failure.code)));
    let mut events = Vec::new();
    let operation =
        order.payment(session.payment).and_then(|payment| Some((payment.id, payment.operation.clone()?)));
    if let Some((payment, operation)) = operation {
        events.push(Event::OperationFinished { payment, operation, refused: None });
    }
    let (from, to) = (session.status, SessionStatus::Failed);
    events.push(Event::SessionStatusChanged { session: session.id, from, to, failure: Some(failure) });
    if order.header.state == OrderState::PendingPayment {
        events.push(Event::OrderStateChanged {
            from: OrderState::PendingPayment,
            to: OrderState::Pending,
            why,
        });
    }
    events
}

/// The code in words.
fn failure_text(code: FailureCode) -> &'static str {
    match code {
        FailureCode::Declined => "declined",
        FailureCode::Rejected => "rejected",
        FailureCode::CancelledByCustomer => "cancelled by the customer",
        FailureCode::Cancelled => "cancelled",
        FailureCode::Expired => "expired",
        FailureCode::ProviderError => "it could not be started",
    }
}
