//! Things that happen to one order at the same moment, on the real program: every outcome is one that is allowed,
//! and all views agree afterwards.

use futures_util::StreamExt as _;
use futures_util::stream;
use serde_json::{Value, json};

use super::agreement;
use super::demo::Demo;
use super::sale::Sale;
use super::shop::{ACCOUNTS, Answer, Shop};

/// Orders of each race.
const ORDERS: usize = 50;

/// Races that are run at the same time.
const AT_ONCE: usize = 8;

/// Runs a race often. Answers the orders that it was about.
async fn run<F: Future<Output = String> + Send + 'static>(
    shop: &Shop,
    race: impl Fn(Shop, usize) -> F,
) -> Vec<String> {
    let runs = stream::iter(0..ORDERS).map(|index| tokio::spawn(race(shop.clone(), index)));
    runs.buffer_unordered(AT_ONCE).map(Result::unwrap).collect().await
}

/// The money agrees everywhere, and the records fit.
async fn ends(demo: Demo, orders: &[String]) {
    agreement::check_money(&demo.shop, orders).await;
    demo.ends();
}

/// What is sold in a race: one thing at an account.
fn one(account: &str, capture: &str) -> Value {
    let mut body = Shop::order(Some(account), "EUR", 1999);
    body["checkout"]["captureMode"] = json!(capture);
    body
}

/// The provider sends its notification twice more.
async fn notify(shop: &Shop, sale: &Sale) {
    let again = json!({"provider": sale.provider, "id": sale.object, "copies": 2, "order": "reverse"});
    assert_eq!(shop.control("notify", &again).await, 202);
}

/// Somebody asks the provider.
async fn poll(shop: &Shop, sale: &Sale) -> Value {
    shop.get(&format!("/v1/payment-sessions/{}?refresh=true", sale.session)).await
}

