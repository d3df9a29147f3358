//! Turns one observation of a provider into the events of an order. A payment's state changes only here.
//!
//! The observation is joined into the payment's state; the pending operation, the session and the order then follow
//! from the payment. Notifications, returns, scheduled reads and answers to operations all go through here.

mod authorization;
mod effects;
mod reasons;

use port::{AttemptId, Detail, Money, Observation, PaymentId, PaymentMethod, PaymentStatus, StatusMapping};

use super::Context;
use super::aggregate::OrderAggregate;
use super::attention::late_code;
use super::erasable::Erasable;
use super::event::Event;
use super::operate::finish;
use super::order::{OrderState, PaymentProof};
use super::payment::{AttentionCode, OperationKind, Payment, Refund, RefundOrigin, RefundStatus};
use super::payment_proof::{ensure_met, is_refunded_or_voided, proves, submission};
use super::payment_state::{OutOfBounds, PaymentState, implies_capture, reverses_refund};
use super::session::{Attempt, FailureCode, Session, SessionFailure, SessionStatus};
use super::session_end::{closed_by_gateway, end};
use effects::{effect_of, session_status, visible_state};

/// What is known of a payment beside its order.
#[derive(Clone, Copy, Debug)]
pub struct Expected {
    /// Whether its account is a test account.
    pub is_test: bool,
    /// Whether the customer last came back by the cancel redirect. It gives a failure its reason, nothing else.
    pub customer_left: bool,
}

/// The events that follow from an observation of an attempt. Empty if nothing changed.
pub fn observe(
    context: &mut Context<'_>,
    attempt: AttemptId,
    seen: &Observation,
    expected: Expected,
) -> Vec<Event> {
    let order = context.order;
    let Some(attempt) = order.attempt(attempt) else { return Vec::new() };
    if let Some((code, detail, stated)) = reject_reason(attempt, seen, expected) {
        let raised = context.raise_stated(code, attempt.payment, detail, stated);
        let mut events: Vec<_> = raised.into_iter().collect();
        if let Some(payment) = order.payment_of(attempt) {
            events.extend(refund_finished(payment, seen, code));
            events.extend(closed_although_rejected(order, payment, seen, code));
        }
        return events;
    }
    let Some(payment) = order.payment_of(attempt) else { return late_payment_events(context, attempt, seen) };
    let stated = match PaymentState::of(seen, payment.terms()) {
        Ok(stated) => stated,
        Err(fault) => return out_of_bounds(context, fault, payment.id, seen),
    };
    let after = payment.state.join(&stated);
    let mut view = View { order, payment, attempt, seen, after, expected, context };
    let mut events = view.payment_events();
    let operation = view.operation_events();
    events.extend(operation);
    events.extend(view.refund_events(&events));
    events.extend(view.capture_events());
    events.extend(view.session_and_order_events());
    events.extend(view.attention_events(&stated));
    events
}

/// Why an observation must be rejected: wrong reference, test mode, amount, currency or an unknown status.
fn reject_reason(
    attempt: &Attempt,
    seen: &Observation,
    expected: Expected,
) -> Option<(AttentionCode, String, Option<Money>)> {
    let reference = attempt.id.to_string();
    if seen.merchant_reference.as_ref().is_some_and(|stated| *stated != reference) {
        let detail = "the provider's payment has a different reference than the attempt".to_owned();
        return Some((AttentionCode::Contradiction, detail, None));
    }
    if seen.is_test.is_some_and(|is_test| is_test != expected.is_test) {
        let detail = format!("account `{}` and its payment disagree on test mode", attempt.account);
        return Some((AttentionCode::TestModeMismatch, detail, None));
    }
    if let Some(total) = seen.total.filter(|total| *total != attempt.money) {
        let detail = format!("asked for {}, the provider states {total}", attempt.money);
        // Only captured money can be refunded.
        let captured = implies_capture(seen).then(|| seen.captured.unwrap_or(total));
        return Some((AttentionCode::AmountMismatch, detail, captured));
    }
    let others = [seen.authorized, seen.captured, seen.refunded, seen.disputed];
    if let Some(other) = others.into_iter().flatten().find(|money| money.currency != attempt.money.currency) {
        let detail = format!("asked for {}, the provider states {other}", attempt.money);
        let captured = seen.captured.filter(|_| implies_capture(seen));
        return Some((AttentionCode::AmountMismatch, detail, captured));
    }
    if seen.meaning == StatusMapping::Unmapped {
        let detail = format!(
            "`{}` reports `{}`, which is not in its status table",
            attempt.provider, seen.provider_status.status
        );
        return Some((AttentionCode::UnknownWord, detail, None));
    }
    None
}

