//! Which jobs a subject has and when they are due, computed from the subject itself.
//!
//! A change stores only the next due time of each lane; the job runner then computes from the subject which jobs to
//! run.

use std::time::Duration;

use port::{AttemptId, AttentionId, PaymentId, PaymentStatus, SessionId, Timestamp};

use super::attention::{unreported_unknown, unreported_unreadable};
use super::operate::waiting_refunds;
use super::schedule::{FIRST, next_read};
use super::{
    Attempt, AttemptState, Attention, AttentionCode, OrderAggregate, Payment, Session, SessionStatus,
};

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, strum::EnumDiscriminants)]
#[strum_discriminants(name(JobKind), doc = "The kinds of job; as metric labels in snake case.")]
#[strum_discriminants(derive(PartialOrd, Ord, Hash, strum::IntoStaticStr, strum::VariantArray))]
#[strum_discriminants(strum(serialize_all = "snake_case"))]
pub enum Job {
    /// Resolve a start of unknown outcome.
    ResolveStart(AttemptId),
    FetchStatus(PaymentId),
    /// Continue an operation of unknown outcome, or send the next refund.
    ResumeOperation(PaymentId),
    CloseSession(SessionId),
    CloseOrphan(AttemptId),
    SubmitProviderOrder(AttemptId),
    /// Raise attention on a payment whose start or operation has had an unknown outcome, or whose provider's answers have
    /// not been readable, for too long.
    ReportUnknown(PaymentId),
    /// Fetch the methods that a session's payment has stored.
    SyncProfiles(SessionId),
    /// Expire an order without activity, or raise attention on one that is paid and not submitted.
    ExpireOrder,
    ApplyRefundPolicy(AttentionId),
    FollowProfileSession,
    DetachProfile,
    ProcessNotification,
}

/// A queue with a limit of its own.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Lane {
    /// Work without a call to a provider.
    General,
    /// Work at a provider account, within its read limit.
    Account(String),
}

