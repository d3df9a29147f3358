//! Pages of a shop, where customers of the demo end up after a payment. A merchant has pages like these.

use super::template::{escape, fill};
use super::{MESSAGE_PAGE, frame};
use crate::http::{Request, Response};

/// The page of this name, with what the gateway has added to its address.
pub(super) fn page(name: &str, request: &Request) -> Option<Response> {
    let (mood, headline, text) = match name {
        "thanks" => (
            "good",
            "Thank you for your order",
            "Your payment has arrived, and the shop can send your order.",
        ),
        "wait" => (
            "",
            "We are waiting for your payment",
            "Your bank has not answered yet. You need not do anything.",
        ),
        "sorry" => {
            ("", "The payment did not go through", "Nothing was collected for this order. You can try again.")
        }
        _ => return None,
    };
    let given = |name: &str| escape(&request.parameter(name).unwrap_or_else(|| "nothing".to_owned()));
    let order = given("orderId");
    let note = format!(
        "<p class=\"small\">This page is the demo's shop; yours comes here. It was opened with the order {order}, the \
         payment session {} and the status {}. A shop reads the order from the API before it believes any of it: \
         <code>GET /v1/orders/{order}</code></p>",
        given("paymentSessionId"),
        given("status"),
    );
    let content =
        fill(MESSAGE_PAGE, &[("mood", mood), ("headline", headline), ("text", text), ("note", &note)]);
    Some(frame(200, "Demo shop", "", "", &content))
}
