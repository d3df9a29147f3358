//! How a payment stands: six facts, each a join, so that repeats and disorder cannot matter.
//!
//! An observation becomes a [`Standing`] of its own, and standings are joined. A join is commutative,
//! associative and idempotent, which is what makes the order of arrival irrelevant.

use port::{Detail, DisputeStage, Observation, PaymentStatus, Says, Timestamp};
use serde::{Deserialize, Serialize};

/// What a payment's account and merchant agreed on; never changes with an observation. Minor units.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Terms {
    /// What was asked.
    pub amount: i64,
    /// Whether the provider holds funds before it takes them.
    pub authorises: bool,
    /// Whether the first capture releases what it leaves.
    pub one_capture: bool,
    /// What our capture asked for, once there is one.
    pub capture_asked: Option<i64>,
}

/// The six facts.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Standing {
    /// The last word without money: an ended one beats an open one, then the newest.
    pub word: Option<Heard>,
    /// The most that was ever held.
    pub authorized: i64,
    /// The most that was ever taken.
    pub captured: i64,
    /// Whether the hold still stands, by the newest to say so.
    pub hold: Option<Hold>,
    /// What was given back.
    pub refunded: Refunded,
    /// The newest word of a dispute.
    pub dispute: Option<DisputeWord>,
    /// The newest word that ends a dispute.
    pub calm: Option<Calm>,
}

/// A word without money, and when it was said.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Heard {
    /// Whether nothing follows it.
    pub ended: bool,
    /// When.
    pub place: Timestamp,
    /// The word.
    pub status: PaymentStatus,
}

/// Whether a hold stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Hold {
    /// When it was said.
    pub place: Timestamp,
    /// Released, lapsed, or used up by the one capture there is.
    pub gone: bool,
}

/// What was given back: the largest figure since the newest word that lowers it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Refunded {
    /// Figures that may still count, newest first; each is larger than the one before it.
    pub stated: Vec<(Timestamp, i64)>,
    /// When a refund last failed or came back.
    pub lowered_at: Option<Timestamp>,
}

/// A dispute's word.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct DisputeWord {
    /// When it was said.
    pub place: Timestamp,
    /// Where the dispute stands.
    pub stage: DisputeStage,
    /// How much, if stated.
    pub amount: Option<i64>,
    /// When the first such word was said.
    pub opened_at: Timestamp,
}

/// A word that ends a dispute.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Calm {
    /// When it was said.
    pub place: Timestamp,
    /// Whether the money is gone.
    pub lost: bool,
}

/// Stands for "all of what was taken".
const ALL: i64 = i64::MAX;

/// Amounts that cannot be: taken as no statement at all.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the provider states amounts that cannot be")]
pub struct OutOfBounds;

impl Standing {
    /// What one observation says by itself.
    ///
    /// # Errors
    /// [`OutOfBounds`] unless 0 ≤ refunded ≤ captured ≤ authorized ≤ amount.
    pub fn of(seen: &Observation, terms: Terms) -> Result<Self, OutOfBounds> {
        let stated = Stated::of(seen, terms)?;
        let place = seen.place;
        let heard = |status, ended| Some(Heard { ended, place, status });
        let mut facts = Self::default();
        // Beside a word that takes nothing a figure means nothing.
        facts.refunded.stated.extend(stated.refunded.filter(|_| takes(seen)).map(|figure| (place, figure)));
        match seen.says {
            Says::Status(PaymentStatus::Authorized) => {
                facts.authorized = stated.authorized.unwrap_or(terms.amount);
                facts.captured = stated.captured.unwrap_or(0);
                facts.hold = Some(Hold { place, gone: terms.one_capture && facts.captured > 0 });
            }
            Says::Status(PaymentStatus::Paid) => {
                facts.take(stated, terms, place);
                facts.calm = Some(Calm { place, lost: false });
            }
            Says::Status(PaymentStatus::PartiallyRefunded) | Says::FromAmounts => {
                facts.take(stated, terms, place);
                let lost = facts.is_all_refunded();
                facts.calm = Some(Calm { place, lost });
            }
            Says::Status(PaymentStatus::Refunded) => {
                facts.take(stated, terms, place);
                facts.refunded.stated = vec![(place, stated.refunded.unwrap_or(ALL))];
                facts.calm = Some(Calm { place, lost: true });
            }
            Says::Status(PaymentStatus::Disputed) => {
                facts.take(stated, terms, place);
                let stage = seen.stage.unwrap_or(DisputeStage::Chargeback);
                let amount = seen.disputed.map(|money| money.minor);
                facts.dispute = Some(DisputeWord { place, stage, amount, opened_at: place });
            }
            Says::Status(status @ (PaymentStatus::Cancelled | PaymentStatus::Expired)) => {
                facts.word = heard(status, true);
                facts.hold = Some(Hold { place, gone: true });
            }
            Says::Status(PaymentStatus::Failed) => facts.word = heard(PaymentStatus::Failed, seen.last),
            Says::Status(
                status @ (PaymentStatus::Pending | PaymentStatus::RequiresAction | PaymentStatus::Processing),
            ) => facts.word = heard(status, false),
            Says::Reversed => {
                facts.word = heard(PaymentStatus::Cancelled, true);
                facts.hold = Some(Hold { place, gone: true });
                facts.refunded.stated = vec![(place, ALL)];
                facts.calm = Some(Calm { place, lost: true });
            }
            Says::Unchanged if seen.detail == Some(Detail::RefundPending) => facts.take(stated, terms, place),
            Says::Unchanged | Says::Unmapped => {}
        }
        // Without a figure nobody knows what is left: what was given back before then still counts.
        if lowers(seen) && seen.refunded.is_some() {
            facts.refunded.lowered_at = Some(place);
        }
        Ok(facts)
    }

