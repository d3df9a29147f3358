//! Raising attention: why a person should look, and when that is news.

use std::time::Duration;

use port::{AttemptId, CaptureMode, Money, PaymentId, Timestamp};

use super::aggregate::OrderAggregate;
use super::event::Event;
use super::ids::NewIds;
use super::payment::{Attention, AttentionCode, AttentionDecision, OperationKind, RefundOrigin};
use super::session::{Attempt, AttemptState};

/// Raises attention, once for a payment and a reason while it is open, and again if money that could go back is
/// stated first now; what every read would say again is not told a second time in the same words, even after a
/// person has looked. But what is not believed is news again once something else was believed meanwhile: it may be
/// about something that has happened since.
pub(super) fn raise(
    order: &OrderAggregate,
    code: AttentionCode,
    payment: Option<PaymentId>,
    detail: String,
    stated: Option<Money>,
    now: Timestamp,
    ids: &mut NewIds,
) -> Vec<Event> {
    let believed_at = payment.and_then(|id| order.payment(id)).map(|payment| payment.reported_at);
    let known = |attention: &Attention| {
        let same_text = attention.detail == detail && attention.stated == stated;
        let of_money = attention.stated.is_some() || stated.is_none();
        let anew = code.is_mistrust() && believed_at.is_some_and(|at| at > attention.raised_at);
        let known_already =
            (attention.resolved_at.is_none() && of_money) || (code.is_sticky() && same_text && !anew);
        attention.code == code && attention.payment == payment && known_already
    };
    if order.attention.iter().any(known) {
        return Vec::new();
    }
    let id = ids.attention();
    vec![Event::AttentionRaised(Attention {
        id,
        code,
        payment,
        detail,
        stated,
        raised_at: now,
        resolved_at: None,
        resolution: None,
    })]
}

/// Tells a person about an operation that stays unsure for longer than `limit`.
pub fn unsure(
    order: &OrderAggregate,
    payment: PaymentId,
    limit: Duration,
    now: Timestamp,
    ids: &mut NewIds,
) -> Vec<Event> {
    let operation = order.payment(payment).and_then(|payment| payment.operation.as_ref());
    let overdue = operation.filter(|operation| now.since(operation.since) >= limit);
    overdue
        .map(|overdue| unknown(order, payment, overdue.kind.as_str(), overdue.since, now, ids))
        .unwrap_or_default()
}

/// Tells a person about a start that stays unsure for longer than `limit`.
pub fn unsure_start(
    order: &OrderAggregate,
    attempt: AttemptId,
    limit: Duration,
    now: Timestamp,
    ids: &mut NewIds,
) -> Vec<Event> {
    let started =
        |record: &&Attempt| record.state == AttemptState::Started && now.since(record.started_at) >= limit;
    let record = order.attempt(attempt).filter(started);
    record
        .map(|record| unknown(order, record.payment, "the start", record.started_at, now, ids))
        .unwrap_or_default()
}

/// The outcome of something that was sent is not known. Whoever has looked at it `since` then is not asked again.
fn unknown(
    order: &OrderAggregate,
    payment: PaymentId,
    what: &str,
    since: Timestamp,
    now: Timestamp,
    ids: &mut NewIds,
) -> Vec<Event> {
    let code = AttentionCode::OutcomeUnknown;
    let of_it = |attention: &Attention| attention.payment == Some(payment) && attention.raised_at >= since;
    if order.attention.iter().any(|attention| attention.code == code && of_it(attention)) {
        return Vec::new();
    }
    raise(order, code, Some(payment), format!("whether {what} took effect is not known"), None, now, ids)
}

/// Tells a person that a provider asks for another amount, so that the start there was given up.
pub fn misquoted(
    order: &OrderAggregate,
    payment: PaymentId,
    detail: String,
    now: Timestamp,
    ids: &mut NewIds,
) -> Vec<Event> {
    raise(order, AttentionCode::AmountMismatch, Some(payment), detail, None, now, ids)
}

/// Tells a person that a provider sends the customer to an address that is no web page.
pub fn no_web_page(
    order: &OrderAggregate,
    payment: PaymentId,
    now: Timestamp,
    ids: &mut NewIds,
) -> Vec<Event> {
    let detail = "the provider's page has an address that is no web page".to_owned();
    raise(order, AttentionCode::Contradiction, Some(payment), detail, None, now, ids)
}

/// The provider refuses the operation under way. If it was to take a hold that nobody had asked for, a person is told.
pub fn not_captured(
    order: &OrderAggregate,
    payment: PaymentId,
    now: Timestamp,
    ids: &mut NewIds,
) -> Vec<Event> {
    let held = order.payment(payment).filter(|payment| {
        let kind = payment.operation.as_ref().map(|operation| operation.kind);
        kind == Some(OperationKind::Capture) && payment.capture == CaptureMode::Automatic
    });
    let detail = "held although it was to be taken at once, and the provider refused the CAPTURE".to_owned();
    held.map(|payment| raise(order, AttentionCode::UnexpectedHold, Some(payment.id), detail, None, now, ids))
        .unwrap_or_default()
}

/// DUPLICATE_PAYMENT if another payment of the order holds money, else LATE_PAYMENT.
pub(super) fn late_code(order: &OrderAggregate, payment: PaymentId) -> AttentionCode {
    let another = order.payments.iter().any(|other| other.id != payment && other.state.holds_money());
    if another { AttentionCode::DuplicatePayment } else { AttentionCode::LatePayment }
}

/// The provider refuses the operation under way. If it was to give money back that no order goes on with, nobody
/// else is told of that, so a person is.
pub fn not_refunded(
    order: &OrderAggregate,
    payment: PaymentId,
    now: Timestamp,
    ids: &mut NewIds,
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
