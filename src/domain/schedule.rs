//! When a payment is fetched from its provider again.

use std::time::Duration;

use port::{PaymentStatus, Timestamp};

use super::aggregate::OrderAggregate;
use super::payment::Payment;
use super::session::AttemptState;

pub(super) const FIRST: Duration = Duration::from_secs(7);
pub(super) const MIN_INTERVAL: Duration = Duration::from_secs(10);
pub(super) const HOUR: Duration = Duration::from_secs(3_600);
const SIX_HOURS: Duration = Duration::from_secs(6 * 3_600);
const DAY: Duration = Duration::from_secs(24 * 3_600);

/// When to fetch a payment again, as of `now`. `None` if notifications are enough, or if its start is not answered yet:
/// a job of its own resolves that. `draw` is a random number that spreads the times by up to 10 % either way.
///
/// While the customer may pay: first after 7 s, then at intervals of a fifth of the age, 10 s to 1 h. An unknown
/// outcome: the same, at most 6 h apart, without end. An authorization: every 6 h, and an hour before it expires. A
/// dispute: daily. A paid payment: daily for as many days as its account is configured. After a rejected report: at
/// growing intervals up to a day, until the attention is resolved.
pub fn next_read(order: &OrderAggregate, payment: &Payment, now: Timestamp, draw: u64) -> Option<Timestamp> {
    let attempt = payment.attempt.and_then(|id| order.attempt(id))?;
    if payment.external || attempt.state == AttemptState::Started {
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
            let rejected = rejected_since(order, payment).map(|since| by_age(now.since(since), DAY));
            let wait = rejected.or(polls_after_capture(payment, now).then_some(DAY))?;
            Some(jittered(now, wait, draw))
        }
    }
}

/// Whether a captured payment is still fetched daily (`poll_after_capture_days`). Without such days it is not, also where
/// it was created in the future, since the clock was set back.
fn polls_after_capture(payment: &Payment, now: Timestamp) -> bool {
    let days = payment.capabilities.poll_after_capture_days;
    payment.state.captured > 0 && days > 0 && now < payment.created_at.plus(DAY * days)
}

/// When the newest open attention about a rejected report was raised.
fn rejected_since(order: &OrderAggregate, payment: &Payment) -> Option<Timestamp> {
    let open = order
        .attention
        .iter()
        .filter(|attention| attention.resolved_at.is_none() && attention.code.rejects_report());
    open.filter(|attention| attention.payment == payment.id).map(|attention| attention.raised_at).max()
}

/// Whether the outcome of a payment is still awaited.
pub fn is_open(order: &OrderAggregate, payment: &Payment) -> bool {
    use PaymentStatus::{Failed, Pending, Processing, RequiresAction};
    let session_open = || order.session_of(payment).is_some_and(|session| session.status.is_open());
    let status = payment.status();
    let waits = matches!(status, Pending | RequiresAction | Failed) && !payment.state.is_final();
    status == Processing || (waits && session_open())
}

/// The next read while the customer may still pay; after its session has ended only notifications cause reads.
fn waiting(order: &OrderAggregate, payment: &Payment, now: Timestamp, draw: u64) -> Option<Timestamp> {
    let session = order.session_of(payment)?;
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

/// 7 s at first, then a fifth of the age, at least 10 s, at most `max`. The first read may have come a tenth early.
pub(super) fn by_age(age: Duration, max: Duration) -> Duration {
    if age < FIRST * 9 / 10 { FIRST } else { (age / 5).clamp(MIN_INTERVAL, max) }
}

/// `now` and `wait`, ± 10 % in steps of 5 %: jobs of payments that were created together spread out, yet jobs due at
/// similar times share few pages of their table.
pub(super) fn jittered(now: Timestamp, wait: Duration, draw: u64) -> Timestamp {
    let twentieths = u32::try_from(draw % 5).unwrap_or(2);
    now.plus(wait * (18 + twentieths) / 20)
}
