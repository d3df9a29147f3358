//! Stored cards. An order with `save_card` stores the card it is paid with and names it when it is read back; a later
//! order that names the card charges it without the customer.

use async_trait::async_trait;
use paymux_port::{
    Attempt, CreatedPayment, Ctx, Given, HttpRequest, PaymentRequest, ProviderError, Result, Side,
    StoredProfile, Text, Vault, encoded,
};
use serde::Deserialize;

use super::{Decta, request};

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
    transaction_details: Side<Transaction>,
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

#[derive(Deserialize)]
struct Transaction {
    payment_system: Side<Text>,
    card_masked_pan: Side<Text>,
}

impl PaidOrder {
    fn profile(&self) -> Option<StoredProfile> {
        let Client { original_client, recurring_card, recurring_payment_method } = self.client.as_ref()?;
        let id = recurring_card.as_ref().or(recurring_payment_method.as_ref())?;
        let card = StoredCard { client: &original_client.as_ref()?.id, id };
        Some(StoredProfile {
            reference: card.reference(),
            provider_status: None,
            kind: "CARD".to_owned(),
            display_name: self.transaction_details.as_ref().and_then(Transaction::card),
            expires_on: None,
        })
    }
}

impl Transaction {
    /// Such as `VISA 4242`.
    fn card(&self) -> Option<String> {
        const LAST: usize = 4;
        let masked: &str = self.card_masked_pan.as_deref()?;
        let last = masked.get(masked.len().checked_sub(LAST)?..)?;
        Some(self.payment_system.as_deref().into_iter().chain([last]).collect::<Vec<_>>().join(" "))
    }
}

#[async_trait]
impl Vault for Decta {
    async fn stored_by(&self, ctx: &Ctx<'_>, attempt: &Attempt) -> Result<Option<StoredProfile>> {
        let id = attempt.provider_reference()?;
        let path = format!("/orders/{}/?response_type=full", encoded(id));
        let order: PaidOrder = ctx.json(&self.send(ctx, HttpRequest::get(path)).await?)?;
        Ok(ctx.require(Some(order).filter(|order| order.id.as_deref() == Some(id)), "this order")?.profile())
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
