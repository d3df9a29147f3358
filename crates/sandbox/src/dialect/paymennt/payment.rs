//! paymennt's direct charges: card tokens, stored cards, and the payment behind a checkout.

use serde::Deserialize;
use serde_json::value::RawValue;

use super::checkout::{self, Wanted, Way};
use super::{Done, OPEN, Paymennt, US, refused};
use crate::context::{Outcome, RequestContext};
use crate::dialect::{Call, Dialect, rfc3339};
use crate::doc::Doc;
use crate::journal::Record;
use crate::ledger::Behaviour;
use crate::object::Object;

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Debit {
    source: Option<Source>,
    checkout_id: Option<String>,
    checkout_details: Option<Box<RawValue>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Source {
    #[serde(rename = "type")]
    kind: String,
    #[serde(default)]
    token: String,
    #[serde(default)]
    store_card_details: bool,
    shopper_interaction: Option<String>,
}

/// Charges a token or a stored card, on a checkout that exists or on one made for it.
pub(super) fn debit(context: &mut RequestContext<'_>, call: &Call<'_>) -> Done {
    let debit: Debit = call.json().map_err(|fault| format!("Invalid request: {fault}"))?;
    let source = debit.source.ok_or_else(|| "source is required".to_owned())?;
    let behaviour = behaviour(context, &source)?;
    let mut object = match (debit.checkout_id, debit.checkout_details) {
        (Some(id), None) => checkout::find(context, &id)?,
        (None, Some(details)) => {
            let unreadable = |fault: serde_json::Error| format!("Invalid request: {fault}");
            let wanted: Wanted = serde_json::from_str(details.get()).map_err(unreadable)?;
            let sent = serde_json::from_str(details.get()).map_err(unreadable)?;
            checkout::make(context, wanted, sent, Way::Debit)?
        }
        _ => return Err("either checkoutId or checkoutDetails is required".to_owned()),
    };
    if !OPEN.contains(&object.word.as_str()) {
        return Err("Checkout can not be paid any more".to_owned());
    }
    if source.kind == "TOKEN" {
        let known = object.terms.customer.as_deref().is_some_and(|id| id.chars().count() >= 3);
        if source.store_card_details && !known {
            return Err("storing a card needs customer.id of 3 characters or more".to_owned());
        }
        object.terms.save_card = source.store_card_details;
        context.ledger.keep(Record::Spent(source.token));
    }
    object.payment_id.get_or_insert_with(|| context.id_generator.snowflake(context.now));
    let outcome = match behaviour {
        Behaviour::Paid => Outcome::Paid,
        Behaviour::Declined => Outcome::DeclinedFinal,
        Behaviour::Challenge => Outcome::ActionRequired,
    };
    context.apply_outcome(&mut object, outcome).map_err(refused)?;
    Ok(show(context, &object))
}

/// A card frame's token leads through 3-D Secure, as the published test card does; a stored card as it was made to.
fn behaviour(context: &RequestContext<'_>, source: &Source) -> Result<Behaviour, String> {
    match source.kind.as_str() {
        "TOKEN" if !source.token.starts_with("ptk_") => Err("token is not valid".to_owned()),
        "TOKEN" if context.ledger.is_spent(&source.token) => {
            Err("Token cannot be used for a second checkout".to_owned())
        }
        "TOKEN" => Ok(Behaviour::Challenge),
        "STORED_CARD" => {
            let interaction = source.shopper_interaction.as_deref().unwrap_or_default();
            if !matches!(interaction, "ECOMMERCE" | "UNSCHEDULED" | "SUBSCRIPTION") {
                return Err("shopperInteraction is required".to_owned());
            }
            let card = context.ledger.card(US, &source.token);
            card.map(|card| card.scenario).ok_or_else(|| "Card not found for API merchant".to_owned())
        }
        _ => Err("source.type must be TOKEN or STORED_CARD".to_owned()),
    }
}

fn find(context: &RequestContext<'_>, id: &str) -> Result<Object, String> {
    let found = context.find(US, id).filter(|object| object.payment_id.as_deref() == Some(id));
    found.ok_or_else(|| "Payment not found for API merchant".to_owned())
}

pub(super) fn read(context: &RequestContext<'_>, id: &str) -> Done {
    find(context, id).map(|object| show(context, &object))
}

/// Full capture only: the endpoint takes no amount.
pub(super) fn capture(context: &mut RequestContext<'_>, id: &str) -> Done {
    let mut object = find(context, id)?;
    let held = object.held;
    object.capture(held).map_err(|refusal| format!("Payment {refusal}"))?;
    context.transition(&mut object, "PAID", "PAID").map_err(refused)?;
    Ok(show(context, &object))
}

pub(super) fn cards(context: &RequestContext<'_>, call: &Call<'_>) -> Done {
    let names = ["customerReferenceId", "customerId", "customer.reference"].into_iter();
    let customer = names.filter_map(|name| call.request.parameter(name)).next();
    let customer = customer.ok_or_else(|| "customerReferenceId is required".to_owned())?;
    let (page, size) = (call.number("page", 0, 1_000_000), call.number("size", 20, 100).max(1));
    let all: Vec<_> = context.ledger.cards(US).filter(|card| card.customer == customer).collect();
    let rows = all.iter().skip(page.saturating_mul(size)).take(size).map(|card| {
        Doc::default()
            .put("customerReferenceId", &card.customer)
            .put("token", &card.token)
            .put("cardBrand", "VISA")
            .put("cardBin", "424242")
            .put("cardLast4", &card.last_four)
            .put("cardHolderName", "TEST USER")
            .put("expiry", "2030-12-31")
    });
    let body = Doc::default()
        .put("page", page)
        .put("size", size)
        .put("totalPages", all.len().div_ceil(size))
        .put("totalElements", all.len())
        .put_list("content", rows);
    Ok(body.finish())
}

pub(super) fn delete_card(context: &mut RequestContext<'_>, call: &Call<'_>) -> Done {
    let token = call.request.parameter("cardToken").unwrap_or_default();
    let card = context.ledger.card(US, &token).ok_or_else(|| "Card not found for API merchant".to_owned())?;
    let gone = card.token.clone();
    context.ledger.keep(Record::CardGone(gone));
    Ok("{}".to_owned())
}

fn show(context: &RequestContext<'_>, object: &Object) -> String {
    let seen = context.seen(object);
    let status = if seen.word == object.word { status(object) } else { &seen.word };
    let page = format!("{}{}", context.base_url, Paymennt.page(object));
    Doc::default()
        .put("id", object.payment_id.as_deref())
        .put("amount", seen.major(seen.amount))
        .put("currency", seen.currency)
        .put("status", status)
        .put("redirectUrl", (status == "REDIRECT").then_some(page))
        .put("responseMessage", object.declines.last().map(|decline| &decline.text))
        .put("timestamp", rfc3339(object.created_at))
        .put_doc("checkoutDetails", checkout::show(&seen, context.base_url))
        .finish()
}

/// The payment's own status: the one it was set to last, else that of the checkout.
fn status(object: &Object) -> &str {
    let newest = object.history.last().map_or("", |change| change.word.as_str());
    if Paymennt.payment_effect(newest).is_some() {
        return newest;
    }
    match object.word.as_str() {
        "PAID" => "CAPTURED",
        "REFUNDED" => "REVERSED",
        "PARTIALLY_REFUNDED" => "PARTIALLY_REVERSED",
        "CANCELLED" | "EXPIRED" => "VOIDED",
        "PENDING" | "PENDING_CONFIRMATION" => "REDIRECT",
        other => other,
    }
}
