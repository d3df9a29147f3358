//! How a session ends without money.

use port::PaymentId;

use super::aggregate::OrderAggregate;
use super::event::Event;
use super::order::OrderState;
use super::payment::{Operation, OperationKind, Payment};
use super::session::{FailureCode, Session, SessionFailure, SessionStatus};

/// The session ends without money, and the order is a cart again.
pub(super) fn end(order: &OrderAggregate, session: &Session, failure: SessionFailure) -> Vec<Event> {
    if !session.status.is_open() {
        return Vec::new();
    }
    let reason = Some(format!("the payment session ended: {}", failure_text(failure.code)));
    let mut events = Vec::new();
    let operation =
        order.payment(session.payment).and_then(|payment| Some((payment.id, payment.operation.clone()?)));
    if let Some((payment, operation)) = operation {
        events.push(Event::OperationFinished { payment, operation, declined: None });
    }
    let (from, to) = (session.status, SessionStatus::Failed);
    events.push(Event::SessionStatusChanged { session: session.id, from, to, failure: Some(failure) });
    if order.header.state == OrderState::PendingPayment {
        events.push(Event::OrderStateChanged {
            from: OrderState::PendingPayment,
            to: OrderState::Pending,
            reason,
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

/// The gateway closes a session by itself: its provider has no such call, was asked, and took nothing.
pub fn closed_by_gateway(order: &OrderAggregate, payment: PaymentId) -> Vec<Event> {
    let Some((payment, operation)) = pending(order, payment) else { return Vec::new() };
    let session = payment.session.and_then(|id| order.session(id));
    let code = session.and_then(|session| session.closing);
    match (operation.kind, session, code) {
        (OperationKind::Close, Some(session), Some(code)) if !payment.state.holds_money() => {
            let last = session.failure.clone().unwrap_or_else(|| SessionFailure::new(code, None, false));
            end(order, session, SessionFailure { code, retryable: false, ..last })
        }
        _ => Vec::new(),
    }
}

pub(super) fn pending(order: &OrderAggregate, payment: PaymentId) -> Option<(&Payment, Operation)> {
    let payment = order.payment(payment)?;
    Some((payment, payment.operation.clone()?))
}
