//! Erasing a customer: the personal data of every order that has ended goes, the events and their chains stay.

use port::Env;

use crate::domain::{Actor, Cause, Event, EventMeta, JobKind, OrderAggregate, Payment, jobs};
use crate::store::{Change, OrderFilter, Page, Store, StoreError, Write};

/// Orders read at a time.
const PAGE: u32 = 200;

/// What erasing came to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Erased {
    /// Orders whose personal data is gone.
    pub orders: u64,
    /// Orders of the customer that have not ended and are left as they are.
    pub still_open: Vec<port::OrderId>,
}

/// Erases a merchant's customer, by the merchant's own id of it.
///
/// # Errors
/// [`StoreError`]; what was erased before stays erased, and a second run goes on.
pub async fn erase(
    store: &dyn Store,
    env: &dyn Env,
    merchant: &str,
    customer: &str,
) -> Result<Erased, StoreError> {
    let mut erased = Erased::default();
    let mut before = None;
    loop {
        let filter = OrderFilter {
            merchant: merchant.to_owned(),
            state: None,
            reference: None,
            created_after: None,
            created_before: None,
            page: Page { before, limit: PAGE },
        };
        let page = store.orders(&filter).await?;
        before = page.last().map(|order| order.id().to_string());
        for order in page.iter().filter(|order| is_of(order, customer)) {
            if has_ended(order) {
                erase_order(store, env, order.clone()).await?;
                erased.orders += 1;
            } else {
                erased.still_open.push(order.id());
            }
        }
        if page.len() < PAGE as usize {
            break;
        }
    }
    if erased.still_open.is_empty() {
        let (merchant, customer) = (merchant.to_owned(), customer.to_owned());
        let methods = Write::EraseCustomer { merchant, customer };
        store.commit(Change::plain("erase customer", vec![methods])).await?;
    }
    Ok(erased)
}

/// Whether nothing more can happen that would need the data, such as closing a start that was given up.
fn has_ended(order: &OrderAggregate) -> bool {
    let moving = |payment: &Payment| {
        payment.operation.is_some() || payment.state.is_held() || order.reserved(payment.id) > 0
    };
    let waits = jobs(order).iter().any(|(kind, ..)| *kind != JobKind::ApplyRefundPolicy);
    order.header.state.is_final() && !waits && !order.payments.iter().any(moving)
}

fn is_of(order: &OrderAggregate, customer: &str) -> bool {
    let personal = order.header.personal.value();
    personal.is_some_and(|personal| personal.customer.id.as_deref() == Some(customer))
}

async fn erase_order(store: &dyn Store, env: &dyn Env, mut order: OrderAggregate) -> Result<(), StoreError> {
    let id = order.id();
    let objects = order
        .attempts
        .iter()
        .filter_map(|attempt| Some((attempt.account.clone(), attempt.reference.clone()?)));
    let objects = objects.collect();
    let cause = Cause { actor: Actor::Operator, request: None };
    let meta = EventMeta { at: env.now(), cause: &cause };
    let change = Change::of("erase", &mut order, vec![Event::PersonalDataErased], &meta, &mut || env.uuid())?;
    store.commit(change.with(Write::Erase { order: id, objects })).await
}
