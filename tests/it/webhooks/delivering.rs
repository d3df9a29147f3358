//! Deliveries: signed, in order for each order, again until they are taken.

use std::collections::BTreeMap;
use std::io::Write as _;
use std::net::TcpListener;
use std::time::Duration;

use paymux::domain::{DisabledReason, EndpointSettings, OrderAggregate};
use paymux::store::Write;
use serde_json::json;

use super::fixtures::MERCHANT;
use super::receiver::{self, Gate, Receiver};
use super::{DAY, Host, MINUTE, SECOND, merchant, until, until_idle};

/// The events of a paid order, in their order.
const PAID: [&str; 6] = [
    "order.pending",
    "paymentSession.pending",
    "order.pendingPayment",
    "payment.paid",
    "paymentSession.completed",
    "order.submitted",
];

#[tokio::test]
async fn a_merchant_hears_of_everything_once_in_order_and_signed() {
    let host = Host::new();
    let receiver = Receiver::taking();
    let endpoint = host.endpoint(&format!("{}?shop=1", receiver.url)).await;
    let mut order = host.create().await;
    host.pay(&mut order).await;
    until_idle(&mut host.runner()).await;
    assert_eq!(receiver.types(), PAID);
    assert_eq!(receiver.places(), [1, 2, 3, 4, 5, 6]);
    let changes = host.store.recorded::<OrderAggregate>(order.id().uuid(), 0).await.unwrap();
    let events = changes.iter().flat_map(|change| change.recorded_events());
    let public = events.filter(|event| event.public_sequence.is_some());
    for (received, event) in receiver.seen().iter().zip(public) {
        received.verify(&endpoint);
        assert_eq!(received.path, "/hook?shop=1");
        assert_eq!(received.header("content-type"), "application/json");
        assert_eq!(received.header("webhook-id"), event.id().to_string());
        let body = received.json();
        assert_eq!(body["id"], json!(event.id()));
        assert_eq!(body["occurredAt"], json!(event.at));
        assert_eq!(body["orderId"], json!(order.id()));
        assert!(received.body.len() < 20_000);
    }
    let tries = host.tries(endpoint.id).await;
    assert!(
        tries.iter().all(|tried| tried.delivered && tried.attempt == 1 && tried.response_code == Some(200))
    );
    assert_eq!(tries.iter().map(|tried| tried.event_type.as_str()).collect::<Vec<_>>(), PAID);
    assert!(
        host.engine.metrics.render().contains("paymux_webhook_deliveries_total{outcome=\"delivered\"} 6")
    );
    assert_eq!(host.store.next_delivery(endpoint.id).await, Ok(None));
}

#[tokio::test]
async fn a_merchant_hears_of_its_own_orders_and_of_no_other_merchants() {
    let host = Host::new();
    let (receiver, unknown) = (Receiver::taking(), Receiver::taking());
    let settings = EndpointSettings { url: unknown.url.clone(), types: Vec::new(), description: None };
    host.endpoints.by("another", &merchant()).create(settings).await.unwrap();
    let before = host.create().await;
    host.endpoint(&receiver.url).await;
    let after = host.create().await;
    until_idle(&mut host.runner()).await;
    let delivered: Vec<_> = receiver.seen().iter().map(|got| got.order()).collect();
    assert_eq!(delivered, [after.id().to_string()], "and not of {}", before.id());
    assert_eq!(unknown.types(), [""; 0]);
}

#[tokio::test]
async fn each_event_shows_its_object_as_it_was_then() {
    let host = Host::new();
    let receiver = Receiver::taking();
    host.endpoint(&receiver.url).await;
    let mut order = host.create().await;
    host.pay(&mut order).await;
    until_idle(&mut host.runner()).await;
    let bodies: BTreeMap<_, _> =
        receiver.seen().iter().map(|got| (got.event().0, got.json()["data"].clone())).collect();
    assert_eq!(bodies["order.pending"]["state"], "PENDING");
    assert_eq!(bodies["order.pending"]["customer"]["firstName"], "Ada");
    assert_eq!(bodies["order.pending"]["payments"], json!([]));
    assert_eq!(bodies["order.pendingPayment"]["state"], "PENDING_PAYMENT");
    assert_eq!(bodies["paymentSession.pending"]["status"], "PENDING");
    assert_eq!(bodies["paymentSession.completed"]["status"], "COMPLETED");
    assert_eq!(bodies["payment.paid"]["captured"], 5_490);
    assert_eq!(bodies["order.submitted"]["state"], "SUBMITTED");
}

