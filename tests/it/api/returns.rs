//! The customer comes back from the provider.

use std::time::Duration;

use paymux::payments::Redirect;
use serde_json::{Value, json};

use super::client::Reply;
use super::{Gateway, hosted, id};

impl Gateway {
    /// The path that a provider sends the customer of a session back to.
    pub fn way_back(&self, session: &Value, redirect: Redirect) -> String {
        let attempt = session["providerReference"].as_str().unwrap().strip_prefix("t-").unwrap();
        let token = self.orders.payments.providers.returns().token(attempt.parse().unwrap(), redirect);
        format!("/return/{token}")
    }

    /// A session of another approach, on a new order.
    pub async fn session_of(&self, request: &Value) -> Value {
        let order = self.priced_order().await;
        self.post(&format!("/v1/orders/{}/checkout", id(&order))).json(request).await.expect(201)
    }

    async fn customer(&self, path: &str) -> Reply {
        self.request("GET", path).without("Authorization").await_it().await
    }
}

/// Checks that the customer is sent on to this page of the shop with this status, and leaves no trace there.
fn sent_on(reply: &Reply, page: &str, session: &Value, status: &str) {
    assert_eq!(reply.status, 303, "{}", reply.text());
    let (order, session) = (session["orderId"].as_str().unwrap(), id(session));
    let expected =
        format!("https://shop.test/{page}?orderId={order}&paymentSessionId={session}&status={status}");
    assert_eq!(reply.header("location"), Some(expected.as_str()));
    assert_eq!(reply.header("cache-control"), Some("no-store"));
    assert_eq!(reply.header("referrer-policy"), Some("no-referrer"));
}

#[tokio::test]
async fn whoever_has_paid_is_sent_to_success_by_the_providers_word_and_not_the_browsers() {
    let gateway = Gateway::start().await;
    let session = gateway.session().await;
    gateway.provider.say(session["providerReference"].as_str().unwrap(), "paid");
    let path = format!("{}?status=failed&id=42", gateway.way_back(&session, Redirect::Failure));
    sent_on(&gateway.customer(&path).await, "ok", &session, "COMPLETED");
    let known = gateway.get(&format!("/v1/payment-sessions/{}", id(&session))).await.expect(200);
    assert_eq!(known["status"], "COMPLETED");
}

#[tokio::test]
async fn some_providers_send_the_customer_back_by_post() {
    let gateway = Gateway::start().await;
    let session = gateway.session().await;
    gateway.provider.say(session["providerReference"].as_str().unwrap(), "paid");
    let form = gateway.post(&gateway.way_back(&session, Redirect::Success)).without("Authorization");
    let form = form.header("Content-Type", "application/x-www-form-urlencoded");
    sent_on(&form.bytes(b"status=DECLINED").await, "ok", &session, "COMPLETED");
}

#[tokio::test]
async fn whoever_says_that_it_went_well_is_not_believed_and_changes_nothing() {
    let gateway = Gateway::start().await;
    let session = gateway.session().await;
    let path = format!("/v1/orders/{}", session["orderId"].as_str().unwrap());
    let before = gateway.get(&path).await.expect(200);
    let way_back = gateway.way_back(&session, Redirect::Success);
    sent_on(&gateway.customer(&way_back).await, "wait", &session, "PENDING");
    assert_eq!(gateway.get(&path).await.expect(200), before);
}

#[tokio::test]
async fn reloading_asks_nobody_twice() {
    let gateway = Gateway::start().await;
    let session = gateway.session().await;
    let way_back = gateway.way_back(&session, Redirect::Success);
    let reads = gateway.provider.reads();
    for _ in 0..5 {
        sent_on(&gateway.customer(&way_back).await, "wait", &session, "PENDING");
    }
    assert_eq!(gateway.provider.reads(), reads + 1);
    gateway.clock.pass(Duration::from_secs(6));
    gateway.provider.say(session["providerReference"].as_str().unwrap(), "paid");
    sent_on(&gateway.customer(&way_back).await, "ok", &session, "COMPLETED");
    gateway.clock.pass(Duration::from_secs(6));
    sent_on(&gateway.customer(&way_back).await, "ok", &session, "COMPLETED");
    assert_eq!(gateway.provider.reads(), reads + 2, "a session that has ended is not fetched");
}

#[tokio::test]
async fn whoever_gives_up_is_sent_to_cancel_which_may_be_the_failure_page() {
    let gateway = Gateway::start().await;
    let session = gateway.session().await;
    let way_back = gateway.way_back(&session, Redirect::Cancel);
    sent_on(&gateway.customer(&way_back).await, "no", &session, "PENDING");
    // Again, when nobody is asked: the payment may have arrived meanwhile.
    gateway.provider.say(session["providerReference"].as_str().unwrap(), "paid");
    sent_on(&gateway.customer(&way_back).await, "wait", &session, "PENDING");

    let mut request = hosted();
    request["returnUrls"]["cancel"] = json!("https://shop.test/cart");
    let session = gateway.session_of(&request).await;
    let way_back = gateway.way_back(&session, Redirect::Cancel);
    sent_on(&gateway.customer(&way_back).await, "cart", &session, "PENDING");
    gateway.post(&format!("/v1/payment-sessions/{}/cancel", id(&session))).await_it().await.expect(200);
    let way_back = gateway.way_back(&session, Redirect::Success);
    sent_on(&gateway.customer(&way_back).await, "cart", &session, "FAILED");
}

