//! Starts and refunds that a provider refuses or does not answer, by what that proves.

use std::sync::Arc;
use std::time::Duration;

use paymux::domain::{Actor, Attempt, AttemptState, Metadata, ReturnUrls, Session, Urgency};
use paymux::engine::Command;
use paymux::orders::{MoneyRequest, Orders};
use paymux::payments::{Account, Accounts, CheckoutRequest, ReadPass, Routing};
use paymux::routing::Rules;
use paymux_testkit::{ALL, Answer, Script, settings};
use port::{Approach, CaptureMode, LinkDelivery};
use tokio::sync::Semaphore;
use tokio::time::Instant;

use super::gateway::orders_over;
use super::{Gateway, Start, id};

const CREATED: &str = r#"{"id": "o-1", "status": "issued", "currency": "EUR", "total": 12.5,
    "full_page_checkout": "https://gate.decta.com/x/full"}"#;
const TOO_LONG: &str =
    r#"{"client": [{"message": "Ensure this has at most 50 characters", "code": "max_length"}]}"#;
const PAID: &str = r#"{"id": "o-1", "status": "paid", "currency": "EUR", "total": 12.5}"#;
const NO_ORDERS: &str = r#"{"next": null, "results": []}"#;
const ERRORS: &str = r#"{"errors": [{"message": "no", "code": "invalid"}]}"#;

/// A hosted checkout that asks for nothing special.
pub(super) fn request() -> CheckoutRequest {
    CheckoutRequest {
        approach: Approach::Hosted,
        capture: CaptureMode::Automatic,
        return_urls: ReturnUrls::default(),
        link_delivery: LinkDelivery::default(),
        expires_in: Duration::from_secs(3_600),
        language: None,
        payment_methods: Vec::new(),
        max_attempts: None,
        save_payment_profile: None,
        payment_profile_id: None,
        charge: false,
        account: None,
        metadata: Metadata::new(),
    }
}

/// What has become of a start, and how many calls its provider has got.
struct Started {
    session: Session,
    attempts: Vec<Attempt>,
    calls: usize,
}

impl Started {
    /// The account that the session is at.
    fn account(&self) -> &str {
        let own = self.attempts.iter().find(|attempt| attempt.id == self.session.attempt);
        &own.unwrap().account
    }
}

/// The use cases with the accounts `one` and `two`, to fall back to, of a provider that gives these answers.
fn orders_at(gateway: &Gateway, provider: &str, script: &Arc<Script>) -> Orders {
    let about = ALL.iter().find(|about| about.name == provider).unwrap();
    let account = |name: &str| {
        let adapter = (about.build)(&settings(about, &[])).unwrap();
        Account::new(name.to_owned(), adapter, "https://provider.test".to_owned(), false, None).unwrap()
    };
    let accounts = Accounts::new([account("one"), account("two")]);
    let engine = &gateway.orders.payments.engine;
    orders_over(script.clone(), falling_back(), engine, accounts, "https://pay.test")
}

fn falling_back() -> Rules {
    let text = "[[rules]]\nname = \"all\"\naccounts = [\"one\"]\nfallback = [\"two\"]\n";
    Rules::parse("routing.toml", text, &["one", "two"]).unwrap()
}

/// A session of an order that is started while a provider gives these answers.
async fn started_at(provider: &str, answers: Vec<Answer>) -> Started {
    let gateway = Gateway::start().await;
    let script = Arc::new(Script::new(answers));
    let orders = orders_at(&gateway, provider, &script);
    let order = id(&gateway.priced_order().await).parse().unwrap();
    let command = Command::of(Actor::Merchant);
    let outcome = orders.on("shop", &command, order).checkout(&request()).await.unwrap();
    let session = outcome.order.sessions.last().unwrap().clone();
    Started { session, attempts: outcome.order.attempts.clone(), calls: script.calls().len() }
}