/// The outcome of an answer: its code if it is a problem, else its status.
fn code_or_status(answer: &Answer) -> String {
    if answer.status < 300 { answer.status.to_string() } else { answer.code() }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn refunds_at_once_never_give_back_more_than_was_taken() {
    let demo = Demo::start();
    let orders = run(&demo.shop, |shop, index| async move {
        let account = ["decta-demo", "paymennt-demo"][index % 2];
        let sale = Sale::paid(&shop, &format!("e-{index}"), &one(account, "AUTOMATIC")).await;
        let refund = |key| sale.operate(&shop, "refunds", key, json!({"amount": 900}));
        let (a, b, c) = tokio::join!(refund("a"), refund("b"), refund("c"));
        let mut statuses = [a, b, c].map(|answer| code_or_status(&answer));
        statuses.sort();
        // Two of 900 fit into 1999, and it makes no difference which. The second waits behind the first.
        assert!(statuses[..2].iter().all(|status| status == "201" || status == "202"), "{statuses:?}");
        assert_eq!(statuses[2], "amount_exceeds_captured", "{statuses:?}");
        let payment = sale.until(&shop, |payment| payment["refunded"] == 1800).await;
        assert_eq!((&payment["captured"], &payment["refundable"]), (&json!(1999), &json!(199)), "{payment}");
        sale.order
    });
    let orders = orders.await;
    ends(demo, &orders).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_a_capture_and_a_void_at_once_one_happens() {
    let demo = Demo::start();
    let orders = run(&demo.shop, |shop, index| async move {
        let sale = Sale::paid(&shop, &format!("e-{index}"), &one("decta-demo", "MANUAL")).await;
        let void = sale.operate(&shop, "void", "v", json!({}));
        let capture = sale.operate(&shop, "capture", "c", json!({}));
        let (void, capture) = if index % 2 == 0 {
            tokio::join!(void, capture)
        } else {
            let (capture, void) = tokio::join!(capture, void);
            (void, capture)
        };
        // The later one finds an operation under way, or a payment that is not AUTHORIZED any more.
        let late = |answer: &Answer| {
            matches!(code_or_status(answer).as_str(), "operation_pending" | "invalid_state")
        };
        let (status, captured) = match (code_or_status(&capture).as_str(), code_or_status(&void).as_str()) {
            ("200", _) if late(&void) => ("PAID", 1999),
            (_, "200") if late(&capture) => ("CANCELLED", 0),
            other => panic!("{other:?}"),
        };
        let payment = sale.until(&shop, |payment| payment["pendingOperation"].is_null()).await;
        assert_eq!(
            (&payment["status"], &payment["captured"]),
            (&json!(status), &json!(captured)),
            "{payment}"
        );
        sale.order
    });
    let orders = orders.await;
    ends(demo, &orders).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_payment_that_is_seen_from_all_sides_at_once_counts_once() {
    let demo = Demo::start();
    let orders = run(&demo.shop, |shop, index| async move {
        let account = ACCOUNTS[index % ACCOUNTS.len()];
        let sale = Sale::opened(&shop, &format!("e-{index}"), &one(account, "AUTOMATIC")).await;
        let path = format!("/v1/orders/{}/submit", sale.order);
        let (key, submit) = (format!("s-{index}"), json!({"paymentSessionId": sale.session}));
        // The customer pays: the provider notifies and redirects the customer; meanwhile the provider repeats its
        // notification, the merchant polls, and an operator submits by hand.
        let (_, (), (), polled, by_hand) = tokio::join!(
            shop.pay(&sale.page),
            notify(&shop, &sale),
            notify(&shop, &sale),
            poll(&shop, &sale),
            shop.send(&path, &key, &submit),
        );
        assert!(
            matches!(polled["status"].as_str(), Some("PENDING" | "REQUIRES_ACTION" | "COMPLETED")),
            "{polled}"
        );
        // By hand it is too early, or it changes nothing that the payment did not do by itself.
        assert!(
            matches!(
                code_or_status(&by_hand).as_str(),
                "200" | "payment_session_unusable" | "payment_session_open"
            ),
            "{}",
            by_hand.text
        );
        shop.until(&sale.order, |order| order["state"] == "PROCESSING").await;
        tokio::join!(notify(&shop, &sale), poll(&shop, &sale));
        let timeline = shop.get(&format!("/v1/orders/{}/timeline?limit=200", sale.order)).await;
        let entries = timeline["data"].as_array().unwrap();
        let count = |kind: &str, to: &Value| {
            entries.iter().filter(|entry| entry["type"] == kind && entry["to"] == *to).count()
        };
        let once = [
            count("order.payment_source_used", &Value::Null),
            count("session.status_changed", &json!("COMPLETED")),
            count("order.state_changed", &json!("SUBMITTED")),
            count("order.state_changed", &json!("PROCESSING")),
        ];
        assert_eq!(once, [1; 4], "{timeline}");
        sale.order
    });
    let orders = orders.await;
    agreement::check(&demo.shop, &orders).await;
    ends(demo, &orders).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_checkout_and_a_cancel_at_once_leave_a_cancelled_order_that_nobody_can_pay() {
    let demo = Demo::start();
    let orders = run(&demo.shop, |shop, index| async move {
        let account = ACCOUNTS[index % ACCOUNTS.len()];
        let body = Shop::order(Some(account), "EUR", 1999);
        let made = shop.send("/v1/orders", &format!("o-{index}"), &body["order"]).await.body();
        let order = made["id"].as_str().unwrap().to_owned();
        let path = format!("/v1/orders/{order}");
        let key = |what: &str| format!("{what}-{index}");
        assert_eq!(shop.send(&format!("{path}/price"), &key("p"), &json!({})).await.status, 200);
        let (checkout, cancel) = (format!("{path}/checkout"), format!("{path}/cancel"));
        let (opens, ends, nothing) = (key("open"), key("end"), json!({}));
        let (open, end) = tokio::join!(
            shop.send(&checkout, &opens, &body["checkout"]),
            shop.send(&cancel, &ends, &nothing)
        );
        assert_eq!(code_or_status(&end), "200", "{}", end.text);
        assert!(matches!(code_or_status(&open).as_str(), "201" | "202" | "invalid_state"), "{}", open.text);
        // The customer was shown the page before the order was cancelled, and tries.
        if let Some(page) = open.body()["checkoutUrl"].as_str() {
            shop.pay(page).await;
        }
        let ended = shop.until(&order, |order| {
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
    let orders = run(&demo.shop, |shop, index| async move {
        let account = ACCOUNTS[index % ACCOUNTS.len()];
        let sale = Sale::opened(&shop, &format!("e-{index}"), &one(account, "AUTOMATIC")).await;
        let expire = json!({"provider": sale.provider, "id": sale.object, "outcome": "expired"});
        let path = format!("/v1/orders/{}/submit", sale.order);
        let (key, till) = (format!("s-{index}"), json!({"externalPayment": {"reference": "till-7"}}));
        let (expired, _, submit) =
            tokio::join!(shop.control("pay", &expire), poll(&shop, &sale), shop.send(&path, &key, &till),);
        assert_eq!(expired, 200);
        let submitted = match code_or_status(&submit).as_str() {
            "200" => true,
            "payment_session_open" => false,
            other => panic!("{other}: {}", submit.text),
        };
        let state = if submitted { "PROCESSING" } else { "PENDING" };
        let order = shop.until(&sale.order, |order| order["state"] == state).await;
        assert_eq!(order["externalPayment"].is_object(), submitted, "{order}");
        // The same key may try again what was refused, and repeats what was done.
        let again = shop.send(&path, &key, &till).await;
        assert_eq!((again.status, again.replayed), (200, submitted), "{}", again.text);
        sale.order
    });
    let orders = orders.await;
    ends(demo, &orders).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_operators_and_a_merchant_at_once_give_the_money_back_at_most_once() {
    let demo = Demo::start();
    let orders = run(&demo.shop, |shop, index| async move {
        let account = ["decta-demo", "paymennt-demo"][index % 2];
        let sale = Sale::paid(&shop, &format!("e-{index}"), &one(account, "AUTOMATIC")).await;
        let path = format!("/v1/orders/{}/fulfil", sale.order);
        let failed = shop.send(&path, &format!("f-{index}"), &json!({"outcome": "FAILED"})).await;
        let attention =
            format!("/v1/attention/{}/resolve", failed.body()["attention"]["id"].as_str().unwrap());
        let (one, other) = (format!("r-{index}"), format!("d-{index}"));
        let (back, dismissed) = (json!({"decision": "REFUND"}), json!({"decision": "DISMISS"}));
        let (refunding, dismissing, merchant, (), _) = tokio::join!(
            shop.send(&attention, &one, &back),
            shop.send(&attention, &other, &dismissed),
            sale.operate(&shop, "refunds", "m", json!({})),
            notify(&shop, &sale),
            poll(&shop, &sale),
        );
        // One decision counts. A merchant who is faster leaves the operator nothing to give back; one who is later
        // finds nothing left, unless the decision was to leave the money.
        match [&refunding, &dismissing, &merchant].map(code_or_status).each_ref().map(String::as_str) {
            ["200", "invalid_state", "201" | "202" | "amount_exceeds_captured"]
            | ["invalid_state", "200", "201" | "202"] => {}
            other => panic!("{other:?}"),
        }
        let payment = sale.until(&shop, |payment| payment["refunded"] == 1999).await;
        assert_eq!(payment["captured"], 1999, "{payment}");
        sale.order
    });
    let orders = orders.await;
    ends(demo, &orders).await;
}
