//! What paymennt is sent. Nothing is rounded, and nothing personal is made up to fill a required field: what is
//! incomplete is left out. The source is the vendor's OpenAPI file, version 2.0 of March 2026.

use paymux_port::{
    Address, Attempt, Currency, Customer, Decimal, JsonObject, LineItem, Money, PaymentMethodType,
    PaymentRequest, ProviderError, Result,
};

use super::ABOUT;

/// The most characters of an `orderId`.
const MAX_ORDER_ID: usize = 50;

/// The shortest and longest life of a link, minutes.
pub(super) const LINK_MINUTES: (u64, u64) = (15, 10_080);

/// The methods by paymennt's own names, with their kinds. A card is also named by its scheme, when it was used.
pub(super) const METHODS: [(&str, PaymentMethodType); 3] = [
    ("CARD", PaymentMethodType::Card),
    ("CAREEM_PAY", PaymentMethodType::Wallet),
    ("TABBY", PaymentMethodType::BuyNowPayLater),
];

/// The body of `POST /checkout/web`: a page to send the customer to. All outcomes return to one address, so it is the
/// one for `inProgress`, which promises nothing.
pub(super) fn web(attempt: &Attempt, request: &PaymentRequest) -> Result<JsonObject> {
    Ok(order(attempt, request)?.put("returnUrl", &request.urls.in_progress))
}

/// The body of `POST /checkout/link`. The life of a link is in minutes, counted from the attempt and not from now, so
/// that a repeat sends the same.
///
/// # Errors
/// [`ProviderError::NotSent`] where it is to be sent but the customer is incomplete.
pub(super) fn link(attempt: &Attempt, request: &PaymentRequest) -> Result<JsonObject> {
    let (shortest, longest) = LINK_MINUTES;
    let minutes = request.expires_at.since(attempt.started_at).as_secs().div_ceil(60);
    if request.link_delivery.any() && customer(&request.customer).is_none() {
        let why = "a link is delivered only to a full name with an e-mail";
        return Err(ProviderError::NotSent(why.to_owned()));
    }
    Ok(order(attempt, request)?
        .put("description", &request.description)
        .put("expiresIn", minutes.clamp(shortest, longest))
        .put("sendSms", request.link_delivery.sms)
        .put("sendEmail", request.link_delivery.email))
}

/// The body of `POST /payment/debit`: a charge of a stored card. The customer is not present, and there is no known
/// schedule.
pub(super) fn debit(attempt: &Attempt, request: &PaymentRequest) -> Result<JsonObject> {
    let source = JsonObject::new()
        .put("type", "STORED_CARD")
        .put("token", request.profile.as_deref().ok_or(ProviderError::NotFound)?)
        .put("shopperInteraction", "UNSCHEDULED");
    Ok(JsonObject::new().put("source", source).put("checkoutDetails", web(attempt, request)?))
}

/// What is sold, and to whom.
fn order(attempt: &Attempt, request: &PaymentRequest) -> Result<JsonObject> {
    let amount = major(attempt.money)?;
    let currency = attempt.currency();
    let items = items(request, currency, amount);
    // Not unique there, so it can be the merchant's own.
    let reference = request.reference.clone().filter(|own| own.chars().count() <= MAX_ORDER_ID);
    Ok(JsonObject::new()
        .put("requestId", attempt.id.to_string())
        .put("orderId", reference.unwrap_or_else(|| attempt.order.to_string()))
        .put("currency", currency)
        .put("amount", amount)
        .given("totals", totals(request, currency))
        .given("items", Some(items).filter(|items| !items.is_empty()))
        .given("customer", customer(&request.customer))
        .given("billingAddress", request.billing_address.as_ref().and_then(address))
        .given("allowedPaymentMethods", Some(methods(request)).filter(|methods| !methods.is_empty()))
        .given("deliveryAddress", request.shipping_address.as_ref().and_then(address))
        .given("language", request.language_code()))
}

/// What the page is restricted to.
fn methods(request: &PaymentRequest) -> Vec<&'static str> {
    let offered = ABOUT.capabilities.offered(request);
    offered
        .flat_map(|kind| METHODS.iter().filter(move |(_, of)| *of == kind).map(|(name, _)| *name))
        .collect()
}

/// The amount in major units.
///
/// # Errors
/// [`ProviderError::NotSent`] where a third decimal would be lost.
pub(super) fn major(money: Money) -> Result<Decimal> {
    ABOUT.capabilities.currencies.to_major(money)
}

/// The sums, with a subtotal before tax so that `amount = subtotal + tax + shipping - discount` whether or not prices
/// include theirs; the server checks that only on request. Left out where one of them needs a third decimal.
fn totals(request: &PaymentRequest, currency: Currency) -> Option<JsonObject> {
    let part = |minor| major(Money::new(minor, currency)).ok();
    let included = if request.tax_included { request.tax } else { 0 };
    let totals = JsonObject::new()
        .put("subtotal", part(request.subtotal.checked_sub(included)?)?)
        .put("tax", part(request.tax)?)
        .put("shipping", part(request.shipping)?)
        .put("discount", part(request.discount)?)
        .put("skipTotalsValidation", true);
    Some(totals)
}

/// The lines before discount; one line for everything where one of them needs a third decimal.
fn items(request: &PaymentRequest, currency: Currency, amount: Decimal) -> Vec<JsonObject> {
    let part = |minor| major(Money::new(minor, currency)).ok();
    let item = |line: &LineItem| {
        let item = JsonObject::new()
            .put("name", &line.title)
            .given("sku", line.sku.as_deref())
            .put("quantity", line.quantity)
            .put("unitprice", part(line.unit_price)?)
            .put("linetotal", part(line.unit_price.checked_mul(line.quantity)?)?);
        Some(item)
    };
    let exact: Option<Vec<_>> = request.items.iter().map(item).collect();
    exact.unwrap_or_else(|| {
        let whole = JsonObject::new()
            .put("name", &request.description)
            .put("quantity", 1)
            .put("unitprice", amount)
            .put("linetotal", amount);
        vec![whole]
    })
}

fn customer(known: &Customer) -> Option<JsonObject> {
    let customer = JsonObject::new()
        .given("id", known.id.as_deref())
        .put("firstName", known.first_name.as_deref()?)
        .put("lastName", known.last_name.as_deref()?)
        .put("email", known.email.as_deref()?)
        .given("phone", known.phone_digits());
    Some(customer)
}

fn address(known: &Address) -> Option<JsonObject> {
    let address = JsonObject::new()
        .put("name", known.name.as_deref()?)
        .put("address1", known.line1.as_deref()?)
        .given("address2", known.line2.as_deref())
        .put("city", known.city.as_deref()?)
        .given("state", known.region.as_deref())
        .given("zip", known.postal_code.as_deref())
        .put("country", known.country.as_deref()?);
    Some(address)
}
