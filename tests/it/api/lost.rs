//! Starts whose answer was lost, and what the provider made of them all the same.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use paymux::audit::{Erased, ErasureTarget, erase, verify};
use paymux::domain::{Actor, Metadata, Profile, ProfileEvent, ProfileOwner, Urgency};
use paymux::engine::{Command, Decision, Engine};
use paymux::jobs::adjust_to_clock;
use paymux::payments::{PaymentError, ReadPass};
use paymux::routing::Rules;
use paymux::store::{JobSubject, StoreError};
use port::{ProfileId, ProfileStatus, ProviderError, StoredProfile};
use serde_json::{Value, json};
use tokio::sync::Semaphore;

use super::{Gateway, Start, hosted, id};

pub(super) const AFTER_THE_DEADLINE: Duration = Duration::from_secs(60);

async fn erase_customer(engine: &Engine) -> Erased {
    erase(engine, "shop", &ErasureTarget::Customer("c-1".to_owned()), None).await.unwrap()
}

impl Gateway {
    /// A session whose start got no answer.
    async fn unanswered(&self) -> Value {
        let order = self.priced_order().await;
        let path = format!("/v1/orders/{}/checkout", order["id"].as_str().unwrap());
        self.post(&path).json(&hosted()).await.expect(202)
    }

    pub(super) async fn open_codes(&self) -> Vec<Value> {
        let list = self.get("/v1/attention?open=true").await.expect(200);
        list["data"].as_array().unwrap().iter().map(|notification| notification["code"].clone()).collect()
    }

    async fn statuses(&self, session: &Value) -> Vec<Value> {
        let path = format!("/v1/payments?orderId={}", session["orderId"].as_str().unwrap());
        let list = self.get(&path).await.expect(200);
        list["data"].as_array().unwrap().iter().map(|payment| payment["status"].clone()).collect()
    }

    /// A start without an answer, followed by one at the next account: its session, and the provider's id of the first.
    async fn fails_over_to_another_account(&self) -> (Value, String) {
        self.falls_back();
        self.provider.starts(Start::Lags);
        let session = self.unanswered().await;
        self.provider.starts(Start::Works);
        (session, self.provider.references().remove(0))
    }

    /// A second account takes what the first cannot start.
    fn falls_back(&self) {
        let text = "[[rules]]\nname = \"all\"\naccounts = [\"one\"]\nfallback = [\"two\"]\n";
        let rules = Rules::parse("routing.toml", text, &["one", "two"]).unwrap();
        self.orders.payments.routing.rules.store(Arc::new(rules));
    }
}

#[tokio::test]
async fn a_start_that_was_given_up_and_shows_up_paid_is_found_by_its_notification() {
    let gateway = Gateway::start().await;
    gateway.provider.starts(Start::Lags);
    let session = gateway.unanswered().await;
    gateway.clock.pass(AFTER_THE_DEADLINE);
    gateway.run_jobs().await;
    assert_eq!(gateway.statuses(&session).await, ["FAILED"], "the provider says that there is none");

    gateway.provider.starts(Start::Works);
    let [reference] = gateway.provider.references().try_into().unwrap();
    gateway.provider.say(&reference, "paid");
    let attempt = reference.strip_prefix("t-").unwrap();
    let body = json!([{"reference": reference, "merchant_reference": attempt, "event": "e-1"}]).to_string();
    let notification =
        gateway.post("/webhooks/one").without("Authorization").header("x-teller-key", "genuine");
    assert_eq!(notification.bytes(body.as_bytes()).await.status, 200);
    gateway.run_jobs().await;
    assert_eq!(gateway.statuses(&session).await, ["PAID"]);
    assert_eq!(gateway.open_codes().await, ["LATE_PAYMENT"]);
}

#[tokio::test]
async fn an_orphan_that_does_not_close_is_not_forgotten_and_its_money_is_found() {
    let gateway = Gateway::start().await;
    let (session, orphan) = gateway.fails_over_to_another_account().await;
    gateway.provider.fails_once(ProviderError::rejected(None, Some("somebody is paying")));
    gateway.clock.pass(AFTER_THE_DEADLINE);
    gateway.run_jobs().await;
    gateway.provider.say(&orphan, "paid");
    gateway.clock.pass(Duration::from_secs(10));
    gateway.run_jobs().await;
    assert!(gateway.statuses(&session).await.contains(&json!("PAID")));
    assert_eq!(gateway.open_codes().await, ["LATE_PAYMENT"]);
}

