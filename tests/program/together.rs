//! A hundred equal requests at once: one effect, and a hundred equal answers.

use std::sync::Arc;

use futures_util::future::join_all;
use serde_json::{Value, json};

use super::agreement;
use super::demo::Demo;
use super::sale::Sale;
use super::shop::{Answer, Shop, eventually};

/// How many requests come at once.
const CROWD: usize = 100;

/// A gateway that a crowd uses.
struct Stage {
    demo: Demo,
    shop: Shop,
}

impl Stage {
    fn start() -> Self {
        let demo = Demo::start();
        Self { shop: demo.shop.clone(), demo }
    }

    /// The same request a hundred times at once, each in a task of its own.
    async fn crowd(&self, path: &str, key: &str, body: &Value) -> Vec<Answer> {
        let request = Arc::new((self.shop.clone(), path.to_owned(), key.to_owned(), body.clone()));
        let one = |_| {
            let request = request.clone();
            tokio::spawn(async move { request.0.send(&request.1, &request.2, &request.3).await })
        };
        join_all((0..CROWD).map(one)).await.into_iter().map(Result::unwrap).collect()
    }

    /// As [`Stage::crowd`]; answers what all were answered alike: one of them as the first, the others as repeats.
    async fn once(&self, path: &str, body: &Value) -> Answer {
        let answers = self.crowd(path, path, body).await;
        let first = answers.iter().filter(|answer| !answer.replayed).collect::<Vec<_>>();
        assert_eq!(first.len(), 1, "{first:?}");
        for answer in &answers {
            assert_eq!((answer.status, &answer.text), (first[0].status, &first[0].text));
        }
        first[0].clone()
    }

    /// An order at an account, paid by its customer or held: the order and its payment.
    async fn paid(&self, key: &str, account: &str, capture: &str) -> (String, String) {
        let mut body = Shop::order(Some(account), "EUR", 1999);
        body["checkout"]["captureMode"] = json!(capture);
        let sale = Sale::paid(&self.shop, key, &body).await;
        (sale.order, sale.payment)
    }

    /// The provider's object of a payment, as the ledger has it.
    async fn object(&self, payment: &str) -> Value {
        let payment = self.shop.get(&format!("/v1/payments/{payment}")).await;
        let ledger = self.shop.ledger().await;
        ledger.into_iter().find(|object| object["id"] == payment["provider"]["reference"]).unwrap()
    }

