//! Checkouts: what the customer gets, and what happens if no account can take the payment.

use std::collections::BTreeSet;
use std::time::Duration;

use paymux::config::Merchant;
use port::ProviderError;
use serde_json::{Value, json};

use super::{Gateway, Start, faults, hosted, id, small_order};

fn quick() -> Value {
    json!({"order": small_order(), "checkout": hosted()})
}

#[tokio::test]
async fn a_checkout_answers_a_page_and_a_refresh_tells_that_it_was_paid() {
    let gateway = Gateway::start().await;
    let order = gateway.priced_order().await;
    let reply = gateway.post(&format!("/v1/orders/{}/checkout", id(&order))).json(&hosted()).await;
    let session = reply.expect(201);
    let path = format!("/v1/payment-sessions/{}", id(&session));
    assert_eq!(reply.header("location"), Some(path.as_str()));
    assert!(session["checkoutUrl"].as_str().unwrap().starts_with("https://teller.test/pay/"));
    assert_eq!(session["amount"], json!({"amount": 1250, "currency": "EUR"}));
    assert_eq!(session["status"], "PENDING");
    assert_eq!(session["account"], "one");

    let second = gateway.post(&format!("/v1/orders/{}/checkout", id(&order))).json(&hosted()).await;
    assert_eq!(second.problem(409, "invalid_state")["allowedStates"], json!(["PENDING"]));

    gateway.provider.say(session["providerReference"].as_str().unwrap(), "paid");
    assert_eq!(gateway.get(&path).await.expect(200)["status"], "PENDING");
    let paid = gateway.get(&format!("{path}?refresh=true")).await.expect(200);
    assert_eq!(paid["status"], "COMPLETED");
    let order = gateway.get(&format!("/v1/orders/{}", id(&order))).await.expect(200);
    assert_eq!(order["state"], "PROCESSING");
    assert_eq!(order["paymentSessionId"], session["id"]);
    gateway.post(&format!("{path}/cancel")).await_it().await.problem(409, "invalid_state");
}

#[tokio::test]
async fn a_refresh_that_reaches_nobody_shows_what_is_known() {
    let gateway = Gateway::start().await;
    let session = gateway.session().await;
    gateway.provider.fails_once(ProviderError::Unavailable("down".to_owned()));
    let path = format!("/v1/payment-sessions/{}?refresh=true", id(&session));
    assert_eq!(gateway.get(&path).await.expect(200)["status"], "PENDING");
}

#[tokio::test]
async fn a_quick_checkout_answers_order_and_session() {
    let gateway = Gateway::start().await;
    let reply = gateway.post("/v1/checkouts").json(&quick()).await;
    let both = reply.expect(201);
    assert_eq!(both["order"]["state"], "PENDING_PAYMENT");
    assert_eq!(both["order"]["paymentSessionId"], both["session"]["id"]);
    assert_eq!(both["session"]["orderId"], both["order"]["id"]);
    assert_eq!(
        reply.header("location"),
        Some(format!("/v1/payment-sessions/{}", id(&both["session"])).as_str())
    );
}

#[tokio::test]
async fn a_link_has_a_picture_and_is_sent_only_to_an_address_that_is_there() {
    let gateway = Gateway::start().await;
    let order = gateway.priced_order().await;
    let path = format!("/v1/orders/{}", id(&order));
    let request = json!({"approach": "LINK", "notify": {"email": true, "sms": true}});
    gateway
        .request("PATCH", &path)
        .json(&json!({"customer": {"email": "ann@example.test"}}))
        .await
        .expect(200);
    gateway.post(&format!("{path}/price")).await_it().await.expect(200);
    let problem =
        gateway.post(&format!("{path}/checkout")).json(&request).await.problem(422, "notify_address_missing");
    assert_eq!(faults(&problem), [("/notify/sms".to_owned(), "notify_address_missing".to_owned())]);
    let request = json!({"approach": "LINK", "notify": {"email": true}});
    let session = gateway.post(&format!("{path}/checkout")).json(&request).await.expect(201);
    assert!(session["qrCodeUrl"].as_str().unwrap().starts_with("https://pay.test/qr/"));
    // Links live a week unless the request says otherwise.
    assert_eq!(session["expiresAt"], "2026-01-08T00:00:00.000Z");

    let mut quick = quick();
    quick["order"]["customer"] = json!({});
    quick["checkout"] = request;
    gateway.post("/v1/checkouts").json(&quick).await.problem(400, "field_missing");
}