#[tokio::test]
async fn an_orphan_whose_close_is_refused_since_it_was_paid_is_read_and_its_money_found_at_once() {
    let gateway = Gateway::start().await;
    let (session, orphan) = gateway.fails_over_to_another_account().await;
    gateway.provider.say(&orphan, "paid");
    gateway.clock.pass(AFTER_THE_DEADLINE);
    gateway.run_jobs().await;
    assert!(gateway.statuses(&session).await.contains(&json!("PAID")));
    assert_eq!(gateway.open_codes().await, ["LATE_PAYMENT"]);
}

#[tokio::test]
async fn a_page_of_unknown_outcome_is_followed_by_one_elsewhere_and_a_link_which_may_be_sent_already_is_not()
{
    for (request, account) in [(hosted(), "two"), (json!({"approach": "LINK"}), "one")] {
        let gateway = Gateway::start().await;
        gateway.falls_back();
        gateway.provider.starts(Start::Silent);
        let path = format!("/v1/orders/{}/checkout", id(&gateway.priced_order().await));
        let session = gateway.post(&path).json(&request).await.expect(202);
        assert_eq!(session["account"], account, "{request}");
    }
}

#[tokio::test]
async fn money_beside_a_merchants_own_collection_is_told() {
    let gateway = Gateway::start().await;
    let order = gateway.priced_order().await;
    let path = format!("/v1/orders/{}", order["id"].as_str().unwrap());
    gateway.request("PATCH", &path).json(&json!({"autoSubmit": false})).await.expect(200);
    gateway.post(&format!("{path}/price")).await_it().await.expect(200);
    let session = gateway.post(&format!("{path}/checkout")).json(&hosted()).await.expect(201);
    gateway.provider.say(session["providerReference"].as_str().unwrap(), "paid");
    let read = format!("/v1/payment-sessions/{}?refresh=true", session["id"].as_str().unwrap());
    assert_eq!(gateway.get(&read).await.expect(200)["status"], "COMPLETED");
    let cash = json!({"externalPayment": {"reference": "till 4"}});
    gateway.post(&format!("{path}/submit")).json(&cash).await.expect(200);
    assert_eq!(gateway.open_codes().await, ["DUPLICATE_PAYMENT"]);
}

#[tokio::test]
async fn a_start_whose_order_is_cancelled_meanwhile_is_closed_as_soon_as_it_is_known() {
    let gateway = Gateway::start().await;
    let permits = Arc::new(Semaphore::new(0));
    gateway.provider.starts(Start::Waits(permits.clone()));
    let order = gateway.priced_order().await;
    let path = format!("/v1/orders/{}", id(&order));
    let start = tokio::spawn(gateway.post(&format!("{path}/checkout")).json(&hosted()));
    while gateway.get(&path).await.expect(200)["state"] != "PENDING_PAYMENT" {}
    gateway.post(&format!("{path}/cancel")).await_it().await.expect(200);
    permits.add_permits(1);
    let session = start.await.unwrap().expect(201);
    assert_eq!((&session["status"], &session["failure"]["code"]), (&json!("FAILED"), &json!("CANCELLED")));
}

#[tokio::test]
async fn a_refund_that_was_not_sent_is_sent_once_the_provider_can_be_reached() {
    let gateway = Gateway::start().await;
    let session = gateway.paid_session("AUTOMATIC").await;
    let path = format!("/v1/payments/{}", session["paymentId"].as_str().unwrap());
    gateway.provider.fails_once(ProviderError::NotSent("nobody is there".to_owned()));
    let request = json!({"amount": 300});
    let refund = gateway.post(&format!("{path}/refunds")).key("r").json(&request).await.expect(202);
    let again = gateway.post(&format!("{path}/refunds")).key("r").json(&request).await;
    assert_eq!(again.expect(202)["status"], "PENDING");
    gateway.clock.pass(AFTER_THE_DEADLINE);
    gateway.run_jobs().await;
    let refund = gateway.get(&format!("/v1/refunds/{}", id(&refund))).await.expect(200);
    assert_eq!(refund["status"], "SUCCEEDED");
    let reference = session["providerReference"].as_str().unwrap();
    assert_eq!(gateway.provider.refunded(reference), 300);
    let again = gateway.post(&format!("{path}/refunds")).key("r").json(&request).await;
    assert_eq!(again.expect(201)["status"], "SUCCEEDED");
}

