//! What goes in and out of the sandbox: plain values, with no socket behind them.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use url::form_urlencoded;

/// One request as a provider's server would see it. It carries keys, so it cannot be printed.
#[derive(Clone, Default)]
pub struct Request {
    /// `GET`, `POST`, … in upper case.
    pub method: String,
    /// The path from its first slash, without the query.
    pub path: String,
    /// The query without its question mark; empty if there was none.
    pub query: String,
    /// Header values by lower-case name.
    pub headers: BTreeMap<String, String>,
    /// The body, byte for byte.
    pub body: Vec<u8>,
}

impl Request {
    /// A request without headers and body; `target` is the path and, behind a `?`, the query.
    pub fn new(method: &str, target: &str) -> Self {
        let (path, query) = target.split_once('?').unwrap_or((target, ""));
        Self { method: method.into(), path: path.into(), query: query.into(), ..Self::default() }
    }

    /// The same with a header.
    #[must_use]
    pub fn header(mut self, name: &str, value: &str) -> Self {
        self.headers.insert(name.to_ascii_lowercase(), value.into());
        self
    }

    /// The same with a body.
    #[must_use]
    pub fn body(mut self, body: impl Into<Vec<u8>>) -> Self {
        self.body = body.into();
        self
    }

    /// The first value of a query parameter.
    pub(crate) fn parameter(&self, name: &str) -> Option<String> {
        let mut pairs = form_urlencoded::parse(self.query.as_bytes());
        pairs.find(|(key, _)| key == name).map(|(_, value)| value.into_owned())
    }

    /// The fields of a submitted form; of a repeated field the last.
    pub(crate) fn form(&self) -> BTreeMap<String, String> {
        form_urlencoded::parse(&self.body).into_owned().collect()
    }

    /// A header's value, if it is given and not blank.
    pub(crate) fn filled_header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).map(String::as_str).filter(|value| !value.trim().is_empty())
    }
}

/// What the server says back.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Response {
    /// The HTTP status.
    pub status: u16,
    /// Header names and values.
    pub headers: Vec<(String, String)>,
    /// The body; every dialect speaks text.
    pub body: String,
}

impl Response {
    pub(crate) fn json(status: u16, body: impl Into<String>) -> Self {
        Self::typed(status, "application/json", body)
    }

    pub(crate) fn html(status: u16, body: impl Into<String>) -> Self {
        Self::typed(status, "text/html; charset=utf-8", body)
    }

    pub(crate) fn redirect(location: &str) -> Self {
        Self { status: 303, headers: vec![("location".into(), location.into())], body: String::new() }
    }

    pub(crate) fn empty(status: u16) -> Self {
        Self { status, headers: Vec::new(), body: String::new() }
    }

    #[must_use]
    pub(crate) fn header(mut self, name: &str, value: &str) -> Self {
        self.headers.push((name.into(), value.into()));
        self
    }

    fn typed(status: u16, kind: &str, body: impl Into<String>) -> Self {
        Self { status, headers: vec![("content-type".into(), kind.into())], body: body.into() }
    }
}

/// A notification on its way to the merchant: one POST of JSON. It carries keys, so it cannot be printed.
#[derive(Clone, PartialEq, Eq)]
pub struct Outgoing {
    /// Where it goes: the subscription's address.
    pub url: String,
    /// Header names and values, the content type included.
    pub headers: Vec<(String, String)>,
    /// The JSON text.
    pub body: String,
    /// How long to wait before the first try.
    pub delay_ms: u64,
}

/// Everything that follows from one request.
#[derive(Clone, PartialEq, Eq)]
pub struct Answer {
    /// How long the connection stays silent first.
    pub delay_ms: u64,
    /// `None`: the connection closes without a byte (at once a reset, after a delay a time-out).
    pub response: Option<Response>,
    /// Notifications in the order in which they are sent.
    pub notifications: Vec<Outgoing>,
}
