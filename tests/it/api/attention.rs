//! What needs a person: listed, decided, or decided by the merchant's policy.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use paymux::domain::{Actor, AttentionCode, AttentionDecision};
use paymux::engine::Command;
use paymux::payments::RefundPolicies;
use port::{OrderId, ProviderError};
use serde_json::{Value, json};

use super::gateway::{FINANCE_KEY, OTHER_KEY};
use super::{Gateway, Start, hosted, id, small_order};

impl Gateway {
    /// A session that was cancelled and paid all the same.
    async fn paid_late(&self) -> Value {
        let session = self.session().await;
        let path = format!("/v1/payment-sessions/{}", id(&session));
        self.post(&format!("{path}/cancel")).await_it().await.expect(200);
        self.clock.pass(Duration::from_secs(60));
        self.provider.say(session["providerReference"].as_str().unwrap(), "paid");
        self.get(&format!("{path}?refresh=true")).await.expect(200)
    }

    async fn open_attention(&self) -> Vec<Value> {
        let list = self.get("/v1/attention?open=true").await.expect(200);
        list["data"].as_array().unwrap().clone()
    }

    async fn the_order(&self, session: &Value) -> Value {
        self.get(&format!("/v1/orders/{}", session["orderId"].as_str().unwrap())).await.expect(200)
    }

    async fn the_payment(&self, session: &Value) -> Value {
        self.get(&format!("/v1/payments/{}", session["paymentId"].as_str().unwrap())).await.expect(200)
    }

    /// The merchant wants late money back at once.
    fn gives_late_money_back(&self) {
        let own = BTreeMap::from([("shop".to_owned(), BTreeSet::from([AttentionCode::LatePayment]))]);
        let policies = RefundPolicies { common: BTreeSet::new(), own };
        self.orders.refund_policies.store(Arc::new(policies));
    }
}

fn decide(raised: &Value) -> String {
    format!("/v1/attention/{}/resolve", id(raised))
}

#[tokio::test]
async fn late_money_that_is_kept_submits_its_order_and_the_timeline_says_who_and_why() {
    let gateway = Gateway::start().await;
    let session = gateway.paid_late().await;
    let [raised] = gateway.open_attention().await.try_into().unwrap();
    assert_eq!((&raised["code"], &raised["account"]), (&json!("LATE_PAYMENT"), &json!("one")));
    assert_eq!((&raised["decision"], &raised["version"]), (&Value::Null, &json!(1)));
    assert_eq!(gateway.the_payment(&session).await["needsAttention"], true);

    let body = json!({"decision": "KEEP", "note": "Ann called"});
    let first = gateway.post(&decide(&raised)).key("k").json(&body).await;
    let kept = first.expect(200);
    assert_eq!((&kept["decision"], &kept["note"]), (&json!("KEEP"), &json!("Ann called")));
    assert!(kept["resolvedAt"].is_string());
    assert_eq!(first.header("etag"), Some("\"2\""));
    let again = gateway.post(&decide(&raised)).key("k").json(&body).await;
    assert_eq!((again.body, again.status), (first.body, 200));
    gateway.post(&decide(&raised)).json(&body).await.problem(409, "invalid_state");

    assert_eq!(gateway.the_order(&session).await["state"], "PROCESSING");
    assert_eq!(gateway.the_payment(&session).await["needsAttention"], false);
    assert_eq!(gateway.open_attention().await, [] as [Value; 0]);
    let path = format!("/v1/orders/{}/timeline", session["orderId"].as_str().unwrap());
    let timeline = gateway.get(&path).await.expect(200);
    let entries = timeline["data"].as_array().unwrap();
    let entry = entries.iter().find(|entry| entry["type"] == "attention.resolved").unwrap();
    assert_eq!((&entry["actor"], &entry["to"]), (&json!("OPERATOR"), &json!("KEEP")));
    assert_eq!(entry["detail"], "Ann called");
}

