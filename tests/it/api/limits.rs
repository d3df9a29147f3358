//! How much is let in.

use std::time::Duration;

use serde_json::json;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::timeout;

use super::Gateway;
use super::gateway::{API_KEY, NOTIFY_KEY, OTHER_KEY, PATIENCE};

#[tokio::test]
async fn a_key_that_asks_too_often_is_told_when_to_come_back() {
    let gateway = Gateway::with(|settings| {
        settings.limits.requests_per_second = 1;
        settings.limits.requests_burst = 2;
    })
    .await;
    let first = gateway.get("/v1/orders").await;
    assert_eq!(first.status, 200);
    assert_eq!(first.header("ratelimit-policy"), Some("\"key\";q=2;w=2"));
    assert_eq!(first.header("ratelimit"), Some("\"key\";r=1;t=1"));
    gateway.get("/v1/orders").await.expect(200);
    let refused = gateway.get("/v1/orders").await;
    refused.problem(429, "rate_limited");
    assert_eq!(refused.header("retry-after"), Some("1"));
    assert_eq!(refused.header("ratelimit"), Some("\"key\";r=0;t=1"));
    let bearer = format!("Bearer {OTHER_KEY}");
    gateway.request("GET", "/v1/orders").header("Authorization", &bearer).await_it().await.expect(200);
    gateway.clock.pass(Duration::from_secs(1));
    gateway.get("/v1/orders").await.expect(200);
}

#[tokio::test]
async fn a_body_that_does_not_arrive_is_not_waited_for() {
    let gateway = Gateway::with(|settings| settings.server.request_timeout_s = 1).await;
    let mut stream = TcpStream::connect(gateway.address).await.unwrap();
    let head = format!(
        "POST /v1/orders HTTP/1.1\r\nHost: x\r\nConnection: close\r\nAuthorization: Bearer {API_KEY}\r\n\
         Content-Type: application/json\r\nContent-Length: 100\r\n\r\n{{"
    );
    stream.write_all(head.as_bytes()).await.unwrap();
    let mut answer = String::new();
    let whole = timeout(PATIENCE, stream.read_to_string(&mut answer)).await;
    whole.expect("it is answered").unwrap();
    assert!(answer.starts_with("HTTP/1.1 408 "), "{answer}");
    assert!(answer.contains("request_timeout"), "{answer}");
}

#[tokio::test]
async fn a_body_that_is_too_large_and_a_flood_are_refused() {
    let gateway = Gateway::with(|settings| settings.limits.notifications_per_second = 1).await;
    let large = vec![b' '; 65_537];
    gateway.notified_with("x-teller-key", "genuine", &large).await.problem(413, "body_too_large");
    for _ in 0..2 {
        assert_eq!(gateway.notified(&json!([])).await.status, 200);
    }
    let reply = gateway.notified(&json!([])).await;
    reply.problem(429, "rate_limited");
    assert_eq!(reply.header("retry-after"), Some("1"));
    assert_eq!(gateway.counted("one", "limited"), 1);
    assert_eq!(
        gateway.notified_at_two(NOTIFY_KEY, &json!([])).await.status,
        200,
        "another account has its own allowance"
    );
    gateway.clock.pass(Duration::from_secs(1));
    assert_eq!(gateway.notified(&json!([])).await.status, 200);
    // What nothing proves is limited too, and takes nothing from what the provider sends.
    gateway.clock.pass(Duration::from_secs(60));
    let mut forged = Vec::new();
    for _ in 0..9 {
        forged.push(gateway.notified_with("x-teller-key", "forged", b"[]").await.status);
    }
    assert_eq!((forged[0], forged[8]), (401, 429), "{forged:?}");
    assert_eq!(gateway.notified(&json!([])).await.status, 200);
}
