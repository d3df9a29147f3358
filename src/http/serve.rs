//! Serves a request: its id and span, authentication and rate limit, its body, its handler, its answer.

use std::sync::Arc;
use std::time::Duration;

use actix_web::http::header::{HeaderName, HeaderValue};
use actix_web::http::{ConnectionType, Method};
use actix_web::web::{Bytes, Payload};
use actix_web::{HttpRequest, HttpResponse};
use tracing::Instrument as _;

use super::auth::Scope;
use super::connections::Connection;
use super::input::no_query;
use super::problem::{Code, FieldError, Problem};
use super::request::{ApiRequest, RawRequest, header, if_match};
use super::routes::{Handler, Route};
use super::state::State;
use super::{body, card, idempotency, pages};
use crate::domain::Actor;
use crate::engine::Command;
use crate::metrics::RouteMetrics;
use crate::outbound::trace;

/// The longest request id that is accepted from a client.
const MAX_ID: usize = 128;

type Headers = Vec<(HeaderName, HeaderValue)>;

/// Serves a request of a route.
pub(super) async fn serve(
    route: &'static Route,
    metrics: RouteMetrics,
    state: State,
    request: HttpRequest,
    mut payload: Payload,
) -> HttpResponse {
    let started_at = state.now();
    let is_head = request.method() == Method::HEAD;
    let raw = raw(state, request);
    let span = tracing::info_span!(
        "request",
        request.id = %raw.id,
        http.method = route.method,
        http.route = route.path,
        trace.parent = trace_parent(&raw.request),
    );
    let work = async {
        let mut headers = Headers::new();
        match answer(route, raw.clone(), &mut payload, &mut headers).await {
            Ok(response) => with_headers(response, headers, &raw),
            Err(problem) => body::closing(with_headers(refusal(problem, &raw), headers, &raw), payload),
        }
    };
    let parent = trace_parent(&raw.request).map(ToOwned::to_owned);
    let mut response = trace::within(parent, work.instrument(span)).await;
    if is_head {
        response = body::without_stream(response);
    }
    metrics.answered(response.status().as_u16(), raw.state.now().since(started_at));
    response
}

/// Answers a request without a route.
pub(super) async fn fallback(
    problem: Problem,
    metrics: RouteMetrics,
    state: State,
    request: HttpRequest,
    payload: Payload,
) -> HttpResponse {
    let raw = raw(state, request);
    let is_page = problem.code() == Code::NotFound
        && !raw.request.path().starts_with("/v1/")
        && pages::is_browser(&raw.request);
    let refused = if is_page { pages::not_found() } else { refusal(problem, &raw) };
    let response = with_headers(refused, Headers::new(), &raw);
    metrics.answered(response.status().as_u16(), Duration::ZERO);
    body::closing(response, payload)
}

async fn answer(
    route: &'static Route,
    mut raw: RawRequest,
    payload: &mut Payload,
    headers: &mut Headers,
) -> Result<HttpResponse, Problem> {
    let limits = &raw.state.settings().limits;
    let timeout = Duration::from_secs(raw.state.settings().server.request_timeout_s);
    let (scope, run) = match route.handler {
        Handler::Page(run) => {
            raw.body = body::read(payload, limits.notification_bytes, timeout).await?;
            return run(raw).await;
        }
        Handler::Reads(scope, run) | Handler::Acts(scope, run) => (scope, run),
    };
    let merchant = authenticate(&raw, scope, headers).await?;
    refuse_card_in_address(&raw.request)?;
    raw.body = body::read(payload, limits.body_bytes, timeout).await?;
    body::ensure_json(&raw.request, &raw.body)?;
    if !route.takes_query() {
        no_query(raw.request.query_string())?;
    }
    let (key, permit) = match route.method {
        "POST" => idempotency::admit(&raw, &merchant).await?.unzip(),
        _ => (None, None),
    };
    let if_match = if route.method == "GET" { None } else { if_match(&raw.request)? };
    let command = Command { key, if_match, ..raw.command(Actor::Merchant) };
    let request = ApiRequest { raw, merchant, command };
    // Also a read, which may bring what it shows up to date first.
    run_detached(async move {
        let outcome = run(request).await;
        if let (Err(problem), Some(permit)) = (&outcome, &permit) {
            permit.pass_on(problem);
        }
        outcome
    })
    .await
}

