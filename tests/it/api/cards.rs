//! Card numbers: refused wherever they stand, and never said again.

use serde_json::{Value, json};

use super::{Gateway, faults, hosted, id, small_order};

const CARD: &str = "4242 4242 4242 4242";

#[tokio::test]
async fn a_card_number_is_refused_wherever_it_stands() {
    let gateway = Gateway::start().await;
    type Change = fn(&mut Value);
    let places: [(&str, Change); 7] = [
        ("/reference", |order| order["reference"] = json!(CARD)),
        ("/items/0/title", |order| order["items"][0]["title"] = json!(format!("card {CARD}, thanks"))),
        ("/items/0/unitPrice", |order| order["items"][0]["unitPrice"] = json!(4_242_424_242_424_242i64)),
        ("/metadata/note", |order| order["metadata"]["note"] = json!("5555-5555-5555-4444")),
        ("/metadata", |order| order["metadata"] = json!({"378282246310005": "x"})),
        ("/customer/phone", |order| order["customer"]["phone"] = json!("6011111111111117")),
        ("/nothing/0/deep", |order| order["nothing"] = json!([{"deep": "4222222222222"}])),
    ];
    for (pointer, change) in places {
        let mut order = small_order();
        change(&mut order);
        let reply = gateway.post("/v1/orders").json(&order).await;
        let problem = reply.problem(422, "card_data_refused");
        assert_eq!(faults(&problem), [(pointer.to_owned(), "card_data_refused".to_owned())]);
        for part in ["4242", "5555-", "37828", "60111", "42222"] {
            assert!(!reply.text().contains(part), "{}", reply.text());
        }
    }
    assert_eq!(gateway.get("/v1/orders").await.expect(200)["data"], json!([]));
}

#[tokio::test]
async fn a_card_number_in_an_address_or_header_is_refused_too() {
    let gateway = Gateway::start().await;
    for path in [
        "/v1/orders/4242424242424242",
        "/v1/orders?reference=4242-4242-4242-4242",
        "/v1/orders?reference=%34242424242424242",
        "/v1/orders?reference=4242+4242+4242+4242",
    ] {
        let reply = gateway.get(path).await;
        reply.problem(422, "card_data_refused");
        assert!(!reply.text().contains("4242"), "{}", reply.text());
    }
    let reply = gateway.post("/v1/orders").key("4242424242424242").json(&small_order()).await;
    let problem = reply.problem(422, "card_data_refused");
    assert_eq!(problem["errors"][0]["pointer"], "header:Idempotency-Key");
    let reply =
        gateway.request("GET", "/v1/orders").header("X-Request-Id", "4242424242424242").await_it().await;
    reply.problem(422, "card_data_refused");
}

#[tokio::test]
async fn numbers_that_are_none_are_let_through() {
    let gateway = Gateway::start().await;
    let mut order = small_order();
    order["reference"] = json!("1234567890123456");
    order["metadata"] = json!({"till": "4242424242424241", "other": "ord_01h455vb4pex5vsknk084sn02q"});
    let order = gateway.post("/v1/orders").json(&order).await.expect(201);
    let path = format!("/v1/orders/{}", id(&order));
    assert_eq!(gateway.get(&path).await.expect(200)["customer"]["phone"], "+4915112345678");
}

#[tokio::test]
async fn a_card_number_in_a_checkout_reaches_nobody() {
    let gateway = Gateway::start().await;
    let order = gateway.priced_order().await;
    let mut request = hosted();
    request["metadata"] = json!({"pan": CARD});
    let path = format!("/v1/orders/{}/checkout", id(&order));
    gateway.post(&path).json(&request).await.problem(422, "card_data_refused");
    assert_eq!(gateway.provider.objects(), 0);
}
