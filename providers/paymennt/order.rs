//! What paymennt is sent. Nothing is rounded, and nothing personal is made up to fill a required field: what
//! is incomplete is left out. The source is the vendor's OpenAPI file, version 2.0 of March 2026.

use paymux_port::{self as port, Attempt, Currency, Decimal, Money, PaymentRequest, ProviderError, Result};
use serde::Serialize;

/// The vendor's own client refuses a third decimal, and nothing says what its server does with one.
pub(super) const MAX_DECIMALS: u8 = 2;

/// The shortest and longest life of a link, minutes.
pub(super) const LINK_MINUTES: (u64, u64) = (15, 10_080);

/// What is sold, to whom, and on which kind of page. Whatever is not there is left out.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Order<'a> {
    request_id: String,
    order_id: String,
    currency: Currency,
    amount: Decimal,
    #[serde(skip_serializing_if = "Option::is_none")]
    totals: Option<Totals>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    items: Vec<Item<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    customer: Option<Customer<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    billing_address: Option<Address<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    delivery_address: Option<Address<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    language: Option<&'a str>,
    #[serde(flatten)]
    page: Page<'a>,
}

/// What only a web page, or only a link, may carry. The life of a link is in minutes.
#[derive(Serialize)]
#[serde(untagged, rename_all_fields = "camelCase")]
enum Page<'a> {
    Web { return_url: &'a str },
    Link { description: &'a str, expires_in: u64, send_sms: bool, send_email: bool },
}

/// `amount = subtotal + tax + shipping - discount`, which the server checks only if it is told to.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Totals {
    subtotal: Decimal,
    tax: Decimal,
    shipping: Decimal,
    discount: Decimal,
    skip_totals_validation: bool,
}

#[derive(Serialize)]
struct Item<'a> {
    name: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    sku: Option<&'a str>,
    quantity: i64,
    unitprice: Decimal,
    linetotal: Decimal,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Customer<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    id: Option<&'a str>,
    first_name: &'a str,
    last_name: &'a str,
    email: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    phone: Option<&'a str>,
}

#[derive(Serialize)]
struct Address<'a> {
    name: &'a str,
    address1: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    address2: Option<&'a str>,
    city: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    state: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    zip: Option<&'a str>,
    country: &'a str,
}

/// A page to send the customer to. It brings all outcomes back to one address: that of the open outcome, the
/// only one which claims nothing.
pub(super) fn web<'a>(attempt: &Attempt, request: &'a PaymentRequest) -> Result<Order<'a>> {
    order(attempt, request, Page::Web { return_url: &request.urls.in_progress })
}

/// A link. Its life is counted from the attempt and not from now, so that a repeat asks for the same.
pub(super) fn link<'a>(attempt: &Attempt, request: &'a PaymentRequest) -> Result<Order<'a>> {
    let (shortest, longest) = LINK_MINUTES;
    let minutes = request.expires_at.since(attempt.started_at).as_secs().div_ceil(60);
    let link = order(
        attempt,
        request,
        Page::Link {
            description: &request.description,
            expires_in: minutes.clamp(shortest, longest),
            send_sms: request.link_delivery.sms,
            send_email: request.link_delivery.email,
        },
    )?;
    if request.link_delivery.any() && link.customer.is_none() {
        return Err(ProviderError::NotSent(
            "a link is delivered only to a full name with an e-mail".to_owned(),
        ));
    }
    Ok(link)
}

fn order<'a>(attempt: &Attempt, request: &'a PaymentRequest, page: Page<'a>) -> Result<Order<'a>> {
    let amount = major(attempt.money)?;
    let currency = attempt.currency();
    Ok(Order {
        request_id: attempt.id.to_string(),
        order_id: attempt.order.to_string(),
        currency,
        amount,
        totals: totals(request, currency),
        items: items(request, currency, amount),
        customer: customer(&request.customer),
        billing_address: request.billing_address.as_ref().and_then(address),
        delivery_address: request.shipping_address.as_ref().and_then(address),
        language: request.language.as_deref().and_then(language),
        page,
    })
}

/// The amount in major units.
///
/// # Errors
/// [`ProviderError::Unsupported`] where a third decimal would be lost. Nothing was sent.
pub(super) fn major(money: Money) -> Result<Decimal> {
    money.to_major_within(MAX_DECIMALS).ok_or(ProviderError::Unsupported("carry a third decimal"))
}

/// The sums, with a subtotal before tax so that they add up whether or not prices include theirs. Left out
/// where one of them needs a third decimal.
fn totals(request: &PaymentRequest, currency: Currency) -> Option<Totals> {
    let part = |minor| major(Money::new(minor, currency)).ok();
    let included = if request.tax_included { request.tax } else { 0 };
    Some(Totals {
        subtotal: part(request.subtotal.checked_sub(included)?)?,
        tax: part(request.tax)?,
        shipping: part(request.shipping)?,
        discount: part(request.discount)?,
        skip_totals_validation: true,
    })
}

/// The lines before discount; one line for everything where one of them needs a third decimal.
fn items<'a>(request: &'a PaymentRequest, currency: Currency, amount: Decimal) -> Vec<Item<'a>> {
    let part = |minor| major(Money::new(minor, currency)).ok();
    let item = |line: &'a port::LineItem| {
        Some(Item {
            name: &line.title,
            sku: line.sku.as_deref(),
            quantity: line.quantity,
            unitprice: part(line.unit_price)?,
            linetotal: part(line.unit_price.checked_mul(line.quantity)?)?,
        })
    };
    let exact: Option<Vec<_>> = request.items.iter().map(item).collect();
    exact.unwrap_or_else(|| {
        vec![Item {
            name: &request.description,
            sku: None,
            quantity: 1,
            unitprice: amount,
            linetotal: amount,
        }]
    })
}

fn customer(known: &port::Customer) -> Option<Customer<'_>> {
    Some(Customer {
        id: known.id.as_deref(),
        first_name: known.first_name.as_deref()?,
        last_name: known.last_name.as_deref()?,
        email: known.email.as_deref()?,
        phone: known.phone.as_deref(),
    })
}

fn address(known: &port::Address) -> Option<Address<'_>> {
    Some(Address {
        name: known.name.as_deref()?,
        address1: known.line1.as_deref()?,
        address2: known.line2.as_deref(),
        city: known.city.as_deref()?,
        state: known.region.as_deref(),
        zip: known.postal_code.as_deref(),
        country: known.country.as_deref()?,
    })
}

/// The language of a BCP 47 tag, if it is one of the two or three letters that the field takes.
fn language(tag: &str) -> Option<&str> {
    tag.split('-').next().filter(|language| (2..=3).contains(&language.len()))
}
