//! What providers tell.

use std::sync::Arc;
use std::time::Duration;

use paymux::domain::{Actor, Cause};
use paymux::reconcile::inbox::replay;
use paymux::reconcile::{JobRunner, Tick};
use paymux::store::{Change, InboxFilter, InboxRow, JobKind, Write};
use port::{NotificationId, ProviderError, Timestamp};
use serde_json::{Value, json};
use tokio::sync::Semaphore;
use tokio::time::timeout;

use super::client::Reply;
use super::gateway::{NOTIFY_KEY, PATIENCE};
use super::{Gateway, hosted, id};

impl Gateway {
    /// Tells the account `one` something, with the key that its provider shares with it.
    async fn told(&self, hints: &Value) -> Reply {
        self.told_with("x-teller-key", "genuine", hints.to_string().as_bytes()).await
    }

    async fn told_with(&self, header: &str, value: &str, body: &[u8]) -> Reply {
        self.post("/webhooks/one").without("Authorization").header(header, value).bytes(body).await
    }

    /// Tells the account `two` something, at an address with this key.
    async fn knocked(&self, key: &str, hints: &Value) -> Reply {
        let path = format!("/webhooks/two/{key}");
        self.post(&path).without("Authorization").bytes(hints.to_string().as_bytes()).await
    }

    /// Does all that is due by now.
    pub async fn agenda(&self) {
        let reconcile = JobRunner { orders: self.orders.clone() };
        const MAX_TURNS: usize = 20;
        for _ in 0..MAX_TURNS {
            if reconcile.run_once().await.unwrap() == Tick::Idle {
                return;
            }
        }
        panic!("the agenda comes to no end");
    }

    async fn notes_due(&self) -> bool {
        self.store.oldest_jobs().await.unwrap().iter().any(|(kind, _)| *kind == JobKind::ProcessNotification)
    }

    fn counted(&self, account: &str, outcome: &str) -> usize {
        self.metric(&format!("paymux_notifications_total{{account=\"{account}\",outcome=\"{outcome}\"}}"))
    }

    fn metric(&self, name: &str) -> usize {
        let text = self.orders.payments.shared.metrics.render();
        let value = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
        value.map_or(0, |value| value.parse().unwrap())
    }

    async fn status(&self, session: &Value) -> Value {
        self.get(&format!("/v1/payment-sessions/{}", id(session))).await.expect(200)["status"].take()
    }
}

fn reference(session: &Value) -> &'static str {
    session["providerReference"].as_str().unwrap().to_owned().leak()
}

fn hint(session: &Value, event: &str) -> Value {
    json!([{"reference": reference(session), "merchant_reference": null, "event": event}])
}

/// A session at the account whose provider proves nothing but the address it knows.
async fn session_at_two(gateway: &Gateway) -> Value {
    let mut ask = hosted();
    ask["account"] = json!("two");
    gateway.session_of(&ask).await
}

#[tokio::test]
async fn a_proven_notification_is_kept_and_followed_up_by_asking_the_provider() {
    let gateway = Gateway::start().await;
    let session = gateway.session().await;
    gateway.provider.set_status(reference(&session), "paid");
    assert_eq!(gateway.told(&hint(&session, "e-1")).await.status, 200);
    assert_eq!(gateway.status(&session).await, "PENDING", "it proves nothing about the payment");
    assert!(gateway.notes_due().await);
    gateway.agenda().await;
    assert_eq!(gateway.status(&session).await, "COMPLETED");
    assert!(!gateway.notes_due().await);
    assert_eq!(gateway.counted("one", "accepted"), 1);
}

#[tokio::test]
async fn what_a_notification_claims_is_not_believed() {
    let gateway = Gateway::start().await;
    let session = gateway.session().await;
    assert_eq!(gateway.told(&hint(&session, "e-paid")).await.status, 200);
    gateway.agenda().await;
    assert_eq!(gateway.status(&session).await, "PENDING");
    assert_eq!(gateway.provider.asked(), 1);
}

