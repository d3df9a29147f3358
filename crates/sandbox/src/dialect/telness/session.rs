//! Payment sessions, payment links and payment profile sessions: three things that a page completes.

use serde::Deserialize;

use super::order::{self, Order};
use super::{Telness, US, blame, conflict, fault, missing, unreadable};
use crate::context::RequestContext;
use crate::dialect::{Call, Dialect, is_web_address, rfc3339};
use crate::doc::{Doc, Sent};
use crate::http::Response;
use crate::ids;
use crate::object::{Effect, Kind, Object, ReturnUrls, Terms};

/// No time-out of sessions is published; ours is a day, a link's a month. In microseconds.
const SESSION_LIFE_US: i64 = 24 * 3600 * 1_000_000;
const LINK_LIFE_US: i64 = 30 * SESSION_LIFE_US;

type Done = Result<Response, Response>;

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Wanted {
    order_id: Option<String>,
    invoice_id: Option<String>,
    payment_provider: Option<String>,
    #[serde(default)]
    hosted: bool,
    return_url: Option<String>,
    cancel_url: Option<String>,
    success_url: Option<String>,
    payment_profile_id: Option<String>,
    #[serde(default)]
    save_payment_profile: bool,
}

pub(super) fn create(context: &mut RequestContext<'_>, call: &Call<'_>, kind: Kind) -> Done {
    let wanted: Wanted = call.json().map_err(|fault| unreadable(&fault))?;
    let sent: Sent = call.json().map_err(|fault| unreadable(&fault))?;
    let order_id = check(&wanted, kind)?;
    let card = match &wanted.payment_profile_id {
        Some(id) => Some(context.ledger.card(US, id).cloned().ok_or_else(|| missing("Payment profile"))?),
        None => None,
    };
    let mut order = order::payable(context, &order_id)?;
    let priced = order::ensure_priced(context, &mut order)?;
    if kind != Kind::ProfileSession && priced.total <= 0 {
        return Err(fault(400, "failed_precondition", "The order has nothing to pay"));
    }
    let id = context.id_generator.uuid(context.now);
    let hosted = wanted.hosted;
    order::bind(context, &mut order, &id);
    let mut object = Object {
        provider: US,
        kind,
        key: id.clone(),
        id,
        reference: order::metadata_reference(&sent).unwrap_or_else(|| order.reference()),
        currency: priced.currency,
        amount: if kind == Kind::ProfileSession { 0 } else { priced.total },
        held: 0,
        captured: 0,
        refunded: 0,
        word: String::new(),
        created_at: context.now,
        history: Vec::new(),
        declines: Vec::new(),
        terms: terms(wanted, kind, &order, context.now),
        slow_until: None,
        payment_id: None,
        challenged: false,
        by_transfer: false,
        stored_card: None,
        sent,
    };
    let first = if kind == Kind::Link { "ACTIVE" } else { "PENDING" };
    context.transition(&mut object, first, first).map_err(conflict)?;
    // A payment profile only fills in a hosted page. Without a page nobody could press "pay", so it is charged.
    if let Some(card) = card.filter(|_| kind == Kind::Session && !hosted) {
        context.charge(&mut object, &card).map_err(conflict)?;
    }
    Ok(reply(context, 201, &object))
}

/// The order's id, if everything required is given.
fn check(wanted: &Wanted, kind: Kind) -> Result<String, Response> {
    let required = |field: &str| blame(field, "FIELD_REQUIRED", &format!("{field} is required"));
    if kind == Kind::Link && wanted.order_id.is_some() == wanted.invoice_id.is_some() {
        return Err(blame("orderId", "VALIDATION_ERROR", "Exactly one of orderId and invoiceId is required"));
    }
    if wanted.invoice_id.is_some() {
        return Err(missing("Invoice"));
    }
    let order_id = wanted.order_id.clone().ok_or_else(|| required("orderId"))?;
    if kind != Kind::Link && wanted.payment_provider.as_deref().is_none_or(str::is_empty) {
        return Err(required("paymentProvider"));
    }
    if kind == Kind::Session && wanted.hosted && wanted.return_url.is_none() {
        return Err(required("returnUrl"));
    }
    let addresses = [
        ("returnUrl", &wanted.return_url),
        ("cancelUrl", &wanted.cancel_url),
        ("successUrl", &wanted.success_url),
    ];
    for (field, url) in addresses {
        if url.as_deref().is_some_and(|url| !is_web_address(url)) {
            return Err(blame(field, "INVALID_FORMAT", "Not an absolute URL"));
        }
    }
    Ok(order_id)
}

