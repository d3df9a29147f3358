//! Stored cards. An order with `save_card` stores the card it is paid with and names it when it is read back; a later
//! order that names the card charges it without the customer.

use async_trait::async_trait;
use paymux_port::{
    Attempt, CreatedPayment, Ctx, Given, PaymentMethod, PaymentRequest, ProviderError, Result, Side,
    StoredProfile, Text, Vault,
};
use serde::Deserialize;

use super::{Decta, request, response};

/// A stored card, and the client that it was stored for.
pub(super) struct StoredCard<'a> {
    pub(super) client: &'a str,
    pub(super) id: &'a str,
}

impl<'a> StoredCard<'a> {
    /// Both ids as one text: a card is charged for its client only.
    fn reference(&self) -> String {
        format!("{}/{}", self.client, self.id)
    }

    fn of(reference: &'a str) -> Option<Self> {
        let (client, id) = reference.split_once('/')?;
        Some(Self { client, id })
    }
}

/// What a paid order says about the card that it has stored.
#[derive(Deserialize)]
struct PaidOrder {
    id: Side<Text>,
    client: Given<Client>,
}

#[derive(Deserialize)]
struct Client {
    original_client: Given<OriginalClient>,
    recurring_card: Given<Text>,
    recurring_payment_method: Given<Text>,
}

#[derive(Deserialize)]
struct OriginalClient {
    id: Text,
}

impl PaidOrder {
    fn profile(&self, method: Option<&PaymentMethod>) -> Option<StoredProfile> {
        let Client { original_client, recurring_card, recurring_payment_method } = self.client.as_ref()?;
        let id = recurring_card.as_ref().or(recurring_payment_method.as_ref())?;
        let card = StoredCard { client: &original_client.as_ref()?.id, id };
        Some(StoredProfile {
            reference: card.reference(),
            provider_status: None,
            kind: "CARD".to_owned(),
            display_name: method.and_then(shown),
            expires_on: None,
        })
    }
}

/// Such as `VISA 4242`.
fn shown(method: &PaymentMethod) -> Option<String> {
    let last4 = method.last4.as_deref()?;
    Some(method.brand.as_deref().into_iter().chain([last4]).collect::<Vec<_>>().join(" "))
}

#[async_trait]
impl Vault for Decta {
    async fn stored_by(&self, ctx: &Ctx<'_>, attempt: &Attempt) -> Result<Option<StoredProfile>> {
        let id = attempt.provider_reference()?;
        let response = self.read(ctx, id).await?;
        let order: PaidOrder = ctx.json(&response)?;
        let order = ctx.require(Some(order).filter(|order| order.id.as_deref() == Some(id)), "this order")?;
        Ok(order.profile(response::paid_with(&response).as_ref()))
    }

    async fn charge(
        &self,
        ctx: &Ctx<'_>,
        attempt: &Attempt,
        request: &PaymentRequest,
    ) -> Result<CreatedPayment> {
        let stored = request.profile.as_deref().and_then(StoredCard::of);
        let card = stored.ok_or(ProviderError::NotFound)?;
        let order = request::charge(attempt, request, &card)?;
        Ok(self.place(ctx, attempt, order).await?.0)
    }
}
