//! HEAD, which load balancers and monitors send: what GET answers, without the body.

use super::client::Reply;
use super::{Gateway, id, small_order};

/// Both answers, each with its status and headers.
async fn both(gateway: &Gateway, path: &str) -> [Reply; 2] {
    let get = gateway.get(path).await;
    [get, gateway.request("HEAD", path).await_it().await]
}

/// What must be the same; the date and the request's id are each answer's own.
fn head_of(reply: &Reply) -> (u16, Vec<(String, String)>) {
    let own = |name: &str| matches!(name, "date" | "x-request-id") || name.starts_with("ratelimit");
    let mut headers: Vec<_> = reply.headers.iter().filter(|(name, _)| !own(name)).cloned().collect();
    headers.sort();
    (reply.status, headers)
}

#[tokio::test]
async fn head_is_answered_as_get_without_the_body() {
    let gateway = Gateway::start().await;
    let order = id(&gateway.post("/v1/orders").json(&small_order()).await.expect(201)).to_owned();
    for path in [
        "/",
        "/problems",
        "/problems/not_found",
        "/v1/orders",
        "/v1/orders?limit=0",
        &format!("/v1/orders/{order}"),
        "/v1/orders/nothing",
        "/return/nothing",
        "/qr/nothing",
        "/nothing",
    ] {
        let [get, head] = both(&gateway, path).await;
        assert_eq!(head_of(&get), head_of(&head), "{path}");
        assert!(!get.body.is_empty() && head.body.is_empty(), "{path}");
    }
}

#[tokio::test]
async fn head_of_an_event_stream_ends_at_once() {
    let gateway = Gateway::start().await;
    let session = gateway.session().await;
    let path = format!("/v1/payment-sessions/{}/events", id(&session));
    let reply = gateway.request("HEAD", &path).await_it().await;
    assert_eq!((reply.status, reply.header("content-type")), (200, Some("text/event-stream")));
    assert!(reply.body.is_empty());
}

#[tokio::test]
async fn where_there_is_no_get_there_is_no_head() {
    let gateway = Gateway::start().await;
    let reply = gateway.request("HEAD", "/v1/checkouts").await_it().await;
    assert_eq!((reply.status, reply.header("allow")), (405, Some("POST")));
}
