//! What an order file makes due, and when. A pure function of the file: a change writes down the difference.

use std::time::Duration;

use port::Timestamp;

use super::file::OrderFile;
use super::operate::waiting_refunds;
use super::payment::{Attention, AttentionCode, Payment};
use super::session::{AttemptRecord, AttemptState, Session};

/// What can be due.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum DueKind {
    /// An attempt whose start has no known outcome. Subject: attempt.
    Begin,
    /// A payment to ask the provider about. Subject: payment.
    Ask,
    /// An operation whose outcome is not known, or which waits to be sent. Subject: payment.
    Operate,
    /// A session past its time. Subject: session.
    Close,
    /// An attempt that was given up and may exist all the same. Subject: attempt.
    Orphan,
    /// An order to hand over at the provider. Subject: attempt.
    HandOver,
    /// An order that nobody has touched, or that is paid and not submitted. Subject: order.
    Expire,
    /// An attention that the merchant's policy may decide. Subject: attention.
    Remedy,
    /// A notification to act on. Subject: note.
    Note,
    /// A checkpoint over all events. Subject: `events`.
    Checkpoint,
    /// Notifications that are old enough to be forgotten. Subject: `inbox`.
    Clear,
    /// An event to tell a merchant of. Subject: endpoint and order.
    Deliver,
    /// A session that stores a method, to be gone on with. Subject: profile session.
    Save,
    /// Methods that a payment has stored, to be listed. Subject: session.
    List,
    /// A stored method to be forgotten at its provider. Subject: profile.
    Forget,
}

impl DueKind {
    /// Every kind, for gauges.
    pub const ALL: [Self; 15] = [
        Self::Begin,
        Self::Ask,
        Self::Operate,
        Self::Close,
        Self::Orphan,
        Self::HandOver,
        Self::Expire,
        Self::Remedy,
        Self::Note,
        Self::Checkpoint,
        Self::Clear,
        Self::Deliver,
        Self::Save,
        Self::List,
        Self::Forget,
    ];

    /// As stored, and as metric label.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Begin => "begin",
            Self::Ask => "ask",
            Self::Operate => "operate",
            Self::Close => "close",
            Self::Orphan => "orphan",
            Self::HandOver => "hand_over",
            Self::Expire => "expire",
            Self::Remedy => "remedy",
            Self::Note => "note",
            Self::Checkpoint => "checkpoint",
            Self::Clear => "clear",
            Self::Deliver => "deliver",
            Self::Save => "save",
            Self::List => "list",
            Self::Forget => "forget",
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
pub fn agenda(file: &OrderFile) -> Vec<(DueKind, String, Timestamp)> {
    let mut due = Vec::new();
    for attempt in &file.attempts {
        let at = attempt.started_at.plus(CALL_DEADLINE);
        match attempt.state {
            AttemptState::Started => due.push((DueKind::Begin, attempt.id.to_string(), at)),
            AttemptState::Orphaned => due.push((DueKind::Orphan, attempt.id.to_string(), at)),
            AttemptState::Begun | AttemptState::Ended => {}
        }
        if is_to_hand_over(file, attempt) {
            let since = file.order.submitted_at.unwrap_or(file.order.updated_at);
            due.push((DueKind::HandOver, attempt.id.to_string(), since));
        }
    }
    for payment in &file.payments {
        let at = match &payment.operation {
            Some(operation) => Some(operation.since.plus(CALL_DEADLINE)),
            None => waiting_refunds(file, payment).next().map(|refund| refund.created_at),
        };
        due.extend(at.map(|at| (DueKind::Operate, payment.id.to_string(), at)));
    }
    if let Some(session) = file.open_session().filter(|session| !is_closing(file, session)) {
        due.push((DueKind::Close, session.id.to_string(), session.expires_at));
    }
    let decidable = file.attention.iter().filter(|told| is_decidable(file, told));
    due.extend(decidable.map(|told| (DueKind::Remedy, told.id.to_string(), told.raised_at)));
    due.extend(idle(file).map(|at| (DueKind::Expire, file.id().to_string(), at)));
    due
}

/// Whether the end of an open session is under way, or left to a person because money is held on it. A close that was
/// taken as not done leaves it as it was.
fn is_closing(file: &OrderFile, session: &Session) -> bool {
    let payment = file.payment(session.payment);
    let waits = payment.is_some_and(|payment| payment.operation.is_some() || payment.standing.holds_money());
    session.closing.is_some() && waits
}

/// Whether a merchant's policy may still decide it: nobody has, and the order that its money lay on was not submitted
/// with it meanwhile.
pub fn is_decidable(file: &OrderFile, told: &Attention) -> bool {
    let outlived = told.code == AttentionCode::PaidNotSubmitted && !file.order.state.is_unsubmitted();
    told.resolved_at.is_none() && told.code.has_policy() && !outlived
}

/// Whether the provider's own order behind an attempt is to be handed over: ours was submitted with its money. One
/// whose session had ended counts if it was paid all the same, and somebody let that money count.
pub fn is_to_hand_over(file: &OrderFile, attempt: &AttemptRecord) -> bool {
    let used = attempt.session.and_then(|id| file.session(id)).is_some_and(|session| session.used);
    let pays = match attempt.state {
        AttemptState::Begun => true,
        AttemptState::Ended => file
            .payment_of(attempt)
            .is_some_and(|payment| payment.attempt == Some(attempt.id) && payment.standing.holds_money()),
        AttemptState::Started | AttemptState::Orphaned => false,
    };
    used && pays && attempt.hands_over && !attempt.handed_over
}

/// Of the payments that hold money of an unsubmitted order, and that nobody was told of, the one that does so for
/// longest.
pub(super) fn untold_money(file: &OrderFile) -> Option<&Payment> {
    let of = |told: &Attention| told.payment.filter(|_| told.code == AttentionCode::PaidNotSubmitted);
    let untold = |payment: &&Payment| !file.attention.iter().any(|told| of(told) == Some(payment.id));
    let holding = file.payments.iter().filter(|payment| payment.standing.holds_money());
    holding.filter(untold).min_by_key(|payment| payment.updated_at)
}

/// When an order that is not submitted wants to be looked at.
pub(super) fn idle(file: &OrderFile) -> Option<Timestamp> {
    if !file.order.state.is_unsubmitted() {
        return None;
    }
    if file.payments.iter().any(|payment| payment.standing.holds_money()) {
        return untold_money(file).map(|payment| payment.updated_at.plus(UNSUBMITTED_LIMIT));
    }
    let session = file.open_session().map(|session| session.expires_at);
    Some(session.map_or(file.order.expires_at, |at| at.max(file.order.expires_at)))
}