/// The priority of a job in its lane, most urgent first. Each class has a guaranteed share of the account's read
/// limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
#[derive(strum::IntoStaticStr, strum::VariantArray, strum::FromRepr)]
#[strum(serialize_all = "snake_case")]
pub enum Urgency {
    /// The customer has come back.
    Customer = 0,
    /// The provider has sent a notification.
    Notified = 1,
    /// The outcome of a call is unknown.
    UnknownOutcome = 2,
    Scheduled = 3,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DueJob {
    pub job: Job,
    pub lane: Lane,
    pub urgency: Urgency,
    pub at: Timestamp,
}

/// After this time a call without a result is resolved by a job. Longer than the timeout of a provider call, so that job and
/// call do not run at the same time, unless several calls were made one after the other.
pub const CALL_DEADLINE: Duration = Duration::from_secs(45);

/// How long an outcome may be unknown, or answers unreadable, before attention is raised.
pub const UNKNOWN_LIMIT: Duration = Duration::from_secs(15 * 60);

/// How long an unsubmitted order may hold money before attention is raised.
pub const UNSUBMITTED_LIMIT: Duration = Duration::from_secs(24 * 3_600);

/// All jobs of an order, as of `now`; `draw` is a random number that spreads the reads.
pub(super) fn due(order: &OrderAggregate, now: Timestamp, draw: u64) -> Vec<DueJob> {
    let mut due = scheduled(order, now);
    let reads = order.payments.iter().filter_map(|payment| {
        let at = next_read(order, payment, now, draw)?;
        Some((Job::FetchStatus(payment.id), at))
    });
    due.extend(reads);
    due.into_iter()
        .map(|(job, at)| DueJob { job, lane: lane(order, job), urgency: urgency(order, job), at })
        .collect()
}

/// The jobs whose times follow from the order: all but reads. What was sent in the future, since the clock was set back
/// after it, is due `now`.
pub fn scheduled(order: &OrderAggregate, now: Timestamp) -> Vec<(Job, Timestamp)> {
    let mut due = Vec::new();
    let after = |since: Timestamp, wait: Duration| if since > now { now } else { since.plus(wait) };
    for attempt in &order.attempts {
        let deadline = after(attempt.started_at, CALL_DEADLINE);
        match attempt.state {
            AttemptState::Started => {
                let at = attempt.unknown_since.map_or(deadline, |since| after(since, FIRST));
                due.push((Job::ResolveStart(attempt.id), at));
            }
            AttemptState::Orphaned => due.push((Job::CloseOrphan(attempt.id), deadline)),
            AttemptState::Created | AttemptState::Ended => {}
        }
        if awaits_submission(order, attempt) {
            let since = order.header.submitted_at.unwrap_or(order.header.updated_at);
            due.push((Job::SubmitProviderOrder(attempt.id), since));
        }
    }
    for payment in &order.payments {
        let at = match &payment.operation {
            Some(operation) => {
                let deadline = after(operation.since, CALL_DEADLINE);
                Some(operation.unanswered_since.map_or(deadline, |since| after(since, FIRST).min(deadline)))
            }
            None => waiting_refunds(order, payment).next().map(|refund| refund.created_at),
        };
        due.extend(at.map(|at| (Job::ResumeOperation(payment.id), at)));
        let outcome = unreported_unknown(order, payment).map(|(_, since)| since);
        let unknown = [outcome, unreported_unreadable(order, payment)].into_iter().flatten().min();
        due.extend(unknown.map(|since| (Job::ReportUnknown(payment.id), after(since, UNKNOWN_LIMIT))));
    }
    if let Some(session) = order.open_session().filter(|session| !is_closing(order, session)) {
        due.push((Job::CloseSession(session.id), session.expires_at));
    }
    let unsynced = order.sessions.iter().filter(|session| awaits_profiles(order, session));
    due.extend(unsynced.map(|session| (Job::SyncProfiles(session.id), session.updated_at)));
    let decidable = order.attention.iter().filter(|attention| is_decidable(order, attention));
    due.extend(decidable.map(|raised| (Job::ApplyRefundPolicy(raised.id), raised.raised_at)));
    due.extend(unsubmitted_until(order).map(|at| (Job::ExpireOrder, at)));
    due
}

/// The lane of an order's job: its account, or the general lane.
fn lane(order: &OrderAggregate, job: Job) -> Lane {
    let attempt = attempt_of_job(order, job);
    attempt.map_or(Lane::General, |attempt| Lane::Account(attempt.account.clone()))
}

/// The attempt whose object an order's job is about.
fn attempt_of_job(order: &OrderAggregate, job: Job) -> Option<&Attempt> {
    let attempt = match job {
        Job::ResolveStart(id) | Job::CloseOrphan(id) | Job::SubmitProviderOrder(id) => Some(id),
        Job::FetchStatus(id) | Job::ResumeOperation(id) | Job::ReportUnknown(id) => {
            order.payment(id).and_then(|payment| payment.attempt)
        }
        Job::CloseSession(id) | Job::SyncProfiles(id) => order.session(id).map(|session| session.attempt),
        _ => None,
    };
    order.attempt(attempt?)
}

/// The payment that an order's job is about, where the job is one at a provider.
pub fn payment_of_job(order: &OrderAggregate, job: Job) -> Option<PaymentId> {
    attempt_of_job(order, job).and_then(|attempt| order.payment_of(attempt)).map(|payment| payment.id)
}

/// Whether a person has decided about every unknown outcome of a payment, and nothing waits for a decision. A start of
/// unknown outcome is not given up: what it has created is found by repeating it, which takes all that it was sent with.
pub fn is_given_up(order: &OrderAggregate, payment: &Payment) -> bool {
    let about: Vec<_> = order.attention.iter().filter(|raised| raised.payment == payment.id).collect();
    let starting = order.attempts.iter().any(|attempt| {
        attempt.state == AttemptState::Started
            && order.payment_of(attempt).is_some_and(|of| of.id == payment.id)
    });
    about.iter().any(|raised| raised.code == AttentionCode::OutcomeUnknown)
        && about.iter().all(|raised| raised.resolved_at.is_some())
        && unreported_unknown(order, payment).is_none()
        && !starting
}

fn urgency(order: &OrderAggregate, job: Job) -> Urgency {
    let unknown = |payment: &Payment| {
        payment.operation.is_some()
            || payment.status() == PaymentStatus::Processing
            || order.reserved(payment.id) > 0
    };
    match job {
        Job::ResolveStart(_) | Job::ResumeOperation(_) | Job::ReportUnknown(_) => Urgency::UnknownOutcome,
        Job::FetchStatus(id) if order.payment(id).is_some_and(unknown) => Urgency::UnknownOutcome,
        _ => Urgency::Scheduled,
    }
}

/// The job that reads an attempt at its provider, whatever is scheduled: closing an orphan, else fetching the status.
/// `None` while the start is running, or if no payment uses the attempt.
pub fn read_of(order: &OrderAggregate, attempt: &Attempt) -> Option<Job> {
    match attempt.state {
        AttemptState::Started => None,
        AttemptState::Orphaned => Some(Job::CloseOrphan(attempt.id)),
        AttemptState::Ended if attempt.reference.is_none() => Some(Job::CloseOrphan(attempt.id)),
        AttemptState::Created | AttemptState::Ended => {
            order.payment_of(attempt).map(|payment| Job::FetchStatus(payment.id))
        }
    }
}

/// Whether an open session is being closed, or cannot be closed because it holds money. False again if the close was
/// declined.
fn is_closing(order: &OrderAggregate, session: &Session) -> bool {
    let payment = order.payment(session.payment);
    let waits = payment.is_some_and(|payment| payment.operation.is_some() || payment.state.holds_money());
    session.closing.is_some() && waits
}

/// Whether the methods stored by a paid session still have to be fetched: they were requested, or the order requires one.
pub fn awaits_profiles(order: &OrderAggregate, session: &Session) -> bool {
    let requested = session.request.value().is_some_and(|request| request.save_payment_profile);
    let known = order.header.content.personal.value().is_some_and(|personal| personal.customer.id.is_some());
    let required = session.charge.is_none() && order.header.requires_profile();
    let holds_money = || order.payment(session.payment).is_some_and(|payment| payment.state.holds_money());
    let paid = session.status == SessionStatus::Completed || (required && holds_money());
    session.profile_found.is_none() && paid && (required || requested && known)
}

/// Whether a refund policy may still resolve an attention: it is open, and its order was not submitted with the money
/// since.
pub fn is_decidable(order: &OrderAggregate, attention: &Attention) -> bool {
    let obsolete = attention.code == AttentionCode::PaidNotSubmitted && !order.header.state.is_unsubmitted();
    attention.resolved_at.is_none() && attention.code.has_policy() && !obsolete
}

/// Whether the provider's own order of an attempt has to be submitted: our order was submitted with its payment. A
/// late payment counts too once it was decided to keep it.
pub fn awaits_submission(order: &OrderAggregate, attempt: &Attempt) -> bool {
    let used = order.session(attempt.session).is_some_and(|session| session.used);
    let pays = match attempt.state {
        AttemptState::Created => true,
        AttemptState::Ended => order
            .payment_of(attempt)
            .is_some_and(|payment| payment.attempt == Some(attempt.id) && payment.state.holds_money()),
        AttemptState::Started | AttemptState::Orphaned => false,
    };
    used && pays && attempt.submits_order && !attempt.provider_order_submitted
}

/// Of the payments that hold money and have no PAID_NOT_SUBMITTED attention, the least recently updated.
pub(super) fn unflagged_money(order: &OrderAggregate) -> Option<&Payment> {
    let flags = |raised: &Attention, payment: &Payment| {
        raised.code == AttentionCode::PaidNotSubmitted && raised.payment == payment.id
    };
    let unflagged = |payment: &&Payment| !order.attention.iter().any(|raised| flags(raised, payment));
    let holding = order.payments.iter().filter(|payment| payment.state.holds_money());
    holding.filter(unflagged).min_by_key(|payment| payment.updated_at)
}

/// When an unsubmitted order expires or has to be reported.
pub(super) fn unsubmitted_until(order: &OrderAggregate) -> Option<Timestamp> {
    if !order.header.state.is_unsubmitted() {
        return None;
    }
    if order.payments.iter().any(|payment| payment.state.holds_money()) {
        return unflagged_money(order).map(|payment| payment.updated_at.plus(UNSUBMITTED_LIMIT));
    }
    let session = order.open_session().map(|session| session.expires_at);
    Some(session.map_or(order.header.expires_at, |at| at.max(order.header.expires_at)))
}
