//! Events to a merchant: over the API, from the real program, through its death.

use reqwest::Method;
use serde_json::{Value, json};
use standardwebhooks::Webhook;

use super::demo::Demo;
use super::shop::{Shop, eventually};

#[allow(dead_code, reason = "shared with the tests of modules")]
#[path = "../it/webhooks/receiver.rs"]
pub mod receiver;

use receiver::{Received, Receiver};

/// The merchant's own calls: the status, whether it says to be a repeat, and the body.
async fn call(shop: &Shop, method: Method, path: &str, key: Option<&str>, body: Value) -> (u16, bool, Value) {
    let answer = shop.send_with(method, path, key, &body).await;
    (answer.status, answer.replayed, answer.body())
}

async fn does(shop: &Shop, method: Method, path: &str, body: Value) -> (u16, Value) {
    let answer = shop.send_with(method, path, None, &body).await;
    (answer.status, answer.body())
}

async fn arrived(receiver: &Receiver, done: impl Fn(&[Received]) -> bool) -> Vec<Received> {
    eventually(|| async {
        let seen = receiver.seen();
        if done(&seen) { Ok(seen) } else { Err(format!("only {:?}", receiver.types())) }
    })
    .await
}

fn has(kind: &str) -> impl Fn(&[Received]) -> bool {
    move |seen| seen.iter().any(|received| received.event().0 == kind)
}

#[tokio::test]
async fn a_merchant_is_told_of_a_paid_order_and_can_ask_again() {
    let demo = Demo::start();
    let shop = &demo.shop;
    let receiver = Receiver::taking();

    let requested =
        json!({"url": receiver.url, "events": ["order.*", "payment.*"], "description": "the shop"});
    let (status, _, made) =
        call(shop, Method::POST, "/v1/webhook-endpoints", Some("w-1"), requested.clone()).await;
    assert_eq!(status, 201, "{made}");
    let secret = made["secret"].as_str().unwrap().to_owned();
    let path = format!("/v1/webhook-endpoints/{}", made["id"].as_str().unwrap());
    let again = call(shop, Method::POST, "/v1/webhook-endpoints", Some("w-1"), requested).await;
    assert_eq!(again, (201, true, made.clone()));
    let elsewhere = json!({"url": "http://x.example"});
    let other = call(shop, Method::POST, "/v1/webhook-endpoints", Some("w-1"), elsewhere).await;
    assert_eq!((other.0, &other.2["code"]), (422, &json!("idempotency_key_reused")));
    let (_, read) = does(shop, Method::GET, &path, json!({})).await;
    let hidden = {
        let mut made = made.clone();
        made["secret"] = Value::Null;
        made
    };
    assert_eq!(read, hidden, "the secret is shown once");

    let answer = shop.checkout("told", &Shop::order(Some("decta-demo"), "EUR", 1999)).await;
    shop.pay(answer["session"]["checkoutUrl"].as_str().unwrap()).await.unwrap();
    let order =
        shop.until(answer["order"]["id"].as_str().unwrap(), |order| order["state"] == "PROCESSING").await;
    let arrivals = arrived(&receiver, has("order.processing")).await;
    let places: Vec<u64> = arrivals.iter().map(|received| received.event().1).collect();
    assert!(
        places.is_sorted()
            && arrivals.iter().all(|received| !received.event().0.starts_with("paymentSession"))
    );
    for received in &arrivals {
        Webhook::new(&secret).unwrap().verify(&received.body, &received.headers).unwrap();
    }
    let last = arrivals.last().unwrap().json();
    assert_eq!((&last["data"]["id"], &last["data"]["state"]), (&order["id"], &json!("PROCESSING")));

    // The list has the same events, newest first, and those of sessions too.
    let (_, listed) = does(shop, Method::GET, "/v1/events?limit=200", json!({})).await;
    let listed: Vec<&Value> =
        listed["data"].as_array().unwrap().iter().filter(|event| event["orderId"] == order["id"]).collect();
    let sequences: Vec<u64> = listed.iter().map(|event| event["sequence"].as_u64().unwrap()).collect();
    assert_eq!(sequences, (1..=sequences.len() as u64).rev().collect::<Vec<_>>());
    for received in &arrivals {
        assert!(listed.contains(&&received.json()), "{}", received.json());
    }

    let event = last["id"].as_str().unwrap();
    let redeliver = format!("/v1/events/{event}/redeliver");
    for replayed in [false, true] {
        let requested = call(shop, Method::POST, &redeliver, Some("w-2"), json!({})).await;
        assert_eq!(requested, (202, replayed, json!({"endpoints": 1})));
    }
    let other = call(shop, Method::POST, &redeliver, Some("w-2"), json!({"endpointId": made["id"]})).await;
    assert_eq!((other.0, &other.2["code"]), (422, &json!("idempotency_key_reused")));
    let count = arrivals.len();
    let seen = arrived(&receiver, |seen| seen.len() > count).await;
    assert_eq!(seen.last().unwrap().body, arrivals.last().unwrap().body);
    let (_, tries) = does(shop, Method::GET, &format!("{path}/deliveries?limit=1"), json!({})).await;
    assert_eq!(tries["data"][0]["eventId"], *event);
    assert_eq!(tries["data"][0]["status"], "SUCCEEDED");
    assert!(tries["nextCursor"].is_string());
    check_changes(shop, &path, &secret).await;
}

