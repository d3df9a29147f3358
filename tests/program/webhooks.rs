//! Events to a merchant: over the API, from the real program, through its death.

use std::path::Path;
use std::time::Duration;

use reqwest::{Client, Method, StatusCode};
use serde_json::{Value, json};
use standardwebhooks::Webhook;

use super::running::{Gateway, Sandbox};
use super::shop::{PATIENCE, Shop};

#[allow(dead_code, reason = "shared with the tests of rooms")]
#[path = "../it/webhooks/receiver.rs"]
pub mod receiver;

use receiver::{Received, Receiver};

/// A merchant's own calls, with status, headers and body.
struct Merchant {
    client: Client,
    url: String,
}

impl Merchant {
    async fn call(
        &self,
        method: Method,
        path: &str,
        key: Option<&str>,
        body: Value,
    ) -> (StatusCode, bool, Value) {
        let request = self.client.request(method, format!("{}{path}", self.url)).bearer_auth("pmx_test_demo");
        let request = key.into_iter().fold(request, |request, key| request.header("Idempotency-Key", key));
        let answer = request.json(&body).send().await.unwrap();
        let (status, replayed) = (answer.status(), answer.headers().contains_key("idempotent-replayed"));
        let text = answer.text().await.unwrap();
        (status, replayed, if text.is_empty() { Value::Null } else { serde_json::from_str(&text).unwrap() })
    }

    async fn does(&self, method: Method, path: &str, body: Value) -> (StatusCode, Value) {
        let (status, _, answer) = self.call(method, path, None, body).await;
        (status, answer)
    }
}

