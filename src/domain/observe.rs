//! Where every word of a provider ends up: what one observation changes in an order file.
//!
//! The payment follows the observation (six facts, each a join), the operation under way follows the payment,
//! the session follows the payment, the order follows the session. Notifications, returns, polls and
//! operations all end here and nowhere else.

mod authorization;
mod effects;
mod reasons;

use port::{AttemptId, Detail, Money, Observation, PaymentId, PaymentStatus, StatusMapping, Timestamp};

use super::aggregate::OrderAggregate;
use super::attention::{late_code, raise};
use super::event::Event;
use super::ids::NewIds;
use super::order::{OrderState, PaymentSource};
use super::payment::{AttentionCode, Operation, OperationKind, Payment, Refund, RefundOrigin, RefundStatus};
use super::payment_proof::{is_refunded_or_voided, proves, submission, unmet};
use super::payment_state::{OutOfBounds, PaymentState, implies_capture, reverses_refund};
use super::session::{Attempt, FailureCode, Session, SessionFailure, SessionStatus};
use super::session_end::{closed_by_gateway, end};
use effects::{effect_of, session_status, visible_state};

/// What the account says about itself.
#[derive(Clone, Copy, Debug)]
pub struct Expected {
    /// Whether its payments are tests.
    pub is_test: bool,
}

/// The facts that follow from an observation of an attempt. None if nothing is new.
pub fn observe(
    order: &OrderAggregate,
    attempt: AttemptId,
    seen: &Observation,
    expected: Expected,
    now: Timestamp,
    ids: &mut NewIds,
) -> Vec<Event> {
    let Some(record) = order.attempt(attempt) else { return Vec::new() };
    if let Some((code, detail, stated)) = reject_reason(record, seen, expected) {
        let mut events = raise(order, code, Some(record.payment), detail, stated, now, ids);
        events.extend(gone_back(order, record, seen, code));
        events.extend(ended_all_the_same(order, record, seen, code));
        return events;
    }
    let Some(payment) = order.payment_of(record) else { return found(order, record, seen, now, ids) };
    let stated = match PaymentState::of(seen, payment.terms()) {
        Ok(stated) => stated,
        Err(fault) => return out_of_bounds(order, fault, payment.id, seen, now, ids),
    };
    let mut view = View { order, payment, record, seen, after: payment.state.join(&stated), now, ids };
    let mut events = view.payment_events();
    let operation = view.operation_events();
    events.extend(operation);
    events.extend(view.refund_events(&events));
    events.extend(view.capture_events());
    events.extend(view.session_and_order_events());
    events.extend(view.attention_events(&stated));
    events
}

/// Why nothing may follow from an observation: whose, how much, in which world, in which words.
fn reject_reason(
    record: &Attempt,
    seen: &Observation,
    expected: Expected,
) -> Option<(AttentionCode, String, Option<Money>)> {
    let ours = record.id.to_string();
    if seen.merchant_reference.as_ref().is_some_and(|echoed| *echoed != ours) {
        let detail = "the provider's object carries another reference than ours".to_owned();
        return Some((AttentionCode::Contradiction, detail, None));
    }
    if seen.is_test.is_some_and(|is_test| is_test != expected.is_test) {
        let detail = format!("account `{}` and its payment disagree on being a test", record.account);
        return Some((AttentionCode::TestModeMismatch, detail, None));
    }
    if let Some(total) = seen.total.filter(|total| *total != record.money) {
        let detail = format!("asked for {}, the provider states {total}", record.money);
        // Only what was taken can go back.
        let taken = implies_capture(seen).then(|| seen.captured.unwrap_or(total));
        return Some((AttentionCode::AmountMismatch, detail, taken));
    }
    let others = [seen.authorized, seen.captured, seen.refunded, seen.disputed];
    if let Some(other) = others.into_iter().flatten().find(|money| money.currency != record.money.currency) {
        let detail = format!("asked for {}, the provider states {other}", record.money);
        return Some((AttentionCode::AmountMismatch, detail, Some(other)));
    }
    if seen.meaning == StatusMapping::Unmapped {
        let detail =
            format!("`{}` says `{}`, which no table has", record.provider, seen.provider_status.status);
        return Some((AttentionCode::UnknownWord, detail, None));
    }
    None
}

