//! How often a provider is read: one read limit for an account, shared out by urgency.

use std::time::Duration;

use paymux::domain::Urgency;
use paymux::payments::Redirect;
use port::{Env as _, ProviderError};
use serde_json::Value;

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
