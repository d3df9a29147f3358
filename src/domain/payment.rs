//! Payments, the operations on them, refunds, and what a person should look at.

use std::time::Duration;

use port::{
    AttemptId, AttentionId, CaptureMode, Detail, Failure, Money, PaymentId, PaymentStatus, ProviderStatus,
    RefundId, SessionId, Timestamp,
};
use serde::{Deserialize, Serialize};

use super::erasable::Erasable;
use super::payment_state::{FoldTerms, PaymentState};

/// One collection of money for one order.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Payment {
    /// Its id.
    pub id: PaymentId,
    /// The session it belongs to; none for a merchant's own collection.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub session: Option<SessionId>,
    /// The attempt that its provider knows; none for a merchant's own collection.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub attempt: Option<AttemptId>,
    /// What is to be collected.
    pub money: Money,
    /// When it is taken.
    pub capture: CaptureMode,
    /// What can be done with it at its provider.
    pub capabilities: PaymentCapabilities,
    /// When a hold ends by itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub authorization_expires_at: Option<Timestamp>,
    /// How it stands.
    pub state: PaymentState,
    /// The provider's own word, verbatim.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub provider_status: Option<ProviderStatus>,
    /// The shade of it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub detail: Option<Detail>,
    /// The last decline.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failure: Option<Failure>,
    /// The moment that the word speaks of.
    pub reported_at: Timestamp,
    /// What our captures asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub capture_requested: Option<i64>,
    /// The operation under way.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub operation: Option<Operation>,
    /// Collected by the merchant without any provider of ours.
    pub external: bool,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it last changed.
    pub updated_at: Timestamp,
    /// Grows with each change.
    pub version: u64,
}

/// What a payment's provider can do with it, kept with the payment, so that it does not change with the
/// adapter.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct PaymentCapabilities {
    /// Holds funds before it takes them.
    pub authorizes: bool,
    /// The first capture releases what it leaves.
    pub one_capture: bool,
    /// An unpaid page can be closed.
    pub closes: bool,
    /// A hold can be released.
    pub voids: bool,
    /// Money can be given back.
    pub refunds: bool,
    /// Any part of it.
    pub partial_refunds: bool,
    /// How long a hold lives, if it ends by itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub authorization_seconds: Option<u64>,
    /// For how many days it is asked about daily once it is paid, since nobody tells of refunds and disputes.
    pub poll_after_capture_days: u32,
}

impl PaymentCapabilities {
    /// When the hold of a standing ends by itself, counted from the moment that was seen.
    pub(super) fn authorization_expires_at(self, state: &PaymentState) -> Option<Timestamp> {
        let authorization = state.authorization.filter(|_| state.is_held())?;
        Some(authorization.as_of.plus(Duration::from_secs(self.authorization_seconds?)))
    }
}

impl Payment {
    /// One that no provider has spoken of yet.
    pub(super) fn new(id: PaymentId, money: Money, capture: CaptureMode, now: Timestamp) -> Self {
        Self {
            id,
            session: None,
            attempt: None,
            money,
            capture,
            capabilities: PaymentCapabilities::default(),
            authorization_expires_at: None,
            state: PaymentState::default(),
            provider_status: None,
            detail: None,
            failure: None,
            reported_at: Timestamp::default(),
            capture_requested: None,
            operation: None,
            external: false,
            created_at: now,
            updated_at: now,
            version: 0,
        }
    }

    /// Its status.
    pub fn status(&self) -> PaymentStatus {
        self.state.status()
    }

    /// What the fold needs to know of it.
    pub fn terms(&self) -> FoldTerms {
        FoldTerms {
            amount: self.money.minor,
            authorizes: self.capabilities.authorizes,
            one_capture: self.capabilities.one_capture,
            capture_requested: self.capture_requested,
        }
    }

    /// Whether the money never was at a provider of ours, so that nothing can be done with it here.
    pub fn is_external(&self) -> bool {
        self.external || self.detail == Some(Detail::PaidExternally)
    }
}

/// What can be asked of a provider about money.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, strum::IntoStaticStr)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
#[strum(serialize_all = "SCREAMING_SNAKE_CASE")]
pub enum OperationKind {
    /// Closing a page that is not paid.
    Close,
    /// Taking what is held.
    Capture,
    /// Releasing what is held.
    Void,
    /// Giving back what was taken.
    Refund,
}

impl OperationKind {
    /// As the API and metric labels write it.
    pub fn as_str(self) -> &'static str {
        self.into()
    }
}

/// An operation whose outcome is not known yet. One at a time for a payment, so that the provider's totals say
/// which one took effect.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Operation {
    /// What is asked.
    pub kind: OperationKind,
    /// How much, minor units; none where it is all or nothing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub amount: Option<i64>,
    /// The refund it makes; none where what the provider states is not what was asked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub refund: Option<RefundId>,
    /// What was captured or refunded before, minor units: the effect is what comes on top.
    pub before: i64,
    /// Since when.
    pub since: Timestamp,
    /// Whether it provably reached nobody when it was last tried, so that it can be sent without a second effect.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub unsent: bool,
}

impl Operation {
    /// One that is asked for at a moment, of which nothing is known yet.
    pub(super) fn new(kind: OperationKind, amount: Option<i64>, before: i64, since: Timestamp) -> Self {
        Self { kind, amount, refund: None, before, since, unsent: false }
    }

    /// Whether both are the same one, however its last try went.
    pub fn is_same(&self, other: &Self) -> bool {
        *self == Self { unsent: self.unsent, ..other.clone() }
    }
}

