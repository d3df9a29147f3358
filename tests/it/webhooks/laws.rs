//! What holds whatever receivers do: every event arrives at least once, and in order for each order; and nothing that
//! goes wrong with one stops the others.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use paymux::domain::OrderAggregate;
use paymux::store::Change;
use port::{HttpRequest, HttpResponse, Transport, TransportError};
use proptest::prelude::*;
use serde_json::Value;

use super::fixtures::Shop;
use super::{Host, until_idle};

/// What a receiver does with a request.
#[derive(Clone, Copy, Debug)]
enum Does {
    Takes,
    Refuses,
    /// Nothing arrives.
    IsAway,
    /// It takes it, and its answer is lost.
    FallsSilent,
}

/// What was received: endpoint, order, place.
type Received = Vec<(String, String, u64)>;

/// Receivers without a network, which do one thing after the other and then take everything.
struct Receivers {
    script: Mutex<Vec<Does>>,
    received: Mutex<Received>,
}

#[async_trait]
impl Transport for Receivers {
    async fn send(&self, base_url: &str, http_request: &HttpRequest) -> Result<HttpResponse, TransportError> {
        let does = self.script.lock().unwrap().pop().unwrap_or(Does::Takes);
        let response = |status| HttpResponse { status, retry_after: None, body: Vec::new() };
        if let Does::Takes | Does::FallsSilent = does {
            let body: Value = serde_json::from_slice(&http_request.body).unwrap();
            let order = body["orderId"].as_str().unwrap().to_owned();
            let place = body["sequence"].as_u64().unwrap();
            self.received.lock().unwrap().push((base_url.to_owned(), order, place));
        }
        match does {
            Does::Takes => Ok(response(200)),
            Does::Refuses => Ok(response(500)),
            Does::IsAway => Err(TransportError::NotSent("refused".to_owned())),
            Does::FallsSilent => Err(TransportError::Lost("silence".to_owned())),
        }
    }
}

/// What happens next.
#[derive(Clone, Copy, Debug)]
enum Step {
    Create,
    /// The order in this place goes on.
    GoOn(usize),
    Deliver,
    Wait(u64),
}

fn does() -> impl Strategy<Value = Does> {
    prop_oneof![Just(Does::Takes), Just(Does::Refuses), Just(Does::IsAway), Just(Does::FallsSilent)]
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        Just(Step::Create),
        (0usize..4).prop_map(Step::GoOn),
        Just(Step::Deliver),
        (1u64..400).prop_map(Step::Wait),
    ]
}

fn next_change(shop: &Shop, order: &mut Arc<OrderAggregate>) -> Option<Change> {
    Some(match order.head.sequence {
        1 => shop.checkout(order, "main"),
        2..=4 => shop.paid(order),
        5..=8 => shop.refund(order),
        _ => return None,
    })
}

async fn play(script: Vec<Does>, steps: Vec<Step>) -> (Received, BTreeMap<String, u64>) {
    let host = Host::new();
    let receivers = Arc::new(Receivers { script: Mutex::new(script), received: Mutex::default() });
    let mut runner = host.runner_over(receivers.clone());
    for url in ["https://a.example/", "https://b.example/"] {
        host.endpoint(url).await;
    }
    let mut orders = Vec::new();
    for step in steps {
        match step {
            Step::Create => orders.push(host.create().await),
            Step::GoOn(place) => {
                if let Some(order) = orders.get_mut(place)
                    && let Some(change) = next_change(host.shop(), order)
                {
                    host.commit(change).await;
                }
            }
            Step::Deliver => drop(runner.run_once().await.unwrap()),
            Step::Wait(seconds) => host.clock.pass(Duration::from_secs(seconds)),
        }
    }
    // The script ends before anybody loses patience; a lease that a step left lying runs out.
    for _ in 0..12 {
        until_idle(&mut runner).await;
        host.clock.pass(Duration::from_secs(6 * 3_600));
    }
    let owed = orders.iter().map(|order| (order.id().to_string(), order.head.public_sequence)).collect();
    let received = receivers.received.lock().unwrap().clone();
    (received, owed)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn every_event_arrives_at_least_once_and_in_order(
        script in proptest::collection::vec(does(), 0..8),
        steps in proptest::collection::vec(step(), 1..40),
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let (received, owed) = runtime.block_on(play(script, steps));
        for url in ["https://a.example/", "https://b.example/"] {
            for (order, public) in &owed {
                let places: Vec<u64> = received
                    .iter()
                    .filter(|(to, of, _)| to == url && of == order)
                    .map(|(_, _, place)| *place)
                    .collect();
                prop_assert!(places.is_sorted(), "{url} {order}: {places:?}");
                let mut once = places.clone();
                once.dedup();
                prop_assert_eq!(once, (1..=*public).collect::<Vec<_>>());
            }
        }
    }
}

/// A way out with a defect.
struct Breaks {
    at: &'static str,
    sent: Mutex<Vec<String>>,
}

#[async_trait]
impl Transport for Breaks {
    async fn send(&self, base_url: &str, _: &HttpRequest) -> Result<HttpResponse, TransportError> {
        assert_ne!(base_url, self.at, "the defect");
        self.sent.lock().unwrap().push(base_url.to_owned());
        Ok(HttpResponse { status: 200, retry_after: None, body: Vec::new() })
    }
}

#[tokio::test]
async fn a_defect_in_one_delivery_stops_no_other() {
    let host = Host::new();
    let (broken, fine) = ("https://a.example/", "https://b.example/");
    let transport = Arc::new(Breaks { at: broken, sent: Mutex::default() });
    let mut runner = host.runner_over(transport.clone());
    for url in [broken, fine] {
        host.endpoint(url).await;
    }
    for _ in 0..3 {
        host.create().await;
    }
    until_idle(&mut runner).await;
    assert_eq!(*transport.sent.lock().unwrap(), [fine; 3]);
}
