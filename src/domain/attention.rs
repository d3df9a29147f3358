//! Raises attention, unless the same case is already open or was resolved before.

use port::{AttemptId, CaptureMode, Money, PaymentId, Timestamp};

use super::Context;
use super::aggregate::OrderAggregate;
use super::event::Event;
use super::jobs::UNKNOWN_LIMIT;
use super::payment::{Attention, AttentionCode, AttentionDecision, OperationKind, Payment, RefundOrigin};
use super::session::{Attempt, AttemptState};

impl Context<'_> {
    /// Raises attention, unless it is known, as `raise_stated` does without a stated amount.
    pub fn raise(
        &mut self,
        code: AttentionCode,
        payment: PaymentId,
        detail: impl Into<String>,
    ) -> Option<Event> {
        self.raise_stated(code, payment, detail, None)
    }

    /// Raises attention unless the same one exists. While one is open for the payment and code, it is raised again only
    /// if the provider now states an amount for the first time. A code that each read repeats (`is_sticky`) is not
    /// raised again with the same detail, even after it was resolved, unless a newer report was accepted since: then it
    /// may be a new case.
    pub(super) fn raise_stated(
        &mut self,
        code: AttentionCode,
        payment: PaymentId,
        detail: impl Into<String>,
        stated: Option<Money>,
    ) -> Option<Event> {
        let detail = detail.into();
        let accepted_at = self.order.payment(payment).map(|payment| payment.reported_at);
        let known = |attention: &Attention| {
            let same_text = attention.detail == detail && attention.stated == stated;
            let states_money = attention.stated.is_some() || stated.is_none();
            let newer_report =
                code.rejects_report() && accepted_at.is_some_and(|at| at > attention.raised_at);
            let known_already = (attention.resolved_at.is_none() && states_money)
                || (code.is_sticky() && same_text && !newer_report);
            attention.code == code && attention.payment == payment && known_already
        };
        if self.order.attention.iter().any(known) {
            return None;
        }
        let (id, raised_at) = (self.attention_id(), self.now);
        let (resolved_at, resolution) = (None, None);
        let raised = Attention { id, code, payment, detail, stated, raised_at, resolved_at, resolution };
        Some(Event::AttentionRaised(raised))
    }
}

/// What of a payment has an unknown outcome, and since when, unless attention was raised about it.
pub(super) fn unreported_unknown(
    order: &OrderAggregate,
    payment: &Payment,
) -> Option<(&'static str, Timestamp)> {
    let started =
        |attempt: &&Attempt| attempt.payment == payment.id && attempt.state == AttemptState::Started;
    let start = || order.attempts.iter().find(started).map(|attempt| ("the start", attempt.started_at));
    let operation = payment.operation.as_ref().map(|operation| (operation.kind.as_str(), operation.since));
    let (what, since) = operation.or_else(start)?;
    let reported = |raised: &Attention| {
        let about = raised.code == AttentionCode::OutcomeUnknown && raised.payment == payment.id;
        about && (raised.resolved_at.is_none() || raised.raised_at >= since)
    };
    (!order.attention.iter().any(reported)).then_some((what, since))
}

/// Since when the provider's answers about a payment cannot be read, counted anew once a person has looked; `None` if
/// they can be, or attention about it waits for a person.
pub fn unreported_unreadable(order: &OrderAggregate, payment: &Payment) -> Option<Timestamp> {
    let since = order.attempt(payment.attempt?)?.unreadable_since?;
    let about =
        |raised: &&Attention| raised.code == AttentionCode::UnreadableAnswer && raised.payment == payment.id;
    let raised = order.attention.iter().filter(about);
    raised.map(|raised| raised.resolved_at).try_fold(since, |since, resolved| Some(since.max(resolved?)))
}

/// What has to become of an answer that could not be read (`readable` false) or could be: nothing, if that was known.
pub fn readability(order: &OrderAggregate, attempt: AttemptId, readable: bool) -> Option<Event> {
    let was_readable = order.attempt(attempt)?.unreadable_since.is_none();
    match (was_readable, readable) {
        (true, false) => Some(Event::AnswerUnreadable { attempt }),
        (false, true) => Some(Event::AnswerReadable { attempt }),
        _ => None,
    }
}

/// Raises attention on a payment whose start or operation has had an unknown outcome for [`UNKNOWN_LIMIT`], or whose
/// provider's answers have not been readable for as long.
pub fn report_unknown(context: &mut Context<'_>, payment: PaymentId) -> Vec<Event> {
    let (order, now) = (context.order, context.now);
    let Some(found) = order.payment(payment) else { return Vec::new() };
    let overdue = |since: &Timestamp| now.since(*since) >= UNKNOWN_LIMIT;
    let mut events = Vec::new();
    if let Some((what, _)) = unreported_unknown(order, found).filter(|(_, since)| overdue(since)) {
        let detail = format!("whether {what} took effect is not known");
        events.extend(context.raise(AttentionCode::OutcomeUnknown, payment, detail));
    }
    if unreported_unreadable(order, found).filter(overdue).is_some() {
        let detail =
            "what the provider answers about this payment cannot be read, so what happens to it is not known";
        events.extend(context.raise(AttentionCode::UnreadableAnswer, payment, detail));
    }
    events
}

/// Raises attention if the declined operation was the capture of an unexpected authorization.
pub fn capture_declined(context: &mut Context<'_>, payment: PaymentId) -> Option<Event> {
    let payment = context.order.payment(payment)?;
    payment.pending(OperationKind::Capture).filter(|_| payment.capture == CaptureMode::Automatic)?;
    let detail = "authorized although it was to be captured at once, and the provider declined the CAPTURE";
    context.raise(AttentionCode::UnexpectedHold, payment.id, detail)
}

/// DUPLICATE_PAYMENT if another payment of the order holds money, else LATE_PAYMENT.
pub(super) fn late_code(order: &OrderAggregate, payment: PaymentId) -> AttentionCode {
    let another = order.payments.iter().any(|other| other.id != payment && other.state.holds_money());
    if another { AttentionCode::DuplicatePayment } else { AttentionCode::LatePayment }
}

/// Raises attention if the declined operation was to return money that no order needs: no merchant request is waiting
/// for that answer.
pub fn return_declined(context: &mut Context<'_>, payment: PaymentId) -> Option<Event> {
    let order = context.order;
    let operation = order.payment(payment)?.operation.as_ref()?;
    let decided = |attention: &Attention| {
        let refund =
            attention.resolution.as_ref().is_some_and(|with| with.decision == AttentionDecision::Refund);
        refund && attention.payment == payment
    };
    let nobody_waits = match operation.kind {
        OperationKind::Refund => {
            let policy = |id| order.refund(id).is_some_and(|refund| refund.origin == RefundOrigin::Policy);
            // An order that was cancelled or expired relies on the refund that was pending.
            order.header.state.refunds_payments() || operation.refund.is_none_or(policy)
        }
        OperationKind::Void => order.header.state.is_final() || order.attention.iter().any(decided),
        OperationKind::Close | OperationKind::Capture => false,
    };
    let detail = format!("the provider declined the {}", operation.kind.as_str());
    if nobody_waits { context.raise(AttentionCode::RefundNeeded, payment, detail) } else { None }
}
