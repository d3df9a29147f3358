//! Notifications of providers.

use std::sync::Arc;
use std::time::Duration;

use paymux::domain::{Actor, Urgency};
use paymux::engine::Command;
use paymux::inbox::replay;
use paymux::jobs::Recurring;
use paymux::payments::ReadPass;
use paymux::store::{Change, InboxFilter, InboxRow, JobSubject, Write};
use port::{Env as _, NotificationId, ProviderError, Timestamp};
use serde_json::{Value, json};
use tokio::sync::Semaphore;
use tokio::task::JoinHandle;
use tokio::time::timeout;

use super::client::Reply;
use super::gateway::{NOTIFY_KEY, PATIENCE};
use super::{Gateway, hosted, id};

impl Gateway {
    /// Notifies the account `one`, with the key that its provider shares with it.
    pub async fn notified(&self, hints: &Value) -> Reply {
        self.notified_with("x-teller-key", "genuine", hints.to_string().as_bytes()).await
    }

    pub async fn notified_with(&self, header: &str, value: &str, body: &[u8]) -> Reply {
        self.post("/webhooks/one").without("Authorization").header(header, value).bytes(body).await
    }

    /// Notifies the account `two`, at an address with this key.
    pub async fn notified_at_two(&self, key: &str, hints: &Value) -> Reply {
        let path = format!("/webhooks/two/{key}");
        self.post(&path).without("Authorization").bytes(hints.to_string().as_bytes()).await
    }

    /// Waits until the provider was read once more.
    pub async fn until_read_after(&self, reads: u32) {
        let is_read = async {
            while self.provider.reads() == reads {
                tokio::task::yield_now().await;
            }
        };
        timeout(PATIENCE, is_read).await.expect("the provider is read");
    }

    /// Runs the due jobs beside a read that waits for permits, then lets both end.
    async fn join_slow_read(&self, slow: JoinHandle<()>, permits: &Semaphore) {
        let mut runner = self.job_runner();
        let joins = tokio::spawn(async move { runner.run_due().await.unwrap() });
        // The jobs have come to where they wait for the read, after a few looks into the store like these.
        for _ in 0..100 {
            self.get("/v1/attention").await.expect(200);
        }
        permits.add_permits(10);
        slow.await.unwrap();
        joins.await.unwrap();
    }

    /// Whether a stored notification waits to be acted on.
    fn notifications_due(&self) -> bool {
        self.jobs_of(JobSubject::Notification) > 0
    }

    pub fn counted(&self, account: &str, outcome: &str) -> usize {
        self.metric(&format!("paymux_notifications_total{{account=\"{account}\",outcome=\"{outcome}\"}}"))
    }

    fn metric(&self, name: &str) -> usize {
        let text = self.orders.payments.engine.metrics.render();
        let value = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
        value.map_or(0, |value| value.parse().unwrap())
    }

    pub async fn status(&self, session: &Value) -> Value {
        self.get(&format!("/v1/payment-sessions/{}", id(session))).await.expect(200)["status"].take()
    }
}

pub fn reference(session: &Value) -> &'static str {
    session["providerReference"].as_str().unwrap().to_owned().leak()
}

pub fn hint(session: &Value, event: &str) -> Value {
    json!([{"reference": reference(session), "merchant_reference": null, "event": event}])
}

/// A session at the account whose provider proves nothing but the address it knows.
pub async fn session_at_two(gateway: &Gateway) -> Value {
    let mut request = hosted();
    request["account"] = json!("two");
    gateway.session_of(&request).await
}

#[tokio::test]
async fn a_proven_notification_is_kept_and_followed_up_by_asking_the_provider() {
    let gateway = Gateway::start().await;
    let session = gateway.session().await;
    gateway.provider.say(reference(&session), "paid");
    assert_eq!(gateway.notified(&hint(&session, "e-1")).await.status, 200);
    assert_eq!(gateway.status(&session).await, "PENDING", "it proves nothing about the payment");
    assert!(gateway.notifications_due());
    gateway.run_jobs().await;
    assert_eq!(gateway.status(&session).await, "COMPLETED");
    assert!(!gateway.notifications_due());
    assert_eq!(gateway.counted("one", "accepted"), 1);
}

#[tokio::test]
async fn what_a_notification_claims_is_not_believed() {
    let gateway = Gateway::start().await;
    let session = gateway.session().await;
    assert_eq!(gateway.notified(&hint(&session, "e-paid")).await.status, 200);
    gateway.run_jobs().await;
    assert_eq!(gateway.status(&session).await, "PENDING");
    assert_eq!(gateway.provider.reads(), 1);
}

