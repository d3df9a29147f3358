//! Reads a request body, with limits on size and time.

use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use actix_web::body::{self, BodySize, BoxBody, MessageBody};
use actix_web::web::{Bytes, BytesMut, Payload};
use actix_web::{HttpMessage as _, HttpRequest, HttpResponse};
use futures_util::StreamExt as _;

use super::problem::{Code, Problem};

/// How much of a body that is too large is still read, so that the client gets the answer.
const DRAINED_BYTES: usize = 4 * 1024 * 1024;

/// Reads a body of at most `limit` bytes. One that ends too early is `malformed_json`.
pub(super) async fn read(payload: &mut Payload, limit: usize, timeout: Duration) -> Result<Bytes, Problem> {
    let reading = async {
        let mut body = BytesMut::new();
        let mut size = 0;
        while let Some(chunk) = payload.next().await {
            let cut = |_| Problem::new(Code::MalformedJson, "The body did not arrive whole.");
            let chunk = chunk.map_err(cut)?;
            size += chunk.len();
            if size <= limit {
                body.extend_from_slice(&chunk);
            } else if size > DRAINED_BYTES {
                break;
            }
        }
        if size > limit {
            let detail = format!("The body has more than {limit} bytes.");
            return Err(Problem::new(Code::BodyTooLarge, detail).with("limit", limit));
        }
        Ok(body.freeze())
    };
    let late = || Problem::new(Code::RequestTimeout, "The body did not arrive in time.");
    tokio::time::timeout(timeout, reading).await.unwrap_or_else(|_| Err(late()))
}

/// Refuses a body that is not declared as plain JSON.
pub(super) fn ensure_json(request: &HttpRequest, body: &Bytes) -> Result<(), Problem> {
    if body.is_empty() {
        return Ok(());
    }
    let plain = request.mime_type().ok().flatten().is_some_and(|mime| {
        let charset = mime.get_param("charset");
        mime.essence_str() == "application/json" && charset.is_none_or(|charset| charset == "utf-8")
    });
    let coded = request.headers().get("Content-Encoding").is_some_and(|coding| coding != "identity");
    if plain && !coded {
        return Ok(());
    }
    let detail =
        "Send the body with `Content-Type: application/json`, in UTF-8 and without a content encoding.";
    Err(Problem::new(Code::UnsupportedMediaType, detail))
}

/// An answer to a request whose body was not read whole. Holding the rest of the body makes the server close the
/// connection; otherwise it would read on for as long as the client sends.
pub(super) fn closing(answer: HttpResponse, rest: Payload) -> HttpResponse {
    answer.map_body(|_, body| BoxBody::new(WithUnread { body, _rest: rest }))
}

/// The answer to HEAD: that to GET, whose body the server leaves out. A body without a size, such as an event stream, is
/// dropped at once.
pub(super) fn without_stream(answer: HttpResponse) -> HttpResponse {
    match answer.body().size() {
        BodySize::Stream => answer.set_body(body::None::new()).map_into_boxed_body(),
        _ => answer,
    }
}

/// A response body that holds the unread request body.
struct WithUnread {
    body: BoxBody,
    _rest: Payload,
}

impl MessageBody for WithUnread {
    type Error = <BoxBody as MessageBody>::Error;

    fn size(&self) -> BodySize {
        self.body.size()
    }

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Bytes, Self::Error>>> {
        Pin::new(&mut self.get_mut().body).poll_next(cx)
    }
}