fn out_of_bounds(
    order: &OrderAggregate,
    fault: OutOfBounds,
    payment: PaymentId,
    seen: &Observation,
    now: Timestamp,
    ids: &mut NewIds,
) -> Vec<Event> {
    let detail = format!("{fault}, with the word `{}`", seen.provider_status.status);
    raise(order, AttentionCode::Contradiction, Some(payment), detail, None, now, ids)
}

/// What is not as it was asked sets no fact; but once it is closed as we wanted, or all of it has gone back, its session
/// can end.
fn ended_all_the_same(
    order: &OrderAggregate,
    record: &Attempt,
    seen: &Observation,
    code: AttentionCode,
) -> Vec<Event> {
    let ours = matches!(code, AttentionCode::AmountMismatch | AttentionCode::TestModeMismatch);
    let ended = match seen.meaning {
        StatusMapping::Status(PaymentStatus::Cancelled | PaymentStatus::Expired) => true,
        StatusMapping::Status(PaymentStatus::Failed) => seen.terminal,
        _ => is_all_back(seen),
    };
    let payment = order.payment_of(record).filter(|_| ours && ended);
    payment.map(|payment| closed_by_gateway(order, payment.id)).unwrap_or_default()
}

/// Whether whatever was taken went back, by the provider's own figures.
fn is_all_back(seen: &Observation) -> bool {
    let figures = seen.refunded.zip(seen.captured.or(seen.total));
    let all = figures.is_some_and(|(back, taken)| {
        back.currency == taken.currency && 0 < taken.minor && taken.minor <= back.minor
    });
    matches!(seen.meaning, StatusMapping::Reversed | StatusMapping::Status(PaymentStatus::Refunded))
        || (all && implies_capture(seen))
}

/// What is not as it was asked can still be seen to have gone back.
fn gone_back(
    order: &OrderAggregate,
    record: &Attempt,
    seen: &Observation,
    code: AttentionCode,
) -> Option<Event> {
    let payment = order.payment_of(record).filter(|_| code == AttentionCode::AmountMismatch)?;
    let stray =
        |operation: &&Operation| operation.kind == OperationKind::Refund && operation.refund.is_none();
    let operation = payment.operation.as_ref().filter(stray)?;
    let back = seen.refunded.filter(|back| back.currency == payment.money.currency);
    let enough = back.is_some_and(|back| Some(back.minor) >= operation.amount);
    let all =
        matches!(seen.meaning, StatusMapping::Reversed | StatusMapping::Status(PaymentStatus::Refunded));
    let ended =
        Event::OperationFinished { payment: payment.id, operation: operation.clone(), declined: None };
    (enough || all).then_some(ended)
}

/// An attempt that was given up: if it took money all the same, the money gets a payment of its own.
fn found(
    order: &OrderAggregate,
    record: &Attempt,
    seen: &Observation,
    now: Timestamp,
    ids: &mut NewIds,
) -> Vec<Event> {
    let Some(first) = order.payment(record.payment) else { return Vec::new() };
    let empty = Payment {
        attempt: Some(record.id),
        capabilities: record.capabilities,
        capture_requested: None,
        operation: None,
        failure: None,
        ..first.clone()
    };
    let state = match PaymentState::of(seen, empty.terms()) {
        Ok(state) if state.holds_money() => state,
        Ok(_) => return Vec::new(),
        Err(fault) => return out_of_bounds(order, fault, first.id, seen, now, ids),
    };
    let payment = Payment {
        id: ids.payment(),
        authorization_expires_at: record.capabilities.authorization_expires_at(&state),
        state,
        provider_status: Some(seen.provider_status.clone()),
        detail: seen.detail,
        reported_at: seen.as_of,
        created_at: now,
        updated_at: now,
        version: 1,
        ..empty
    };
    let mut events = vec![Event::LatePaymentFound(Box::new(payment.clone()))];
    let back = payment.state.refunded();
    events
        .extend((back > 0).then(|| Event::RefundCreated(Box::new(portal_refund(&payment, back, now, ids)))));
    let detail = format!("an attempt at `{}` that was given up holds {}", record.account, record.money);
    events.extend(raise(order, late_code(order, payment.id), Some(payment.id), detail, None, now, ids));
    events
}

