//! What is due later, and when: computed from the subject, never kept beside it.
//!
//! A change writes down the next moment of each lane; the job runner computes from the subject what is due when that
//! moment has come. Only the moment of the next read of a provider depends on when it was last read.

use std::time::Duration;

use port::{AttemptId, AttentionId, PaymentId, PaymentStatus, SessionId, Timestamp};

use super::operate::waiting_refunds;
use super::schedule::next_read;
use super::{
    Attempt, AttemptState, Attention, AttentionCode, OrderAggregate, Payment, Session, SessionStatus,
};

/// Something that has to be done later.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, strum::EnumDiscriminants)]
#[strum_discriminants(name(JobKind), doc = "The kinds of job; as metric labels in snake case.")]
#[strum_discriminants(derive(PartialOrd, Ord, Hash, strum::IntoStaticStr, strum::VariantArray))]
#[strum_discriminants(strum(serialize_all = "snake_case"))]
pub enum Job {
    /// Find out about a start that has no known outcome.
    ResolveStart(AttemptId),
    /// Ask the provider how a payment stands.
    FetchStatus(PaymentId),
    /// Go on with an operation whose outcome is not known, or which waits to be sent.
    ResumeOperation(PaymentId),
    /// Close a session past its time.
    CloseSession(SessionId),
    /// Find and close an attempt that was abandoned and may exist all the same.
    CloseOrphan(AttemptId),
    /// Submit the provider's own order.
    SubmitProviderOrder(AttemptId),
    /// List the methods that a payment has stored.
    SyncProfiles(SessionId),
    /// Expire an order that nobody has touched, or raise attention on one that is paid and not submitted.
    ExpireOrder,
    /// Decide an attention by the merchant's refund policy.
    ApplyRefundPolicy(AttentionId),
    /// Go on with a profile session.
    FollowProfileSession,
    /// Detach a deleted method at its provider.
    DetachProfile,
    /// Act on a stored notification.
    ProcessNotification,
}

/// A queue with a limit of its own.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Lane {
    /// Work that asks no provider.
    General,
    /// Reads of a provider's account, at the rate its budget allows.
    Account(String),
}

/// Who goes first in a lane that is behind, most urgent first. Each class has a share of its own that no other takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
#[derive(strum::IntoStaticStr, strum::VariantArray, strum::FromRepr)]
#[strum(serialize_all = "snake_case")]
pub enum Urgency {
    /// A customer who came back.
    Customer = 0,
    /// The provider has notified us.
    Notified = 1,
    /// Something was sent and its outcome is not known.
    UnknownOutcome = 2,
    /// Whatever has waited longest.
    Scheduled = 3,
}

/// A job with its moment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DueJob {
    /// What.
    pub job: Job,
    /// In which lane.
    pub lane: Lane,
    /// How urgent.
    pub urgency: Urgency,
    /// When.
    pub at: Timestamp,
}

/// How long a call may run before its outcome counts as unknown and a job takes over: longer than the longest
/// time-out of a provider call, so that the two never meet.
pub const CALL_DEADLINE: Duration = Duration::from_secs(45);

/// How long money may lie on an order that nobody submits before attention is raised.
pub const UNSUBMITTED_LIMIT: Duration = Duration::from_secs(24 * 3_600);

/// Everything that an order makes due, judged at `now`; `draw` spreads the reads.
pub(super) fn due(order: &OrderAggregate, now: Timestamp, draw: u64) -> Vec<DueJob> {
    let mut due = scheduled(order);
    let reads = order.payments.iter().filter_map(|payment| {
        let at = next_read(order, payment, now, draw)?;
        Some((Job::FetchStatus(payment.id), at))
    });
    due.extend(reads);
    due.into_iter()
        .map(|(job, at)| DueJob { job, lane: lane(order, job), urgency: urgency(order, job), at })
        .collect()
}

/// What an order makes due at moments that follow from the order alone: everything but reads.
pub fn scheduled(order: &OrderAggregate) -> Vec<(Job, Timestamp)> {
    let mut due = Vec::new();
    for attempt in &order.attempts {
        let at = attempt.started_at.plus(CALL_DEADLINE);
        match attempt.state {
            AttemptState::Started => due.push((Job::ResolveStart(attempt.id), at)),
            AttemptState::Orphaned => due.push((Job::CloseOrphan(attempt.id), at)),
            AttemptState::Created | AttemptState::Ended => {}
        }
        if awaits_submission(order, attempt) {
            let since = order.header.submitted_at.unwrap_or(order.header.updated_at);
            due.push((Job::SubmitProviderOrder(attempt.id), since));
        }
    }
    for payment in &order.payments {
        let at = match &payment.operation {
            Some(operation) => Some(operation.since.plus(CALL_DEADLINE)),
            None => waiting_refunds(order, payment).next().map(|refund| refund.created_at),
        };
        due.extend(at.map(|at| (Job::ResumeOperation(payment.id), at)));
    }
    if let Some(session) = order.open_session().filter(|session| !is_closing(order, session)) {
        due.push((Job::CloseSession(session.id), session.expires_at));
    }
    let unlisted = order.sessions.iter().filter(|session| awaits_profiles(order, session));
    due.extend(unlisted.map(|session| (Job::SyncProfiles(session.id), session.updated_at)));
    let decidable = order.attention.iter().filter(|attention| is_decidable(order, attention));
    due.extend(decidable.map(|raised| (Job::ApplyRefundPolicy(raised.id), raised.raised_at)));
    due.extend(idle(order).map(|at| (Job::ExpireOrder, at)));
    due
}