/// Where a refund stands.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, strum::IntoStaticStr, strum::VariantArray,
)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
#[strum(serialize_all = "SCREAMING_SNAKE_CASE")]
pub enum RefundStatus {
    /// Reserved, perhaps sent, not seen yet.
    Pending,
    /// The money went back.
    Succeeded,
    /// It did not.
    Failed,
    /// It came back.
    Reversed,
}

impl RefundStatus {
    /// As the API writes it.
    pub fn as_str(self) -> &'static str {
        self.into()
    }
}

/// Who wanted a refund.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum RefundOrigin {
    /// The merchant, through the API.
    Api,
    /// The gateway, after a cancel or by the merchant's policy.
    Policy,
    /// Somebody in the provider's portal.
    Provider,
}

/// Money that goes back. Never deleted.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Refund {
    /// Its id.
    pub id: RefundId,
    /// Of which payment.
    pub payment: PaymentId,
    /// How much.
    pub money: Money,
    /// Where it stands.
    pub status: RefundStatus,
    /// Why, in the merchant's words; they may name people.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<Erasable<String>>,
    /// The merchant's reference.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reference: Option<String>,
    /// Who wanted it.
    pub origin: RefundOrigin,
    /// The provider's refusal.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failure: Option<Failure>,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it last changed.
    pub updated_at: Timestamp,
    /// Grows with each change.
    pub version: u64,
}

impl Refund {
    /// Money of a payment that has gone back, or is to, without any word of why.
    pub(super) fn new(
        id: RefundId,
        payment: &Payment,
        minor: i64,
        origin: RefundOrigin,
        now: Timestamp,
    ) -> Self {
        Self {
            id,
            payment: payment.id,
            money: Money::new(minor, payment.money.currency),
            status: RefundStatus::Pending,
            reason: None,
            reference: None,
            origin,
            failure: None,
            created_at: now,
            updated_at: now,
            version: 1,
        }
    }
}

/// Why a person should look.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
#[derive(strum::IntoStaticStr, strum::VariantArray)]
#[strum(serialize_all = "SCREAMING_SNAKE_CASE")]
pub enum AttentionCode {
    /// Money arrived where no open session waits for it.
    LatePayment,
    /// A second payment of the order holds money.
    DuplicatePayment,
    /// The provider states another amount or currency than was asked.
    AmountMismatch,
    /// Paid a day ago and not submitted.
    PaidNotSubmitted,
    /// Fulfilment failed after payment.
    PaidNotFulfilled,
    /// Cancelled where the provider cannot give back.
    RefundNeeded,
    /// An operation unsure for 15 minutes.
    OutcomeUnknown,
    /// A word that money facts refuse, or amounts out of bounds.
    Contradiction,
    /// A word that no table has.
    UnknownWord,
    /// A test on a live account, or the reverse.
    TestModeMismatch,
    /// Held although nobody asked for a hold.
    UnexpectedHold,
    /// A hold that ends within a day.
    AuthorizationExpiring,
    /// A hold gone under an order that was submitted.
    AuthorizationLost,
    /// A refund accepted and then failed or reversed.
    RefundFailed,
    /// A dispute was opened.
    Dispute,
    /// A dispute on money already given back.
    DisputeAfterRefund,
}

impl AttentionCode {
    /// Whether it is about a statement that was not believed, so that another may follow.
    pub(super) fn is_mistrust(self) -> bool {
        matches!(
            self,
            Self::AmountMismatch | Self::TestModeMismatch | Self::UnknownWord | Self::Contradiction
        )
    }

    /// Whether every read says it again, so that it is not news once it was told.
    pub(super) fn is_sticky(self) -> bool {
        matches!(
            self,
            Self::AmountMismatch
                | Self::Contradiction
                | Self::UnknownWord
                | Self::TestModeMismatch
                | Self::UnexpectedHold
                | Self::AuthorizationExpiring
        )
    }

    /// Whether a merchant's policy may decide at once to give the money back.
    pub fn has_policy(self) -> bool {
        matches!(
            self,
            Self::LatePayment
                | Self::DuplicatePayment
                | Self::AmountMismatch
                | Self::PaidNotSubmitted
                | Self::PaidNotFulfilled
        )
    }

    /// As the API and metric labels write it.
    pub fn as_str(self) -> &'static str {
        self.into()
    }
}

/// A reason why a person should look, open until it is resolved.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Attention {
    /// Its id.
    pub id: AttentionId,
    /// The reason.
    pub code: AttentionCode,
    /// The payment it is about.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub payment: Option<PaymentId>,
    /// In words, without personal data.
    pub detail: String,
    /// What the provider stated to have taken, where that differs from what was asked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stated: Option<Money>,
    /// When it was raised.
    pub raised_at: Timestamp,
    /// When it was resolved.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub resolved_at: Option<Timestamp>,
    /// How it was resolved.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub resolution: Option<Resolution>,
}

impl Attention {
    /// Grows with each change: it is raised, then resolved.
    pub fn version(&self) -> u64 {
        1 + u64::from(self.resolved_at.is_some())
    }
}

/// What can be decided about money that needs a look.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, strum::IntoStaticStr)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
#[strum(serialize_all = "SCREAMING_SNAKE_CASE")]
pub enum AttentionDecision {
    /// It counts.
    Keep,
    /// It goes back, or its hold is released.
    Refund,
    /// Nothing is done about it.
    Dismiss,
}

impl AttentionDecision {
    /// As the API writes it.
    pub fn as_str(self) -> &'static str {
        self.into()
    }
}

/// A decision, and what was written beside it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Resolution {
    /// What was decided.
    pub decision: AttentionDecision,
    /// What the person wrote; it may name people.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub note: Option<Erasable<String>>,
}
