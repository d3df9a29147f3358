//! What paymennt answers, and how it reads as the port's values. Only the fields we use; amounts are decimals
//! in major units, states stay strings. The source is the vendor's OpenAPI file, version 2.0 of March 2026.

use paymux_port::{
    CreatedPayment, Ctx, Currency, Decimal, Money, Next, ProviderStatus, ProviderView, Result,
};
use serde::Deserialize;

/// Whether a call worked. This decides, and not the HTTP status alone.
#[derive(Deserialize)]
pub(super) struct Envelope {
    pub(super) success: bool,
    pub(super) error: Option<String>,
}

/// What a call that worked has brought.
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
    pub(super) id: String,
    pub(super) status: String,
    pub(super) currency: Currency,
    pub(super) amount: Decimal,
    pub(super) total_refunded: Option<Decimal>,
    pub(super) request_id: Option<String>,
    pub(super) redirect_url: Option<String>,
    pub(super) firebase_database: Option<String>,
    pub(super) firebase_collection: Option<String>,
    pub(super) firebase_document: Option<String>,
}

/// A notification's body: flat, and named otherwise than the object that it is a copy of.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct NotificationBody {
    pub(super) id: Option<String>,
    /// The `requestId`; an assumption from the name that the older API gave it.
    pub(super) reference_id: Option<String>,
}

/// A checkout that exists, with what we keep of it: the document that changes when it does.
pub(super) fn created(checkout: Checkout, reads_only: bool) -> Result<CreatedPayment> {
    if checkout.id.is_empty() {
        return Err(Ctx::unreadable(reads_only, "a checkout without its id".to_owned()));
    }
    let view = snapshot(&checkout, reads_only)?;
    let document = [
        ("firebaseDatabase", checkout.firebase_database),
        ("firebaseCollection", checkout.firebase_collection),
        ("firebaseDocument", checkout.firebase_document),
    ];
    let adapter_state =
        document.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value?))).collect();
    let next = checkout.redirect_url.map_or(Next::Nothing, Next::Page);
    Ok(CreatedPayment { reference: checkout.id, next, view, adapter_state })
}

pub(super) fn snapshot(checkout: &Checkout, reads_only: bool) -> Result<ProviderView> {
    let money = |major| money(major, checkout.currency, reads_only);
    Ok(ProviderView {
        provider_status: ProviderStatus::new("checkout", checkout.status.as_str()),
        total: Some(money(checkout.amount)?),
        refunded: checkout.total_refunded.map(money).transpose()?,
        merchant_reference: checkout.request_id.clone(),
        ..ProviderView::default()
    })
}

/// An amount as they state it. One with too many digits is an answer that cannot be read.
pub(super) fn money(major: Decimal, currency: Currency, reads_only: bool) -> Result<Money> {
    Money::from_major(major, currency).map_err(|fault| Ctx::unreadable(reads_only, fault.to_string()))
}
