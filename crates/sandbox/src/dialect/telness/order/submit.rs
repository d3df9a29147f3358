//! The order's end as a cart: handed over, or cancelled.

use serde::Deserialize;
use serde_json::value::RawValue;

use super::{Done, ensure_priced, enter, find, reply};
use crate::context::RequestContext;
use crate::dialect::telness::{US, blame, conflict, fault, unreadable};
use crate::dialect::{Call, of};
use crate::object::{Effect, Kind};

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Submit {
    external_payment: Option<Box<RawValue>>,
    payment_session_id: Option<String>,
    payment_profile_session_id: Option<String>,
}

#[derive(Deserialize)]
struct External {
    reference: Option<String>,
}

/// Hands the order over. A repeat after it was handed over changes nothing.
pub(in crate::dialect::telness) fn submit(
    context: &mut RequestContext<'_>,
    call: &Call<'_>,
    id: &str,
) -> Done {
    let mut order = find(context, id)?;
    let submit: Submit = call.json().map_err(|fault| unreadable(&fault))?;
    match order.state.as_str() {
        "SUBMITTED" | "PENDING_APPROVAL" | "PROCESSING" | "COMPLETED" => {
            return Ok(reply(context, 200, &order));
        }
        "PENDING" | "PENDING_PAYMENT" | "CONFIGURED" => {}
        state => return Err(fault(409, "CONFLICT", &format!("The order is {state}"))),
    }
    let total = ensure_priced(context, &mut order)?.total;
    let external = submit.external_payment;
    if external.is_some() && submit.payment_session_id.is_some() {
        return Err(blame("externalPayment", "VALIDATION_ERROR", "Only one kind of payment is allowed"));
    }
    if let Some(raw) = &external {
        let parsed: Result<External, _> = serde_json::from_str(raw.get());
        if parsed.ok().and_then(|external| external.reference).is_none_or(|reference| reference.is_empty()) {
            return Err(blame("externalPayment.reference", "FIELD_REQUIRED", "The field is required"));
        }
    }
    let proofs = [
        (submit.payment_session_id, Kind::Session),
        (submit.payment_profile_session_id, Kind::ProfileSession),
    ];
    let mut paid = external.is_some();
    for (session, kind) in proofs.into_iter().filter_map(|(id, kind)| id.map(|id| (id, kind))) {
        let session = context.find(US, &session).filter(|session| session.kind == kind);
        let done = session.is_some_and(|session| {
            session.word == "COMPLETED" && session.terms.order_id.as_deref() == Some(order.id.as_str())
        });
        if !done {
            return Err(fault(
                412,
                "failed_precondition",
                "The session is not a completed one of this order",
            ));
        }
        paid |= kind == Kind::Session;
    }
    // A link has no field here: what was paid with it stands with the order.
    let link_paid = |name: &String| {
        context.find(US, name).is_some_and(|object| object.kind == Kind::Link && object.word == "COMPLETED")
    };
    if total > 0 && !paid && !order.payables.iter().any(link_paid) {
        return Err(fault(412, "missing_payment_session", "The order must be paid first"));
    }
    order.external_payment = external;
    order.submitted_at = Some(context.now);
    enter(context, &mut order, "SUBMITTED");
    Ok(reply(context, 200, &order))
}

/// Cancels the order, and with it every page on which it could still be paid.
pub(in crate::dialect::telness) fn cancel(context: &mut RequestContext<'_>, id: &str) -> Done {
    let mut order = find(context, id)?;
    match order.state.as_str() {
        "PENDING" | "PENDING_PAYMENT" | "SUBMITTED" | "PENDING_APPROVAL" | "CONFIGURED" => {}
        state => return Err(fault(409, "CONFLICT", &format!("The order is {state}"))),
    }
    enter(context, &mut order, "CANCELLED");
    for name in order.payables.clone() {
        let open = context.find(US, &name).filter(|object| of(US).is_open(object));
        let Some(mut object) = open else { continue };
        let word = if object.kind == Kind::Link { "CANCELLED" } else { "FAILED" };
        context.set(&mut object, word, Effect::Release).map_err(conflict)?;
    }
    Ok(reply(context, 200, &order))
}