#[tokio::test]
async fn a_refund_that_was_not_sent_and_then_sent_without_an_answer_is_not_sent_a_third_time() {
    let gateway = Gateway::start().await;
    let session = gateway.paid_session("AUTOMATIC").await;
    let path = format!("/v1/payments/{}", session["paymentId"].as_str().unwrap());
    gateway.provider.fails_once(ProviderError::Busy { retry_after: None });
    let request = json!({"amount": 300});
    gateway.post(&format!("{path}/refunds")).key("r").json(&request).await.expect(202);
    // The job reads first, and what it sends then is not answered.
    gateway.provider.fails_after(1, ProviderError::OutcomeUnknown("silence".to_owned()));
    gateway.clock.pass(AFTER_THE_DEADLINE);
    gateway.run_jobs().await;
    for _ in 0..3 {
        gateway.clock.pass(Duration::from_secs(3_600));
        gateway.run_jobs().await;
    }
    assert_eq!(gateway.provider.refunded(session["providerReference"].as_str().unwrap()), 0);
    assert_eq!(gateway.open_codes().await, ["OUTCOME_UNKNOWN"]);
}

#[tokio::test]
async fn a_refund_that_was_not_sent_is_not_sent_once_the_bank_contests_the_money() {
    let gateway = Gateway::start().await;
    let session = gateway.paid_session("AUTOMATIC").await;
    let (path, reference) =
        (session["paymentId"].as_str().unwrap(), session["providerReference"].as_str().unwrap());
    gateway.provider.fails_once(ProviderError::NotSent("nobody is there".to_owned()));
    let request = json!({"amount": 300});
    gateway.post(&format!("/v1/payments/{path}/refunds")).key("r").json(&request).await.expect(202);
    gateway.provider.say(reference, "charged_back");
    for _ in 0..3 {
        gateway.clock.pass(Duration::from_secs(3_600));
        gateway.run_jobs().await;
    }
    assert_eq!(
        (gateway.statuses(&session).await, gateway.provider.refunded(reference)),
        (vec![json!("DISPUTED")], 0)
    );
    gateway.provider.say(reference, "paid");
    gateway.clock.pass(Duration::from_secs(24 * 3_600));
    gateway.run_jobs().await;
    assert_eq!(gateway.provider.refunded(reference), 300);
}

#[tokio::test]
async fn an_order_whose_start_may_still_exist_keeps_what_is_needed_to_close_it() {
    let gateway = Gateway::start().await;
    gateway.falls_back();
    gateway.provider.starts(Start::Silent);
    let session = gateway.unanswered().await;
    let order = session["orderId"].as_str().unwrap();
    gateway.post(&format!("/v1/orders/{order}/cancel")).await_it().await.expect(200);
    // The start at the second account is found and closed; the first says nothing yet.
    gateway.provider.starts(Start::Works);
    gateway.provider.fails_once(ProviderError::OutcomeUnknown("silence".to_owned()));
    gateway.clock.pass(AFTER_THE_DEADLINE);
    gateway.run_jobs().await;
    let erased = erase_customer(&gateway.orders.payments.engine).await;
    assert_eq!((erased.orders, erased.still_open), (Vec::new(), vec![order.parse().unwrap()]));
    gateway.clock.pass(AFTER_THE_DEADLINE);
    gateway.run_jobs().await;
    assert_eq!(erase_customer(&gateway.orders.payments.engine).await.orders.len(), 1);
}

#[tokio::test]
async fn a_start_without_an_answer_is_looked_for_after_seven_seconds() {
    let gateway = Gateway::start().await;
    gateway.provider.starts(Start::Lags);
    let session = gateway.unanswered().await;
    gateway.provider.starts(Start::Works);
    let path = format!("/v1/payment-sessions/{}", id(&session));
    for (seconds, is_known) in [(6, false), (1, true)] {
        gateway.clock.pass(Duration::from_secs(seconds));
        gateway.run_jobs().await;
        let shown = gateway.get(&path).await.expect(200);
        assert_eq!(shown["checkoutUrl"] != Value::Null, is_known, "after {seconds} s more: {shown}");
    }
}

#[tokio::test]
async fn a_close_without_an_answer_is_sent_again_after_seven_seconds_and_its_order_can_be_checked_out() {
    let gateway = Gateway::start().await;
    let session = gateway.session().await;
    let path = format!("/v1/payment-sessions/{}", id(&session));
    gateway.provider.fails_once(ProviderError::OutcomeUnknown("HTTP 500".to_owned()));
    gateway.post(&format!("{path}/cancel")).await_it().await.expect(202);
    for (seconds, status) in [(6, "PENDING"), (1, "FAILED")] {
        gateway.clock.pass(Duration::from_secs(seconds));
        gateway.run_jobs().await;
        assert_eq!(gateway.get(&path).await.expect(200)["status"], status);
    }
    let again = format!("/v1/orders/{}/checkout", id_at(&session, "orderId"));
    gateway.post(&again).json(&hosted()).await.expect(201);
}