#[tokio::test]
async fn the_same_notification_again_is_answered_and_changes_nothing() {
    let gateway = Gateway::start().await;
    let session = gateway.session().await;
    gateway.told(&hint(&session, "e-1")).await;
    gateway.agenda().await;
    let asked = gateway.provider.asked();
    for _ in 0..3 {
        assert_eq!(gateway.told(&hint(&session, "e-1")).await.status, 200);
    }
    assert!(!gateway.notes_due().await);
    gateway.agenda().await;
    assert_eq!(gateway.provider.asked(), asked);
    // Without an id of its own it is its bytes that make it the same.
    let nameless = json!([{"reference": reference(&session), "merchant_reference": null, "event": null}]);
    gateway.told(&nameless).await;
    assert!(gateway.notes_due().await);
    gateway.clock.pass(Duration::from_secs(6));
    gateway.agenda().await;
    gateway.told(&nameless).await;
    assert!(!gateway.notes_due().await);
}

#[tokio::test]
async fn what_cannot_be_verified_is_refused_and_leaves_nothing() {
    let gateway = Gateway::start().await;
    let session = gateway.session().await;
    let body = hint(&session, "e-1").to_string();
    gateway.told_with("x-teller-key", "forged", body.as_bytes()).await.problem(401, "unauthenticated");
    gateway.told_with("x-other", "genuine", body.as_bytes()).await.problem(401, "unauthenticated");
    gateway.post("/webhooks/one/genuine").text(&body).await.problem(401, "unauthenticated");
    assert_eq!(gateway.counted("one", "unverified"), 3);
    assert!(!gateway.notes_due().await);
    gateway.post("/webhooks/three").text(&body).await.problem(404, "not_found");
    gateway.ask("GET", "/webhooks/one").await_it().await.problem(405, "method_not_allowed");
}

#[tokio::test]
async fn a_proven_notification_that_nobody_understands_is_kept_and_leads_to_nothing() {
    let gateway = Gateway::start().await;
    let reply = gateway.told_with("x-teller-key", "genuine", b"<xml/>").await;
    assert_eq!(reply.status, 200);
    assert_eq!(gateway.counted("one", "unreadable"), 1);
    assert!(!gateway.notes_due().await);
    let reply = gateway.post(&format!("/webhooks/two/{NOTIFY_KEY}")).bytes(b"<xml/>").await;
    assert_eq!((reply.status, gateway.counted("two", "unreadable")), (200, 1));
}

#[tokio::test]
async fn a_body_that_is_too_large_and_a_flood_are_refused() {
    let gateway = Gateway::with(|settings| settings.limits.notifications_per_second = 1).await;
    let large = vec![b' '; 65_537];
    gateway.told_with("x-teller-key", "genuine", &large).await.problem(413, "body_too_large");
    for _ in 0..2 {
        assert_eq!(gateway.told(&json!([])).await.status, 200);
    }
    let reply = gateway.told(&json!([])).await;
    reply.problem(429, "rate_limited");
    assert_eq!(reply.header("retry-after"), Some("1"));
    assert_eq!(gateway.counted("one", "limited"), 1);
    assert_eq!(
        gateway.knocked(NOTIFY_KEY, &json!([])).await.status,
        200,
        "another account has its own allowance"
    );
    gateway.clock.pass(Duration::from_secs(1));
    assert_eq!(gateway.told(&json!([])).await.status, 200);
}

#[tokio::test]
async fn a_notification_that_overtakes_our_own_start_waits_for_it_and_three_days_at_most() {
    let gateway = Gateway::start().await;
    let early = json!([{"reference": "t-unheard-of", "merchant_reference": null, "event": "e-1"}]);
    assert_eq!(gateway.told(&early).await.status, 200);
    gateway.agenda().await;
    assert!(gateway.notes_due().await);
    const STEP: Duration = Duration::from_secs(6 * 3_600);
    for _ in 0..11 {
        gateway.clock.pass(STEP);
        gateway.agenda().await;
        assert!(gateway.notes_due().await);
    }
    for _ in 0..3 {
        gateway.clock.pass(STEP);
        gateway.agenda().await;
    }
    assert!(!gateway.notes_due().await);
    assert_eq!(gateway.counted("one", "unmatched"), 1);
}

