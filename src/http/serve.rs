//! Every request's way: an id and a span, its caller, its body, its handler, its answer.

use std::sync::Arc;
use std::time::Duration;

use actix_web::http::ConnectionType;
use actix_web::http::header::{HeaderName, HeaderValue};
use actix_web::web::Payload;
use actix_web::{HttpRequest, HttpResponse};
use tracing::Instrument as _;

use super::auth::{Caller, Scope};
use super::connections::Connection;
use super::input::no_query;
use super::problem::{Code, FieldError, Problem};
use super::request::{ApiRequest, RawRequest, header, if_match};
use super::routes::{Handler, Route};
use super::state::State;
use super::{body, card, idempotency};
use crate::metrics::RouteMetrics;
use crate::outbound::trace;

/// Longest id of a request that is taken from its sender.
const MAX_ID: usize = 128;

/// Headers beside those of the answer itself.
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
    let id = request_id(&request, &state);
    let span = tracing::info_span!(
        "request",
        request.id = %id,
        http.method = route.method,
        http.route = route.path,
        trace.parent = trace_parent(&request),
    );
    let work = async {
        let mut headers = Headers::new();
        let outcome = answer(route, &state, request.clone(), &mut payload, &id, &mut headers).await;
        match outcome {
            Ok(response) => with_headers(response, headers, &request, &id),
            Err(problem) => {
                let response = refusal(problem, &state, &request, &id);
                body::early(with_headers(response, headers, &request, &id), payload)
            }
        }
    };
    let parent = trace_parent(&request).map(ToOwned::to_owned);
    let response = trace::within(parent, work.instrument(span)).await;
    metrics.answered(response.status().as_u16(), state.now().since(started_at));
    response
}

/// Answers a request that no route takes.
pub(super) async fn fallback(
    problem: Problem,
    metrics: RouteMetrics,
    state: State,
    request: HttpRequest,
    payload: Payload,
) -> HttpResponse {
    let id = request_id(&request, &state);
    let response = with_headers(refusal(problem, &state, &request, &id), Headers::new(), &request, &id);
    metrics.answered(response.status().as_u16(), Duration::ZERO);
    body::early(response, payload)
}

async fn answer(
    route: &'static Route,
    state: &State,
    request: HttpRequest,
    payload: &mut Payload,
    id: &Arc<str>,
    headers: &mut Headers,
) -> Result<HttpResponse, Problem> {
    let settings = state.settings();
    let patience = Duration::from_secs(settings.server.request_timeout_s);
    let raw = |body| RawRequest { state: state.clone(), request: request.clone(), id: id.clone(), body };
    let (scope, handler) = match &route.handler {
        Handler::Page(handler) => {
            let body = body::take(payload, settings.limits.notification_bytes, patience).await?;
            return handler(raw(body)).await;
        }
        Handler::Api(scope, handler) => (*scope, handler),
    };
    let caller = admitted(state, &request, scope, headers).await?;
    no_card_outside_the_body(&request)?;
    let body = body::take(payload, settings.limits.body_bytes, patience).await?;
    body::ensure_json(&request, &body)?;
    if route.query.is_none() {
        no_query(request.query_string())?;
    }
    let in_flight = match route.method {
        "POST" => idempotency::in_flight_key(state, &caller, &request, &body).await?,
        _ => None,
    };
    let if_match = if route.method == "GET" { None } else { if_match(&request)? };
    handler.handle(ApiRequest { raw: raw(body), merchant: caller.merchant, if_match, in_flight }).await
}

/// Carries a use case to its end in a task of its own: a client that hangs up drops the handler, not the money.
///
/// # Errors
/// The use case's own; `internal` if it panicked.
pub(super) async fn run_detached<T: 'static>(
    work: impl Future<Output = Result<T, Problem>> + 'static,
) -> Result<T, Problem> {
    let task = actix_web::rt::spawn(trace::within(trace::current(), work.in_current_span()));
    task.await.unwrap_or_else(|fault| Err(Problem::internal(format!("a use case did not end: {fault}"))))
}

/// Whose the request is, if it may do this and not too often.
async fn admitted(
    state: &State,
    request: &HttpRequest,
    scope: Scope,
    headers: &mut Headers,
) -> Result<Caller, Problem> {
    let (common, now) = (state.common(), state.now());
    let caller = common.api_keys.caller(request, now).await?;
    let allowance = common.buckets.take(&caller.key, now);
    headers.extend(allowance.headers());
    if let Some(problem) = allowance.refused() {
        return Err(problem);
    }
    caller.needs(scope)?;
    Ok(caller)
}

/// Refuses a card number in the address or in a header that is kept.
fn no_card_outside_the_body(request: &HttpRequest) -> Result<(), Problem> {
    let mut faults = Vec::new();
    let mut note = |pointer: &str| {
        let detail = "This holds a card number.".to_owned();
        faults.push(FieldError { pointer: pointer.to_owned(), code: Code::CardDataRefused, detail });
    };
    if holds_card(request.path()) {
        note("path");
    }
    if holds_card(request.query_string()) {
        note("?");
    }
    for name in ["Idempotency-Key", "X-Request-Id"] {
        if header(request, name).is_some_and(card::contains_pan) {
            note(&format!("header:{name}"));
        }
    }
    if faults.is_empty() { Ok(()) } else { Err(Problem::faulty(faults)) }
}

/// Whether a card number stands in a part of an address, as it is or encoded.
fn holds_card(part: &str) -> bool {
    card::contains_pan(part)
        || url::form_urlencoded::parse(part.as_bytes())
            .any(|(name, value)| card::contains_pan(&name) || card::contains_pan(&value))
}

/// The id that the client gave, if it can be kept; else a new one.
fn request_id(request: &HttpRequest, state: &State) -> Arc<str> {
    let visible =
        |id: &&str| (1..=MAX_ID).contains(&id.len()) && id.bytes().all(|byte| byte.is_ascii_graphic());
    let given = header(request, "X-Request-Id").filter(visible).filter(|id| !card::contains_pan(id));
    given.map_or_else(|| state.env().uuid().to_string().into(), Into::into)
}

/// The sender's place in a trace (W3C Trace Context), if it is written as one.
fn trace_parent(request: &HttpRequest) -> Option<&str> {
    let text = header(request, "traceparent")?;
    let mut parts = text.split('-');
    let hex =
        |part: &str, digits: usize| part.len() == digits && part.bytes().all(|byte| byte.is_ascii_hexdigit());
    let good = [2, 32, 16, 2].into_iter().all(|digits| parts.next().is_some_and(|part| hex(part, digits)));
    Some(text).filter(|_| good && parts.next().is_none())
}

/// Answers a problem, and writes it down if it is to be.
fn refusal(problem: Problem, state: &State, request: &HttpRequest, id: &str) -> HttpResponse {
    problem.log();
    let instance = Some(request.path()).filter(|path| !holds_card(path));
    problem.respond(state.public_url(), instance, id)
}

fn with_headers(
    mut response: HttpResponse,
    headers: Headers,
    request: &HttpRequest,
    id: &str,
) -> HttpResponse {
    if request.conn_data::<Connection>().is_some_and(Connection::in_crowd) {
        response.head_mut().set_connection_type(ConnectionType::Close);
    }
    let kept = response.headers_mut();
    for (name, value) in headers {
        kept.insert(name, value);
    }
    let id = HeaderValue::from_str(id).expect("visible ASCII");
    kept.insert(HeaderName::from_static("x-request-id"), id);
    kept.insert(HeaderName::from_static("x-content-type-options"), HeaderValue::from_static("nosniff"));
    response
}
