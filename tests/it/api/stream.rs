//! A session as it happens.

use serde_json::Value;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::timeout;

use super::gateway::{API_KEY, OTHER_KEY, PATIENCE};
use super::{Gateway, id};

/// A client that watches a session.
struct Watcher {
    stream: TcpStream,
    received: String,
}

impl Watcher {
    /// By HTTP/1.0, so that what comes is not cut into chunks.
    async fn of(gateway: &Gateway, session: &Value, last_seen: Option<u64>) -> Self {
        let seen = last_seen.map(|sequence| format!("Last-Event-ID: {sequence}\r\n")).unwrap_or_default();
        let path = path(session);
        let head = format!("GET {path} HTTP/1.0\r\nAuthorization: Bearer {API_KEY}\r\n{seen}\r\n");
        let mut stream = TcpStream::connect(gateway.address).await.unwrap();
        stream.write_all(head.as_bytes()).await.unwrap();
        Self { stream, received: String::new() }
    }

    /// Reads until `text` was received.
    async fn until(&mut self, text: &str) {
        let mut piece = [0; 4096];
        while !self.received.contains(text) {
            let read = timeout(PATIENCE, self.stream.read(&mut piece)).await.expect("it goes on").unwrap();
            assert!(read > 0, "it ended without `{text}`: {}", self.received);
            self.received.push_str(std::str::from_utf8(&piece[..read]).unwrap());
        }
    }

    /// Reads to the end: the head, and each event with its id and data.
    async fn whole(mut self) -> (String, Vec<(u64, String, Value)>) {
        let mut rest = String::new();
        let whole = timeout(PATIENCE, self.stream.read_to_string(&mut rest)).await;
        whole.expect("it ends").unwrap();
        self.received.push_str(&rest);
        let (head, body) = self.received.split_once("\r\n\r\n").unwrap();
        (head.to_owned(), body.split("\n\n").filter_map(event).collect())
    }
}

fn event(text: &str) -> Option<(u64, String, Value)> {
    let field = |name: &str| text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(": "));
    Some((
        field("id")?.parse().unwrap(),
        field("event")?.to_owned(),
        serde_json::from_str(field("data")?).unwrap(),
    ))
}

fn path(session: &Value) -> String {
    format!("/v1/payment-sessions/{}/events", id(session))
}

fn names(events: &[(u64, String, Value)]) -> Vec<&str> {
    events.iter().map(|(_, name, _)| name.as_str()).collect()
}

async fn pay(gateway: &Gateway, session: &Value) {
    gateway.provider.say(session["providerReference"].as_str().unwrap(), "paid");
    gateway.get(&format!("/v1/payment-sessions/{}?refresh=true", id(session))).await.expect(200);
}

#[tokio::test]
async fn a_stream_tells_what_was_and_what_happens_and_ends_when_all_is_told() {
    let gateway = Gateway::start().await;
    let session = gateway.session().await;
    let mut watcher = Watcher::of(&gateway, &session, None).await;
    watcher.until("event: order.pendingPayment").await;
    pay(&gateway, &session).await;
    let (head, events) = watcher.whole().await;
    assert!(head.contains("content-type: text/event-stream"), "{head}");
    assert!(head.contains("cache-control: no-store"), "{head}");
    let expected = [
        "paymentSession.pending",
        "order.pendingPayment",
        "payment.paid",
        "paymentSession.completed",
        "order.submitted",
        "order.processing",
    ];
    assert_eq!(names(&events), expected);
    for (sequence, name, data) in &events {
        assert_eq!(
            (data["sequence"].as_u64(), data["type"].as_str()),
            (Some(*sequence), Some(name.as_str()))
        );
    }
    let of = |name: &str| &events.iter().find(|(_, known, _)| known == name).unwrap().2["data"];
    assert_eq!(of("paymentSession.pending")["status"], "PENDING", "as it was then");
    assert_eq!(of("paymentSession.completed")["status"], "COMPLETED");
    assert_eq!(of("payment.paid")["captured"], 1250);
    assert_eq!(of("order.submitted")["customer"]["email"], "ann@example.test");
}

#[tokio::test]
async fn who_comes_back_is_told_what_came_after() {
    let gateway = Gateway::start().await;
    let session = gateway.session().await;
    pay(&gateway, &session).await;
    let (_, all) = Watcher::of(&gateway, &session, None).await.whole().await;
    for (at, (sequence, _, _)) in all.iter().enumerate() {
        let (head, rest) = Watcher::of(&gateway, &session, Some(*sequence)).await.whole().await;
        assert_eq!(rest, all[at + 1..]);
        // A client of this kind comes back for ever, unless it hears that there is nothing.
        let status = if rest.is_empty() { "204" } else { "200" };
        assert_eq!(head.split(' ').nth(1), Some(status));
    }
    let (head, none) = Watcher::of(&gateway, &session, Some(u64::MAX)).await.whole().await;
    assert_eq!((head.split(' ').nth(1), none), (Some("204"), Vec::new()));
}

#[tokio::test]
async fn a_stream_tells_of_its_own_session_and_not_of_the_next() {
    let gateway = Gateway::start().await;
    let first = gateway.session().await;
    gateway.post(&format!("/v1/payment-sessions/{}/cancel", id(&first))).await_it().await.expect(200);
    let (_, events) = Watcher::of(&gateway, &first, None).await.whole().await;
    let last = [
        "paymentSession.pending",
        "order.pendingPayment",
        "payment.cancelled",
        "paymentSession.failed",
        "order.pending",
    ];
    assert_eq!(names(&events), last);
    let order = first["orderId"].as_str().unwrap();
    let second =
        gateway.post(&format!("/v1/orders/{order}/checkout")).json(&super::hosted()).await.expect(201);
    pay(&gateway, &second).await;
    let (_, events) = Watcher::of(&gateway, &second, None).await.whole().await;
    assert_eq!(names(&events).first(), Some(&"paymentSession.pending"));
    assert_eq!(names(&events).last(), Some(&"order.processing"));
    let (_, events) = Watcher::of(&gateway, &first, None).await.whole().await;
    assert_eq!(names(&events), last, "later events are not sent as parts of the first");
}

#[tokio::test]
async fn streams_end_when_the_gateway_stops() {
    let gateway = Gateway::start().await;
    let session = gateway.session().await;
    let mut watcher = Watcher::of(&gateway, &session, None).await;
    watcher.until("event: order.pendingPayment").await;
    gateway.common.end_streams();
    assert_eq!(watcher.whole().await.1.len(), 2);
}

#[tokio::test]
async fn a_stream_is_the_merchants_own() {
    let gateway = Gateway::start().await;
    let session = gateway.session().await;
    let path = path(&session);
    gateway.request("GET", &path).without("Authorization").await_it().await.problem(401, "unauthenticated");
    let bearer = format!("Bearer {OTHER_KEY}");
    let unknown = gateway.request("GET", &path).header("Authorization", &bearer);
    unknown.await_it().await.problem(404, "not_found");
    let reply = gateway.request("GET", &path).header("Last-Event-ID", "yesterday").await_it().await;
    assert_eq!(reply.problem(400, "invalid_value")["errors"][0]["pointer"], "header:Last-Event-ID");
}
