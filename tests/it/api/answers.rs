//! The shapes of what is answered: every name always there, as the contract has it.

use serde_json::{Value, json};

use super::{Gateway, id, small_order};

fn names(value: &Value) -> Vec<&str> {
    let mut names: Vec<_> = value.as_object().unwrap().keys().map(String::as_str).collect();
    names.sort_unstable();
    names
}

fn sorted(list: &str) -> Vec<&str> {
    let mut names: Vec<_> = list.split_whitespace().collect();
    names.sort_unstable();
    names
}

const ORDER: &str =
    "id state reference currency customer billingAddress shippingAddress items shipping taxIncluded
    price requirements requiresPayment requiresPaymentProfile requiresSigning requiresApproval autoSubmit paymentSessionId payments externalPayment
    signature attention metadata createdAt updatedAt expiresAt submittedAt completedAt version";

const SESSION: &str = "id orderId paymentId approach captureMode status failure amount checkoutUrl clientCredentials
    qrCodeUrl account provider providerReference routing paymentMethods pendingOperation metadata expiresAt createdAt updatedAt
    version";

const PAYMENT: &str = "id orderId sessionId status final amount authorized captured refunded disputed capturable
    refundable currency dispute captureMode method pendingOperation provider detail authorizationExpiresAt needsAttention
    createdAt updatedAt version";

const REFUND: &str = "id paymentId orderId amount currency status reason reference origin failure createdAt
    updatedAt version";

#[tokio::test]
async fn every_name_is_always_there() {
    let gateway = Gateway::start().await;
    let bare = gateway.post("/v1/orders").json(&json!({"currency": "JPY"})).await.expect(201);
    assert_eq!(names(&bare), sorted(ORDER));
    assert_eq!(names(&bare["customer"]), sorted("id email phone firstName lastName"));
    let full = gateway.post("/v1/orders").json(&small_order()).await.expect(201);
    assert_eq!(names(&full), sorted(ORDER));
    let item = "id sku title quantity unitPrice taxRate discount recurring";
    assert_eq!(names(&full["items"][0]), sorted(item));

    let session = gateway.paid_session("AUTOMATIC").await;
    assert_eq!(names(&session), sorted(SESSION));
    assert_eq!(names(&session["routing"]), sorted("rule reason tried"));
    let path = format!("/v1/payments/{}", session["paymentId"].as_str().unwrap());
    let payment = gateway.get(&path).await.expect(200);
    assert_eq!(names(&payment), sorted(PAYMENT));
    assert_eq!(names(&payment["provider"]), sorted("account name reference status"));
    let refund = gateway.post(&format!("{path}/refunds")).key("k").json(&json!({})).await.expect(201);
    assert_eq!(names(&refund), sorted(REFUND));
    let order =
        gateway.get(&format!("/v1/orders/{}", session["orderId"].as_str().unwrap())).await.expect(200);
    assert_eq!(names(&order), sorted(ORDER));
    assert_eq!(names(&order["payments"][0]), sorted("id sessionId status amount captured refunded"));
    assert_eq!(names(&order["price"]), sorted("subtotal discount tax shipping total currency calculatedAt"));
}

#[tokio::test]
async fn a_resource_carries_its_version_as_its_tag() {
    let gateway = Gateway::start().await;
    let session = gateway.session().await;
    let paths = [
        format!("/v1/orders/{}", session["orderId"].as_str().unwrap()),
        format!("/v1/payment-sessions/{}", id(&session)),
        format!("/v1/payments/{}", session["paymentId"].as_str().unwrap()),
    ];
    for path in paths {
        let reply = gateway.get(&path).await;
        let version = reply.expect(200)["version"].as_u64().unwrap();
        assert_eq!(reply.header("etag"), Some(format!("\"{version}\"").as_str()), "{path}");
        assert_eq!(reply.header("cache-control"), Some("no-store"));
    }
}
