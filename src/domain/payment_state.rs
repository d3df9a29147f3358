//! The state of a payment, from which its status is computed. Observations are merged by a join (commutative,
//! associative, idempotent), so repeated or reordered reports give the same result.
//!
//! Each observation is converted to a [`PaymentState`] of its own, which is then joined with the stored one.

use port::{Detail, DisputeStage, Observation, PaymentStatus, StatusMapping, Timestamp};
use serde::{Deserialize, Serialize};

/// What observations of a payment are checked against; not changed by them. Amounts in minor units.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FoldTerms {
    pub amount: i64,
    pub authorizes: bool,
    /// Whether only one capture is possible; it voids the rest.
    pub one_capture: bool,
    /// The captured total that our captures requested.
    pub capture_requested: Option<i64>,
}

/// The merged reports about a payment.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct PaymentState {
    /// The latest status without money: a terminal one wins, then the newest.
    pub reported_status: Option<ReportedStatus>,
    /// The largest authorized amount reported.
    pub authorized: i64,
    /// The largest captured amount reported.
    pub captured: i64,
    /// Whether the authorization is still valid, by the newest report.
    pub authorization: Option<Authorization>,
    pub refunded: Refunded,
    /// The newest report of a dispute.
    pub dispute: Option<DisputeReport>,
    /// The newest report that ends a dispute.
    pub dispute_closed: Option<DisputeClosed>,
}

/// A status that concerns no money, with the time of its report.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct ReportedStatus {
    /// Whether it is final at the provider.
    pub terminal: bool,
    pub as_of: Timestamp,
    pub status: PaymentStatus,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Authorization {
    pub as_of: Timestamp,
    /// Voided, expired, or used up by the only capture.
    pub gone: bool,
}

