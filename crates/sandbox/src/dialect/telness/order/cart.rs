//! The order while it is a cart: made, filled and changed.

use serde::Deserialize;

use super::{Done, Item, Order, customer_id_of, detail, find, keep, reply};
use crate::context::RequestContext;
use crate::dialect::Call;
use crate::dialect::telness::{blame, blame_all, fault, missing, pricing, unreadable};
use crate::doc::{Doc, Sent};
use crate::http::Response;

/// More line items than this are no cart.
const MAX_ITEMS: usize = 500;

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Wanted {
    #[serde(default)]
    line_items: Vec<Sent>,
    customer: Option<Named>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Named {
    customer_id: Option<String>,
    reference_id: Option<String>,
}

pub(in crate::dialect::telness) fn create(context: &mut RequestContext<'_>, call: &Call<'_>) -> Done {
    let wanted: Wanted = call.json().map_err(|fault| unreadable(&fault))?;
    let sent: Sent = call.json().map_err(|fault| unreadable(&fault))?;
    let id = context.id_generator.uuid(context.now);
    let mut order = Order {
        id,
        state: "PENDING".into(),
        created_at: context.now,
        updated_at: context.now,
        submitted_at: None,
        items: Vec::new(),
        sent,
        priced: None,
        external_payment: None,
        customer_id: None,
        payables: Vec::new(),
        changes: 0,
    };
    name_customer(context, &mut order, wanted.customer);
    for item in wanted.line_items {
        push_item(context, &mut order, item)?;
    }
    keep(context, &order);
    Ok(reply(context, 201, &order))
}

fn name_customer(context: &mut RequestContext<'_>, order: &mut Order, customer: Option<Named>) {
    let Some(customer) = customer else { return };
    order.customer_id = Some(match (customer.customer_id, customer.reference_id) {
        (Some(id), _) => id,
        (None, Some(reference)) => customer_id_of(&reference),
        (None, None) => context.id_generator.uuid(context.now),
    });
}

fn push_item(context: &mut RequestContext<'_>, order: &mut Order, sent: Sent) -> Result<(), Response> {
    if order.items.len() >= MAX_ITEMS {
        return Err(blame("lineItems", "VALIDATION_ERROR", "Too many line items"));
    }
    order.items.push(Item { id: context.id_generator.uuid(context.now), sent });
    order.priced = None;
    sound(order)
}

/// Refuses what is wrong; what is only missing may still come.
fn sound(order: &Order) -> Result<(), Response> {
    let problems = pricing::price(&order.items, order.updated_at).err().unwrap_or_default();
    let wrong: Vec<Doc> = problems.iter().filter(|problem| !problem.missing).map(detail).collect();
    if wrong.is_empty() { Ok(()) } else { Err(blame_all(wrong)) }
}

/// An order that is still a cart.
fn cart(context: &mut RequestContext<'_>, id: &str) -> Result<Order, Response> {
    let order = find(context, id)?;
    match order.state.as_str() {
        "PENDING" => Ok(order),
        state => Err(fault(409, "CONFLICT", &format!("The order is {state} and can not be changed"))),
    }
}

pub(in crate::dialect::telness) fn patch(
    context: &mut RequestContext<'_>,
    call: &Call<'_>,
    id: &str,
) -> Done {
    let mut order = cart(context, id)?;
    let wanted: Wanted = call.json().map_err(|fault| unreadable(&fault))?;
    if !wanted.line_items.is_empty() {
        return Err(blame("lineItems", "VALIDATION_ERROR", "Line items have an endpoint of their own"));
    }
    order.sent.merge(call.json().map_err(|fault| unreadable(&fault))?);
    name_customer(context, &mut order, wanted.customer);
    changed(context, &mut order)
}

pub(in crate::dialect::telness) fn add_item(
    context: &mut RequestContext<'_>,
    call: &Call<'_>,
    id: &str,
) -> Done {
    let mut order = cart(context, id)?;
    let sent: Sent = call.json().map_err(|fault| unreadable(&fault))?;
    push_item(context, &mut order, sent)?;
    changed(context, &mut order)
}

pub(in crate::dialect::telness) fn change_item(
    context: &mut RequestContext<'_>,
    call: &Call<'_>,
    id: &str,
    item: &str,
) -> Done {
    let mut order = cart(context, id)?;
    let newer: Sent = call.json().map_err(|fault| unreadable(&fault))?;
    let place = order.items.iter_mut().find(|known| known.id == item);
    place.ok_or_else(|| missing("Line item"))?.sent.merge(newer);
    sound(&order)?;
    changed(context, &mut order)
}

pub(in crate::dialect::telness) fn remove_item(
    context: &mut RequestContext<'_>,
    id: &str,
    item: &str,
) -> Done {
    let mut order = cart(context, id)?;
    let before = order.items.len();
    order.items.retain(|known| known.id != item);
    if order.items.len() == before {
        return Err(missing("Line item"));
    }
    changed(context, &mut order)
}

fn changed(context: &mut RequestContext<'_>, order: &mut Order) -> Done {
    order.priced = None;
    order.updated_at = context.now;
    keep(context, order);
    Ok(reply(context, 200, order))
}
