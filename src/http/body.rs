//! Taking a body in: whole, in time, and not too large.

use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use actix_web::body::{BodySize, BoxBody, MessageBody};
use actix_web::web::{Bytes, BytesMut, Payload};
use actix_web::{HttpMessage as _, HttpRequest, HttpResponse};
use futures_util::StreamExt as _;

use super::problem::{Code, Problem};

/// How much of a body that is too large is still taken in, so that its sender gets to read why.
const DRAINED_BYTES: usize = 4 * 1024 * 1024;

/// Takes in a body of at most `limit` bytes.
///
/// # Errors
/// `body_too_large`, `request_timeout`, or `malformed_json` for one that ends too early.
pub(super) async fn take(payload: &mut Payload, limit: usize, patience: Duration) -> Result<Bytes, Problem> {
    let taking = async {
        let mut body = BytesMut::new();
        let mut size = 0;
        while let Some(chunk) = payload.next().await {
            let chunk =
                chunk.map_err(|_| Problem::new(Code::MalformedJson, "The body did not arrive whole."))?;
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
    tokio::time::timeout(patience, taking).await.unwrap_or_else(|_| Err(late()))
}

/// Refuses a body that is not declared as plain JSON.
///
/// # Errors
/// `unsupported_media_type`.
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

/// An answer to a request that has not arrived whole. The connection closes after it: the server does so while
/// somebody still holds the rest, and would else take that in, for as long as its sender likes.
pub(super) fn early(answer: HttpResponse, rest: Payload) -> HttpResponse {
    answer.map_body(|_, body| BoxBody::new(Early { body, _rest: rest }))
}

/// An answer's body, and what keeps its connection from being used again.
struct Early {
    body: BoxBody,
    _rest: Payload,
}

impl MessageBody for Early {
    type Error = <BoxBody as MessageBody>::Error;

    fn size(&self) -> BodySize {
        self.body.size()
    }

    fn poll_next(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Bytes, Self::Error>>> {
        Pin::new(&mut self.get_mut().body).poll_next(context)
    }
}
