//! Telness Connect `v2`: orders that the provider prices itself, sessions and links that pay them.

mod order;
mod payment;
mod pricing;
mod session;

pub(crate) use order::{Order, advance as advance_order};

use crate::context::{Outcome, RequestContext};
use crate::dialect::{Call, Dialect, Signed, rfc3339};
use crate::doc::Doc;
use crate::faults::Operation;
use crate::http::Response;
use crate::ids;
use crate::journal::Record;
use crate::ledger::{Remembered, Subscription};
use crate::object::{Effect, Kind, Object, Provider, Refusal};

pub(crate) struct Telness;

const US: Provider = Provider::Telness;

/// Idempotency keys are stored for 24 hours; in microseconds.
const REMEMBERED_US: i64 = 24 * 3600 * 1_000_000;

const MAX_KEY: usize = 256;

impl Dialect for Telness {
    fn base(&self) -> &'static [&'static str] {
        &["telness", "api", "v2"]
    }

    fn operation(&self, method: &str, path: &[&str]) -> Operation {
        match (method, path) {
            ("GET", _) => Operation::Read,
            ("POST", ["orders", _, "calculate-price"]) => Operation::Price,
            ("POST", [.., "cancel"]) => Operation::Cancel,
            (_, ["orders", ..]) => Operation::Order,
            ("POST", ["payment-sessions"] | ["payment-links"] | ["payment-profiles", "sessions"]) => {
                Operation::Create
            }
            _ => Operation::Any,
        }
    }

    fn handle(&self, context: &mut RequestContext<'_>, call: &Call<'_>) -> Response {
        if call.request.filled_header("x-api-key").is_none() {
            return self.trouble(401);
        }
        match call.request.filled_header("x-idempotency-key").filter(|_| call.method == "POST") {
            Some(key) => once(context, call, key),
            None => route(context, call),
        }
    }

    fn trouble(&self, status: u16) -> Response {
        match status {
            401 => fault(401, "UNAUTHORIZED", "Invalid API key"),
            429 => fault(429, "RATE_LIMIT_EXCEEDED", "Too many requests"),
            _ => fault(status, "INTERNAL_ERROR", "Something went wrong"),
        }
    }

    fn effect(&self, kind: Kind, word: &str) -> Option<Effect> {
        Some(match (kind, word) {
            (Kind::Link, "ACTIVE") => Effect::Nothing,
            (Kind::Link, "COMPLETED") => Effect::Paid,
            (Kind::Link, "EXPIRED" | "CANCELLED") => Effect::Release,
            (Kind::Session | Kind::ProfileSession, "PENDING" | "REQUIRES_ACTION") => Effect::Nothing,
            (Kind::Session, "COMPLETED") => Effect::Paid,
            (Kind::ProfileSession, "COMPLETED") => Effect::Nothing,
            (Kind::Session | Kind::ProfileSession, "FAILED") => Effect::Release,
            _ => return None,
        })
    }

    fn payment_effect(&self, word: &str) -> Option<Effect> {
        Some(match word {
            "PENDING" | "FAILED" | "CANCELED" => Effect::Nothing,
            "PAID" => Effect::Paid,
            "REFUNDED" => Effect::Refund,
            _ => return None,
        })
    }

    fn words(&self, object: &Object, outcome: Outcome) -> Option<&'static [&'static str]> {
        Some(match (object.kind, outcome) {
            (_, Outcome::Hold) => return None,
            (_, Outcome::Viewed) => &[],
            (_, Outcome::Paid) => &["COMPLETED"],
            (Kind::Link, Outcome::DeclinedFinal | Outcome::Cancelled) => &["CANCELLED"],
            (Kind::Link, Outcome::Expired) => &["EXPIRED"],
            (Kind::Link, _) => &["ACTIVE"],
            (_, Outcome::Declined | Outcome::Slow | Outcome::Transfer) => &["PENDING"],
            (_, Outcome::ActionRequired) => &["REQUIRES_ACTION"],
            (_, Outcome::DeclinedFinal | Outcome::Cancelled | Outcome::Expired) => &["FAILED"],
        })
    }

    fn is_open(&self, object: &Object) -> bool {
        matches!(object.word.as_str(), "PENDING" | "REQUIRES_ACTION" | "ACTIVE")
    }

    fn deadline(&self, object: &Object) -> Option<(i64, &'static str)> {
        let at = object.terms.deadline.filter(|_| self.is_open(object))?;
        Some((at, if object.kind == Kind::Link { "EXPIRED" } else { "FAILED" }))
    }

    /// The order under a session is locked while it is being paid, and free again when nothing came of it.
    fn followed(&self, context: &mut RequestContext<'_>, object: &Object) {
        order::follow(context, object);
    }

    /// The public material shows the envelope and three event names; those of sessions are formed alike.
    fn notification_body(&self, context: &RequestContext<'_>, object: &Object, event_id: &str) -> String {
        let kind = match (object.kind, object.word.as_str()) {
            (Kind::Link, "COMPLETED") => "paymentLink.completed",
            (Kind::Link, "EXPIRED") => "paymentLink.expired",
            (Kind::Link, "CANCELLED") => "paymentLink.cancelled",
            (Kind::Link, _) => "paymentLink.updated",
            (Kind::ProfileSession, _) => "paymentProfileSession.updated",
            _ => "paymentSession.updated",
        };
        envelope(event_id, kind, object.changed_at(), session::show(object, context.base_url))
    }

    fn sign(&self, to: &Subscription, _event_id: &str, _sent_at: i64, _body: &str, forged: bool) -> Signed {
        let key = if forged { "forged" } else { to.secret.as_str() };
        Signed { url: to.url.clone(), headers: vec![("x-api-key".to_owned(), key.to_owned())] }
    }

    fn page(&self, object: &Object) -> String {
        let step = if object.kind == Kind::ProfileSession { "save" } else { "pay" };
        format!("/telness/{step}/{}", object.key)
    }

    fn way_back(&self, object: &Object) -> Option<String> {
        let urls = &object.terms.return_urls;
        match object.word.as_str() {
            "COMPLETED" => urls.paid.clone(),
            "FAILED" | "CANCELLED" | "EXPIRED" if object.declines.is_empty() => {
                urls.cancelled.clone().or_else(|| urls.failed.clone())
            }
            "FAILED" | "CANCELLED" => urls.failed.clone(),
            _ => None,
        }
    }
}