#[tokio::test]
async fn a_notification_finds_the_payment_by_our_own_reference_too_but_only_at_its_account() {
    let gateway = Gateway::start().await;
    let session = gateway.session().await;
    gateway.provider.set_status(reference(&session), "paid");
    let ours = reference(&session).strip_prefix("t-").unwrap();
    let note = json!([{"reference": "elsewhere", "merchant_reference": ours, "event": "e-1"}]);
    let elsewhere = gateway.post("/webhooks/two").header("x-teller-key", "genuine");
    assert_eq!(elsewhere.bytes(note.to_string().as_bytes()).await.status, 200);
    gateway.agenda().await;
    assert_eq!(gateway.status(&session).await, "PENDING");
    assert_eq!(gateway.told(&note).await.status, 200);
    gateway.agenda().await;
    assert_eq!(gateway.status(&session).await, "COMPLETED");
}

#[tokio::test]
async fn a_notification_whose_provider_does_not_answer_is_not_forgotten() {
    let gateway = Gateway::start().await;
    let session = gateway.session().await;
    gateway.provider.set_status(reference(&session), "paid");
    gateway.provider.fails_once(ProviderError::Unavailable("down".to_owned()));
    gateway.told(&hint(&session, "e-1")).await;
    gateway.agenda().await;
    assert_eq!(gateway.status(&session).await, "PENDING");
    assert!(gateway.notes_due().await);
    gateway.clock.pass(Duration::from_secs(6));
    gateway.agenda().await;
    assert_eq!(gateway.status(&session).await, "COMPLETED");
    assert!(!gateway.notes_due().await);
}

#[tokio::test]
async fn a_notification_right_behind_a_read_waits_and_is_followed_by_another_read() {
    let gateway = Gateway::start().await;
    let session = gateway.session().await;
    gateway.told(&hint(&session, "e-1")).await;
    gateway.agenda().await;
    assert_eq!(gateway.provider.asked(), 1);
    gateway.provider.set_status(reference(&session), "paid");
    gateway.told(&hint(&session, "e-2")).await;
    gateway.agenda().await;
    assert_eq!((gateway.provider.asked(), gateway.status(&session).await), (1, json!("PENDING")));
    gateway.clock.pass(Duration::from_secs(5));
    gateway.agenda().await;
    assert_eq!((gateway.provider.asked(), gateway.status(&session).await), (2, json!("COMPLETED")));
}

#[tokio::test]
async fn an_unsigned_notification_causes_a_read_and_leaves_nothing_else() {
    let gateway = Gateway::start().await;
    let session = session_at_two(&gateway).await;
    gateway.provider.set_status(reference(&session), "paid");
    gateway.knocked("guess", &hint(&session, "e-1")).await.problem(401, "unauthenticated");
    gateway.agenda().await;
    assert_eq!(gateway.status(&session).await, "PENDING");
    assert_eq!(gateway.knocked(NOTIFY_KEY, &hint(&session, "e-1")).await.status, 200);
    assert!(!gateway.notes_due().await, "nothing is stored of it");
    gateway.agenda().await;
    assert_eq!(gateway.status(&session).await, "COMPLETED");
    assert_eq!((gateway.counted("two", "unverified"), gateway.counted("two", "accepted")), (1, 1));
}

#[tokio::test]
async fn a_flood_about_one_payment_costs_one_read_in_five_seconds_and_one_write() {
    let gateway = Gateway::start().await;
    let session = session_at_two(&gateway).await;
    gateway.knocked(NOTIFY_KEY, &hint(&session, "e-1")).await;
    gateway.agenda().await;
    assert_eq!(gateway.provider.asked(), 1);
    let written = gateway.metric("paymux_store_changes_total");
    for _ in 0..50 {
        assert_eq!(gateway.knocked(NOTIFY_KEY, &hint(&session, "e-1")).await.status, 200);
    }
    assert_eq!(gateway.metric("paymux_store_changes_total"), written + 1);
    gateway.agenda().await;
    assert_eq!(gateway.provider.asked(), 1);
    gateway.clock.pass(Duration::from_secs(5));
    gateway.agenda().await;
    assert_eq!(gateway.provider.asked(), 2, "one read after the last of them, and no more");
}

