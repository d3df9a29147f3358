//! The HTTP client: timeouts, size limits and error classification.

use std::error::Error;
use std::path::Path;
use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use port::{HeaderValue, HttpRequest, HttpResponse, Transport, TransportError};
use reqwest::header::{DATE, HeaderMap, HeaderName, RETRY_AFTER};
use reqwest::{Client, Response, Url};

use super::guard::{self, PublicOnly};
use super::trace;

/// Timeouts of a client, and which addresses it may connect to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Options {
    /// Until a connection is established, name look-up and TLS included.
    pub connect_timeout: Duration,
    /// Longest silence while an answer is awaited or read.
    pub read_timeout: Duration,
    /// A whole call, from first to last byte.
    pub timeout: Duration,
    /// Whether it may connect to addresses that are not on the public internet.
    pub allow_private_addresses: bool,
}

/// The client could not be built.
#[derive(Debug, thiserror::Error)]
#[error("the HTTP client could not be made: {0}")]
pub struct OutboundError(#[from] reqwest::Error);

/// An HTTP client with its own connections. Cheap to clone; each worker thread makes its own, since sharing one costs
/// more than the connections saved.
#[derive(Clone)]
pub struct Outbound {
    client: Client,
    guarded: bool,
    status_only: bool,
}

/// The largest answer that is read, bytes.
const MAX_ANSWER: usize = 1024 * 1024;

/// How much of an unneeded response body is read, bytes.
const MAX_REMNANT: usize = 16 * 1024;

/// How long an unused connection is kept. Node's servers close idle connections after 5 s, others later. If the server
/// closes first, a request may be sent on a closed connection.
const IDLE_CONNECTION: Duration = Duration::from_secs(4);

/// Unused connections kept for one host.
const MAX_IDLE: usize = 256;

impl Outbound {
    /// A client with its own connection pool.
    ///
    /// # Errors
    /// [`OutboundError`], usually because the machine has no certificate authorities installed.
    pub fn new(options: &Options) -> Result<Self, OutboundError> {
        let mut builder = base(options.timeout)
            .connect_timeout(options.connect_timeout)
            .read_timeout(options.read_timeout)
            .pool_idle_timeout(IDLE_CONNECTION)
            .pool_max_idle_per_host(MAX_IDLE);
        if !options.allow_private_addresses {
            builder = builder.dns_resolver(Arc::new(PublicOnly));
        }
        Ok(Self { client: builder.build()?, guarded: !options.allow_private_addresses, status_only: false })
    }

    /// A client of the one server that listens on a Unix socket, whatever address it is given.
    ///
    /// # Errors
    /// [`OutboundError`].
    pub fn on_socket(socket: &Path, timeout: Duration) -> Result<Self, OutboundError> {
        Ok(Self { client: base(timeout).unix_socket(socket).build()?, guarded: false, status_only: false })
    }

    /// The same, but it ignores response bodies, so that a large or incomplete one is no error.
    #[must_use]
    pub fn status_only(self) -> Self {
        Self { status_only: true, ..self }
    }

    fn request(&self, base_url: &str, http_request: &HttpRequest) -> Result<reqwest::Request, &'static str> {
        let url = Url::parse(&format!("{base_url}{}", http_request.path)).map_err(|_| "not an address")?;
        if !matches!(url.scheme(), "http" | "https") {
            return Err("not an http address");
        }
        if self.guarded {
            guard::literal(&url)?;
        }
        let method = reqwest::Method::from_bytes(http_request.method.as_str().as_bytes());
        let method = method.map_err(|_| "not a method")?;
        let mut request = reqwest::Request::new(method, url);
        *request.headers_mut() = headers(http_request)?;
        if !http_request.body.is_empty() {
            *request.body_mut() = Some(http_request.body.clone().into());
        }
        Ok(request)
    }
}

/// What every client has in common: it follows no redirect and repeats no request by itself.
fn base(timeout: Duration) -> reqwest::ClientBuilder {
    // The process may have installed its provider already, and the first one stays.
    let _already = rustls::crypto::ring::default_provider().install_default();
    Client::builder()
        .user_agent(concat!("paymux/", env!("CARGO_PKG_VERSION")))
        .http1_only()
        .no_proxy()
        .referer(false)
        .redirect(reqwest::redirect::Policy::none())
        .retry(reqwest::retry::never())
        .timeout(timeout)
}