#[tokio::test]
async fn a_widget_gets_its_credentials_and_an_account_its_fields() {
    let gateway = Gateway::start().await;
    let order = gateway.priced_order().await;
    let path = format!("/v1/orders/{}", id(&order));
    let request = json!({"approach": "EMBEDDED"});
    let problem = gateway.post(&format!("{path}/checkout")).json(&request).await.problem(422, "no_route");
    let tried = problem["routing"]["tried"].as_array().unwrap();
    assert_eq!(tried[0], json!({"account": "one", "outcome": "needs billingAddress.city"}));
    assert_eq!(problem["orderId"], order["id"]);
    gateway.request("PATCH", &path).json(&json!({"billingAddress": {"city": "Riga"}})).await.expect(200);
    gateway.post(&format!("{path}/price")).await_it().await.expect(200);
    let session = gateway.post(&format!("{path}/checkout")).json(&request).await.expect(201);
    assert_eq!(session["clientCredentials"], json!({"clientSecret": "cs-1"}));
    assert_eq!(session["checkoutUrl"], Value::Null);
}

#[tokio::test]
async fn an_account_is_pinned_by_its_name() {
    let gateway = Gateway::start().await;
    let mut request = quick();
    request["checkout"]["account"] = json!("two");
    let both = gateway.post("/v1/checkouts").json(&request).await.expect(201);
    assert_eq!(both["session"]["account"], "two");
    request["checkout"]["account"] = json!("three");
    let problem = gateway.post("/v1/checkouts").json(&request).await.problem(422, "account_unknown");
    assert_eq!(problem.get("orderId"), None, "a fault in the request places nothing");
    assert_eq!(gateway.get("/v1/orders").await.expect(200)["data"].as_array().unwrap().len(), 1);
    request["checkout"]["account"] = Value::Null;
    request["checkout"]["paymentProfileId"] = json!("pp_01h455vb4pex5vsknk084sn02q");
    gateway.post("/v1/checkouts").json(&request).await.problem(412, "payment_profile_unusable");
}

#[tokio::test]
async fn an_account_that_cannot_store_a_method_takes_no_checkout_that_is_to_store_one() {
    let gateway = Gateway::start().await;
    let mut request = quick();
    request["checkout"]["savePaymentProfile"] = json!(true);
    let problem = gateway.post("/v1/checkouts").json(&request).await.problem(422, "no_route");
    assert_eq!(problem["routing"]["tried"][0]["outcome"], "its page cannot store a payment method");
    let mut request = quick();
    request["order"]["items"][0]["recurring"] = json!({"interval": "MONTH", "count": 1});
    gateway.post("/v1/checkouts").json(&request).await.problem(422, "no_route");
    request["checkout"]["savePaymentProfile"] = json!(false);
    gateway.post("/v1/checkouts").json(&request).await.expect(201);
}

#[tokio::test]
async fn an_account_that_cannot_keep_to_the_methods_or_the_tries_takes_no_such_checkout() {
    let gateway = Gateway::start().await;
    for (field, value, outcome) in [
        (
            "paymentMethods",
            json!(["CARD", "WALLET"]),
            "its page cannot be restricted to these payment methods",
        ),
        ("maxAttempts", json!(3), "cannot limit the number of tries"),
    ] {
        let mut request = quick();
        request["checkout"][field] = value;
        let problem = gateway.post("/v1/checkouts").json(&request).await.problem(422, "no_route");
        assert_eq!(problem["routing"]["tried"][0]["outcome"], outcome, "{field}");
    }
    for (field, value, code) in [
        ("paymentMethods", json!(["CHEQUE"]), "invalid_value"),
        ("maxAttempts", json!(21), "out_of_range"),
        ("maxAttempts", json!(0), "out_of_range"),
    ] {
        let mut request = quick();
        request["checkout"][field] = value;
        gateway.post("/v1/checkouts").json(&request).await.problem(400, code);
    }
}

