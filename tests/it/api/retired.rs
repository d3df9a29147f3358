//! Accounts that are not configured any more: what is open there is counted, refused, or shown to a person.

use std::time::Duration;

use paymux::audit::{ErasureTarget, erase};
use paymux::config::Merchant;
use paymux::domain::{Actor, AttentionDecision, DomainError, OrderState};
use paymux::engine::{Command, CommandError};
use paymux::orders::{MoneyRequest, OrderAction};
use paymux::payments::{Accounts, PaymentError};
use paymux::store::OpenWork;
use port::{OrderId, ProviderError};
use serde_json::{Value, json};

use super::gateway::orders;
use super::lost::{AFTER_THE_DEADLINE, id_at};
use super::{Gateway, id};

#[tokio::test]
async fn nothing_is_promised_for_money_at_an_account_that_is_not_configured_any_more() {
    let gateway = Gateway::start().await;
    let session = gateway.paid_session("AUTOMATIC").await;
    let without = orders(&gateway.orders.payments.engine, Accounts::default(), "https://pay.test");
    let command = Command::of(Actor::Merchant);
    let [order, payment] = ["orderId", "paymentId"].map(|name| session[name].as_str().unwrap());
    let request = MoneyRequest::Refund { amount: None, reason: None, reference: None };
    let (order, id) = (order.parse().unwrap(), payment.parse().unwrap());
    let outcome = without.on("shop", &command, order).operate(id, &request).await;
    let unsupported = |fault: &PaymentError| {
        matches!(fault, PaymentError::Command(CommandError::Rejected(DomainError::Unsupported(_))))
    };
    assert!(outcome.as_ref().is_err_and(unsupported), "{outcome:?}");
    let payment = gateway.get(&format!("/v1/payments/{payment}")).await.expect(200);
    assert_eq!((&payment["pendingOperation"], &payment["refundable"]), (&Value::Null, &json!(1250)));
}

#[tokio::test]
async fn without_its_account_a_session_is_not_cancelled_and_an_order_is_cancelled_in_sight_of_a_person() {
    let gateway = Gateway::start().await;
    let session = gateway.session().await;
    let without = orders(&gateway.orders.payments.engine, Accounts::default(), "https://pay.test");
    let command = Command::of(Actor::Merchant);
    let (order, known) = (id_at(&session, "orderId").parse().unwrap(), id(&session).parse().unwrap());
    let refused = without.on("shop", &command, order).cancel_session(known).await;
    assert!(refused.is_err());
    let path = format!("/v1/payment-sessions/{}", id(&session));
    let shown = gateway.get(&path).await.expect(200);
    assert_eq!((&shown["status"], &shown["pendingOperation"]), (&json!("PENDING"), &Value::Null));
    let cancelled = without.on("shop", &command, order).perform(&OrderAction::Cancel).await.unwrap();
    assert_eq!(cancelled.order.header.state, OrderState::Cancelled);
    assert_eq!(gateway.open_codes().await, ["OUTCOME_UNKNOWN"]);
    // With its account back, the page is closed.
    gateway.clock.pass(AFTER_THE_DEADLINE);
    gateway.run_jobs().await;
    assert_eq!(gateway.get(&path).await.expect(200)["failure"]["code"], "CANCELLED");
}

#[tokio::test]
async fn what_is_still_open_at_an_account_is_counted_by_kind() {
    let gateway = Gateway::start().await;
    let paid = || gateway.paid_session("AUTOMATIC");
    for _ in 0..3 {
        paid().await;
    }
    gateway.session().await;
    gateway.paid_session("MANUAL").await;
    let disputed = paid().await;
    gateway.provider.say(id_at(&disputed, "providerReference"), "charged_back");
    gateway.clock.pass(AFTER_THE_DEADLINE);
    gateway.get(&format!("/v1/payment-sessions/{}?refresh=true", id(&disputed))).await.expect(200);
    let refunded = paid().await;
    gateway.provider.fails_once(ProviderError::OutcomeUnknown("HTTP 500".to_owned()));
    let refunds = format!("/v1/payments/{}/refunds", id_at(&refunded, "paymentId"));
    gateway.post(&refunds).key("refund").json(&json!({"amount": 500})).await.expect(202);
    let open = gateway.store.open_work().await.unwrap();
    let expected = OpenWork { account: "one".to_owned(), unpaid: 1, authorized: 1, disputed: 1, waiting: 4 };
    assert_eq!(open, [expected]);
}

#[tokio::test]
async fn what_a_person_has_given_up_at_an_account_that_is_gone_can_be_erased_and_late_money_is_still_found() {
    for decision in [AttentionDecision::Dismiss, AttentionDecision::Keep] {
        let gateway = Gateway::start().await;
        let session = gateway.session().await;
        let engine = &gateway.orders.payments.engine;
        let without = orders(engine, Accounts::default(), "https://pay.test");
        let command = Command::of(Actor::Operator);
        let order: OrderId = id_at(&session, "orderId").parse().unwrap();
        without.on("shop", &command, order).perform(&OrderAction::Cancel).await.unwrap();
        let target = ErasureTarget::Order(order);
        let is_erased = async |accounts: &[&str]| {
            let accounts: Vec<_> = accounts.iter().map(|name| (*name).to_owned()).collect();
            !erase(engine, "shop", &target, Some(&accounts)).await.unwrap().orders.is_empty()
        };
        assert!(!is_erased(&[]).await, "nobody has decided yet");
        let open = gateway.get("/v1/attention?open=true").await.expect(200);
        let attention = id(&open["data"][0]).parse().unwrap();
        without.on("shop", &command, order).resolve(attention, decision, None).await.unwrap();
        assert!(!is_erased(&["one"]).await, "the account is there");
        assert!(is_erased(&["two"]).await, "{decision:?}");
        assert_eq!(gateway.open_codes().await, [] as [&str; 0]);

        gateway.provider.say(id_at(&session, "providerReference"), "paid");
        gateway.clock.pass(Duration::from_secs(7_200));
        gateway.run_jobs().await;
        assert_eq!(gateway.open_codes().await, ["LATE_PAYMENT"], "{decision:?}");
    }
}

#[tokio::test]
async fn a_hold_that_a_person_has_given_up_at_an_account_that_is_gone_can_be_erased() {
    let approves = Merchant { requires_approval: true, ..Merchant::default() };
    let gateway = Gateway::with(|settings| settings.merchants = [("shop".to_owned(), approves)].into()).await;
    let session = gateway.paid_session("MANUAL").await;
    let engine = &gateway.orders.payments.engine;
    let without = orders(engine, Accounts::default(), "https://pay.test");
    let command = Command::of(Actor::Operator);
    let order: OrderId = id_at(&session, "orderId").parse().unwrap();
    without.on("shop", &command, order).perform(&OrderAction::Cancel).await.unwrap();
    let erased = async || erase(engine, "shop", &ErasureTarget::Order(order), Some(&[])).await.unwrap();
    let mut decided = 0;
    while let Some(open) = gateway.get("/v1/attention?open=true").await.expect(200)["data"].get(0) {
        assert_eq!(erased().await.still_open, [order]);
        let attention = id(open).parse().unwrap();
        without
            .on("shop", &command, order)
            .resolve(attention, AttentionDecision::Dismiss, None)
            .await
            .unwrap();
        decided += 1;
    }
    assert!(decided > 0);
    assert_eq!(erased().await.orders, [order]);
}
