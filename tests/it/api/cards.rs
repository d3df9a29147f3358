//! Card numbers: refused wherever they stand, and never said again.

use serde_json::{Value, json};

use super::client::Reply;
use super::{Gateway, faults, hosted, id, small_order};

const CARD: &str = "4242 4242 4242 4242";
const PLAIN: &str = "4242424242424242";

/// What people write: lines with what comes of it, its place in an order or an address, and its JSON.
const PEOPLE: &str = include_str!("people.txt");

/// A request with a value at a place of [`PEOPLE`].
async fn with(gateway: &Gateway, place: &str, value: &Value) -> Reply {
    let text = || value.as_str().unwrap();
    if place == "path" {
        return gateway.get(&format!("/v1/orders/{}", text())).await;
    }
    if place == "query" {
        return gateway.get(&format!("/v1/orders?reference={}", text().replace(' ', "+"))).await;
    }
    let mut order = small_order();
    let (object, name) = place.rsplit_once('/').unwrap();
    for address in ["billingAddress", "shippingAddress"] {
        order[address] = json!({"name": "Ann Berg", "city": "Riga"});
    }
    order.pointer_mut(object).unwrap()[name] = value.clone();
    gateway.post("/v1/orders").json(&order).await
}

#[tokio::test]
async fn what_people_write_is_taken_and_only_cards_and_wrong_values_are_refused() {
    let gateway = Gateway::start().await;
    let mut wrong = Vec::new();
    for line in PEOPLE.lines().filter(|line| !line.is_empty() && !line.starts_with('#')) {
        let (expected, rest) = line.split_once(' ').unwrap();
        let (place, text) = rest.trim().split_once(' ').unwrap();
        let reply = with(&gateway, place, &serde_json::from_str(text.trim()).unwrap()).await;
        let code = reply.value()["code"].as_str().map(ToOwned::to_owned);
        let good = match expected {
            "ok" => reply.status < 300,
            "card" => code.as_deref() == Some("card_data_refused"),
            "bad" => code.as_deref() == Some("invalid_value"),
            other => panic!("{other} is no verdict"),
        };
        if !good {
            wrong.push(format!("{line}\n    {} {code:?}", reply.status));
        }
    }
    assert!(wrong.is_empty(), "\n{}\n", wrong.join("\n"));
}

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
        ("/nothing/0/deep", |order| order["nothing"] = json!([{"deep": "4222222222222220"}])),
    ];
    for (pointer, change) in places {
        let mut order = small_order();
        change(&mut order);
        let reply = gateway.post("/v1/orders").json(&order).await;
        let problem = reply.problem(422, "card_data_refused");
        assert_eq!(faults(&problem), [(pointer.to_owned(), "card_data_refused".to_owned())]);
        for part in ["4242", "5555-", "37828", "60111", "422222"] {
            assert!(!reply.text().contains(part), "{}", reply.text());
        }
    }
    assert_eq!(gateway.get("/v1/orders").await.expect(200)["data"], json!([]));
}

#[tokio::test]
async fn a_card_number_in_an_address_is_refused_too() {
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
}

#[tokio::test]
async fn a_header_is_never_refused_for_its_digits_and_none_is_stored() {
    let gateway = Gateway::start().await;
    let order = gateway.post("/v1/orders").key(PLAIN).json(&small_order()).await.expect(201);
    let again = gateway.post("/v1/orders").key(PLAIN).json(&small_order()).await;
    assert_eq!((again.header("idempotent-replayed"), again.expect(201)), (Some("true"), order));
    assert!(gateway.store.idempotency("shop", PLAIN).await.unwrap().is_none());
    let reply = gateway.request("GET", "/v1/orders").header("X-Request-Id", PLAIN).await_it().await;
    reply.expect(200);
    assert_ne!(reply.header("x-request-id"), Some(PLAIN));
    for id in ["2f564894-1098-4529-82f0-cc98fe621d37", "39221417-7625-418a-aafc-fb864cd4d5c0"] {
        let reply = gateway.request("GET", "/v1/orders").header("X-Request-Id", id).await_it().await;
        reply.expect(200);
        assert_eq!(reply.header("x-request-id"), Some(id));
        gateway.post("/v1/orders").key(id).json(&small_order()).await.expect(201);
        assert!(gateway.store.idempotency("shop", id).await.unwrap().is_some());
    }
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