#[tokio::test]
async fn late_money_goes_back_and_stays_a_persons_task_if_the_provider_refuses() {
    let gateway = Gateway::start().await;
    let session = gateway.paid_late().await;
    let [raised] = gateway.open_attention().await.try_into().unwrap();
    gateway.provider.fails_once(ProviderError::declined(Some("05"), Some("no")));
    gateway.post(&decide(&raised)).json(&json!({"decision": "REFUND"})).await.expect(200);
    let [again] = gateway.open_attention().await.try_into().unwrap();
    assert_eq!(again["code"], "REFUND_NEEDED");
    gateway.post(&decide(&again)).json(&json!({"decision": "REFUND"})).await.expect(200);
    let payment = gateway.the_payment(&session).await;
    assert_eq!((&payment["status"], &payment["needsAttention"]), (&json!("REFUNDED"), &json!(false)));
    let path = format!("/v1/payments/{}/refunds", id(&payment));
    let refunds = gateway.get(&path).await.expect(200);
    let [newest, oldest] = [&refunds["data"][0], &refunds["data"][1]];
    assert_eq!((&newest["status"], &newest["origin"]), (&json!("SUCCEEDED"), &json!("POLICY")));
    assert_eq!(oldest["status"], "FAILED");
}

/// An answer that cannot be read.
fn gibberish() -> ProviderError {
    ProviderError::Unreadable("not JSON".to_owned())
}

impl Gateway {
    /// Lets time pass while every operation of the provider fails like this.
    async fn lives_with(&self, fault: ProviderError, minutes: u64) {
        self.provider.breaks(fault);
        self.works_for(minutes).await;
        self.provider.works();
    }

    async fn works_for(&self, minutes: u64) {
        for _ in 0..minutes {
            self.clock.pass(Duration::from_secs(60));
            self.run_jobs().await;
        }
    }
}

#[tokio::test]
async fn answers_that_are_unreadable_for_a_quarter_of_an_hour_are_a_persons_task_while_the_session_lives() {
    let gateway = Gateway::start().await;
    let session = gateway.session().await;
    gateway.lives_with(gibberish(), 14).await;
    assert_eq!(gateway.open_attention().await, [] as [Value; 0]);
    gateway.lives_with(gibberish(), 2).await;
    let [raised] = gateway.open_attention().await.try_into().unwrap();
    assert_eq!(raised["code"], "UNREADABLE_ANSWER");
    let payment = gateway.the_payment(&session).await;
    assert_eq!((&payment["status"], &payment["needsAttention"]), (&json!("PENDING"), &json!(true)));
    gateway.post(&decide(&raised)).json(&json!({"decision": "DISMISS"})).await.expect(200);
    gateway.lives_with(gibberish(), 14).await;
    assert_eq!(gateway.open_attention().await, [] as [Value; 0], "a person has just looked");
    gateway.lives_with(gibberish(), 2).await;
    assert_eq!(gateway.open_attention().await[0]["code"], "UNREADABLE_ANSWER");
}

#[tokio::test]
async fn a_paid_payment_is_read_until_what_was_notified_of_it_can_be_read() {
    let gateway = Gateway::start().await;
    let session = gateway.paid_session("AUTOMATIC").await;
    gateway.clock.pass(Duration::from_secs(60));
    let reference = session["providerReference"].as_str().unwrap();
    gateway.notified(&json!([{"reference": reference, "merchant_reference": null, "event": "e-9"}])).await;
    gateway.lives_with(gibberish(), 30).await;
    let [raised] = gateway.open_attention().await.try_into().unwrap();
    assert_eq!(raised["code"], "UNREADABLE_ANSWER");
    gateway.provider.say(reference, "charged_back");
    gateway.works_for(60).await;
    assert_eq!(gateway.the_payment(&session).await["status"], "DISPUTED");
}

#[tokio::test]
async fn an_answer_that_can_be_read_begins_the_quarter_of_an_hour_anew() {
    let gateway = Gateway::start().await;
    gateway.session().await;
    gateway.lives_with(gibberish(), 10).await;
    gateway.works_for(10).await;
    gateway.lives_with(gibberish(), 10).await;
    assert_eq!(gateway.open_attention().await, [] as [Value; 0]);
}

#[tokio::test]
async fn a_status_that_nobody_knows_is_no_news_but_a_persons_task_and_counted() {
    let gateway = Gateway::start().await;
    let session = gateway.session().await;
    gateway.provider.say(session["providerReference"].as_str().unwrap(), "of_tomorrow");
    gateway.get(&format!("/v1/payment-sessions/{}?refresh=true", id(&session))).await.expect(200);
    let [raised] = gateway.open_attention().await.try_into().unwrap();
    assert_eq!(raised["code"], "UNKNOWN_WORD");
    assert_eq!(gateway.the_payment(&session).await["status"], "PENDING");
    assert_eq!(gateway.the_order(&session).await["state"], "PENDING_PAYMENT");
    let counted = "paymux_unknown_provider_statuses_total{provider=\"teller\"} 1";
    assert!(gateway.orders.payments.engine.metrics.render().contains(counted));
}