/// One observation being worked into a file.
struct View<'a, 'b> {
    order: &'a OrderAggregate,
    payment: &'a Payment,
    record: &'a Attempt,
    seen: &'a Observation,
    after: PaymentState,
    now: Timestamp,
    ids: &'b mut NewIds,
}

impl View<'_, '_> {
    fn before(&self) -> PaymentStatus {
        self.payment.status()
    }

    fn status(&self) -> PaymentStatus {
        self.after.status()
    }

    /// An older word than the one we have does not replace it.
    fn is_newest(&self) -> bool {
        self.seen.as_of >= self.payment.reported_at
    }

    fn payment_events(&self) -> Vec<Event> {
        let newest = self.is_newest();
        let provider_status =
            if newest { Some(&self.seen.provider_status) } else { self.payment.provider_status.as_ref() };
        let detail = if newest { self.seen.detail } else { self.payment.detail };
        let failure = if newest { self.seen.failure.as_ref() } else { None };
        let same_failure = failure.is_none() || failure == self.payment.failure.as_ref();
        let same_status = provider_status == self.payment.provider_status.as_ref()
            && detail == self.payment.detail
            && same_failure;
        if same_status && visible_state(&self.after) == visible_state(&self.payment.state) {
            return Vec::new();
        }
        let mut events = vec![Event::PaymentUpdated {
            payment: self.payment.id,
            attempt: self.record.id,
            from: self.before(),
            to: self.status(),
            state: self.after.clone(),
            provider_status: provider_status.cloned().unwrap_or_default(),
            detail,
            failure: failure.cloned(),
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
                let lost = self.after.ended_dispute().map(|(_, calm)| calm.lost);
                Some(Event::DisputeUpdated { payment, stage: reported.stage, lost })
            }
            _ => None,
        }
    }

    /// The operation under way ends when its effect is seen, or cannot come any more.
    fn operation_events(&self) -> Vec<Event> {
        let Some(operation) = &self.payment.operation else { return Vec::new() };
        let Some(worked) = effect_of(operation, &self.after, self.refund_failed()) else {
            return Vec::new();
        };
        let declined = (!worked).then(|| self.seen.failure.clone().unwrap_or_default());
        let ended = Event::OperationFinished {
            payment: self.payment.id,
            operation: operation.clone(),
            declined: declined.clone(),
        };
        let refund = operation.refund.map(|refund| {
            let to = if worked { RefundStatus::Succeeded } else { RefundStatus::Failed };
            Event::RefundStatusChanged { refund, to, failure: declined }
        });
        std::iter::once(ended).chain(refund).collect()
    }

    /// A refund did not stay, and this is news: a word that was there before the refund under way was asked for
    /// says nothing of it.
    fn lowers_anew(&self) -> bool {
        reverses_refund(self.seen) && self.is_newest() && self.payment.detail != self.seen.detail
    }

    fn refund_failed(&self) -> bool {
        self.seen.detail == Some(Detail::RefundFailed) && self.lowers_anew()
    }