#[tokio::test]
async fn an_order_may_be_unpaid_only_where_the_merchants_settings_allow_it() {
    let gateway = Gateway::start().await;
    let mut order = small_order();
    order["requiresPayment"] = json!("OPTIONAL");
    gateway.post("/v1/orders").json(&order).await.problem(422, "unpaid_orders_not_allowed");
    order["requiresPayment"] = json!("REQUIRED");
    gateway.post("/v1/orders").json(&order).await.problem(400, "invalid_value");
    order["requiresPayment"] = json!(null);
    order["requiresPaymentProfile"] = json!("REQUIRED");
    let placed = gateway.post("/v1/orders").json(&order).await.expect(201);
    let path = format!("/v1/orders/{}", id(&placed));
    let unpaid = json!({"requiresPayment": "OPTIONAL"});
    gateway.request("PATCH", &path).json(&unpaid).await.problem(422, "unpaid_orders_not_allowed");
    let priced = gateway.post(&format!("{path}/price")).await_it().await.expect(200);
    assert_eq!(priced["requirements"]["requiresPaymentProfile"], "REQUIRED");

    let gateway = Gateway::with(|settings| {
        let shop = Merchant { unpaid_orders: true, ..settings.merchant("shop") };
        settings.merchants.insert("shop".to_owned(), shop);
    });
    let gateway = gateway.await;
    let order = gateway.priced_order().await;
    let path = format!("/v1/orders/{}", id(&order));
    let changed = gateway.request("PATCH", &path).json(&unpaid).await.expect(200);
    assert_eq!((&changed["requiresPayment"], &changed["price"]), (&json!("OPTIONAL"), &Value::Null));
    let priced = gateway.post(&format!("{path}/price")).await_it().await.expect(200);
    assert_eq!(priced["requirements"]["requiresPayment"], "OPTIONAL");
    let submitted = gateway.post(&format!("{path}/submit")).json(&json!({})).await.expect(200);
    assert_eq!((&submitted["state"], &submitted["payments"]), (&json!("PROCESSING"), &json!([])));
}

#[tokio::test]
async fn beside_an_open_session_no_proof_is_a_missing_one_and_another_is_refused() {
    let gateway = Gateway::start().await;
    let session = gateway.session().await;
    let submit = format!("/v1/orders/{}/submit", session["orderId"].as_str().unwrap());
    let missing = gateway.post(&submit).json(&json!({})).await.problem(412, "requirement_unmet");
    assert_eq!(missing["unmet"], json!(["requiresPayment"]));
    let other = json!({"externalPayment": {"reference": "till 7"}});
    gateway.post(&submit).json(&other).await.problem(409, "payment_session_open");
    let same = json!({"paymentSessionId": session["id"]});
    gateway.post(&submit).json(&same).await.problem(412, "payment_session_unusable");
}

#[tokio::test]
async fn with_nowhere_to_go_the_order_stays_and_the_same_key_goes_on_with_it() {
    let gateway = Gateway::start().await;
    gateway.provider.starts(Start::Down);
    let reply = gateway.post("/v1/checkouts").key("k").json(&quick()).await;
    let problem = reply.problem(503, "providers_unavailable");
    assert_eq!(reply.header("retry-after"), Some("7"));
    let order = problem["orderId"].as_str().unwrap();
    assert_eq!(gateway.get(&format!("/v1/orders/{order}")).await.expect(200)["state"], "PENDING");
    let still =
        gateway.post("/v1/checkouts").key("k").json(&quick()).await.problem(503, "providers_unavailable");
    assert_eq!(still["orderId"], order);
    gateway.provider.starts(Start::Works);
    let both = gateway.post("/v1/checkouts").key("k").json(&quick()).await;
    assert_eq!(both.header("idempotent-replayed"), None);
    assert_eq!(both.expect(201)["order"]["id"], order);
    let again = gateway.post("/v1/checkouts").key("k").json(&quick()).await;
    assert_eq!(again.header("idempotent-replayed"), Some("true"));
    assert_eq!(again.body, both.body);
    assert_eq!(gateway.get("/v1/orders").await.expect(200)["data"].as_array().unwrap().len(), 1);
}

