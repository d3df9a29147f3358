//! What an adapter is: one trait, and the values it answers with.

use std::collections::BTreeMap;

use async_trait::async_trait;
use serde::{Deserialize, Serialize};

use crate::{
    About, Approach, Attempt, Ctx, Customer, Money, PaymentRequest, ProviderError, ProviderStatus,
    RefundRequest, Timestamp,
};

/// The result of an operation at a provider.
pub type Result<T> = std::result::Result<T, ProviderError>;

/// A payment provider. Three methods must be written; the others say "unsupported" until they are, and an
/// adapter's [`Capabilities`](crate::Capabilities) must agree with what it has written.
///
/// An adapter does not map statuses, retry, sleep, log, count, or read the clock or the environment.
#[async_trait]
pub trait Provider: Send + Sync {
    /// What it can do and needs.
    fn about(&self) -> &'static About;

    /// Starts a payment. The attempt is already stored; its id is the merchant reference and makes the
    /// idempotency key. Repeated only for providers whose `repeat.begin` allows it.
    ///
    /// # Errors
    /// By certainty, see [`ProviderError`].
    async fn create(
        &self,
        ctx: &Ctx<'_>,
        attempt: &Attempt,
        request: &PaymentRequest,
    ) -> Result<CreatedPayment>;

    /// Says how things stand. Never changes anything.
    ///
    /// # Errors
    /// By certainty; a failing read is never worse than `Unavailable`.
    async fn fetch(&self, ctx: &Ctx<'_>, attempt: &Attempt) -> Result<ProviderView>;

    /// Verifies and reads a notification. Pure: same note, same answer.
    ///
    /// # Errors
    /// [`NotificationError`].
    fn read_notification(
        &self,
        note: &Notification<'_>,
    ) -> std::result::Result<Vec<NotificationTarget>, NotificationError>;

    /// Looks for the object of an attempt whose answer was lost, by our reference. `None`: there is none.
    ///
    /// # Errors
    /// By certainty.
    async fn find_by_reference(&self, _: &Ctx<'_>, _: &Attempt) -> Result<Option<CreatedPayment>> {
        Err(ProviderError::Unsupported("look an object up by our reference"))
    }

    /// Takes an amount of what is held.
    ///
    /// # Errors
    /// By certainty.
    async fn capture(&self, _: &Ctx<'_>, _: &Attempt, _: Money) -> Result<ProviderView> {
        Err(ProviderError::Unsupported("capture"))
    }

    /// Closes what has not been taken: an unpaid page, or a hold.
    ///
    /// # Errors
    /// By certainty.
    async fn cancel(&self, _: &Ctx<'_>, _: &Attempt) -> Result<ProviderView> {
        Err(ProviderError::Unsupported("cancel"))
    }

    /// Gives back an amount of what was taken.
    ///
    /// # Errors
    /// By certainty.
    async fn refund(&self, _: &Ctx<'_>, _: &Attempt, _: &RefundRequest) -> Result<ProviderView> {
        Err(ProviderError::Unsupported("refund"))
    }

    /// Whether the provider has an order of its own that wants handing over once ours is submitted.
    fn submits_order(&self) -> bool {
        false
    }

    /// Hands over an order of the provider's own once ours is submitted; repeated until its outcome is known,
    /// so it must tolerate "already submitted".
    ///
    /// # Errors
    /// By certainty.
    async fn submit_provider_order(&self, _: &Ctx<'_>, _: &Attempt) -> Result<()> {
        Ok(())
    }

    /// Stored payment methods, for providers that have them.
    fn vault(&self) -> Option<&dyn Vault> {
        None
    }
}

/// The optional family of stored payment methods.
#[async_trait]
pub trait Vault: Send + Sync {
    /// How a customer can store a method by a session here; empty where sessions cannot.
    fn approaches(&self) -> &'static [Approach] {
        &[]
    }

    /// Starts a session that stores a method.
    ///
    /// # Errors
    /// By certainty, see [`ProviderError`].
    async fn create(
        &self,
        ctx: &Ctx<'_>,
        attempt: &Attempt,
        request: &PaymentRequest,
    ) -> Result<CreatedPayment>;

