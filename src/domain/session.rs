//! Payment sessions and their attempts.

use port::{
    AdapterState, Approach, AttemptId, CaptureMode, Failure, LinkDelivery, Money, Next, PaymentId,
    PaymentMethodType, ProfileId, ProviderError, SessionId, Timestamp,
};
use serde::{Deserialize, Serialize};

use super::{Erasable, Event, Metadata, PaymentCapabilities};

#[derive(
    Clone,
    Copy,
    Debug,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    Hash,
    Serialize,
    Deserialize,
    strum::IntoStaticStr,
    strum::VariantArray,
)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
#[strum(serialize_all = "SCREAMING_SNAKE_CASE")]
pub enum SessionStatus {
    Pending,
    /// The customer has to do one more step.
    RequiresAction,
    /// Paid, or authorized if capture is MANUAL. Final.
    Completed,
    /// Final, without money.
    Failed,
}

impl SessionStatus {
    /// Whether the session can still be paid.
    pub fn is_open(self) -> bool {
        matches!(self, Self::Pending | Self::RequiresAction)
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum FailureCode {
    /// The issuer or the provider declined, or there are no tries left.
    Declined,
    /// The provider refused the payment as such.
    Rejected,
    CancelledByCustomer,
    /// Cancelled through the gateway.
    Cancelled,
    Expired,
    /// It could not be started or finished for technical reasons.
    ProviderError,
}

/// Why a session failed, or why its last try was declined.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct SessionFailure {
    pub code: FailureCode,
    /// Of the last decline.
    pub message: Option<String>,
    /// Of the last decline.
    pub provider_code: Option<String>,
    /// Whether the customer may try again on the same page.
    pub retryable: bool,
}

impl SessionFailure {
    pub fn new(code: FailureCode, failure: Option<&Failure>, retryable: bool) -> Self {
        let Failure { code: provider_code, text: message } = failure.cloned().unwrap_or_default();
        Self { code, message, provider_code, retryable }
    }

    /// Whether it may as well be that the customer left: the provider has one status for both, and has said no more.
    pub fn may_be_left(&self) -> bool {
        self.code == FailureCode::Declined && self.provider_code.is_none() && self.message.is_none()
    }
}

/// The merchant's request for a session. Erasable, since the return addresses may contain personal data.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct SessionRequest {
    pub return_urls: ReturnUrls,
    pub link_delivery: LinkDelivery,
    /// BCP 47 tag.
    pub language: Option<String>,
    pub save_payment_profile: bool,
    /// What the page may offer; empty for whatever the account has.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub payment_methods: Vec<PaymentMethodType>,
    /// How often the customer may try on the page.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_attempts: Option<u8>,
    /// A payment profile to prefill.
    pub payment_profile_id: Option<ProfileId>,
    /// The provider's id of that method.
    pub profile_reference: Option<String>,
    pub metadata: Metadata,
}

/// The merchant's return addresses; the gateway redirects to them.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct ReturnUrls {
    pub success: Option<String>,
    pub in_progress: Option<String>,
    pub failure: Option<String>,
    /// `failure` if absent.
    pub cancel: Option<String>,
}

/// How the account of a session was chosen.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Routing {
    pub rule: String,
    /// For people.
    pub reason: String,
    /// Every account that was considered, with its result.
    pub tried: Vec<RouteAttempt>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RouteAttempt {
    pub account: String,
    pub outcome: String,
}

impl RouteAttempt {
    pub(super) fn failed(account: &str, failure: StartFailure) -> Self {
        Self { account: account.to_owned(), outcome: failure.as_str().to_owned() }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, strum::IntoStaticStr)]
#[serde(rename_all = "snake_case")]
#[strum(serialize_all = "snake_case")]
pub enum StartFailure {
    NotSent,
    Busy,
    /// The account's settings or credentials are wrong.
    Misconfigured,
    /// The provider could not be read.
    Unavailable,
    Declined,
    /// The provider refused the request as such.
    Rejected,
    /// The provider asked for another amount.
    AmountDiffers,
    /// The provider has nothing under our reference.
    NotFound,
    /// The provider has no such call.
    Unsupported,
    #[serde(rename = "unknown")]
    #[strum(serialize = "unknown")]
    OutcomeUnknown,
    /// The answer came after the attempt was abandoned.
    AnsweredTooLate,
    /// The gateway closed it.
    Closed,
}

impl StartFailure {
    /// Whether the start provably had no effect at the provider, so that another account can be tried.
    pub fn had_no_effect(self) -> bool {
        matches!(self, Self::NotSent | Self::Busy | Self::Misconfigured | Self::Unavailable | Self::NotFound)
    }
}

