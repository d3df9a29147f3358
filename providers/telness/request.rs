//! What is sent. Names are those of the current reference, but for two: the fields of an `EXTERNAL_ITEM`, which
//! nobody shows, and the addresses of a link are ours (assumed).

use std::collections::BTreeMap;

use paymux_port::{
    Address, Approach, Attempt, Customer, Decimal, Money, PaymentRequest, ProviderError, Result,
};
use serde::Serialize;

use super::opened::Kind;

/// The JSON text of a body, to be kept and sent.
pub(super) fn written(body: &impl Serialize) -> Result<String> {
    serde_json::to_string(body).map_err(|fault| ProviderError::NotSent(fault.to_string()))
}

/// The body that hands an order over, with the completed session that paid it.
pub(super) fn submit(session: Option<&str>) -> Result<String> {
    written(&given([("paymentSessionId", session)]))
}

/// Members that are strings; those that are not known stay out of the body.
type Given<'a> = BTreeMap<&'static str, &'a str>;

fn given<'a, const N: usize>(pairs: [(&'static str, Option<&'a str>); N]) -> Given<'a> {
    let known = pairs.into_iter().filter_map(|(name, text)| Some((name, text?)));
    known.filter(|(_, text)| !text.is_empty()).collect()
}

/// `POST /orders`
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct NewOrder<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    customer: Option<NewCustomer<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    billing: Option<NewParty<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    shipping: Option<NewParty<'a>>,
    line_items: Vec<NewItem<'a>>,
    metadata: OurMetadata,
}

impl<'a> NewOrder<'a> {
    /// The order that the attempt pays: its customer, its lines, and delivery as one more line. One that only
    /// carries the storing of a method has a line worth nothing, since an order without lines has no price.
    pub(super) fn new(kind: Kind, attempt: &Attempt, request: &'a PaymentRequest) -> Self {
        let (email, phone) = (request.customer.email.as_deref(), request.customer.phone.as_deref());
        Self {
            customer: (request.customer != Customer::default()).then(|| NewCustomer::new(&request.customer)),
            billing: request.billing_address.as_ref().map(|address| NewParty::new(address, "email", email)),
            shipping: request
                .shipping_address
                .as_ref()
                .map(|address| NewParty::new(address, "msisdn", phone)),
            line_items: items(kind, attempt, request),
            metadata: OurMetadata::new(attempt),
        }
    }
}

/// Our ids, echoed in answers and notifications.
#[derive(Serialize)]
struct OurMetadata {
    attempt: String,
    order: String,
}

impl OurMetadata {
    fn new(attempt: &Attempt) -> Self {
        Self { attempt: attempt.id.to_string(), order: attempt.order.to_string() }
    }
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct NewCustomer<'a> {
    customer_type: &'static str,
    #[serde(flatten)]
    given: Given<'a>,
    #[serde(skip_serializing_if = "String::is_empty")]
    name: String,
    contact: Given<'a>,
}

impl<'a> NewCustomer<'a> {
    fn new(customer: &'a Customer) -> Self {
        let names = [&customer.first_name, &customer.last_name].into_iter().flatten();
        Self {
            customer_type: "CONSUMER",
            given: given([("referenceId", customer.id.as_deref())]),
            name: names.map(String::as_str).collect::<Vec<_>>().join(" "),
            contact: given([("email", customer.email.as_deref()), ("msisdn", customer.phone.as_deref())]),
        }
    }
}

/// Whom a bill or a parcel goes to.
#[derive(Serialize)]
struct NewParty<'a> {
    #[serde(flatten)]
    given: Given<'a>,
    address: Given<'a>,
}

impl<'a> NewParty<'a> {
    fn new(address: &'a Address, reached_by: &'static str, reach: Option<&'a str>) -> Self {
        Self {
            given: given([("name", address.name.as_deref()), (reached_by, reach)]),
            address: given([
                ("street1", address.line1.as_deref()),
                ("street2", address.line2.as_deref()),
                ("city", address.city.as_deref()),
                ("zip", address.postal_code.as_deref()),
                ("region", address.region.as_deref()),
                ("country", address.country.as_deref()),
            ]),
        }
    }
}

/// Free-priced goods. Amounts in major units; `discount` is taken off the whole line.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct NewItem<'a> {
    #[serde(rename = "type")]
    kind: &'static str,
    name: &'a str,
    quantity: i64,
    unit_price: Decimal,
    discount: Decimal,
    tax_rate: Decimal,
    tax_included: bool,
    currency: &'static str,
}

fn items<'a>(kind: Kind, attempt: &Attempt, request: &'a PaymentRequest) -> Vec<NewItem<'a>> {
    let item = |name, quantity, unit_price, discount, tax_rate| NewItem {
        kind: "EXTERNAL_ITEM",
        name,
        quantity,
        unit_price: Money::new(unit_price, attempt.currency()).to_major(),
        discount: Money::new(discount, attempt.currency()).to_major(),
        tax_rate,
        tax_included: request.tax_included,
        currency: attempt.currency().code(),
    };
    let untaxed = |name, price| item(name, 1, price, 0, Decimal::whole(0));
    if kind == Kind::ProfileSession {
        return vec![untaxed("Payment method", 0)];
    }
    let goods = request.items.iter();
    let goods =
        goods.map(|line| item(&line.title, line.quantity, line.unit_price, line.discount, line.tax_rate));
    goods.chain((request.shipping > 0).then(|| untaxed("Shipping", request.shipping))).collect()
}

/// `POST /payment-sessions`, `/payment-links`, `/payment-profiles/sessions`: each takes its own part of this.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct NewPayable<'a> {
    #[serde(flatten)]
    given: Given<'a>,
    #[serde(skip_serializing_if = "Option::is_none")]
    hosted: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    save_payment_profile: Option<bool>,
    metadata: OurMetadata,
}

impl<'a> NewPayable<'a> {
    /// The session, link or profile session on the provider's order `order`. A session has one address to come
    /// back to whatever happened, and "arriving there is not proof of payment" (orders-and-payments page), so it
    /// gets the one for an open outcome; a link has one for success.
    pub(super) fn new(
        kind: Kind,
        order: &'a str,
        payment_provider: &'a str,
        attempt: &Attempt,
        request: &'a PaymentRequest,
    ) -> Self {
        let (urls, profile) = (&request.urls, request.profile.as_deref());
        let given = match kind {
            Kind::Session => given([
                ("orderId", Some(order)),
                ("paymentProvider", Some(payment_provider)),
                ("returnUrl", Some(&urls.in_progress)),
                ("cancelUrl", Some(&urls.cancel)),
                ("paymentProfileId", profile),
            ]),
            Kind::Link => given([
                ("orderId", Some(order)),
                ("description", Some(&request.description)),
                ("successUrl", Some(&urls.success)),
                ("cancelUrl", Some(&urls.cancel)),
                ("paymentProfileId", profile),
            ]),
            Kind::ProfileSession => {
                given([("orderId", Some(order)), ("paymentProvider", Some(payment_provider))])
            }
        };
        Self {
            given,
            hosted: (kind == Kind::Session).then_some(attempt.approach == Approach::Hosted),
            save_payment_profile: (kind != Kind::ProfileSession).then_some(request.save_profile),
            metadata: OurMetadata::new(attempt),
        }
    }
}
