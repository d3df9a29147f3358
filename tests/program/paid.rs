//! From PENDING to paid and submitted on each provider style, with the same calls each time.

use serde_json::Value;

use super::agreement;
use super::demo::Demo;
use super::shop::{ACCOUNTS, Shop};
use super::wire::{JSON, KEY, exchange, post};

#[tokio::test]
async fn an_order_is_paid_on_each_provider_with_the_same_calls() {
    let demo = Demo::start();
    let shop = &demo.shop;
    let (mut orders, mut shapes) = (Vec::new(), Vec::new());
    for account in ACCOUNTS {
        let answer =
            shop.checkout(&format!("first-{account}"), &Shop::order(Some(account), "EUR", 1999)).await;
        let order = answer["order"]["id"].as_str().unwrap().to_owned();
        assert_eq!(answer["order"]["state"], "PENDING_PAYMENT");
        assert_eq!(answer["session"]["account"], account);
        let landed = shop.pay(answer["session"]["checkoutUrl"].as_str().unwrap()).await.unwrap();
        assert!(landed.starts_with("http://localhost:3000/thanks?"), "{landed}");
        let paid = shop.until(&order, |order| order["state"] == "PROCESSING").await;
        assert!(paid["submittedAt"].is_string(), "{paid}");
        assert_eq!(paid["payments"][0]["status"], "PAID");
        shapes.push((names(&answer["order"]), names(&answer["session"]), names(&paid)));
        orders.push(order);
    }
    assert!(shapes.windows(2).all(|pair| pair[0] == pair[1]), "{shapes:#?}");
    agreement::check(shop, &orders).await;
}

#[tokio::test]
async fn a_killed_gateway_knows_its_paid_order_when_it_is_started_again() {
    let mut demo = Demo::start();
    let shop = demo.shop.clone();
    let answer = shop.checkout("killed", &Shop::order(Some("decta-demo"), "EUR", 1999)).await;
    demo.gateway.kill();
    assert_eq!(shop.pay(answer["session"]["checkoutUrl"].as_str().unwrap()).await, None);
    let _demo = demo.restart();
    let order = answer["order"]["id"].as_str().unwrap();
    shop.until(order, |order| order["state"] == "PROCESSING").await;
    let again = shop.checkout("killed", &Shop::order(Some("decta-demo"), "EUR", 1999)).await;
    assert_eq!(again, answer, "the answer to a repeated request is the first one, also after a crash");
}

/// The names of every field, with those of the objects inside.
fn names(value: &Value) -> Vec<String> {
    fn walk(path: &str, value: &Value, found: &mut Vec<String>) {
        if let Value::Object(fields) = value {
            for (name, inner) in fields {
                let path = format!("{path}/{name}");
                found.push(path.clone());
                walk(&path, inner, found);
            }
        }
    }
    let mut found = Vec::new();
    walk("", value, &mut found);
    found.retain(|path| !path.starts_with("/clientCredentials/"));
    found
}

#[tokio::test]
async fn the_place_in_a_trace_is_passed_on_to_the_provider() {
    const PLACE: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
    let demo = Demo::start();
    let body = Shop::order(Some("decta-demo"), "EUR", 1999).to_string();
    let headers = format!("{KEY}{JSON}traceparent: {PLACE}\r\n");
    let received = exchange(&demo.shop.url, &post("/v1/checkouts", &headers, body.as_bytes())).await;
    assert_eq!(received.status(), 201);
    let calls = demo.shop.calls("decta").await;
    assert!(calls.iter().any(|call| call["headers"]["traceparent"] == PLACE), "{calls:#?}");
}
