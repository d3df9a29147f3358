//! Requests that may be sent twice and count once.
//!
//! A key stands in the store beside the change that its request made, in the same commit. What a repeat is answered
//! follows from the changes of the same subject, by the same rules as for the request itself. A request that changed
//! nothing has no row and is decided anew.
//!
//! Usually a request is the first with its key. One that starts a payment has its key in its first commit, before
//! anybody is called, so it is not looked up beforehand: the commit of a repeat fails, and changes nothing.

use std::sync::Arc;

use actix_web::web::Bytes;
use actix_web::{HttpRequest, HttpResponse};
use port::{OrderId, sign};

use super::answer::Answer;
use super::auth::Caller;
use super::in_flight::{Permit, QUEUE_TIMEOUT};
use super::problem::{Code, Problem};
use super::request::{ApiRequest, header};
use super::state::State;
use crate::domain::Outcome;
use crate::engine::IdempotencyKey;
use crate::store::IdempotencyRow;

/// Longest key.
const MAX_KEY: usize = 255;

/// How often a request is run: another one may take its key meanwhile.
const MAX_RUNS: u32 = 3;

/// An idempotency key while its request runs.
pub(super) struct InFlightKey {
    /// As the use cases take it.
    pub(super) key: IdempotencyKey,
    /// Lets one request with this key run at a time.
    pub(super) permit: Arc<Permit>,
}

impl InFlightKey {
    /// The order that an earlier try left, for a request that is tried again.
    pub(super) fn earlier_order(&self) -> Option<OrderId> {
        self.key.replaces.map(|(subject, _)| OrderId::from_uuid(subject))
    }
}

/// Reads a request's idempotency key, if it has one, and waits until no other request with the same key runs.
///
/// # Errors
/// `idempotency_key_invalid`; as [`InFlightRequests::permit`](super::in_flight::InFlightRequests::permit).
pub(super) async fn in_flight_key(
    state: &State,
    caller: &Caller,
    request: &HttpRequest,
    body: &Bytes,
) -> Result<Option<InFlightKey>, Problem> {
    let Some(text) = key(request)? else { return Ok(None) };
    let parts = [request.method().as_str().as_bytes(), b" ", request.path().as_bytes(), b"\n", body];
    let fingerprint = sign::sha256(&parts);
    let scope = (caller.merchant.clone(), text.clone(), fingerprint);
    let permit = Arc::new(state.common().in_flight.permit(scope, QUEUE_TIMEOUT).await?);
    Ok(Some(InFlightKey { key: IdempotencyKey::new(text, fingerprint), permit }))
}

fn key(request: &HttpRequest) -> Result<Option<String>, Problem> {
    if !request.headers().contains_key("Idempotency-Key") {
        return Ok(None);
    }
    let text = header(request, "Idempotency-Key").unwrap_or_default().trim();
    let bare = text.strip_prefix('"').and_then(|rest| rest.strip_suffix('"')).unwrap_or(text);
    let visible = bare.bytes().all(|byte| byte.is_ascii_graphic());
    if visible && (1..=MAX_KEY).contains(&bare.len()) {
        return Ok(Some(bare.to_owned()));
    }
    let detail = "An idempotency key has 1 to 255 visible ASCII characters and is sent once.";
    Err(Problem::new(Code::IdempotencyKeyInvalid, detail))
}

/// What a request came to, which a repeat of it can be answered from.
pub(super) trait Recall: Sized {
    /// What the request behind a key came to. `None` if it reached no provider, so that it is run again;
    /// `creates_session` says whether it was to create a session.
    async fn recall(
        request: &ApiRequest,
        row: &IdempotencyRow,
        creates_session: bool,
    ) -> Result<Option<Self>, Problem>;
}

impl Recall for Outcome {
    async fn recall(
        request: &ApiRequest,
        row: &IdempotencyRow,
        creates_session: bool,
    ) -> Result<Option<Self>, Problem> {
        Ok(request.state().orders().recall(&request.command(), row, creates_session).await?)
    }
}

/// Where the request's key stands in the store, if it has one and was sent before.
///
/// # Errors
/// `idempotency_key_reused`, and that of the store.
async fn look_up(request: &ApiRequest) -> Result<Option<IdempotencyRow>, Problem> {
    let Some(InFlightKey { key, .. }) = &request.in_flight else { return Ok(None) };
    let row = request.state().store().idempotency(&request.merchant, &key.text).await?;
    if row.as_ref().is_some_and(|row| row.fingerprint != key.fingerprint) {
        let detail = "This idempotency key was sent before with another method, path or body.";
        return Err(Problem::new(Code::IdempotencyKeyReused, detail));
    }
    Ok(row)
}

/// Carries a request out, once for each key, and shows what it came to; a repeat is shown the same. `creates_session`
/// says whether the request is to create a session, and so writes its key before anything else.
///
/// # Errors
/// What the use case refuses, and what a repeat was refused with before.
pub(super) async fn act<T: Recall>(
    mut request: ApiRequest,
    run: impl AsyncFn(&ApiRequest) -> Result<T, Problem>,
    show: impl Fn(&ApiRequest, &T) -> Result<Answer, Problem>,
    creates_session: bool,
) -> Result<HttpResponse, Problem> {
    let mut row = if creates_session { None } else { look_up(&request).await? };
    for _ in 0..MAX_RUNS {
        if let Some(row) = &row
            && let Some(outcome) = T::recall(&request, row, creates_session).await?
        {
            let shown = show(&request, &outcome);
            return shown.map(|answer| answer.replayed().into()).map_err(Problem::replayed);
        }
        if let Some(InFlightKey { key, .. }) = &mut request.in_flight {
            key.replaces = row.as_ref().map(|row| (row.subject, row.sequence));
        }
        let refused = match run(&request).await {
            Ok(outcome) => return show(&request, &outcome).map(Into::into),
            Err(problem) => problem,
        };
        // A refusal after the request's own change is its answer; any other may be that of a repeat.
        if request.in_flight.as_ref().is_none_or(|in_flight| in_flight.key.is_written()) {
            return Err(refused);
        }
        let found = look_up(&request).await?;
        if found == row {
            return Err(refused);
        }
        row = found;
    }
    Err(Problem::key_in_use())
}
