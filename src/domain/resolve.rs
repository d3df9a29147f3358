//! Resolves attention, as decided by a person or by the refund policy.

use port::{AttentionId, Failure, Money, PaymentStatus};

use super::Context;
use super::aggregate::OrderAggregate;
use super::error::DomainError;
use super::event::Event;
use super::operate::{self, declined, operable};
use super::order::PaymentProof;
use super::payment::{
    Attention, AttentionCode, AttentionDecision, Operation, OperationKind, Payment, Resolution,
};
use super::payment_proof::{ensure_met, is_refunded_or_voided, proves, submission};

/// Resolves an attention and does what was decided.
pub fn resolve(
    context: &mut Context<'_>,
    attention: AttentionId,
    with: &Resolution,
) -> Result<Vec<Event>, DomainError> {
    let order = context.order;
    let found = order.attention(attention).filter(|attention| attention.resolved_at.is_none());
    let open = found.ok_or(DomainError::TooLate("it is resolved already"))?;
    let payment = order.payment(open.payment).ok_or(DomainError::Damaged(order.id()))?;
    let follows = match with.decision {
        AttentionDecision::Keep => keep(order, open, payment)?,
        AttentionDecision::Refund => refund_or_void(context, open, payment)?,
        AttentionDecision::Dismiss => dismiss(order, open, payment),
    };
    let resolved = Event::AttentionResolved { attention, decision: with.decision, note: with.note.clone() };
    Ok(std::iter::once(resolved).chain(follows).collect())
}

/// KEEP: a late payment of the right amount submits the order, if it is the only money and the order still waits.
fn keep(order: &OrderAggregate, open: &Attention, payment: &Payment) -> Result<Vec<Event>, DomainError> {
    let late = matches!(open.code, AttentionCode::LatePayment | AttentionCode::DuplicatePayment);
    let session = order.session_of(payment).filter(|_| late && could_pay(order, payment));
    let Some(session) = session else { return Ok(Vec::new()) };
    if order.open_session().is_some() {
        return Err(DomainError::SessionOpen);
    }
    if payment.status() == PaymentStatus::Authorized && payment.capture == port::CaptureMode::Automatic {
        return Err(DomainError::TooLate("the money is only authorized; capture it first"));
    }
    ensure_met(&order.header, Some(session), false, true)?;
    Ok(submission(&order.header, PaymentProof::Session(session.id), None))
}

/// Whether this payment can pay an unsubmitted order: it is the whole price, and no other payment holds money.
fn could_pay(order: &OrderAggregate, payment: &Payment) -> bool {
    let header = &order.header;
    let right = header.price.is_some_and(|price| Money::new(price.total, price.currency) == payment.money);
    let other = order.payments.iter().any(|other| other.id != payment.id && other.state.holds_money());
    header.state.is_unsubmitted()
        && right
        && !other
        && proves(payment.status())
        && !is_refunded_or_voided(order, payment)
}

/// REFUND: an authorization is voided, captured money refunded.
fn refund_or_void(
    context: &mut Context<'_>,
    open: &Attention,
    payment: &Payment,
) -> Result<Vec<Event>, DomainError> {
    let order = context.order;
    if open.code == AttentionCode::AmountMismatch {
        return refund_stated(context, open, payment);
    }
    if is_refunded_or_voided(order, payment) {
        return Ok(Vec::new());
    }
    if !payment.state.holds_money() {
        return Err(DomainError::TooLate("the payment has no money to refund or void"));
    }
    operate::refund_or_void(context, payment, open.code.as_str())
}

/// A payment with the wrong amount has no captured amount in its state, so it cannot have a refund record. The
/// operation alone carries the amount that the provider states, and finishes once that is refunded.
fn refund_stated(
    context: &Context<'_>,
    open: &Attention,
    payment: &Payment,
) -> Result<Vec<Event>, DomainError> {
    // A paid checkout cannot be closed: the refund replaces a pending close.
    let closing = payment.pending(OperationKind::Close);
    if closing.is_none() {
        operable(context.order, payment.id)?;
    }
    let clear = |stated: &Money| {
        stated.currency == payment.money.currency && stated.minor > 0 && !payment.state.holds_money()
    };
    let stated = open.stated.ok_or(DomainError::TooLate("the provider states no captured money"))?;
    if !clear(&stated) {
        return Err(DomainError::TooLate("the stated amount has to be refunded at the provider itself"));
    }
    if !payment.capabilities.refunds {
        return Err(DomainError::Unsupported("refund"));
    }
    let operation = Operation::new(OperationKind::Refund, Some(stated.minor), 0, context.now);
    let paid = || Failure { code: None, text: Some("it was paid with another amount".to_owned()) };
    let stopped = closing.map(|closing| payment.finished(closing.clone(), Some(paid())));
    Ok(stopped.into_iter().chain([payment.requested(operation, None)]).collect())
}

/// DISMISS: nothing is sent. An operation of unknown outcome is recorded as declined; if its effect shows later, it
/// counts as made in the provider's portal.
fn dismiss(order: &OrderAggregate, open: &Attention, payment: &Payment) -> Vec<Event> {
    let raised = |since| since <= open.raised_at && open.code == AttentionCode::OutcomeUnknown;
    if !payment.operation.as_ref().is_some_and(|operation| raised(operation.since)) {
        return Vec::new();
    }
    let text = Some("a person decided that it was not done".to_owned());
    declined(order, payment.id, Failure { code: None, text })
}