fn out_of_bounds(
    context: &mut Context<'_>,
    fault: OutOfBounds,
    payment: PaymentId,
    seen: &Observation,
) -> Vec<Event> {
    let detail = format!("{fault}, with the status `{}`", seen.provider_status.status);
    context.raise(AttentionCode::Contradiction, payment, detail).into_iter().collect()
}

/// A rejected observation does not change the payment's state. But if it shows that the payment was closed or
/// refunded whole, its session can end.
fn closed_although_rejected(
    order: &OrderAggregate,
    payment: &Payment,
    seen: &Observation,
    code: AttentionCode,
) -> Vec<Event> {
    let closable = matches!(code, AttentionCode::AmountMismatch | AttentionCode::TestModeMismatch);
    let ended = match seen.meaning {
        StatusMapping::Status(PaymentStatus::Cancelled | PaymentStatus::Expired) => true,
        StatusMapping::Status(PaymentStatus::Failed) => seen.terminal,
        _ => is_all_refunded(seen),
    };
    if closable && ended { closed_by_gateway(order, payment.id) } else { Vec::new() }
}

/// Whether everything captured was refunded, by the provider's figures.
fn is_all_refunded(seen: &Observation) -> bool {
    let figures = seen.refunded.zip(seen.captured.or(seen.total));
    let all = figures.is_some_and(|(refunded, captured)| {
        let counts = refunded.currency == captured.currency && 0 < captured.minor;
        counts && captured.minor <= refunded.minor
    });
    is_refunded_status(seen) || (all && implies_capture(seen))
}

fn is_refunded_status(seen: &Observation) -> bool {
    matches!(seen.meaning, StatusMapping::Reversed | StatusMapping::Status(PaymentStatus::Refunded))
}

/// Finishes the refund of a payment with the wrong amount once the provider shows it.
fn refund_finished(payment: &Payment, seen: &Observation, code: AttentionCode) -> Option<Event> {
    let operation = payment.pending(OperationKind::Refund).filter(|operation| operation.refund.is_none())?;
    let refunded = seen.refunded.filter(|refunded| refunded.currency == payment.money.currency);
    let enough = refunded.is_some_and(|refunded| Some(refunded.minor) >= operation.amount);
    let finished = code == AttentionCode::AmountMismatch && (enough || is_refunded_status(seen));
    finished.then(|| payment.finished(operation.clone(), None))
}

/// An abandoned attempt that holds money: creates a payment of its own for it.
fn late_payment_events(context: &mut Context<'_>, attempt: &Attempt, seen: &Observation) -> Vec<Event> {
    let (order, now) = (context.order, context.now);
    let Some(first) = order.payment(attempt.payment) else { return Vec::new() };
    let empty = Payment {
        attempt: Some(attempt.id),
        capabilities: attempt.capabilities,
        capture_requested: None,
        operation: None,
        failure: None,
        method: None,
        ..first.clone()
    };
    let state = match PaymentState::of(seen, empty.terms()) {
        Ok(state) if state.holds_money() => state,
        Ok(_) => return Vec::new(),
        Err(fault) => return out_of_bounds(context, fault, first.id, seen),
    };
    let payment = Payment {
        id: context.payment_id(),
        authorization_expires_at: attempt.capabilities.authorization_expires_at(&state),
        state,
        provider_status: Some(seen.provider_status.clone()),
        detail: seen.detail,
        method: seen.method.clone().map(|method| Erasable::new(method, context.salt())),
        reported_at: seen.as_of,
        created_at: now,
        updated_at: now,
        version: 1,
        ..empty
    };
    let mut events = vec![Event::LatePaymentFound(Box::new(payment.clone()))];
    let refunded = payment.state.refunded();
    events.extend((refunded > 0).then(|| portal_refund(context, &payment, refunded)));
    let detail = format!("an abandoned attempt at `{}` holds {}", attempt.account, attempt.money);
    events.extend(context.raise(late_code(order, payment.id), payment.id, detail));
    events
}

/// One observation and the order it is applied to.
struct View<'a, 'b, 'c> {
    order: &'a OrderAggregate,
    payment: &'a Payment,
    attempt: &'a Attempt,
    seen: &'b Observation,
    after: PaymentState,
    expected: Expected,
    context: &'c mut Context<'a>,
}

