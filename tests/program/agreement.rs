//! Whether the sandbox's ledger, the payment, the order and its events say the same about the money.

use std::collections::HashMap;

use serde_json::Value;

use super::shop::Shop;

/// The ledger's objects by the provider's ids.
struct Ledger(HashMap<String, Value>);

impl Ledger {
    async fn read(shop: &Shop) -> Self {
        let objects = shop.ledger().await.into_iter();
        Self(objects.map(|object| (object["id"].as_str().unwrap().to_owned(), object)).collect())
    }

    /// Compares the money of an order's payments. Answers how many of them took some.
    async fn check(&self, shop: &Shop, order: &Value) -> usize {
        let mut taken = 0;
        for summary in order["payments"].as_array().unwrap() {
            let payment = shop.get(&format!("/v1/payments/{}", summary["id"].as_str().unwrap())).await;
            if payment["sessionId"].is_null() {
                // An external payment is in no provider's ledger.
                continue;
            }
            match self.0.get(payment["provider"]["reference"].as_str().unwrap_or_default()) {
                Some(object) => compare(&payment, object),
                None => assert_eq!(payment["captured"], 0, "money without an object: {payment}"),
            }
            taken += usize::from(payment["captured"].as_i64() > Some(0));
        }
        taken
    }
}

/// Compares the money of these orders with the ledger, whatever state they are in.
pub async fn check_money(shop: &Shop, orders: &[String]) {
    let ledger = Ledger::read(shop).await;
    for id in orders {
        let order = shop.get(&format!("/v1/orders/{id}")).await;
        ledger.check(shop, &order).await;
    }
}

/// Compares everything known about these orders, of which none is paid twice. Panics with the first disagreement.
pub async fn check(shop: &Shop, orders: &[String]) {
    let ledger = Ledger::read(shop).await;
    for id in orders {
        let order = shop.get(&format!("/v1/orders/{id}")).await;
        let taken = ledger.check(shop, &order).await;
        assert!(taken <= 1, "two payments took money: {order}");
        compare_order(shop, &order, taken == 1).await;
    }
}

fn compare(payment: &Value, object: &Value) {
    for amount in ["captured", "refunded"] {
        assert_eq!(payment[amount], object[amount], "{amount}: {payment} against {object}");
    }
    assert_eq!(payment["amount"], object["amount"], "{payment} against {object}");
    assert_eq!(payment["currency"], object["currency"], "{payment} against {object}");
}

/// A paid order continues, an unpaid one does not; its last event is its state.
async fn compare_order(shop: &Shop, order: &Value, paid: bool) {
    let state = order["state"].as_str().unwrap();
    assert_eq!(state == "PROCESSING", paid, "{order}");
    let id = order["id"].as_str().unwrap();
    let timeline = shop.get(&format!("/v1/orders/{id}/timeline?limit=200")).await;
    let entries = timeline["data"].as_array().unwrap();
    for (index, entry) in entries.iter().enumerate() {
        assert_eq!(entry["sequence"], index + 1, "a gap: {timeline}");
    }
    let moved = entries.iter().rev().find(|entry| entry["type"] == "order.state_changed");
    assert_eq!(moved.map(|entry| &entry["to"]), Some(&order["state"]), "{timeline}");
}
