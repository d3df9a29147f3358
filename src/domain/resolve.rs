//! What is decided about money that needed a look: by a person, or by the merchant's policy.

use port::{AttentionId, Failure, Money, PaymentId, PaymentStatus, Timestamp};

use super::aggregate::OrderAggregate;
use super::error::DomainError;
use super::event::{Event, Ids};
use super::observe::raise;
use super::operate::{is_refunded_or_voided, operable, refund_or_void, refused};
use super::order::PaymentSource;
use super::payment::{
    Attention, AttentionCode, AttentionDecision, Operation, OperationKind, Payment, RefundOrigin, Resolution,
};
use super::submit::{proves, submission, unmet};

/// Closes an attention and does what was decided about its money.
///
/// # Errors
/// A [`DomainError`]; then it stays open.
pub fn resolve(
    order: &OrderAggregate,
    attention: AttentionId,
    with: &Resolution,
    now: Timestamp,
    ids: &mut Ids<'_>,
) -> Result<Vec<Event>, DomainError> {
    let found = order.attention(attention).filter(|attention| attention.resolved_at.is_none());
    let open = found.ok_or(DomainError::TooLate("it was decided already"))?;
    let follows = match with.decision {
        AttentionDecision::Keep => keep_payment(order, open)?,
        AttentionDecision::Refund => refund_payment(order, open, now, ids)?,
        AttentionDecision::Dismiss => dismiss(order, open),
    };
    let resolved = Event::AttentionResolved { attention, decision: with.decision, note: with.note.clone() };
    Ok(std::iter::once(resolved).chain(follows).collect())
}

/// The money counts: late, but right and alone, it submits the order that still waits for it.
fn keep_payment(order: &OrderAggregate, open: &Attention) -> Result<Vec<Event>, DomainError> {
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
        Ok(submission(&order.header, PaymentSource::Session(session.id)))
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
fn refund_payment(
    order: &OrderAggregate,
    open: &Attention,
    now: Timestamp,
    ids: &mut Ids<'_>,
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
    refund_or_void(order, payment, open.code.as_str(), now, ids)
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
        refused: Some(paid()),
    });
    let asked = Event::OperationRequested { payment: payment.id, operation, closing: None };
    Ok(stopped.into_iter().chain(std::iter::once(asked)).collect())
}

/// Nothing is done. An operation that nobody knows the outcome of is taken as not done; if it shows later after
/// all, it counts as made in the provider's portal.
fn dismiss(order: &OrderAggregate, open: &Attention) -> Vec<Event> {
    let told_of = |payment: &&Payment| {
        payment.operation.as_ref().is_some_and(|operation| operation.since <= open.raised_at)
    };
    let unsure = payment_of(order, open).filter(told_of);
    let not_done = Failure { code: None, text: Some("a person took it as not done".to_owned()) };
    let unsure = unsure.filter(|_| open.code == AttentionCode::OutcomeUnknown);
    unsure.map(|payment| refused(order, payment.id, not_done)).unwrap_or_default()
}

fn payment_of<'a>(order: &'a OrderAggregate, open: &Attention) -> Option<&'a Payment> {
    open.payment.and_then(|id| order.payment(id))
}

/// The provider refuses the operation under way. If it was to give money back that no order goes on with, nobody
/// else is told of that, so a person is.
pub fn not_refunded(
    order: &OrderAggregate,
    payment: PaymentId,
    now: Timestamp,
    ids: &mut Ids<'_>,
) -> Vec<Event> {
    let operation = order.payment(payment).and_then(|payment| payment.operation.as_ref());
    let Some(operation) = operation else { return Vec::new() };
    let decided = |attention: &Attention| {
        let refund =
            attention.resolution.as_ref().is_some_and(|with| with.decision == AttentionDecision::Refund);
        refund && attention.payment == Some(payment)
    };
    let ours = match operation.kind {
        OperationKind::Refund => {
            let policy = |id| order.refund(id).is_some_and(|refund| refund.origin == RefundOrigin::Policy);
            // Who ended the order counted on the refund that was under way.
            order.header.state.refunds_payments() || operation.refund.is_none_or(policy)
        }
        OperationKind::Void => order.header.state.is_final() || order.attention.iter().any(decided),
        OperationKind::Close | OperationKind::Capture => false,
    };
    if !ours {
        return Vec::new();
    }
    let detail = format!("the provider refused the {}", operation.kind.as_str());
    raise(order, AttentionCode::RefundNeeded, Some(payment), detail, None, now, ids)
}
