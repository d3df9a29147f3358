//! Starting a payment session, and moving on to the next account when one cannot start it.

use port::{AttemptId, Money, SessionId};

use super::aggregate::OrderAggregate;
use super::error::DomainError;
use super::event::Event;
use super::guard::ensure;
use super::order::{OrderState, Requirement};
use super::session::{Attempt, AttemptState, NewAttempt, NewSession, SessionFailure, StartFailure};
use super::session_end::end;

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

/// Creates a session with its payment and its first attempt: the intent, before anything is sent.
pub fn create_session(session: NewSession, attempt: NewAttempt) -> Vec<Event> {
    let started = Event::AttemptStarted { session: session.session, attempt };
    let moved =
        Event::OrderStateChanged { from: OrderState::Pending, to: OrderState::PendingPayment, reason: None };
    vec![Event::SessionCreated(Box::new(session)), started, moved]
}

/// Abandons an attempt and starts the next: the intent at another account. `orphaned` if the abandoned one may exist
/// all the same.
pub fn fail_over(
    abandoned: &Attempt,
    orphaned: bool,
    failure: StartFailure,
    session: SessionId,
    next: NewAttempt,
) -> Vec<Event> {
    vec![
        Event::AttemptAbandoned { attempt: abandoned.id, orphaned, failure },
        Event::AttemptStarted { session, attempt: next },
    ]
}

/// Abandons an attempt with nothing to follow: payment and session end, and the order is a cart again.
pub fn abandon(
    order: &OrderAggregate,
    abandoned: &Attempt,
    failure: StartFailure,
    ends: SessionFailure,
) -> Vec<Event> {
    let mut events = vec![Event::AttemptAbandoned { attempt: abandoned.id, orphaned: false, failure }];
    if order.payment(abandoned.payment).is_some_and(|payment| payment.provider_status.is_none()) {
        events.push(Event::PaymentNotStarted { payment: abandoned.payment });
    }
    let session = abandoned.session.and_then(|id| order.session(id));
    events.extend(session.map(|session| end(order, session, ends)).unwrap_or_default());
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
pub fn accept_start(order: &OrderAggregate, attempt: AttemptId, begun: &[Event]) -> StartResult {
    let failure = StartFailure::AnsweredTooLate;
    let left = || Event::AttemptAbandoned { attempt, orphaned: true, failure };
    match order.attempt(attempt).map(|record| (record.state, record.reference.is_some())) {
        Some((AttemptState::Started, _)) => StartResult::Accepted(begun.to_vec()),
        Some((AttemptState::Created, _)) => StartResult::Accepted(Vec::new()),
        Some((AttemptState::Ended, false)) => StartResult::Abandoned(vec![left()]),
        Some((AttemptState::Ended, true) | (AttemptState::Orphaned, _)) | None => {
            StartResult::Abandoned(Vec::new())
        }
    }
}
