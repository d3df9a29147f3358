//! A lane that hangs, waits or is flooded delays no other lane. The tests set the clock.

use std::io::Write;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use futures_util::{StreamExt as _, stream};
use paymux::jobs::JobRunner;
use paymux::payments::Redirect;
use port::{HttpRequest, HttpResponse, Transport, TransportError};
use serde_json::{Value, json};
use tokio::time::timeout;

use super::gateway::{NOTIFY_KEY, OTHER_KEY, PATIENCE};
use super::notifications::{hint, reference};
use super::{Gateway, hosted, small_order};

/// What may be under way at a time: reads of one account, deliveries to one endpoint, and to one merchant.
const AT_ACCOUNT: u32 = 16;
const TO_ENDPOINT: usize = 8;
const TO_MERCHANT: usize = 32;

/// Requests that are made at a time.
const AT_A_TIME: usize = 32;

impl Gateway {
    /// So many open sessions at an account, each of an order of its own.
    async fn open(&self, account: &str, count: usize) -> Vec<Value> {
        let mut request = json!({"order": small_order(), "checkout": hosted()});
        request["checkout"]["account"] = json!(account);
        let checkouts = stream::iter(0..count).map(|_| self.post("/v1/checkouts").json(&request));
        let opened = checkouts.buffer_unordered(AT_A_TIME);
        opened.map(|reply| reply.expect(201)["session"].take()).collect().await
    }

    /// The customer of a session at the account `one` pays, and the provider notifies.
    async fn pay(&self, session: &Value) {
        self.provider.say(reference(session), "paid");
        assert_eq!(self.notified(&hint(session, reference(session))).await.status, 200);
    }

    /// Lets a second pass, and does what is due then.
    async fn second(&self, runner: &mut JobRunner) {
        self.clock.pass(Duration::from_secs(1));
        timeout(PATIENCE, runner.run_due()).await.expect("the jobs end").unwrap();
    }

    async fn is_completed(&self, session: &Value) -> bool {
        self.status(session).await == "COMPLETED"
    }
}

#[tokio::test]
async fn a_notified_payment_among_thousands_that_wait_is_paid_within_seconds() {
    let gateway = Gateway::reading(5).await;
    let sessions = gateway.open("one", 5_000).await;
    let mut runner = gateway.job_runner();
    // After seven seconds all of them wait to be read, and a few are.
    for _ in 0..30 {
        gateway.second(&mut runner).await;
    }
    let reads = gateway.provider.reads();
    assert!((100..=150).contains(&reads), "{reads}");
    for session in [&sessions[0], &sessions[2_500], &sessions[4_999]] {
        gateway.pay(session).await;
        let mut seconds = 0;
        while !gateway.is_completed(session).await {
            gateway.second(&mut runner).await;
            seconds += 1;
        }
        // Two reads of a payment are five seconds apart.
        assert!(seconds <= 6, "{seconds}");
    }
}

#[tokio::test]
async fn a_customer_who_reloads_hundreds_of_times_takes_no_read_from_notified_payments() {
    const NOTIFIED: usize = 25;
    let gateway = Gateway::reading(5).await;
    let mut sessions = gateway.open("one", NOTIFIED + 1).await;
    let waits = sessions.pop().unwrap();
    let way_back = gateway.way_back(&waits, Redirect::Success);
    for session in &sessions {
        gateway.pay(session).await;
    }
    let (mut runner, mut seconds) = (gateway.job_runner(), 0);
    while !sessions.is_empty() {
        for _ in 0..20 {
            let reloaded = gateway.request("GET", &way_back).without("Authorization").await_it().await;
            assert_eq!(reloaded.status, 303);
        }
        gateway.second(&mut runner).await;
        seconds += 1;
        let mut open = Vec::new();
        for session in sessions {
            if !gateway.is_completed(&session).await {
                open.push(session);
            }
        }
        sessions = open;
        assert!(seconds <= 20, "{} are left: they have a quarter of five reads a second", sessions.len());
    }
    assert!(!gateway.is_completed(&waits).await);
}

/// Merchants' endpoints: those at a host named `hangs` never answer, all others accept every delivery.
#[derive(Default)]
struct Listeners {
    hanging: Mutex<usize>,
    taken: Mutex<Vec<String>>,
}

impl Listeners {
    fn hanging(&self) -> usize {
        *self.hanging.lock().unwrap()
    }

    fn took(&self, event_type: &str) -> bool {
        self.taken.lock().unwrap().iter().any(|taken| taken == event_type)
    }
}

#[async_trait]
impl Transport for Listeners {
    async fn send(&self, url: &str, request: &HttpRequest) -> Result<HttpResponse, TransportError> {
        if format!("{url}{}", request.path).contains("//hangs") {
            *self.hanging.lock().unwrap() += 1;
            std::future::pending::<()>().await;
        }
        let event: Value = serde_json::from_slice(&request.body).unwrap();
        self.taken.lock().unwrap().push(event["type"].as_str().unwrap().to_owned());
        Ok(HttpResponse { status: 200, retry_after: None, body: Vec::new() })
    }
}