#[tokio::test]
async fn a_failure_holds_up_its_own_order_and_no_other() {
    let host = Host::new();
    let poison = host.shop().order(None);
    let refused = poison.0.id().to_string();
    let receiver =
        Receiver::start(move |got, _| (if got.order() == refused { 500 } else { 200 }, String::new()));
    let endpoint = host.endpoint(&receiver.url).await;
    host.commit(poison.1).await;
    let mut poisoned = poison.0;
    host.pay(&mut poisoned).await;
    let mut fine = host.create().await;
    host.pay(&mut fine).await;
    let mut runner = host.runner();
    until_idle(&mut runner).await;
    let of = |order: String| {
        receiver.seen().into_iter().filter(move |got| got.order() == order).map(|got| got.event().1)
    };
    assert_eq!(of(fine.id().to_string()).collect::<Vec<_>>(), [1, 2, 3, 4, 5, 6]);
    // Tried once more when the other one has shown that the endpoint works, and then as planned.
    assert_eq!(of(poisoned.id().to_string()).collect::<Vec<_>>(), [1, 1]);
    host.clock.pass(6 * SECOND);
    host.pay(&mut host.create().await).await;
    until_idle(&mut runner).await;
    assert_eq!(of(poisoned.id().to_string()).collect::<Vec<_>>(), [1, 1]);
    let failed: Vec<_> = host.tries(endpoint.id).await.into_iter().filter(|tried| !tried.delivered).collect();
    assert_eq!(failed.iter().map(|tried| tried.attempt).collect::<Vec<_>>(), [1, 2]);
    assert_eq!(failed[0].error.as_deref(), Some("it answered 500"));
}

#[tokio::test]
async fn what_is_taken_at_last_is_followed_by_all_that_waited() {
    let host = Host::new();
    let receiver = Receiver::start(|_, before| (if before < 3 { 500 } else { 204 }, String::new()));
    let endpoint = host.endpoint(&receiver.url).await;
    let mut order = host.create().await;
    let mut runner = host.runner();
    until_idle(&mut runner).await;
    assert!(host.endpoints.failing_since(MERCHANT, endpoint.id).await.unwrap().is_some());
    // What happens meanwhile brings no retry forward.
    host.pay(&mut order).await;
    until_idle(&mut runner).await;
    assert_eq!(receiver.count(), 1);
    for wait in [6 * SECOND, 6 * MINUTE, 34 * MINUTE] {
        host.clock.pass(wait);
        until_idle(&mut runner).await;
    }
    assert_eq!(receiver.places(), [1, 1, 1, 1, 2, 3, 4, 5, 6]);
    assert!(host.endpoints.failing_since(MERCHANT, endpoint.id).await.unwrap().is_none());
}

#[tokio::test]
async fn an_event_that_is_refused_for_days_is_given_up_if_the_endpoint_takes_others() {
    let host = Host::new();
    let poison = host.shop().order(None);
    let refused = poison.0.id().to_string();
    let receiver = Receiver::start(move |got, _| {
        let poisoned = got.order() == refused && got.event().1 == 1;
        (if poisoned { 400 } else { 200 }, String::new())
    });
    let endpoint = host.endpoint(&receiver.url).await;
    host.commit(poison.1).await;
    let mut poisoned = poison.0;
    host.pay(&mut poisoned).await;
    let mut runner = host.runner();
    for _ in 0..12 {
        host.create().await;
        until_idle(&mut runner).await;
        host.clock.pass(DAY);
    }
    let of_poisoned = receiver.seen().into_iter().filter(|got| got.order() == poisoned.id().to_string());
    let places: Vec<_> = of_poisoned.map(|got| got.event().1).collect();
    assert_eq!(places, [1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 2, 3, 4, 5, 6]);
    assert!(host.known(endpoint.id).await.disabled.is_none());
    assert!(host.engine.metrics.render().contains("outcome=\"given_up\"} 1"));
}

