//! DECTA Gateway `v0.6`: orders with redirects, Bearer keys, unsigned notifications.

mod order;

use serde::Deserialize;

use crate::context::{Outcome, RequestContext};
use crate::dialect::{Call, Dialect, Signed, two_decimals};
use crate::doc::Doc;
use crate::faults::Operation;
use crate::http::Response;
use crate::ledger::Subscription;
use crate::object::{Effect, Kind, Object, Provider, Refusal};

pub(crate) struct Decta;

const US: Provider = Provider::Decta;

/// The gateway cancels a hold after 28 days (status page); in microseconds.
const MAX_AUTHORIZATION_US: i64 = 28 * 24 * 3600 * 1_000_000;

/// Statuses in which the customer can still pay.
const OPEN: [&str; 5] = ["issued", "viewed", "in_progress", "failed", "overdue"];

/// Statuses in which the merchant may cancel; all others refuse.
const CANCELLABLE: [&str; 8] =
    ["issued", "viewed", "overdue", "failed", "expired", "rejected", "hold", "received"];

impl Dialect for Decta {
    fn base(&self) -> &'static [&'static str] {
        &["decta", "api", "v0.6"]
    }

    fn operation(&self, method: &str, path: &[&str]) -> Operation {
        match (method, path) {
            ("POST", ["orders"]) => Operation::Create,
            ("POST", ["orders", _, "capture"]) => Operation::Capture,
            ("POST", ["orders", _, "cancel"]) => Operation::Cancel,
            ("POST", ["orders", _, "refund" | "reverse"]) => Operation::Refund,
            ("GET", _) => Operation::Read,
            _ => Operation::Any,
        }
    }

    fn handle(&self, context: &mut RequestContext<'_>, call: &Call<'_>) -> Response {
        let bearer =
            call.request.filled_header("authorization").and_then(|value| value.strip_prefix("Bearer "));
        if bearer.is_none_or(|key| key.trim().is_empty()) {
            return self.trouble(401);
        }
        let done = match (call.method, call.path.as_slice()) {
            ("POST", ["orders"]) => order::create(context, call),
            ("GET", ["orders"]) => Ok(order::list(context, call)),
            ("GET", ["orders", id]) => {
                read(context, id).map(|object| order::reply(context, call, 200, &object))
            }
            ("POST", ["orders", id, action]) => act(context, call, id, action),
            _ => Err(fault(404, "__all__", "Not found", "not_found")),
        };
        done.unwrap_or_else(|refused| refused)
    }

    fn trouble(&self, status: u16) -> Response {
        let (message, code) = match status {
            401 => ("Invalid API key", "not_authenticated"),
            429 => ("Request was throttled", "throttled"),
            _ => ("Internal error", "error"),
        };
        fault(status, "__all__", message, code)
    }

    fn effect(&self, _kind: Kind, word: &str) -> Option<Effect> {
        Some(match word {
            "draft" | "issued" | "viewed" | "in_progress" | "failed" | "overdue" | "created" | "test"
            | "refund_initiated" | "reversal_initiated" | "reversal_failed" => Effect::Nothing,
            "hold" => Effect::Hold,
            // Received is paid outside: no money passes through this provider.
            "received" => Effect::Nothing,
            "paid" | "withdrawn" => Effect::Paid,
            "expired" | "cancelled" | "rejected" => Effect::Release,
            "refunded" | "reversed" => Effect::Refund,
            "refund_failed" | "refund_reversed" => Effect::RefundUndone,
            "chargeback" | "representation" | "retrieval" | "pre_arbitration" | "arbitration"
            | "pre_compliance" | "compliance" | "good_faith" | "fraud_advice" => Effect::Dispute,
            _ => return None,
        })
    }

    fn words(&self, object: &Object, outcome: Outcome) -> Option<&'static [&'static str]> {
        Some(match outcome {
            Outcome::Paid => &["in_progress", "paid"],
            Outcome::Hold => &["in_progress", "hold"],
            Outcome::Declined => &["in_progress", "failed"],
            Outcome::DeclinedFinal => &["in_progress", "failed", "cancelled"],
            Outcome::Cancelled => &["rejected"],
            Outcome::ActionRequired | Outcome::Slow | Outcome::Transfer => &["in_progress"],
            Outcome::Viewed if object.word == "issued" => &["viewed"],
            Outcome::Viewed => &[],
            Outcome::Expired => &["expired"],
        })
    }

    fn is_open(&self, object: &Object) -> bool {
        OPEN.contains(&object.word.as_str())
    }

    fn deadline(&self, object: &Object) -> Option<(i64, &'static str)> {
        if object.word == "hold" {
            return Some((object.changed_at().saturating_add(MAX_AUTHORIZATION_US), "cancelled"));
        }
        let due = object.terms.deadline.filter(|_| self.is_open(object))?;
        match object.terms.deny_late {
            true => Some((due, "expired")),
            false if object.first("overdue").is_none() => Some((due, "overdue")),
            false => None,
        }
    }

    fn notification_body(&self, context: &RequestContext<'_>, object: &Object, _event_id: &str) -> String {
        order::show(object, context.base_url, "full").finish()
    }

    /// DECTA signs nothing: the address carries the merchant's key, which a forger does not know. Where the
    /// subscription names no such secret a forgery looks genuine, as it would at DECTA.
    fn sign(&self, to: &Subscription, _event_id: &str, _sent_at: i64, _body: &str, forged: bool) -> Signed {
        let knows = !forged || to.secret.is_empty();
        let url = if knows { to.url.clone() } else { to.url.replace(&to.secret, "forged") };
        Signed { url, headers: Vec::new() }
    }

    fn page(&self, object: &Object) -> String {
        format!("/decta/pay/{}", object.key)
    }

    fn way_back(&self, object: &Object) -> Option<String> {
        let urls = &object.terms.return_urls;
        match object.word.as_str() {
            "paid" | "hold" => urls.paid.clone(),
            "in_progress" => urls.in_progress.clone(),
            "rejected" => urls.cancelled.clone(),
            "failed" | "cancelled" | "expired" => urls.failed.clone(),
            _ => None,
        }
    }
}