#[tokio::test]
async fn an_outage_of_the_provider_is_no_unreadable_answer() {
    let gateway = Gateway::start().await;
    gateway.session().await;
    gateway.lives_with(ProviderError::Unavailable("HTTP 503".to_owned()), 25).await;
    assert_eq!(gateway.open_attention().await, [] as [Value; 0]);
}

#[tokio::test]
async fn a_refund_of_unknown_outcome_is_asked_about_until_a_person_takes_it_as_not_done() {
    let gateway = Gateway::start().await;
    let session = gateway.paid_session("AUTOMATIC").await;
    let path = format!("/v1/payments/{}", session["paymentId"].as_str().unwrap());
    gateway.provider.fails_once(ProviderError::OutcomeUnknown("silence".to_owned()));
    let requested = gateway.post(&format!("{path}/refunds")).key("r").json(&json!({"amount": 300})).await;
    let refund = requested.expect(202);
    assert_eq!(refund["status"], "PENDING");
    gateway.clock.pass(Duration::from_secs(16 * 60));
    gateway.run_jobs().await;
    let [raised] = gateway.open_attention().await.try_into().unwrap();
    assert_eq!(raised["code"], "OUTCOME_UNKNOWN");
    gateway.post(&decide(&raised)).json(&json!({"decision": "DISMISS"})).await.expect(200);
    let payment = gateway.get(&path).await.expect(200);
    assert_eq!((&payment["pendingOperation"], &payment["refundable"]), (&Value::Null, &json!(1250)));
    let failed = gateway.get(&format!("/v1/refunds/{}", id(&refund))).await.expect(200);
    assert_eq!(failed["status"], "FAILED");
    gateway.run_jobs().await;
}

#[tokio::test]
async fn the_merchants_policy_gives_late_money_back_even_if_the_gateway_stopped_in_between() {
    let gateway = Gateway::start().await;
    gateway.gives_late_money_back();
    // Nothing but the job leads from the attention to the refund.
    let session = gateway.paid_late().await;
    assert_eq!(gateway.open_attention().await.len(), 1);
    gateway.run_jobs().await;
    let payment = gateway.the_payment(&session).await;
    assert_eq!((&payment["status"], &payment["needsAttention"]), (&json!("REFUNDED"), &json!(false)));
    let all = gateway.get("/v1/attention?open=false").await.expect(200);
    assert_eq!(all["data"][0]["decision"], "REFUND");
    assert_eq!(gateway.the_order(&session).await["state"], "PENDING");
}

#[tokio::test]
async fn the_merchants_policy_gives_no_money_back_that_an_order_was_submitted_with_before_its_turn() {
    let gateway = Gateway::start().await;
    let common = BTreeSet::from([AttentionCode::PaidNotSubmitted]);
    let policies = RefundPolicies { common, own: BTreeMap::new() };
    gateway.orders.refund_policies.store(Arc::new(policies));
    let mut order = small_order();
    order["autoSubmit"] = false.into();
    let requested = json!({"order": order, "checkout": hosted()});
    let session = gateway.post("/v1/checkouts").json(&requested).await.expect(201)["session"].clone();
    gateway.provider.say(session["providerReference"].as_str().unwrap(), "paid");
    let path = format!("/v1/payment-sessions/{}?refresh=true", id(&session));
    gateway.get(&path).await.expect(200);
    gateway.clock.pass(Duration::from_secs(24 * 3_600));
    let order_id: OrderId = session["orderId"].as_str().unwrap().parse().unwrap();
    let command = Command::of(Actor::Scheduler);
    gateway.orders.expire(order_id, &command).await.unwrap();
    let order = gateway.orders.order("shop", order_id).await.unwrap();
    let proof = json!({"paymentSessionId": id(&session)});
    gateway.post(&format!("/v1/orders/{order_id}/submit")).json(&proof).await.expect(200);
    gateway.orders.apply_policy(order_id, order.attention[0].id, &command).await.unwrap();
    gateway.run_jobs().await;
    assert_eq!(gateway.the_payment(&session).await["status"], "PAID");
}

