//! An order's life through the API, from cart to fulfilment.

use serde_json::{Value, json};

use super::{Gateway, id, small_order};

async fn act(gateway: &Gateway, order: &Value, action: &str, body: Value) -> super::Reply {
    gateway.post(&format!("/v1/orders/{}/{action}", id(order))).json(&body).await
}

#[tokio::test]
async fn an_order_is_made_priced_signed_and_submitted_with_the_merchants_own_payment() {
    let gateway = Gateway::start().await;
    let mut body = small_order();
    body["requiresSigning"] = json!("REQUIRED");
    body["requiresApproval"] = json!(true);
    let reply = gateway.post("/v1/orders").json(&body).await;
    let order = reply.expect(201);
    assert_eq!(reply.header("location"), Some(format!("/v1/orders/{}", id(&order)).as_str()));
    assert_eq!(reply.header("etag"), Some("\"1\""));
    assert_eq!(order["state"], "PENDING");
    assert_eq!(order["price"], Value::Null);

    let external = json!({"externalPayment": {"reference": "till-7"}});
    act(&gateway, &order, "submit", external.clone()).await.problem(409, "order_not_priced");
    let priced = act(&gateway, &order, "price", json!({})).await.expect(200);
    assert_eq!(priced["price"]["total"], 1250);
    assert_eq!(priced["price"]["tax"], 200);
    let unmet = act(&gateway, &order, "submit", json!({})).await.problem(412, "requirement_unmet");
    assert_eq!(unmet["unmet"], json!(["requiresPayment", "requiresSigning"]));

    let signature =
        json!({"signer": "Ann", "method": "pen", "reference": "s-1", "signedAt": "2026-01-01T00:00:00Z"});
    let signed = act(&gateway, &order, "sign", signature.clone()).await.expect(200);
    assert_eq!(signed["signature"]["reference"], "s-1");

    let submitted = act(&gateway, &order, "submit", external.clone()).await.expect(200);
    assert_eq!(submitted["state"], "PENDING_APPROVAL");
    assert_eq!(submitted["externalPayment"]["reference"], "till-7");
    assert_eq!(submitted["payments"][0]["status"], "PAID");
    let again = act(&gateway, &order, "submit", external).await.expect(200);
    assert_eq!(again, submitted);
    let other = json!({"externalPayment": {"reference": "till-8"}});
    act(&gateway, &order, "submit", other).await.problem(409, "invalid_state");

    let wrong =
        act(&gateway, &order, "fulfil", json!({"outcome": "COMPLETED"})).await.problem(409, "invalid_state");
    assert_eq!(wrong["state"], "PENDING_APPROVAL");
    assert_eq!(wrong["allowedStates"], json!(["PROCESSING"]));
    let approved = act(&gateway, &order, "approve", json!({})).await.expect(200);
    assert_eq!(approved["state"], "PROCESSING");
    let done = act(&gateway, &order, "fulfil", json!({"outcome": "COMPLETED", "detail": "by post"}))
        .await
        .expect(200);
    assert_eq!(done["state"], "COMPLETED");
    assert_eq!(done["expiresAt"], Value::Null);
}

#[tokio::test]
async fn a_proof_is_one_and_of_something_that_is_there() {
    let gateway = Gateway::start().await;
    let order = gateway.priced_order().await;
    let session = "cs_01h455vb4pex5vsknk084sn02q";
    let two = json!({"externalPayment": {"reference": "x"}, "paymentSessionId": session});
    act(&gateway, &order, "submit", two).await.problem(400, "several_payment_proofs");
    let unknown = json!({"paymentSessionId": session});
    act(&gateway, &order, "submit", unknown).await.problem(412, "payment_session_unusable");
    let profile = json!({"paymentProfileId": "pp_01h455vb4pex5vsknk084sn02q"});
    act(&gateway, &order, "submit", profile.clone()).await.problem(400, "idempotency_key_missing");
    let path = format!("/v1/orders/{}/submit", id(&order));
    gateway.post(&path).key("k").json(&profile).await.problem(412, "payment_profile_unusable");
    // A session that was paid, but for another order.
    let paid = gateway.paid_session("AUTOMATIC").await;
    let other = json!({"paymentSessionId": id(&paid)});
    act(&gateway, &order, "submit", other).await.problem(412, "payment_session_unusable");
    assert_eq!(gateway.get(&format!("/v1/orders/{}", id(&order))).await.expect(200)["state"], "PENDING");
}

