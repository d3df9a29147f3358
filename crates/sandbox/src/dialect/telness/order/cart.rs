//! The order while it is a cart: made, filled and changed.

use serde::Deserialize;

use super::{Done, Item, Order, customer_id_of, detail, find, keep, reply};
use crate::desk::Desk;
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

pub(in crate::dialect::telness) fn create(desk: &mut Desk<'_>, call: &Call<'_>) -> Done {
    let wanted: Wanted = call.json().map_err(|fault| unreadable(&fault))?;
    let sent: Sent = call.json().map_err(|fault| unreadable(&fault))?;
    let id = desk.mint.uuid(desk.now);
    let mut order = Order {
        id,
        state: "PENDING".into(),
        created_at: desk.now,
        updated_at: desk.now,
        submitted_at: None,
        items: Vec::new(),
        sent,
        priced: None,
        external_payment: None,
        customer_id: None,
        payables: Vec::new(),
        changes: 0,
    };
    name_customer(desk, &mut order, wanted.customer);
    for item in wanted.line_items {
        push_item(desk, &mut order, item)?;
    }
    keep(desk, &order);
    Ok(reply(desk, 201, &order))
}

fn name_customer(desk: &mut Desk<'_>, order: &mut Order, customer: Option<Named>) {
    let Some(customer) = customer else { return };
    order.customer_id = Some(match (customer.customer_id, customer.reference_id) {
        (Some(id), _) => id,
        (None, Some(reference)) => customer_id_of(&reference),
        (None, None) => desk.mint.uuid(desk.now),
    });
}

fn push_item(desk: &mut Desk<'_>, order: &mut Order, sent: Sent) -> Result<(), Response> {
    if order.items.len() >= MAX_ITEMS {
        return Err(blame("lineItems", "VALIDATION_ERROR", "Too many line items"));
    }
    order.items.push(Item { id: desk.mint.uuid(desk.now), sent });
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
fn cart(desk: &mut Desk<'_>, id: &str) -> Result<Order, Response> {
    let order = find(desk, id)?;
    match order.state.as_str() {
        "PENDING" => Ok(order),
        state => Err(fault(409, "CONFLICT", &format!("The order is {state} and can not be changed"))),
    }
}

pub(in crate::dialect::telness) fn patch(desk: &mut Desk<'_>, call: &Call<'_>, id: &str) -> Done {
    let mut order = cart(desk, id)?;
    let wanted: Wanted = call.json().map_err(|fault| unreadable(&fault))?;
    if !wanted.line_items.is_empty() {
        return Err(blame("lineItems", "VALIDATION_ERROR", "Line items have an endpoint of their own"));
    }
    order.sent.merge(call.json().map_err(|fault| unreadable(&fault))?);
    name_customer(desk, &mut order, wanted.customer);
    changed(desk, &mut order)
}

pub(in crate::dialect::telness) fn add_item(desk: &mut Desk<'_>, call: &Call<'_>, id: &str) -> Done {
    let mut order = cart(desk, id)?;
    let sent: Sent = call.json().map_err(|fault| unreadable(&fault))?;
    push_item(desk, &mut order, sent)?;
    changed(desk, &mut order)
}

pub(in crate::dialect::telness) fn change_item(
    desk: &mut Desk<'_>,
    call: &Call<'_>,
    id: &str,
    item: &str,
) -> Done {
    let mut order = cart(desk, id)?;
    let newer: Sent = call.json().map_err(|fault| unreadable(&fault))?;
    let place = order.items.iter_mut().find(|known| known.id == item);
    place.ok_or_else(|| missing("Line item"))?.sent.merge(newer);
    sound(&order)?;
    changed(desk, &mut order)
}

pub(in crate::dialect::telness) fn remove_item(desk: &mut Desk<'_>, id: &str, item: &str) -> Done {
    let mut order = cart(desk, id)?;
    let before = order.items.len();
    order.items.retain(|known| known.id != item);
    if order.items.len() == before {
        return Err(missing("Line item"));
    }
    changed(desk, &mut order)
}

fn changed(desk: &mut Desk<'_>, order: &mut Order) -> Done {
    order.priced = None;
    order.updated_at = desk.now;
    keep(desk, order);
    Ok(reply(desk, 200, order))
}