/// The lane of an order's job: the account that it asks.
fn lane(order: &OrderAggregate, job: Job) -> Lane {
    let attempt = match job {
        Job::ResolveStart(id) | Job::CloseOrphan(id) | Job::SubmitProviderOrder(id) => Some(id),
        Job::FetchStatus(id) | Job::ResumeOperation(id) => {
            order.payment(id).and_then(|payment| payment.attempt)
        }
        Job::CloseSession(id) | Job::SyncProfiles(id) => order.session(id).map(|session| session.attempt),
        _ => None,
    };
    let attempt = attempt.and_then(|id| order.attempt(id));
    attempt.map_or(Lane::General, |attempt| Lane::Account(attempt.account.clone()))
}

fn urgency(order: &OrderAggregate, job: Job) -> Urgency {
    let unknown = |payment: &Payment| {
        payment.operation.is_some()
            || payment.status() == PaymentStatus::Processing
            || order.reserved(payment.id) > 0
    };
    match job {
        Job::ResolveStart(_) | Job::ResumeOperation(_) => Urgency::UnknownOutcome,
        Job::FetchStatus(id) if order.payment(id).is_some_and(unknown) => Urgency::UnknownOutcome,
        _ => Urgency::Scheduled,
    }
}

/// What a look at an attempt's provider is good for, whatever is scheduled: to find and close it if it was abandoned,
/// else how its payment stands. `None` while its start is under way, and if no payment stands on it.
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

/// Whether the end of an open session is under way, or left to a person because money is held on it. A close that was
/// taken as not done leaves it as it was.
fn is_closing(order: &OrderAggregate, session: &Session) -> bool {
    let payment = order.payment(session.payment);
    let waits = payment.is_some_and(|payment| payment.operation.is_some() || payment.state.holds_money());
    session.closing.is_some() && waits
}

/// Whether the methods that a paid session was to store have not been listed yet.
fn awaits_profiles(order: &OrderAggregate, session: &Session) -> bool {
    let requested = session.request.value().is_some_and(|request| request.save_payment_profile);
    let known = order.header.personal.value().is_some_and(|personal| personal.customer.id.is_some());
    session.status == SessionStatus::Completed && !session.profiles_synced && requested && known
}

/// Whether a merchant's policy may still decide an attention: nobody has, and the order that its money lay on was not
/// submitted with it meanwhile.
pub fn is_decidable(order: &OrderAggregate, attention: &Attention) -> bool {
    let outlived = attention.code == AttentionCode::PaidNotSubmitted && !order.header.state.is_unsubmitted();
    attention.resolved_at.is_none() && attention.code.has_policy() && !outlived
}

/// Whether the provider's own order behind an attempt is to be submitted: ours was submitted with its money. An
/// attempt whose session had ended counts if it was paid all the same, and somebody let that money count.
pub fn awaits_submission(order: &OrderAggregate, attempt: &Attempt) -> bool {
    let used = attempt.session.and_then(|id| order.session(id)).is_some_and(|session| session.used);
    let pays = match attempt.state {
        AttemptState::Created => true,
        AttemptState::Ended => order
            .payment_of(attempt)
            .is_some_and(|payment| payment.attempt == Some(attempt.id) && payment.state.holds_money()),
        AttemptState::Started | AttemptState::Orphaned => false,
    };
    used && pays && attempt.submits_order && !attempt.provider_order_submitted
}

/// Of the payments that hold money of an unsubmitted order and have raised no attention for it, the one that has done
/// so for longest.
pub(super) fn unflagged_money(order: &OrderAggregate) -> Option<&Payment> {
    let of = |raised: &Attention| raised.payment.filter(|_| raised.code == AttentionCode::PaidNotSubmitted);
    let unflagged = |payment: &&Payment| !order.attention.iter().any(|raised| of(raised) == Some(payment.id));
    let holding = order.payments.iter().filter(|payment| payment.state.holds_money());
    holding.filter(unflagged).min_by_key(|payment| payment.updated_at)
}

/// When an order that is not submitted has to be looked at.
pub(super) fn idle(order: &OrderAggregate) -> Option<Timestamp> {
    if !order.header.state.is_unsubmitted() {
        return None;
    }
    if order.payments.iter().any(|payment| payment.state.holds_money()) {
        return unflagged_money(order).map(|payment| payment.updated_at.plus(UNSUBMITTED_LIMIT));
    }
    let session = order.open_session().map(|session| session.expires_at);
    Some(session.map_or(order.header.expires_at, |at| at.max(order.header.expires_at)))
}
