//! What an order file makes due, and when. A pure function of the file: a change writes down the difference.

use std::time::Duration;

use port::Timestamp;

use super::aggregate::OrderAggregate;
use super::operate::waiting_refunds;
use super::payment::{Attention, AttentionCode, Payment};
use super::session::{Attempt, AttemptState, Session};

/// What can be due.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum JobKind {
    /// An attempt whose start has no known outcome. Subject: attempt.
    ResolveStart,
    /// A payment to ask the provider about. Subject: payment.
    FetchStatus,
    /// An operation whose outcome is not known, or which waits to be sent. Subject: payment.
    ResumeOperation,
    /// A session past its time. Subject: session.
    CloseSession,
    /// An attempt that was given up and may exist all the same. Subject: attempt.
    CloseOrphan,
    /// An order to hand over at the provider. Subject: attempt.
    SubmitProviderOrder,
    /// An order that nobody has touched, or that is paid and not submitted. Subject: order.
    ExpireOrder,
    /// An attention that the merchant's policy may decide. Subject: attention.
    ApplyRefundPolicy,
    /// A notification to act on. Subject: note.
    ProcessNotification,
    /// A checkpoint over all events. Subject: `events`.
    Checkpoint,
    /// Notifications that are old enough to be forgotten. Subject: `inbox`.
    PruneInbox,
    /// An event to tell a merchant of. Subject: endpoint and order.
    Deliver,
    /// A session that stores a method, to be gone on with. Subject: profile session.
    PollProfileSession,
    /// Methods that a payment has stored, to be listed. Subject: session.
    SyncMethods,
    /// A stored method to be forgotten at its provider. Subject: profile.
    DetachMethod,
}

impl JobKind {
    /// Every kind, for gauges.
    pub const ALL: [Self; 15] = [
        Self::ResolveStart,
        Self::FetchStatus,
        Self::ResumeOperation,
        Self::CloseSession,
        Self::CloseOrphan,
        Self::SubmitProviderOrder,
        Self::ExpireOrder,
        Self::ApplyRefundPolicy,
        Self::ProcessNotification,
        Self::Checkpoint,
        Self::PruneInbox,
        Self::Deliver,
        Self::PollProfileSession,
        Self::SyncMethods,
        Self::DetachMethod,
    ];

    /// As stored, and as metric label.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::ResolveStart => "resolve_start",
            Self::FetchStatus => "fetch_status",
            Self::ResumeOperation => "resume_operation",
            Self::CloseSession => "close_session",
            Self::CloseOrphan => "close_orphan",
            Self::SubmitProviderOrder => "submit_provider_order",
            Self::ExpireOrder => "expire_order",
            Self::ApplyRefundPolicy => "apply_refund_policy",
            Self::ProcessNotification => "process_notification",
            Self::Checkpoint => "checkpoint",
            Self::PruneInbox => "prune_inbox",
            Self::Deliver => "deliver",
            Self::PollProfileSession => "poll_profile_session",
            Self::SyncMethods => "sync_methods",
            Self::DetachMethod => "detach_method",
        }
    }

    /// The kind of a stored word.
    pub fn from_word(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.as_str() == word)
    }
}

/// How long a call may run before its outcome counts as unknown and the agenda takes over: longer than the
/// longest time-out of a provider call, so that the two never meet.
pub const CALL_DEADLINE: Duration = Duration::from_secs(45);

/// How long money may lie on an order that nobody submits before a person is told.
pub const UNSUBMITTED_LIMIT: Duration = Duration::from_secs(24 * 3_600);

/// Everything the file makes due, except the moments to ask a provider again, which follow from asking.
pub fn jobs(order: &OrderAggregate) -> Vec<(JobKind, String, Timestamp)> {
    let mut due = Vec::new();
    for attempt in &order.attempts {
        let at = attempt.started_at.plus(CALL_DEADLINE);
        match attempt.state {
            AttemptState::Started => due.push((JobKind::ResolveStart, attempt.id.to_string(), at)),
            AttemptState::Orphaned => due.push((JobKind::CloseOrphan, attempt.id.to_string(), at)),
            AttemptState::Created | AttemptState::Ended => {}
        }
        if needs_provider_order(order, attempt) {
            let since = order.header.submitted_at.unwrap_or(order.header.updated_at);
            due.push((JobKind::SubmitProviderOrder, attempt.id.to_string(), since));
        }
    }
    for payment in &order.payments {
        let at = match &payment.operation {
            Some(operation) => Some(operation.since.plus(CALL_DEADLINE)),
            None => waiting_refunds(order, payment).next().map(|refund| refund.created_at),
        };
        due.extend(at.map(|at| (JobKind::ResumeOperation, payment.id.to_string(), at)));
    }
    if let Some(session) = order.open_session().filter(|session| !is_closing(order, session)) {
        due.push((JobKind::CloseSession, session.id.to_string(), session.expires_at));
    }
    let decidable = order.attention.iter().filter(|attention| is_decidable(order, attention));
    due.extend(
        decidable
            .map(|attention| (JobKind::ApplyRefundPolicy, attention.id.to_string(), attention.raised_at)),
    );
    due.extend(idle(order).map(|at| (JobKind::ExpireOrder, order.id().to_string(), at)));
    due
}

/// Whether the end of an open session is under way, or left to a person because money is held on it. A close that was
/// taken as not done leaves it as it was.
fn is_closing(order: &OrderAggregate, session: &Session) -> bool {
    let payment = order.payment(session.payment);
    let waits = payment.is_some_and(|payment| payment.operation.is_some() || payment.state.holds_money());
    session.closing.is_some() && waits
}

/// Whether a merchant's policy may still decide it: nobody has, and the order that its money lay on was not submitted
/// with it meanwhile.
pub fn is_decidable(order: &OrderAggregate, attention: &Attention) -> bool {
    let outlived = attention.code == AttentionCode::PaidNotSubmitted && !order.header.state.is_unsubmitted();
    attention.resolved_at.is_none() && attention.code.has_policy() && !outlived
}

/// Whether the provider's own order behind an attempt is to be handed over: ours was submitted with its money. One
/// whose session had ended counts if it was paid all the same, and somebody let that money count.
pub fn needs_provider_order(order: &OrderAggregate, attempt: &Attempt) -> bool {
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

/// Of the payments that hold money of an unsubmitted order, and that nobody was told of, the one that does so for
/// longest.
pub(super) fn unreported_payment(order: &OrderAggregate) -> Option<&Payment> {
    let of = |attention: &Attention| {
        attention.payment.filter(|_| attention.code == AttentionCode::PaidNotSubmitted)
    };
    let untold =
        |payment: &&Payment| !order.attention.iter().any(|attention| of(attention) == Some(payment.id));
    let holding = order.payments.iter().filter(|payment| payment.state.holds_money());
    holding.filter(untold).min_by_key(|payment| payment.updated_at)
}

/// When an order that is not submitted wants to be looked at.
pub(super) fn idle(order: &OrderAggregate) -> Option<Timestamp> {
    if !order.header.state.is_unsubmitted() {
        return None;
    }
    if order.payments.iter().any(|payment| payment.state.holds_money()) {
        return unreported_payment(order).map(|payment| payment.updated_at.plus(UNSUBMITTED_LIMIT));
    }
    let session = order.open_session().map(|session| session.expires_at);
    Some(session.map_or(order.header.expires_at, |at| at.max(order.header.expires_at)))
}
