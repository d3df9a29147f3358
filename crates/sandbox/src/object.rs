//! One thing that a customer can pay, in any dialect, and what may happen to its money.

use paymux_port::{Currency, Decimal, Money};
use serde::{Deserialize, Serialize};

use crate::doc::Sent;

/// The provider that is imitated.
#[derive(
    Clone,
    Copy,
    Debug,
    PartialEq,
    Eq,
    Hash,
    PartialOrd,
    Ord,
    Serialize,
    Deserialize,
    strum::IntoStaticStr,
    strum::VariantArray,
)]
#[serde(rename_all = "lowercase")]
#[strum(serialize_all = "lowercase")]
pub(crate) enum Provider {
    #[serde(alias = "telness-connect")]
    Telness,
    Paymennt,
    Decta,
}

impl Provider {
    /// The name in paths and in the control API.
    pub(crate) fn name(self) -> &'static str {
        self.into()
    }

    /// The name a customer reads on the page.
    pub(crate) fn title(self) -> &'static str {
        match self {
            Self::Telness => "Telness Connect",
            Self::Paymennt => "paymennt",
            Self::Decta => "DECTA",
        }
    }
}

/// Which of its provider's things an object is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) enum Kind {
    /// DECTA.
    Order,
    /// paymennt.
    Checkout,
    /// Telness payment session.
    Session,
    /// Telness payment link.
    Link,
    /// Telness payment profile session: saves a card and takes no money.
    ProfileSession,
}

/// One step of an object's life, with everything needed to show the object as it was then.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Change {
    /// What happened, in the provider's vocabulary.
    pub word: String,
    /// The status the object shows after it; differs from `word` only after a partial refund at DECTA.
    pub status: String,
    /// Unix microseconds.
    pub at: i64,
    pub held: i64,
    pub captured: i64,
    pub refunded: i64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub payment_id: Option<String>,
}

/// A payment attempt that the bank declined.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Decline {
    pub at: i64,
    pub code: String,
    pub text: String,
}

/// Where the customer goes afterwards.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(crate) struct ReturnUrls {
    pub paid: Option<String>,
    pub in_progress: Option<String>,
    pub failed: Option<String>,
    pub cancelled: Option<String>,
}

/// What was agreed when the object was made.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(crate) struct Terms {
    /// A success only holds the money.
    pub hold: bool,
    pub save_card: bool,
    /// Unix microseconds.
    pub deadline: Option<i64>,
    /// The deadline closes the object; otherwise a late payment is still accepted.
    pub deny_late: bool,
    pub most_tries: Option<usize>,
    #[serde(rename = "ways_back")]
    pub return_urls: ReturnUrls,
    /// The customer whose card is stored, by the merchant's or the provider's id.
    pub customer: Option<String>,
    /// The Telness order that this pays.
    pub order_id: Option<String>,
    /// What the page says is paid.
    pub title: String,
}

/// What a page says is paid: the first of the names that were sent, and how many more there are.
pub(crate) fn title_of(names: impl IntoIterator<Item = String>) -> String {
    let mut names = names.into_iter();
    let first = names.next().unwrap_or_default();
    match names.count() {
        0 => first,
        more => format!("{first} and {more} more"),
    }
}

/// One object of the ledger. Amounts are minor units of `currency`.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Object {
    pub provider: Provider,
    pub kind: Kind,
    pub id: String,
    /// Last segment of the hosted page's address.
    pub key: String,
    /// The merchant's own reference.
    pub reference: String,
    pub currency: Currency,
    pub amount: i64,
    pub held: i64,
    pub captured: i64,
    pub refunded: i64,
    /// The provider's own status.
    pub word: String,
    /// Unix microseconds, as all times here.
    pub created_at: i64,
    pub history: Vec<Change>,
    pub declines: Vec<Decline>,
    pub terms: Terms,
    /// A slow payment succeeds then.
    pub slow_until: Option<i64>,
    /// The provider's record of the money, once there was an attempt to take it.
    pub payment_id: Option<String>,
    /// The customer was sent to the bank's challenge; a direct charge that waits for it shows so.
    pub challenged: bool,
    /// The customer pays by bank transfer and not by card.
    #[serde(default)]
    pub by_transfer: bool,
    /// The token of the card that its payment has stored.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stored_card: Option<String>,
    pub sent: Sent,
}

/// The most changes of an object; a test that needs more is a loop.
const MAX_CHANGES: usize = 500;

