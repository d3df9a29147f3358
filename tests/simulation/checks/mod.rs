//! What must hold after every run. Each check answers with sentences about what does not.

mod ends;
mod files;
mod money;
mod webhook_order;

use std::time::Duration;

use paymux::domain::{Attempt, AttentionCode, OrderAggregate, RecordedEvent};
use paymux::store::Job;
use port::{OrderId, PaymentId, PaymentStatus, Timestamp};

use crate::gateway_host::{Down, read};
use crate::ledger::Entry;
use crate::portal_and_operators::all_orders;
use crate::world::{Facts, World};

/// As much of an event as a person wants to read.
const MAX_SHOWN: usize = 700;

/// Everything that the checks look at.
pub(crate) struct Scene {
    orders: Vec<Kept>,
    ledger: Vec<Entry>,
    facts: Facts,
}

/// An order as the gateway keeps it.
pub(crate) struct Kept {
    order: OrderAggregate,
    events: Vec<RecordedEvent>,
}

impl Kept {
    /// Whether a payment stands so.
    fn has(&self, status: PaymentStatus) -> bool {
        self.order.payments.iter().any(|payment| payment.status() == status)
    }

    /// Whether a person is told this of a payment, or was.
    fn is_told(&self, payment: PaymentId, code: AttentionCode) -> bool {
        self.order
            .attention
            .iter()
            .any(|attention| attention.code == code && attention.payment == Some(payment))
    }

    /// Whether an operation on its money has no known outcome.
    fn is_unsure(&self) -> bool {
        self.order.payments.iter().any(|payment| payment.operation.is_some())
    }

    /// Whether a person is told to look at it, or was and has decided.
    fn is_flagged(&self) -> bool {
        !self.order.attention.is_empty()
    }
}

impl Scene {
    async fn look(world: &World) -> Result<Self, Down> {
        let mut orders = Vec::new();
        for id in all_orders(world).await? {
            let order = read(world, |store| async move { store.order(id).await }).await?;
            let events = events(world, id).await?;
            orders.extend(order.map(|order| Kept { order, events }));
        }
        let facts = world.facts().clone();
        Ok(Self { orders, ledger: world.ledger(), facts })
    }

    /// Adds the events of every order with a fault to the trace.
    fn show(&self, world: &World, faults: &[String]) {
        let has_fault =
            |kept: &&Kept| faults.iter().any(|fault| fault.contains(&kept.order.id().to_string()));
        for kept in self.orders.iter().filter(has_fault) {
            for event in &kept.events {
                let text: String = event.text.chars().take(MAX_SHOWN).collect();
                world.note(&format!("{} event {} {text}", kept.order.id(), event.sequence));
            }
        }
    }

    /// The attempt that an object at a provider was made for, and its order.
    fn attempt_of(&self, entry: &Entry) -> Option<(&Kept, &Attempt)> {
        self.orders.iter().find_map(|kept| {
            let attempt =
                kept.order.attempts.iter().find(|attempt| attempt.id.to_string() == entry.reference);
            attempt.map(|attempt| (kept, attempt))
        })
    }
}

/// Everything on the agenda. It is leased by being read, so this is the last thing that a gateway does.
async fn agenda(world: &World) -> Result<Vec<Job>, Down> {
    let (ever, lease) = (Timestamp::from_micros(i64::MAX), Duration::ZERO);
    read(world, |store| async move { store.claim(ever, lease, u16::MAX).await }).await
}

async fn events(world: &World, order: OrderId) -> Result<Vec<RecordedEvent>, Down> {
    const AT_ONCE: u32 = 500;
    let mut all: Vec<RecordedEvent> = Vec::new();
    loop {
        let after = all.last().map_or(0, |event| event.sequence);
        let more = read(world, |store| async move { store.events(order, after, AT_ONCE).await }).await?;
        let done = more.len() < AT_ONCE as usize;
        all.extend(more);
        if done {
            return Ok(all);
        }
    }
}

/// What must hold once the agenda has nothing left, from what the gateway could know by then.
pub(crate) async fn after_quiet(world: &World) -> Vec<String> {
    let Ok(scene) = Scene::look(world).await else { return vec!["the gateway does not run".to_owned()] };
    let mut faults: Vec<String> = scene.orders.iter().flat_map(files::check).collect();
    faults.extend(money::check(&scene));
    faults
        .extend(money::agree(&scene, |kept, attempt, entry| money::could_know(&scene, kept, attempt, entry)));
    faults.extend(scene.orders.iter().flat_map(ends::check));
    faults.extend(webhook_order::in_order(&scene));
    scene.show(world, &faults);
    faults
}

/// What must hold once a person has had every provider asked.
pub(crate) async fn after_looking(world: &World) -> Vec<String> {
    let Ok(scene) = Scene::look(world).await else { return vec!["the gateway does not run".to_owned()] };
    let mut faults: Vec<String> = scene.orders.iter().flat_map(files::check).collect();
    faults.extend(money::agree(&scene, |_, _, _| true));
    faults.extend(webhook_order::complete(&scene));
    match agenda(world).await {
        Ok(job) => faults.extend(ends::agenda(&job, &scene.orders, world.now())),
        Err(Down) => faults.push("the agenda cannot be read".to_owned()),
    }
    scene.show(world, &faults);
    for kept in &scene.orders {
        let head = kept.order.head;
        world.note(&format!(
            "{} {} {} {head}",
            kept.order.id(),
            kept.order.header.state.as_str(),
            kept.order.sequence
        ));
    }
    faults
}
