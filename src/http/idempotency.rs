//! Idempotent requests: a request with a key takes effect once, and its repeats get the same answer.
//!
//! A key is stored in the same commit as the change of its request. The answer to a repeat is computed from the
//! subject's changes, as for the request itself. A request that changed nothing stores no key; its repeat is run again.
//!
//! A request that creates a session stores its key in its first commit, before any call to a provider. So its key is
//! not looked up beforehand: the commit of a repeat fails and changes nothing.

use std::sync::Arc;

use actix_web::{HttpRequest, HttpResponse};
use port::sign;

use super::answer::Answer;
use super::card;
use super::in_flight::{Permit, QUEUE_TIMEOUT};
use super::problem::{Code, Problem};
use super::request::{ApiRequest, RawRequest, header};
use crate::domain::Outcome;
use crate::engine::IdempotencyKey;
use crate::store::IdempotencyRow;

const MAX_KEY: usize = 255;

/// How often a request is run, since another one may store its key meanwhile.
const MAX_RUNS: u32 = 3;

/// Reads a request's idempotency key, if it has one, and waits until no other request with the same key runs.
pub(super) async fn admit(
    RawRequest { state, request, body, .. }: &RawRequest,
    merchant: &Arc<str>,
) -> Result<Option<(IdempotencyKey, Permit)>, Problem> {
    let Some(text) = key(request)? else { return Ok(None) };
    let parts = [request.method().as_str().as_bytes(), b" ", request.path().as_bytes(), b"\n", body];
    let fingerprint = sign::sha256(&parts);
    let scope = (merchant.clone(), text.clone(), fingerprint);
    let permit = state.common.in_flight.permit(scope, QUEUE_TIMEOUT).await?;
    Ok(Some((IdempotencyKey::new(text, fingerprint), permit)))
}

fn key(request: &HttpRequest) -> Result<Option<String>, Problem> {
    if !request.headers().contains_key("Idempotency-Key") {
        return Ok(None);
    }
    let text = header(request, "Idempotency-Key").unwrap_or_default().trim();
    let bare = text.strip_prefix('"').and_then(|rest| rest.strip_suffix('"')).unwrap_or(text);
    let visible = bare.bytes().all(|byte| byte.is_ascii_graphic());
    if visible && (1..=MAX_KEY).contains(&bare.len()) {
        return Ok(Some(storable(bare)));
    }
    let detail = "An idempotency key has 1 to 255 visible ASCII characters and is sent once.";
    Err(Problem::new(Code::IdempotencyKeyInvalid, detail))
}

/// A key as it is stored: one that could be a card number only as its hash.
fn storable(key: &str) -> String {
    if card::contains_pan(key) { hex::encode(sign::sha256(&[key.as_bytes()])) } else { key.to_owned() }
}

/// An outcome that a repeat can be answered from.
pub(super) trait Recall: Sized {
    /// The outcome of the request with this key. `None` if it was to create a session (`starts`) and reached no
    /// provider, so that it is run again.
    async fn recall(
        request: &ApiRequest,
        row: &IdempotencyRow,
        starts: bool,
    ) -> Result<Option<Self>, Problem>;
}

impl Recall for Outcome {
    async fn recall(
        request: &ApiRequest,
        row: &IdempotencyRow,
        starts: bool,
    ) -> Result<Option<Self>, Problem> {
        Ok(request.state().orders.recall(&request.command, row, starts).await?)
    }
}

/// The stored row of the request's key, if there is one.
async fn stored(request: &ApiRequest) -> Result<Option<IdempotencyRow>, Problem> {
    let Some(key) = &request.command.key else { return Ok(None) };
    let row = request.state().store().idempotency(&request.merchant, &key.text).await?;
    if row.as_ref().is_some_and(|row| row.fingerprint != key.fingerprint) {
        let detail = "This idempotency key was sent before with another method, path or body.";
        return Err(Problem::new(Code::IdempotencyKeyReused, detail));
    }
    Ok(row)
}

/// Runs a request once per key and renders its outcome or error; a repeat gets the same. `starts` says that the request
/// creates a session, and so stores its key in its first commit.
pub(super) async fn act<T: Recall>(
    mut request: ApiRequest,
    run: impl AsyncFn(&ApiRequest) -> Result<T, Problem>,
    show: impl Fn(&ApiRequest, &T) -> Result<Answer, Problem>,
    starts: bool,
) -> Result<HttpResponse, Problem> {
    let mut row = if starts { None } else { stored(&request).await? };
    for _ in 0..MAX_RUNS {
        if let Some(row) = &row
            && let Some(outcome) = T::recall(&request, row, starts).await?
        {
            let shown = show(&request, &outcome);
            return shown.map(|answer| answer.replayed().into()).map_err(Problem::replayed);
        }
        if let Some(key) = &mut request.command.key {
            key.replaces = row.as_ref().map(|row| (row.subject, row.sequence));
        }
        let problem = match run(&request).await {
            Ok(outcome) => return show(&request, &outcome).map(Into::into),
            Err(problem) => problem,
        };
        // An error after the request's own change is its answer; any other may come from an earlier request with its
        // key.
        if request.command.key.as_ref().is_none_or(IdempotencyKey::is_written) {
            return Err(problem);
        }
        let found = stored(&request).await?;
        if found == row {
            return Err(problem);
        }
        row = found;
    }
    Err(Problem::key_in_use())
}
