//! How often a provider is asked: one budget for an account, and who goes first.

use std::time::Duration;

use paymux::payments::{Priority, Redirect};
use port::ProviderError;
use serde_json::Value;

use super::{Gateway, id};

const SECOND: Duration = Duration::from_secs(1);

impl Gateway {
    /// Somebody else uses up what may be asked now.
    fn use_up_reads(&self) {
        let account = self.orders.payments.shared.accounts.get("one").unwrap().clone();
        while account.reads.take(Priority::Usual, self.orders.payments.shared.now()).is_ok() {}
    }

    async fn refresh(&self, session: &Value) {
        self.get(&format!("/v1/payment-sessions/{}?refresh=true", id(session))).await.expect(200);
    }

    async fn customer_returns(&self, session: &Value) {
        assert_eq!(self.get(&self.way_back(session, Redirect::Success)).await.status, 303);
    }
}

#[tokio::test]
async fn when_reads_are_used_up_the_agenda_comes_back_merchants_see_what_is_stored_and_customers_go_first() {
    let gateway = Gateway::start().await;
    let session = gateway.session().await;
    gateway.clock.pass(60 * SECOND);
    gateway.use_up_reads();
    gateway.agenda().await;
    gateway.refresh(&session).await;
    assert_eq!(gateway.provider.asked(), 0);
    gateway.customer_returns(&session).await;
    assert_eq!(gateway.provider.asked(), 1);

    gateway.clock.pass(60 * SECOND);
    gateway.use_up_reads();
    gateway.agenda().await;
    assert_eq!(gateway.provider.asked(), 1);
    gateway.clock.pass(5 * SECOND);
    gateway.agenda().await;
    assert_eq!(gateway.provider.asked(), 2, "what was put off is not forgotten");
}

#[tokio::test]
async fn a_provider_that_wants_to_be_left_alone_is() {
    let gateway = Gateway::start().await;
    let session = gateway.session().await;
    gateway.clock.pass(60 * SECOND);
    gateway.provider.fails_once(ProviderError::Busy { retry_after: Some(100 * SECOND) });
    gateway.refresh(&session).await;
    assert_eq!(gateway.provider.asked(), 1);
    gateway.clock.pass(90 * SECOND);
    gateway.refresh(&session).await;
    gateway.agenda().await;
    assert_eq!(gateway.provider.asked(), 1);
    gateway.clock.pass(20 * SECOND);
    gateway.agenda().await;
    assert_eq!(gateway.provider.asked(), 2);
}

#[tokio::test]
async fn what_was_paid_is_watched_where_the_account_says_so() {
    const DAY: Duration = Duration::from_secs(24 * 3_600);
    let gateway = Gateway::watching(3).await;
    let session = gateway.paid_session("AUTOMATIC").await;
    let asked = gateway.provider.asked();
    gateway.provider.set_status(session["providerReference"].as_str().unwrap(), "charged_back");
    gateway.clock.pass(2 * DAY);
    gateway.agenda().await;
    assert_eq!(gateway.provider.asked(), asked + 1);
    let payment = format!("/v1/payments/{}", session["paymentId"].as_str().unwrap());
    assert_eq!(gateway.get(&payment).await.expect(200)["status"], "DISPUTED");
}