#[tokio::test]
async fn a_person_and_the_policy_who_decide_at_once_give_money_back_once() {
    let gateway = Gateway::start().await;
    gateway.gives_late_money_back();
    let command = Command::of(Actor::Operator);
    for _ in 0..20 {
        let session = gateway.paid_late().await;
        let order: OrderId = session["orderId"].as_str().unwrap().parse().unwrap();
        let raised = gateway.orders.order("shop", order).await.unwrap().attention[0].id;
        let person =
            gateway.orders.on("shop", &command, order).resolve(raised, AttentionDecision::Refund, None);
        let policy = gateway.orders.apply_policy(order, raised, &command);
        // Whoever is too slow is refused, or has nothing to do.
        let (_, policy) = tokio::join!(person, policy);
        policy.unwrap();
        let reference = session["providerReference"].as_str().unwrap();
        assert_eq!(gateway.provider.refunded(reference), 1250);
    }
}

#[tokio::test]
async fn without_a_policy_late_money_waits_for_a_person() {
    let gateway = Gateway::start().await;
    let session = gateway.paid_late().await;
    gateway.run_jobs().await;
    gateway.gives_late_money_back();
    gateway.run_jobs().await;
    assert_eq!(gateway.the_payment(&session).await["status"], "PAID");
    assert_eq!(gateway.open_attention().await.len(), 1);
}

#[tokio::test]
async fn the_list_shows_the_merchants_own_by_state_code_and_account_and_page_by_page() {
    let gateway = Gateway::start().await;
    for _ in 0..3 {
        gateway.paid_late().await;
    }
    let newest = gateway.open_attention().await;
    let list = |query: &str| format!("/v1/attention?{query}");
    let count = async |query: &str| {
        let page = gateway.get(&list(query)).await.expect(200);
        page["data"].as_array().unwrap().len()
    };
    assert_eq!(count("code=LATE_PAYMENT&account=one").await, 3);
    assert_eq!(count("account=two").await, 0);
    assert_eq!(count("code=DISPUTE").await, 0);
    assert_eq!(count("open=false").await, 0);
    let first = gateway.get(&list("limit=2")).await.expect(200);
    assert_eq!(first["data"], json!(newest[..2]));
    let cursor = format!("limit=2&cursor={}", first["nextCursor"].as_str().unwrap());
    let second = gateway.get(&list(&cursor)).await.expect(200);
    assert_eq!(second, json!({"data": newest[2..], "nextCursor": null}));
    gateway.get(&list("code=LATE&open=1")).await.problem(400, "validation_failed");
}

#[tokio::test]
async fn a_decision_needs_the_scope_the_word_the_version_and_the_merchant() {
    let gateway = Gateway::start().await;
    gateway.paid_late().await;
    let [raised] = gateway.open_attention().await.try_into().unwrap();
    let keep = json!({"decision": "KEEP"});
    let request =
        |key: &str| gateway.post(&decide(&raised)).header("Authorization", &format!("Bearer {key}"));
    request(FINANCE_KEY).json(&keep).await.problem(403, "scope_missing");
    request(OTHER_KEY).json(&keep).await.problem(403, "scope_missing");
    gateway.post(&decide(&raised)).json(&json!({"decision": "LATER"})).await.problem(400, "invalid_value");
    gateway.post(&decide(&raised)).json(&json!({})).await.problem(400, "field_missing");
    let stale = gateway.post(&decide(&raised)).header("If-Match", "\"2\"").json(&keep).await;
    stale.problem(412, "version_mismatch");
    gateway.post("/v1/attention/ord_1/resolve").json(&keep).await.problem(404, "not_found");
    gateway.post(&decide(&raised)).header("If-Match", "\"1\"").json(&keep).await.expect(200);
}

#[tokio::test]
async fn money_over_another_amount_goes_back_as_stated() {
    let gateway = Gateway::start().await;
    let session = gateway.session().await;
    let reference = session["providerReference"].as_str().unwrap();
    gateway.provider.states(reference, 1300);
    gateway.provider.say(reference, "paid");
    gateway.get(&format!("/v1/payment-sessions/{}?refresh=true", id(&session))).await.expect(200);
    let [raised] = gateway.open_attention().await.try_into().unwrap();
    assert_eq!((&raised["code"], &raised["stated"]["amount"]), (&json!("AMOUNT_MISMATCH"), &json!(1300)));
    gateway.post(&decide(&raised)).json(&json!({"decision": "REFUND"})).await.expect(200);
    assert_eq!(gateway.provider.refunded(reference), 1300);
    let payment = gateway.the_payment(&session).await;
    assert_eq!((&payment["captured"], &payment["pendingOperation"]), (&json!(0), &Value::Null));
    assert_eq!(gateway.open_attention().await, [] as [Value; 0]);
}

