//! Charging a stored method without the customer.

use std::path::Path;
use std::time::Duration;

use reqwest::{Client, Method};
use serde_json::{Value, json};
use tempfile::TempDir;

use super::running::{Gateway, Sandbox};
use super::shop::Shop;

/// A shop whose customer `c-1` has a card stored with the provider, and an order to pay with it.
struct Stage {
    shop: Shop,
    sandbox: Sandbox,
    profile: String,
    _gateway: Gateway,
    _folder: TempDir,
}

impl Stage {
    async fn with_card(scenario: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let sandbox = Sandbox::start(folder.path());
        let gateway = Gateway::start(folder.path(), &sandbox, Path::new("config/routing.toml"));
        let shop = Shop::new(&gateway.url, &sandbox.url);
        let card = json!({"provider": "paymennt", "customer": "c-1", "scenario": scenario});
        control(&sandbox, "cards", &card).await;
        let mut first = order();
        first["checkout"]["savePaymentProfile"] = json!(true);
        let answer = shop.checkout("first", &first).await;
        shop.pay(answer["session"]["checkoutUrl"].as_str().unwrap()).await;
        let deadline = tokio::time::Instant::now() + super::shop::PATIENCE;
        let profile = loop {
            assert!(tokio::time::Instant::now() < deadline, "the stored card was never listed");
            let known = shop.get("/v1/payment-profiles?customerId=c-1").await;
            if let Some(id) = known["data"][0]["id"].as_str() {
                break id.to_owned();
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        };
        Self { shop, sandbox, profile, _gateway: gateway, _folder: folder }
    }

    /// A priced order, and the answer to charging the stored card for it.
    async fn charge(&self, key: &str) -> (String, u16, Value) {
        let (status, order) = self.shop.post("/v1/orders", &order()["order"]).await;
        assert_eq!(status, 201, "{order}");
        let id = order["id"].as_str().unwrap().to_owned();
        let (status, priced) = self.shop.post(&format!("/v1/orders/{id}/price"), &json!({})).await;
        assert_eq!(status, 200, "{priced}");
        let (status, answer) = self.submit(&id, key).await;
        (id, status, answer)
    }

    async fn submit(&self, order: &str, key: &str) -> (u16, Value) {
        let body = json!({"paymentProfileId": self.profile});
        let request = client().request(Method::POST, format!("{}/v1/orders/{order}/submit", self.shop.url));
        let request = request.bearer_auth("pmx_test_demo").header("Idempotency-Key", key).json(&body);
        let answer = request.send().await.unwrap();
        (answer.status().as_u16(), answer.json().await.unwrap())
    }

    async fn debits(&self) -> usize {
        let calls: Value = reqwest::get(format!("{}/control/calls?provider=paymennt", self.sandbox.url))
            .await
            .unwrap()
            .json()
            .await
            .unwrap();
        let calls = calls["data"].as_array().unwrap();
        calls
            .iter()
            .filter(|call| call["path"].as_str().is_some_and(|path| path.ends_with("/payment/debit")))
            .count()
    }
}

fn client() -> Client {
    Client::builder().build().unwrap()
}

async fn control(sandbox: &Sandbox, what: &str, body: &Value) {
    let request = client().post(format!("{}/control/{what}", sandbox.url)).json(body);
    assert!(request.send().await.unwrap().status().is_success());
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
    assert_eq!(stage.debits().await, 1);
}

#[tokio::test]
async fn a_declined_card_leaves_the_order_as_it_was() {
    let stage = Stage::with_card("declined").await;
    let (order, status, answer) = stage.charge("renewal").await;
    assert_eq!((status, &answer["code"]), (402, &json!("provider_declined")), "{answer}");
    assert_eq!(stage.shop.get(&format!("/v1/orders/{order}")).await["state"], "PENDING");
    let (status, again) = stage.submit(&order, "renewal").await;
    assert_eq!((status, &again["code"]), (402, &answer["code"]));
    assert_eq!(stage.debits().await, 1);
}

#[tokio::test]
async fn a_bank_that_wants_the_customer_is_told_apart_from_a_decline() {
    let stage = Stage::with_card("challenge").await;
    let (order, status, answer) = stage.charge("renewal").await;
    assert_eq!((status, &answer["code"]), (402, &json!("authentication_required")), "{answer}");
    assert_eq!(stage.shop.get(&format!("/v1/orders/{order}")).await["state"], "PENDING");
}

#[tokio::test]
async fn a_charge_whose_answer_was_lost_is_found_and_not_made_again() {
    let stage = Stage::with_card("paid").await;
    let fault = json!({"provider": "paymennt", "operation": "create", "fault": "reset_after", "times": 1});
    control(&stage.sandbox, "faults", &fault).await;
    let (order, status, answer) = stage.charge("renewal").await;
    assert!(status == 200 || status == 202, "{answer}");
    stage.shop.until(&order, |order| order["state"] == "PROCESSING").await;
    assert_eq!(stage.debits().await, 1);
}