    /// Money was taken: as stated, else what our capture asked for, else everything.
    fn take(&mut self, stated: Stated, terms: Terms, place: Timestamp) {
        self.captured = stated.taken(terms);
        if terms.authorises {
            self.authorized = stated.authorized.unwrap_or(terms.amount).max(self.captured);
            if terms.one_capture {
                self.hold = Some(Hold { place, gone: true });
            }
        }
    }

    /// Both together.
    #[must_use]
    pub fn join(&self, other: &Self) -> Self {
        Self {
            word: self.word.max(other.word),
            authorized: self.authorized.max(other.authorized),
            captured: self.captured.max(other.captured),
            hold: self.hold.max(other.hold),
            refunded: self.refunded.join(&other.refunded),
            dispute: join_dispute(self.dispute, other.dispute),
            calm: self.calm.max(other.calm),
        }
    }

    /// The one word for it all.
    pub fn status(&self) -> PaymentStatus {
        if self.open_dispute().is_some() {
            PaymentStatus::Disputed
        } else if self.captured > 0 {
            match self.refunded() {
                0 => PaymentStatus::Paid,
                some if some < self.captured => PaymentStatus::PartiallyRefunded,
                _ => PaymentStatus::Refunded,
            }
        } else if self.is_held() {
            PaymentStatus::Authorized
        } else {
            self.word.map_or(PaymentStatus::Pending, |heard| heard.status)
        }
    }