#[tokio::test]
async fn once_an_endpoint_works_again_everything_that_waits_for_it_is_sent() {
    let host = Host::new();
    let receiver = Receiver::start(|_, before| (if before < 8 { 503 } else { 200 }, String::new()));
    host.endpoint(&receiver.url).await;
    let mut runner = host.runner();
    for _ in 0..4 {
        host.create().await;
    }
    // Everything has failed twice and waits for five minutes.
    until_idle(&mut runner).await;
    host.clock.pass(6 * SECOND);
    until_idle(&mut runner).await;
    assert_eq!(receiver.count(), 8);
    host.create().await;
    until_idle(&mut runner).await;
    assert_eq!(receiver.count(), 8 + 5);
}

#[tokio::test]
async fn an_endpoint_that_hangs_holds_up_no_other() {
    let host = Host::new();
    let gate = Gate::default();
    let shut = gate.clone();
    let hangs = Receiver::start(move |_, _| {
        shut.pass();
        (200, String::new())
    });
    let works = Receiver::taking();
    host.endpoint(&hangs.url).await;
    host.endpoint(&works.url).await;
    let mut runner = host.runner();
    for _ in 0..40 {
        host.create().await;
    }
    until(&mut runner, || works.count() == 40).await;
    assert!(hangs.count() <= 8, "one endpoint has its share and no more");
    gate.open();
    until_idle(&mut runner).await;
    assert_eq!(hangs.count(), 40);
}

#[tokio::test]
async fn what_happens_while_a_delivery_is_under_way_follows_it() {
    let host = Host::new();
    let gate = Gate::default();
    let shut = gate.clone();
    let receiver = Receiver::start(move |_, _| {
        shut.pass();
        (200, String::new())
    });
    host.endpoint(&receiver.url).await;
    let mut order = host.create().await;
    let mut runner = host.runner();
    until(&mut runner, || receiver.count() == 1).await;
    host.pay(&mut order).await;
    runner.run_once().await.unwrap();
    assert_eq!(receiver.count(), 1, "an order has one delivery under way");
    gate.open();
    until_idle(&mut runner).await;
    // The change came later than the claim, so its rows may be due a millisecond later.
    host.clock.pass(SECOND);
    until_idle(&mut runner).await;
    assert_eq!(receiver.places(), [1, 2, 3, 4, 5, 6]);
}

#[tokio::test]
async fn a_runner_that_dies_leaves_nothing_undelivered() {
    let host = Host::new();
    let gate = Gate::default();
    let shut = gate.clone();
    let receiver = Receiver::start(move |_, before| {
        if before == 0 {
            shut.pass();
        }
        (200, String::new())
    });
    let endpoint = host.endpoint(&receiver.url).await;
    let mut order = host.create().await;
    host.pay(&mut order).await;
    let mut dies = host.runner();
    until(&mut dies, || receiver.count() == 1).await;
    drop(dies);
    gate.open();
    let mut next = host.runner();
    until_idle(&mut next).await;
    assert_eq!(receiver.count(), 1, "it is leased");
    host.clock.pass(2 * MINUTE);
    until_idle(&mut next).await;
    assert_eq!(receiver.places(), [1, 1, 2, 3, 4, 5, 6]);
    assert_eq!(host.tries(endpoint.id).await.len(), 6);
}

#[tokio::test]
async fn an_endpoint_that_is_gone_is_switched_off_at_once() {
    let host = Host::new();
    let receiver = Receiver::answering(410);
    let endpoint = host.endpoint(&receiver.url).await;
    host.create().await;
    host.create().await;
    let mut runner = host.runner();
    until_idle(&mut runner).await;
    let off = host.known(endpoint.id).await.disabled.unwrap();
    assert_eq!(off.reason, DisabledReason::Gone);
    let seen = receiver.count();
    host.create().await;
    host.clock.pass(DAY);
    until_idle(&mut runner).await;
    assert_eq!(receiver.count(), seen, "nothing is sent any more");
    assert_eq!(host.store.next_delivery(endpoint.id).await, Ok(None));
    assert!(host.engine.metrics.render().contains("outcome=\"given_up\"}"));
}

