//! Requests that are sent twice and count once.

use std::collections::BTreeSet;
use std::sync::Arc;

use serde_json::{Value, json};
use tokio::sync::Semaphore;
use tokio::time::timeout;

use super::gateway::{OTHER_KEY, PATIENCE};
use super::{Gateway, Start, hosted, id, small_order};

#[tokio::test]
async fn a_repeat_gets_the_same_answer_even_if_the_order_has_changed_since() {
    let gateway = Gateway::start().await;
    let first = gateway.post("/v1/orders").key("k-1").json(&small_order()).await;
    let order = first.expect(201);
    let path = format!("/v1/orders/{}", id(&order));
    let customer = json!({"customer": {"email": "bob@example.test"}, "shipping": 7});
    gateway.request("PATCH", &path).json(&customer).await.expect(200);
    for key in ["k-1", "\"k-1\""] {
        let again = gateway.post("/v1/orders").key(key).json(&small_order()).await;
        assert_eq!((again.status, again.header("idempotent-replayed")), (201, Some("true")));
        assert_eq!(again.body, first.body);
        for header in ["location", "etag", "content-type"] {
            assert_eq!(again.header(header), first.header(header));
        }
    }
    assert_eq!(first.header("idempotent-replayed"), None);
}

#[tokio::test]
async fn a_key_stands_for_one_request_of_one_merchant() {
    let gateway = Gateway::start().await;
    let order = gateway.post("/v1/orders").key("k").json(&small_order()).await.expect(201);
    let other = json!({"currency": "EUR"});
    gateway.post("/v1/orders").key("k").json(&other).await.problem(422, "idempotency_key_reused");
    gateway.post("/v1/orders").key("k").text("not json").await.problem(422, "idempotency_key_reused");
    let path = format!("/v1/orders/{}/price", id(&order));
    gateway.post(&path).key("k").json(&small_order()).await.problem(422, "idempotency_key_reused");
    let listener = json!({"url": "https://shop.example.test/events"});
    gateway
        .post("/v1/webhook-endpoints")
        .key("k")
        .json(&listener)
        .await
        .problem(422, "idempotency_key_reused");
    gateway.post("/v1/webhook-endpoints").key("e").json(&listener).await.expect(201);
    gateway.post("/v1/orders").key("e").json(&small_order()).await.problem(422, "idempotency_key_reused");
    let bearer = format!("Bearer {OTHER_KEY}");
    let of_other = gateway.post("/v1/orders").header("Authorization", &bearer).key("k").json(&other).await;
    assert_eq!(of_other.header("idempotent-replayed"), None);
    of_other.expect(201);
}

#[tokio::test]
async fn a_key_is_1_to_255_visible_characters() {
    let gateway = Gateway::start().await;
    for bad in ["", "\"\"", "a b", &"x".repeat(256)] {
        let reply = gateway.post("/v1/orders").key(bad).json(&small_order()).await;
        reply.problem(400, "idempotency_key_invalid");
    }
    gateway.post("/v1/orders").key(&"x".repeat(255)).json(&small_order()).await.expect(201);
}

#[tokio::test]
async fn a_refusal_without_effect_is_decided_anew() {
    let gateway = Gateway::start().await;
    let order = gateway.post("/v1/orders").json(&small_order()).await.expect(201);
    let path = format!("/v1/orders/{}/checkout", id(&order));
    gateway.post(&path).key("k").json(&hosted()).await.problem(409, "order_not_priced");
    gateway.post(&format!("/v1/orders/{}/price", id(&order))).await_it().await.expect(200);
    let session = gateway.post(&path).key("k").json(&hosted()).await;
    assert_eq!(session.header("idempotent-replayed"), None);
    session.expect(201);
}

#[tokio::test]
async fn every_action_can_be_repeated() {
    let gateway = Gateway::start().await;
    let order = gateway.post("/v1/orders").json(&small_order()).await.expect(201);
    let path = format!("/v1/orders/{}", id(&order));
    let steps = [
        ("items", json!({"title": "Cup", "quantity": 1, "unitPrice": 100})),
        ("price", json!({})),
        ("submit", json!({"externalPayment": {"reference": "till-7"}})),
        ("fulfil", json!({"outcome": "FAILED", "detail": "broken"})),
    ];
    for (step, body) in &steps {
        let first = gateway.post(&format!("{path}/{step}")).key(step).json(body).await;
        assert!((200..300).contains(&first.status), "{step}: {}", first.text());
        let again = gateway.post(&format!("{path}/{step}")).key(step).json(body).await;
        assert_eq!((again.status, again.text()), (first.status, first.text()), "{step}");
        assert_eq!(again.header("idempotent-replayed"), Some("true"), "{step}");
    }
    for (step, body) in &steps {
        let late = gateway.post(&format!("{path}/{step}")).key(step).json(body).await;
        assert_eq!(late.header("idempotent-replayed"), Some("true"), "{step}");
    }
    let order = gateway.get(&path).await.expect(200);
    assert_eq!(order["items"].as_array().unwrap().len(), 3);
    assert_eq!(order["state"], "FAILED");
}