fn terms(wanted: Wanted, kind: Kind, order: &Order, now: i64) -> Terms {
    let life = if kind == Kind::Link { LINK_LIFE_US } else { SESSION_LIFE_US };
    let back = if kind == Kind::Link { wanted.success_url } else { wanted.return_url };
    Terms {
        hold: false,
        save_card: kind == Kind::ProfileSession || wanted.save_payment_profile,
        deadline: Some(now.saturating_add(life)),
        deny_late: true,
        most_tries: None,
        return_urls: ReturnUrls {
            paid: back.clone(),
            in_progress: None,
            failed: back,
            cancelled: wanted.cancel_url,
        },
        customer: order.customer_id().map(str::to_owned),
        order_id: Some(order.id.clone()),
        title: order.title(),
    }
}

fn find(context: &RequestContext<'_>, id: &str, kind: Kind) -> Result<Object, Response> {
    let found = context.find(US, id).filter(|object| object.kind == kind && object.id == id);
    found.ok_or_else(|| missing(if kind == Kind::Link { "Payment link" } else { "Session" }))
}

pub(super) fn read(context: &RequestContext<'_>, id: &str, kind: Kind) -> Done {
    find(context, id, kind).map(|object| reply(context, 200, &object))
}

/// The status of a cancelled session is not published; of the four only FAILED fits.
pub(super) fn cancel(context: &mut RequestContext<'_>, id: &str, kind: Kind) -> Done {
    let mut object = find(context, id, kind)?;
    if !Telness.is_open(&object) {
        return Err(fault(409, "CONFLICT", &format!("It is {} and can not be cancelled", object.word)));
    }
    let word = if kind == Kind::Link { "CANCELLED" } else { "FAILED" };
    context.set(&mut object, word, Effect::Release).map_err(conflict)?;
    Ok(reply(context, 200, &object))
}

fn reply(context: &RequestContext<'_>, status: u16, object: &Object) -> Response {
    Response::json(status, show(&context.seen(object), context.base_url).finish())
}

/// The object as its GET shows it. There is no amount in it: the order has that.
pub(super) fn show(object: &Object, base_url: &str) -> Doc {
    let page = format!("{base_url}{}", Telness.page(object));
    let no_metadata: serde_json::Map<String, serde_json::Value> = serde_json::Map::new();
    let metadata = |doc: Doc| match object.sent.get("metadata") {
        Some(sent) => doc.put("metadata", sent),
        None => doc.put("metadata", &no_metadata),
    };
    let doc = match object.kind {
        Kind::Link => link(object, &page),
        Kind::ProfileSession => {
            let stripe = keys(object, "seti", "setupIntentId").put("url", &page);
            Doc::default()
                .put("paymentProfileSessionId", &object.id)
                .put("orderId", object.terms.order_id.as_deref())
                .echo(&object.sent, &["paymentProvider"])
                .put("status", &object.word)
                .put_doc("providers", Doc::default().put_doc("stripe", stripe))
        }
        _ => session(object, &page),
    };
    metadata(doc).put("createdAt", rfc3339(object.created_at)).put("updatedAt", rfc3339(object.changed_at()))
}

fn session(object: &Object, page: &str) -> Doc {
    let hosted = object.sent.get("hosted").is_some_and(|raw| raw.get() == "true");
    let provider = match hosted || object.challenged {
        true => Doc::default().put("checkoutUrl", page),
        false => keys(object, "pi", "paymentIntentId"),
    };
    Doc::default()
        .put("paymentSessionId", &object.id)
        .put("orderId", object.terms.order_id.as_deref())
        .echo(&object.sent, &["paymentProvider"])
        .put("savePaymentProfile", object.terms.save_card)
        .put("hosted", hosted)
        .put_doc("provider", provider)
        .put("status", &object.word)
        .echo(&object.sent, &["returnUrl", "cancelUrl", "paymentProfileId"])
}

fn link(object: &Object, page: &str) -> Doc {
    let done = object.first("COMPLETED");
    Doc::default()
        .put("paymentLinkId", &object.id)
        .put("url", page)
        .put("status", &object.word)
        .echo(&object.sent, &["description"])
        .put_some("paymentId", object.payment_id.as_ref().filter(|_| done.is_some()))
        .put_some("expiresAt", object.terms.deadline.map(rfc3339))
        .put_some("completedAt", done.map(rfc3339))
}

/// Credentials for a widget; they open nothing.
fn keys(object: &Object, prefix: &str, intent: &str) -> Doc {
    let digest = ids::digest(&object.id);
    let id = format!("{prefix}_{}", digest.get(..24).unwrap_or_default());
    let secret = format!("{id}_secret_{}", digest.get(24..48).unwrap_or_default());
    Doc::default().put("clientSecret", secret).put("publishableKey", "pk_test_sandbox").put(intent, id)
}