/// How often an endpoint that always fails is tried, if each wait is the plan's with its jitter, or longer.
async fn tries_until_off(waits: impl Iterator<Item = Duration>) -> usize {
    let host = Host::new();
    let receiver = Receiver::answering(500);
    let endpoint = host.endpoint(&receiver.url).await;
    host.create().await;
    let mut runner = host.runner();
    for wait in waits {
        until_idle(&mut runner).await;
        if let Some(off) = host.known(endpoint.id).await.disabled {
            assert_eq!(off.reason, DisabledReason::Failing);
            return receiver.count();
        }
        host.clock.pass(wait);
    }
    panic!("it is still on");
}

#[tokio::test]
async fn an_endpoint_that_fails_for_days_is_switched_off() {
    let minutes = [1, 6, 33, 132, 330, 660, 924, 1_320, 1_584, 1];
    assert_eq!(tries_until_off(minutes.into_iter().map(|minutes| minutes * MINUTE)).await, 10);
    // Whatever the plan, three days and some hours without one delivery that works are enough.
    assert_eq!(tries_until_off(std::iter::repeat_n(2 * DAY, 9)).await, 3);
}

#[tokio::test]
async fn retry_after_is_honoured_by_the_statuses_that_ask_to_slow_down() {
    for (status, waits) in [(429, true), (503, true), (500, false)] {
        let host = Host::new();
        let receiver = Receiver::start(move |_, before| {
            if before == 0 { (status, "Retry-After: 900\r\n".to_owned()) } else { (200, String::new()) }
        });
        host.endpoint(&receiver.url).await;
        host.create().await;
        let mut runner = host.runner();
        until_idle(&mut runner).await;
        host.clock.pass(6 * SECOND);
        until_idle(&mut runner).await;
        assert_eq!(receiver.count(), if waits { 1 } else { 2 }, "{status}");
        host.clock.pass(15 * MINUTE);
        until_idle(&mut runner).await;
        assert_eq!(receiver.count(), 2, "{status}");
    }
}

#[tokio::test]
async fn an_answer_is_its_status_however_its_body_ends() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/", listener.local_addr().unwrap());
    let serving = std::thread::spawn(move || {
        for body in ["x".repeat(100), "x".repeat(1_000_000)] {
            let (mut stream, _) = listener.accept().unwrap();
            receiver::read(&mut stream).unwrap();
            let head = "HTTP/1.1 200 OK\r\nContent-Length: 9000000\r\n\r\n";
            // The client may have read enough.
            let _ = stream.write_all(format!("{head}{body}").as_bytes());
        }
    });
    let host = Host::new();
    let endpoint = host.endpoint(&url).await;
    for _ in 0..2 {
        host.create().await;
        until_idle(&mut host.runner()).await;
    }
    serving.join().unwrap();
    let tries = host.tries(endpoint.id).await;
    assert_eq!(tries.iter().map(|tried| tried.delivered).collect::<Vec<_>>(), [true, true]);
}

#[tokio::test]
async fn an_endpoint_gets_the_types_it_asked_for() {
    let host = Host::new();
    let (payments, one) = (Receiver::taking(), Receiver::taking());
    host.endpoint_for(&payments.url, &["payment.*", "order.submitted"]).await;
    host.endpoint_for(&one.url, &["refund.pending"]).await;
    let mut order = host.create().await;
    host.pay(&mut order).await;
    let refund = host.shop().refund(&mut order);
    host.commit(refund).await;
    until_idle(&mut host.runner()).await;
    assert_eq!(payments.types(), ["payment.paid", "order.submitted"]);
    assert_eq!(one.types(), ["refund.pending"]);
}

#[tokio::test]
async fn a_merchant_without_an_endpoint_costs_nothing() {
    let host = Host::new();
    let (_, change) = host.shop().order(None);
    assert!(host.deliveries(MERCHANT, &change).is_empty());
    let receiver = Receiver::taking();
    host.endpoint_for(&receiver.url, &["payment.paid"]).await;
    assert!(host.deliveries(MERCHANT, &change).is_empty());
    assert!(host.deliveries("another", &change).is_empty());
    host.endpoint_for(&receiver.url, &["order.*"]).await;
    let owed = host.deliveries(MERCHANT, &change);
    assert!(matches!(owed.as_slice(), [Write::Enqueue { .. }]));
}
