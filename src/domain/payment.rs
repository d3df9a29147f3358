//! Payments, their pending operations, refunds and attention.

use std::time::Duration;

use port::{
    AttemptId, AttentionId, CaptureMode, Detail, Failure, Money, PaymentId, PaymentMethod, PaymentStatus,
    ProviderStatus, RefundId, SessionId, Timestamp,
};
use serde::{Deserialize, Serialize};

use super::erasable::Erasable;
use super::event::Event;
use super::payment_state::{FoldTerms, PaymentState};
use super::session::FailureCode;

/// A payment: the money of one session, followed at one provider.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Payment {
    pub id: PaymentId,
    /// None for an external payment.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub session: Option<SessionId>,
    /// None for an external payment.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub attempt: Option<AttemptId>,
    pub money: Money,
    pub capture: CaptureMode,
    pub capabilities: PaymentCapabilities,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub authorization_expires_at: Option<Timestamp>,
    pub state: PaymentState,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub provider_status: Option<ProviderStatus>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub detail: Option<Detail>,
    /// The last decline.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failure: Option<Failure>,
    /// What the customer paid with, as far as the provider says.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub method: Option<Erasable<PaymentMethod>>,
    /// The time that the last report is about.
    pub reported_at: Timestamp,
    /// The captured total that our captures requested.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub capture_requested: Option<i64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub operation: Option<Operation>,
    pub external: bool,
    pub created_at: Timestamp,
    pub updated_at: Timestamp,
    pub version: u64,
}

/// What a payment's provider can do with it. Stored with the payment, so that a new version of the adapter does not
/// change it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct PaymentCapabilities {
    pub authorizes: bool,
    /// Whether only one capture is possible; it voids the rest.
    pub one_capture: bool,
    /// Whether an unpaid checkout can be closed.
    pub closes: bool,
    pub voids: bool,
    pub refunds: bool,
    pub partial_refunds: bool,
    /// How long an authorization is valid, if it expires.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub authorization_seconds: Option<u64>,
    /// For how many days a paid payment is fetched daily, where the provider does not notify of refunds and disputes.
    pub poll_after_capture_days: u32,
}

impl PaymentCapabilities {
    /// When the authorization in a state expires, counted from the time of the report.
    pub(super) fn authorization_expires_at(self, state: &PaymentState) -> Option<Timestamp> {
        let authorization = state.authorization.filter(|_| state.is_authorized())?;
        Some(authorization.as_of.plus(Duration::from_secs(self.authorization_seconds?)))
    }
}

impl Payment {
    /// A payment that no provider has reported on yet.
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
            method: None,
            reported_at: Timestamp::default(),
            capture_requested: None,
            operation: None,
            external: false,
            created_at: now,
            updated_at: now,
            version: 0,
        }
    }

    pub fn status(&self) -> PaymentStatus {
        self.state.status()
    }

    /// The terms that observations are checked and joined with.
    pub fn terms(&self) -> FoldTerms {
        FoldTerms {
            amount: self.money.minor,
            authorizes: self.capabilities.authorizes,
            one_capture: self.capabilities.one_capture,
            capture_requested: self.capture_requested,
        }
    }

    /// The pending operation, if it is of this kind.
    pub(super) fn pending(&self, kind: OperationKind) -> Option<&Operation> {
        self.operation.as_ref().filter(|operation| operation.kind == kind)
    }

    /// The intent of an operation. `closing` is the failure code of the session, if the operation closes it.
    pub(super) fn requested(&self, operation: Operation, closing: Option<FailureCode>) -> Event {
        Event::OperationRequested { payment: self.id, operation, closing }
    }

    pub(super) fn finished(&self, operation: Operation, declined: Option<Failure>) -> Event {
        Event::OperationFinished { payment: self.id, operation, declined }
    }

    /// Whether the money was collected outside the gateway, so that it cannot be captured or refunded here.
    pub fn is_external(&self) -> bool {
        self.external || self.detail == Some(Detail::PaidExternally)
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, strum::IntoStaticStr)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
#[strum(serialize_all = "SCREAMING_SNAKE_CASE")]
pub enum OperationKind {
    Close,
    Capture,
    Void,
    Refund,
}

/// A pending operation. A payment has one at a time, so that the provider's totals show which one took effect.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Operation {
    pub kind: OperationKind,
    /// The amount in minor units; `None` for close and void.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub amount: Option<i64>,
    /// The refund record; `None` for the refund of a payment with the wrong amount.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub refund: Option<RefundId>,
    /// The captured or refunded total before it, minor units; its effect is the difference.
    pub before: i64,
    pub since: Timestamp,
    /// When a call for it first ended without an answer that resolves it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unanswered_since: Option<Timestamp>,
    /// Whether the last try provably did not reach the provider, so that it can be sent again.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub unsent: bool,
}

