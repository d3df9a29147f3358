//! Captures, voids and refunds.

use port::ProviderError;
use serde_json::{Value, json};

use super::{Gateway, id};

fn payment(session: &Value) -> String {
    format!("/v1/payments/{}", session["paymentId"].as_str().unwrap())
}

#[tokio::test]
async fn a_hold_is_captured_in_part_and_the_rest_given_back() {
    let gateway = Gateway::start().await;
    let path = payment(&gateway.paid_session("MANUAL").await);
    let held = gateway.get(&path).await.expect(200);
    assert_eq!((&held["status"], &held["capturable"]), (&json!("AUTHORIZED"), &json!(1250)));
    gateway.post(&format!("{path}/capture")).json(&json!({})).await.problem(400, "idempotency_key_missing");
    let capture = |key: &str, amount: Value| {
        gateway.post(&format!("{path}/capture")).key(key).json(&json!({"amount": amount}))
    };
    let more = capture("a", json!(1251)).await.problem(422, "amount_exceeds_authorized");
    assert_eq!(more["remaining"], 1250);
    capture("b", json!(0)).await.problem(422, "amount_not_positive");
    capture("c", json!(1.5)).await.problem(400, "not_an_integer");
    let first = capture("d", json!(1000)).await;
    assert_eq!(first.expect(200)["captured"], 1000);
    let again = capture("d", json!(1000)).await;
    assert_eq!(again.body, first.body);
    assert_eq!(again.header("idempotent-replayed"), Some("true"));

    let refund = |key: &str, body: &Value| gateway.post(&format!("{path}/refunds")).key(key).json(body);
    let part = json!({"amount": 300, "reason": "late", "reference": "r-1"});
    let first = gateway.post(&format!("{path}/refunds")).key("e").json(&part).await;
    let made = first.expect(201);
    assert_eq!(made["status"], "SUCCEEDED");
    assert_eq!(first.header("location"), Some(format!("/v1/refunds/{}", id(&made)).as_str()));
    let again = gateway.post(&format!("{path}/refunds")).key("e").json(&part).await;
    assert_eq!(again.value(), made);
    let too_much = json!({"amount": 701});
    assert_eq!(refund("f", &too_much).await.problem(422, "amount_exceeds_captured")["remaining"], 700);
    let shown = gateway.get(&path).await.expect(200);
    assert_eq!((&shown["refunded"], &shown["refundable"]), (&json!(300), &json!(700)));
    let one = gateway.get(&format!("/v1/refunds/{}", id(&made))).await.expect(200);
    assert_eq!(one, made);
    let list = gateway.get(&format!("{path}/refunds")).await.expect(200);
    assert_eq!(list, json!({"data": [made], "nextCursor": null}));
}

#[tokio::test]
async fn a_hold_is_released_once() {
    let gateway = Gateway::start().await;
    let path = payment(&gateway.paid_session("MANUAL").await);
    let void = format!("{path}/void");
    let stale = gateway.post(&void).header("If-Match", "\"999\"").await_it().await;
    stale.problem(412, "version_mismatch");
    let voided = gateway.post(&void).key("k").await_it().await;
    assert_eq!(voided.expect(200)["status"], "CANCELLED");
    assert_eq!(gateway.post(&void).key("k").await_it().await.body, voided.body);
    gateway.post(&void).await_it().await.problem(409, "invalid_state");
}

#[tokio::test]
async fn a_providers_no_is_402_and_a_repeat_says_the_same() {
    let gateway = Gateway::start().await;
    let path = payment(&gateway.paid_session("AUTOMATIC").await);
    gateway.provider.fails_once(ProviderError::declined(Some("51"), Some("not today")));
    let refund = format!("{path}/refunds");
    let first = gateway.post(&refund).key("k").json(&json!({"amount": 100})).await;
    let problem = first.problem(402, "provider_declined");
    assert_eq!((&problem["providerCode"], &problem["providerMessage"]), (&json!("51"), &json!("not today")));
    let id = problem["refundId"].as_str().unwrap();
    let failed = gateway.get(&format!("/v1/refunds/{id}")).await.expect(200);
    assert_eq!((&failed["status"], &failed["failure"]["providerCode"]), (&json!("FAILED"), &json!("51")));
    let again = gateway.post(&refund).key("k").json(&json!({"amount": 100})).await;
    assert_eq!(again.header("idempotent-replayed"), Some("true"));
    assert_eq!(again.problem(402, "provider_declined")["refundId"], id);
    assert_eq!(gateway.get(&path).await.expect(200)["refundable"], 1250);
}

#[tokio::test]
async fn an_unknown_outcome_is_202_and_keeps_its_amount_reserved() {
    let gateway = Gateway::start().await;
    let path = payment(&gateway.paid_session("AUTOMATIC").await);
    gateway.provider.fails_once(ProviderError::OutcomeUnknown("silence".to_owned()));
    let refund = format!("{path}/refunds");
    let reply = gateway.post(&refund).key("k").json(&json!({"amount": 100})).await;
    assert_eq!(reply.expect(202)["status"], "PENDING");
    let shown = gateway.get(&path).await.expect(200);
    assert_eq!(shown["pendingOperation"]["operation"], "REFUND");
    assert_eq!(shown["refundable"], 1150);
    // Another waits for its turn behind it.
    let next = gateway.post(&refund).key("l").json(&json!({"amount": 50})).await;
    assert_eq!(next.expect(201)["status"], "PENDING");
    gateway.post(&format!("{path}/void")).await_it().await.problem(409, "operation_pending");
}

#[tokio::test]
async fn money_that_was_collected_elsewhere_is_not_ours_to_move() {
    let gateway = Gateway::start().await;
    let order = gateway.priced_order().await;
    let proof = json!({"externalPayment": {"reference": "till-7"}});
    let order = gateway.post(&format!("/v1/orders/{}/submit", id(&order))).json(&proof).await.expect(200);
    let path = format!("/v1/payments/{}", id(&order["payments"][0]));
    assert_eq!(gateway.get(&path).await.expect(200)["provider"], Value::Null);
    for (action, key) in [("capture", "a"), ("void", "b"), ("refunds", "c")] {
        let reply = gateway.post(&format!("{path}/{action}")).key(key).await_it().await;
        reply.problem(409, "external_payment");
    }
}
