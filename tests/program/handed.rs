//! A provider with orders of its own is told when ours is submitted, however it came to be paid.

use std::path::Path;

use reqwest::Client;
use serde_json::{Value, json};

use super::running::{Gateway, Sandbox};
use super::shop::{PATIENCE, Shop};

/// The state of the provider's own order, once it is not open any more.
async fn handed_over(shop: &Shop, sandbox: &Sandbox, session: &Value) -> Value {
    let reference = &session["providerReference"];
    let ledger = shop.ledger().await;
    let object = ledger.iter().find(|object| object["id"] == *reference).unwrap();
    let url = format!("{}/telness/api/v2/orders/{}", sandbox.url, object["orderId"].as_str().unwrap());
    let client = Client::builder().build().unwrap();
    let deadline = tokio::time::Instant::now() + PATIENCE;
    loop {
        let read = client.get(&url).header("X-Api-Key", "any").send().await.unwrap();
        let order: Value = read.json().await.unwrap();
        if order["state"] != "PENDING" && order["state"] != "PENDING_PAYMENT" {
            return order["state"].clone();
        }
        assert!(tokio::time::Instant::now() < deadline, "still {order}");
        tokio::time::sleep(std::time::Duration::from_millis(100)).await;
    }
}

async fn told(shop: &Shop, order: &str) -> bool {
    let timeline = shop.get(&format!("/v1/orders/{order}/timeline?limit=200")).await;
    timeline["data"].as_array().unwrap().iter().any(|entry| entry["type"] == "attempt.handed_over")
}

#[tokio::test]
async fn the_providers_own_order_is_handed_over_for_pages_links_and_late_money_that_is_kept() {
    let folder = tempfile::tempdir().unwrap();
    let sandbox = Sandbox::start(folder.path());
    let gateway = Gateway::start(folder.path(), &sandbox, Path::new("config/routing.toml"));
    let shop = Shop::new(&gateway.url, &sandbox.url);
    let mut sold = Vec::new();
    for approach in ["HOSTED", "LINK"] {
        let mut body = Shop::order(Some("telness-demo"), "EUR", 1999);
        body["checkout"]["approach"] = json!(approach);
        let answer = shop.checkout(approach, &body).await;
        shop.pay(answer["session"]["checkoutUrl"].as_str().unwrap()).await;
        sold.push(answer);
    }
    let late = shop.checkout("late", &Shop::order(Some("telness-demo"), "EUR", 1999)).await;
    let session = late["session"]["id"].as_str().unwrap();
    let (status, closed) = shop.post(&format!("/v1/payment-sessions/{session}/cancel"), &json!({})).await;
    assert_eq!((status.as_u16(), &closed["status"]), (200, &json!("FAILED")));
    let paid =
        json!({"provider": "telness", "id": late["session"]["providerReference"], "word": "COMPLETED"});
    assert_eq!(shop.control("advance", &paid).await, 200);
    let order = late["order"]["id"].as_str().unwrap();
    let read = shop.until(order, |order| order["attention"]["code"] == "LATE_PAYMENT").await;
    let decide = format!("/v1/attention/{}/resolve", read["attention"]["id"].as_str().unwrap());
    assert_eq!(shop.send(&decide, "keep", &json!({"decision": "KEEP"})).await.status, 200);
    sold.push(late);
    for answer in &sold {
        let order = answer["order"]["id"].as_str().unwrap();
        shop.until(order, |order| order["state"] == "PROCESSING").await;
        assert_eq!(handed_over(&shop, &sandbox, &answer["session"]).await, "SUBMITTED");
        let deadline = tokio::time::Instant::now() + PATIENCE;
        while !told(&shop, order).await {
            assert!(tokio::time::Instant::now() < deadline);
        }
    }
}