fn headers(http_request: &HttpRequest) -> Result<HeaderMap, &'static str> {
    let mut headers = HeaderMap::with_capacity(http_request.headers.len() + 1);
    if let Some(parent) = trace::current() {
        let parent = parent.parse().map_err(|_| "the traceparent is invalid")?;
        headers.insert(HeaderName::from_static("traceparent"), parent);
    }
    for (name, value) in &http_request.headers {
        let name = HeaderName::from_str(name).map_err(|_| "a header's name is not allowed")?;
        let mut sent = reqwest::header::HeaderValue::from_str(value.expose())
            .map_err(|_| "a header's value is not allowed")?;
        sent.set_sensitive(matches!(value, HeaderValue::Secret(_)));
        headers.append(name, sent);
    }
    Ok(headers)
}

#[async_trait]
impl Transport for Outbound {
    /// Sends `http_request` to `base_url` with the request's path appended, and waits for the whole answer. An answer
    /// that breaks off, takes too long or is too large is lost: what it would have said is not known. The request
    /// carries the `traceparent` of the work that sends it ([`trace::within`]).
    async fn send(&self, base_url: &str, http_request: &HttpRequest) -> Result<HttpResponse, TransportError> {
        let request =
            self.request(base_url, http_request).map_err(|why| TransportError::NotSent(why.to_owned()))?;
        let mut response = self.client.execute(request).await.map_err(sorted)?;
        let status = response.status().as_u16();
        let retry_after = retry_after(response.headers());
        let body = if self.status_only { drained(&mut response).await } else { body(&mut response).await? };
        Ok(HttpResponse { status, retry_after, body })
    }
}

/// Reads the rest of a small body, so that the connection can be reused.
async fn drained(response: &mut Response) -> Vec<u8> {
    let mut seen = 0;
    while let Ok(Some(chunk)) = response.chunk().await {
        seen += chunk.len();
        if seen > MAX_REMNANT {
            break;
        }
    }
    Vec::new()
}

async fn body(response: &mut Response) -> Result<Vec<u8>, TransportError> {
    let too_large = || TransportError::Lost(format!("the answer is larger than {MAX_ANSWER} bytes"));
    let announced = usize::try_from(response.content_length().unwrap_or(0)).unwrap_or(usize::MAX);
    if announced > MAX_ANSWER {
        return Err(too_large());
    }
    let mut body = Vec::with_capacity(announced);
    while let Some(chunk) = response.chunk().await.map_err(sorted)? {
        if body.len() + chunk.len() > MAX_ANSWER {
            return Err(too_large());
        }
        body.extend_from_slice(&chunk);
    }
    Ok(body)
}

/// Only a failed connection proves that nothing was sent.
fn sorted(error: reqwest::Error) -> TransportError {
    let why = if error.is_timeout() { "it took too long".to_owned() } else { innermost(&error) };
    if error.is_connect() || error.is_builder() {
        TransportError::NotSent(why)
    } else {
        TransportError::Lost(why)
    }
}

/// The innermost cause; the outer ones contain the address, which may hold a key.
fn innermost(error: &reqwest::Error) -> String {
    let mut cause = error.source();
    while let Some(below) = cause.and_then(Error::source) {
        cause = Some(below);
    }
    cause.map_or_else(|| "the exchange failed".to_owned(), ToString::to_string)
}

/// `Retry-After` as seconds, or as a date relative to the answer's own `Date`, since both are of the server's clock. A date
/// in the past is a wait of zero.
fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    let text = headers.get(RETRY_AFTER)?.to_str().ok()?.trim();
    if let Ok(seconds) = text.parse() {
        return Some(Duration::from_secs(seconds));
    }
    let date = |text| httpdate::parse_http_date(text).ok();
    let wait = date(text)?.duration_since(date(headers.get(DATE)?.to_str().ok()?)?);
    Some(wait.unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn retry_after_is_read_as_seconds_and_as_a_date() {
        let now = "Sun, 06 Nov 1994 08:49:37 GMT";
        let table = [
            ("120", now, Some(120)),
            (" 0 ", "", Some(0)),
            ("Sun, 06 Nov 1994 08:50:37 GMT", now, Some(60)),
            ("Sun, 06 Nov 1994 08:49:37 GMT", now, Some(0)),
            ("Sun, 06 Nov 1994 08:00:00 GMT", now, Some(0)),
            ("Sunday, 06-Nov-94 08:50:37 GMT", now, Some(60)),
            ("Sun Nov  6 08:50:37 1994", now, Some(60)),
            ("Sun, 06 Nov 1994 08:50:37 GMT", "", None),
            ("-1", now, None),
            ("soon", now, None),
            ("", now, None),
        ];
        for (text, date, expected) in table {
            let mut headers = HeaderMap::new();
            headers.insert(RETRY_AFTER, text.parse().unwrap());
            headers.insert(DATE, date.parse().unwrap());
            assert_eq!(retry_after(&headers).map(|wait| wait.as_secs()), expected, "{text}");
        }
        assert_eq!(retry_after(&HeaderMap::new()), None);
    }
}
