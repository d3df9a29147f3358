//! Routes of checkouts: of an existing order, or with a new one.

use port::{Approach, OrderId};

use crate::domain::Outcome;
use crate::http::input::unreachable_by;
use crate::http::problem::{Code, FieldError, Problem};
use crate::http::request::ApiRequest;
use crate::orders::NewOrder;
use crate::payments::CheckoutRequest;

pub(crate) async fn checkout(request: &ApiRequest, checkout: CheckoutRequest) -> Result<Outcome, Problem> {
    check_out(request, request.id("order")?, &checkout, "").await
}

pub(crate) async fn create_and_checkout(
    request: &ApiRequest,
    (new, checkout): (NewOrder, CheckoutRequest),
) -> Result<Outcome, Problem> {
    // An earlier request with the same key has created the order: it is checked out.
    if let Some((order, _)) = request.command.key.as_ref().and_then(|key| key.replaces) {
        return check_out(request, OrderId::from_uuid(order), &checkout, "/checkout").await;
    }
    let orders = &request.state().orders;
    Ok(orders.create_and_checkout(&request.merchant, &request.command, new, &checkout).await?)
}

/// Checks an order out; `at` is the pointer to the checkout in the request.
async fn check_out(
    request: &ApiRequest,
    order: OrderId,
    checkout: &CheckoutRequest,
    at: &str,
) -> Result<Outcome, Problem> {
    if checkout.approach == Approach::Link && checkout.link_delivery.any() {
        let order = request.order(order).await?;
        let customer = order.header.content.personal.value().map(|personal| &personal.customer);
        let detail = "The order's customer has no such address.";
        let fault = |name| FieldError::new(format!("{at}/notify/{name}"), Code::NotifyAddressMissing, detail);
        let faults: Vec<_> = unreachable_by(checkout.link_delivery, customer).map(fault).collect();
        if !faults.is_empty() {
            let detail = "The order's customer lacks an address that the link is to be sent to.";
            return Err(Problem::new(Code::NotifyAddressMissing, detail).with_faults(faults));
        }
    }
    Ok(request.on(order).checkout(checkout).await?)
}