#[tokio::test]
async fn whoever_gives_up_where_the_provider_only_says_failed_has_cancelled() {
    let gateway = Gateway::start().await;
    let mut request = hosted();
    request["returnUrls"]["cancel"] = json!("https://shop.test/cart");
    for (redirect, page, code) in
        [(Redirect::Cancel, "cart", "CANCELLED_BY_CUSTOMER"), (Redirect::InProgress, "no", "DECLINED")]
    {
        let session = gateway.session_of(&request).await;
        gateway.provider.say(session["providerReference"].as_str().unwrap(), "failed");
        let way_back = gateway.way_back(&session, redirect);
        sent_on(&gateway.customer(&way_back).await, page, &session, "FAILED");
        let known = gateway.get(&format!("/v1/payment-sessions/{}", id(&session))).await.expect(200);
        assert_eq!(known["failure"]["code"], code);
    }
    // The failure is read, as after a notification, before the customer is back.
    let session = gateway.session_of(&request).await;
    gateway.provider.say(session["providerReference"].as_str().unwrap(), "failed");
    gateway.clock.pass(Duration::from_secs(60));
    gateway.run_jobs().await;
    let code = async || {
        let known = gateway.get(&format!("/v1/payment-sessions/{}", id(&session))).await.expect(200);
        known["failure"]["code"].as_str().unwrap().to_owned()
    };
    assert_eq!(code().await, "DECLINED");
    for (redirect, page, then) in [
        (Redirect::Failure, "no", "DECLINED"),
        (Redirect::Cancel, "cart", "CANCELLED_BY_CUSTOMER"),
        (Redirect::Cancel, "cart", "CANCELLED_BY_CUSTOMER"),
    ] {
        sent_on(&gateway.customer(&gateway.way_back(&session, redirect)).await, page, &session, "FAILED");
        assert_eq!(code().await, then);
    }
    let session = gateway.session_of(&request).await;
    gateway.provider.say(session["providerReference"].as_str().unwrap(), "paid");
    let way_back = gateway.way_back(&session, Redirect::Cancel);
    sent_on(&gateway.customer(&way_back).await, "ok", &session, "COMPLETED");
}

#[tokio::test]
async fn a_declined_try_is_shown_as_failure_though_the_session_stays_open() {
    let gateway = Gateway::start().await;
    let session = gateway.session().await;
    gateway.provider.say(session["providerReference"].as_str().unwrap(), "declined");
    let way_back = gateway.way_back(&session, Redirect::InProgress);
    sent_on(&gateway.customer(&way_back).await, "no", &session, "PENDING");
}

#[tokio::test]
async fn whoever_pays_after_a_declined_try_is_not_sent_to_failure_by_an_older_read() {
    let gateway = Gateway::start().await;
    let session = gateway.session().await;
    let reference = session["providerReference"].as_str().unwrap();
    let way_back = gateway.way_back(&session, Redirect::Success);
    gateway.provider.say(reference, "declined");
    sent_on(&gateway.customer(&way_back).await, "no", &session, "PENDING");
    gateway.provider.say(reference, "paid");
    gateway.clock.pass(Duration::from_secs(1));
    sent_on(&gateway.customer(&way_back).await, "wait", &session, "PENDING");
    // Soon enough for the customer to wait for the next read.
    gateway.clock.pass(Duration::from_millis(3_900));
    sent_on(&gateway.customer(&way_back).await, "ok", &session, "COMPLETED");
}

#[tokio::test]
async fn a_provider_that_does_not_answer_keeps_the_customer_waiting_no_longer_than_it_must() {
    let gateway = Gateway::start().await;
    let session = gateway.session().await;
    gateway.provider.falls_mute();
    let way_back = gateway.way_back(&session, Redirect::Success);
    sent_on(&gateway.customer(&way_back).await, "wait", &session, "PENDING");
}

#[tokio::test]
async fn an_address_that_was_never_given_out_is_a_plain_page_that_is_not_there() {
    let gateway = Gateway::start().await;
    let session = gateway.session().await;
    let known = gateway.way_back(&session, Redirect::Success);
    let other = known.replace(&known[8..10], if &known[8..10] == "00" { "11" } else { "00" });
    for path in ["/return/x", "/return/..%2F..", other.as_str(), &known[..known.len() - 1]] {
        let reply = gateway.customer(path).await;
        assert_eq!(
            (reply.status, reply.header("content-type")),
            (404, Some("text/html; charset=utf-8")),
            "{path}"
        );
        assert_eq!(reply.header("cache-control"), Some("no-store"));
    }
}

#[tokio::test]
async fn a_link_without_addresses_ends_on_a_page_of_our_own_that_tells_nothing_else() {
    let gateway = Gateway::start().await;
    let session = gateway.session_of(&json!({"approach": "LINK"})).await;
    let way_back = gateway.way_back(&session, Redirect::Success);
    let reply = gateway.customer(&way_back).await;
    assert_eq!(reply.status, 200);
    assert!(reply.text().contains("Payment in progress"), "{}", reply.text());
    gateway.clock.pass(Duration::from_secs(6));
    gateway.provider.say(session["providerReference"].as_str().unwrap(), "paid");
    let reply = gateway.customer(&way_back).await;
    assert!(reply.text().contains("Thank you"), "{}", reply.text());
    assert_eq!(reply.header("referrer-policy"), Some("no-referrer"));
    for secret in [id(&session), session["orderId"].as_str().unwrap(), "teller", "shop", "ann"] {
        assert!(!reply.text().contains(secret), "{secret}");
    }
}