#[tokio::test]
async fn an_early_read_answers_the_notifications_before_it_and_not_those_after() {
    let gateway = Gateway::start().await;
    let session = session_at_two(&gateway).await;
    let payments = &gateway.orders.payments;
    gateway.knocked(NOTIFY_KEY, &hint(&session, "e-1")).await;
    gateway.agenda().await;
    gateway.knocked(NOTIFY_KEY, &hint(&session, "e-2")).await;
    gateway.clock.pass(Duration::from_secs(2));
    // The customer comes back before the agenda's turn, and nothing is left to be asked about.
    gateway.provider.set_status(reference(&session), "paid");
    let cause = Cause { actor: Actor::Customer, request: None };
    let [order, payment] = ["orderId", "paymentId"].map(|name| session[name].as_str().unwrap());
    payments.fetch_status(order.parse().unwrap(), payment.parse().unwrap(), &cause).await.unwrap();
    assert_eq!((gateway.provider.asked(), gateway.status(&session).await), (2, json!("COMPLETED")));
    gateway.clock.pass(Duration::from_secs(2));
    gateway.knocked(NOTIFY_KEY, &hint(&session, "e-3")).await;
    gateway.clock.pass(Duration::from_secs(5));
    gateway.agenda().await;
    assert_eq!(gateway.provider.asked(), 3);
}

#[tokio::test]
async fn a_provider_that_is_busy_is_asked_again_about_what_no_schedule_asks() {
    let gateway = Gateway::start().await;
    let session = session_at_two(&gateway).await;
    gateway.provider.set_status(reference(&session), "paid");
    gateway.knocked(NOTIFY_KEY, &hint(&session, "e-1")).await;
    gateway.agenda().await;
    assert_eq!(gateway.status(&session).await, "COMPLETED");
    gateway.clock.pass(Duration::from_secs(60));
    gateway.provider.fails_once(ProviderError::Busy { retry_after: Some(Duration::from_secs(30)) });
    gateway.knocked(NOTIFY_KEY, &hint(&session, "e-2")).await;
    gateway.agenda().await;
    assert_eq!(gateway.provider.asked(), 2);
    gateway.clock.pass(Duration::from_secs(31));
    gateway.agenda().await;
    assert_eq!(gateway.provider.asked(), 3);
}

#[tokio::test]
async fn a_read_that_was_under_way_for_long_does_not_answer_a_notification_that_came_meanwhile() {
    let gateway = Gateway::start().await;
    // Paid, so that no schedule asks.
    let session = gateway.paid_session("AUTOMATIC").await;
    gateway.clock.pass(Duration::from_secs(60));
    let asked = gateway.provider.asked();
    let permits = Arc::new(Semaphore::new(0));
    gateway.provider.answers_with(permits.clone());
    gateway.told(&hint(&session, "e-1")).await;
    let reconcile = JobRunner { orders: gateway.orders.clone() };
    let slow = tokio::spawn(async move { reconcile.run_once().await.unwrap() });
    let is_asked = async {
        while gateway.provider.asked() == asked {
            tokio::task::yield_now().await;
        }
    };
    timeout(PATIENCE, is_asked).await.expect("the first asks");
    gateway.clock.pass(Duration::from_secs(6));
    gateway.told(&hint(&session, "e-2")).await;
    let reconcile = JobRunner { orders: gateway.orders.clone() };
    let joins = tokio::spawn(async move { reconcile.run_once().await.unwrap() });
    // The second has come to where it waits for the first, after a few looks into the store like these.
    for _ in 0..100 {
        assert!(gateway.notes_due().await);
    }
    permits.add_permits(10);
    slow.await.unwrap();
    joins.await.unwrap();
    gateway.clock.pass(Duration::from_secs(6));
    gateway.agenda().await;
    assert_eq!(gateway.provider.asked(), asked + 2);
    assert!(!gateway.notes_due().await);
}