#[tokio::test]
async fn the_same_notification_again_is_answered_and_changes_nothing() {
    let gateway = Gateway::start().await;
    let session = gateway.session().await;
    gateway.notified(&hint(&session, "e-1")).await;
    gateway.run_jobs().await;
    let reads = gateway.provider.reads();
    for _ in 0..3 {
        assert_eq!(gateway.notified(&hint(&session, "e-1")).await.status, 200);
    }
    assert!(!gateway.notifications_due());
    gateway.run_jobs().await;
    assert_eq!(gateway.provider.reads(), reads);
    // Without an id of its own it is its bytes that make it the same.
    let nameless = json!([{"reference": reference(&session), "merchant_reference": null, "event": null}]);
    gateway.notified(&nameless).await;
    assert!(gateway.notifications_due());
    gateway.clock.pass(Duration::from_secs(6));
    gateway.run_jobs().await;
    gateway.notified(&nameless).await;
    assert!(!gateway.notifications_due());
}

#[tokio::test]
async fn what_cannot_be_verified_is_refused_and_leaves_nothing() {
    let gateway = Gateway::start().await;
    let session = gateway.session().await;
    let body = hint(&session, "e-1").to_string();
    gateway.notified_with("x-teller-key", "forged", body.as_bytes()).await.problem(401, "unauthenticated");
    gateway.notified_with("x-other", "genuine", body.as_bytes()).await.problem(401, "unauthenticated");
    gateway.post("/webhooks/one/genuine").text(&body).await.problem(401, "unauthenticated");
    assert_eq!(gateway.counted("one", "unverified"), 3);
    assert!(!gateway.notifications_due());
    gateway.post("/webhooks/three").text(&body).await.problem(404, "not_found");
    gateway.request("GET", "/webhooks/one").await_it().await.problem(405, "method_not_allowed");
}

#[tokio::test]
async fn a_notification_that_cannot_be_read_is_refused_without_effect_so_that_it_is_sent_again() {
    let gateway = Gateway::start().await;
    let session = gateway.session().await;
    let whole = hint(&session, "e-1").to_string();
    let cut = &whole.as_bytes()[..whole.len() - 2];
    gateway.notified_with("x-teller-key", "genuine", cut).await.problem(400, "malformed_json");
    assert_eq!(gateway.counted("one", "unreadable"), 1);
    assert!(!gateway.notifications_due());
    let at_two = gateway.post(&format!("/webhooks/two/{NOTIFY_KEY}")).bytes(b"<xml/>").await;
    at_two.problem(400, "malformed_json");
    assert_eq!(gateway.counted("two", "unreadable"), 1);
    assert_eq!(gateway.notified_with("x-teller-key", "genuine", whole.as_bytes()).await.status, 200);
    assert!(gateway.notifications_due(), "the refused one does not count as the same");
}

/// Who caused each change of the session's payment, by the timeline.
async fn payment_actors(gateway: &Gateway, session: &Value) -> Vec<Value> {
    let path = format!("/v1/orders/{}/timeline", session["orderId"].as_str().unwrap());
    let timeline = gateway.get(&path).await.expect(200);
    let entries = timeline["data"].as_array().unwrap().iter();
    let updates = entries.filter(|entry| entry["type"].as_str().unwrap().starts_with("payment."));
    updates.filter(|entry| entry["to"] == "PAID").map(|entry| entry["actor"].clone()).collect()
}

#[tokio::test]
async fn the_timeline_tells_a_notification_from_a_poll() {
    for (notified, actor) in [(true, "PROVIDER"), (false, "SCHEDULER")] {
        let gateway = Gateway::start().await;
        let session = session_at_two(&gateway).await;
        gateway.provider.say(reference(&session), "paid");
        if notified {
            assert_eq!(gateway.notified_at_two(NOTIFY_KEY, &hint(&session, "e-1")).await.status, 200);
        } else {
            gateway.clock.pass(Duration::from_secs(8));
        }
        gateway.run_jobs().await;
        assert_eq!(payment_actors(&gateway, &session).await, [json!(actor)]);
    }
}

#[tokio::test]
async fn a_notification_that_overtakes_our_own_start_waits_for_it_and_three_days_at_most() {
    let gateway = Gateway::start().await;
    let early = json!([{"reference": "t-unheard-of", "merchant_reference": null, "event": "e-1"}]);
    assert_eq!(gateway.notified(&early).await.status, 200);
    gateway.run_jobs().await;
    assert!(gateway.notifications_due());
    is_given_up_after_three_days(&gateway).await;
    assert_eq!((gateway.counted("one", "unmatched"), gateway.counted("one", "given_up")), (1, 0));
}

