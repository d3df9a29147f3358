//! Telness' records of money and of payment profiles.

use super::order::customer_id_of;
use super::{Telness, US, blame, missing};
use crate::context::RequestContext;
use crate::dialect::{Call, Dialect, MAX_ROW, rfc3339};
use crate::doc::{Doc, list as array};
use crate::http::Response;
use crate::ledger::Card;
use crate::object::Object;

type Done = Result<Response, Response>;

pub(super) fn read(context: &RequestContext<'_>, id: &str) -> Done {
    let found = context.find(US, id).filter(|object| object.payment_id.as_deref() == Some(id));
    let object = found.ok_or_else(|| missing("Payment"))?;
    Ok(Response::json(200, show(context, &object).finish()))
}

/// Newest first.
pub(super) fn list(context: &RequestContext<'_>, call: &Call<'_>) -> Response {
    let (limit, start) = (call.number("limit", 100, 1000).max(1), call.number("cursor", 0, MAX_ROW));
    let (wanted, customer) = (call.request.parameter("status"), call.request.parameter("customerId"));
    let fits = |object: &&Object| {
        object.provider == US
            && object.payment_id.is_some()
            && wanted.as_ref().is_none_or(|wanted| wanted == status(object))
            && customer.as_ref().is_none_or(|wanted| {
                object.terms.customer.as_ref().is_some_and(|known| is_customer(known, wanted))
            })
    };
    let mut rows = context.ledger.objects().iter().rev().filter(fits).skip(start).peekable();
    let shown: Vec<Doc> = rows.by_ref().take(limit).map(|object| show(context, object)).collect();
    let next = rows.peek().map(|_| (start + limit).to_string());
    let paging = Doc::default().put("nextCursor", next);
    Response::json(200, Doc::default().put_list("items", shown).put_doc("pagination", paging).finish())
}

/// The link from a payment to its session is not public; the session's metadata is copied.
fn show(context: &RequestContext<'_>, object: &Object) -> Doc {
    let seen = context.seen(object);
    let status = if seen.word == object.word { status(object) } else { &seen.word };
    Doc::default()
        .put("paymentId", object.payment_id.as_deref())
        .put("status", status)
        .put("amount", seen.major(seen.amount))
        .put("currency", seen.currency)
        .put("createdAt", rfc3339(object.created_at))
        .put("updatedAt", rfc3339(object.changed_at()))
        .echo(&object.sent, &["paymentProfileId", "metadata"])
}

/// The payment's own status: the one it was set to last, else that of its amounts.
fn status(object: &Object) -> &str {
    let newest = object.history.last().map_or("", |change| change.word.as_str());
    match newest {
        word if Telness.payment_effect(word).is_some() => word,
        _ if object.captured == 0 => "PENDING",
        _ if object.refunded >= object.captured => "REFUNDED",
        _ => "PAID",
    }
}

/// `wanted` is a customer's id, or the merchant's own reference behind `rid_`.
fn is_customer(known: &str, wanted: &str) -> bool {
    let reference = wanted.strip_prefix("rid_").unwrap_or(wanted);
    known == wanted
        || known == reference
        || known == customer_id_of(reference)
        || customer_id_of(known) == wanted
}

pub(super) fn profiles(context: &RequestContext<'_>, call: &Call<'_>) -> Done {
    let wanted = call.request.parameter("customerId").filter(|wanted| !wanted.is_empty());
    let wanted = wanted.ok_or_else(|| blame("customerId", "FIELD_REQUIRED", "customerId is required"))?;
    let cards = context.ledger.cards(US).filter(|card| is_customer(&card.customer, &wanted)).map(profile_of);
    Ok(Response::json(200, format!("{{\"items\":{}}}", array(cards))))
}

pub(super) fn profile(context: &RequestContext<'_>, id: &str) -> Done {
    let card = context.ledger.card(US, id).ok_or_else(|| missing("Payment profile"))?;
    Ok(Response::json(200, profile_of(card).finish()))
}

fn profile_of(card: &Card) -> Doc {
    Doc::default()
        .put("paymentProfileId", &card.token)
        .put("type", "CARD")
        .put("status", "ACTIVE")
        .put("customerId", &card.customer)
        .put("displayName", format!("Visa {}", card.last_four))
        .put("expiresAt", "2030-12-31")
        .put("createdAt", rfc3339(card.created_at))
}
