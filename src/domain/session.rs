//! Payment sessions and the attempts behind them.

use port::{
    AdapterState, Approach, AttemptId, CaptureMode, Failure, LinkDelivery, Money, Next, PaymentId, ProfileId,
    ProviderError, SessionId, Timestamp,
};
use serde::{Deserialize, Serialize};

use super::{Erasable, Metadata, PaymentCapabilities};

/// The four published statuses.
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
    /// Waits for the customer.
    Pending,
    /// The customer must do something more.
    RequiresAction,
    /// Paid, or held where that was asked. Final.
    Completed,
    /// Ended without money. Final.
    Failed,
}

impl SessionStatus {
    /// As the API writes it.
    pub fn as_str(self) -> &'static str {
        self.into()
    }

    /// Whether the session can still be paid.
    pub fn is_open(self) -> bool {
        matches!(self, Self::Pending | Self::RequiresAction)
    }
}

/// How a session ended without money.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum FailureCode {
    /// The issuer or the provider said no to the method, or the tries ran out.
    Declined,
    /// The provider refused the payment as such.
    Rejected,
    /// Given up on the page.
    CancelledByCustomer,
    /// Cancelled through the gateway.
    Cancelled,
    /// Past its time.
    Expired,
    /// It could not be started or finished for technical reasons.
    ProviderError,
}

/// Why a session ended, or why its last try did not work.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct SessionFailure {
    /// How it ended.
    pub code: FailureCode,
    /// The provider's text of the last decline.
    pub message: Option<String>,
    /// The provider's code of the last decline.
    pub provider_code: Option<String>,
    /// Whether the customer may try again on the same page.
    pub retryable: bool,
}

impl SessionFailure {
    /// With what the provider said, if it said anything.
    pub fn new(code: FailureCode, said: Option<&Failure>, retryable: bool) -> Self {
        let Failure { code: provider_code, text: message } = said.cloned().unwrap_or_default();
        Self { code, message, provider_code, retryable }
    }
}

/// What the merchant asked for when creating a session: erasable, since addresses may carry anything.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct SessionRequest {
    /// Where the customer returns to at the merchant.
    pub return_urls: ReturnUrls,
    /// Whom the provider sends the link to.
    pub link_delivery: LinkDelivery,
    /// BCP 47 tag.
    pub language: Option<String>,
    /// Whether the method is stored.
    pub save_payment_profile: bool,
    /// A stored method to prefill.
    pub payment_profile_id: Option<ProfileId>,
    /// The provider's own id of it.
    pub profile_reference: Option<String>,
    /// The merchant's own notes.
    pub metadata: Metadata,
}

/// The merchant's own addresses; the customer reaches them through ours.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct ReturnUrls {
    /// After paying.
    pub success: Option<String>,
    /// While it is not decided.
    pub in_progress: Option<String>,
    /// After failing.
    pub failure: Option<String>,
    /// After giving up; `failure` if absent.
    pub cancel: Option<String>,
}

/// Why an account takes a checkout, kept with it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Routing {
    /// The rule that decided.
    pub rule: String,
    /// In words.
    pub reason: String,
    /// Every account that was looked at, with what became of it.
    pub tried: Vec<RouteAttempt>,
}

/// An account that was looked at.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RouteAttempt {
    /// The account.
    pub account: String,
    /// What became of it, in words.
    pub outcome: String,
}

impl RouteAttempt {
    /// An account at which a start failed.
    pub(super) fn failed(account: &str, failure: StartFailure) -> Self {
        Self { account: account.to_owned(), outcome: failure.as_str().to_owned() }
    }
}

/// Why a start came to nothing at an account.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, strum::IntoStaticStr)]
#[serde(rename_all = "snake_case")]
#[strum(serialize_all = "snake_case")]
pub enum StartFailure {
    /// No connection was made.
    NotSent,
    /// The provider was busy.
    Busy,
    /// The account's settings or credentials are wrong.
    Misconfigured,
    /// The provider could not serve.
    Unavailable,
    /// The provider declined.
    Declined,
    /// The provider refused the request as such.
    Rejected,
    /// The provider asked for another amount.
    AmountDiffers,
    /// The provider has nothing under our reference.
    NotFound,
    /// The provider has no such call.
    Unsupported,
    /// Whether it took effect is not known.
    #[serde(rename = "unknown")]
    #[strum(serialize = "unknown")]
    OutcomeUnknown,
    /// The answer came after the attempt was abandoned.
    AnsweredTooLate,
    /// The gateway closed it.
    Closed,
}

impl StartFailure {
    /// As it is stored and shown.
    pub fn as_str(self) -> &'static str {
        self.into()
    }

    /// Whether the start provably reached no provider, so that another account is safe.
    pub fn reached_nobody(self) -> bool {
        matches!(self, Self::NotSent | Self::Busy | Self::Misconfigured | Self::Unavailable | Self::NotFound)
    }
}

