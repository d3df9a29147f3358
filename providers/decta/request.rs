//! What is sent to create an order.

use paymux_port::{Attempt, CaptureMode, Decimal, JsonObject, Money, PaymentRequest, ProviderError, Result};

use super::ABOUT;
use super::vault::StoredCard;

/// More product lines than this are refused by the white-label SDK.
const MAX_PRODUCTS: usize = 50;

/// The body of `POST /orders/`: an order for an attempt. A stored card is not named, since naming it would charge it.
///
/// # Errors
/// [`ProviderError::NotSent`] without the customer's e-mail, or where the amount would lose a decimal.
pub(super) fn order(attempt: &Attempt, request: &PaymentRequest) -> Result<JsonObject> {
    let order = order_of(attempt, request, client(request)?)?;
    Ok(order.given("save_card", request.save_profile.then_some(true)))
}

/// The same for an order that charges a stored card: its client names the card and the client that it was stored for.
///
/// # Errors
/// As above.
pub(super) fn charge(
    attempt: &Attempt,
    request: &PaymentRequest,
    card: &StoredCard<'_>,
) -> Result<JsonObject> {
    let client = client(request)?.put("original_client", card.client).put("recurring_card", card.id);
    order_of(attempt, request, client)
}

/// Who pays.
fn client(request: &PaymentRequest) -> Result<JsonObject> {
    let customer = &request.customer;
    let email = customer.email.as_deref();
    Ok(JsonObject::new()
        .put("email", email.ok_or_else(|| ProviderError::NotSent("no customer.email".to_owned()))?)
        .given("phone", customer.phone.as_deref())
        .given("first_name", customer.first_name.as_deref())
        .given("last_name", customer.last_name.as_deref()))
}

fn order_of(attempt: &Attempt, request: &PaymentRequest, client: JsonObject) -> Result<JsonObject> {
    let urls = &request.urls;
    let products = match lines(attempt.money, request) {
        Some(products) => products,
        None => vec![product(&request.description, attempt.money, 1)?],
    };
    Ok(JsonObject::new()
        .put("number", attempt.id.to_string())
        .put("currency", attempt.currency())
        .given("language", request.language_code().filter(|code| code.len() == 2))
        .put("referrer", concat!("paymux ", env!("CARGO_PKG_VERSION")))
        .put("client", client)
        .put("products", products)
        .put("success_redirect", &urls.success)
        .put("in_progress_redirect", &urls.in_progress)
        .put("failure_redirect", &urls.failure)
        .put("cancel_redirect", &urls.cancel)
        .given("notes", request.reference.as_deref())
        .put("skip_capture", attempt.capture == CaptureMode::Manual)
        .put("due", request.expires_at.seconds())
        .put("deny_overdue_payment", true)
        .given("max_payment_attempts", request.max_attempts))
}

/// The order's own lines, if DECTA's sum of them is what is to be paid; with a discount or a tax on top it is not.
fn lines(money: Money, request: &PaymentRequest) -> Option<Vec<JsonObject>> {
    let shipping = (request.shipping != 0).then_some(("Shipping", 1, request.shipping));
    let own = request.items.iter().map(|line| (line.title.as_str(), line.quantity, line.unit_price));
    let parts: Vec<_> = own.chain(shipping).collect();
    let sum = parts.iter().try_fold(0i64, |sum, (_, quantity, price)| {
        quantity.checked_mul(*price).and_then(|line| sum.checked_add(line))
    });
    if sum != Some(money.minor) || parts.len() > MAX_PRODUCTS {
        return None;
    }
    let parts = parts.into_iter();
    parts.map(|(title, count, minor)| product(title, Money::new(minor, money.currency), count).ok()).collect()
}

fn product(title: &str, price: Money, quantity: i64) -> Result<JsonObject> {
    Ok(JsonObject::new().put("title", title).put("price", exact(price)?).put("quantity", quantity))
}

/// The amount in major units; DECTA rounds to two decimals, so no more are ever sent.
///
/// # Errors
/// [`ProviderError::NotSent`] where a decimal would be lost.
pub(super) fn exact(money: Money) -> Result<Decimal> {
    ABOUT.capabilities.currencies.to_major(money)
}
