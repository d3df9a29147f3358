//! Payment profiles: what an adapter implements for a provider that has them.

use async_trait::async_trait;

use crate::hidden::hidden;
use crate::{
    AdapterState, Approach, Attempt, AttemptId, CreatedPayment, Ctx, Next, PaymentRequest, ProfileSessionId,
    ProviderError, ProviderStatus, RedirectUrls, Result, Timestamp,
};

/// The payment profiles of a provider. [`VaultSupport`](crate::VaultSupport) says what is implemented.
#[async_trait]
pub trait Vault: Send + Sync {
    /// The methods stored for a customer, by the merchant's own id of the customer.
    ///
    /// # Errors
    /// By certainty, see [`ProviderError`].
    async fn list(&self, _: &Ctx<'_>, _customer_id: &str) -> Result<Vec<StoredProfile>> {
        Err(ProviderError::Unsupported("list the payment profiles of a customer"))
    }

    /// The method that a payment has stored, where the provider cannot list those of a customer.
    ///
    /// # Errors
    /// By certainty.
    async fn stored_by(&self, _: &Ctx<'_>, _: &Attempt) -> Result<Option<StoredProfile>> {
        Err(ProviderError::Unsupported("name the method that a payment has stored"))
    }

    /// Starts a session that stores a method. Repeated only for providers whose `repeat.create` allows it.
    ///
    /// # Errors
    /// By certainty.
    async fn create(&self, _: &Ctx<'_>, _: &StoreAttempt, _: &StoreRequest) -> Result<CreatedProfileSession> {
        Err(ProviderError::Unsupported("store a method without a payment"))
    }

    /// Reads a session and the method it stored. Never changes anything.
    ///
    /// # Errors
    /// By certainty.
    async fn fetch(&self, _: &Ctx<'_>, _: &StoreAttempt) -> Result<VaultView> {
        Err(ProviderError::Unsupported("store a method without a payment"))
    }

    /// Closes a session that has stored nothing.
    ///
    /// # Errors
    /// By certainty.
    async fn cancel(&self, _: &Ctx<'_>, _: &StoreAttempt) -> Result<VaultView> {
        Err(ProviderError::Unsupported("store a method without a payment"))
    }

    /// Charges a payment profile without the customer. May move money at once.
    ///
    /// # Errors
    /// By certainty.
    async fn charge(&self, _: &Ctx<'_>, _: &Attempt, _: &PaymentRequest) -> Result<CreatedPayment> {
        Err(ProviderError::Unsupported("charge a payment profile"))
    }

    /// Deletes a payment profile, named by the provider's id of it.
    ///
    /// # Errors
    /// By certainty.
    async fn detach(&self, _: &Ctx<'_>, _reference: &str) -> Result<()> {
        Err(ProviderError::Unsupported("delete a payment profile"))
    }
}

/// One start of a session that stores a method, at one account, as stored before anything is sent.
#[derive(Clone)]
pub struct StoreAttempt {
    /// Our reference, unique for ever; the provider's idempotency keys are made from it.
    pub id: AttemptId,
    /// The session that it starts.
    pub session: ProfileSessionId,
    /// How the customer stores the method.
    pub approach: Approach,
    /// When the intent was stored.
    pub started_at: Timestamp,
    /// The provider's id of the session, once known.
    pub reference: Option<String>,
    /// What the adapter has saved.
    pub adapter_state: AdapterState,
}

/// A request for a session that stores a method.
#[derive(Clone)]
pub struct StoreRequest {
    /// The merchant's own id of the customer. Personal data, as [`Customer`](crate::Customer).
    pub customer_id: String,
    /// Where the customer returns to.
    pub urls: RedirectUrls,
    /// BCP 47 tag.
    pub language: Option<String>,
    /// When the session shall close.
    pub expires_at: Timestamp,
}

/// A session that now exists at the provider.
#[derive(Clone)]
pub struct CreatedProfileSession {
    /// Its id there.
    pub reference: String,
    /// What the customer needs next.
    pub next: Next,
    /// More to remember with the attempt, stored together with the reference.
    pub adapter_state: AdapterState,
}

/// What the provider reports about a session that stores a method.
#[derive(Clone, Debug)]
pub struct VaultView {
    /// Its status, verbatim; one that means PAID says that the method is stored.
    pub provider_status: ProviderStatus,
    /// The payment profile, once there is one.
    pub profile: Option<StoredProfile>,
}

/// A payment profile as the provider describes it.
#[derive(Clone, PartialEq, Eq)]
pub struct StoredProfile {
    /// Its id there.
    pub reference: String,
    /// Its status, verbatim. `None` where the provider gives none to any method: what it lists can be used.
    pub provider_status: Option<String>,
    /// The kind, such as `CARD`.
    pub kind: String,
    /// What to show of it, such as `Visa 4242`.
    pub display_name: Option<String>,
    /// RFC 3339 date of its expiry.
    pub expires_on: Option<String>,
}

hidden!(StoreAttempt, CreatedProfileSession, StoredProfile);