/// One opening of a checkout for an order. It has one payment and holds every try the customer makes on it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Session {
    /// Its id.
    pub id: SessionId,
    /// The payment that it is for.
    pub payment: PaymentId,
    /// The attempt that stands for it; an earlier one may have failed over.
    pub attempt: AttemptId,
    /// How the customer pays.
    pub approach: Approach,
    /// When the money is taken.
    pub capture: CaptureMode,
    /// What is to be paid.
    pub money: Money,
    /// Where it stands.
    pub status: SessionStatus,
    /// How it ended, or why its last try did not work.
    pub failure: Option<SessionFailure>,
    /// Who decided the account, and why.
    pub routing: Routing,
    /// Whom to ask next if this account cannot start it, in order.
    pub fallback: Vec<String>,
    /// What the merchant asked for.
    pub request: Erasable<SessionRequest>,
    /// The stored method that is charged without the customer; none where the customer pays.
    pub charge: Option<ProfileId>,
    /// Set once it is being closed: how it shall end.
    pub closing: Option<FailureCode>,
    /// Whether its order was submitted with it.
    pub used: bool,
    /// Whether the methods that its payment stored were listed.
    pub profiles_synced: bool,
    /// When it was opened.
    pub created_at: Timestamp,
    /// When it last changed.
    pub updated_at: Timestamp,
    /// When it ends by itself.
    pub expires_at: Timestamp,
    /// Grows with each change.
    pub version: u64,
}

impl From<&ProviderError> for StartFailure {
    fn from(error: &ProviderError) -> Self {
        match error {
            ProviderError::NotSent(_) => Self::NotSent,
            ProviderError::Busy { .. } => Self::Busy,
            ProviderError::Misconfigured => Self::Misconfigured,
            ProviderError::Unavailable(_) => Self::Unavailable,
            ProviderError::Declined { .. } => Self::Declined,
            ProviderError::Rejected { .. } => Self::Rejected,
            ProviderError::AmountDiffers(_) => Self::AmountDiffers,
            ProviderError::NotFound => Self::NotFound,
            ProviderError::Unsupported(_) => Self::Unsupported,
            ProviderError::OutcomeUnknown(_) => Self::OutcomeUnknown,
        }
    }
}

/// A session as it is created, with its payment.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct NewSession {
    /// The session's id.
    pub session: SessionId,
    /// The payment's id.
    pub payment: PaymentId,
    /// The attempt that it starts with.
    pub attempt: AttemptId,
    /// How the customer pays.
    pub approach: Approach,
    /// When the money is taken.
    pub capture: CaptureMode,
    /// What is to be paid.
    pub money: Money,
    /// Who decided the account, and why.
    pub routing: Routing,
    /// Whom to ask next if that account cannot start it, in order.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub fallback: Vec<String>,
    /// What the merchant asked for.
    pub request: Erasable<SessionRequest>,
    /// The stored method to charge without the customer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub charge: Option<ProfileId>,
    /// When the session ends by itself.
    pub expires_at: Timestamp,
}

impl NewSession {
    /// The session, created at a moment.
    pub(super) fn opened(&self, at: Timestamp) -> Session {
        Session {
            id: self.session,
            payment: self.payment,
            attempt: self.attempt,
            approach: self.approach,
            capture: self.capture,
            money: self.money,
            status: SessionStatus::Pending,
            failure: None,
            routing: self.routing.clone(),
            fallback: self.fallback.clone(),
            request: self.request.clone(),
            charge: self.charge,
            closing: None,
            used: false,
            profiles_synced: false,
            created_at: at,
            updated_at: at,
            expires_at: self.expires_at,
            version: 0,
        }
    }
}

/// A start as it is about to be made at an account.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct NewAttempt {
    /// The attempt's id.
    pub attempt: AttemptId,
    /// Where.
    pub account: String,
    /// The account's provider.
    pub provider: String,
    /// What the provider can do with the payment.
    pub capabilities: PaymentCapabilities,
    /// Whether the provider has an order of its own that is to be submitted.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub submits_order: bool,
}

impl NewAttempt {
    /// The attempt, started for a session at a moment.
    pub(super) fn started(&self, session: &Session, at: Timestamp) -> Attempt {
        Attempt {
            id: self.attempt,
            session: Some(session.id),
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
        }
    }
}

/// Where an attempt stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum AttemptState {
    /// The intent is on disk; whether the provider has it is not known yet.
    Started,
    /// The provider has it.
    Created,
    /// Its start has an unknown outcome and the customer was sent elsewhere: to be found and cancelled.
    Orphaned,
    /// The provider does not have it, or it is closed there.
    Ended,
}

/// One start at one account.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Attempt {
    /// Our reference at the provider.
    pub id: AttemptId,
    /// The session it is made for.
    pub session: Option<SessionId>,
    /// The payment it is made for.
    pub payment: PaymentId,
    /// Where.
    pub account: String,
    /// The account's provider.
    pub provider: String,
    /// What is asked.
    pub money: Money,
    /// How the customer pays.
    pub approach: Approach,
    /// When the money is taken.
    pub capture: CaptureMode,
    /// Where it stands.
    pub state: AttemptState,
    /// The provider's id of the object.
    pub reference: Option<String>,
    /// What the adapter remembers.
    pub adapter_state: Option<Erasable<AdapterState>>,
    /// What the customer needs to pay.
    pub next: Option<Erasable<Next>>,
    /// Why it came to nothing.
    pub failure: Option<StartFailure>,
    /// Whether the provider's own order was handed over after ours was submitted.
    pub provider_order_submitted: bool,
    /// What the account's provider can do with a payment.
    pub capabilities: PaymentCapabilities,
    /// Whether the provider has an order of its own that wants to be handed over.
    pub submits_order: bool,
    /// When the intent was written.
    pub started_at: Timestamp,
}

impl Attempt {
    /// What the adapter sees of it.
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