#[tokio::test]
async fn a_repeat_of_a_cancel_tells_of_the_money_that_went_back() {
    let gateway = Gateway::start().await;
    let session = gateway.session().await;
    let path = format!("/v1/orders/{}/cancel", session["orderId"].as_str().unwrap());
    let first = gateway.post(&path).key("k").await_it().await;
    assert_eq!(first.expect(200)["state"], "CANCELLED");
    let again = gateway.post(&path).key("k").await_it().await;
    assert_eq!(again.body, first.body);
    assert_eq!(again.header("idempotent-replayed"), Some("true"));
}

/// Waits until an order is locked: then its checkout has written its intent.
async fn locked(gateway: &Gateway, order: &Value) {
    let path = format!("/v1/orders/{}", id(order));
    let looking = async { while gateway.get(&path).await.expect(200)["state"] != "PENDING_PAYMENT" {} };
    timeout(PATIENCE, looking).await.expect("the checkout begins");
}

#[tokio::test]
async fn while_the_first_is_running_a_repeat_waits_and_another_request_is_refused() {
    let gateway = Gateway::start().await;
    let permits = Arc::new(Semaphore::new(0));
    gateway.provider.starts(Start::Waits(permits.clone()));
    let order = gateway.priced_order().await;
    let path = format!("/v1/orders/{}/checkout", id(&order));
    let first = tokio::spawn(gateway.post(&path).key("k").json(&hosted()));
    locked(&gateway, &order).await;
    let repeat = tokio::spawn(gateway.post(&path).key("k").json(&hosted()));
    let other = gateway.post(&path).key("k").json(&json!({"approach": "LINK"})).await;
    other.problem(422, "idempotency_key_reused");
    permits.add_permits(1);
    let (first, repeat) = (first.await.unwrap(), repeat.await.unwrap());
    assert_eq!((repeat.status, &repeat.body), (201, &first.body));
    assert_eq!(first.header("idempotent-replayed"), None);
    assert_eq!(repeat.header("idempotent-replayed"), Some("true"));
}

#[tokio::test]
async fn a_client_that_hangs_up_drops_nothing() {
    // One worker, so that whoever is answered after the hang-up is answered after it was noticed.
    let gateway = Gateway::with(|settings| settings.server.workers = 1).await;
    let permits = Arc::new(Semaphore::new(0));
    gateway.provider.starts(Start::Waits(permits.clone()));
    let order = gateway.priced_order().await;
    let path = format!("/v1/orders/{}/checkout", id(&order));
    let first = gateway.post(&path).key("k").send_json(&hosted()).await;
    locked(&gateway, &order).await;
    // A reset, since a client that has only ended its half may still read the answer.
    first.set_zero_linger().unwrap();
    drop(first);
    locked(&gateway, &order).await;
    permits.add_permits(1);
    let again = gateway.post(&path).key("k").json(&hosted()).await;
    assert_eq!(again.header("idempotent-replayed"), Some("true"));
    assert_eq!(again.expect(201)["status"], "PENDING");
    assert_eq!(gateway.provider.objects(), 1);
}

#[tokio::test]
async fn a_client_that_hangs_up_while_its_read_asks_the_provider_drops_nothing() {
    let gateway = Gateway::with(|settings| settings.server.workers = 1).await;
    let session = gateway.session().await;
    gateway.provider.say(session["providerReference"].as_str().unwrap(), "paid");
    let (reads, permits) = (gateway.provider.reads(), Arc::new(Semaphore::new(0)));
    gateway.provider.answers_with(permits.clone());
    let path = format!("/v1/payment-sessions/{}?refresh=true", id(&session));
    let reading = gateway.request("GET", &path).send().await;
    gateway.until_read_after(reads).await;
    reading.set_zero_linger().unwrap();
    drop(reading);
    let path = format!("/v1/orders/{}", session["orderId"].as_str().unwrap());
    assert_eq!(gateway.get(&path).await.expect(200)["state"], "PENDING_PAYMENT");
    permits.add_permits(1);
    let paid = async { while gateway.get(&path).await.expect(200)["state"] != "PROCESSING" {} };
    timeout(PATIENCE, paid).await.expect("what was read is recorded");
}

#[tokio::test(flavor = "multi_thread")]
async fn of_a_hundred_at_once_one_counts_and_all_are_answered_alike() {
    let gateway = Gateway::start().await;
    let request = json!({"order": small_order(), "checkout": hosted()});
    let all: Vec<_> = (0..100)
        .map(|_| {
            let (request, body) = (gateway.post("/v1/checkouts").key("k"), request.clone());
            tokio::spawn(async move { request.json(&body).await })
        })
        .collect();
    let mut answers = BTreeSet::new();
    for one in all {
        let reply = one.await.unwrap();
        answers.insert((reply.status, reply.body));
    }
    assert_eq!(answers.len(), 1, "{:?}", answers.iter().map(|(status, _)| status).collect::<Vec<_>>());
    assert_eq!(gateway.provider.objects(), 1);
    let again = gateway.post("/v1/checkouts").key("k").json(&request).await;
    assert_eq!(answers.pop_first(), Some((201, again.body)));
    assert_eq!(gateway.get("/v1/orders").await.expect(200)["data"].as_array().unwrap().len(), 1);
}
