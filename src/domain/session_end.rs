//! Ends a session without payment.

use port::{PaymentId, SessionId};

use super::aggregate::OrderAggregate;
use super::event::Event;
use super::order::OrderState;
use super::payment::OperationKind;
use super::session::{FailureCode, Session, SessionFailure, SessionStatus};

/// The session fails and the order is a cart again.
pub(super) fn end(order: &OrderAggregate, session: &Session, failure: SessionFailure) -> Vec<Event> {
    if !session.status.is_open() {
        return Vec::new();
    }
    let payment = order.payment(session.payment);
    let operation = payment.and_then(|payment| Some(payment.finished(payment.operation.clone()?, None)));
    let mut events: Vec<_> = operation.into_iter().collect();
    let reason = format!("the payment session ended: {}", failure_text(failure.code));
    events.push(session.changed(SessionStatus::Failed, Some(failure)));
    if order.header.state == OrderState::PendingPayment {
        events.push(order.header.moved(OrderState::Pending, Some(&reason)));
    }
    events
}

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

/// Why a session has failed whose customer has come back by the cancel redirect after that was read: they left, unless
/// the provider has stated a decline, or the session was being closed.
pub fn left_by_customer(order: &OrderAggregate, session: SessionId) -> Option<Event> {
    let session = order.session(session)?;
    let failure = session.failure.as_ref().filter(|failure| failure.may_be_left())?;
    let declined = || order.payment(session.payment).is_none_or(|payment| payment.failure.is_some());
    let open_question = session.status == SessionStatus::Failed && session.closing.is_none() && !declined();
    let left = SessionFailure { code: FailureCode::CancelledByCustomer, ..failure.clone() };
    open_question.then(|| session.changed(SessionStatus::Failed, Some(left)))
}

/// The gateway ends a session itself: its provider cannot close it, was read, and has captured nothing.
pub fn closed_by_gateway(order: &OrderAggregate, payment: PaymentId) -> Vec<Event> {
    let closing = || {
        let payment = order.payment(payment).filter(|payment| !payment.state.holds_money())?;
        payment.pending(OperationKind::Close)?;
        let session = order.session_of(payment)?;
        Some((session, session.closing?))
    };
    let Some((session, code)) = closing() else { return Vec::new() };
    let last = session.failure.clone().unwrap_or_else(|| SessionFailure::new(code, None, false));
    end(order, session, SessionFailure { code, retryable: false, ..last })
}