    /// Refunds add up to what the provider states: more was made in its portal, less came back.
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
            // The one that fits exactly came back, else the newest.
            let fits = made.iter().rposition(|refund| refund.money.minor == over);
            let Some(index) = fits.or(made.len().checked_sub(1)) else { break };
            let back = made.remove(index);
            over -= back.money.minor;
            let (refund, to) = (back.id, RefundStatus::Reversed);
            events.push(Event::RefundStatusChanged { refund, to, failure: self.seen.failure.clone() });
        }
        if over < 0 {
            let refund = portal_refund(self.payment, -over, self.now, self.ids);
            events.push(Event::RefundCreated(Box::new(refund)));
        }
        events
    }

    fn session_and_order_events(&self) -> Vec<Event> {
        let Some(session) = self.payment.session.and_then(|id| self.order.session(id)) else {
            return Vec::new();
        };
        if session.attempt != self.record.id {
            return Vec::new();
        }
        if !session.status.is_open() {
            let completed = session.status == SessionStatus::Completed;
            return if completed { self.order_after_completed(session) } else { Vec::new() };
        }
        let (to, code) = session_status(self.status(), self.after.is_final(), session.capture);
        match to {
            SessionStatus::Completed => self.completed(session),
            SessionStatus::Failed => {
                let failure = self.session_failure(session, code.unwrap_or(FailureCode::ProviderError));
                let mut events = end(self.order, session, failure);
                // The operation that closed it is settled above, with its outcome.
                events.retain(|event| !matches!(event, Event::OperationFinished { .. }));
                events
            }
            open => {
                let failure = self.retryable().or_else(|| session.failure.clone());
                let same = open == session.status && failure == session.failure;
                let moved = Event::SessionStatusChanged {
                    session: session.id,
                    from: session.status,
                    to: open,
                    failure,
                };
                if same { Vec::new() } else { vec![moved] }
            }
        }
    }

    fn completed(&self, session: &Session) -> Vec<Event> {
        let (from, to) = (session.status, SessionStatus::Completed);
        let mut events = vec![Event::SessionStatusChanged { session: session.id, from, to, failure: None }];
        events.extend(self.order_after_completed(session));
        events
    }

    /// What a completed session's payment means for its order, if no newer session has taken its place: it is submitted
    /// by itself, also when money that was contested is the merchant's again, or it is a cart again.
    fn order_after_completed(&self, session: &Session) -> Vec<Event> {
        if self.order.sessions.last().is_none_or(|last| last.id != session.id) {
            return Vec::new();
        }
        let header = &self.order.header;
        let wanted = header.auto_submit || session.charge.is_some();
        let stands = proves(self.status()) && !is_refunded_or_voided(self.order, self.payment);
        let waits = header.state == OrderState::PendingPayment && wanted && stands;
        if waits && unmet(header, Some(session), session.charge.is_some(), true).is_empty() {
            return submission(
                header,
                session.charge.map_or(PaymentSource::Session(session.id), PaymentSource::Profile),
                None,
            );
        }
        self.cart_again().into_iter().collect()
    }

    /// Voided, lapsed or wholly refunded before it was submitted, the order is a cart again.
    fn cart_again(&self) -> Option<Event> {
        let gone = matches!(
            self.status(),
            PaymentStatus::Cancelled | PaymentStatus::Expired | PaymentStatus::Refunded
        );
        let waits = self.order.header.state == OrderState::PendingPayment;
        let reason = Some("its payment was voided, lapsed or given back".to_owned());
        let moved =
            Event::OrderStateChanged { from: OrderState::PendingPayment, to: OrderState::Pending, reason };
        (gone && waits).then_some(moved)
    }

    /// A decline that the provider lets the customer repeat.
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
            other => other,
        };
        match (&session.failure, last) {
            (Some(kept), None) => SessionFailure { code, retryable: false, ..kept.clone() },
            _ => SessionFailure::new(code, last, false),
        }
    }
}

/// Money that somebody gave back in the provider's portal.
fn portal_refund(payment: &Payment, minor: i64, now: Timestamp, ids: &mut NewIds) -> Refund {
    let refund = Refund::new(ids.refund(), payment, minor, RefundOrigin::Provider, now);
    Refund { status: RefundStatus::Succeeded, ..refund }
}
