//! Starts that a provider refuses: for what is in the request, and for anything else.

use std::sync::Arc;
use std::time::Duration;

use paymux::domain::{Actor, Metadata, ReturnUrls, Session};
use paymux::engine::Command;
use paymux::payments::{Account, Accounts, CheckoutRequest};
use paymux::routing::Rules;
use paymux_testkit::{ALL, Answer, Script, settings};
use port::{Approach, CaptureMode, LinkDelivery};

use super::gateway::orders_over;
use super::{Gateway, id};

const CREATED: &str = r#"{"id": "o-1", "status": "issued", "currency": "EUR", "total": 12.5,
    "full_page_checkout": "https://gate.decta.com/x/full"}"#;
const TOO_LONG: &str =
    r#"{"client": [{"message": "Ensure this has at most 50 characters", "code": "max_length"}]}"#;
const ERRORS: &str = r#"{"errors": [{"message": "no", "code": "invalid"}]}"#;

fn request() -> CheckoutRequest {
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

/// A session of an order that is started at the account `one` of DECTA, with the account `two` to fall back to, while
/// DECTA gives these answers; and how many calls it has got.
async fn started(answers: Vec<Answer>) -> (Session, String, usize) {
    let gateway = Gateway::start().await;
    let decta = ALL.iter().find(|about| about.name == "decta").unwrap();
    let account = |name: &str| {
        let adapter = (decta.build)(&settings(decta, &[])).unwrap();
        Account::new(name.to_owned(), adapter, "https://decta.test".to_owned(), false, None).unwrap()
    };
    let accounts = Accounts::new([account("one"), account("two")]);
    let text = "[[rules]]\nname = \"all\"\naccounts = [\"one\"]\nfallback = [\"two\"]\n";
    let rules = Rules::parse("routing.toml", text, &["one", "two"]).unwrap();
    let script = Arc::new(Script::new(answers));
    let engine = &gateway.orders.payments.engine;
    let orders = orders_over(script.clone(), rules, engine, accounts, "https://pay.test");
    let order = id(&gateway.priced_order().await).parse().unwrap();
    let command = Command::of(Actor::Merchant);
    let outcome = orders.on("shop", &command, order).checkout(&request()).await.unwrap();
    let session = outcome.order.sessions.last().unwrap().clone();
    let account = outcome.order.attempt(session.attempt).unwrap().account.clone();
    (session, account, script.calls().len())
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
        let (session, account, calls) = started(answers).await;
        assert_eq!((account.as_str(), calls), (expected, if expected == "two" { 2 } else { 1 }), "{status}");
        assert_eq!(session.status.is_open(), expected == "two", "{status}");
        let shown: Vec<_> =
            session.routing.tried.iter().map(|out| format!("{} {}", out.account, out.outcome)).collect();
        assert_eq!(shown.last().unwrap(), tried, "{status}: {shown:?}");
    }
}

#[tokio::test]
async fn a_request_that_no_account_can_take_says_why() {
    let (session, account, calls) = started(vec![Answer::reply(400, TOO_LONG); 2]).await;
    assert_eq!((account.as_str(), calls), ("two", 2));
    let failure = session.failure.unwrap();
    assert_eq!(failure.message.as_deref(), Some("Ensure this has at most 50 characters"));
}