async fn arrived(receiver: &Receiver, done: impl Fn(&[Received]) -> bool) -> Vec<Received> {
    let deadline = tokio::time::Instant::now() + PATIENCE;
    loop {
        let seen = receiver.seen();
        if done(&seen) {
            return seen;
        }
        assert!(tokio::time::Instant::now() < deadline, "only {:?}", receiver.types());
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

fn has(kind: &str) -> impl Fn(&[Received]) -> bool {
    move |seen| seen.iter().any(|received| received.event().0 == kind)
}

#[tokio::test]
async fn a_merchant_is_told_of_a_paid_order_and_can_ask_again() {
    let folder = tempfile::tempdir().unwrap();
    let sandbox = Sandbox::start(folder.path());
    let gateway = Gateway::start(folder.path(), &sandbox, Path::new("config/routing.toml"));
    let shop = Shop::new(&gateway.url, &sandbox.url);
    let merchant = Merchant { client: Client::builder().build().unwrap(), url: gateway.url.clone() };
    let receiver = Receiver::taking();

    let asked = json!({"url": receiver.url, "events": ["order.*", "payment.*"], "description": "the shop"});
    let (status, _, made) =
        merchant.call(Method::POST, "/v1/webhook-endpoints", Some("w-1"), asked.clone()).await;
    assert_eq!(status, StatusCode::CREATED, "{made}");
    let secret = made["secret"].as_str().unwrap().to_owned();
    let path = format!("/v1/webhook-endpoints/{}", made["id"].as_str().unwrap());
    let again = merchant.call(Method::POST, "/v1/webhook-endpoints", Some("w-1"), asked).await;
    assert_eq!(again, (StatusCode::CREATED, true, made.clone()));
    let other = merchant
        .call(Method::POST, "/v1/webhook-endpoints", Some("w-1"), json!({"url": "http://x.example"}))
        .await;
    assert_eq!(
        (other.0, &other.2["code"]),
        (StatusCode::UNPROCESSABLE_ENTITY, &json!("idempotency_key_reused"))
    );
    let (_, read) = merchant.does(Method::GET, &path, json!({})).await;
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
    let told = arrived(&receiver, has("order.processing")).await;
    let places: Vec<u64> = told.iter().map(|received| received.event().1).collect();
    assert!(
        places.is_sorted() && told.iter().all(|received| !received.event().0.starts_with("paymentSession"))
    );
    for received in &told {
        Webhook::new(&secret).unwrap().verify(&received.body, &received.headers).unwrap();
    }
    let last = told.last().unwrap().json();
    assert_eq!((&last["data"]["id"], &last["data"]["state"]), (&order["id"], &json!("PROCESSING")));

    // The list has the same events, newest first, and those of sessions too.
    let (_, listed) = merchant.does(Method::GET, "/v1/events?limit=200", json!({})).await;
    let listed: Vec<&Value> =
        listed["data"].as_array().unwrap().iter().filter(|event| event["orderId"] == order["id"]).collect();
    let sequences: Vec<u64> = listed.iter().map(|event| event["sequence"].as_u64().unwrap()).collect();
    assert_eq!(sequences, (1..=sequences.len() as u64).rev().collect::<Vec<_>>());
    for received in &told {
        assert!(listed.contains(&&received.json()), "{}", received.json());
    }

    let event = last["id"].as_str().unwrap();
    let asked = merchant.does(Method::POST, &format!("/v1/events/{event}/redeliver"), json!({})).await;
    assert_eq!(asked, (StatusCode::ACCEPTED, json!({"endpoints": 1})));
    let count = told.len();
    let seen = arrived(&receiver, |seen| seen.len() > count).await;
    assert_eq!(seen.last().unwrap().body, told.last().unwrap().body);
    let (_, tries) = merchant.does(Method::GET, &format!("{path}/deliveries?limit=1"), json!({})).await;
    assert_eq!(tries["data"][0]["eventId"], *event);
    assert_eq!(tries["data"][0]["status"], "SUCCEEDED");
    assert!(tries["nextCursor"].is_string());
    check_changes(&merchant, &path, &secret).await;
}

async fn check_changes(merchant: &Merchant, path: &str, secret: &str) {
    let (status, off) = merchant.does(Method::PATCH, path, json!({"enabled": false, "events": null})).await;
    assert_eq!(
        (status, &off["enabled"], &off["disabledReason"]),
        (StatusCode::OK, &json!(false), &json!("MERCHANT"))
    );
    assert_eq!((&off["events"], &off["description"]), (&Value::Null, &json!("the shop")));
    for (wrong, pointer) in [
        (json!({"url": "ftp://x.example"}), "/url"),
        (json!({"url": "https://user:word@x.example"}), "/url"),
        (json!({"url": null}), "/url"),
        (json!({"events": ["payment.payed"]}), "/events/0"),
        (json!({"uri": "https://x.example"}), "/uri"),
    ] {
        let (status, problem) = merchant.does(Method::PATCH, path, wrong).await;
        assert_eq!((status, &problem["errors"][0]["pointer"]), (StatusCode::BAD_REQUEST, &json!(pointer)));
    }
    let (status, turned) = merchant.does(Method::POST, &format!("{path}/rotate-secret"), json!({})).await;
    assert_eq!(status, StatusCode::OK);
    assert!(turned["secret"] != secret && turned["previousSecretExpiresAt"].is_string());
    let replay =
        merchant.does(Method::POST, &format!("{path}/replay"), json!({"from": "2026-01-01T00:00:00Z"})).await;
    assert_eq!((replay.0, &replay.1["code"]), (StatusCode::CONFLICT, &json!("invalid_state")));
    merchant.does(Method::PATCH, path, json!({"enabled": true})).await;
    let replay =
        merchant.does(Method::POST, &format!("{path}/replay"), json!({"from": "2026-01-01T00:00:00Z"})).await;
    assert_eq!(replay.0, StatusCode::ACCEPTED);
    assert!(replay.1["orders"].as_u64() > Some(0));
    let (_, listed) = merchant.does(Method::GET, "/v1/webhook-endpoints", json!({})).await;
    assert_eq!(listed["data"].as_array().unwrap().len(), 1);
    let removed = merchant.does(Method::DELETE, path, json!({})).await;
    assert_eq!(removed, (StatusCode::NO_CONTENT, Value::Null));
    let (status, _) = merchant.does(Method::GET, path, json!({})).await;
    assert_eq!(status, StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn a_killed_gateway_tells_what_it_had_not_told() {
    let folder = tempfile::tempdir().unwrap();
    let sandbox = Sandbox::start(folder.path());
    let routing = Path::new("config/routing.toml");
    let mut gateway = Gateway::start(folder.path(), &sandbox, routing);
    let shop = Shop::new(&gateway.url, &sandbox.url);
    let receiver = Receiver::start(|_, before| (if before == 0 { 500 } else { 200 }, String::new()));
    let (status, made) = shop.post("/v1/webhook-endpoints", &json!({"url": receiver.url})).await;
    assert_eq!(status, StatusCode::CREATED, "{made}");
    let answer = shop.checkout("killed", &Shop::order(Some("decta-demo"), "EUR", 1999)).await;
    arrived(&receiver, |seen| !seen.is_empty()).await;
    // The failure is written down, so that the retry waits for its time and not for a lease to run out.
    let failed = format!("/v1/webhook-endpoints/{}/deliveries", made["id"].as_str().unwrap());
    let deadline = tokio::time::Instant::now() + PATIENCE;
    while shop.get(&failed).await["data"] == json!([]) {
        assert!(tokio::time::Instant::now() < deadline);
    }
    gateway.kill();
    let _gateway = gateway.restart(folder.path(), &sandbox, routing);
    shop.pay(answer["session"]["checkoutUrl"].as_str().unwrap()).await.unwrap();
    let seen = arrived(&receiver, has("order.processing")).await;
    let of_order = |received: &&Received| json!(received.order()) == answer["order"]["id"];
    let mut places: Vec<u64> = seen.iter().filter(of_order).map(|received| received.event().1).collect();
    assert!(places.is_sorted(), "{places:?}");
    places.dedup();
    assert_eq!(places, (1..=places.len() as u64).collect::<Vec<_>>());
}
