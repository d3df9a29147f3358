//! Charging a payment profile without the customer.

use serde_json::{Value, json};

use super::demo::Demo;
use super::shop::Shop;

/// A shop whose customer `c-1` has stored a card in the provider's own frame, and an order to pay with it.
struct Stage {
    demo: Demo,
    profile: String,
}

impl Stage {
    async fn with_card(scenario: &str) -> Self {
        let demo = Demo::start();
        let card = json!({"provider": "paymennt", "customer": "c-1", "scenario": scenario});
        assert_eq!(demo.shop.control("cards", &card).await, 201);
        let profile = demo.shop.payment_profile("c-1").await;
        Self { demo, profile }
    }

    fn shop(&self) -> &Shop {
        &self.demo.shop
    }

    /// A priced order, and the answer to charging the stored card for it.
    async fn charge(&self, key: &str) -> (String, u16, Value) {
        let (status, order) = self.shop().post("/v1/orders", &order()["order"]).await;
        assert_eq!(status, 201, "{order}");
        let id = order["id"].as_str().unwrap().to_owned();
        let (status, priced) = self.shop().post(&format!("/v1/orders/{id}/price"), &json!({})).await;
        assert_eq!(status, 200, "{priced}");
        let (status, answer) = self.submit(&id, key).await;
        (id, status, answer)
    }

    async fn submit(&self, order: &str, key: &str) -> (u16, Value) {
        let body = json!({"paymentProfileId": self.profile});
        let answer = self.shop().send(&format!("/v1/orders/{order}/submit"), key, &body).await;
        (answer.status, answer.body())
    }
}

fn order() -> Value {
    let mut body = Shop::order(Some("paymennt-demo"), "EUR", 1999);
    body["order"]["customer"]["id"] = json!("c-1");
    body
}

#[tokio::test]
async fn a_stored_card_pays_an_order_without_the_customer_and_once() {
    let stage = Stage::with_card("paid").await;
    let (order, status, answer) = stage.charge("renewal").await;
    assert_eq!((status, &answer["state"]), (200, &json!("PROCESSING")), "{answer}");
    assert_eq!(answer["payments"][0]["status"], "PAID");
    assert_eq!(stage.submit(&order, "renewal").await, (200, answer.clone()));
    let (status, again) = stage.submit(&order, "another-key").await;
    assert_eq!((status, &again["state"]), (200, &answer["state"]));
    assert_eq!(stage.shop().debits().await, 1);
}

#[tokio::test]
async fn a_card_that_a_first_order_has_stored_pays_the_next_one_without_the_customer() {
    let demo = Demo::start();
    let mut first = Shop::order(Some("decta-demo"), "EUR", 1999);
    first["order"]["customer"]["id"] = json!("ann-1");
    first["order"]["items"][0]["recurring"] = json!({"interval": "MONTH", "count": 1});
    let answer = demo.shop.checkout("first", &first).await;
    assert_eq!(answer["order"]["requirements"]["requiresPaymentProfile"], "REQUIRED");
    demo.shop.pay(answer["session"]["checkoutUrl"].as_str().unwrap()).await;
    demo.shop.until(answer["order"]["id"].as_str().unwrap(), |order| order["state"] == "PROCESSING").await;
    let known = demo.shop.get("/v1/payment-profiles?customerId=ann-1").await;
    let profile = &known["data"][0];
    assert_eq!((&profile["account"], &profile["displayName"]), (&json!("decta-demo"), &json!("VISA 4242")));
    let stage = Stage { profile: profile["id"].as_str().unwrap().to_owned(), demo };
    first["order"]["reference"] = json!("renewal");
    let (status, order) = stage.shop().post("/v1/orders", &first["order"]).await;
    assert_eq!(status, 201, "{order}");
    let id = order["id"].as_str().unwrap();
    stage.shop().post(&format!("/v1/orders/{id}/price"), &json!({})).await;
    let (status, answer) = stage.submit(id, "renewal").await;
    assert_eq!((status, &answer["state"]), (200, &json!("PROCESSING")), "{answer}");
    assert_eq!(answer["payments"][0]["status"], "PAID");
    stage.demo.ends();
}

#[tokio::test]
async fn a_declined_card_leaves_the_order_as_it_was() {
    let stage = Stage::with_card("declined").await;
    let (order, status, answer) = stage.charge("renewal").await;
    assert_eq!((status, &answer["code"]), (402, &json!("provider_declined")), "{answer}");
    assert_eq!(stage.shop().get(&format!("/v1/orders/{order}")).await["state"], "PENDING");
    let (status, again) = stage.submit(&order, "renewal").await;
    assert_eq!((status, &again["code"]), (402, &answer["code"]));
    assert_eq!(stage.shop().debits().await, 1);
}

#[tokio::test]
async fn a_bank_that_wants_the_customer_is_told_apart_from_a_decline() {
    let stage = Stage::with_card("challenge").await;
    let (order, status, answer) = stage.charge("renewal").await;
    assert_eq!((status, &answer["code"]), (402, &json!("authentication_required")), "{answer}");
    assert_eq!(stage.shop().get(&format!("/v1/orders/{order}")).await["state"], "PENDING");
}

#[tokio::test]
async fn a_charge_whose_answer_was_lost_is_found_and_not_made_again() {
    let stage = Stage::with_card("paid").await;
    let fault = json!({"provider": "paymennt", "operation": "create", "fault": "reset_after", "times": 1});
    assert_eq!(stage.shop().control("faults", &fault).await, 201);
    let (order, status, answer) = stage.charge("renewal").await;
    assert!(status == 200 || status == 202, "{answer}");
    stage.shop().until(&order, |order| order["state"] == "PROCESSING").await;
    assert_eq!(stage.shop().debits().await, 1);
}

#[tokio::test]
async fn a_stored_card_is_not_charged_for_an_order_without_a_price_or_without_anything_to_pay() {
    let stage = Stage::with_card("paid").await;
    for (amount, unpriced, priced) in
        [(1999, "order_not_priced", ""), (0, "order_not_priced", "payment_not_required")]
    {
        let mut cart = order()["order"].clone();
        cart["items"][0]["unitPrice"] = json!(amount);
        let (_, placed) = stage.shop().post("/v1/orders", &cart).await;
        let id = placed["id"].as_str().unwrap();
        let (_, refused) = stage.submit(id, &format!("unpriced-{amount}")).await;
        assert_eq!(refused["code"], unpriced, "{refused}");
        stage.shop().post(&format!("/v1/orders/{id}/price"), &json!({})).await;
        let (_, answer) = stage.submit(id, &format!("priced-{amount}")).await;
        assert_eq!(answer["code"].as_str().unwrap_or_default(), priced, "{answer}");
    }
    assert_eq!(stage.shop().debits().await, 1);
    stage.demo.ends();
}