#[tokio::test]
async fn a_page_that_stores_nothing_may_be_paid_where_the_merchant_proves_the_method_otherwise() {
    let gateway = Gateway::start().await;
    let mut request = quick();
    request["order"]["requiresPaymentProfile"] = json!("REQUIRED");
    let problem = gateway.post("/v1/checkouts").key("a").json(&request).await.problem(422, "no_route");
    assert_eq!(problem["routing"]["tried"][0]["outcome"], "its page cannot store a payment method");
    request["checkout"]["savePaymentProfile"] = json!(false);
    let both = gateway.post("/v1/checkouts").key("b").json(&request).await.expect(201);
    // Paid alone it does not submit the order: a session that stores a method has to come too.
    let (order, session) = (id(&both["order"]), id(&both["session"]));
    gateway.provider.say(both["session"]["providerReference"].as_str().unwrap(), "paid");
    gateway.get(&format!("/v1/payment-sessions/{session}?refresh=true")).await.expect(200);
    gateway.run_jobs().await;
    let order = gateway.get(&format!("/v1/orders/{order}")).await.expect(200);
    assert_eq!(
        (&order["state"], &order["attention"]["code"]),
        (&json!("PENDING_PAYMENT"), &json!("PROFILE_MISSING"))
    );
    let submit = format!("/v1/orders/{}/submit", id(&order));
    let alone = json!({"paymentSessionId": session});
    let unmet = gateway.post(&submit).json(&alone).await.problem(412, "requirement_unmet");
    assert_eq!(unmet["unmet"], json!(["requiresPaymentProfile"]));
}

#[tokio::test]
async fn whom_every_account_refuses_is_not_told_to_try_again() {
    let gateway = Gateway::start().await;
    gateway.provider.starts(Start::Locked);
    let reply = gateway.post("/v1/checkouts").key("k").json(&quick()).await;
    let problem = reply.problem(503, "providers_unavailable");
    let detail = problem["detail"].as_str().unwrap();
    assert!(detail.contains("credentials") && detail.contains("operator"), "{detail}");
    assert_eq!(reply.header("retry-after"), None);
    gateway.provider.starts(Start::Works);
    let both = gateway.post("/v1/checkouts").key("k").json(&quick()).await.expect(201);
    assert_eq!(both["order"]["id"], problem["orderId"]);
}

#[tokio::test]
async fn without_a_route_a_quick_order_stays_a_cart() {
    let gateway = Gateway::start().await;
    let mut request = quick();
    request["order"]["currency"] = json!("KWD");
    let problem = gateway.post("/v1/checkouts").key("k").json(&request).await.problem(422, "no_route");
    let order = problem["orderId"].as_str().unwrap();
    assert_eq!(problem["routing"]["tried"][0]["outcome"], "does not take KWD");
    let again = gateway.post("/v1/checkouts").key("k").json(&request).await.problem(422, "no_route");
    assert_eq!(again["orderId"], order);
    let placed = gateway.get(&format!("/v1/orders/{order}")).await.expect(200);
    assert_eq!((&placed["state"], &placed["price"]["currency"]), (&json!("PENDING"), &json!("KWD")));
}

#[tokio::test]
async fn a_refused_start_ends_its_session() {
    let gateway = Gateway::start().await;
    gateway.provider.starts(Start::Refuses);
    let both = gateway.post("/v1/checkouts").json(&quick()).await.expect(201);
    assert_eq!(both["session"]["status"], "FAILED");
    assert_eq!(both["session"]["failure"]["code"], "REJECTED");
    assert_eq!(both["session"]["failure"]["providerCode"], "R1");
    assert_eq!(both["order"]["state"], "PENDING");
}

#[tokio::test]
async fn another_amount_is_never_shown_and_a_repeat_says_the_same() {
    let gateway = Gateway::start().await;
    gateway.provider.starts(Start::Wrong);
    let first = gateway.post("/v1/checkouts").key("k").json(&quick()).await;
    let both = first.expect(201);
    assert_eq!(both["session"]["checkoutUrl"], Value::Null);
    assert_eq!(both["session"]["failure"]["code"], "PROVIDER_ERROR");
    assert_eq!(both["order"]["attention"]["code"], "AMOUNT_MISMATCH");
    let again = gateway.post("/v1/checkouts").key("k").json(&quick()).await;
    assert_eq!(again.value(), both);
}