#[tokio::test]
async fn an_unknown_outcome_is_told_after_a_quarter_of_an_hour_also_while_nothing_can_be_read() {
    let gateway = Gateway::start().await;
    gateway.provider.starts(Start::Silent);
    gateway.unanswered().await;
    let mut passed = 0;
    for (until, codes) in [(890, [].as_slice()), (901, &["OUTCOME_UNKNOWN"])] {
        while passed < until {
            gateway.clock.pass(Duration::from_secs(1));
            passed += 1;
            gateway.run_jobs().await;
        }
        assert_eq!(gateway.open_codes().await, codes, "after {until} s");
    }
}

#[tokio::test]
async fn a_clock_that_is_set_back_makes_no_later_answer_look_older() {
    let gateway = Gateway::start().await;
    let session = gateway.paid_session("AUTOMATIC").await;
    let path = format!("/v1/payment-sessions/{}?refresh=true", id(&session));
    let payment = format!("/v1/payments/{}", id_at(&session, "paymentId"));
    for (status, shown) in [("charged_back", "DISPUTED"), ("paid", "PAID")] {
        gateway.provider.say(id_at(&session, "providerReference"), status);
        gateway.clock.set_back(Duration::from_secs(86_400));
        gateway.get(&path).await.expect(200);
        assert_eq!(gateway.get(&payment).await.expect(200)["status"], shown);
    }
}

#[tokio::test]
async fn what_is_due_stays_due_though_the_clock_was_set_back_while_the_gateway_was_stopped() {
    let gateway = Gateway::start().await;
    let session = gateway.session().await;
    gateway.provider.say(id_at(&session, "providerReference"), "paid");
    gateway.clock.set_back(Duration::from_secs(86_400));
    adjust_to_clock(&gateway.orders.payments.engine).await.unwrap();
    gateway.clock.pass(Duration::from_secs(8));
    gateway.run_jobs().await;
    assert_eq!(gateway.statuses(&session).await, ["PAID"]);
}

#[tokio::test]
async fn records_that_were_kept_by_a_clock_ahead_of_this_one_still_fit() {
    let gateway = Gateway::start().await;
    gateway.paid_session("AUTOMATIC").await;
    gateway.session().await;
    gateway.clock.set_back(Duration::from_secs(7_200));
    let engine = &gateway.orders.payments.engine;
    let report = verify(&*engine.store, engine.now(), |_| ()).await.unwrap();
    assert_eq!(report.faults, [] as [String; 0]);
}

#[tokio::test]
async fn what_a_full_disk_has_stopped_goes_on_within_seconds_of_there_being_room() {
    let gateway = Gateway::start().await;
    let session = gateway.session().await;
    gateway.provider.say(id_at(&session, "providerReference"), "paid");
    gateway.clock.pass(Duration::from_secs(8));
    gateway.disk_full.store(true, Ordering::Relaxed);
    gateway.run_jobs().await;
    gateway.disk_full.store(false, Ordering::Relaxed);
    gateway.clock.pass(Duration::from_secs(5));
    gateway.run_jobs().await;
    assert_eq!(gateway.statuses(&session).await, ["PAID"]);
}

#[tokio::test]
async fn a_capture_that_is_refused_since_an_earlier_send_of_it_has_worked_is_not_reported_as_failed() {
    let gateway = Gateway::start().await;
    let session = gateway.paid_session("MANUAL").await;
    let path = format!("/v1/payments/{}", id_at(&session, "paymentId"));
    gateway.provider.fails_once(ProviderError::OutcomeUnknown("silence".to_owned()));
    gateway.post(&format!("{path}/capture")).key("c").json(&json!({})).await.expect(202);
    let (permits, reads) = (Arc::new(Semaphore::new(0)), gateway.provider.reads());
    gateway.provider.answers_with(permits.clone());
    let payments = gateway.orders.payments.clone();
    let order = id_at(&session, "orderId").parse().unwrap();
    let payment = id_at(&session, "paymentId").parse().unwrap();
    let taken_up = tokio::spawn(async move {
        let (command, pass) = (Command::of(Actor::Scheduler), ReadPass::of(Urgency::UnknownOutcome));
        payments.resume_operation(order, payment, &command, &pass).await.unwrap();
    });
    while gateway.provider.reads() == reads {
        tokio::task::yield_now().await;
    }
    // It is still authorized when it is fetched, and captured when the capture is sent again.
    gateway.provider.say(id_at(&session, "providerReference"), "paid");
    gateway.provider.fails_once(ProviderError::rejected(None, Some("it was taken already")));
    permits.add_permits(2);
    taken_up.await.unwrap();
    let shown = gateway.get(&path).await.expect(200);
    assert_eq!((&shown["status"], &shown["pendingOperation"]), (&json!("PAID"), &Value::Null));
    let again = gateway.post(&format!("{path}/capture")).key("c").json(&json!({})).await;
    assert_eq!(again.expect(200)["status"], "PAID");
}

