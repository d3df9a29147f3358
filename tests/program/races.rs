//! Things that happen to one order at the same moment, on the real program: every outcome is one that is allowed,
//! and everybody tells the same story afterwards.

use futures_util::StreamExt as _;
use futures_util::stream;
use serde_json::{Value, json};

use super::agreement;
use super::demo::Demo;
use super::fixture::Fixture;
use super::shop::{ACCOUNTS, Answer, TestMerchant};

/// Orders of each race.
const ORDERS: usize = 50;

/// Races that are run at the same time.
const AT_ONCE: usize = 8;

/// Runs a race often. Answers the orders that it was about.
async fn run<F: Future<Output = String> + Send + 'static>(
    merchant: &TestMerchant,
    race: impl Fn(TestMerchant, usize) -> F,
) -> Vec<String> {
    let runs = stream::iter(0..ORDERS).map(|index| tokio::spawn(race(merchant.clone(), index)));
    runs.buffer_unordered(AT_ONCE).map(Result::unwrap).collect().await
}

/// The money agrees everywhere, and the books fit.
async fn ends(demo: Demo, orders: &[String]) {
    agreement::check_money(&demo.merchant, orders).await;
    demo.ends();
}

/// What is sold in a race: one thing at an account.
fn one(account: &str, capture: &str) -> Value {
    let mut body = TestMerchant::order(Some(account), "EUR", 1999);
    body["checkout"]["captureMode"] = json!(capture);
    body
}

/// The provider tells again, twice.
async fn notify(merchant: &TestMerchant, fixture: &Fixture) {
    let again = json!({"provider": fixture.provider, "id": fixture.object, "copies": 2, "order": "reverse"});
    assert_eq!(merchant.control("notify", &again).await, 202);
}

/// Somebody asks the provider.
async fn poll(merchant: &TestMerchant, fixture: &Fixture) -> Value {
    merchant.get(&format!("/v1/payment-sessions/{}?refresh=true", fixture.session)).await
}

