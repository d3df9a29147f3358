//! A provider that only holds what was to be taken at once.

use serde_json::json;

use super::demo::Demo;
use super::shop::Shop;

#[tokio::test]
async fn a_hold_that_nobody_asked_for_is_captured_where_it_can_be_and_else_a_persons_task() {
    let demo = Demo::start();
    let shop = &demo.shop;
    let mut orders = Vec::new();
    for (provider, currency) in [("decta", "EUR"), ("paymennt", "AED")] {
        let body = Shop::order(Some(&format!("{provider}-demo")), currency, 1999);
        let answer = shop.checkout(provider, &body).await;
        let held =
            json!({"provider": provider, "id": answer["session"]["providerReference"], "outcome": "hold"});
        assert_eq!(shop.control("pay", &held).await, 200);
        orders.push(answer["order"]["id"].as_str().unwrap().to_owned());
    }
    let taken = shop.until(&orders[0], |order| order["state"] == "PROCESSING").await;
    let line = &taken["payments"][0];
    assert_eq!(
        (&line["status"], &line["captured"], &taken["attention"]),
        (&json!("PAID"), &json!(1999), &json!(null))
    );
    let ledger = shop.ledger().await;
    assert!(ledger.iter().any(|object| object["provider"] == "decta" && object["captured"] == 1999));

    let held = shop.until(&orders[1], |order| order["attention"]["code"] == "UNEXPECTED_HOLD").await;
    assert_eq!(
        (&held["state"], &held["payments"][0]["status"]),
        (&json!("PENDING_PAYMENT"), &json!("AUTHORIZED"))
    );
}