#[tokio::test]
async fn a_request_that_its_provider_cannot_take_goes_to_the_next_account_and_anything_else_does_not() {
    let cases = [
        (400, TOO_LONG, "two", "one rejected"),
        (422, TOO_LONG, "two", "one rejected"),
        // It may be a conflict with what exists already.
        (409, TOO_LONG, "one", "one rejected"),
        // A business "no" is an answer to the customer.
        (402, TOO_LONG, "one", "one declined"),
        // An error inside a success proves nothing about what was created.
        (200, ERRORS, "one", "one rejected"),
    ];
    for (status, body, expected, tried) in cases {
        let answers = vec![Answer::reply(status, body), Answer::reply(201, CREATED)];
        let started = started_at("decta", answers).await;
        let calls = if expected == "two" { 2 } else { 1 };
        assert_eq!((started.account(), started.calls), (expected, calls), "{status}");
        let session = started.session;
        assert_eq!(session.status.is_open(), expected == "two", "{status}");
        let shown: Vec<_> =
            session.routing.tried.iter().map(|out| format!("{} {}", out.account, out.outcome)).collect();
        assert_eq!(shown.last().unwrap(), tried, "{status}: {shown:?}");
    }
}

#[tokio::test]
async fn a_request_that_no_account_can_take_says_why() {
    let started = started_at("decta", vec![Answer::reply(400, TOO_LONG); 2]).await;
    assert_eq!((started.account(), started.calls), ("two", 2));
    let failure = started.session.failure.unwrap();
    assert_eq!(failure.message.as_deref(), Some("Ensure this has at most 50 characters"));
}