/// What the ledger will not do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Refusal {
    #[error("can not be paid any more")]
    NotPayable,
    #[error("is not on hold")]
    NotHeld,
    #[error("was captured before; only one capture is possible")]
    AlreadyCaptured,
    #[error("amount exceeds the held amount")]
    OverCapture,
    #[error("has nothing to refund")]
    NotCaptured,
    #[error("amount exceeds what is left to refund")]
    OverRefund,
    #[error("amount must be positive")]
    NotPositive,
    #[error("does not know this outcome")]
    NoSuchOutcome,
    #[error("has too long a history")]
    TooManyChanges,
}

/// What setting a status does to the money.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Effect {
    Nothing,
    Hold,
    Paid,
    PartRefund,
    Refund,
    /// A refund failed or came back.
    RefundUndone,
    /// A hold ended without money.
    Release,
    /// Only something that was paid can be disputed.
    Dispute,
}

impl Object {
    pub(crate) fn money(&self, minor: i64) -> Money {
        Money::new(minor, self.currency)
    }

    /// Minor units of this object as the wire's major units.
    pub(crate) fn major(&self, minor: i64) -> Decimal {
        self.money(minor).to_major()
    }

    /// Unix microseconds of the last change.
    pub(crate) fn changed_at(&self) -> i64 {
        self.history.last().map_or(self.created_at, |change| change.at)
    }

    /// Unix microseconds of the first change to `word`.
    pub(crate) fn first(&self, word: &str) -> Option<i64> {
        self.history.iter().find(|change| change.word == word).map(|change| change.at)
    }

    /// Takes a hold's money. One capture only; what is not captured goes back to the customer.
    pub(crate) fn capture(&mut self, minor: i64) -> Result<(), Refusal> {
        match () {
            () if self.captured > 0 => return Err(Refusal::AlreadyCaptured),
            () if self.held == 0 => return Err(Refusal::NotHeld),
            () if minor <= 0 => return Err(Refusal::NotPositive),
            () if minor > self.held => return Err(Refusal::OverCapture),
            () => {}
        }
        self.captured = minor;
        self.held = 0;
        Ok(())
    }

    pub(crate) fn refund(&mut self, minor: i64) -> Result<(), Refusal> {
        match () {
            () if self.captured == 0 => return Err(Refusal::NotCaptured),
            () if minor <= 0 => return Err(Refusal::NotPositive),
            () if minor > self.captured - self.refunded => return Err(Refusal::OverRefund),
            () => {}
        }
        self.refunded += minor;
        Ok(())
    }

    pub(crate) fn apply(&mut self, effect: Effect) {
        match effect {
            Effect::Nothing => {}
            Effect::Hold => self.held = if self.captured == 0 { self.amount } else { 0 },
            Effect::Release => self.held = 0,
            Effect::RefundUndone => self.refunded = 0,
            Effect::Paid | Effect::Dispute => self.ensure_captured(),
            Effect::Refund => {
                self.ensure_captured();
                self.refunded = self.captured;
            }
            Effect::PartRefund => {
                self.ensure_captured();
                if self.refunded == 0 || self.refunded == self.captured {
                    self.refunded = self.captured / 2;
                }
            }
        }
    }

    fn ensure_captured(&mut self) {
        if self.captured == 0 {
            self.captured = if self.held > 0 { self.held } else { self.amount };
        }
        self.held = 0;
    }

    /// Writes a change down; `status` is what the object shows from now on.
    pub(crate) fn record(&mut self, word: &str, status: &str, at: i64) -> Result<(), Refusal> {
        if self.history.len() >= MAX_CHANGES {
            return Err(Refusal::TooManyChanges);
        }
        self.word = status.into();
        self.history.push(Change {
            word: word.into(),
            status: status.into(),
            at,
            held: self.held,
            captured: self.captured,
            refunded: self.refunded,
            payment_id: self.payment_id.clone(),
        });
        Ok(())
    }

    /// The object as it was right after its change number `index`.
    pub(crate) fn as_of(&self, index: usize) -> Option<Self> {
        let change = self.history.get(index)?;
        let mut then = self.clone();
        then.history.truncate(index + 1);
        then.declines.retain(|decline| decline.at <= change.at);
        then.word.clone_from(&change.status);
        then.payment_id.clone_from(&change.payment_id);
        (then.held, then.captured, then.refunded) = (change.held, change.captured, change.refunded);
        Some(then)
    }
}