#[tokio::test]
async fn money_over_another_amount_can_go_back_after_the_sessions_time_too_and_frees_the_order() {
    const TWO_HOURS: Duration = Duration::from_secs(2 * 3_600);
    for late in [false, true] {
        let gateway = Gateway::start().await;
        let session = gateway.session().await;
        let reference = session["providerReference"].as_str().unwrap();
        gateway.provider.states(reference, 1300);
        gateway.provider.say(reference, "paid");
        let path = format!("/v1/payment-sessions/{}", id(&session));
        gateway.get(&format!("{path}?refresh=true")).await.expect(200);
        if late {
            gateway.clock.pass(TWO_HOURS);
            gateway.run_jobs().await;
            assert_eq!(gateway.get(&path).await.expect(200)["pendingOperation"]["operation"], "CLOSE");
        }
        let raised = gateway.open_attention().await.remove(0);
        assert_eq!(raised["code"], "AMOUNT_MISMATCH");
        gateway.post(&decide(&raised)).json(&json!({"decision": "REFUND"})).await.expect(200);
        assert_eq!(gateway.provider.refunded(reference), 1300);
        gateway.clock.pass(TWO_HOURS);
        gateway.run_jobs().await;
        let ended = gateway.get(&path).await.expect(200);
        let failure = (&ended["status"], &ended["failure"]["code"]);
        assert_eq!(failure, (&json!("FAILED"), &json!("EXPIRED")), "late: {late}");
        assert_eq!(gateway.the_order(&session).await["state"], "PENDING");
    }
}

#[tokio::test]
async fn another_amount_that_nobody_has_paid_is_a_persons_task_and_not_a_refund() {
    let gateway = Gateway::start().await;
    let common = BTreeSet::from([AttentionCode::AmountMismatch]);
    let policies = RefundPolicies { common, own: BTreeMap::new() };
    gateway.orders.refund_policies.store(Arc::new(policies));
    gateway.provider.starts(Start::Wrong);
    let order = gateway.priced_order().await;
    let session =
        gateway.post(&format!("/v1/orders/{}/checkout", id(&order))).json(&hosted()).await.expect(201);
    assert_eq!(session["failure"]["code"], "PROVIDER_ERROR");
    gateway.run_jobs().await;
    let [raised] = gateway.open_attention().await.try_into().unwrap();
    assert_eq!((&raised["code"], &raised["stated"]), (&json!("AMOUNT_MISMATCH"), &Value::Null));
    assert_eq!(raised["detail"], "asked for 12.50 EUR, the provider states 12.51 EUR");
    gateway.post(&decide(&raised)).json(&json!({"decision": "REFUND"})).await.problem(409, "invalid_state");
    gateway.post(&decide(&raised)).json(&json!({"decision": "DISMISS"})).await.expect(200);
    assert_eq!(gateway.open_attention().await, [] as [Value; 0]);
    assert_eq!(gateway.the_payment(&session).await["pendingOperation"], Value::Null);
}

#[tokio::test]
async fn a_provider_that_asks_for_another_amount_is_shown_to_a_person() {
    let gateway = Gateway::start().await;
    gateway.provider.starts(Start::Misquotes);
    let order = gateway.priced_order().await;
    let session =
        gateway.post(&format!("/v1/orders/{}/checkout", id(&order))).json(&hosted()).await.expect(201);
    assert_eq!(
        (&session["status"], &session["failure"]["code"]),
        (&json!("FAILED"), &json!("PROVIDER_ERROR"))
    );
    let [raised] = gateway.open_attention().await.try_into().unwrap();
    assert_eq!((&raised["code"], &raised["account"]), (&json!("AMOUNT_MISMATCH"), &json!("one")));
    assert_eq!(raised["detail"], "the provider asks for another amount: 12.51 EUR");
    assert_eq!(gateway.the_payment(&session).await["needsAttention"], true);
    assert_eq!(gateway.the_order(&session).await["state"], "PENDING");
}