#[tokio::test]
async fn an_unsigned_notification_about_nothing_of_ours_is_counted_and_dropped() {
    let gateway = Gateway::start().await;
    let written = gateway.metric("paymux_store_changes_total");
    for _ in 0..3 {
        let hints = json!([{"reference": "t-unheard-of", "merchant_reference": null, "event": null}]);
        assert_eq!(gateway.knocked(NOTIFY_KEY, &hints).await.status, 200);
    }
    assert_eq!(gateway.counted("two", "unmatched"), 3);
    assert_eq!(gateway.metric("paymux_store_changes_total"), written);
    // It may become ours: then it is looked up again after a moment.
    let session = session_at_two(&gateway).await;
    gateway.clock.pass(Duration::from_secs(5));
    gateway.knocked(NOTIFY_KEY, &hint(&session, "e-1")).await;
    assert_eq!(gateway.counted("two", "accepted"), 1);
}

#[tokio::test]
async fn stored_notifications_of_a_range_are_acted_on_again() {
    let gateway = Gateway::start().await;
    let session = gateway.session().await;
    let from = gateway.orders.payments.shared.now();
    for event in ["e-1", "e-2"] {
        gateway.told(&hint(&session, event)).await;
        gateway.clock.pass(Duration::from_secs(60));
        gateway.agenda().await;
    }
    let asked = gateway.provider.asked();
    // Much later than any notification waits for anything.
    gateway.clock.pass(Duration::from_secs(5 * 24 * 3_600));
    let now = gateway.orders.payments.shared.now();
    let range = |account: &str, seconds| {
        let to = from.plus(Duration::from_secs(seconds));
        InboxFilter { from, to, account: Some(account.to_owned()) }
    };
    for (filter, count) in
        [(range("two", 99), 0), (range("one", 0), 0), (range("one", 60), 1), (range("one", 61), 2)]
    {
        let mut told = 0;
        let made = replay(&*gateway.store, &filter, now, |so_far| told = so_far).await;
        assert_eq!((made, told), (Ok(count), count), "{filter:?}");
    }
    gateway.agenda().await;
    assert!(gateway.provider.asked() > asked);
    // Whichever of them, or of what else is due, asks first: the others wait for their turn.
    for _ in 0..4 {
        gateway.clock.pass(Duration::from_secs(60));
        gateway.agenda().await;
    }
    assert!(!gateway.notes_due().await);
}

#[tokio::test]
async fn old_notifications_are_forgotten_page_by_page_and_young_ones_are_kept() {
    const DAY: Duration = Duration::from_secs(24 * 3_600);
    const MANY: usize = 450;
    let gateway = Gateway::start().await;
    let shared = &gateway.orders.payments.shared;
    let old = (0..MANY).map(|number| {
        Write::Notification(InboxRow {
            id: NotificationId::from_uuid(shared.env.uuid()),
            account: "one".to_owned(),
            identity: number.to_string(),
            headers: "{}".to_owned(),
            body: Vec::new(),
            targets: "[]".to_owned(),
            received_at: shared.now(),
        })
    });
    gateway.store.commit(Change::plain("old", old.collect())).await.unwrap();
    let (kind, subject) = (JobKind::PruneInbox, "inbox".to_owned());
    let due = Write::Job { kind, subject, order: None, at: Some(shared.now()) };
    gateway.store.commit(Change::plain("plan", vec![due])).await.unwrap();
    let kept = async || {
        let all = InboxFilter { from: Timestamp::default(), to: shared.now(), account: None };
        gateway.store.notifications(&all, None, 1_000).await.unwrap().len()
    };
    gateway.clock.pass(89 * DAY);
    gateway.agenda().await;
    let session = gateway.session().await;
    gateway.told(&hint(&session, "young")).await;
    gateway.clock.pass(DAY + Duration::from_secs(3_600));
    for left in [251, 51, 1, 1] {
        gateway.agenda().await;
        assert_eq!(kept().await, left);
        gateway.clock.pass(Duration::from_secs(1));
    }
}