async fn is_given_up_after_three_days(gateway: &Gateway) {
    const STEP: Duration = Duration::from_secs(6 * 3_600);
    for step in 1..=14 {
        gateway.clock.pass(STEP);
        gateway.run_jobs().await;
        assert!(gateway.notifications_due() || step > 11);
    }
    assert!(!gateway.notifications_due());
}

#[tokio::test]
async fn a_notification_whose_payment_cannot_be_read_for_three_days_is_not_called_unmatched() {
    let gateway = Gateway::start().await;
    let session = gateway.session().await;
    gateway.provider.breaks(ProviderError::Unavailable("it is down".into()));
    assert_eq!(gateway.notified(&hint(&session, "e-1")).await.status, 200);
    is_given_up_after_three_days(&gateway).await;
    assert_eq!((gateway.counted("one", "unmatched"), gateway.counted("one", "given_up")), (0, 1));
}

#[tokio::test]
async fn a_notification_finds_the_payment_by_our_own_reference_too_but_only_at_its_account() {
    let gateway = Gateway::start().await;
    let session = gateway.session().await;
    gateway.provider.say(reference(&session), "paid");
    let reference = reference(&session).strip_prefix("t-").unwrap();
    let body = json!([{"reference": "elsewhere", "merchant_reference": reference, "event": "e-1"}]);
    let elsewhere = gateway.post("/webhooks/two").header("x-teller-key", "genuine");
    assert_eq!(elsewhere.bytes(body.to_string().as_bytes()).await.status, 200);
    gateway.run_jobs().await;
    assert_eq!(gateway.status(&session).await, "PENDING");
    assert_eq!(gateway.notified(&body).await.status, 200);
    gateway.run_jobs().await;
    assert_eq!(gateway.status(&session).await, "COMPLETED");
}

#[tokio::test]
async fn a_notification_whose_provider_does_not_answer_is_not_forgotten() {
    let gateway = Gateway::start().await;
    let session = gateway.session().await;
    gateway.provider.say(reference(&session), "paid");
    gateway.provider.fails_once(ProviderError::Unavailable("down".to_owned()));
    gateway.notified(&hint(&session, "e-1")).await;
    gateway.run_jobs().await;
    assert_eq!(gateway.status(&session).await, "PENDING");
    assert!(gateway.notifications_due());
    gateway.clock.pass(Duration::from_secs(6));
    gateway.run_jobs().await;
    assert_eq!(gateway.status(&session).await, "COMPLETED");
    assert!(!gateway.notifications_due());
}

#[tokio::test]
async fn a_notification_right_behind_a_read_waits_and_is_followed_by_another_read() {
    let gateway = Gateway::start().await;
    let session = gateway.session().await;
    gateway.notified(&hint(&session, "e-1")).await;
    gateway.run_jobs().await;
    assert_eq!(gateway.provider.reads(), 1);
    gateway.provider.say(reference(&session), "paid");
    gateway.notified(&hint(&session, "e-2")).await;
    gateway.run_jobs().await;
    assert_eq!((gateway.provider.reads(), gateway.status(&session).await), (1, json!("PENDING")));
    gateway.clock.pass(Duration::from_secs(5));
    gateway.run_jobs().await;
    assert_eq!((gateway.provider.reads(), gateway.status(&session).await), (2, json!("COMPLETED")));
}

#[tokio::test]
async fn an_unsigned_notification_causes_a_read_and_leaves_nothing_else() {
    let gateway = Gateway::start().await;
    let session = session_at_two(&gateway).await;
    gateway.provider.say(reference(&session), "paid");
    gateway.notified_at_two("guess", &hint(&session, "e-1")).await.problem(401, "unauthenticated");
    gateway.run_jobs().await;
    assert_eq!(gateway.status(&session).await, "PENDING");
    assert_eq!(gateway.notified_at_two(NOTIFY_KEY, &hint(&session, "e-1")).await.status, 200);
    assert!(!gateway.notifications_due(), "nothing is stored of it");
    gateway.run_jobs().await;
    assert_eq!(gateway.status(&session).await, "COMPLETED");
    assert_eq!((gateway.counted("two", "unverified"), gateway.counted("two", "accepted")), (1, 1));
}

