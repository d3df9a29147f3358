//! Raises attention, unless the same case is already open or was resolved before.

use std::time::Duration;

use port::{AttemptId, CaptureMode, Money, PaymentId, Timestamp};

use super::Context;
use super::aggregate::OrderAggregate;
use super::event::Event;
use super::payment::{Attention, AttentionCode, AttentionDecision, OperationKind, RefundOrigin};
use super::session::AttemptState;

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

    /// Raises OUTCOME_UNKNOWN, unless it was raised before for what was sent at `since`.
    fn raise_unknown(&mut self, payment: PaymentId, what: &str, since: Timestamp) -> Option<Event> {
        let code = AttentionCode::OutcomeUnknown;
        let known = self.order.attention.iter().any(|attention| {
            attention.code == code && attention.payment == payment && attention.raised_at >= since
        });
        let detail = || format!("whether {what} took effect is not known");
        if known { None } else { self.raise(code, payment, detail()) }
    }
}

/// Raises attention on an operation whose outcome has been unknown for `limit` or longer.
pub fn operation_unknown(context: &mut Context<'_>, payment: PaymentId, limit: Duration) -> Option<Event> {
    let operation = context.order.payment(payment)?.operation.as_ref()?;
    let overdue = context.now.since(operation.since) >= limit;
    overdue.then(|| context.raise_unknown(payment, operation.kind.as_str(), operation.since)).flatten()
}

/// Raises attention on a start whose outcome has been unknown for `limit` or longer.
pub fn start_unknown(context: &mut Context<'_>, attempt: AttemptId, limit: Duration) -> Option<Event> {
    let attempt = context.order.attempt(attempt)?;
    let overdue = attempt.state == AttemptState::Started && context.now.since(attempt.started_at) >= limit;
    overdue.then(|| context.raise_unknown(attempt.payment, "the start", attempt.started_at)).flatten()
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