/// The refunded amount: the largest figure since a refund last failed or was reversed.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Refunded {
    /// Figures that may still count, newest first; each is larger than the one before it.
    pub stated: Vec<(Timestamp, i64)>,
    /// When a refund was last reported as failed or reversed.
    pub lowered_at: Option<Timestamp>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct DisputeReport {
    pub as_of: Timestamp,
    pub stage: DisputeStage,
    pub amount: Option<i64>,
    /// The time of the first such report.
    pub opened_at: Timestamp,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct DisputeClosed {
    pub as_of: Timestamp,
    pub lost: bool,
}

/// "The whole captured amount", where the report states no figure.
const ALL: i64 = i64::MAX;

/// A report with impossible amounts; it is ignored.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the provider states impossible amounts")]
pub struct OutOfBounds;

impl PaymentState {
    /// The state that one observation gives by itself.
    ///
    /// # Errors
    /// [`OutOfBounds`] unless 0 ≤ refunded ≤ captured ≤ authorized ≤ amount.
    pub fn of(seen: &Observation, terms: FoldTerms) -> Result<Self, OutOfBounds> {
        let stated = StatedAmounts::of(seen, terms)?;
        let as_of = seen.as_of;
        let reported = |status, ended| Some(ReportedStatus { terminal: ended, as_of, status });
        let mut state = Self::default();
        // A refunded figure counts only with a status that implies a capture.
        state
            .refunded
            .stated
            .extend(stated.refunded.filter(|_| implies_capture(seen)).map(|figure| (as_of, figure)));
        match seen.meaning {
            StatusMapping::Status(PaymentStatus::Authorized) => {
                state.authorized = stated.authorized.unwrap_or(terms.amount);
                state.captured = stated.captured.unwrap_or(0);
                state.authorization =
                    Some(Authorization { as_of, gone: terms.one_capture && state.captured > 0 });
            }
            StatusMapping::Status(PaymentStatus::Paid) => {
                state.capture(stated, terms, as_of);
                state.dispute_closed = Some(DisputeClosed { as_of, lost: false });
            }
            StatusMapping::Status(PaymentStatus::PartiallyRefunded) | StatusMapping::FromAmounts => {
                state.capture(stated, terms, as_of);
                let lost = state.is_all_refunded();
                state.dispute_closed = Some(DisputeClosed { as_of, lost });
            }
            StatusMapping::Status(PaymentStatus::Refunded) => {
                state.capture(stated, terms, as_of);
                state.refunded.stated = vec![(as_of, stated.refunded.unwrap_or(ALL))];
                state.dispute_closed = Some(DisputeClosed { as_of, lost: true });
            }
            StatusMapping::Status(PaymentStatus::Disputed) => {
                state.capture(stated, terms, as_of);
                let stage = seen.stage.unwrap_or(DisputeStage::Chargeback);
                let amount = seen.disputed.map(|money| money.minor);
                state.dispute = Some(DisputeReport { as_of, stage, amount, opened_at: as_of });
            }
            StatusMapping::Status(status @ (PaymentStatus::Cancelled | PaymentStatus::Expired)) => {
                state.reported_status = reported(status, true);
                state.authorization = Some(Authorization { as_of, gone: true });
            }
            StatusMapping::Status(PaymentStatus::Failed) => {
                state.reported_status = reported(PaymentStatus::Failed, seen.terminal)
            }
            StatusMapping::Status(
                status @ (PaymentStatus::Pending | PaymentStatus::RequiresAction | PaymentStatus::Processing),
            ) => state.reported_status = reported(status, false),
            StatusMapping::Reversed => {
                state.reported_status = reported(PaymentStatus::Cancelled, true);
                state.authorization = Some(Authorization { as_of, gone: true });
                state.refunded.stated = vec![(as_of, ALL)];
                state.dispute_closed = Some(DisputeClosed { as_of, lost: true });
            }
            StatusMapping::Unchanged if seen.detail == Some(Detail::RefundPending) => {
                state.capture(stated, terms, as_of)
            }
            StatusMapping::Unchanged | StatusMapping::Unmapped => {}
        }
        // Without a figure the new refunded total is unknown, so earlier figures still count.
        if reverses_refund(seen) && seen.refunded.is_some() {
            state.refunded.lowered_at = Some(as_of);
        }
        Ok(state)
    }

    /// Sets the captured amount: as stated, else as our captures requested, else the whole amount.
    fn capture(&mut self, stated: StatedAmounts, terms: FoldTerms, as_of: Timestamp) {
        self.captured = stated.captured_of(terms);
        if terms.authorizes {
            self.authorized = stated.authorized.unwrap_or(terms.amount).max(self.captured);
            if terms.one_capture {
                self.authorization = Some(Authorization { as_of, gone: true });
            }
        }
    }

    #[must_use]
    pub fn join(&self, other: &Self) -> Self {
        Self {
            reported_status: self.reported_status.max(other.reported_status),
            authorized: self.authorized.max(other.authorized),
            captured: self.captured.max(other.captured),
            authorization: self.authorization.max(other.authorization),
            refunded: self.refunded.join(&other.refunded),
            dispute: join_dispute(self.dispute, other.dispute),
            dispute_closed: self.dispute_closed.max(other.dispute_closed),
        }
    }

    pub fn status(&self) -> PaymentStatus {
        if self.open_dispute().is_some() {
            PaymentStatus::Disputed
        } else if self.captured > 0 {
            match self.refunded() {
                0 => PaymentStatus::Paid,
                some if some < self.captured => PaymentStatus::PartiallyRefunded,
                _ => PaymentStatus::Refunded,
            }
        } else if self.is_authorized() {
            PaymentStatus::Authorized
        } else {
            self.reported_status.map_or(PaymentStatus::Pending, |reported| reported.status)
        }
    }

    /// Whether the status can no longer change by itself.
    pub fn is_final(&self) -> bool {
        match self.status() {
            PaymentStatus::Failed | PaymentStatus::Cancelled | PaymentStatus::Expired => {
                self.reported_status.is_some_and(|reported| reported.terminal)
            }
            PaymentStatus::Refunded => true,
            PaymentStatus::Pending
            | PaymentStatus::RequiresAction
            | PaymentStatus::Processing
            | PaymentStatus::Authorized
            | PaymentStatus::Paid
            | PaymentStatus::PartiallyRefunded
            | PaymentStatus::Disputed => false,
        }
    }

    /// Whether money is authorized and nothing of it captured.
    pub fn is_authorized(&self) -> bool {
        self.authorized > 0
            && self.captured == 0
            && self.authorization.is_some_and(|authorization| !authorization.gone)
    }

    /// What can still be captured.
    pub fn capturable(&self) -> i64 {
        let valid = self.authorization.is_some_and(|authorization| !authorization.gone);
        if valid { (self.authorized - self.captured).max(0) } else { 0 }
    }

    /// The refunded amount, at most the captured amount.
    pub fn refunded(&self) -> i64 {
        self.refunded.figure().min(self.captured)
    }

    /// The dispute, unless a newer report ended it.
    pub fn open_dispute(&self) -> Option<DisputeReport> {
        self.dispute.filter(|report| self.dispute_closed.is_none_or(|closed| closed.as_of <= report.as_of))
    }

    /// The last dispute, if it has ended.
    pub fn ended_dispute(&self) -> Option<(DisputeReport, DisputeClosed)> {
        let report = self.dispute?;
        let closed = self.dispute_closed.filter(|closed| closed.as_of > report.as_of)?;
        Some((report, closed))
    }

    pub fn disputed(&self) -> i64 {
        self.open_dispute().map_or(0, |report| report.contests(self.captured - self.refunded()))
    }

    /// Whether an open dispute is about money that was already refunded, so that it may be lost twice.
    pub(super) fn disputes_returned_money(&self) -> bool {
        let refunded = self.refunded();
        self.open_dispute().is_some()
            && refunded > 0
            && (refunded >= self.captured || self.disputed() > self.captured - refunded)
    }

    /// Whether money is authorized, or captured and not refunded whole.
    pub fn holds_money(&self) -> bool {
        self.is_authorized() || self.captured > self.refunded()
    }

    fn is_all_refunded(&self) -> bool {
        self.captured > 0 && self.refunded() >= self.captured
    }
}

impl DisputeReport {
    /// The disputed amount in minor units; `rest`, what is not refunded, if none is stated.
    pub(super) fn contests(self, rest: i64) -> i64 {
        if self.stage.is_inquiry() { 0 } else { self.amount.unwrap_or(rest) }
    }
}

impl Refunded {
    fn join(&self, other: &Self) -> Self {
        let lowered_at = self.lowered_at.max(other.lowered_at);
        let mut all: Vec<_> = self.stated.iter().chain(&other.stated).copied().collect();
        all.retain(|(as_of, _)| lowered_at.is_none_or(|floor| *as_of >= floor));
        all.sort_unstable_by(|a, b| b.cmp(a));
        // Going from the newest, an older figure counts only if it is larger.
        let mut stated: Vec<(Timestamp, i64)> = Vec::new();
        for (as_of, figure) in all {
            if stated.last().is_none_or(|(_, newer)| figure > *newer) {
                stated.push((as_of, figure));
            }
        }
        Self { stated, lowered_at }
    }

    fn figure(&self) -> i64 {
        self.stated.iter().map(|(_, figure)| *figure).max().unwrap_or(0)
    }
}

fn join_dispute(a: Option<DisputeReport>, b: Option<DisputeReport>) -> Option<DisputeReport> {
    let (Some(first), Some(second)) = (a, b) else { return a.or(b) };
    let opened_at = first.opened_at.min(second.opened_at);
    let bare = |report: DisputeReport| DisputeReport { opened_at: Timestamp::default(), ..report };
    let newest = if bare(first) >= bare(second) { first } else { second };
    Some(DisputeReport { opened_at, ..newest })
}

/// Whether the report implies that money was captured, even if it was refunded since.
pub(super) fn implies_capture(seen: &Observation) -> bool {
    use PaymentStatus::{Disputed, Paid, PartiallyRefunded, Refunded};
    match seen.meaning {
        StatusMapping::Status(PaymentStatus::Authorized) => {
            seen.captured.is_some_and(|captured| captured.minor > 0)
        }
        StatusMapping::Status(status) => matches!(status, Paid | PartiallyRefunded | Refunded | Disputed),
        StatusMapping::FromAmounts => true,
        StatusMapping::Unchanged => seen.detail == Some(Detail::RefundPending),
        StatusMapping::Reversed | StatusMapping::Unmapped => false,
    }
}

/// Whether the report says that nothing was captured and nothing is being processed.
pub(crate) fn leaves_unpaid(seen: &Observation) -> bool {
    use PaymentStatus::{Cancelled, Expired, Failed, Pending, RequiresAction};
    matches!(seen.meaning, StatusMapping::Status(Pending | RequiresAction | Failed | Cancelled | Expired))
}

/// Whether the payment may still be paid after this report.
pub(crate) fn leaves_open(seen: &Observation) -> bool {
    match seen.meaning {
        StatusMapping::Status(PaymentStatus::Failed) => !seen.terminal,
        StatusMapping::Status(
            PaymentStatus::Pending | PaymentStatus::RequiresAction | PaymentStatus::Processing,
        )
        | StatusMapping::Unchanged
        | StatusMapping::Unmapped => true,
        StatusMapping::Status(_) | StatusMapping::FromAmounts | StatusMapping::Reversed => false,
    }
}

/// Whether the report says that a refund failed or was reversed.
pub(super) fn reverses_refund(seen: &Observation) -> bool {
    matches!(seen.detail, Some(Detail::RefundFailed | Detail::RefundReversed))
}

/// The amounts of one observation, checked.
#[derive(Clone, Copy)]
struct StatedAmounts {
    authorized: Option<i64>,
    captured: Option<i64>,
    refunded: Option<i64>,
}

impl StatedAmounts {
    fn of(seen: &Observation, terms: FoldTerms) -> Result<Self, OutOfBounds> {
        let minor = |money: Option<port::Money>| money.map(|money| money.minor);
        let stated = Self {
            authorized: minor(seen.authorized),
            captured: minor(seen.captured),
            refunded: minor(seen.refunded).filter(|figure| *figure != 0),
        };
        let authorized = stated.authorized.unwrap_or(terms.amount);
        let most = stated.captured_of(terms);
        let captured = if implies_capture(seen) { most } else { stated.captured.unwrap_or(0) };
        let refunded = stated.refunded.unwrap_or(0);
        let bounded = (0..=most).contains(&refunded)
            && (0..=authorized).contains(&captured)
            && authorized <= terms.amount;
        let disputed = minor(seen.disputed).is_none_or(|figure| (0..=terms.amount).contains(&figure));
        if bounded && disputed { Ok(stated) } else { Err(OutOfBounds) }
    }

    fn captured_of(self, terms: FoldTerms) -> i64 {
        self.captured.or(terms.capture_requested).unwrap_or(terms.amount)
    }
}
