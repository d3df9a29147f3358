//! What pays for an order: which session and payment prove that it may be submitted.

use port::{Money, PaymentStatus, ProfileSessionId, SessionId};

use super::aggregate::OrderAggregate;
use super::error::DomainError;
use super::event::Event;
use super::order::{OrderHeader, OrderState, PaymentSource, Requirement};
use super::payment::{OperationKind, Payment};
use super::session::{Session, SessionStatus};

/// The session, if it is this order's, completed, not used, and its money still stands and is enough.
pub(super) fn usable(order: &OrderAggregate, id: SessionId) -> Result<&Session, DomainError> {
    let session = order.session(id).ok_or(DomainError::SessionUnusable("it is not of this order"))?;
    if session.status != SessionStatus::Completed {
        return Err(DomainError::SessionUnusable("it is not COMPLETED"));
    }
    if session.used {
        return Err(DomainError::SessionUnusable("it was used already"));
    }
    if order.header.price.is_none_or(|price| Money::new(price.total, price.currency) != session.money) {
        return Err(DomainError::SessionUnusable("it is for another amount"));
    }
    let stands = |payment: &Payment| proves(payment.status()) && !is_refunded_or_voided(order, payment);
    if order.payment(session.payment).is_some_and(stands) {
        Ok(session)
    } else {
        Err(DomainError::SessionUnusable("its money was given back, lost or is contested"))
    }
}

/// Whether a payment in this status pays for an order.
pub(super) fn proves(status: PaymentStatus) -> bool {
    matches!(status, PaymentStatus::Authorized | PaymentStatus::Paid | PaymentStatus::PartiallyRefunded)
}

/// The requirements that are not met, by their names. `pays` says whether a payment proof is given.
pub(super) fn unmet(
    header: &OrderHeader,
    session: Option<&Session>,
    profile: bool,
    pays: bool,
) -> Vec<&'static str> {
    let Some(needs) = header.requirements else { return vec!["requiresPayment"] };
    let saved = session
        .and_then(|session| session.request.value())
        .is_some_and(|request| request.save_payment_profile);
    let mut missing = Vec::new();
    if needs.requires_payment == Requirement::Required && !pays {
        missing.push("requiresPayment");
    }
    if needs.requires_payment_profile == Requirement::Required && !saved && !profile {
        missing.push("requiresPaymentProfile");
    }
    if needs.requires_signing == Requirement::Required && header.signature.is_none() {
        missing.push("requiresSigning");
    }
    missing
}

/// The order is submitted, and waits for approval if it should.
pub(super) fn submission(
    header: &OrderHeader,
    source: PaymentSource,
    profile_session: Option<ProfileSessionId>,
) -> Vec<Event> {
    let next = if header.requires_approval { OrderState::PendingApproval } else { OrderState::Processing };
    vec![
        Event::PaymentSourceUsed { source, profile_session },
        Event::OrderStateChanged { from: header.state, to: OrderState::Submitted, reason: None },
        Event::OrderStateChanged { from: OrderState::Submitted, to: next, reason: None },
    ]
}

/// Whether a void or refunds that are under way already give all of it back.
pub(super) fn is_refunded_or_voided(order: &OrderAggregate, payment: &Payment) -> bool {
    let voided = payment.operation.as_ref().is_some_and(|operation| operation.kind == OperationKind::Void);
    let taken = payment.state.captured - payment.state.refunded();
    voided || (taken > 0 && taken <= order.reserved(payment.id))
}
