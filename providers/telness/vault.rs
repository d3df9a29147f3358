//! Payment profiles. A method is stored on a provider's order without lines, belongs to the customer whose own id
//! that order carried, and can be neither charged nor deleted through the public API.

use async_trait::async_trait;
use paymux_port::{
    AdapterState, CreatedProfileSession, Ctx, HttpRequest, PaymentStatus, ProviderError, Result,
    StoreAttempt, StoreRequest, StoredProfile, Vault, VaultView, encoded,
};

use super::request::{Kind, Target};
use super::response::{Opened, Profile, Profiles};
use super::{Telness, request};

/// In the adapter state: the merchant's own id of the customer who stores a method.
const CUSTOMER_ID: &str = "customer_id";

#[async_trait]
impl Vault for Telness {
    async fn list(&self, ctx: &Ctx<'_>, customer_id: &str) -> Result<Vec<StoredProfile>> {
        Ok(self.profiles(ctx, customer_id).await?.into_iter().map(StoredProfile::from).collect())
    }

    async fn create(
        &self,
        ctx: &Ctx<'_>,
        attempt: &StoreAttempt,
        request: &StoreRequest,
    ) -> Result<CreatedProfileSession> {
        let target = Target::from(attempt);
        let order = self.order(ctx, &target, request::order_to_store(attempt, request)).await?;
        let session = request::profile_session(attempt, &order, &self.payment_provider);
        let opened = self.open(ctx, &target, &order, session).await?;
        Ok(CreatedProfileSession {
            reference: ctx.require(opened.id(target.kind), "an id")?,
            next: ctx.require(opened.next(&target, &self.payment_provider), "a way to store a method")?,
            adapter_state: AdapterState::from([(CUSTOMER_ID.to_owned(), request.customer_id.clone())]),
        })
    }

    async fn fetch(&self, ctx: &Ctx<'_>, attempt: &StoreAttempt) -> Result<VaultView> {
        let opened = self.read(ctx, &Target::from(attempt)).await?;
        self.view(ctx, attempt, &opened).await
    }

    async fn cancel(&self, ctx: &Ctx<'_>, attempt: &StoreAttempt) -> Result<VaultView> {
        let opened = self.close(ctx, &Target::from(attempt)).await?;
        self.view(ctx, attempt, &opened).await
    }
}

impl Telness {
    /// The session's status and, once it is completed, the method that it stored. The reference does not say how a
    /// session names its method: by its id if it gives one, else it is the customer's newest (assumed).
    async fn view(&self, ctx: &Ctx<'_>, attempt: &StoreAttempt, opened: &Opened) -> Result<VaultView> {
        let provider_status = opened.provider_status(Kind::ProfileSession);
        let profile = match opened.profile_id() {
            Some(id) => {
                let path = format!("/payment-profiles/{}", encoded(&id));
                Some(self.send::<Profile>(ctx, HttpRequest::get(path)).await?)
            }
            None if ctx.statuses().means(&provider_status, PaymentStatus::Paid) => {
                let customer_id = attempt.adapter_state.get(CUSTOMER_ID).ok_or(ProviderError::NotFound)?;
                newest(ctx, self.profiles(ctx, customer_id).await?)?
            }
            None => None,
        };
        Ok(VaultView { provider_status, profile: profile.map(StoredProfile::from) })
    }

    /// All methods of a customer; `rid_` marks an id that is not Connect's own (list-orders page).
    async fn profiles(&self, ctx: &Ctx<'_>, customer_id: &str) -> Result<Vec<Profile>> {
        let path = format!("/payment-profiles?customerId=rid_{}", encoded(customer_id));
        let listed: Profiles = self.send(ctx, HttpRequest::get(path)).await?;
        Ok(listed.items)
    }
}

/// The newest of a customer's methods. Where the time of one of several cannot be read, it is not known which that is.
fn newest(ctx: &Ctx<'_>, profiles: Vec<Profile>) -> Result<Option<Profile>> {
    let dated = profiles.len() < 2 || profiles.iter().all(|profile| profile.created_at.is_some());
    ctx.require(dated.then_some(()), "the times of its methods")?;
    Ok(profiles.into_iter().max_by_key(|profile| *profile.created_at))
}