#[tokio::test]
async fn a_flood_about_one_payment_costs_one_read_in_five_seconds_and_one_write() {
    let gateway = Gateway::start().await;
    let session = session_at_two(&gateway).await;
    gateway.notified_at_two(NOTIFY_KEY, &hint(&session, "e-1")).await;
    gateway.run_jobs().await;
    assert_eq!(gateway.provider.reads(), 1);
    let written = gateway.metric("paymux_store_changes_total");
    for _ in 0..50 {
        assert_eq!(gateway.notified_at_two(NOTIFY_KEY, &hint(&session, "e-1")).await.status, 200);
    }
    assert_eq!(gateway.metric("paymux_store_changes_total"), written + 1);
    gateway.run_jobs().await;
    assert_eq!(gateway.provider.reads(), 1);
    gateway.clock.pass(Duration::from_secs(5));
    gateway.run_jobs().await;
    assert_eq!(gateway.provider.reads(), 2, "one read after the last of them, and no more");
}

#[tokio::test]
async fn an_early_read_answers_the_notifications_before_it_and_not_those_after() {
    let gateway = Gateway::start().await;
    let session = session_at_two(&gateway).await;
    let payments = &gateway.orders.payments;
    gateway.notified_at_two(NOTIFY_KEY, &hint(&session, "e-1")).await;
    gateway.run_jobs().await;
    gateway.notified_at_two(NOTIFY_KEY, &hint(&session, "e-2")).await;
    gateway.clock.pass(Duration::from_secs(2));
    // The customer comes back before the job's turn, and nothing is left to be read.
    gateway.provider.say(reference(&session), "paid");
    let (command, pass) = (Command::of(Actor::Customer), ReadPass::of(Urgency::Customer));
    let [order, payment] = ["orderId", "paymentId"].map(|name| session[name].as_str().unwrap());
    payments.fetch_status(order.parse().unwrap(), payment.parse().unwrap(), &command, &pass).await.unwrap();
    assert_eq!((gateway.provider.reads(), gateway.status(&session).await), (2, json!("COMPLETED")));
    gateway.clock.pass(Duration::from_secs(2));
    gateway.notified_at_two(NOTIFY_KEY, &hint(&session, "e-3")).await;
    gateway.clock.pass(Duration::from_secs(5));
    gateway.run_jobs().await;
    assert_eq!(gateway.provider.reads(), 3);
}

#[tokio::test]
async fn a_provider_that_is_busy_is_asked_again_about_what_no_schedule_asks() {
    let gateway = Gateway::start().await;
    let session = session_at_two(&gateway).await;
    gateway.provider.say(reference(&session), "paid");
    gateway.notified_at_two(NOTIFY_KEY, &hint(&session, "e-1")).await;
    gateway.run_jobs().await;
    assert_eq!(gateway.status(&session).await, "COMPLETED");
    gateway.clock.pass(Duration::from_secs(60));
    gateway.provider.fails_once(ProviderError::Busy { retry_after: Some(Duration::from_secs(30)) });
    gateway.notified_at_two(NOTIFY_KEY, &hint(&session, "e-2")).await;
    gateway.run_jobs().await;
    assert_eq!(gateway.provider.reads(), 2);
    gateway.clock.pass(Duration::from_secs(31));
    gateway.run_jobs().await;
    assert_eq!(gateway.provider.reads(), 3);
}

#[tokio::test]
async fn a_read_that_was_under_way_for_long_does_not_answer_a_notification_that_came_meanwhile() {
    let gateway = Gateway::start().await;
    // Paid, so that no schedule asks.
    let session = gateway.paid_session("AUTOMATIC").await;
    gateway.clock.pass(Duration::from_secs(60));
    let reads = gateway.provider.reads();
    let permits = Arc::new(Semaphore::new(0));
    gateway.provider.answers_with(permits.clone());
    gateway.notified(&hint(&session, "e-1")).await;
    let mut runner = gateway.job_runner();
    let slow = tokio::spawn(async move { runner.run_due().await.unwrap() });
    gateway.until_read_after(reads).await;
    gateway.clock.pass(Duration::from_secs(6));
    gateway.notified(&hint(&session, "e-2")).await;
    gateway.join_slow_read(slow, &permits).await;
    gateway.clock.pass(Duration::from_secs(6));
    gateway.run_jobs().await;
    assert_eq!(gateway.provider.reads(), reads + 2);
    assert!(!gateway.notifications_due());
}

