//! The order as its reader sees it.

use paymux_port::Money;

use super::{LIFE_US, Order};
use crate::context::RequestContext;
use crate::dialect::telness::pricing;
use crate::dialect::{Call, MAX_ROW, rfc3339};
use crate::doc::{Doc, Sent};
use crate::http::Response;

/// Summaries, newest first.
pub(in crate::dialect::telness) fn list(context: &RequestContext<'_>, call: &Call<'_>) -> Response {
    let (limit, start) = (call.number("limit", 100, 1000).max(1), call.number("cursor", 0, MAX_ROW));
    let state = call.request.parameter("state");
    let fits = |order: &&Order| state.as_ref().is_none_or(|wanted| *wanted == order.state);
    let mut rows: Vec<&Order> = context.ledger.orders().filter(fits).collect();
    rows.sort_by_key(|order| std::cmp::Reverse(order.created_at));
    let next = (rows.len() > start.saturating_add(limit)).then(|| (start + limit).to_string());
    let shown = rows.into_iter().skip(start).take(limit).map(|order| {
        Doc::default()
            .put("orderId", &order.id)
            .put("state", &order.state)
            .put_some("customerId", order.customer_id())
            .put("lineItemCount", order.items.len())
            .put("createdAt", rfc3339(order.created_at))
            .put("updatedAt", rfc3339(order.updated_at))
            .put("expiresAt", rfc3339(order.updated_at.saturating_add(LIFE_US)))
    });
    let paging = Doc::default().put("nextCursor", next);
    Response::json(200, Doc::default().put_list("items", shown).put_doc("pagination", paging).finish())
}

/// The order in full.
pub(super) fn show(order: &Order, context: &RequestContext<'_>) -> Doc {
    let items = order.items.iter().map(|item| {
        let fields =
            ["type", "name", "quantity", "unitPrice", "discount", "currency", "taxRate", "taxIncluded"];
        Doc::default().put("lineItemId", &item.id).echo(&item.sent, &fields).echo(&item.sent, &["metadata"])
    });
    let doc = Doc::default()
        .put("orderId", &order.id)
        .put("state", &order.state)
        .put_list("lineItems", items)
        .put_doc("validation", validation(order))
        .put_doc("requirements", requirements(order))
        .put("createdAt", rfc3339(order.created_at))
        .put("updatedAt", rfc3339(order.updated_at))
        .put("expiresAt", rfc3339(order.updated_at.saturating_add(LIFE_US)))
        .echo(&order.sent, &["user", "billing", "shipping", "promoCode", "consents", "metadata"])
        .put_some("submittedAt", order.submitted_at.map(rfc3339));
    let doc = match order.customer_id() {
        Some(id) => doc.put_doc("customer", Doc::default().put("customerId", id).put("newCustomer", true)),
        None => doc,
    };
    let doc = match &order.external_payment {
        Some(raw) => {
            let sent: Sent = serde_json::from_str(raw.get()).unwrap_or_default();
            let fields = ["reference", "receiptDescription", "receiptUrl"];
            let received = order.submitted_at.map(rfc3339);
            doc.put_doc("externalPayment", Doc::default().echo(&sent, &fields).put("receivedAt", received))
        }
        None => doc,
    };
    match &order.priced {
        Some(priced) => {
            let shown = context.distorted(Money::new(priced.total, priced.currency));
            doc.put_doc("pricing", pricing::show(priced, shown))
        }
        None => doc,
    }
}

fn validation(order: &Order) -> Doc {
    let problems = pricing::price(&order.items, order.updated_at).err().unwrap_or_default();
    let lacking: Vec<&str> = problems.iter().filter(|one| one.missing).map(|one| one.property).collect();
    let errors = problems
        .iter()
        .filter(|problem| !problem.missing)
        .map(|problem| Doc::default().put("message", problem.message).put("property", problem.property));
    let by_line = order.items.iter().map(|item| {
        let valid = problems.iter().all(|problem| problem.item != item.id);
        Doc::default().put("lineItemId", &item.id).put("isValid", valid)
    });
    Doc::default()
        .put("isValid", problems.is_empty())
        .put("missingFields", lacking)
        .put_list("errors", errors)
        .put_list("lineItemValidation", by_line)
}

/// Known once the price is: a total above zero must be paid.
fn requirements(order: &Order) -> Doc {
    let Some(priced) = order.priced() else { return Doc::default() };
    Doc::default()
        .put("requiresPayment", if priced.total > 0 { "REQUIRED" } else { "NOT_REQUIRED" })
        .put("requiresPaymentProfile", "NOT_REQUIRED")
        .put("requiresSigning", "NOT_REQUIRED")
}
