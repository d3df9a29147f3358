//! Stored payment methods. A method is stored on a provider's order without lines, belongs to the customer whose
//! own id that order carried, and can be neither charged nor forgotten through the public API.

use async_trait::async_trait;
use paymux_port::{
    Approach, Attempt, CreatedPayment, Ctx, Customer, HttpRequest, PaymentRequest, ProviderError,
    ProviderStatus, Result, StoredProfile, Vault, VaultView,
};
use serde_json::Value;

use super::begin::ORDER_BODY;
use super::opened::{Kind, Opened};
use super::wire::{Profile, Profiles};
use super::{Telness, encoded};

#[async_trait]
impl Vault for Telness {
    fn approaches(&self) -> &'static [Approach] {
        &[Approach::Hosted, Approach::Embedded]
    }

    async fn create(
        &self,
        ctx: &Ctx<'_>,
        attempt: &Attempt,
        request: &PaymentRequest,
    ) -> Result<CreatedPayment> {
        self.start(ctx, attempt, request, Kind::ProfileSession).await
    }

    async fn fetch(&self, ctx: &Ctx<'_>, attempt: &Attempt) -> Result<VaultView> {
        let shown = self.read(ctx, attempt, Kind::ProfileSession).await?;
        self.saved(ctx, attempt, shown).await
    }

    async fn cancel(&self, ctx: &Ctx<'_>, attempt: &Attempt) -> Result<VaultView> {
        let shown = self.close(ctx, attempt, Kind::ProfileSession).await?;
        self.saved(ctx, attempt, shown).await
    }

    async fn list(&self, ctx: &Ctx<'_>, customer: &Customer) -> Result<Vec<StoredProfile>> {
        match &customer.id {
            Some(id) => Ok(self.profiles(ctx, id).await?.into_iter().map(StoredProfile::from).collect()),
            None => Ok(Vec::new()),
        }
    }
}

impl Telness {
    /// The session's word and, once it is completed, the method that it stored. The reference does not say how a
    /// session names its method: by its id if it gives one, else it is the customer's newest (assumed).
    async fn saved(&self, ctx: &Ctx<'_>, attempt: &Attempt, shown: Opened) -> Result<VaultView> {
        let profile = match &shown.payment_profile_id {
            Some(id) => Some(self.profile(ctx, id).await?),
            None if shown.status.eq_ignore_ascii_case("COMPLETED") => self.newest(ctx, attempt).await?,
            None => None,
        };
        let provider_status = ProviderStatus::new(Kind::ProfileSession.section(), shown.status);
        Ok(VaultView { provider_status, profile: profile.map(StoredProfile::from) })
    }

    async fn profile(&self, ctx: &Ctx<'_>, id: &str) -> Result<Profile> {
        self.send(ctx, HttpRequest::get(format!("/payment-profiles/{}", encoded(id)))).await
    }

    /// The newest method of the customer whom the attempt's order was made for.
    async fn newest(&self, ctx: &Ctx<'_>, attempt: &Attempt) -> Result<Option<Profile>> {
        let order: Value = attempt
            .adapter_state
            .get(ORDER_BODY)
            .and_then(|body| serde_json::from_str(body).ok())
            .ok_or(ProviderError::NotFound)?;
        match order.pointer("/customer/referenceId").and_then(Value::as_str) {
            Some(id) => {
                Ok(self.profiles(ctx, id).await?.into_iter().max_by_key(|profile| profile.created_at))
            }
            None => Ok(None),
        }
    }

    /// All methods of a customer of ours; `rid_` marks an id that is not Connect's own (list-orders page).
    async fn profiles(&self, ctx: &Ctx<'_>, customer: &str) -> Result<Vec<Profile>> {
        let path = format!("/payment-profiles?customerId=rid_{}", encoded(customer));
        let listed: Profiles = self.send(ctx, HttpRequest::get(path)).await?;
        Ok(listed.items)
    }
}