#[tokio::test]
async fn an_unsigned_notification_is_not_answered_by_a_read_that_was_under_way_when_it_came() {
    let gateway = Gateway::start().await;
    let session = session_at_two(&gateway).await;
    gateway.notified_at_two(NOTIFY_KEY, &hint(&session, "e-1")).await;
    let (reads, permits) = (gateway.provider.reads(), Arc::new(Semaphore::new(0)));
    gateway.provider.answers_with(permits.clone());
    let payments = gateway.orders.payments.clone();
    let order = session["orderId"].as_str().unwrap().parse().unwrap();
    let payment = session["paymentId"].as_str().unwrap().parse().unwrap();
    let slow = tokio::spawn(async move {
        let (command, pass) = (Command::of(Actor::Customer), ReadPass::of(Urgency::Customer));
        payments.fetch_status(order, payment, &command, &pass).await.unwrap();
    });
    gateway.until_read_after(reads).await;
    gateway.provider.say(reference(&session), "paid");
    gateway.notified_at_two(NOTIFY_KEY, &hint(&session, "e-2")).await;
    // The job of the first notification runs now, and has to wait for the customer's read.
    gateway.join_slow_read(slow, &permits).await;
    assert_eq!((gateway.provider.reads(), gateway.status(&session).await), (reads + 2, json!("COMPLETED")));
}

#[tokio::test]
async fn an_unsigned_notification_about_nothing_of_ours_is_counted_and_dropped() {
    let gateway = Gateway::start().await;
    let written = gateway.metric("paymux_store_changes_total");
    for _ in 0..3 {
        let hints = json!([{"reference": "t-unheard-of", "merchant_reference": null, "event": null}]);
        assert_eq!(gateway.notified_at_two(NOTIFY_KEY, &hints).await.status, 200);
    }
    assert_eq!(gateway.counted("two", "unmatched"), 3);
    assert_eq!(gateway.metric("paymux_store_changes_total"), written);
    // An attempt may still get this reference, so the notification is processed again a little later.
    let session = session_at_two(&gateway).await;
    gateway.clock.pass(Duration::from_secs(5));
    gateway.notified_at_two(NOTIFY_KEY, &hint(&session, "e-1")).await;
    assert_eq!(gateway.counted("two", "accepted"), 1);
}

#[tokio::test]
async fn stored_notifications_of_a_range_are_acted_on_again() {
    let gateway = Gateway::start().await;
    let session = gateway.session().await;
    let from = gateway.clock.now();
    for event in ["e-1", "e-2"] {
        gateway.notified(&hint(&session, event)).await;
        gateway.clock.pass(Duration::from_secs(60));
        gateway.run_jobs().await;
    }
    let reads = gateway.provider.reads();
    // Much later than any notification waits for anything.
    gateway.clock.pass(Duration::from_secs(5 * 24 * 3_600));
    let range = |account: &str, seconds| {
        let to = from.plus(Duration::from_secs(seconds));
        InboxFilter { from, to, account: Some(account.to_owned()), after: None, limit: 200 }
    };
    for (filter, count) in
        [(range("two", 99), 0), (range("one", 0), 0), (range("one", 60), 1), (range("one", 61), 2)]
    {
        assert_eq!(replay(&gateway.orders.payments.engine, &filter).await, Ok(count), "{filter:?}");
    }
    gateway.run_jobs().await;
    assert!(gateway.provider.reads() > reads);
    // Whichever of them, or of what else is due, asks first: the others wait for their turn.
    for _ in 0..4 {
        gateway.clock.pass(Duration::from_secs(60));
        gateway.run_jobs().await;
    }
    assert!(!gateway.notifications_due());
}

#[tokio::test]
async fn old_notifications_are_forgotten_page_by_page_and_young_ones_are_kept() {
    const DAY: Duration = Duration::from_secs(24 * 3_600);
    const MANY: usize = 450;
    let gateway = Gateway::start().await;
    let clock = &gateway.clock;
    let old = (0..MANY).map(|number| {
        Write::Notification(InboxRow {
            id: NotificationId::from_uuid(clock.uuid()),
            account: "one".to_owned(),
            identity: number.to_string(),
            headers: "{}".to_owned(),
            body: Vec::new(),
            targets: "[]".to_owned(),
            received_at: clock.now(),
        })
    });
    gateway.store.commit(Change::plain("old", old.collect())).await.unwrap();
    let mut recurring = Recurring::new(gateway.orders.payments.engine.clone(), 90 * DAY, DAY);
    let stored = async || {
        let (from, to) = (Timestamp::default(), clock.now().plus(DAY));
        let all = InboxFilter { from, to, account: None, after: None, limit: 1_000 };
        gateway.store.notifications(&all).await.unwrap().len()
    };
    clock.pass(89 * DAY);
    recurring.run_once().await;
    let session = gateway.session().await;
    gateway.notified(&hint(&session, "young")).await;
    clock.pass(DAY + Duration::from_secs(3_600));
    for left in [251, 51, 1, 1] {
        recurring.run_once().await;
        assert_eq!(stored().await, left);
        clock.pass(Duration::from_secs(1));
    }
}