#[tokio::test]
async fn an_operation_is_sent_again_only_after_a_read_that_has_begun_since() {
    let gateway = Gateway::start().await;
    let session = gateway.paid_session("MANUAL").await;
    let path = format!("/v1/payments/{}", id_at(&session, "paymentId"));
    gateway.provider.fails_once(ProviderError::OutcomeUnknown("silence".to_owned()));
    gateway.post(&format!("{path}/capture")).key("c").json(&json!({})).await.expect(202);
    let (permits, reads) = (Arc::new(Semaphore::new(0)), gateway.provider.reads());
    gateway.provider.answers_with(permits.clone());
    let order = id_at(&session, "orderId").parse().unwrap();
    let payment = id_at(&session, "paymentId").parse().unwrap();
    let (command, pass) = (Command::of(Actor::Scheduler), ReadPass::of(Urgency::UnknownOutcome));
    // This read has seen that nothing was captured, and is slow to say so.
    let payments = gateway.orders.payments.clone();
    let older = (command.clone(), ReadPass::of(Urgency::Scheduled));
    let older =
        tokio::spawn(
            async move { payments.fetch_status(order, payment, &older.0, &older.1).await.map(drop) },
        );
    gateway.until_read_after(reads).await;
    // The next read fails, so that nothing is known anew.
    gateway.provider.fails_once(ProviderError::Unavailable("silence".to_owned()));
    permits.add_permits(2);
    let taken_up = gateway.orders.payments.resume_operation(order, payment, &command, &pass).await;
    assert!(matches!(taken_up, Err(PaymentError::Provider(ProviderError::Unavailable(_)))), "{taken_up:?}");
    older.await.unwrap().unwrap();
    let shown = gateway.get(&path).await.expect(200);
    assert_eq!((&shown["status"], shown["pendingOperation"].is_null()), (&json!("AUTHORIZED"), false));
}

#[tokio::test]
async fn a_deleted_method_is_detached_at_its_provider_before_its_data_goes() {
    let gateway = Gateway::start().await;
    let engine = &gateway.orders.payments.engine;
    let metadata = Metadata::new();
    let owner = ProfileOwner {
        merchant: "shop",
        customer_id: "c-1",
        account: "one",
        provider: "teller",
        metadata: &metadata,
    };
    let stored = StoredProfile {
        reference: "card-1".to_owned(),
        provider_status: None,
        kind: "CARD".to_owned(),
        display_name: None,
        expires_on: None,
    };
    let method = ProfileId::from_uuid(engine.subject_id());
    let command = Command::of(Actor::Merchant);
    let created =
        Decision::from(vec![owner.stored(method, stored, ProfileStatus::Active, engine.env.nonce())]);
    let mut profile = engine.create::<Profile>("store profile", &command, created).await.unwrap();
    let deleted = |_: &Profile, _| Ok::<_, StoreError>(vec![ProfileEvent::Deleted].into());
    engine.change("delete profile", &command, &mut profile, deleted).await.unwrap();
    let customer_of = async || {
        let profile = gateway.store.profile(method).await.unwrap().unwrap();
        (profile.customer_id().map(str::to_owned), profile.detached)
    };
    erase_customer(engine).await;
    assert_eq!(customer_of().await, (Some("c-1".to_owned()), false));
    gateway.clock.pass(AFTER_THE_DEADLINE);
    gateway.run_jobs().await;
    assert_eq!(customer_of().await, (Some("c-1".to_owned()), true));
    assert_eq!(gateway.jobs_of(JobSubject::Profile), 0);
    erase_customer(engine).await;
    assert_eq!(customer_of().await, (None, true));
}

pub(super) fn id_at<'a>(shown: &'a Value, name: &str) -> &'a str {
    shown[name].as_str().unwrap()
}
