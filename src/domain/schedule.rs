//! When a provider is asked again: a stored time, never a cache's expiry.

use std::time::Duration;

use port::{PaymentStatus, Timestamp};

use super::aggregate::OrderAggregate;
use super::payment::Payment;

const FIRST: Duration = Duration::from_secs(7);
pub(super) const MIN_INTERVAL: Duration = Duration::from_secs(10);
pub(super) const HOUR: Duration = Duration::from_secs(3_600);
const SIX_HOURS: Duration = Duration::from_secs(6 * 3_600);
const DAY: Duration = Duration::from_secs(24 * 3_600);

/// When to ask about a payment again, judged at `now`; `None` if notices and people are enough. `draw` spreads
/// the moments by a tenth either way.
///
/// The customer is awaited with a first read after 7 s, then after a fifth of the age, 10 s to 1 h; an outcome
/// that is not known the same way, at most 6 h apart, for ever; a hold every 6 h and an hour before it ends;
/// a dispute daily, and for a while what was paid, where the account says so. Where the last thing said cannot be
/// believed, in time it may be: ever more rarely, and daily at the end, until a person has looked.
pub fn next_read(order: &OrderAggregate, payment: &Payment, now: Timestamp, draw: u64) -> Option<Timestamp> {
    if payment.external || payment.attempt.is_none() {
        return None;
    }
    let pending_refund = order.reserved(payment.id) > 0;
    if payment.operation.is_some() || pending_refund {
        let since = payment.operation.as_ref().map_or(payment.updated_at, |operation| operation.since);
        return Some(jittered(now, by_age(now.since(since), SIX_HOURS), draw));
    }
    match payment.status() {
        PaymentStatus::Processing => {
            Some(jittered(now, by_age(now.since(payment.updated_at), SIX_HOURS), draw))
        }
        PaymentStatus::Pending | PaymentStatus::RequiresAction => waiting(order, payment, now, draw),
        PaymentStatus::Failed if !payment.state.is_final() => waiting(order, payment, now, draw),
        PaymentStatus::Authorized => Some(authorized(payment, now, draw)),
        PaymentStatus::Disputed => Some(jittered(now, DAY, draw)),
        PaymentStatus::Paid
        | PaymentStatus::PartiallyRefunded
        | PaymentStatus::Refunded
        | PaymentStatus::Failed
        | PaymentStatus::Cancelled
        | PaymentStatus::Expired => {
            let doubt = mistrusted_since(order, payment).map(|since| by_age(now.since(since), DAY));
            let wait = doubt.or(polls_after_capture(payment, now).then_some(DAY))?;
            Some(jittered(now, wait, draw))
        }
    }
}

/// Whether money that was taken is still looked after daily, where the provider tells of nothing.
fn polls_after_capture(payment: &Payment, now: Timestamp) -> bool {
    let watched = DAY * payment.capabilities.poll_after_capture_days;
    payment.state.captured > 0 && now < payment.created_at.plus(watched)
}

/// Since when a person has been asked to look at something that the provider says.
fn mistrusted_since(order: &OrderAggregate, payment: &Payment) -> Option<Timestamp> {
    let open = order
        .attention
        .iter()
        .filter(|attention| attention.resolved_at.is_none() && attention.code.is_mistrust());
    open.filter(|attention| attention.payment == Some(payment.id)).map(|attention| attention.raised_at).max()
}

/// Whether what becomes of a payment is not known, and somebody still waits for it.
pub fn is_open(order: &OrderAggregate, payment: &Payment) -> bool {
    let session = payment.session.and_then(|id| order.session(id));
    match payment.status() {
        PaymentStatus::Processing => true,
        PaymentStatus::Pending | PaymentStatus::RequiresAction | PaymentStatus::Failed => {
            !payment.state.is_final() && session.is_some_and(|session| session.status.is_open())
        }
        PaymentStatus::Authorized
        | PaymentStatus::Paid
        | PaymentStatus::PartiallyRefunded
        | PaymentStatus::Refunded
        | PaymentStatus::Disputed
        | PaymentStatus::Cancelled
        | PaymentStatus::Expired => false,
    }
}

/// While the customer may still pay; once its session is over only notices tell.
fn waiting(order: &OrderAggregate, payment: &Payment, now: Timestamp, draw: u64) -> Option<Timestamp> {
    let session = payment.session.and_then(|id| order.session(id))?;
    if !session.status.is_open() {
        return None;
    }
    let next = jittered(now, by_age(now.since(payment.created_at), HOUR), draw);
    let end = Some(session.expires_at).filter(|end| *end > now).map(|end| end.max(now.plus(MIN_INTERVAL)));
    Some(end.map_or(next, |end| end.min(next)))
}

fn authorized(payment: &Payment, now: Timestamp, draw: u64) -> Timestamp {
    let next = jittered(now, SIX_HOURS, draw);
    let warning = payment.authorization_expires_at.map(|end| end.minus(HOUR)).filter(|at| *at > now);
    warning.map_or(next, |at| at.min(next))
}

/// 7 s at first, then a fifth of the age, at least 10 s, at most `max`.
pub(super) fn by_age(age: Duration, max: Duration) -> Duration {
    if age < FIRST { FIRST } else { (age / 5).clamp(MIN_INTERVAL, max) }
}

/// `now` and `wait`, ± 10 % in steps of 5 %: what was opened at the same time comes due apart, yet what is due at a
/// similar time lies in few pages of the table of jobs.
pub(super) fn jittered(now: Timestamp, wait: Duration, draw: u64) -> Timestamp {
    let twentieths = u32::try_from(draw % 5).unwrap_or(2);
    now.plus(wait * (18 + twentieths) / 20)
}