/// Runs a use case in a task of its own, so that it continues if the client disconnects. A panic is `internal`.
pub(super) async fn run_detached<T: 'static>(
    work: impl Future<Output = Result<T, Problem>> + 'static,
) -> Result<T, Problem> {
    let task = actix_web::rt::spawn(trace::within(trace::current(), work.in_current_span()));
    task.await.unwrap_or_else(|fault| Err(Problem::internal(format!("a use case did not end: {fault}"))))
}

/// Authenticates a request and checks its rate limit and scope. Returns the merchant.
async fn authenticate(raw: &RawRequest, scope: Scope, headers: &mut Headers) -> Result<Arc<str>, Problem> {
    let (common, now) = (&raw.state.common, raw.state.now());
    let caller = common.api_keys.caller(&raw.request, now).await?;
    let allowance = common.rate_limiter.take(&caller.key, now);
    headers.extend(allowance.headers());
    if let Some(problem) = allowance.refused() {
        return Err(problem);
    }
    caller.needs(scope)?;
    Ok(caller.merchant)
}

/// Refuses a card number in the address. Headers are not searched, since gateways and libraries fill them with ids: a
/// request id that could be a card number is replaced, and such an idempotency key is stored as a hash.
fn refuse_card_in_address(request: &HttpRequest) -> Result<(), Problem> {
    let faults: Vec<_> = [("path", request.path()), ("?", request.query_string())]
        .into_iter()
        .filter(|(_, part)| holds_card(part))
        .map(|(pointer, _)| FieldError::new(pointer, Code::CardDataRefused, card::CARD_FOUND))
        .collect();
    if faults.is_empty() { Ok(()) } else { Err(Problem::faulty(faults)) }
}

/// Whether a part of an address contains a card number.
fn holds_card(part: &str) -> bool {
    url::form_urlencoded::parse(part.as_bytes())
        .any(|(name, value)| card::contains_pan(&name) || card::contains_pan(&value))
}

/// A request with the client's request id if that is valid and cannot be a card number, else with a new one.
fn raw(state: State, request: HttpRequest) -> RawRequest {
    let visible =
        |id: &&str| (1..=MAX_ID).contains(&id.len()) && id.bytes().all(|byte| byte.is_ascii_graphic());
    let given = header(&request, "X-Request-Id").filter(visible).filter(|id| !card::contains_pan(id));
    let id = given.map_or_else(|| state.engine().env.uuid().to_string().into(), Into::into);
    RawRequest { state, request, id, body: Bytes::new() }
}

/// The client's `traceparent` (W3C Trace Context), if it is well-formed.
fn trace_parent(request: &HttpRequest) -> Option<&str> {
    let text = header(request, "traceparent")?;
    let mut parts = text.split('-');
    let hex =
        |part: &str, digits: usize| part.len() == digits && part.bytes().all(|byte| byte.is_ascii_hexdigit());
    let good = [2, 32, 16, 2].into_iter().all(|digits| parts.next().is_some_and(|part| hex(part, digits)));
    Some(text).filter(|_| good && parts.next().is_none())
}

/// Logs and renders a problem.
fn refusal(problem: Problem, raw: &RawRequest) -> HttpResponse {
    problem.log();
    let instance = Some(raw.request.path()).filter(|path| !holds_card(path));
    problem.respond(&raw.state.settings().server.public_url, instance, &raw.id)
}

fn with_headers(mut response: HttpResponse, headers: Headers, raw: &RawRequest) -> HttpResponse {
    if raw.request.conn_data::<Connection>().is_some_and(Connection::is_crowded) {
        response.head_mut().set_connection_type(ConnectionType::Close);
    }
    let shown = response.headers_mut();
    for (name, value) in headers {
        shown.insert(name, value);
    }
    let id = HeaderValue::from_str(&raw.id).expect("visible ASCII");
    shown.insert(HeaderName::from_static("x-request-id"), id);
    shown.insert(HeaderName::from_static("x-content-type-options"), HeaderValue::from_static("nosniff"));
    response
}