impl Operation {
    pub(super) fn new(kind: OperationKind, amount: Option<i64>, before: i64, since: Timestamp) -> Self {
        Self { kind, amount, refund: None, before, since, unanswered_since: None, unsent: false }
    }

    /// Whether both are the same operation, whatever became of its calls.
    pub fn is_same(&self, other: &Self) -> bool {
        let Self { unanswered_since, unsent, .. } = *self;
        *self == Self { unanswered_since, unsent, ..other.clone() }
    }
}

#[derive(
    Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, strum::IntoStaticStr, strum::VariantArray,
)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
#[strum(serialize_all = "SCREAMING_SNAKE_CASE")]
pub enum RefundStatus {
    /// Its amount is reserved; it is not confirmed yet.
    Pending,
    Succeeded,
    Failed,
    /// The money came back to the merchant.
    Reversed,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum RefundOrigin {
    Api,
    /// The gateway, after a cancel or by the merchant's refund policy.
    Policy,
    /// A person in the provider's portal.
    Provider,
}

/// A refund record. It is never deleted.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Refund {
    pub id: RefundId,
    pub payment: PaymentId,
    pub money: Money,
    pub status: RefundStatus,
    /// The merchant's reason; it may contain personal data.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<Erasable<String>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reference: Option<String>,
    pub origin: RefundOrigin,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failure: Option<Failure>,
    pub created_at: Timestamp,
    pub updated_at: Timestamp,
    pub version: u64,
}

impl Refund {
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

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
#[derive(strum::IntoStaticStr, strum::VariantArray)]
#[strum(serialize_all = "SCREAMING_SNAKE_CASE")]
pub enum AttentionCode {
    /// Money arrived where no open session waits for it.
    LatePayment,
    /// Another payment of the order holds money.
    DuplicatePayment,
    /// The provider states another amount or currency than requested.
    AmountMismatch,
    /// Paid a day ago and not submitted.
    PaidNotSubmitted,
    /// Fulfilment failed after payment.
    PaidNotFulfilled,
    /// The order ended and its money could not be returned.
    RefundNeeded,
    /// A paid session of an order that requires a payment profile has stored none.
    ProfileMissing,
    /// The outcome of an operation has been unknown for 15 minutes.
    OutcomeUnknown,
    /// A report contradicts what is known, or states impossible amounts.
    Contradiction,
    /// A provider status that is not in the status table.
    UnknownWord,
    /// A test payment on a live account, or the reverse.
    TestModeMismatch,
    /// What the provider answers about the payment has not been readable for 15 minutes.
    UnreadableAnswer,
    /// Authorized although it was to be captured at once.
    UnexpectedHold,
    /// An authorization expires within a day.
    AuthorizationExpiring,
    /// The authorization of a submitted order is gone.
    AuthorizationLost,
    /// A refund failed or was reversed.
    RefundFailed,
    Dispute,
    /// A dispute about refunded money.
    DisputeAfterRefund,
}

impl AttentionCode {
    /// Whether it is about a report that was rejected.
    pub(super) fn rejects_report(self) -> bool {
        matches!(
            self,
            Self::AmountMismatch
                | Self::TestModeMismatch
                | Self::UnknownWord
                | Self::UnreadableAnswer
                | Self::Contradiction
        )
    }

    /// Whether each read repeats it, so that it is raised only once.
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

    /// Whether a refund policy applies to it.
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
}

/// A case for a person, open until it is resolved.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Attention {
    pub id: AttentionId,
    pub code: AttentionCode,
    pub payment: PaymentId,
    /// A description for people, without personal data.
    pub detail: String,
    /// The captured amount that the provider states, where it differs from the requested one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stated: Option<Money>,
    pub raised_at: Timestamp,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub resolved_at: Option<Timestamp>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub resolution: Option<Resolution>,
}

impl Attention {
    /// 1 while it is open, 2 once it is resolved.
    pub fn version(&self) -> u64 {
        1 + u64::from(self.resolved_at.is_some())
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, strum::IntoStaticStr)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
#[strum(serialize_all = "SCREAMING_SNAKE_CASE")]
pub enum AttentionDecision {
    /// The money is kept for the order.
    Keep,
    /// It is refunded, or its authorization voided.
    Refund,
    /// Nothing is sent.
    Dismiss,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Resolution {
    pub decision: AttentionDecision,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub note: Option<Erasable<String>>,
}
