//! One HTTP exchange with a provider, as plain values.

use std::fmt;
use std::time::Duration;

use async_trait::async_trait;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use secrecy::ExposeSecret;
use serde::de::DeserializeOwned;

use crate::error::brief;
use crate::{JsonObject, ProviderError, Secret, read};

/// The methods that providers use.
#[derive(Clone, Copy, Debug, PartialEq, Eq, strum::IntoStaticStr)]
#[strum(serialize_all = "UPPERCASE")]
pub enum Method {
    /// A read.
    Get,
    /// A write.
    Post,
    /// A write.
    Put,
    /// A write.
    Patch,
    /// A write.
    Delete,
}

impl Method {
    /// As on the wire.
    pub fn as_str(self) -> &'static str {
        self.into()
    }
}

/// A header's value; a secret one never prints.
#[derive(Clone)]
pub enum HeaderValue {
    /// May be shown.
    Plain(String),
    /// Is sent and never shown.
    Secret(Secret),
}

impl HeaderValue {
    /// The text to send.
    pub fn expose(&self) -> &str {
        match self {
            Self::Plain(text) => text,
            Self::Secret(secret) => secret.expose_secret(),
        }
    }
}

/// A request to a provider, relative to the account's base URL.
#[derive(Clone)]
pub struct HttpRequest {
    /// The method.
    pub method: Method,
    /// Path below the base URL, starting with `/`, with its query if any.
    pub path: String,
    /// Headers in sending order.
    pub headers: Vec<(&'static str, HeaderValue)>,
    /// The body's exact bytes; empty for none.
    pub body: Vec<u8>,
}

impl HttpRequest {
    /// A read of `path`.
    pub fn get(path: impl Into<String>) -> Self {
        Self::new(Method::Get, path.into())
    }

    /// A write to `path`.
    pub fn post(path: impl Into<String>) -> Self {
        Self::new(Method::Post, path.into())
    }

    /// A call with any method; everything but GET counts as a write.
    pub fn new(method: Method, path: String) -> Self {
        Self { method, path, headers: Vec::new(), body: Vec::new() }
    }

    /// Whether it changes nothing, even where no answer comes.
    pub fn reads_only(&self) -> bool {
        self.method == Method::Get
    }

    /// A JSON body.
    ///
    /// # Errors
    /// [`ProviderError::NotSent`] if it cannot be written as JSON.
    pub fn json(self, body: JsonObject) -> Result<Self, ProviderError> {
        Ok(self.json_bytes(body.into_text()?.into_bytes()))
    }

    /// A JSON body that is already written, byte for byte.
    #[must_use]
    pub fn json_bytes(mut self, body: Vec<u8>) -> Self {
        self.body = body;
        self.header("Content-Type", "application/json")
    }

    /// `Authorization: Bearer …`.
    #[must_use]
    pub fn bearer(self, token: &Secret) -> Self {
        let value = Secret::from(format!("Bearer {}", token.expose_secret()));
        self.header_secret("Authorization", &value)
    }

    /// A header that may be shown.
    #[must_use]
    pub fn header(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.headers.push((name, HeaderValue::Plain(value.into())));
        self
    }

    /// A header that is never shown.
    #[must_use]
    pub fn header_secret(mut self, name: &'static str, value: &Secret) -> Self {
        self.headers.push((name, HeaderValue::Secret(value.clone())));
        self
    }

    /// Whether the path stays below the base URL. An HTTP client resolves dots, treats `\\` as `/` and drops line
    /// breaks, and so would request another path.
    pub(crate) fn is_in_its_place(&self) -> bool {
        let path = self.path.split('?').next().unwrap_or_default();
        let dots = |part: &str| matches!(part.to_ascii_lowercase().replace("%2e", ".").as_str(), "." | "..");
        let plain = self.path.bytes().all(|byte| byte.is_ascii_graphic() && !b"#\\".contains(&byte));
        plain && path.starts_with('/') && !path.split('/').any(dots)
    }
}

/// The characters that must be percent-encoded in a path or query (RFC 3986, section 2.3).
const ENCODED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// A text as one segment of a path or one value of a query: everything but letters, digits and `-._~` is
/// percent-encoded. Ids of a provider's are texts like any other. A segment of dots alone stays one, and
/// [`Ctx`](crate::Ctx) sends no call with it.
pub fn encoded(text: &str) -> String {
    utf8_percent_encode(text, ENCODED).to_string()
}

impl fmt::Debug for HttpRequest {
    /// Method and path without its query: bodies and headers may hold secrets and personal data.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let path = self.path.split('?').next().unwrap_or_default();
        write!(f, "{} {path} ({} bytes)", self.method.as_str(), self.body.len())
    }
}