async fn check_changes(shop: &Shop, path: &str, secret: &str) {
    let (status, off) = does(shop, Method::PATCH, path, json!({"enabled": false, "events": null})).await;
    assert_eq!((status, &off["enabled"], &off["disabledReason"]), (200, &json!(false), &json!("MERCHANT")));
    assert_eq!((&off["events"], &off["description"]), (&Value::Null, &json!("the shop")));
    for (wrong, pointer) in [
        (json!({"url": "ftp://x.example"}), "/url"),
        (json!({"url": "https://user:word@x.example"}), "/url"),
        (json!({"url": null}), "/url"),
        (json!({"events": ["payment.payed"]}), "/events/0"),
        (json!({"uri": "https://x.example"}), "/uri"),
    ] {
        let (status, problem) = does(shop, Method::PATCH, path, wrong).await;
        assert_eq!((status, &problem["errors"][0]["pointer"]), (400, &json!(pointer)));
    }
    let (status, turned) = does(shop, Method::POST, &format!("{path}/rotate-secret"), json!({})).await;
    assert_eq!(status, 200);
    assert!(turned["secret"] != secret && turned["previousSecretExpiresAt"].is_string());
    let replay =
        does(shop, Method::POST, &format!("{path}/replay"), json!({"from": "2026-01-01T00:00:00Z"})).await;
    assert_eq!((replay.0, &replay.1["code"]), (409, &json!("invalid_state")));
    does(shop, Method::PATCH, path, json!({"enabled": true})).await;
    let range = json!({"from": "2026-01-01T00:00:00Z"});
    let again = format!("{path}/replay");
    let first = call(shop, Method::POST, &again, Some("w-3"), range.clone()).await;
    assert_eq!((first.0, first.1, first.2["orders"].as_u64() > Some(0)), (202, false, true));
    assert_eq!(call(shop, Method::POST, &again, Some("w-3"), range).await, (202, true, first.2));
    let (_, listed) = does(shop, Method::GET, "/v1/webhook-endpoints", json!({})).await;
    assert_eq!(listed["data"].as_array().unwrap().len(), 1);
    let removed = does(shop, Method::DELETE, path, json!({})).await;
    assert_eq!(removed, (204, Value::Null));
    let (status, _) = does(shop, Method::GET, path, json!({})).await;
    assert_eq!(status, 404);
}

#[tokio::test]
async fn a_killed_gateway_tells_what_it_had_not_told() {
    let demo = Demo::start();
    let shop = demo.shop.clone();
    let receiver = Receiver::start(|_, before| (if before == 0 { 500 } else { 200 }, String::new()));
    let (status, made) = shop.post("/v1/webhook-endpoints", &json!({"url": receiver.url})).await;
    assert_eq!(status, 201, "{made}");
    let answer = shop.checkout("killed", &Shop::order(Some("decta-demo"), "EUR", 1999)).await;
    arrived(&receiver, |seen| !seen.is_empty()).await;
    // The failure is written down, so that the retry waits for its time and not for a lease to run out.
    let failed = format!("/v1/webhook-endpoints/{}/deliveries", made["id"].as_str().unwrap());
    shop.until_at(&failed, |tries| tries["data"] != json!([])).await;
    let _demo = demo.restart();
    shop.pay(answer["session"]["checkoutUrl"].as_str().unwrap()).await.unwrap();
    let seen = arrived(&receiver, has("order.processing")).await;
    let of_order = |received: &&Received| json!(received.order()) == answer["order"]["id"];
    let mut places: Vec<u64> = seen.iter().filter(of_order).map(|received| received.event().1).collect();
    assert!(places.is_sorted(), "{places:?}");
    places.dedup();
    assert_eq!(places, (1..=places.len() as u64).collect::<Vec<_>>());
}