fn route(context: &mut RequestContext<'_>, call: &Call<'_>) -> Response {
    let done = match (call.method, call.path.as_slice()) {
        ("POST", ["orders"]) => order::create(context, call),
        ("GET", ["orders"]) => Ok(order::list(context, call)),
        ("GET", ["orders", id]) => order::read(context, id),
        ("PATCH", ["orders", id]) => order::patch(context, call, id),
        ("POST", ["orders", id, "line-items"]) => order::add_item(context, call, id),
        ("PATCH", ["orders", id, "line-items", item]) => order::change_item(context, call, id, item),
        ("DELETE", ["orders", id, "line-items", item]) => order::remove_item(context, id, item),
        ("POST", ["orders", id, "calculate-price"]) => order::price(context, id),
        ("POST", ["orders", id, "submit"]) => order::submit(context, call, id),
        ("POST", ["orders", id, "cancel"]) => order::cancel(context, id),
        ("POST", ["payment-sessions"]) => session::create(context, call, Kind::Session),
        ("GET", ["payment-sessions", id]) => session::read(context, id, Kind::Session),
        ("POST", ["payment-sessions", id, "cancel"]) => session::cancel(context, id, Kind::Session),
        ("POST", ["payment-links"]) => session::create(context, call, Kind::Link),
        ("GET", ["payment-links", id]) => session::read(context, id, Kind::Link),
        ("POST", ["payment-links", id, "cancel"]) => session::cancel(context, id, Kind::Link),
        ("POST", ["payment-profiles", "sessions"]) => session::create(context, call, Kind::ProfileSession),
        ("GET", ["payment-profiles", "sessions", id]) => session::read(context, id, Kind::ProfileSession),
        ("POST", ["payment-profiles", "sessions", id, "cancel"]) => {
            session::cancel(context, id, Kind::ProfileSession)
        }
        ("GET", ["payment-profiles"]) => payment::profiles(context, call),
        ("GET", ["payment-profiles", id]) => payment::profile(context, id),
        ("GET", ["payments"]) => Ok(payment::list(context, call)),
        ("GET", ["payments", id]) => payment::read(context, id),
        _ => Err(fault(404, "NOT_FOUND", "No such endpoint")),
    };
    done.unwrap_or_else(|refused| refused)
}

/// The first answer to a key is the only one, for the same method, URL, body and processing headers.
fn once(context: &mut RequestContext<'_>, call: &Call<'_>, key: &str) -> Response {
    if key.chars().count() > MAX_KEY {
        return blame("X-Idempotency-Key", "INVALID_FORMAT", "The key has more than 256 characters");
    }
    let request = call.request;
    let header = |name: &str| request.headers.get(name).map_or("", String::as_str);
    let scope = format!("{key} {} {}?{}", request.method, request.path, request.query);
    let body = String::from_utf8_lossy(&request.body);
    let same = [header("content-type"), header("authorization"), &body].join("\n");
    let fingerprint = ids::digest(&same);
    let earliest = context.now.saturating_sub(REMEMBERED_US);
    if let Some(first) = context.ledger.remembered(&scope).filter(|first| first.at > earliest) {
        if first.fingerprint == fingerprint {
            return first.response.clone();
        }
        let message = "The key was used with another request";
        return fault(409, "idempotency_key_mismatch", message);
    }
    let response = route(context, call);
    let first = Remembered { scope, fingerprint, at: context.now, response: response.clone() };
    context.ledger.keep(Record::Remembered(Box::new(first)));
    response
}

/// The envelope of every event: the same `eventId` for every repeat.
fn envelope(event_id: &str, kind: &str, at: i64, data: Doc) -> String {
    Doc::default()
        .put("eventId", event_id)
        .put("type", kind)
        .put("occurredAt", rfc3339(at))
        .put_doc("data", data)
        .finish()
}

fn fault(status: u16, code: &str, message: &str) -> Response {
    Response::json(status, Doc::default().put("message", message).put("code", code).finish())
}

/// A 400 that names the field to blame.
fn blame(property: &str, code: &str, message: &str) -> Response {
    blame_all([Doc::default().put("message", message).put("code", code).put("property", property)])
}

fn blame_all(details: impl IntoIterator<Item = Doc>) -> Response {
    let body = Doc::default()
        .put("message", "Validation failed")
        .put("code", "VALIDATION_ERROR")
        .put_list("details", details);
    Response::json(400, body.finish())
}

fn unreadable(why: &serde_json::Error) -> Response {
    fault(400, "INVALID_FORMAT", &format!("The body could not be read: {why}"))
}

fn missing(what: &str) -> Response {
    fault(404, "NOT_FOUND", &format!("{what} not found"))
}

fn conflict(refusal: Refusal) -> Response {
    fault(409, "CONFLICT", &format!("The payment {refusal}"))
}
