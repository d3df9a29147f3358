//! A provider order is submitted once the order is submitted, however that was paid.

use serde_json::{Value, json};

use super::demo::Demo;
use super::shop::{Shop, eventually};

/// The state of the provider's own order, once it is not open any more.
async fn submitted(shop: &Shop, session: &Value) -> Value {
    let ledger = shop.ledger().await;
    let object = ledger.iter().find(|object| object["id"] == session["providerReference"]).unwrap();
    let path = format!("/telness/api/v2/orders/{}", object["orderId"].as_str().unwrap());
    eventually(|| async {
        let order = shop.at_sandbox(&path).await;
        let open = order["state"] == "PENDING" || order["state"] == "PENDING_PAYMENT";
        if open { Err(order.to_string()) } else { Ok(order["state"].clone()) }
    })
    .await
}

#[tokio::test]
async fn the_providers_own_order_is_handed_over_for_pages_links_and_late_money_that_is_kept() {
    let demo = Demo::start();
    let shop = &demo.shop;
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
    assert_eq!((status, &closed["status"]), (200, &json!("FAILED")));
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
        assert_eq!(submitted(shop, &answer["session"]).await, "SUBMITTED");
        shop.until_at(&format!("/v1/orders/{order}/timeline?limit=200"), |timeline| {
            timeline["data"]
                .as_array()
                .unwrap()
                .iter()
                .any(|entry| entry["type"] == "attempt.provider_order_submitted")
        })
        .await;
    }
}
