//! A provider that states another amount or currency than requested: attention is raised, and nothing counts as paid.

use serde_json::{Value, json};

use super::demo::Demo;
use super::shop::Shop;

/// The open attention of an order, oldest first: code, detail, and what the provider took.
async fn attention(shop: &Shop, order: &str) -> Vec<(Value, Value, Value)> {
    let all = shop.get("/v1/attention?open=true&code=AMOUNT_MISMATCH&limit=200").await;
    let own = all["data"].as_array().unwrap().iter().rev().filter(|reported| reported["orderId"] == order);
    own.map(|reported| (reported["code"].clone(), reported["detail"].clone(), reported["stated"].clone()))
        .collect()
}

/// The provider's next answers of a kind are wrong.
async fn lies(shop: &Shop, provider: &str, operation: &str, fault: &str, times: u32) {
    let body = json!({"provider": provider, "operation": operation, "fault": fault, "times": times});
    assert_eq!(shop.control("faults", &body).await, 201);
}

#[tokio::test]
async fn another_amount_is_a_persons_task_at_every_provider_and_is_never_paid() {
    let demo = Demo::start();
    let shop = &demo.shop;
    for (provider, operation, fault, detail) in [
        ("decta", "create", "wrong_amount", "asked for 19.99 EUR, the provider states 20.00 EUR"),
        ("paymennt", "create", "wrong_currency", "asked for 19.99 AED, the provider states 19.99 EUR"),
        (
            "telness",
            "price",
            "wrong_amount",
            "the provider asks for another amount: priced at 20.00 EUR, asked for 19.99 EUR",
        ),
    ] {
        lies(shop, provider, operation, fault, 1).await;
        let currency = if provider == "paymennt" { "AED" } else { "EUR" };
        let body = Shop::order(Some(&format!("{provider}-demo")), currency, 1999);
        let answer = shop.checkout(provider, &body).await;
        let session = &answer["session"];
        assert_eq!(
            (&session["status"], &session["checkoutUrl"]),
            (&json!("FAILED"), &Value::Null),
            "{session}"
        );
        let order = answer["order"]["id"].as_str().unwrap();
        assert_eq!(answer["order"]["attention"]["code"], "AMOUNT_MISMATCH");
        let reported = attention(shop, order).await;
        assert_eq!(reported, [(json!("AMOUNT_MISMATCH"), json!(detail), Value::Null)], "{provider}");
    }
    // Said of a page that was paid, it is not believed either.
    let answer = shop.checkout("paid", &Shop::order(Some("decta-demo"), "EUR", 1999)).await;
    lies(shop, "decta", "read", "wrong_amount", 3).await;
    shop.pay(answer["session"]["checkoutUrl"].as_str().unwrap()).await;
    let order = answer["order"]["id"].as_str().unwrap();
    // Then the reads show the true amount.
    let paid = shop.until(order, |order| order["state"] == "PROCESSING").await;
    assert_eq!(paid["attention"]["code"], "AMOUNT_MISMATCH");
    let stated = json!({"amount": 2000, "currency": "EUR"});
    assert!(attention(shop, order).await.iter().any(|(_, _, reported)| *reported == stated));
}
