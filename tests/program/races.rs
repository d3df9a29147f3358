//! Things that happen to one order at the same moment, on the real program: every outcome is one that is allowed,
//! and everybody tells the same story afterwards.

use std::path::Path;

use futures_util::StreamExt as _;
use futures_util::stream;
use serde_json::{Value, json};
use tempfile::TempDir;

use super::running::{Gateway, Sandbox};
use super::shop::{Answer, Shop};
use super::{agreement, books};

/// Orders of each race.
const ORDERS: usize = 50;

/// Races that are run at the same time.
const AT_ONCE: usize = 8;

/// Where a race is run.
struct Track {
    shop: Shop,
    gateway: Gateway,
    folder: TempDir,
    _sandbox: Sandbox,
}

/// A checkout that a race is about.
#[derive(Clone)]
struct Entry {
    order: String,
    session: String,
    payment: String,
    page: String,
    /// The provider, and its name for the object.
    provider: String,
    object: String,
}

impl Track {
    fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let sandbox = Sandbox::start(folder.path());
        let gateway = Gateway::start(folder.path(), &sandbox, Path::new("config/routing.toml"));
        Self { shop: Shop::new(&gateway.url, &sandbox.url), gateway, folder, _sandbox: sandbox }
    }

    /// Runs a race often. Answers the orders that it was about.
    async fn run<F: Future<Output = String> + Send + 'static>(
        &self,
        race: impl Fn(Shop, usize) -> F,
    ) -> Vec<String> {
        let runs = stream::iter(0..ORDERS).map(|index| tokio::spawn(race(self.shop.clone(), index)));
        runs.buffer_unordered(AT_ONCE).map(Result::unwrap).collect().await
    }

    /// The money agrees everywhere, and the books fit.
    async fn ends(mut self, orders: &[String]) {
        agreement::check_money(&self.shop, orders).await;
        self.gateway.kill();
        assert!(books::fit(self.folder.path()));
    }
}

impl Entry {
    /// A checkout at an account.
    async fn new(shop: &Shop, key: &str, account: &str, capture: &str) -> Self {
        let mut body = Shop::order(Some(account), "EUR", 1999);
        body["checkout"]["captureMode"] = json!(capture);
        let made = shop.send("/v1/checkouts", key, &body).await;
        assert_eq!(made.status, 201, "{}", made.text);
        let (order, session) = (&made.body()["order"], &made.body()["session"]);
        let text = |value: &Value| value.as_str().unwrap().to_owned();
        Self {
            order: text(&order["id"]),
            session: text(&session["id"]),
            payment: text(&session["paymentId"]),
            page: text(&session["checkoutUrl"]),
            provider: text(&session["provider"]),
            object: text(&session["providerReference"]),
        }
    }

    /// A checkout that its customer has paid.
    async fn paid(shop: &Shop, key: &str, account: &str, capture: &str) -> Self {
        let entry = Self::new(shop, key, account, capture).await;
        shop.pay(&entry.page).await;
        shop.until(&entry.order, |order| order["state"] == "PROCESSING").await;
        entry
    }

    async fn operate(&self, shop: &Shop, what: &str, key: &str, body: Value) -> Answer {
        let path = format!("/v1/payments/{}/{what}", self.payment);
        shop.send(&path, &format!("{key}-{}", self.payment), &body).await
    }

    /// The provider tells again, twice.
    async fn notify(&self, shop: &Shop) {
        let again = json!({"provider": self.provider, "id": self.object, "copies": 2, "order": "reverse"});
        assert!(shop.control("notify", &again).await.is_success());
    }

    /// Somebody asks the provider.
    async fn poll(&self, shop: &Shop) -> Value {
        shop.get(&format!("/v1/payment-sessions/{}?refresh=true", self.session)).await
    }

    /// The payment, once it is as it should be.
    async fn until(&self, shop: &Shop, done: impl Fn(&Value) -> bool) -> Value {
        let deadline = tokio::time::Instant::now() + super::shop::PATIENCE;
        loop {
            let payment = shop.get(&format!("/v1/payments/{}", self.payment)).await;
            if done(&payment) {
                return payment;
            }
            assert!(tokio::time::Instant::now() < deadline, "still {payment}");
            tokio::time::sleep(std::time::Duration::from_millis(100)).await;
        }
    }
}