#[tokio::test]
async fn a_cart_is_changed_field_by_field() {
    let gateway = Gateway::start().await;
    let order = gateway.priced_order().await;
    let path = format!("/v1/orders/{}", id(&order));
    let noted = gateway.request("PATCH", &path).json(&json!({"metadata": {"a": "b"}})).await.expect(200);
    assert_eq!(noted["metadata"], json!({"a": "b"}));
    assert_eq!(noted["customer"]["email"], "ann@example.test");
    assert_eq!(noted["price"]["total"], 1250);
    let nothing = gateway.request("PATCH", &path).json(&json!({})).await.expect(200);
    assert_eq!(nothing["version"], noted["version"]);
    let moved =
        json!({"shippingAddress": {"city": "Riga", "country": "LV"}, "customer": null, "shipping": 0});
    let changed = gateway.request("PATCH", &path).json(&moved).await.expect(200);
    assert_eq!(changed["price"], Value::Null);
    assert_eq!(changed["customer"]["email"], Value::Null);
    assert_eq!(changed["shippingAddress"]["city"], "Riga");
    assert_eq!(changed["shippingAddress"]["line1"], Value::Null);
    gateway.request("PATCH", &path).json(&json!({"currency": "USD"})).await.problem(400, "unknown_field");
}

#[tokio::test]
async fn items_are_added_changed_and_removed() {
    let gateway = Gateway::start().await;
    let order = gateway.post("/v1/orders").json(&small_order()).await.expect(201);
    let path = format!("/v1/orders/{}/items", id(&order));
    let cup = json!({"title": "Cup", "quantity": 3, "unitPrice": 100, "discount": 50, "sku": "CUP"});
    let more = gateway.post(&path).json(&cup).await.expect(201);
    let added = &more["items"][2];
    assert_eq!(added["taxRate"], "0");
    let item = format!("{path}/{}", id(added));
    let fewer = gateway.request("PATCH", &item).json(&json!({"quantity": 1, "sku": null})).await.expect(200);
    assert_eq!(fewer["items"][2]["quantity"], 1);
    assert_eq!(fewer["items"][2]["title"], "Cup");
    assert_eq!(fewer["items"][2]["sku"], Value::Null);
    let cheap = gateway.request("PATCH", &item).json(&json!({"unitPrice": 49})).await;
    cheap.problem(400, "discount_exceeds_price");
    let less = gateway.request("DELETE", &item).await_it().await.expect(200);
    assert_eq!(less["items"].as_array().unwrap().len(), 2);
    gateway.request("DELETE", &item).await_it().await.problem(404, "not_found");
    gateway.request("PATCH", &item).json(&json!({"quantity": 1})).await.problem(404, "not_found");
}

#[tokio::test]
async fn a_locked_order_says_how_to_unlock_it() {
    let gateway = Gateway::start().await;
    let session = gateway.session().await;
    let path = format!("/v1/orders/{}", session["orderId"].as_str().unwrap());
    gateway.request("PATCH", &path).json(&json!({"shipping": 1})).await.problem(409, "order_locked");
    gateway.post(&format!("{path}/price")).await_it().await.problem(409, "order_locked");
    gateway.post(&format!("/v1/payment-sessions/{}/cancel", id(&session))).await_it().await.expect(200);
    gateway.request("PATCH", &path).json(&json!({"shipping": 1})).await.expect(200);
}