#[tokio::test]
async fn a_start_whose_answer_was_lost_is_sent_again_only_to_a_provider_that_knows_its_key() {
    // DECTA is asked for it, and does not list it; it may come to be there all the same.
    let answers = vec![Answer::Lost, Answer::reply(200, NO_ORDERS), Answer::reply(201, CREATED)];
    let started = started_at("decta", answers).await;
    assert_eq!((started.account(), started.calls), ("two", 3));
    assert_eq!(started.attempts[0].state, AttemptState::Orphaned);

    let order = r#"{"orderId": "o-1", "state": "PENDING"}"#;
    let price = r#"{"pricing": {"total": 12.50, "currency": "EUR"}}"#;
    let opened =
        r#"{"paymentSessionId": "s-1", "status": "PENDING", "provider": {"checkoutUrl": "https://a.test"}}"#;
    let created = || [Answer::reply(201, order), Answer::reply(200, price), Answer::reply(201, opened)];
    let started = started_at("telness", [Answer::Lost].into_iter().chain(created()).collect()).await;
    assert_eq!((started.account(), started.calls), ("one", 4));

    // What the second send is answered says nothing about the first.
    let refused = Answer::reply(422, r#"{"code": "invalid", "message": "no"}"#);
    let started = started_at("telness", [Answer::Lost, refused].into_iter().chain(created()).collect()).await;
    assert_eq!((started.account(), started.calls), ("one", 2));
    assert!(!started.session.status.is_open());
    let busy = Answer::reply(429, "{}");
    let started = started_at("telness", [Answer::Lost, busy].into_iter().chain(created()).collect()).await;
    assert_eq!((started.account(), started.calls), ("two", 5));
    assert_eq!(started.attempts[0].state, AttemptState::Orphaned);
}

#[tokio::test]
async fn a_start_of_unknown_outcome_goes_elsewhere_only_where_that_is_wanted() {
    for (wanted, account) in [(true, "two"), (false, "one")] {
        let gateway = Gateway::start().await;
        gateway.provider.starts(Start::Silent);
        let mut orders = gateway.orders.clone();
        orders.payments.routing = Arc::new(Routing::new(falling_back(), wanted));
        let order = id(&gateway.priced_order().await).parse().unwrap();
        let command = Command::of(Actor::Merchant);
        let outcome = orders.on("shop", &command, order).checkout(&request()).await.unwrap();
        assert!(outcome.is_pending());
        assert_eq!(outcome.order.attempts.last().unwrap().account, account);
    }
}

#[tokio::test]
async fn a_start_that_takes_too_long_may_have_worked_and_is_known_to_before_a_job_takes_it_up() {
    let gateway = Gateway::start().await;
    gateway.provider.starts(Start::Waits(Arc::new(Semaphore::new(0))));
    let order = id(&gateway.priced_order().await).parse().unwrap();
    let command = Command::of(Actor::Merchant);
    // Time passes by itself from here on, as soon as nothing else can happen.
    tokio::time::pause();
    let began = Instant::now();
    let outcome = gateway.orders.on("shop", &command, order).checkout(&request()).await.unwrap();
    assert!(outcome.is_pending());
    assert_eq!(outcome.order.attempts[0].state, AttemptState::Started);
    assert!(began.elapsed() < Duration::from_secs(45), "{:?}", began.elapsed());
}

#[tokio::test]
async fn a_refund_that_was_taken_and_could_not_be_read_back_is_not_sent_again() {
    let gateway = Gateway::start().await;
    let taken = vec![Answer::reply(201, CREATED), Answer::reply(200, PAID), Answer::reply(200, "{}")];
    let unread = vec![Answer::reply(500, "{}"), Answer::reply(200, PAID), Answer::reply(200, PAID)];
    let script = Arc::new(Script::new([taken, unread].concat()));
    let orders = orders_at(&gateway, "decta", &script);
    let order = id(&gateway.priced_order().await).parse().unwrap();
    let command = Command::of(Actor::Merchant);
    let started = orders.on("shop", &command, order).checkout(&request()).await.unwrap();
    let payment = started.order.payments[0].id;
    let pass = ReadPass::of(Urgency::Customer);
    orders.payments.fetch_status(order, payment, &command, &pass).await.unwrap();
    let part = MoneyRequest::Refund { amount: Some(300), reason: None, reference: None };
    let outcome = orders.on("shop", &command, order).operate(payment, &part).await.unwrap();
    assert!(outcome.is_pending());
    for _ in 0..2 {
        gateway.clock.pass(Duration::from_secs(60));
        orders.payments.resume_operation(order, payment, &command, &pass).await.unwrap();
    }
    let refunds = script.calls().iter().filter(|call| call.path.ends_with("/refund/")).count();
    assert_eq!((refunds, script.calls().len()), (1, 6));
}

#[tokio::test]
async fn a_capture_that_is_refused_the_second_time_is_not_declined_before_it_was_read() {
    const HELD: &str = r#"{"id": "o-1", "status": "hold", "currency": "EUR", "total": 12.5}"#;
    let gateway = Gateway::start().await;
    let held = vec![Answer::reply(201, CREATED), Answer::reply(200, HELD), Answer::Lost];
    let unread = vec![Answer::reply(200, HELD), Answer::reply(400, TOO_LONG), Answer::reply(500, "{}")];
    let answers = [held, unread, vec![Answer::reply(200, PAID)]].concat();
    let script = Arc::new(Script::new(answers));
    let orders = orders_at(&gateway, "decta", &script);
    let order = id(&gateway.priced_order().await).parse().unwrap();
    let command = Command::of(Actor::Merchant);
    let by_hand = CheckoutRequest { capture: CaptureMode::Manual, ..request() };
    let started = orders.on("shop", &command, order).checkout(&by_hand).await.unwrap();
    let payment = started.order.payments[0].id;
    let pass = ReadPass::of(Urgency::Customer);
    orders.payments.fetch_status(order, payment, &command, &pass).await.unwrap();
    let all = MoneyRequest::Capture { amount: None };
    assert!(orders.on("shop", &command, order).operate(payment, &all).await.unwrap().is_pending());
    for (calls, captured) in [(6, 0), (7, 1_250)] {
        gateway.clock.pass(Duration::from_secs(60));
        orders.payments.resume_operation(order, payment, &command, &pass).await.unwrap();
        let known = gateway.store.order(order).await.unwrap().unwrap();
        let known = known.payment(payment).unwrap();
        assert_eq!((script.calls().len(), known.state.captured), (calls, captured));
        assert_eq!(known.operation.is_none(), captured > 0, "it is under way until its effect is seen");
    }
}