    /// Everybody agrees about these orders, and the records fit.
    async fn ends(self, orders: &[String]) {
        agreement::check_money(&self.shop, orders).await;
        self.demo.ends();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_hundred_checkouts_at_once_are_one_order_with_one_session() {
    let stage = Stage::start();
    let mut body = Shop::order(None, "EUR", 1999);
    body["order"]["reference"] = json!("the-only-one");
    let before = stage.shop.ledger().await.len();
    let answer = stage.once("/v1/checkouts", &body).await;
    assert_eq!(answer.status, 201, "{}", answer.text);
    let found = stage.shop.get("/v1/orders?reference=the-only-one").await;
    let found = found["data"].as_array().unwrap();
    assert_eq!(found.iter().map(|order| &order["id"]).collect::<Vec<_>>(), [&answer.body()["order"]["id"]]);
    assert_eq!(stage.shop.ledger().await.len(), before + 1);
    let order = answer.body()["order"]["id"].as_str().unwrap().to_owned();
    stage.ends(&[order]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_hundred_refunds_captures_and_voids_at_once_move_the_money_once() {
    let stage = Stage::start();
    let mut orders = Vec::new();
    for account in ["decta-demo", "paymennt-demo"] {
        let (order, payment) = stage.paid(account, account, "AUTOMATIC").await;
        let refund = stage.once(&format!("/v1/payments/{payment}/refunds"), &json!({"amount": 500})).await;
        assert!(matches!(refund.status, 201 | 202), "{}", refund.text);
        let refunds = stage.shop.get(&format!("/v1/payments/{payment}/refunds")).await;
        assert_eq!(refunds["data"].as_array().unwrap().len(), 1, "{refunds}");
        let object = stage.object(&payment).await;
        assert_eq!(object["refunded"], 500, "{object}");
        orders.push(order);
    }
    let (order, payment) = stage.paid("captured", "decta-demo", "MANUAL").await;
    let capture = stage.once(&format!("/v1/payments/{payment}/capture"), &json!({})).await;
    assert_eq!((capture.status, &capture.body()["captured"]), (200, &json!(1999)), "{}", capture.text);
    assert_eq!(stage.object(&payment).await["captured"], 1999);
    orders.push(order);
    let (order, payment) = stage.paid("voided", "decta-demo", "MANUAL").await;
    let void = stage.once(&format!("/v1/payments/{payment}/void"), &json!({})).await;
    assert_eq!((void.status, &void.body()["status"]), (200, &json!("CANCELLED")), "{}", void.text);
    assert_eq!(stage.object(&payment).await["captured"], 0);
    orders.push(order);
    stage.ends(&orders).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_hundred_submits_at_once_charge_the_stored_card_once() {
    let stage = Stage::start();
    let card = json!({"provider": "paymennt", "customer": "c-1", "scenario": "paid"});
    assert_eq!(stage.shop.control("cards", &card).await, 201);
    let mut first = Shop::order(Some("paymennt-demo"), "EUR", 1999);
    first["order"]["customer"]["id"] = json!("c-1");
    let profile = stage.shop.payment_profile("c-1").await;
    let order = stage.shop.send("/v1/orders", "renewal", &first["order"]).await.body();
    let path = format!("/v1/orders/{}", order["id"].as_str().unwrap());
    assert_eq!(stage.shop.send(&format!("{path}/price"), "price", &json!({})).await.status, 200);
    let charged = stage.once(&format!("{path}/submit"), &json!({"paymentProfileId": profile})).await;
    assert_eq!((charged.status, &charged.body()["state"]), (200, &json!("PROCESSING")), "{}", charged.text);
    assert_eq!(stage.shop.debits().await, 1);
    stage.ends(&[order["id"].as_str().unwrap().to_owned()]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_hundred_that_are_refused_are_refused_alike() {
    let stage = Stage::start();
    let (order, payment) = stage.paid("paid", "decta-demo", "AUTOMATIC").await;
    let path = format!("/v1/payments/{payment}/refunds");
    let answers = stage.crowd(&path, "too-much", &json!({"amount": 2000})).await;
    for answer in &answers {
        assert_eq!((answer.status, answer.code().as_str()), (422, "amount_exceeds_captured"));
        assert!(!answer.replayed, "nothing of it is stored");
    }
    // Nothing took the key, so a later request may succeed with it, or try again.
    assert_eq!(stage.shop.send(&path, "too-much", &json!({"amount": 1999})).await.status, 201);
    stage.ends(&[order]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_two_requests_with_one_key_one_counts_and_the_other_is_refused() {
    let stage = Stage::start();
    let body = |amount| Shop::order(Some("decta-demo"), "EUR", amount);
    let before = stage.shop.ledger().await.len();
    let (one, other) = (body(1000), body(2000));
    let (ones, others) =
        tokio::join!(stage.crowd("/v1/checkouts", "k", &one), stage.crowd("/v1/checkouts", "k", &other));
    let made = |answers: &[Answer]| answers.iter().any(|answer| answer.status == 201);
    let (won, lost) = if made(&ones) { (ones, others) } else { (others, ones) };
    assert!(won.iter().all(|answer| (answer.status, &answer.text) == (201, &won[0].text)));
    for answer in &lost {
        assert_eq!((answer.status, answer.code().as_str()), (422, "idempotency_key_reused"));
    }
    assert_eq!(stage.shop.ledger().await.len(), before + 1);
    let order = won[0].body()["order"]["id"].as_str().unwrap().to_owned();
    stage.ends(&[order]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_client_that_hangs_up_leaves_the_others_their_answer() {
    let stage = Stage::start();
    let slow =
        json!({"provider": "decta", "operation": "create", "fault": "slow", "times": 1, "delay_ms": 1500});
    assert_eq!(stage.shop.control("faults", &slow).await, 201);
    let body = Shop::order(Some("decta-demo"), "EUR", 1999);
    let before = stage.shop.ledger().await.len();
    let first = tokio::spawn({
        let (shop, body) = (stage.shop.clone(), body.clone());
        async move { shop.send("/v1/checkouts", "k", &body).await }
    });
    // The provider has done it, and has not said so yet.
    eventually(|| async {
        let received = stage.shop.ledger().await.len() > before;
        received.then_some(()).ok_or_else(|| "unheard of by the provider".to_owned())
    })
    .await;
    first.abort();
    let answers = stage.crowd("/v1/checkouts", "k", &body).await;
    for answer in &answers {
        assert_eq!((answer.status, answer.replayed, &answer.text), (201, true, &answers[0].text));
    }
    assert_eq!(stage.shop.ledger().await.len(), before + 1);
    let order = answers[0].body()["order"]["id"].as_str().unwrap().to_owned();
    stage.ends(&[order]).await;
}