    /// Says how the session stands, and which method it stored.
    ///
    /// # Errors
    /// By certainty.
    async fn fetch(&self, ctx: &Ctx<'_>, attempt: &Attempt) -> Result<VaultView>;

    /// Closes a session that has stored nothing.
    ///
    /// # Errors
    /// By certainty.
    async fn cancel(&self, ctx: &Ctx<'_>, attempt: &Attempt) -> Result<VaultView>;

    /// The methods stored for a customer.
    ///
    /// # Errors
    /// By certainty.
    async fn list(&self, ctx: &Ctx<'_>, customer: &Customer) -> Result<Vec<StoredProfile>>;

    /// Whether a stored method can be charged without the customer.
    fn charges(&self) -> bool {
        false
    }

    /// Charges a stored method without the customer. May move money at once.
    ///
    /// # Errors
    /// By certainty.
    async fn charge(&self, _: &Ctx<'_>, _: &Attempt, _: &PaymentRequest) -> Result<CreatedPayment> {
        Err(ProviderError::Unsupported("charge a stored method"))
    }

    /// Forgets a stored method.
    ///
    /// # Errors
    /// By certainty.
    async fn detach(&self, _: &Ctx<'_>, _profile: &str) -> Result<()> {
        Err(ProviderError::Unsupported("forget a stored method"))
    }
}

/// An object that now exists at the provider.
#[derive(Clone, Debug)]
pub struct CreatedPayment {
    /// Its id there.
    pub reference: String,
    /// What the customer needs next.
    pub next: Next,
    /// How it stands.
    pub view: ProviderView,
    /// More to remember with the attempt, stored together with the reference.
    pub adapter_state: crate::AdapterState,
}

/// What the customer needs to pay.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Next {
    /// A page or a link.
    Page(String),
    /// Credentials for the provider's widget.
    Widget(BTreeMap<String, String>),
    /// Nothing: a charge without the customer.
    Nothing,
}

impl std::fmt::Debug for Next {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Page(_) => "Page",
            Self::Widget(_) => "Widget",
            Self::Nothing => "Nothing",
        })
    }
}

/// The provider's view, without judgement.
#[derive(Clone, Debug, Default)]
pub struct ProviderView {
    /// Its word for the state, verbatim.
    pub provider_status: ProviderStatus,
    /// What is to be paid in all.
    pub total: Option<Money>,
    /// What is or was held.
    pub authorized: Option<Money>,
    /// What was taken.
    pub captured: Option<Money>,
    /// What was given back.
    pub refunded: Option<Money>,
    /// What is in dispute.
    pub disputed: Option<Money>,
    /// Our reference as it is echoed; another one is somebody else's payment.
    pub merchant_reference: Option<String>,
    /// Whether the provider calls it a test.
    pub is_test: Option<bool>,
    /// The last decline, if one is told.
    pub failure: Option<Failure>,
    /// The provider's own time of this state; only where it gives one with every answer.
    pub at: Option<Timestamp>,
}

/// A decline in the provider's own words.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Failure {
    /// Its code, verbatim.
    pub code: Option<String>,
    /// Its text.
    pub text: Option<String>,
}

/// How a session that stores a method stands.
#[derive(Clone, Debug)]
pub struct VaultView {
    /// Its word for the state, verbatim; `of` is `profile_session`.
    pub provider_status: ProviderStatus,
    /// The stored method, once there is one.
    pub profile: Option<StoredProfile>,
}

/// A stored method as the provider describes it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredProfile {
    /// Its id there.
    pub reference: String,
    /// Its word for the state, verbatim; `of` is `profile`.
    pub provider_status: ProviderStatus,
    /// The kind, such as `CARD`.
    pub kind: String,
    /// What to show of it, such as `Visa 4242`.
    pub display_name: Option<String>,
    /// RFC 3339 date of its expiry.
    pub expires_on: Option<String>,
}

/// A notification as it arrived.
#[derive(Clone, Copy)]
pub struct Notification<'a> {
    /// Headers, names in lower case.
    pub headers: &'a [(String, String)],
    /// The exact bytes.
    pub body: &'a [u8],
    /// When it came.
    pub received_at: Timestamp,
    /// Whether the address it came to carried the account's own key: the proof of a provider that does not sign.
    pub address_key: bool,
}

impl Notification<'_> {
    /// A header by its lower-case name.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }
}

/// What a verified notification points at. It proves nothing about the state: the provider is asked.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct NotificationTarget {
    /// The provider's id of the object.
    pub reference: Option<String>,
    /// Our reference, where it is echoed.
    pub merchant_reference: Option<String>,
    /// The provider's id of the event, the same on every repeat.
    pub event: Option<String>,
}

/// Why a notification is not taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NotificationError {
    /// It does not prove that it comes from the provider.
    #[error("the notification cannot be verified")]
    Unverified,
    /// It is genuine, or would be, but not understood.
    #[error("the notification cannot be read")]
    Unreadable,
}