/// A payment session: one offer to pay an order. It has one payment, with as many tries as the customer makes.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Session {
    pub id: SessionId,
    pub payment: PaymentId,
    /// The current one; earlier ones have failed over.
    pub attempt: AttemptId,
    pub approach: Approach,
    pub capture: CaptureMode,
    pub money: Money,
    pub status: SessionStatus,
    /// Why it failed, or why its last try was declined.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failure: Option<SessionFailure>,
    pub routing: Routing,
    /// Which accounts to try next, in order.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub fallback: Vec<String>,
    pub request: Erasable<SessionRequest>,
    /// The payment profile that is charged without the customer; none where the customer pays.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub charge: Option<ProfileId>,
    /// Set while it is being closed: the failure code it ends with.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub closing: Option<FailureCode>,
    /// Whether its order was submitted with it.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub used: bool,
    /// Whether the provider shows a usable method stored for the customer. None until it was read after the payment.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub profile_found: Option<bool>,
    pub created_at: Timestamp,
    pub updated_at: Timestamp,
    pub expires_at: Timestamp,
    pub version: u64,
}

impl Session {
    /// The event of a new status or failure.
    pub(super) fn changed(&self, to: SessionStatus, failure: Option<SessionFailure>) -> Event {
        Event::SessionStatusChanged { session: self.id, from: self.status, to, failure }
    }
}

impl From<&ProviderError> for StartFailure {
    fn from(error: &ProviderError) -> Self {
        match error {
            ProviderError::NotSent(_) => Self::NotSent,
            ProviderError::Busy { .. } => Self::Busy,
            ProviderError::Misconfigured => Self::Misconfigured,
            ProviderError::Unavailable(_) | ProviderError::Unreadable(_) => Self::Unavailable,
            ProviderError::Declined { .. } => Self::Declined,
            ProviderError::Rejected { .. } => Self::Rejected,
            ProviderError::AmountDiffers(_) => Self::AmountDiffers,
            ProviderError::NotFound => Self::NotFound,
            ProviderError::Unsupported(_) => Self::Unsupported,
            ProviderError::OutcomeUnknown(_) => Self::OutcomeUnknown,
        }
    }
}

/// An attempt that is about to be sent.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct NewAttempt {
    pub attempt: AttemptId,
    pub account: String,
    pub provider: String,
    pub capabilities: PaymentCapabilities,
    /// Whether the provider has an order of its own that must be submitted.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub submits_order: bool,
}

impl NewAttempt {
    pub(super) fn started(&self, session: &Session, at: Timestamp) -> Attempt {
        Attempt {
            id: self.attempt,
            session: session.id,
            payment: session.payment,
            account: self.account.clone(),
            provider: self.provider.clone(),
            money: session.money,
            approach: session.approach,
            capture: session.capture,
            state: AttemptState::Started,
            reference: None,
            adapter_state: None,
            next: None,
            failure: None,
            provider_order_submitted: false,
            capabilities: self.capabilities,
            submits_order: self.submits_order,
            started_at: at,
            unknown_since: None,
            unreadable_since: None,
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum AttemptState {
    /// The intent is committed; whether it exists at the provider is not known yet.
    Started,
    /// It exists at the provider.
    Created,
    /// It was abandoned but may exist at the provider: it has to be looked up and closed.
    Orphaned,
    /// It does not exist at the provider, or is closed there.
    Ended,
}

/// An attempt: one try to create a session's payment at one account.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Attempt {
    /// Our reference at the provider.
    pub id: AttemptId,
    pub session: SessionId,
    pub payment: PaymentId,
    pub account: String,
    pub provider: String,
    pub money: Money,
    pub approach: Approach,
    pub capture: CaptureMode,
    pub state: AttemptState,
    pub reference: Option<String>,
    pub adapter_state: Option<Erasable<AdapterState>>,
    pub next: Option<Erasable<Next>>,
    pub failure: Option<StartFailure>,
    pub provider_order_submitted: bool,
    pub capabilities: PaymentCapabilities,
    /// Whether the provider has an order of its own that must be submitted.
    pub submits_order: bool,
    pub started_at: Timestamp,
    /// Since when it is known that the answer to its start was lost.
    pub unknown_since: Option<Timestamp>,
    /// Since when what the provider answers about it cannot be read.
    pub unreadable_since: Option<Timestamp>,
}

impl Attempt {
    /// Whether this is the provider's id of it, in small or capital letters.
    pub fn is_called(&self, reference: &str) -> bool {
        self.reference.as_deref().is_some_and(|own| own.eq_ignore_ascii_case(reference))
    }

    pub fn for_adapter(&self, order: port::OrderId) -> port::Attempt {
        port::Attempt {
            id: self.id,
            order,
            money: self.money,
            approach: self.approach,
            capture: self.capture,
            started_at: self.started_at,
            reference: self.reference.clone(),
            adapter_state: self.adapter_state.as_ref().and_then(Erasable::value).cloned().unwrap_or_default(),
        }
    }
}
