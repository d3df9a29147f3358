//! Creates a payment session, and fails over to the next account.

use port::{AttemptId, Money};

use super::aggregate::OrderAggregate;
use super::error::DomainError;
use super::event::Event;
use super::order::{OrderState, Requirement};
use super::session::{Attempt, AttemptState, NewAttempt, Session, SessionFailure, StartFailure};
use super::session_end::end;

/// The most payment sessions of an order: all of them are read and written with each of its changes.
pub const MAX_SESSIONS: usize = 200;

/// The amount to pay, if a session may be created.
///
/// # Errors
/// [`DomainError::InvalidState`] (also beside an open session), [`DomainError::NotPriced`],
/// [`DomainError::PaymentNotRequired`]; [`DomainError::TooLate`] after [`MAX_SESSIONS`].
pub fn payable(order: &OrderAggregate) -> Result<Money, DomainError> {
    order.header.ensure("checked out", &[OrderState::Pending])?;
    let (Some(price), Some(needs)) = (order.header.price, order.header.requirements) else {
        return Err(DomainError::NotPriced);
    };
    if needs.requires_payment == Requirement::NotRequired {
        return Err(DomainError::PaymentNotRequired);
    }
    if order.sessions.len() >= MAX_SESSIONS {
        return Err(DomainError::TooLate(
            "the order has had 200 payment sessions, the most that one may have",
        ));
    }
    Ok(Money::new(price.total, order.header.currency))
}

/// Creates a session with its payment and its first attempt: the intent, before anything is sent.
pub fn create_session(session: Session, attempt: NewAttempt) -> Vec<Event> {
    let started = Event::AttemptStarted { session: session.id, attempt };
    let moved =
        Event::OrderStateChanged { from: OrderState::Pending, to: OrderState::PendingPayment, reason: None };
    vec![Event::SessionCreated(Box::new(session)), started, moved]
}

/// Abandons an attempt and starts the next: the intent at another account. `orphaned` if the abandoned one may exist
/// at the provider.
pub fn fail_over(abandoned: &Attempt, orphaned: bool, failure: StartFailure, next: NewAttempt) -> Vec<Event> {
    vec![
        Event::AttemptAbandoned { attempt: abandoned.id, orphaned, failure },
        Event::AttemptStarted { session: abandoned.session, attempt: next },
    ]
}

/// Abandons an attempt for good: payment and session fail, and the order is a cart again.
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
    let session = order.session(abandoned.session);
    events.extend(session.map(|session| end(order, session, ends)).unwrap_or_default());
    events
}

/// Whether the answer to a start is accepted.
#[derive(Debug, PartialEq)]
pub enum StartResult {
    /// The created payment belongs to the attempt.
    Accepted(Vec<Event>),
    /// The attempt was abandoned before.
    Abandoned(Vec<Event>),
}

/// Accepts what a provider created for an attempt; `created` are the events that record it. A start may be sent twice
/// with the same key, and the attempt may be abandoned because of one answer before the other arrives. It then stays
/// abandoned, since another account may be used by now, and is looked up and closed as an orphan.
pub fn accept_start(order: &OrderAggregate, attempt: AttemptId, created: &[Event]) -> StartResult {
    let failure = StartFailure::AnsweredTooLate;
    let left = || Event::AttemptAbandoned { attempt, orphaned: true, failure };
    match order.attempt(attempt).map(|attempt| (attempt.state, attempt.reference.is_some())) {
        Some((AttemptState::Started, _)) => StartResult::Accepted(created.to_vec()),
        Some((AttemptState::Created, _)) => StartResult::Accepted(Vec::new()),
        Some((AttemptState::Ended, false)) => StartResult::Abandoned(vec![left()]),
        Some((AttemptState::Ended, true) | (AttemptState::Orphaned, _)) | None => {
            StartResult::Abandoned(Vec::new())
        }
    }
}
