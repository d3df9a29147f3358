//! What happens behind the gateway's back: people in the providers' portals, banks, and our own operators.

use std::sync::Arc;
use std::time::Duration;

use paymux::domain::{Actor, AttentionDecision, Urgency};
use paymux::engine::Command;
use paymux::payments::ReadPass;
use paymux::store::{OrderFilter, Page};
use paymux_sandbox::Request;
use port::{Money, OrderId, PaymentId};
use serde_json::json;
use tokio::time::sleep;

use crate::host::{Down, read};
use crate::ledger::Entry;
use crate::shop::MERCHANT;
use crate::world::World;

/// A day in the portals: now and then a person refunds, captures or disputes a payment.
pub(crate) async fn portal(world: Arc<World>) {
    for _ in 0..world.random.between(0, 8) {
        sleep(world.random.millis(60_000, 5 * 3_600_000)).await;
        let mut paid: Vec<Entry> = world.ledger();
        paid.retain(|entry| entry.captured > 0 && entry.provider != "telness");
        if paid.is_empty() {
            continue;
        }
        let index = world.random.between(0, paid.len() as u64 - 1) as usize;
        let entry = paid.swap_remove(index);
        match world.random.between(0, 9) {
            0..=4 => refund(&world, &entry),
            5..=6 => dispute(&world, &entry).await,
            7 => undo_refund(&world, &entry),
            _ => notify_again(&world, &entry),
        }
    }
}

/// Gives money back through the provider's own portal.
pub(crate) fn refund(world: &Arc<World>, entry: &Entry) {
    let left = entry.captured - entry.refunded;
    if left <= 0 {
        return;
    }
    let minor = if world.random.percent(40) { left } else { world.random.minor(1, left) };
    let major = Money::new(minor, entry.currency).to_major().to_string();
    let request = match entry.provider.as_str() {
        "decta" => {
            let path = format!("/decta/api/v0.6/orders/{}/refund/", entry.id);
            let body = format!("{{\"amount\": {major}}}");
            Request::new("POST", &path).header("authorization", "Bearer portal").body(body)
        }
        _ => {
            let path = format!("/paymennt/mer/v2.0/checkout/{}/refund", entry.id);
            let query = format!("amount={major}&currency={}&note=portal", entry.currency);
            let request = Request::new("POST", &format!("{path}?{query}"));
            request.header("x-paymennt-api-key", "portal").header("x-paymennt-api-secret", "portal")
        }
    };
    world.serve(&request, None, false);
}

/// The cardholder's bank takes the money back, and perhaps lets go again.
async fn dispute(world: &Arc<World>, entry: &Entry) {
    let (opens, ends): (&str, &[&str]) = match entry.provider.as_str() {
        "decta" => (
            world.random.pick(&["chargeback", "retrieval", "representation"]),
            &["paid", "refunded", "chargeback"],
        ),
        _ => ("CHARGEBACK", &["PAID", "REFUNDED"]),
    };
    set_status(world, entry, opens);
    if world.random.percent(60) {
        sleep(world.random.span(Duration::from_secs(20 * 3_600))).await;
        set_status(world, entry, world.random.pick(ends));
    }
}

/// A refund does not stay.
fn undo_refund(world: &Arc<World>, entry: &Entry) {
    if entry.provider == "decta" && entry.refunded > 0 {
        set_status(world, entry, world.random.pick(&["refund_failed", "refund_reversed"]));
    }
}

fn set_status(world: &Arc<World>, entry: &Entry, status: &str) {
    world.seen().changed_in_portal.insert(entry.id.clone());
    world.control("/control/advance", &json!({ "provider": entry.provider, "id": entry.id, "word": status }));
}

/// The provider sends its notifications once more, in whatever order.
pub(crate) fn notify_again(world: &Arc<World>, entry: &Entry) {
    let order = world.random.pick(&["newest", "forward", "reverse"]);
    let (copies, forge) = (world.random.between(1, 3), world.random.percent(20));
    let delay_ms = world.random.between(0, 20_000);
    let body = json!({ "provider": entry.provider, "id": entry.id, "copies": copies, "order": order,
        "delay_ms": delay_ms, "forge": forge });
    world.control("/control/notify", &body);
}

/// Operators look at payments that worry them, and decide about what is flagged.
pub(crate) async fn operator(world: Arc<World>) {
    let decides = world.random.percent(40);
    for _ in 0..world.random.between(0, 10) {
        sleep(world.random.millis(60_000, 4 * 3_600_000)).await;
        if decides && world.random.percent(60) {
            decide(&world).await;
        }
        let payments = all_payments(&world).await.unwrap_or_default();
        if !payments.is_empty() {
            let (order, payment) = world.random.pick(&payments);
            look(&world, order, payment).await;
        }
    }
}

/// Decides about something that is flagged, wisely or not.
async fn decide(world: &World) {
    let orders = all_orders(world).await.unwrap_or_default();
    let mut open = Vec::new();
    for id in orders {
        let order = read(world, |store| async move { store.order(id).await }).await.ok().flatten();
        open.extend(order.and_then(|order| Some((id, order.oldest_attention()?.id))));
    }
    if open.is_empty() {
        return;
    }
    let (order, attention) = world.random.pick(&open);
    let decision =
        world.random.pick(&[AttentionDecision::Keep, AttentionDecision::Refund, AttentionDecision::Dismiss]);
    let done = world.gateway(|orders| async move {
        let command = Command::of(Actor::Operator);
        orders.on(MERCHANT, &command, order).resolve(attention, decision, None).await.map(drop)
    });
    let done = done.await;
    world.log(&format!("operator decides {decision:?} about {attention}: {done:?}"));
}

/// An operator fetches a payment.
pub(crate) async fn look(world: &World, order: OrderId, payment: PaymentId) -> bool {
    let fetched = world.gateway(|orders| async move {
        let (command, pass) = (Command::of(Actor::Operator), ReadPass::of(Urgency::Customer));
        orders.payments.fetch_status(order, payment, &command, &pass).await.map(drop)
    });
    let fetched = fetched.await;
    world.log(&format!("operator looks: {fetched:?}"));
    fetched.is_ok_and(|fetched| fetched.is_ok())
}

/// Every order there is, newest first.
pub(crate) async fn all_orders(world: &World) -> Result<Vec<OrderId>, Down> {
    const AT_ONCE: usize = 200;
    let (mut all, mut before) = (Vec::new(), None);
    loop {
        let page = Page { before: before.take(), limit: AT_ONCE as u32 };
        let merchant = MERCHANT.to_owned();
        let filter = OrderFilter {
            merchant,
            state: None,
            reference: None,
            created_after: None,
            created_before: None,
            page,
        };
        let found = read(world, |store| async move { store.orders(&filter).await }).await?;
        all.extend(&found);
        if found.len() < AT_ONCE {
            return Ok(all);
        }
        before = all.last().map(ToString::to_string);
    }
}

/// Every payment there is.
pub(crate) async fn all_payments(world: &World) -> Result<Vec<(OrderId, PaymentId)>, Down> {
    let mut all = Vec::new();
    for id in all_orders(world).await? {
        let order = read(world, |store| async move { store.order(id).await }).await?;
        all.extend(
            order
                .into_iter()
                .flat_map(|order| order.payments.iter().map(|payment| (id, payment.id)).collect::<Vec<_>>()),
        );
    }
    Ok(all)
}