/// Does what is due while something goes on, without any time passing.
async fn run_during(runner: JobRunner, story: impl Future<Output = ()>) {
    let work = async {
        tokio::select! {
            () = runner.run() => {}
            () = story => {}
        }
    };
    timeout(PATIENCE, work).await.expect("it comes to that");
}

/// Waits until something is so.
async fn until(done: impl AsyncFn() -> bool) {
    while !done().await {
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn an_account_and_an_endpoint_that_hang_delay_no_other_account_and_no_other_endpoint() {
    let gateway = Gateway::start().await;
    for url in ["https://hangs.test/hook", "https://works.test/hook"] {
        gateway.post("/v1/webhook-endpoints").json(&json!({"url": url})).await.expect(201);
    }
    let listeners = Arc::new(Listeners::default());
    gateway.open("one", 40).await;
    let paid = gateway.open("two", 1).await.remove(0);
    gateway.provider.falls_mute_at("one");
    // All of them are to be read, and all of it is to be delivered.
    gateway.clock.pass(Duration::from_secs(10));
    gateway.provider.say(reference(&paid), "paid");
    gateway.notified_at_two(NOTIFY_KEY, &hint(&paid, "e-1")).await;
    let story = async {
        until(async || gateway.is_completed(&paid).await && listeners.took("payment.paid")).await;
        until(async || listeners.hanging() == TO_ENDPOINT).await;
    };
    run_during(gateway.job_runner_over(listeners.clone()), story).await;
    assert_eq!((gateway.provider.reads(), listeners.hanging()), (AT_ACCOUNT + 1, TO_ENDPOINT));
}

#[tokio::test]
async fn thousands_of_deliveries_to_one_merchant_delay_no_other_merchant() {
    const ENDPOINTS: usize = 6;
    let gateway = Gateway::start().await;
    for number in 0..ENDPOINTS {
        let url = format!("https://hangs-{number}.test/hook");
        gateway.post("/v1/webhook-endpoints").json(&json!({"url": url})).await.expect(201);
    }
    // Each sends an event of its order and one of its session to each endpoint.
    gateway.open("one", 350).await;
    let other = format!("Bearer {OTHER_KEY}");
    let of_other = |path: &str| gateway.post(path).header("Authorization", &other);
    of_other("/v1/webhook-endpoints").json(&json!({"url": "https://works.test/hook"})).await.expect(201);
    let listeners = Arc::new(Listeners::default());
    let story = async {
        until(async || listeners.hanging() == TO_MERCHANT).await;
        of_other("/v1/orders").json(&small_order()).await.expect(201);
        until(async || listeners.took("order.pending")).await;
    };
    run_during(gateway.job_runner_over(listeners.clone()), story).await;
    assert_eq!(listeners.hanging(), TO_MERCHANT);
}

/// What is logged in a test.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl Write for Log {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().write(bytes)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

#[tokio::test]
async fn a_lane_says_once_that_it_is_behind_and_once_that_it_has_caught_up() {
    let gateway = Gateway::reading(1).await;
    for session in gateway.open("one", 400).await {
        gateway.provider.say(reference(&session), "paid");
    }
    let log = Log::default();
    let writer = log.clone();
    let subscriber = tracing_subscriber::fmt().with_writer(move || writer.clone()).finish();
    let _logged = tracing::subscriber::set_default(subscriber);
    let mut runner = gateway.job_runner();
    // The first reads are due after seven seconds, and three are made in four.
    for _ in 0..600 {
        gateway.second(&mut runner).await;
    }
    let text = String::from_utf8(log.0.lock().unwrap().clone()).unwrap();
    let lines: Vec<&str> = text.lines().filter(|line| line.contains("lane")).collect();
    let [behind, caught_up] = lines[..] else { panic!("{lines:#?}") };
    assert!(behind.contains("WARN") && behind.contains("Account(\"one\")"), "{behind}");
    let due = behind.split_once("behind: ").unwrap().1.split(' ').next().unwrap().parse().unwrap();
    assert!((150..=200).contains(&due) && behind.contains("the first for 300 s"), "{behind}");
    assert!(caught_up.contains("INFO") && caught_up.contains("has caught up"), "{caught_up}");
}

#[tokio::test]
async fn a_notification_that_a_payment_is_still_awaited_takes_no_read_from_those_that_say_more() {
    let gateway = Gateway::start().await;
    let session = gateway.open("two", 1).await.remove(0);
    let says = async |status: &str| {
        let hints = json!([{"reference": reference(&session), "merchant_reference": null, "event": null, "status": status}]);
        assert_eq!(gateway.notified_at_two(NOTIFY_KEY, &hints).await.status, 200);
        gateway.run_jobs().await;
        gateway.provider.reads()
    };
    let before = gateway.provider.reads();
    assert_eq!(says("waiting").await, before);
    gateway.provider.say(reference(&session), "paid");
    assert_eq!(says("waiting").await, before, "it is read by its schedule");
    assert_eq!((says("paid").await, gateway.status(&session).await), (before + 1, json!("COMPLETED")));
    // Of a payment that is paid it is news.
    gateway.clock.pass(Duration::from_secs(6));
    assert_eq!(says("waiting").await, before + 2);
}
