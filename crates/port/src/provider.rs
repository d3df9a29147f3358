//! The trait of an adapter, and the values it returns.

use std::collections::BTreeMap;

use async_trait::async_trait;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::hidden::hidden;
use crate::{
    About, Attempt, Ctx, Money, PaymentMethod, PaymentRequest, ProviderError, ProviderStatus, RefundRequest,
    Secret, Timestamp, Vault, read, sign::same_secret,
};

/// The result of an operation at a provider.
pub type Result<T> = std::result::Result<T, ProviderError>;

/// A payment provider. Three methods must be written; the others say "unsupported" until they are, and an
/// adapter's [`Capabilities`](crate::Capabilities) must agree with what it has written.
///
/// An adapter does not map statuses, retry, sleep, log, count, or read the clock or the environment.
#[async_trait]
pub trait Provider: Send + Sync {
    /// Its description.
    fn about(&self) -> &'static About;

    /// Starts a payment. The attempt is already stored; its id is the merchant reference and makes the
    /// idempotency key. Repeated only for providers whose `repeat.create` allows it.
    ///
    /// # Errors
    /// By certainty, see [`ProviderError`].
    async fn create(
        &self,
        ctx: &Ctx<'_>,
        attempt: &Attempt,
        request: &PaymentRequest,
    ) -> Result<CreatedPayment>;

    /// Reads a payment. Never changes anything.
    ///
    /// # Errors
    /// By certainty; a failing read is never worse than `Unavailable` or `Unreadable`.
    async fn fetch(&self, ctx: &Ctx<'_>, attempt: &Attempt) -> Result<ProviderView>;

    /// Verifies and parses a notification. Pure.
    ///
    /// # Errors
    /// [`NotificationError`].
    fn read_notification(
        &self,
        notification: &Notification<'_>,
    ) -> std::result::Result<Vec<NotificationTarget>, NotificationError>;

    /// Looks for the object of an attempt whose answer was lost, by our reference. `None`: there is none.
    ///
    /// # Errors
    /// By certainty.
    async fn find_by_reference(&self, _: &Ctx<'_>, _: &Attempt) -> Result<Option<CreatedPayment>> {
        Err(ProviderError::Unsupported("look an object up by our reference"))
    }

    /// Captures an amount of an authorization.
    ///
    /// # Errors
    /// By certainty.
    async fn capture(&self, _: &Ctx<'_>, _: &Attempt, _: Money) -> Result<ProviderView> {
        Err(ProviderError::Unsupported("capture"))
    }

    /// Closes an unpaid checkout, or voids an authorization.
    ///
    /// # Errors
    /// By certainty.
    async fn cancel(&self, _: &Ctx<'_>, _: &Attempt) -> Result<ProviderView> {
        Err(ProviderError::Unsupported("cancel"))
    }

    /// Refunds an amount.
    ///
    /// # Errors
    /// By certainty.
    async fn refund(&self, _: &Ctx<'_>, _: &Attempt, _: &RefundRequest) -> Result<ProviderView> {
        Err(ProviderError::Unsupported("refund"))
    }

    /// Submits the provider's own order once ours is submitted; repeated until its outcome is known, so it must
    /// tolerate "already submitted".
    ///
    /// # Errors
    /// By certainty.
    async fn submit_provider_order(&self, _: &Ctx<'_>, _: &Attempt) -> Result<()> {
        Err(ProviderError::Unsupported("submit an order of its own"))
    }

    /// Payment profiles, for providers that have them.
    fn vault(&self) -> Option<&dyn Vault> {
        None
    }
}

/// An object that now exists at the provider.
#[derive(Clone)]
pub struct CreatedPayment {
    /// Its id there.
    pub reference: String,
    /// What the customer needs next.
    pub next: Next,
    /// Its first view.
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

hidden!(CreatedPayment);

/// What the provider reports, not interpreted.
#[derive(Clone, Debug, Default)]
pub struct ProviderView {
    /// Its status, verbatim.
    pub provider_status: ProviderStatus,
    /// A newer status that only marks the payment, such as one that calls it a test. It is what people are shown;
    /// `provider_status` alone says where the money is.
    pub mark: Option<ProviderStatus>,
    /// What is to be paid in all.
    pub total: Option<Money>,
    /// What was authorized.
    pub authorized: Option<Money>,
    /// What was captured.
    pub captured: Option<Money>,
    /// What was refunded.
    pub refunded: Option<Money>,
    /// What is in dispute.
    pub disputed: Option<Money>,
    /// The merchant reference that the provider returns; with another one it is not our payment.
    pub merchant_reference: Option<String>,
    /// Whether the provider calls it a test.
    pub is_test: Option<bool>,
    /// The last decline, if the provider reports it.
    pub failure: Option<Failure>,
    /// What the customer paid with, if the provider reports it.
    pub method: Option<PaymentMethod>,
    /// The provider's own time of this state; only where it gives one with every answer.
    pub at: Option<Timestamp>,
}

/// The provider's code and text of a decline.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Failure {
    /// Its code, verbatim.
    pub code: Option<String>,
    /// Its text.
    pub text: Option<String>,
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

    /// Whether it carries the account's shared key in this header; where none is configured, whether its address did.
    pub fn has_shared_key(&self, header: &str, key: Option<&Secret>) -> bool {
        match key {
            Some(key) => self.header(header).is_some_and(|sent| same_secret(key, sent.as_bytes())),
            None => self.address_key,
        }
    }

    /// Reads the JSON body, also behind a byte order mark. To be called after verification only.
    ///
    /// # Errors
    /// [`NotificationError::Unreadable`].
    pub fn json<T: DeserializeOwned>(&self) -> std::result::Result<T, NotificationError> {
        read::json(self.body).map_err(|_| NotificationError::Unreadable)
    }
}

/// The object that a notification names. Its state is read from the provider.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct NotificationTarget {
    /// The provider's id of the object.
    pub reference: Option<String>,
    /// Our reference, where it is echoed.
    pub merchant_reference: Option<String>,
    /// The provider's id of the event, the same on every repeat.
    pub event: Option<String>,
    /// The status that it reports, where it reports one. It proves nothing and is not stored; a notification that the
    /// payment is as it was need not be hurried.
    #[serde(skip)]
    pub status: Option<ProviderStatus>,
}

/// Why a notification is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NotificationError {
    /// It does not prove that it comes from the provider.
    #[error("the notification cannot be verified")]
    Unverified,
    /// It is genuine, or would be, but not understood.
    #[error("the notification cannot be read")]
    Unreadable,
}
