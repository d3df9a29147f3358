//! How often a provider is read: one read limit for an account, shared out by urgency.

use std::sync::Arc;
use std::time::Duration;

use paymux::domain::{Actor, Urgency};
use paymux::engine::Command;
use paymux::payments::{ReadPass, Redirect};
use port::{Env as _, PaymentStatus, ProviderError};
use serde_json::Value;
use tokio::sync::Semaphore;

use super::{Gateway, id};

const SECOND: Duration = Duration::from_secs(1);

impl Gateway {
    /// Another client uses up the reads that are allowed now.
    fn use_up_reads(&self, class: Urgency) {
        let account = self.orders.payments.providers.account("one").unwrap();
        while account.reads.take(class, self.clock.now()).is_ok() {}
    }

    async fn refresh(&self, session: &Value) {
        self.get(&format!("/v1/payment-sessions/{}?refresh=true", id(session))).await.expect(200);
    }

    async fn customer_returns(&self, session: &Value) {
        assert_eq!(self.get(&self.way_back(session, Redirect::Success)).await.status, 303);
    }
}

#[tokio::test]
async fn when_its_reads_are_used_up_a_class_waits_and_no_other_class_does() {
    let gateway = Gateway::start().await;
    let session = gateway.session().await;
    gateway.clock.pass(60 * SECOND);
    gateway.use_up_reads(Urgency::Scheduled);
    gateway.run_jobs().await;
    assert_eq!(gateway.provider.reads(), 0);
    gateway.customer_returns(&session).await;
    assert_eq!(gateway.provider.reads(), 1);

    gateway.clock.pass(60 * SECOND);
    gateway.use_up_reads(Urgency::Customer);
    gateway.refresh(&session).await;
    assert_eq!(gateway.provider.reads(), 1, "a merchant sees what is stored");
    gateway.run_jobs().await;
    assert_eq!(gateway.provider.reads(), 2, "what is scheduled has a share of its own");
}

#[tokio::test]
async fn a_customer_for_whom_no_read_is_left_is_read_for_as_soon_as_there_is_one() {
    let gateway = Gateway::start().await;
    let session = gateway.session().await;
    gateway.provider.say(session["providerReference"].as_str().unwrap(), "paid");
    gateway.use_up_reads(Urgency::Customer);
    gateway.customer_returns(&session).await;
    assert_eq!(gateway.provider.reads(), 0);
    gateway.clock.pass(SECOND);
    gateway.run_jobs().await;
    assert_eq!(gateway.provider.reads(), 1, "long before the schedule would ask");
}

#[tokio::test]
async fn a_provider_that_wants_to_be_left_alone_is() {
    let gateway = Gateway::start().await;
    let session = gateway.session().await;
    gateway.clock.pass(60 * SECOND);
    gateway.provider.fails_once(ProviderError::Busy { retry_after: Some(100 * SECOND) });
    gateway.refresh(&session).await;
    assert_eq!(gateway.provider.reads(), 1);
    gateway.clock.pass(90 * SECOND);
    gateway.refresh(&session).await;
    gateway.run_jobs().await;
    assert_eq!(gateway.provider.reads(), 1);
    gateway.clock.pass(20 * SECOND);
    gateway.run_jobs().await;
    assert_eq!(gateway.provider.reads(), 2);
}

#[tokio::test]
async fn what_was_paid_is_watched_where_the_account_says_so() {
    const DAY: Duration = Duration::from_secs(24 * 3_600);
    let gateway = Gateway::watching(3).await;
    let session = gateway.paid_session("AUTOMATIC").await;
    let reads = gateway.provider.reads();
    gateway.provider.say(session["providerReference"].as_str().unwrap(), "charged_back");
    gateway.clock.pass(2 * DAY);
    gateway.run_jobs().await;
    assert_eq!(gateway.provider.reads(), reads + 1);
    let payment = format!("/v1/payments/{}", session["paymentId"].as_str().unwrap());
    assert_eq!(gateway.get(&payment).await.expect(200)["status"], "DISPUTED");
}

#[tokio::test]
async fn a_customer_who_returns_during_an_older_read_is_read_for_again() {
    let gateway = Gateway::start().await;
    let session = gateway.session().await;
    let (reads, permits) = (gateway.provider.reads(), Arc::new(Semaphore::new(0)));
    gateway.provider.answers_with(permits.clone());
    let [order, payment] = ["orderId", "paymentId"].map(|name| session[name].as_str().unwrap());
    let (order, payment) = (order.parse().unwrap(), payment.parse().unwrap());
    let older = gateway.orders.payments.clone();
    let older = tokio::spawn(async move {
        let (command, pass) = (Command::of(Actor::Scheduler), ReadPass::of(Urgency::Scheduled));
        older.fetch_status(order, payment, &command, &pass).await.unwrap();
    });
    gateway.until_read_after(reads).await;
    gateway.provider.say(session["providerReference"].as_str().unwrap(), "paid");
    let known = gateway.store.order(order).await.unwrap().unwrap();
    let payments = gateway.orders.payments.clone();
    let returned = tokio::spawn(async move {
        payments.fetch_status_for_customer(known, payment, &Command::of(Actor::Customer)).await.unwrap()
    });
    // The return has joined the read by the time that these were answered.
    for _ in 0..20 {
        gateway.get("/v1/attention").await.expect(200);
    }
    permits.add_permits(2);
    older.await.unwrap();
    assert_eq!(returned.await.unwrap().payment(payment).unwrap().status(), PaymentStatus::Paid);
}
