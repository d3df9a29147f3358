//! What is decided about money that needed a look: by a person, or by the merchant's policy.

use port::{AttentionId, Failure, Money, PaymentId, PaymentStatus, Timestamp};

use super::event::{Fact, Ids};
use super::file::OrderFile;
use super::observe::raise;
use super::operate::{give_back_payment, is_given_back, operable, refused};
use super::order::Proof;
use super::payment::{
    Attention, AttentionCode, Decision, Operation, OperationKind, Payment, RefundOrigin, Resolution,
};
use super::refusal::Refusal;
use super::submit::{proves, submission, unmet};

/// Closes an attention and does what was decided about its money.
///
/// # Errors
/// A [`Refusal`]; then it stays open.
pub fn resolve(
    file: &OrderFile,
    attention: AttentionId,
    with: &Resolution,
    now: Timestamp,
    ids: &mut Ids<'_>,
) -> Result<Vec<Fact>, Refusal> {
    let found = file.attention(attention).filter(|told| told.resolved_at.is_none());
    let open = found.ok_or(Refusal::TooLate("it was decided already"))?;
    let follows = match with.decision {
        Decision::Keep => keep(file, open)?,
        Decision::Refund => give_back(file, open, now, ids)?,
        Decision::Dismiss => dismiss(file, open),
    };
    let resolved = Fact::AttentionResolved { attention, decision: with.decision, note: with.note.clone() };
    Ok(std::iter::once(resolved).chain(follows).collect())
}

/// The money counts: late, but right and alone, it submits the order that still waits for it.
fn keep(file: &OrderFile, open: &Attention) -> Result<Vec<Fact>, Refusal> {
    let late = matches!(open.code, AttentionCode::LatePayment | AttentionCode::DuplicatePayment);
    let payment = payment_of(file, open).filter(|payment| late && could_pay(file, payment));
    let Some(payment) = payment else { return Ok(Vec::new()) };
    let Some(session) = payment.session.and_then(|id| file.session(id)) else { return Ok(Vec::new()) };
    if file.open_session().is_some() {
        return Err(Refusal::SessionOpen);
    }
    if payment.status() == PaymentStatus::Authorized && payment.capture == port::CaptureMode::Automatic {
        return Err(Refusal::TooLate("the money is only held; capture it first"));
    }
    let missing = unmet(&file.order, Some(session), false, true);
    if missing.is_empty() {
        Ok(submission(&file.order, Proof::Session(session.id)))
    } else {
        Err(Refusal::RequirementUnmet(missing))
    }
}

/// Whether an order that is not submitted could be paid with this payment: the whole price, and no other money.
fn could_pay(file: &OrderFile, payment: &Payment) -> bool {
    let order = &file.order;
    let right = order.price.is_some_and(|price| Money::new(price.total, price.currency) == payment.money);
    let other = file.payments.iter().any(|other| other.id != payment.id && other.standing.holds_money());
    order.state.is_unsubmitted()
        && right
        && !other
        && proves(payment.status())
        && !is_given_back(file, payment)
}

/// What the provider holds is released, what it took is refunded.
fn give_back(
    file: &OrderFile,
    open: &Attention,
    now: Timestamp,
    ids: &mut Ids<'_>,
) -> Result<Vec<Fact>, Refusal> {
    let payment = payment_of(file, open).ok_or(Refusal::TooLate("it is about no payment"))?;
    if open.code == AttentionCode::AmountMismatch {
        return give_back_stated(file, payment, open, now);
    }
    if is_given_back(file, payment) {
        return Ok(Vec::new());
    }
    if !payment.standing.holds_money() {
        return Err(Refusal::TooLate("the payment holds no money that could be given back"));
    }
    give_back_payment(file, payment, open.code.as_str(), now, ids)
}

/// What is not as it was asked sets no fact, so no refund of ours can stand for it: the operation alone carries
/// what the provider states, and ends when that is seen to have gone back.
fn give_back_stated(
    file: &OrderFile,
    payment: &Payment,
    open: &Attention,
    now: Timestamp,
) -> Result<Vec<Fact>, Refusal> {
    // A page that was paid cannot be closed: what goes back takes the place of closing it.
    let closing = payment.operation.clone().filter(|operation| operation.kind == OperationKind::Close);
    if closing.is_none() {
        operable(file, payment.id)?;
    }
    let clear = |stated: &Money| {
        stated.currency == payment.money.currency && stated.minor > 0 && !payment.standing.holds_money()
    };
    let stated = open.stated.ok_or(Refusal::TooLate("the provider has stated no money that it took"))?;
    if !clear(&stated) {
        return Err(Refusal::TooLate("what is stated has to be given back at the provider itself"));
    }
    if !payment.powers.refunds {
        return Err(Refusal::Unsupported("refund"));
    }
    let (kind, amount) = (OperationKind::Refund, Some(stated.minor));
    let operation = Operation::new(kind, amount, 0, now);
    let paid = || Failure { code: None, text: Some("it was paid over another amount".to_owned()) };
    let stopped = closing.map(|operation| Fact::OperationEnded {
        payment: payment.id,
        operation,
        refused: Some(paid()),
    });
    let asked = Fact::OperationAsked { payment: payment.id, operation, closing: None };
    Ok(stopped.into_iter().chain(std::iter::once(asked)).collect())
}

/// Nothing is done. An operation that nobody knows the outcome of is taken as not done; if it shows later after
/// all, it counts as made in the provider's portal.
fn dismiss(file: &OrderFile, open: &Attention) -> Vec<Fact> {
    let told_of = |payment: &&Payment| {
        payment.operation.as_ref().is_some_and(|operation| operation.since <= open.raised_at)
    };
    let unsure = payment_of(file, open).filter(told_of);
    let not_done = Failure { code: None, text: Some("a person took it as not done".to_owned()) };
    let unsure = unsure.filter(|_| open.code == AttentionCode::OutcomeUnknown);
    unsure.map(|payment| refused(file, payment.id, not_done)).unwrap_or_default()
}

fn payment_of<'a>(file: &'a OrderFile, open: &Attention) -> Option<&'a Payment> {
    open.payment.and_then(|id| file.payment(id))
}

/// The provider refuses the operation under way. If it was to give money back that no order goes on with, nobody
/// else is told of that, so a person is.
pub fn not_given_back(file: &OrderFile, payment: PaymentId, now: Timestamp, ids: &mut Ids<'_>) -> Vec<Fact> {
    let operation = file.payment(payment).and_then(|payment| payment.operation.as_ref());
    let Some(operation) = operation else { return Vec::new() };
    let decided = |told: &Attention| {
        let refund = told.resolution.as_ref().is_some_and(|with| with.decision == Decision::Refund);
        refund && told.payment == Some(payment)
    };
    let ours = match operation.kind {
        OperationKind::Refund => {
            let policy = |id| file.refund(id).is_some_and(|refund| refund.origin == RefundOrigin::Policy);
            // Who ended the order counted on the refund that was under way.
            file.order.state.gives_back() || operation.refund.is_none_or(policy)
        }
        OperationKind::Void => file.order.state.is_final() || file.attention.iter().any(decided),
        OperationKind::Close | OperationKind::Capture => false,
    };
    if !ours {
        return Vec::new();
    }
    let detail = format!("the provider refused the {}", operation.kind.as_str());
    raise(file, AttentionCode::RefundNeeded, Some(payment), detail, None, now, ids)
}
