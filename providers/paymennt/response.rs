//! paymennt's responses, converted to the port's values. Only the fields we use; amounts are decimals in major units,
//! states stay strings. The source is the vendor's OpenAPI file, version 2.0 of March 2026.

use paymux_port::{
    AdapterState, Complaint, CreatedPayment, Ctx, Currency, Decimal, HttpResponse, Next, ProviderStatus,
    ProviderView, Result, StoredProfile,
};
use serde::Deserialize;

/// Whether a call worked. This decides, and not the HTTP status alone.
#[derive(Deserialize)]
pub(super) struct Envelope {
    pub(super) success: bool,
    error: Option<String>,
}

impl Envelope {
    /// Errors carry a text and no code.
    pub(super) fn complaint(self) -> Complaint {
        (None, self.error)
    }
}

/// The text of an error response.
pub(super) fn complaint(response: &HttpResponse) -> Option<Complaint> {
    response.json().ok().map(Envelope::complaint)
}

/// The response of a successful call.
#[derive(Deserialize)]
pub(super) struct Answer<T> {
    pub(super) result: T,
}

/// A page of a list.
#[derive(Deserialize)]
pub(super) struct Listed<T> {
    pub(super) content: Vec<T>,
}

/// Only these first four are always there.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Checkout {
    id: String,
    status: String,
    currency: Currency,
    amount: Decimal,
    total_refunded: Option<Decimal>,
    pub(super) request_id: Option<String>,
    redirect_url: Option<String>,
    firebase_database: Option<String>,
    firebase_collection: Option<String>,
    firebase_document: Option<String>,
}

impl Checkout {
    pub(super) fn view(&self, ctx: &Ctx<'_>) -> Result<ProviderView> {
        let money = |major| ctx.money(major, self.currency);
        Ok(ProviderView {
            provider_status: ProviderStatus::new("checkout", self.status.as_str()),
            total: Some(money(self.amount)?),
            refunded: self.total_refunded.map(money).transpose()?,
            merchant_reference: self.request_id.clone(),
            ..ProviderView::default()
        })
    }

    /// The checkout as one that exists, with its Firestore document as adapter state. Without a page the customer has
    /// nothing to do.
    pub(super) fn created(self, ctx: &Ctx<'_>) -> Result<CreatedPayment> {
        let view = self.view(ctx)?;
        let document = [
            ("firebaseDatabase", self.firebase_database),
            ("firebaseCollection", self.firebase_collection),
            ("firebaseDocument", self.firebase_document),
        ];
        let given = document.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value?)));
        Ok(CreatedPayment {
            reference: ctx.require(Some(self.id).filter(|id| !id.is_empty()), "an id")?,
            next: self.redirect_url.map_or(Next::Nothing, Next::Page),
            view,
            adapter_state: given.collect::<AdapterState>(),
        })
    }
}

/// A payment on a checkout: what a debit of a stored card makes.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Payment {
    pub(super) id: String,
    pub(super) status: String,
    currency: Currency,
    amount: Decimal,
    pub(super) redirect_url: Option<String>,
    pub(super) checkout_details: Option<Checkout>,
}

impl Payment {
    pub(super) fn provider_status(&self) -> ProviderStatus {
        ProviderStatus::new("payment", self.status.as_str())
    }

    /// The payment's own status and amount; the rest is its checkout's.
    pub(super) fn view(&self, ctx: &Ctx<'_>, checkout: ProviderView) -> Result<ProviderView> {
        let total = ctx.money(self.amount, self.currency)?;
        Ok(ProviderView { provider_status: self.provider_status(), total: Some(total), ..checkout })
    }
}

/// A stored card. It has no status: one that is on the list can be charged.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Card {
    token: String,
    card_brand: Option<String>,
    card_last4: Option<String>,
    expiry: Option<String>,
}

impl From<Card> for StoredProfile {
    fn from(card: Card) -> Self {
        let shown = [card.card_brand, card.card_last4].into_iter().flatten().collect::<Vec<_>>().join(" ");
        Self {
            reference: card.token,
            provider_status: None,
            kind: "CARD".to_owned(),
            display_name: Some(shown).filter(|shown| !shown.is_empty()),
            expires_on: card.expiry,
        }
    }
}

/// A notification's body: flat, and named otherwise than the object that it is a copy of.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct NotificationBody {
    pub(super) id: Option<String>,
    /// The `requestId`; an assumption from the name that the older API gave it.
    pub(super) reference_id: Option<String>,
}
