//! paymennt's responses, converted to the port's values. Only the fields we use; amounts are decimals in major units,
//! states stay strings. The source is the vendor's OpenAPI file, version 2.0 of March 2026.

use paymux_port::{
    AdapterState, Complaint, CreatedPayment, Ctx, Decimal, Flag, Given, HttpResponse, Next, PaymentMethod,
    PaymentMethodType, ProviderStatus, ProviderView, Result, Side, StoredProfile, Text,
};
use serde::Deserialize;

use super::request::METHODS;

/// Whether a call worked. This decides, and not the HTTP status alone.
#[derive(Deserialize)]
pub(super) struct Envelope {
    pub(super) success: Flag,
    error: Side<Text>,
}

impl Envelope {
    /// Errors carry a text and no code.
    pub(super) fn complaint(self) -> Complaint {
        (None, self.error.0.map(String::from))
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

/// Only these first four are always there. The id is needed once, when it is not known yet.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Checkout {
    id: Side<Text>,
    status: Text,
    currency: Text,
    amount: Decimal,
    total_refunded: Given<Decimal>,
    pub(super) request_id: Side<Text>,
    used_payment_method: Side<Text>,
    redirect_url: Side<Text>,
    firebase_database: Side<Text>,
    firebase_collection: Side<Text>,
    firebase_document: Side<Text>,
}

impl Checkout {
    /// The state of the checkout that was `asked` for, if its id is known.
    pub(super) fn view(&self, ctx: &Ctx<'_>, asked: Option<&str>) -> Result<ProviderView> {
        ctx.ensure_about(asked, self.id.as_deref(), self.request_id.as_deref())?;
        let currency = ctx.currency(&self.currency)?;
        let money = |major| ctx.money(major, currency);
        Ok(ProviderView {
            provider_status: ProviderStatus::new("checkout", &*self.status),
            total: Some(money(self.amount)?),
            refunded: self.total_refunded.map(money).transpose()?,
            merchant_reference: self.request_id.as_deref().map(str::to_owned),
            method: self.used_payment_method.as_deref().map(method),
            ..ProviderView::default()
        })
    }

    /// The checkout as one that exists, with its Firestore document as adapter state. Without a page the customer has
    /// nothing to do.
    pub(super) fn created(self, ctx: &Ctx<'_>) -> Result<CreatedPayment> {
        let view = self.view(ctx, None)?;
        let document = [
            ("firebaseDatabase", self.firebase_database),
            ("firebaseCollection", self.firebase_collection),
            ("firebaseDocument", self.firebase_document),
        ];
        let given = document.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value.0?.into())));
        Ok(CreatedPayment {
            reference: ctx.require(self.id.0, "an id")?.into(),
            next: page(self.redirect_url),
            view,
            adapter_state: given.collect::<AdapterState>(),
        })
    }
}

/// The page that the customer has to see, if there is one.
pub(super) fn page(redirect_url: Side<Text>) -> Next {
    redirect_url.0.map_or(Next::Nothing, |url| Next::Page(url.into()))
}

/// The method that was used: of a card the scheme, of anything else its name.
fn method(name: &str) -> PaymentMethod {
    const SCHEMES: [&str; 5] = ["VISA", "MASTERCARD", "AMEX", "UNIONPAY", "MADA"];
    let kind = match METHODS.iter().find(|(known, _)| *known == name) {
        Some((_, kind)) => Some(*kind),
        None => SCHEMES.contains(&name).then_some(PaymentMethodType::Card),
    };
    let named = || Some(name.to_owned());
    PaymentMethod {
        kind,
        brand: if name == "CARD" { None } else { named() },
        wallet: if kind == Some(PaymentMethodType::Wallet) { named() } else { None },
        ..PaymentMethod::default()
    }
}

/// A payment on a checkout: what a debit of a stored card makes.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Payment {
    pub(super) id: Side<Text>,
    pub(super) status: Text,
    currency: Text,
    amount: Decimal,
    pub(super) redirect_url: Side<Text>,
    pub(super) checkout_details: Side<Checkout>,
}

impl Payment {
    pub(super) fn provider_status(&self) -> ProviderStatus {
        ProviderStatus::new("payment", &*self.status)
    }

    /// The payment's own status and amount; the rest is its checkout's.
    pub(super) fn view(&self, ctx: &Ctx<'_>, checkout: ProviderView) -> Result<ProviderView> {
        let total = ctx.money(self.amount, ctx.currency(&self.currency)?)?;
        Ok(ProviderView { provider_status: self.provider_status(), total: Some(total), ..checkout })
    }
}

/// A stored card. It has no status: one that is on the list can be charged.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Card {
    token: Text,
    card_brand: Side<Text>,
    card_last4: Side<Text>,
    expiry: Side<Text>,
}

impl From<Card> for StoredProfile {
    fn from(card: Card) -> Self {
        let shown =
            [card.card_brand, card.card_last4].into_iter().filter_map(|part| part.0.map(String::from));
        let shown = shown.collect::<Vec<_>>().join(" ");
        Self {
            reference: card.token.into(),
            provider_status: None,
            kind: "CARD".to_owned(),
            display_name: Some(shown).filter(|shown| !shown.is_empty()),
            expires_on: card.expiry.0.map(String::from),
        }
    }
}

/// A notification's body: flat, and named otherwise than the object that it is a copy of.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct NotificationBody {
    pub(super) id: Side<Text>,
    /// The `requestId`; an assumption from the name that the older API gave it.
    pub(super) reference_id: Side<Text>,
}
