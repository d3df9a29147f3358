//! Opening a payment session, and moving on to the next account when one cannot start it.

use port::{CaptureMode, Money, PaymentId, ProfileId, SessionId, Timestamp};

use super::cart::ensure;
use super::event::Fact;
use super::file::OrderFile;
use super::order::{OrderState, Requirement};
use super::payment::{Payment, Powers};
use super::refusal::Refusal;
use super::session::{
    AttemptRecord, AttemptState, FailureCode, Routing, Session, SessionAsk, SessionFailure, SessionStatus,
};
use super::standing::Standing;
use super::{Approach, AttemptId, Sealed};

/// What a checkout asks for, checked.
#[derive(Clone, Debug)]
pub struct Opening {
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
    pub ask: Sealed<SessionAsk>,
    /// When the session ends by itself.
    pub expires_at: Timestamp,
}

/// A start to be made at an account.
#[derive(Clone, Debug)]
pub struct Start {
    /// The new attempt's id.
    pub attempt: AttemptId,
    /// Where.
    pub account: String,
    /// The account's provider.
    pub provider: String,
    /// What the provider can do with the payment.
    pub powers: Powers,
    /// Whether it has an order of its own to hand over.
    pub hands_over: bool,
    /// The hash of the secret in the return addresses.
    pub return_hash: String,
}

/// What there is to pay, if a session may be opened.
///
/// # Errors
/// [`Refusal::InvalidState`] (also beside an open session), [`Refusal::NotPriced`],
/// [`Refusal::PaymentNotRequired`].
pub fn payable(file: &OrderFile) -> Result<Money, Refusal> {
    ensure(&file.order, "checked out", &[OrderState::Pending])?;
    let (Some(price), Some(needs)) = (file.order.price, file.order.requirements) else {
        return Err(Refusal::NotPriced);
    };
    if needs.requires_payment == Requirement::NotRequired {
        return Err(Refusal::PaymentNotRequired);
    }
    Ok(Money::new(price.total, file.order.currency))
}

/// Opens a session with its payment and its first attempt: the intent, before anything is sent.
pub fn open(
    opening: Opening,
    start: Start,
    money: Money,
    routing: Routing,
    fallback: Vec<String>,
    now: Timestamp,
) -> Vec<Fact> {
    let session = Session {
        id: opening.session,
        payment: opening.payment,
        attempt: start.attempt,
        approach: opening.approach,
        capture: opening.capture,
        money,
        status: SessionStatus::Pending,
        failure: None,
        routing,
        fallback,
        ask: opening.ask,
        charge: opening.charge,
        closing: None,
        used: false,
        created_at: now,
        updated_at: now,
        expires_at: opening.expires_at,
        version: 0,
    };
    let payment = Payment {
        id: opening.payment,
        session: Some(opening.session),
        attempt: None,
        money,
        capture: opening.capture,
        powers: start.powers,
        authorization_expires_at: None,
        standing: Standing::default(),
        word: None,
        detail: None,
        failure: None,
        seen_at: Timestamp::default(),
        capture_asked: None,
        operation: None,
        external: false,
        created_at: now,
        updated_at: now,
        version: 0,
    };
    let attempt = Fact::AttemptStarted(Box::new(attempt_of(&session, start, now)));
    let moved = Fact::OrderMoved { from: OrderState::Pending, to: OrderState::PendingPayment, why: None };
    vec![Fact::SessionOpened { session: Box::new(session), payment: Box::new(payment) }, attempt, moved]
}

fn attempt_of(session: &Session, start: Start, now: Timestamp) -> AttemptRecord {
    AttemptRecord {
        id: start.attempt,
        session: Some(session.id),
        payment: session.payment,
        account: start.account,
        provider: start.provider,
        money: session.money,
        approach: session.approach,
        capture: session.capture,
        state: AttemptState::Started,
        reference: None,
        theirs: None,
        next: None,
        ended_by: None,
        handed_over: false,
        powers: start.powers,
        hands_over: start.hands_over,
        return_hash: Some(start.return_hash),
        started_at: now,
    }
}

