//! The order on Telness' side: a cart that is priced, paid and submitted.

mod cart;
mod show;
mod submit;

use paymux_port::Money;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use serde_json::value::RawValue;

use super::pricing::{self, Item, Priced, Problem};
use super::{US, blame_all, envelope, fault, missing};
use crate::context::{PendingNotification, RequestContext};
use crate::dialect::of;
use crate::doc::{Doc, Sent};
use crate::http::Response;
use crate::ids;
use crate::journal::Record;
use crate::object::{Kind, Object, title_of};

pub(super) use cart::{add_item, change_item, create, patch, remove_item};
pub(super) use show::list;
pub(super) use submit::{cancel, submit};

/// A provider-side order. Times are unix microseconds.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Order {
    pub id: String,
    pub state: String,
    created_at: i64,
    updated_at: i64,
    submitted_at: Option<i64>,
    items: Vec<Item>,
    sent: Sent,
    priced: Option<Priced>,
    external_payment: Option<Box<RawValue>>,
    customer_id: Option<String>,
    /// Sessions and links made for it.
    payables: Vec<String>,
    /// Counts its events.
    changes: u32,
}

/// Every state that the references of both generations name.
const STATES: [&str; 10] = [
    "PENDING",
    "PENDING_PAYMENT",
    "SUBMITTED",
    "PENDING_APPROVAL",
    "PROCESSING",
    "COMPLETED",
    "CANCELLED",
    "EXPIRED",
    "FAILED",
    "CONFIGURED",
];

/// An order expires seven days after its last change.
const LIFE_US: i64 = 7 * 24 * 3600 * 1_000_000;

impl Order {
    fn is_payable(&self) -> bool {
        matches!(self.state.as_str(), "PENDING" | "PENDING_PAYMENT")
    }

    /// Who is served: the id that was sent, or the one that the merchant's reference always gets.
    pub(super) fn customer_id(&self) -> Option<&str> {
        self.customer_id.as_deref()
    }

    /// The merchant's reference, where the order's metadata or customer names one.
    pub(super) fn reference(&self) -> String {
        let customer =
            self.sent.get("customer").and_then(|raw| serde_json::from_str::<Value>(raw.get()).ok());
        let named = customer.and_then(|customer| Some(customer.get("referenceId")?.as_str()?.to_owned()));
        metadata_reference(&self.sent).or(named).unwrap_or_else(|| self.id.clone())
    }

    /// What its lines are called.
    pub(super) fn title(&self) -> String {
        title_of(self.items.iter().filter_map(Item::name))
    }

    /// What it costs, where it is known.
    pub(super) fn priced(&self) -> Option<&Priced> {
        self.priced.as_ref()
    }
}

/// `metadata.reference`, else the first text in `metadata`.
pub(super) fn metadata_reference(sent: &Sent) -> Option<String> {
    let metadata: serde_json::Map<String, Value> = serde_json::from_str(sent.get("metadata")?.get()).ok()?;
    let first = metadata.get("reference").or_else(|| metadata.values().find(|value| value.is_string()))?;
    first.as_str().map(str::to_owned)
}

type Done = Result<Response, Response>;

/// The customer id that a merchant's own reference always leads to.
pub(super) fn customer_id_of(reference: &str) -> String {
    ids::fixed_uuid(&format!("customer/{reference}"))
}

fn detail(problem: &Problem) -> Doc {
    let code = if problem.missing { "FIELD_REQUIRED" } else { "VALIDATION_ERROR" };
    Doc::default().put("message", problem.message).put("code", code).put("property", problem.property)
}

/// The order as time has left it.
pub(super) fn find(context: &mut RequestContext<'_>, id: &str) -> Result<Order, Response> {
    let mut order = context.ledger.order(id).cloned().ok_or_else(|| missing("Order"))?;
    if order.is_payable() && order.updated_at.saturating_add(LIFE_US) <= context.now {
        enter(context, &mut order, "EXPIRED");
    }
    Ok(order)
}

