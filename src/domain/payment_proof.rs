//! Which payment proofs an order needs, and whether a session is a valid one.

use port::{Money, PaymentStatus, ProfileSessionId, SessionId};

use super::aggregate::OrderAggregate;
use super::error::DomainError;
use super::event::Event;
use super::order::{OrderHeader, OrderState, PaymentProof, Requirement};
use super::payment::{OperationKind, Payment};
use super::session::{Session, SessionStatus};

/// The session, if it belongs to this order, is completed and unused, and its money is still there and is enough.
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
    let pays = |payment: &Payment| proves(payment.status()) && !is_refunded_or_voided(order, payment);
    if order.payment(session.payment).is_some_and(pays) {
        Ok(session)
    } else {
        Err(DomainError::SessionUnusable("its money was refunded, lost or is disputed"))
    }
}

/// Whether a payment in this status pays for an order.
pub(super) fn proves(status: PaymentStatus) -> bool {
    matches!(status, PaymentStatus::Authorized | PaymentStatus::Paid | PaymentStatus::PartiallyRefunded)
}

/// Refuses unless the order's requirements are met. `pays` says whether a payment proof is given, `profile` whether a
/// proof of a payment profile is; a session is one if the provider has shown a method.
pub(super) fn ensure_met(
    header: &OrderHeader,
    session: Option<&Session>,
    profile: bool,
    pays: bool,
) -> Result<(), DomainError> {
    let Some(needs) = header.requirements else {
        return Err(DomainError::RequirementUnmet(vec!["requiresPayment"]));
    };
    let shown = session.is_some_and(|session| session.profile_found == Some(true));
    let mut missing = Vec::new();
    if needs.requires_payment == Requirement::Required && !pays {
        missing.push("requiresPayment");
    }
    if header.requires_profile() && !shown && !profile {
        missing.push("requiresPaymentProfile");
    }
    if needs.requires_signing == Requirement::Required && header.signature.is_none() {
        missing.push("requiresSigning");
    }
    if missing.is_empty() { Ok(()) } else { Err(DomainError::RequirementUnmet(missing)) }
}

/// The events that submit an order; it then waits for approval or is processed.
pub(super) fn submission(
    header: &OrderHeader,
    source: PaymentProof,
    profile_session: Option<ProfileSessionId>,
) -> Vec<Event> {
    let next =
        if header.content.requires_approval { OrderState::PendingApproval } else { OrderState::Processing };
    vec![
        Event::PaymentProofUsed { source, profile_session },
        header.moved(OrderState::Submitted, None),
        Event::OrderStateChanged { from: OrderState::Submitted, to: next, reason: None },
    ]
}

/// Whether a pending void, pending refunds, or both already return all of its money.
pub(super) fn is_refunded_or_voided(order: &OrderAggregate, payment: &Payment) -> bool {
    let left = payment.state.captured - payment.state.refunded();
    let voided = payment.pending(OperationKind::Void).is_some();
    left <= order.reserved(payment.id) && (voided || left > 0)
}