#[tokio::test]
async fn a_page_that_would_run_a_script_is_never_shown() {
    let gateway = Gateway::start().await;
    gateway.provider.starts(Start::Script);
    let both = gateway.post("/v1/checkouts").key("k").json(&quick()).await.expect(201);
    assert_eq!(both["session"]["checkoutUrl"], Value::Null);
    assert_eq!(both["session"]["failure"]["code"], "PROVIDER_ERROR");
    assert_eq!(both["order"]["attention"]["code"], "CONTRADICTION");
    let again = gateway.post("/v1/checkouts").key("k").json(&quick()).await;
    assert_eq!(again.value(), both);
}

#[tokio::test]
async fn two_reasons_to_look_at_one_start_are_two() {
    let gateway = Gateway::start().await;
    gateway.provider.starts(Start::WrongScript);
    gateway.post("/v1/checkouts").key("k").json(&quick()).await.expect(201);
    let listed = gateway.get("/v1/attention").await.expect(200);
    let raised = listed["data"].as_array().unwrap();
    let of = |name: &str| raised.iter().map(|raised| raised[name].to_string()).collect::<BTreeSet<_>>();
    assert_eq!(of("code"), ["\"AMOUNT_MISMATCH\"".to_owned(), "\"CONTRADICTION\"".to_owned()].into());
    assert_eq!(of("id").len(), 2, "{listed}");
}

#[tokio::test]
async fn a_start_without_an_answer_is_202_until_it_is_known() {
    let gateway = Gateway::start().await;
    gateway.provider.starts(Start::Silent);
    let first = gateway.post("/v1/checkouts").key("k").json(&quick()).await;
    let both = first.expect(202);
    let path = format!("/v1/payment-sessions/{}", id(&both["session"]));
    assert_eq!(first.header("location"), Some(path.as_str()));
    assert_eq!(both["session"]["checkoutUrl"], Value::Null);
    assert_eq!(both["session"]["pendingOperation"]["operation"], "START");
    let again = gateway.post("/v1/checkouts").key("k").json(&quick()).await;
    assert_eq!(again.header("idempotent-replayed"), Some("true"));
    assert_eq!(again.expect(202), both);

    gateway.provider.starts(Start::Works);
    gateway.clock.pass(Duration::from_secs(60));
    let known = gateway.post("/v1/checkouts").key("k").json(&quick()).await;
    assert_eq!(known.header("idempotent-replayed"), Some("true"));
    let known = known.expect(201);
    assert_eq!(known["session"]["id"], both["session"]["id"]);
    assert!(known["session"]["checkoutUrl"].is_string());
    assert_eq!(gateway.provider.objects(), 1);
}

#[tokio::test]
async fn a_cancel_without_an_answer_is_202_and_says_what_is_pending() {
    let gateway = Gateway::start().await;
    let session = gateway.session().await;
    let path = format!("/v1/payment-sessions/{}/cancel", id(&session));
    gateway.provider.fails_once(ProviderError::OutcomeUnknown("silence".to_owned()));
    let reply = gateway.post(&path).key("k").await_it().await;
    assert_eq!(reply.expect(202)["pendingOperation"]["operation"], "CLOSE");
    let again = gateway.post(&path).key("k").await_it().await;
    assert_eq!(again.header("idempotent-replayed"), Some("true"));
    again.expect(202);
}

#[tokio::test]
async fn a_session_cancelled_twice_stays_as_it_is() {
    let gateway = Gateway::start().await;
    let session = gateway.session().await;
    let path = format!("/v1/payment-sessions/{}/cancel", id(&session));
    let stale = gateway.post(&path).header("If-Match", "\"999\"").await_it().await;
    stale.problem(412, "version_mismatch");
    let cancelled = gateway.post(&path).await_it().await.expect(200);
    assert_eq!(cancelled["failure"]["code"], "CANCELLED");
    assert_eq!(gateway.post(&path).await_it().await.expect(200), cancelled);
    let order =
        gateway.get(&format!("/v1/orders/{}", cancelled["orderId"].as_str().unwrap())).await.expect(200);
    assert_eq!(order["state"], "PENDING");
}
