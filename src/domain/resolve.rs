//! What is decided about money that needed a look: by a person, or by the merchant's policy.

use port::{AttentionId, Failure, Money, PaymentStatus, Timestamp};

use super::aggregate::OrderAggregate;
use super::error::DomainError;
use super::event::Event;
use super::ids::NewIds;
use super::operate::{self, declined, operable};
use super::order::PaymentSource;
use super::payment::{
    Attention, AttentionCode, AttentionDecision, Operation, OperationKind, Payment, Resolution,
};
use super::payment_proof::{is_refunded_or_voided, proves, submission, unmet};

/// Closes an attention and does what was decided about its money.
///
/// # Errors
/// A [`DomainError`]; then it stays open.
pub fn resolve(
    order: &OrderAggregate,
    attention: AttentionId,
    with: &Resolution,
    now: Timestamp,
    ids: &mut NewIds,
) -> Result<Vec<Event>, DomainError> {
    let found = order.attention(attention).filter(|attention| attention.resolved_at.is_none());
    let open = found.ok_or(DomainError::TooLate("it was decided already"))?;
    let follows = match with.decision {
        AttentionDecision::Keep => keep(order, open)?,
        AttentionDecision::Refund => refund_or_void(order, open, now, ids)?,
        AttentionDecision::Dismiss => dismiss(order, open),
    };
    let resolved = Event::AttentionResolved { attention, decision: with.decision, note: with.note.clone() };
    Ok(std::iter::once(resolved).chain(follows).collect())
}

/// The money counts: late, but right and alone, it submits the order that still waits for it.
fn keep(order: &OrderAggregate, open: &Attention) -> Result<Vec<Event>, DomainError> {
    let late = matches!(open.code, AttentionCode::LatePayment | AttentionCode::DuplicatePayment);
    let payment = payment_of(order, open).filter(|payment| late && could_pay(order, payment));
    let Some(payment) = payment else { return Ok(Vec::new()) };
    let Some(session) = payment.session.and_then(|id| order.session(id)) else { return Ok(Vec::new()) };
    if order.open_session().is_some() {
        return Err(DomainError::SessionOpen);
    }
    if payment.status() == PaymentStatus::Authorized && payment.capture == port::CaptureMode::Automatic {
        return Err(DomainError::TooLate("the money is only held; capture it first"));
    }
    let missing = unmet(&order.header, Some(session), false, true);
    if missing.is_empty() {
        Ok(submission(&order.header, PaymentSource::Session(session.id), None))
    } else {
        Err(DomainError::RequirementUnmet(missing))
    }
}

/// Whether an order that is not submitted could be paid with this payment: the whole price, and no other money.
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

/// What the provider holds is released, what it took is refunded.
fn refund_or_void(
    order: &OrderAggregate,
    open: &Attention,
    now: Timestamp,
    ids: &mut NewIds,
) -> Result<Vec<Event>, DomainError> {
    let payment = payment_of(order, open).ok_or(DomainError::TooLate("it is about no payment"))?;
    if open.code == AttentionCode::AmountMismatch {
        return refund_stated(order, payment, open, now);
    }
    if is_refunded_or_voided(order, payment) {
        return Ok(Vec::new());
    }
    if !payment.state.holds_money() {
        return Err(DomainError::TooLate("the payment holds no money that could be given back"));
    }
    operate::refund_or_void(order, payment, open.code.as_str(), now, ids)
}

/// What is not as it was asked sets no fact, so no refund of ours can stand for it: the operation alone carries
/// what the provider states, and ends when that is seen to have gone back.
fn refund_stated(
    order: &OrderAggregate,
    payment: &Payment,
    open: &Attention,
    now: Timestamp,
) -> Result<Vec<Event>, DomainError> {
    // A page that was paid cannot be closed: what goes back takes the place of closing it.
    let closing = payment.operation.clone().filter(|operation| operation.kind == OperationKind::Close);
    if closing.is_none() {
        operable(order, payment.id)?;
    }
    let clear = |stated: &Money| {
        stated.currency == payment.money.currency && stated.minor > 0 && !payment.state.holds_money()
    };
    let stated = open.stated.ok_or(DomainError::TooLate("the provider has stated no money that it took"))?;
    if !clear(&stated) {
        return Err(DomainError::TooLate("what is stated has to be given back at the provider itself"));
    }
    if !payment.capabilities.refunds {
        return Err(DomainError::Unsupported("refund"));
    }
    let (kind, amount) = (OperationKind::Refund, Some(stated.minor));
    let operation = Operation::new(kind, amount, 0, now);
    let paid = || Failure { code: None, text: Some("it was paid over another amount".to_owned()) };
    let stopped = closing.map(|operation| Event::OperationFinished {
        payment: payment.id,
        operation,
        declined: Some(paid()),
    });
    let requested = Event::OperationRequested { payment: payment.id, operation, closing: None };
    Ok(stopped.into_iter().chain(std::iter::once(requested)).collect())
}

/// Nothing is done. An operation that nobody knows the outcome of is taken as not done; if it shows later after
/// all, it counts as made in the provider's portal.
fn dismiss(order: &OrderAggregate, open: &Attention) -> Vec<Event> {
    let is_flagged = |payment: &&Payment| {
        payment.operation.as_ref().is_some_and(|operation| operation.since <= open.raised_at)
    };
    let unsure = payment_of(order, open).filter(is_flagged);
    let not_done = Failure { code: None, text: Some("a person took it as not done".to_owned()) };
    let unsure = unsure.filter(|_| open.code == AttentionCode::OutcomeUnknown);
    unsure.map(|payment| declined(order, payment.id, not_done)).unwrap_or_default()
}

fn payment_of<'a>(order: &'a OrderAggregate, open: &Attention) -> Option<&'a Payment> {
    open.payment.and_then(|id| order.payment(id))
}