/// What came back.
#[derive(Clone)]
pub struct HttpResponse {
    /// The HTTP status.
    pub status: u16,
    /// How long to wait, from `Retry-After`, in seconds or as a date.
    pub retry_after: Option<Duration>,
    /// The body, at most the transport's limit.
    pub body: Vec<u8>,
}

impl fmt::Debug for HttpResponse {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({} bytes)", self.status, self.body.len())
    }
}

impl HttpResponse {
    /// Whether the status is 2xx.
    pub fn ok(&self) -> bool {
        (200..300).contains(&self.status)
    }

    /// Reads the JSON body, also behind a byte order mark.
    ///
    /// # Errors
    /// The parser's error, without the body's content. [`Ctx::json`](crate::Ctx::json) classifies it by the kind of
    /// call.
    pub fn json<T: DeserializeOwned>(&self) -> Result<T, String> {
        read::json(&self.body).map_err(|fault| {
            let kind = match fault.classify() {
                serde_json::error::Category::Data => "unexpected shape",
                _ => "not JSON",
            };
            format!(
                "unreadable answer ({} bytes): {kind} at {}:{}",
                self.body.len(),
                fault.line(),
                fault.column()
            )
        })
    }
}

/// Why there is no response.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TransportError {
    /// The connection was never made, or nothing of the request left.
    #[error("not sent: {0}")]
    NotSent(String),
    /// The request left, or may have; no complete answer came.
    #[error("no answer: {0}")]
    Lost(String),
}

impl TransportError {
    /// The same, as seen by an operation that made a call of this kind.
    pub(crate) fn sorted(self, reads_only: bool) -> ProviderError {
        match self {
            Self::NotSent(why) => ProviderError::NotSent(brief(&why)),
            Self::Lost(why) if reads_only => ProviderError::Unavailable(brief(&why)),
            Self::Lost(why) => ProviderError::OutcomeUnknown(brief(&why)),
        }
    }
}

/// Sends HTTP requests to the account's provider. The gateway's is an HTTP client with limits and an address guard;
/// tests replay recordings; the simulation calls the sandbox.
#[async_trait]
pub trait Transport: Send + Sync {
    /// Sends `http_request` below `base_url` and waits for the whole answer.
    ///
    /// # Errors
    /// [`TransportError`], which says whether anything can have arrived.
    async fn send(&self, base_url: &str, http_request: &HttpRequest) -> Result<HttpResponse, TransportError>;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_encoded_text_stays_one_segment_and_one_value() {
        assert_eq!(encoded("0c6f-2b_1.e~"), "0c6f-2b_1.e~");
        assert_eq!(encoded("a/b?c=d&e é%"), "a%2Fb%3Fc%3Dd%26e%20%C3%A9%25");
        let stays = (0..=127u8).map(char::from).filter(|letter| encoded(&letter.to_string()).len() == 1);
        let unreserved = "-.0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ_abcdefghijklmnopqrstuvwxyz~";
        assert_eq!(stays.collect::<String>(), unreserved);
    }

    #[test]
    fn a_call_that_would_leave_its_place_is_known() {
        for path in ["/orders/1", "/orders/?next=../..&a=%2e", "/a.b/..c/...", "/orders//"] {
            assert!(HttpRequest::get(path).is_in_its_place(), "{path}");
        }
        for path in
            ["", "orders", "/orders/..", "/./a", "/a/%2E./b", "/a\\..", "/a b", "/a\r\nX: y", "/é", "/a#b"]
        {
            assert!(!HttpRequest::get(path).is_in_its_place(), "{path}");
        }
    }
}
