//! Checking out: an order that is there, or a new one in the same call.

use port::{Approach, Customer, OrderId};

use crate::domain::Outcome;
use crate::http::idempotency::InFlightKey;
use crate::http::problem::{Code, FieldError, Problem};
use crate::http::request::ApiRequest;
use crate::orders::NewOrder;
use crate::payments::CheckoutRequest;

pub(in crate::http) async fn checkout(
    request: &ApiRequest,
    checkout: CheckoutRequest,
) -> Result<Outcome, Problem> {
    check_out(request, request.id("order")?, &checkout, "").await
}

pub(in crate::http) async fn create_and_checkout(
    request: &ApiRequest,
    (new, checkout): (NewOrder, CheckoutRequest),
) -> Result<Outcome, Problem> {
    // An earlier try under the same key has created the order: it goes on with that one.
    if let Some(order) = request.in_flight.as_ref().and_then(InFlightKey::earlier_order) {
        return check_out(request, order, &checkout, "/checkout").await;
    }
    let orders = request.state().orders();
    Ok(orders.create_and_checkout(&request.merchant, &request.command(), new, &checkout).await?)
}

/// Checks an order out; `at` is where the request has what it asks.
async fn check_out(
    request: &ApiRequest,
    order: OrderId,
    checkout: &CheckoutRequest,
    at: &str,
) -> Result<Outcome, Problem> {
    if checkout.approach == Approach::Link && checkout.link_delivery.any() {
        let order = request.order(order).await?;
        let customer = order.header.content.personal.value().map(|personal| &personal.customer);
        reachable(customer, checkout, at)?;
    }
    let orders = request.state().orders();
    Ok(orders.on(&request.merchant, &request.command(), order).checkout(checkout).await?)
}

/// Whether the customer has the addresses that the link is to be sent to.
fn reachable(customer: Option<&Customer>, checkout: &CheckoutRequest, at: &str) -> Result<(), Problem> {
    let email = customer.and_then(|customer| customer.email.as_ref());
    let phone = customer.and_then(|customer| customer.phone.as_ref());
    let wanted = [
        ("email", checkout.link_delivery.email && email.is_none()),
        ("sms", checkout.link_delivery.sms && phone.is_none()),
    ];
    let faults: Vec<_> = wanted
        .into_iter()
        .filter(|(_, missing)| *missing)
        .map(|(name, _)| FieldError {
            pointer: format!("{at}/notify/{name}"),
            code: Code::NotifyAddressMissing,
            detail: "The order's customer has no such address.".to_owned(),
        })
        .collect();
    if faults.is_empty() {
        return Ok(());
    }
    let detail = "The order's customer lacks an address that the link is to be sent to.";
    Err(Problem::new(Code::NotifyAddressMissing, detail).with_faults(faults))
}