/// The outcome of an answer in a word: its code if it is a problem, else its status.
fn word(answer: &Answer) -> String {
    if answer.status < 300 { answer.status.to_string() } else { answer.code() }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn refunds_at_once_never_give_back_more_than_was_taken() {
    let demo = Demo::start();
    let orders = run(&demo.merchant, |merchant, index| async move {
        let account = ["decta-demo", "paymennt-demo"][index % 2];
        let fixture = Fixture::paid(&merchant, &format!("e-{index}"), &one(account, "AUTOMATIC")).await;
        let refund = |key| fixture.operate(&merchant, "refunds", key, json!({"amount": 900}));
        let (a, b, c) = tokio::join!(refund("a"), refund("b"), refund("c"));
        let mut words = [a, b, c].map(|answer| word(&answer));
        words.sort();
        // Two of 900 fit into 1999, and it makes no difference which. The second waits behind the first.
        assert!(words[..2].iter().all(|word| word == "201" || word == "202"), "{words:?}");
        assert_eq!(words[2], "amount_exceeds_captured", "{words:?}");
        let payment = fixture.until(&merchant, |payment| payment["refunded"] == 1800).await;
        assert_eq!((&payment["captured"], &payment["refundable"]), (&json!(1999), &json!(199)), "{payment}");
        fixture.order
    });
    let orders = orders.await;
    ends(demo, &orders).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_a_capture_and_a_void_at_once_one_happens() {
    let demo = Demo::start();
    let orders = run(&demo.merchant, |merchant, index| async move {
        let fixture = Fixture::paid(&merchant, &format!("e-{index}"), &one("decta-demo", "MANUAL")).await;
        let void = fixture.operate(&merchant, "void", "v", json!({}));
        let capture = fixture.operate(&merchant, "capture", "c", json!({}));
        let (void, capture) = if index % 2 == 0 {
            tokio::join!(void, capture)
        } else {
            let (capture, void) = tokio::join!(capture, void);
            (void, capture)
        };
        // The later one finds an operation under way, or a payment that is not AUTHORIZED any more.
        let late = |answer: &Answer| matches!(word(answer).as_str(), "operation_pending" | "invalid_state");
        let (status, captured) = match (word(&capture).as_str(), word(&void).as_str()) {
            ("200", _) if late(&void) => ("PAID", 1999),
            (_, "200") if late(&capture) => ("CANCELLED", 0),
            other => panic!("{other:?}"),
        };
        let payment = fixture.until(&merchant, |payment| payment["pendingOperation"].is_null()).await;
        assert_eq!(
            (&payment["status"], &payment["captured"]),
            (&json!(status), &json!(captured)),
            "{payment}"
        );
        fixture.order
    });
    let orders = orders.await;
    ends(demo, &orders).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_payment_that_is_seen_from_all_sides_at_once_counts_once() {
    let demo = Demo::start();
    let orders = run(&demo.merchant, |merchant, index| async move {
        let account = ACCOUNTS[index % ACCOUNTS.len()];
        let fixture = Fixture::opened(&merchant, &format!("e-{index}"), &one(account, "AUTOMATIC")).await;
        let path = format!("/v1/orders/{}/submit", fixture.order);
        let (key, submit) = (format!("s-{index}"), json!({"paymentSessionId": fixture.session}));
        // The customer's payment tells the provider's notice and brings the customer back; meanwhile the provider
        // repeats itself, the merchant polls, and somebody submits by hand.
        let (_, (), (), polled, by_hand) = tokio::join!(
            merchant.pay(&fixture.page),
            notify(&merchant, &fixture),
            notify(&merchant, &fixture),
            poll(&merchant, &fixture),
            merchant.send(&path, &key, &submit),
        );
        assert!(
            matches!(polled["status"].as_str(), Some("PENDING" | "REQUIRES_ACTION" | "COMPLETED")),
            "{polled}"
        );
        // By hand it is too early, or it changes nothing that the payment did not do by itself.
        assert!(
            matches!(word(&by_hand).as_str(), "200" | "payment_session_unusable" | "payment_session_open"),
            "{}",
            by_hand.text
        );
        merchant.until(&fixture.order, |order| order["state"] == "PROCESSING").await;
        tokio::join!(notify(&merchant, &fixture), poll(&merchant, &fixture));
        let timeline = merchant.get(&format!("/v1/orders/{}/timeline?limit=200", fixture.order)).await;
        let entries = timeline["data"].as_array().unwrap();
        let count = |kind: &str, to: &Value| {
            entries.iter().filter(|entry| entry["type"] == kind && entry["to"] == *to).count()
        };
        let once = [
            count("order.proof", &Value::Null),
            count("session.moved", &json!("COMPLETED")),
            count("order.moved", &json!("SUBMITTED")),
            count("order.moved", &json!("PROCESSING")),
        ];
        assert_eq!(once, [1; 4], "{timeline}");
        fixture.order
    });
    let orders = orders.await;
    agreement::check(&demo.merchant, &orders).await;
    ends(demo, &orders).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_checkout_and_a_cancel_at_once_leave_a_cancelled_order_that_nobody_can_pay() {
    let demo = Demo::start();
    let orders = run(&demo.merchant, |merchant, index| async move {
        let account = ACCOUNTS[index % ACCOUNTS.len()];
        let body = TestMerchant::order(Some(account), "EUR", 1999);
        let made = merchant.send("/v1/orders", &format!("o-{index}"), &body["order"]).await.body();
        let order = made["id"].as_str().unwrap().to_owned();
        let path = format!("/v1/orders/{order}");
        let key = |what: &str| format!("{what}-{index}");
        assert_eq!(merchant.send(&format!("{path}/price"), &key("p"), &json!({})).await.status, 200);
        let (checkout, cancel) = (format!("{path}/checkout"), format!("{path}/cancel"));
        let (opens, ends, nothing) = (key("open"), key("end"), json!({}));
        let (open, end) = tokio::join!(
            merchant.send(&checkout, &opens, &body["checkout"]),
            merchant.send(&cancel, &ends, &nothing)
        );
        assert_eq!(word(&end), "200", "{}", end.text);
        assert!(matches!(word(&open).as_str(), "201" | "202" | "invalid_state"), "{}", open.text);
        // The customer was shown the page before the order was cancelled, and tries.
        if let Some(page) = open.body()["checkoutUrl"].as_str() {
            merchant.pay(page).await;
        }
        let ended = merchant.until(&order, |order| {
            let open = |payment: &Value| matches!(payment["status"].as_str(), Some("PENDING" | "PROCESSING"));
            !order["payments"].as_array().unwrap().iter().any(open)
        });
        let ended = ended.await;
        assert_eq!(ended["state"], "CANCELLED", "{ended}");
        let kept = |payment: &Value| payment["captured"].as_i64() > payment["refunded"].as_i64();
        let kept = ended["payments"].as_array().unwrap().iter().any(kept);
        // Money that was too fast to be stopped is there for a person to see.
        assert!(!kept || ended["attention"].is_object(), "{ended}");
        order
    });
    let orders = orders.await;
    ends(demo, &orders).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_submit_while_the_page_expires_submits_or_finds_the_session_open() {
    let demo = Demo::start();
    let orders = run(&demo.merchant, |merchant, index| async move {
        let account = ACCOUNTS[index % ACCOUNTS.len()];
        let fixture = Fixture::opened(&merchant, &format!("e-{index}"), &one(account, "AUTOMATIC")).await;
        let expire = json!({"provider": fixture.provider, "id": fixture.object, "outcome": "expired"});
        let path = format!("/v1/orders/{}/submit", fixture.order);
        let (key, till) = (format!("s-{index}"), json!({"externalPayment": {"reference": "till-7"}}));
        let (expired, _, submit) = tokio::join!(
            merchant.control("pay", &expire),
            poll(&merchant, &fixture),
            merchant.send(&path, &key, &till),
        );
        assert_eq!(expired, 200);
        let submitted = match word(&submit).as_str() {
            "200" => true,
            "payment_session_open" => false,
            other => panic!("{other}: {}", submit.text),
        };
        let state = if submitted { "PROCESSING" } else { "PENDING" };
        let order = merchant.until(&fixture.order, |order| order["state"] == state).await;
        assert_eq!(order["externalPayment"].is_object(), submitted, "{order}");
        // The same key may try again what was refused, and repeats what was done.
        let again = merchant.send(&path, &key, &till).await;
        assert_eq!((again.status, again.replayed), (200, submitted), "{}", again.text);
        fixture.order
    });
    let orders = orders.await;
    ends(demo, &orders).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_operators_and_a_merchant_at_once_give_the_money_back_at_most_once() {
    let demo = Demo::start();
    let orders = run(&demo.merchant, |merchant, index| async move {
        let account = ["decta-demo", "paymennt-demo"][index % 2];
        let fixture = Fixture::paid(&merchant, &format!("e-{index}"), &one(account, "AUTOMATIC")).await;
        let path = format!("/v1/orders/{}/fulfil", fixture.order);
        let failed = merchant.send(&path, &format!("f-{index}"), &json!({"outcome": "FAILED"})).await;
        let attention =
            format!("/v1/attention/{}/resolve", failed.body()["attention"]["id"].as_str().unwrap());
        let (one, other) = (format!("r-{index}"), format!("d-{index}"));
        let (back, dismissed) = (json!({"decision": "REFUND"}), json!({"decision": "DISMISS"}));
        let (refunding, dismissing, refunded, (), _) = tokio::join!(
            merchant.send(&attention, &one, &back),
            merchant.send(&attention, &other, &dismissed),
            fixture.operate(&merchant, "refunds", "m", json!({})),
            notify(&merchant, &fixture),
            poll(&merchant, &fixture),
        );
        // One decision counts. A merchant who is faster leaves the operator nothing to give back; one who is later
        // finds nothing left, unless the decision was to leave the money.
        match [&refunding, &dismissing, &refunded].map(word).each_ref().map(String::as_str) {
            ["200", "invalid_state", "201" | "202" | "amount_exceeds_captured"]
            | ["invalid_state", "200", "201" | "202"] => {}
            other => panic!("{other:?}"),
        }
        let payment = fixture.until(&merchant, |payment| payment["refunded"] == 1999).await;
        assert_eq!(payment["captured"], 1999, "{payment}");
        fixture.order
    });
    let orders = orders.await;
    ends(demo, &orders).await;
}