    /// Whether the provider will not change its mind by itself.
    pub fn is_final(&self) -> bool {
        match self.status() {
            PaymentStatus::Failed | PaymentStatus::Cancelled | PaymentStatus::Expired => {
                self.word.is_some_and(|heard| heard.ended)
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

    /// Whether funds are held and not taken.
    pub fn is_held(&self) -> bool {
        self.authorized > 0 && self.captured == 0 && self.hold.is_some_and(|hold| !hold.gone)
    }

    /// What can still be captured, before reserves.
    pub fn capturable(&self) -> i64 {
        let stands = self.hold.is_some_and(|hold| !hold.gone);
        if stands { (self.authorized - self.captured).max(0) } else { 0 }
    }

    /// What was given back, at most what was taken.
    pub fn refunded(&self) -> i64 {
        self.refunded.figure().min(self.captured)
    }

    /// The dispute, unless something newer ended it.
    pub fn open_dispute(&self) -> Option<DisputeWord> {
        self.dispute.filter(|word| self.calm.is_none_or(|calm| calm.place <= word.place))
    }

    /// How the dispute ended, if there was one and it did.
    pub fn ended_dispute(&self) -> Option<(DisputeWord, Calm)> {
        let word = self.dispute?;
        let calm = self.calm.filter(|calm| calm.place > word.place)?;
        Some((word, calm))
    }

    /// What an open dispute contests.
    pub fn disputed(&self) -> i64 {
        self.open_dispute().map_or(0, |word| word.contests(self.captured - self.refunded()))
    }

    /// Whether an open dispute is about money that was given back already, so that it may leave twice.
    pub(super) fn disputes_returned_money(&self) -> bool {
        let back = self.refunded();
        self.open_dispute().is_some()
            && back > 0
            && (back >= self.captured || self.disputed() > self.captured - back)
    }

    /// Whether money was held or taken and is not all given back: nobody may forget this payment.
    pub fn holds_money(&self) -> bool {
        self.is_held() || self.captured > self.refunded()
    }

    fn is_all_refunded(&self) -> bool {
        self.captured > 0 && self.refunded() >= self.captured
    }
}

impl DisputeWord {
    /// What it contests, minor units, of the `rest` that is not given back: all of it, if nothing is stated.
    pub(super) fn contests(self, rest: i64) -> i64 {
        if self.stage.only_asks() { 0 } else { self.amount.unwrap_or(rest) }
    }
}

impl Refunded {
    fn join(&self, other: &Self) -> Self {
        let lowered_at = self.lowered_at.max(other.lowered_at);
        let mut all: Vec<_> = self.stated.iter().chain(&other.stated).copied().collect();
        all.retain(|(place, _)| lowered_at.is_none_or(|floor| *place >= floor));
        all.sort_unstable_by(|a, b| b.cmp(a));
        // Newest first, an older figure can only ever count if it is larger.
        let mut stated: Vec<(Timestamp, i64)> = Vec::new();
        for (place, figure) in all {
            if stated.last().is_none_or(|(_, newer)| figure > *newer) {
                stated.push((place, figure));
            }
        }
        Self { stated, lowered_at }
    }

    fn figure(&self) -> i64 {
        self.stated.iter().map(|(_, figure)| *figure).max().unwrap_or(0)
    }
}

fn join_dispute(a: Option<DisputeWord>, b: Option<DisputeWord>) -> Option<DisputeWord> {
    let (Some(first), Some(second)) = (a, b) else { return a.or(b) };
    let opened_at = first.opened_at.min(second.opened_at);
    let bare = |word: DisputeWord| DisputeWord { opened_at: Timestamp::default(), ..word };
    let newest = if bare(first) >= bare(second) { first } else { second };
    Some(DisputeWord { opened_at, ..newest })
}

/// Whether it says that money was taken, however much of it went back.
pub(super) fn takes(seen: &Observation) -> bool {
    use PaymentStatus::{Disputed, Paid, PartiallyRefunded, Refunded};
    match seen.says {
        Says::Status(PaymentStatus::Authorized) => seen.captured.is_some_and(|captured| captured.minor > 0),
        Says::Status(status) => matches!(status, Paid | PartiallyRefunded | Refunded | Disputed),
        Says::FromAmounts => true,
        Says::Unchanged => seen.detail == Some(Detail::RefundPending),
        Says::Reversed | Says::Unmapped => false,
    }
}

/// Whether it says that nothing was taken, and nothing is on its way.
pub(crate) fn takes_nothing(seen: &Observation) -> bool {
    use PaymentStatus::{Cancelled, Expired, Failed, Pending, RequiresAction};
    matches!(seen.says, Says::Status(Pending | RequiresAction | Failed | Cancelled | Expired))
}

/// Whether it leaves open what becomes of the payment.
pub(crate) fn leaves_open(seen: &Observation) -> bool {
    match seen.says {
        Says::Status(PaymentStatus::Failed) => !seen.last,
        Says::Status(PaymentStatus::Pending | PaymentStatus::RequiresAction | PaymentStatus::Processing)
        | Says::Unchanged
        | Says::Unmapped => true,
        Says::Status(_) | Says::FromAmounts | Says::Reversed => false,
    }
}

/// Whether it says that money which was given back did not stay there.
pub(super) fn lowers(seen: &Observation) -> bool {
    matches!(seen.detail, Some(Detail::RefundFailed | Detail::RefundReversed))
}

/// The amounts of one observation, checked.
#[derive(Clone, Copy)]
struct Stated {
    authorized: Option<i64>,
    captured: Option<i64>,
    refunded: Option<i64>,
}

impl Stated {
    fn of(seen: &Observation, terms: Terms) -> Result<Self, OutOfBounds> {
        let minor = |money: Option<port::Money>| money.map(|money| money.minor);
        let stated = Self {
            authorized: minor(seen.authorized),
            captured: minor(seen.captured),
            refunded: minor(seen.refunded).filter(|figure| *figure != 0),
        };
        let held = stated.authorized.unwrap_or(terms.amount);
        let most = stated.taken(terms);
        let taken = if takes(seen) { most } else { stated.captured.unwrap_or(0) };
        let back = stated.refunded.unwrap_or(0);
        let bounded = 0 <= back && back <= most && 0 <= taken && taken <= held && held <= terms.amount;
        let disputed = minor(seen.disputed).is_none_or(|figure| (0..=terms.amount).contains(&figure));
        if bounded && disputed { Ok(stated) } else { Err(OutOfBounds) }
    }

    fn taken(self, terms: Terms) -> i64 {
        self.captured.or(terms.capture_asked).unwrap_or(terms.amount)
    }
}