/// Leaves an attempt and starts the next: the intent of another account. `orphaned` if the one that is left
/// may exist all the same.
pub fn move_on(
    left: &AttemptRecord,
    orphaned: bool,
    why: &str,
    session: &Session,
    start: Start,
    now: Timestamp,
) -> Vec<Fact> {
    vec![
        Fact::AttemptLeft { attempt: left.id, orphaned, why: why.to_owned() },
        Fact::AttemptStarted(Box::new(attempt_of(session, start, now))),
    ]
}

/// Leaves an attempt with nothing to follow: payment and session end, and the order is a cart again.
pub fn give_up(file: &OrderFile, left: &AttemptRecord, why: &str, failure: SessionFailure) -> Vec<Fact> {
    let mut facts = vec![Fact::AttemptLeft { attempt: left.id, orphaned: false, why: why.to_owned() }];
    if file.payment(left.payment).is_some_and(|payment| payment.word.is_none()) {
        facts.push(Fact::PaymentNotStarted { payment: left.payment });
    }
    let session = left.session.and_then(|id| file.session(id));
    facts.extend(session.map(|session| end(file, session, failure)).unwrap_or_default());
    facts
}

/// What the answer to a start means for its attempt.
#[derive(Debug, PartialEq)]
pub enum Answered {
    /// What was made is the attempt's own.
    Adopted(Vec<Fact>),
    /// Nobody waits for it any more.
    GivenUp(Vec<Fact>),
}

/// Takes what a provider made for an attempt, told by `begun`. A start may be sent twice under one key, and the attempt
/// be given up for the answer to one when the other comes: it is not taken back, as another account may be paying by
/// now, but left to be looked up and closed.
pub fn answered(file: &OrderFile, attempt: AttemptId, begun: &[Fact]) -> Answered {
    let left = || Fact::AttemptLeft { attempt, orphaned: true, why: "answered too late".to_owned() };
    match file.attempt(attempt).map(|record| (record.state, record.reference.is_some())) {
        Some((AttemptState::Started, _)) => Answered::Adopted(begun.to_vec()),
        Some((AttemptState::Begun, _)) => Answered::Adopted(Vec::new()),
        Some((AttemptState::Ended, false)) => Answered::GivenUp(vec![left()]),
        Some((AttemptState::Ended, true) | (AttemptState::Orphaned, _)) | None => {
            Answered::GivenUp(Vec::new())
        }
    }
}

/// The session ends without money, and the order is a cart again.
pub(super) fn end(file: &OrderFile, session: &Session, failure: SessionFailure) -> Vec<Fact> {
    if !session.status.is_open() {
        return Vec::new();
    }
    let why = Some(format!("the payment session ended: {}", word(failure.code)));
    let mut facts = Vec::new();
    let operation =
        file.payment(session.payment).and_then(|payment| Some((payment.id, payment.operation.clone()?)));
    if let Some((payment, operation)) = operation {
        facts.push(Fact::OperationEnded { payment, operation, refused: None });
    }
    let (from, to) = (session.status, SessionStatus::Failed);
    facts.push(Fact::SessionMoved { session: session.id, from, to, failure: Some(failure) });
    if file.order.state == OrderState::PendingPayment {
        facts.push(Fact::OrderMoved { from: OrderState::PendingPayment, to: OrderState::Pending, why });
    }
    facts
}

/// The code in words.
fn word(code: FailureCode) -> &'static str {
    match code {
        FailureCode::Declined => "declined",
        FailureCode::Rejected => "rejected",
        FailureCode::CancelledByCustomer => "cancelled by the customer",
        FailureCode::Cancelled => "cancelled",
        FailureCode::Expired => "expired",
        FailureCode::ProviderError => "it could not be started",
    }
}
