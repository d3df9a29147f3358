//! Requests to the gateway, whole: method, address, headers and body, through routing, reading, deciding, storing
//! and answering.
//!
//! The input is `METHOD /path?query`, lines of headers, an empty line and the body. Places such as `{order}` stand
//! for what is there, and `{key}` for an idempotency key that nobody has used.

use std::cell::RefCell;
use std::mem::ManuallyDrop;

use actix_web::http::header::{HeaderName, HeaderValue};
use actix_web::http::{Method, Uri};
use actix_web::test::TestRequest;
use paymux::http::problem::Code;
use serde_json::Value;

use super::gateway::{Answered, Gateway};
use super::message::{head_and_body, headers};

/// A gateway is thrown away after so many requests, so that what was accepted does not pile up.
const LIFE: usize = 2_000;

/// What an answer may have beside what was sent: the fullest order, or 200 faults with pointers of 300 characters.
const MAX_ANSWER: usize = 1 << 20;

/// The gateway never panics or fails; it refuses with a problem that says why, or does what the request says.
pub fn requests(input: &[u8]) {
    thread_local! {
        // Not dropped with its thread, whose other locals it needs for that.
        static GATEWAY: RefCell<Option<ManuallyDrop<Gateway>>> = const { RefCell::new(None) };
    }
    // Taken out while it serves: one that panics is not used again.
    let kept = GATEWAY.with_borrow_mut(Option::take).map(ManuallyDrop::into_inner);
    let mut gateway = kept.filter(|gateway| gateway.served < LIFE).unwrap_or_else(Gateway::new);
    one(&mut gateway, input);
    GATEWAY.set(Some(ManuallyDrop::new(gateway)));
}

fn one(gateway: &mut Gateway, input: &[u8]) {
    let (head, body) = head_and_body(input);
    let key = format!("key-{}", gateway.served);
    let fill = |text: &str| {
        let filled = text.replace("{key}", &key);
        gateway.places.iter().fold(filled, |text, (place, value)| text.replace(place, value))
    };
    let head = fill(&head);
    let body = match std::str::from_utf8(body) {
        Ok(text) => fill(text).into_bytes(),
        Err(_) => body.to_vec(),
    };
    let mut lines = head.lines();
    let Some((method, target)) = lines.next().and_then(|line| line.split_once(' ')) else { return };
    // What is no HTTP at all does not come further than the server.
    let (Ok(method), Ok(uri)) = (Method::from_bytes(method.as_bytes()), Uri::try_from(target)) else {
        return;
    };
    if !uri.path().starts_with('/') {
        return;
    }
    let mut request = TestRequest::with_uri(target).method(method.clone()).set_payload(body.clone());
    let mut sent = headers(lines);
    if !body.is_empty() && !sent.iter().any(|(name, _)| name == "content-type") {
        sent.push(("content-type".to_owned(), "application/json".to_owned()));
    }
    for (name, value) in &sent {
        let name = HeaderName::from_bytes(name.as_bytes());
        if let (Ok(name), Ok(value)) = (name, HeaderValue::from_str(value)) {
            request = request.append_header((name, value));
        }
    }
    let has_key = sent.iter().any(|(name, _)| name == "authorization");
    let answered = gateway.serve(request, has_key);
    check(&answered, head.len() + body.len());
    if method == Method::POST && uri.path() == "/v1/orders" && answered.status == 201 {
        shows_what_was_sent(&body, &answered.body);
    }
}

fn check(answered: &Answered, sent: usize) {
    let Answered { status, kind, request_id, body } = answered;
    let shown = String::from_utf8_lossy(&body[..body.len().min(2_000)]);
    assert!((200..500).contains(status), "{status}: {shown}");
    assert!(!request_id.is_empty(), "{shown}");
    // A list may be long, since many things were made before.
    let is_list = *status < 300 && body.starts_with(b"{\"data\":");
    assert!(is_list || body.len() <= MAX_ANSWER + 6 * sent, "{} bytes of answer", body.len());
    if kind.starts_with("application/json") {
        assert!(serde_json::from_slice::<Value>(body).is_ok(), "{shown}");
    }
    if *status < 400 || kind != "application/problem+json" {
        return;
    }
    let problem: Value = serde_json::from_slice(body).expect("a problem is JSON");
    let code = problem["code"].as_str().unwrap_or_default();
    assert!(Code::ALL.iter().any(|known| known.as_str() == code && known.status() == *status), "{shown}");
    assert_eq!(problem["requestId"], request_id.as_str(), "{shown}");
    let faults = problem["errors"].as_array().map_or(0, Vec::len);
    assert!(faults <= 200 && (code != "validation_failed" || faults > 1), "{shown}");
}

/// An order that was taken is the one that was sent, to the last digit, by another reader of JSON than ours. What people
/// write is shown with plain blanks.
fn shows_what_was_sent(sent: &[u8], shown: &[u8]) {
    let sent = sent.strip_prefix("\u{feff}".as_bytes()).unwrap_or(sent);
    let plain = |title: &Value| {
        title.as_str().map(|title| title.trim().replace("\r\n", "\n").replace(char::is_whitespace, " "))
    };
    let read = |bytes| serde_json::from_slice::<Value>(bytes).expect("what is taken and shown is JSON");
    let (sent, shown) = (read(sent), read(shown));
    let amount = |value: &Value| value.get("amount").unwrap_or(value).as_i64().unwrap_or(0);
    assert_eq!(sent["currency"], shown["currency"]);
    assert_eq!(amount(&sent["shipping"]), amount(&shown["shipping"]));
    let none = Vec::new();
    let [sent, shown] = [&sent, &shown].map(|order| order["items"].as_array().unwrap_or(&none));
    assert_eq!(sent.len(), shown.len());
    for (sent, shown) in sent.iter().zip(shown) {
        assert_eq!((plain(&sent["title"]), &sent["quantity"]), (plain(&shown["title"]), &shown["quantity"]));
        for name in ["unitPrice", "discount"] {
            assert_eq!(amount(&sent[name]), amount(&shown[name]), "{name}");
        }
    }
}