#[tokio::test]
async fn if_match_guards_every_change() {
    let gateway = Gateway::start().await;
    let order = gateway.priced_order().await;
    let path = format!("/v1/orders/{}", id(&order));
    let version = format!("\"{}\"", order["version"]);
    for bad in ["\"1\"", "\"x\"", "7", "W/\"2\"", "\"999\""] {
        let change =
            gateway.request("PATCH", &path).header("If-Match", bad).json(&json!({"shipping": 1})).await;
        change.problem(412, "version_mismatch");
        let price = gateway.post(&format!("{path}/price")).header("If-Match", bad).await_it().await;
        price.problem(412, "version_mismatch");
    }
    let list = gateway
        .request("PATCH", &path)
        .header("If-Match", "\"1\", \"2\"")
        .json(&json!({"shipping": 1}))
        .await;
    list.problem(400, "invalid_value");
    let right =
        gateway.request("PATCH", &path).header("If-Match", &version).json(&json!({"shipping": 1})).await;
    right.expect(200);
    let item = format!("{path}/items/{}", id(&order["items"][0]));
    let stale = gateway.request("DELETE", &item).header("If-Match", &version).await_it().await;
    stale.problem(412, "version_mismatch");
    gateway.request("DELETE", &item).header("If-Match", "*").await_it().await.expect(200);
}

#[tokio::test]
async fn no_step_is_taken_on_another_version_of_the_order_than_the_merchant_has_seen() {
    let gateway = Gateway::start().await;
    let order = gateway.priced_order().await;
    let path = format!("/v1/orders/{}", id(&order));
    let signature =
        json!({"signer": "Ann", "method": "PEN", "reference": "s-1", "signedAt": "2026-01-01T00:00:00Z"});
    let cash = json!({"externalPayment": {"reference": "till 4"}});
    for (step, body) in [
        ("sign", signature),
        ("checkout", super::hosted()),
        ("submit", cash),
        ("cancel", json!({})),
        ("approve", json!({})),
    ] {
        let reply = gateway.post(&format!("{path}/{step}")).header("If-Match", "\"1\"").json(&body).await;
        reply.problem(412, "version_mismatch");
    }
    assert_eq!(gateway.get(&path).await.expect(200), order);
}

#[tokio::test]
async fn a_reference_is_used_once_by_a_merchant() {
    let gateway = Gateway::start().await;
    let mut body = small_order();
    body["reference"] = json!("2026-1");
    gateway.post("/v1/orders").json(&body).await.expect(201);
    gateway.post("/v1/orders").json(&body).await.problem(409, "reference_taken");
    let bearer = format!("Bearer {}", super::gateway::OTHER_KEY);
    gateway.post("/v1/orders").header("Authorization", &bearer).json(&body).await.expect(201);
}

#[tokio::test]
async fn a_cancelled_order_gives_its_money_back() {
    let gateway = Gateway::start().await;
    let mut body = small_order();
    body["requiresApproval"] = json!(true);
    let order = gateway.post("/v1/orders").json(&body).await.expect(201);
    act(&gateway, &order, "price", json!({})).await.expect(200);
    let session = act(&gateway, &order, "checkout", super::hosted()).await.expect(201);
    gateway.provider.say(session["providerReference"].as_str().unwrap(), "paid");
    gateway.get(&format!("/v1/payment-sessions/{}?refresh=true", id(&session))).await.expect(200);
    let rejected = act(&gateway, &order, "reject", json!({})).await.expect(200);
    assert_eq!(rejected["state"], "CANCELLED");
    assert_eq!(rejected["payments"][0]["refunded"], 1250);
    let path = format!("/v1/payments/{}/refunds", session["paymentId"].as_str().unwrap());
    let refunds = gateway.get(&path).await.expect(200);
    assert_eq!(refunds["data"][0]["origin"], "POLICY");
    assert_eq!(refunds["data"][0]["status"], "SUCCEEDED");
}

#[tokio::test]
async fn a_total_that_does_not_fit_is_told_when_it_is_computed() {
    let gateway = Gateway::start().await;
    let huge = json!({"title": "x", "quantity": 1, "unitPrice": i64::MAX});
    let body = json!({"currency": "EUR", "items": [huge.clone(), huge]});
    let order = gateway.post("/v1/orders").json(&body).await.expect(201);
    act(&gateway, &order, "price", json!({})).await.problem(400, "amount_too_large");
    let quick = json!({"order": body, "checkout": super::hosted()});
    gateway.post("/v1/checkouts").json(&quick).await.problem(400, "amount_too_large");
}