impl View<'_, '_, '_> {
    fn before(&self) -> PaymentStatus {
        self.payment.status()
    }

    fn status(&self) -> PaymentStatus {
        self.after.status()
    }

    /// Whether this report is at least as new as the last one.
    fn is_newest(&self) -> bool {
        self.seen.as_of >= self.payment.reported_at
    }

    /// What the customer paid with, if this report says something new about it; nothing of a customer who was erased.
    fn new_method(&mut self) -> Option<Erasable<PaymentMethod>> {
        let known = self.payment.method.as_ref().map(Erasable::value);
        let seen = self.seen.method.as_ref().filter(|seen| known != Some(Some(*seen)) && self.is_newest())?;
        let erased = self.order.header.content.personal.value().is_none();
        (!erased).then(|| Erasable::new(seen.clone(), self.context.salt()))
    }

    fn payment_events(&mut self) -> Vec<Event> {
        let newest = self.is_newest();
        let provider_status =
            if newest { Some(&self.seen.provider_status) } else { self.payment.provider_status.as_ref() };
        let detail = if newest { self.seen.detail } else { self.payment.detail };
        let failure = if newest { self.seen.failure.as_ref() } else { None };
        let same_failure = failure.is_none() || failure == self.payment.failure.as_ref();
        let same_status = provider_status == self.payment.provider_status.as_ref()
            && detail == self.payment.detail
            && same_failure;
        let (provider_status, failure) = (provider_status.cloned().unwrap_or_default(), failure.cloned());
        let method = self.new_method();
        if same_status && method.is_none() && visible_state(&self.after) == visible_state(&self.payment.state)
        {
            return Vec::new();
        }
        let mut events = vec![Event::PaymentUpdated {
            payment: self.payment.id,
            attempt: self.attempt.id,
            from: self.before(),
            to: self.status(),
            state: self.after.clone(),
            provider_status,
            detail,
            failure,
            method,
            reported_at: self.payment.reported_at.max(self.seen.as_of),
        }];
        events.extend(self.dispute_events());
        events
    }

    fn dispute_events(&self) -> Option<Event> {
        let payment = self.payment.id;
        let (was, is) = (self.payment.state.open_dispute(), self.after.open_dispute());
        match (was, is) {
            (was, Some(reported)) if was.is_none_or(|was| was.stage != reported.stage) => {
                Some(Event::DisputeUpdated { payment, stage: reported.stage, lost: None })
            }
            (Some(reported), None) => {
                let lost = self.after.ended_dispute().map(|(_, closed)| closed.lost);
                Some(Event::DisputeUpdated { payment, stage: reported.stage, lost })
            }
            _ => None,
        }
    }

    /// Finishes the pending operation once its effect is visible or has become impossible.
    fn operation_events(&self) -> Vec<Event> {
        let operation = self.payment.operation.as_ref();
        let effect = operation.and_then(|operation| effect_of(operation, &self.after, self.refund_failed()));
        let Some(succeeded) = effect else { return Vec::new() };
        finish(self.payment, (!succeeded).then(|| self.seen.failure.clone().unwrap_or_default()))
    }

    /// Whether this report newly says that a refund failed or was reversed. A detail that was already there says
    /// nothing about the current refund.
    fn newly_reverses_refund(&self) -> bool {
        reverses_refund(self.seen) && self.is_newest() && self.payment.detail != self.seen.detail
    }

    fn refund_failed(&self) -> bool {
        self.seen.detail == Some(Detail::RefundFailed) && self.newly_reverses_refund()
    }

    /// Makes the refund records add up to the provider's figure: a surplus was refunded in its portal, a deficit was
    /// reversed.
    fn refund_events(&mut self, so_far: &[Event]) -> Vec<Event> {
        let done_now = so_far.iter().find_map(|event| match event {
            Event::RefundStatusChanged { refund, to: RefundStatus::Succeeded, .. } => Some(*refund),
            _ => None,
        });
        let (order, payment) = (self.order, self.payment.id);
        let counts = |refund: &&Refund| {
            refund.payment == payment
                && (refund.status == RefundStatus::Succeeded || done_now == Some(refund.id))
        };
        let mut made: Vec<&Refund> = order.refunds.iter().filter(counts).collect();
        let mut over = made.iter().map(|refund| refund.money.minor).sum::<i64>() - self.after.refunded();
        let mut events = Vec::new();
        while over > 0 {
            // The refund of exactly this amount was reversed, else the newest one.
            let fits = made.iter().rposition(|refund| refund.money.minor == over);
            let Some(index) = fits.or(made.len().checked_sub(1)) else { break };
            let reversed = made.remove(index);
            over -= reversed.money.minor;
            let (refund, to) = (reversed.id, RefundStatus::Reversed);
            events.push(Event::RefundStatusChanged { refund, to, failure: self.seen.failure.clone() });
        }
        if over < 0 {
            events.push(portal_refund(self.context, self.payment, -over));
        }
        events
    }

    fn session_and_order_events(&self) -> Vec<Event> {
        let session = self.order.session_of(self.payment);
        let Some(session) = session.filter(|session| session.attempt == self.attempt.id) else {
            return Vec::new();
        };
        if !session.status.is_open() {
            let completed = session.status == SessionStatus::Completed;
            return if completed { self.order_after_completed(session) } else { Vec::new() };
        }
        let (to, code) = session_status(self.status(), self.after.is_final(), session.capture);
        match to {
            SessionStatus::Completed => {
                let mut events = vec![session.changed(SessionStatus::Completed, None)];
                events.extend(self.order_after_completed(session));
                events
            }
            SessionStatus::Failed => {
                let failure = self.session_failure(session, code.unwrap_or(FailureCode::ProviderError));
                let mut events = end(self.order, session, failure);
                // The operation that closed it is already finished, with its outcome.
                events.retain(|event| !matches!(event, Event::OperationFinished { .. }));
                events
            }
            open => {
                let failure = self.retryable().or_else(|| session.failure.clone());
                let same = open == session.status && failure == session.failure;
                if same { Vec::new() } else { vec![session.changed(open, failure)] }
            }
        }
    }

    /// What a completed session means for its order, if it is the newest session: the order is submitted (also after
    /// a dispute is won), or becomes a cart again.
    fn order_after_completed(&self, session: &Session) -> Vec<Event> {
        if self.order.sessions.last().is_none_or(|last| last.id != session.id) {
            return Vec::new();
        }
        let header = &self.order.header;
        let submits = header.content.auto_submit || session.charge.is_some();
        let pays = proves(self.status()) && !is_refunded_or_voided(self.order, self.payment);
        let waits = header.state == OrderState::PendingPayment && submits && pays;
        if waits && ensure_met(header, Some(session), session.charge.is_some(), true).is_ok() {
            return submission(
                header,
                session.charge.map_or(PaymentProof::Session(session.id), PaymentProof::Profile),
                None,
            );
        }
        self.cart_again().into_iter().collect()
    }

    /// If the payment was voided, expired or refunded whole before the order was submitted, the order is a cart
    /// again.
    fn cart_again(&self) -> Option<Event> {
        let gone = matches!(
            self.status(),
            PaymentStatus::Cancelled | PaymentStatus::Expired | PaymentStatus::Refunded
        );
        let header = &self.order.header;
        let moved = || header.moved(OrderState::Pending, Some("its payment was voided, expired or refunded"));
        (gone && header.state == OrderState::PendingPayment).then(moved)
    }

    /// A decline after which the customer may try again.
    fn retryable(&self) -> Option<SessionFailure> {
        let declined = self.status() == PaymentStatus::Failed && !self.after.is_final();
        declined.then(|| SessionFailure::new(FailureCode::Declined, self.seen.failure.as_ref(), true))
    }

    fn session_failure(&self, session: &Session, code: FailureCode) -> SessionFailure {
        let declined = self.seen.failure.as_ref();
        let last = declined.or(self.payment.failure.as_ref());
        let code = match code {
            _ if session.closing.is_some() => session.closing.unwrap_or(code),
            FailureCode::Cancelled if self.seen.detail == Some(Detail::CustomerRejected) => {
                FailureCode::CancelledByCustomer
            }
            FailureCode::Cancelled if last.is_some() || session.failure.is_some() => FailureCode::Declined,
            FailureCode::Cancelled => FailureCode::CancelledByCustomer,
            // The provider has one status for both, and states no decline.
            FailureCode::Declined
                if self.expected.customer_left && last.is_none() && session.failure.is_none() =>
            {
                FailureCode::CancelledByCustomer
            }
            other => other,
        };
        match (&session.failure, last) {
            (Some(kept), None) => SessionFailure { code, retryable: false, ..kept.clone() },
            _ => SessionFailure::new(code, last, false),
        }
    }
}

/// A refund that was made in the provider's portal.
fn portal_refund(context: &mut Context<'_>, payment: &Payment, minor: i64) -> Event {
    let refund = Refund::new(context.refund_id(), payment, minor, RefundOrigin::Provider, context.now);
    Event::RefundCreated(Box::new(Refund { status: RefundStatus::Succeeded, ..refund }))
}