fn keep(context: &mut RequestContext<'_>, order: &Order) {
    context.ledger.keep(Record::Order(Box::new(order.clone())));
}

/// A new state, with its event.
fn enter(context: &mut RequestContext<'_>, order: &mut Order, state: &str) {
    order.state = state.to_owned();
    order.updated_at = context.now;
    order.changes += 1;
    keep(context, order);
    let event_id = ids::fixed_uuid(&format!("{}/{}", order.id, order.changes));
    let kind = if state == "SUBMITTED" { "order.submitted" } else { "order.updated" };
    let body = envelope(&event_id, kind, context.now, show::show(order, context));
    context.notifications.push(PendingNotification { provider: US, event_id, body });
}

/// Sets an order to any state, for the control API; `None` if there is no such state.
pub(crate) fn advance(context: &mut RequestContext<'_>, id: &str, state: &str) -> Option<String> {
    let mut order = context.ledger.order(id).cloned()?;
    if !STATES.contains(&state) {
        return None;
    }
    enter(context, &mut order, state);
    Some(show::show(&order, context).finish())
}

pub(super) fn read(context: &mut RequestContext<'_>, id: &str) -> Done {
    find(context, id).map(|order| reply(context, 200, &order))
}

/// Prices an order that changed since; an invalid one cannot be priced.
pub(super) fn ensure_priced(context: &mut RequestContext<'_>, order: &mut Order) -> Result<Priced, Response> {
    if let Some(priced) = &order.priced {
        return Ok(priced.clone());
    }
    let priced = pricing::price(&order.items, context.now)
        .map_err(|problems| blame_all(problems.iter().map(detail).collect::<Vec<_>>()))?;
    order.priced = Some(priced.clone());
    keep(context, order);
    Ok(priced)
}

pub(super) fn price(context: &mut RequestContext<'_>, id: &str) -> Done {
    let mut order = find(context, id)?;
    let priced = ensure_priced(context, &mut order)?;
    let shown = context.distorted(Money::new(priced.total, priced.currency));
    let body = Doc::default().put_doc("pricing", pricing::show(&priced, shown));
    Ok(Response::json(200, body.finish()))
}

/// Takes note of a session or link made for the order.
pub(super) fn bind(context: &mut RequestContext<'_>, order: &mut Order, payable: &str) {
    order.payables.push(payable.to_owned());
    keep(context, order);
}

/// An order of which something payable may be made.
pub(super) fn payable(context: &mut RequestContext<'_>, id: &str) -> Result<Order, Response> {
    let order = find(context, id)?;
    if order.is_payable() || order.state == "CONFIGURED" {
        return Ok(order);
    }
    Err(fault(409, "CONFLICT", &format!("The order is {} and can not be paid", order.state)))
}

/// Locks the order while it is being paid and frees it when nothing came of that.
pub(super) fn follow(context: &mut RequestContext<'_>, object: &Object) {
    let order = object.terms.order_id.as_deref().and_then(|id| context.ledger.order(id)).cloned();
    let Some(mut order) = order.filter(|_| object.kind != Kind::ProfileSession) else { return };
    let over = matches!(object.word.as_str(), "FAILED" | "CANCELLED" | "EXPIRED");
    let others = order.payables.iter().filter(|id| **id != object.id);
    let waits = others
        .filter_map(|id| context.ledger.find(US, id))
        .any(|other| of(US).is_open(other) || other.word == "COMPLETED");
    match order.state.as_str() {
        "PENDING" if !over => enter(context, &mut order, "PENDING_PAYMENT"),
        "PENDING_PAYMENT" if over && !waits => enter(context, &mut order, "PENDING"),
        _ => {}
    }
}

fn reply(context: &RequestContext<'_>, status: u16, order: &Order) -> Response {
    Response::json(status, show::show(order, context).finish())
}