/// The outcome of an answer in a word: its code if it is a problem, else its status.
fn word(answer: &Answer) -> String {
    if answer.status < 300 { answer.status.to_string() } else { answer.code() }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn refunds_at_once_never_give_back_more_than_was_taken() {
    let track = Track::start();
    let orders = track.run(|shop, index| async move {
        let account = ["decta-demo", "paymennt-demo"][index % 2];
        let entry = Entry::paid(&shop, &format!("e-{index}"), account, "AUTOMATIC").await;
        let refund = |key| entry.operate(&shop, "refunds", key, json!({"amount": 900}));
        let (a, b, c) = tokio::join!(refund("a"), refund("b"), refund("c"));
        let mut words = [a, b, c].map(|answer| word(&answer));
        words.sort();
        // Two of 900 fit into 1999, and it makes no difference which. The second waits behind the first.
        assert!(words[..2].iter().all(|word| word == "201" || word == "202"), "{words:?}");
        assert_eq!(words[2], "amount_exceeds_captured", "{words:?}");
        let payment = entry.until(&shop, |payment| payment["refunded"] == 1800).await;
        assert_eq!((&payment["captured"], &payment["refundable"]), (&json!(1999), &json!(199)), "{payment}");
        entry.order
    });
    let orders = orders.await;
    track.ends(&orders).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_a_capture_and_a_void_at_once_one_happens() {
    let track = Track::start();
    let orders = track.run(|shop, index| async move {
        let entry = Entry::paid(&shop, &format!("e-{index}"), "decta-demo", "MANUAL").await;
        let void = entry.operate(&shop, "void", "v", json!({}));
        let capture = entry.operate(&shop, "capture", "c", json!({}));
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
        let payment = entry.until(&shop, |payment| payment["pendingOperation"].is_null()).await;
        assert_eq!(
            (&payment["status"], &payment["captured"]),
            (&json!(status), &json!(captured)),
            "{payment}"
        );
        entry.order
    });
    let orders = orders.await;
    track.ends(&orders).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_payment_that_is_seen_from_all_sides_at_once_counts_once() {
    let track = Track::start();
    let orders = track.run(|shop, index| async move {
        let account = super::shop::ACCOUNTS[index % super::shop::ACCOUNTS.len()];
        let entry = Entry::new(&shop, &format!("e-{index}"), account, "AUTOMATIC").await;
        let path = format!("/v1/orders/{}/submit", entry.order);
        let (key, submit) = (format!("s-{index}"), json!({"paymentSessionId": entry.session}));
        // The customer's payment tells the provider's notice and brings the customer back; meanwhile the provider
        // repeats itself, the merchant polls, and somebody submits by hand.
        let (_, (), (), polled, by_hand) = tokio::join!(
            shop.pay(&entry.page),
            entry.notify(&shop),
            entry.notify(&shop),
            entry.poll(&shop),
            shop.send(&path, &key, &submit),
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
        shop.until(&entry.order, |order| order["state"] == "PROCESSING").await;
        tokio::join!(entry.notify(&shop), entry.poll(&shop));
        let timeline = shop.get(&format!("/v1/orders/{}/timeline?limit=200", entry.order)).await;
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
        entry.order
    });
    let orders = orders.await;
    agreement::check(&track.shop, &orders).await;
    track.ends(&orders).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_checkout_and_a_cancel_at_once_leave_a_cancelled_order_that_nobody_can_pay() {
    let track = Track::start();
    let orders = track.run(|shop, index| async move {
        let account = super::shop::ACCOUNTS[index % super::shop::ACCOUNTS.len()];
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
        assert_eq!(word(&end), "200", "{}", end.text);
        assert!(matches!(word(&open).as_str(), "201" | "202" | "invalid_state"), "{}", open.text);
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
    track.ends(&orders).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_submit_while_the_page_expires_submits_or_finds_the_session_open() {
    let track = Track::start();
    let orders = track.run(|shop, index| async move {
        let account = super::shop::ACCOUNTS[index % super::shop::ACCOUNTS.len()];
        let entry = Entry::new(&shop, &format!("e-{index}"), account, "AUTOMATIC").await;
        let expire = json!({"provider": entry.provider, "id": entry.object, "outcome": "expired"});
        let path = format!("/v1/orders/{}/submit", entry.order);
        let (key, till) = (format!("s-{index}"), json!({"externalPayment": {"reference": "till-7"}}));
        let (expired, _, submit) =
            tokio::join!(shop.control("pay", &expire), entry.poll(&shop), shop.send(&path, &key, &till),);
        assert!(expired.is_success());
        let submitted = match word(&submit).as_str() {
            "200" => true,
            "payment_session_open" => false,
            other => panic!("{other}: {}", submit.text),
        };
        let state = if submitted { "PROCESSING" } else { "PENDING" };
        let order = shop.until(&entry.order, |order| order["state"] == state).await;
        assert_eq!(order["externalPayment"].is_object(), submitted, "{order}");
        // The same key may try again what was refused, and repeats what was done.
        let again = shop.send(&path, &key, &till).await;
        assert_eq!((again.status, again.replayed), (200, submitted), "{}", again.text);
        entry.order
    });
    let orders = orders.await;
    track.ends(&orders).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_operators_and_a_merchant_at_once_give_the_money_back_at_most_once() {
    let track = Track::start();
    let orders = track.run(|shop, index| async move {
        let account = ["decta-demo", "paymennt-demo"][index % 2];
        let entry = Entry::paid(&shop, &format!("e-{index}"), account, "AUTOMATIC").await;
        let path = format!("/v1/orders/{}/fulfil", entry.order);
        let failed = shop.send(&path, &format!("f-{index}"), &json!({"outcome": "FAILED"})).await;
        let attention =
            format!("/v1/attention/{}/resolve", failed.body()["attention"]["id"].as_str().unwrap());
        let (one, other) = (format!("r-{index}"), format!("d-{index}"));
        let (back, dismissed) = (json!({"decision": "REFUND"}), json!({"decision": "DISMISS"}));
        let (refunding, dismissing, merchant, (), _) = tokio::join!(
            shop.send(&attention, &one, &back),
            shop.send(&attention, &other, &dismissed),
            entry.operate(&shop, "refunds", "m", json!({})),
            entry.notify(&shop),
            entry.poll(&shop),
        );
        // One decision counts. A merchant who is faster leaves the operator nothing to give back; one who is later
        // finds nothing left, unless the decision was to leave the money.
        match [&refunding, &dismissing, &merchant].map(word).each_ref().map(String::as_str) {
            ["200", "invalid_state", "201" | "202" | "amount_exceeds_captured"]
            | ["invalid_state", "200", "201" | "202"] => {}
            other => panic!("{other:?}"),
        }
        let payment = entry.until(&shop, |payment| payment["refunded"] == 1999).await;
        assert_eq!(payment["captured"], 1999, "{payment}");
        entry.order
    });
    let orders = orders.await;
    track.ends(&orders).await;
}