/// An error body: a key (`__all__` where no field is to blame) with one message and its code.
pub(crate) fn fault(status: u16, key: &str, message: &str, code: &str) -> Response {
    let entry = Doc::default().put("message", message).put("code", code);
    Response::json(status, Doc::default().put_list(key, [entry]).finish())
}

fn read(context: &RequestContext<'_>, id: &str) -> Result<Object, Response> {
    context.find(US, id).ok_or_else(|| fault(404, "__all__", "Order not found", "not_found"))
}

fn refused(refusal: Refusal) -> Response {
    fault(400, "__all__", &format!("Order {refusal}"), "invalid")
}

fn not_possible(action: &str) -> Response {
    fault(400, "__all__", &format!("Order can not be {action}"), "invalid")
}

#[derive(Deserialize)]
struct Part {
    amount: Option<paymux_port::Decimal>,
}

/// The amount that an action names in minor units, or `whole` if it names none.
fn part(call: &Call<'_>, object: &Object, whole: i64) -> Result<i64, Response> {
    let part: Part = call.json().map_err(|_| fault(400, "__all__", "Invalid JSON", "parse_error"))?;
    let Some(amount) = part.amount else { return Ok(whole) };
    let exact = two_decimals(amount, object.currency);
    exact.ok_or_else(|| {
        fault(400, "amount", "Ensure that there are no more than 2 decimal places", "max_decimal_places")
    })
}

fn act(
    context: &mut RequestContext<'_>,
    call: &Call<'_>,
    id: &str,
    action: &str,
) -> Result<Response, Response> {
    let mut object = read(context, id)?;
    match action {
        "capture" if object.word == "hold" => {
            let minor = part(call, &object, object.held)?;
            object.capture(minor).map_err(refused)?;
            context.transition(&mut object, "paid", "paid").map_err(refused)?;
        }
        "capture" => return Err(not_possible("captured")),
        "cancel" if CANCELLABLE.contains(&object.word.as_str()) => {
            context.set(&mut object, "cancelled", Effect::Release).map_err(refused)?;
        }
        "cancel" => return Err(not_possible("cancelled")),
        "refund"
            if matches!(object.word.as_str(), "paid" | "withdrawn" | "refund_failed" | "refund_reversed") =>
        {
            let minor = part(call, &object, object.captured - object.refunded)?;
            object.refund(minor).map_err(refused)?;
            let whole = object.refunded == object.captured;
            context
                .transition(&mut object, "refunded", if whole { "refunded" } else { "paid" })
                .map_err(refused)?;
        }
        "refund" => return Err(not_possible("refunded")),
        "reverse" if object.word == "paid" && object.refunded == 0 => {
            context.set(&mut object, "reversed", Effect::Refund).map_err(refused)?;
        }
        "reverse" if object.word == "hold" => {
            context.set(&mut object, "reversed", Effect::Release).map_err(refused)?;
        }
        "reverse" => return Err(not_possible("reversed")),
        "received" if OPEN.contains(&object.word.as_str()) && object.word != "in_progress" => {
            context.set(&mut object, "received", Effect::Nothing).map_err(refused)?;
        }
        "received" => return Err(not_possible("marked as received")),
        _ => return Err(fault(404, "__all__", "Not found", "not_found")),
    }
    Ok(order::reply(context, call, 200, &object))
}
