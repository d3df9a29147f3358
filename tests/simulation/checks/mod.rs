//! What must hold after every run. Each check answers with sentences about what does not.

mod answers;
mod deliveries;
mod ends;
mod history;
mod money;
mod promptness;

use std::sync::Arc;
use std::time::Duration;

use paymux::audit;
use paymux::domain::{Attempt, AttentionCode, Event, Lane, OrderAggregate, Recorded, RecordedEvent, Urgency};
use paymux::store::ClaimedJob;
use port::{PaymentId, PaymentStatus, Timestamp};
use strum::VariantArray as _;

use crate::host::{Down, read};
use crate::ledger::Entry;
use crate::portal::all_orders;
use crate::world::{Seen, World};

/// As much of a change as a person wants to read.
const MAX_SHOWN: usize = 1_500;

/// Everything that the checks look at.
pub(crate) struct Scene {
    orders: Vec<Stored>,
    ledger: Vec<Entry>,
    seen: Seen,
}

/// An order as the gateway stores it.
pub(crate) struct Stored {
    order: Arc<OrderAggregate>,
    changes: Vec<Recorded<Event>>,
}

impl Stored {
    /// Its events, each in its place.
    fn events(&self) -> impl Iterator<Item = RecordedEvent<Event>> + '_ {
        self.changes.iter().flat_map(Recorded::recorded_events)
    }

    /// Whether a payment is in this status.
    fn has(&self, status: PaymentStatus) -> bool {
        self.order.payments.iter().any(|payment| payment.status() == status)
    }

    /// Whether this was raised about a payment, decided or not.
    fn was_raised(&self, payment: PaymentId, code: AttentionCode) -> bool {
        self.order.attention.iter().any(|attention| attention.code == code && attention.payment == payment)
    }

    /// Whether an operation on its money has no known outcome.
    fn is_unsure(&self) -> bool {
        self.order.payments.iter().any(|payment| payment.operation.is_some())
    }

    /// Whether it has raised attention, decided or not.
    fn is_flagged(&self) -> bool {
        !self.order.attention.is_empty()
    }
}

impl Scene {
    async fn look(world: &World) -> Result<Self, Down> {
        let mut orders = Vec::new();
        for id in all_orders(world).await? {
            let order = read(world, |store| async move { store.order(id).await }).await?;
            let changes =
                read(world, |store| async move { store.recorded::<OrderAggregate>(id.uuid(), 0).await });
            let changes = changes.await?;
            orders.extend(order.map(|order| Stored { order, changes }));
        }
        let seen = world.seen().clone();
        Ok(Self { orders, ledger: world.ledger(), seen })
    }

    /// Adds the changes of every order with a fault to the trace.
    fn show(&self, world: &World, faults: &[String]) {
        let has_fault =
            |stored: &&Stored| faults.iter().any(|fault| fault.contains(&stored.order.id().to_string()));
        for stored in self.orders.iter().filter(has_fault) {
            for change in &stored.changes {
                let text: String = change.text.chars().take(MAX_SHOWN).collect();
                world.log(&format!("{} change {} {text}", stored.order.id(), change.first));
            }
        }
    }

    /// The attempt that an object at a provider was made for, and its order.
    fn attempt_of(&self, entry: &Entry) -> Option<(&Stored, &Attempt)> {
        self.orders.iter().find_map(|stored| {
            let attempt =
                stored.order.attempts.iter().find(|attempt| attempt.id.to_string() == entry.reference);
            attempt.map(|attempt| (stored, attempt))
        })
    }
}

/// Every job there is. They are leased by being read, so this is the last thing that a gateway does.
async fn jobs(world: &World) -> Result<Vec<ClaimedJob>, Down> {
    let (ever, lease) = (Timestamp::from_micros(i64::MAX), Duration::ZERO);
    let accounts = ["telness-demo", "paymennt-demo", "decta-demo"];
    let accounts = accounts.into_iter().map(|name| Lane::Account(name.to_owned()));
    let mut all = Vec::new();
    for lane in accounts.chain([Lane::General]) {
        for urgency in Urgency::VARIANTS {
            let lane = lane.clone();
            let claimed = read(world, |store| async move {
                store.claim(&lane, *urgency, ever, lease, u32::from(u16::MAX)).await
            });
            all.extend(claimed.await?);
        }
    }
    Ok(all)
}

/// The gateway's own check of its records.
async fn records(world: &World) -> Result<Vec<String>, Down> {
    let now = world.now();
    let report = read(world, |store| async move { audit::verify(&*store, now, |_| ()).await }).await?;
    let faults = report.faults.into_iter().map(|fault| format!("the records: {fault}"));
    Ok(faults.collect())
}

/// What must hold once no job is left, from what the gateway could know by then.
pub(crate) async fn after_quiet(world: &World) -> Vec<String> {
    let Ok(scene) = Scene::look(world).await else { return vec!["the gateway does not run".to_owned()] };
    let mut faults: Vec<String> = scene.orders.iter().flat_map(history::check).collect();
    faults.extend(money::check(&scene));
    faults.extend(money::agree(&scene, |stored, attempt, entry| {
        money::could_know(&scene, stored, attempt, entry)
    }));
    faults.extend(scene.orders.iter().flat_map(ends::check));
    faults.extend(deliveries::in_order(&scene));
    faults.extend(answers::check(&scene));
    faults.extend(promptness::check(&scene));
    scene.show(world, &faults);
    faults
}

/// What must hold once an operator has fetched every payment.
pub(crate) async fn after_looking(world: &World) -> Vec<String> {
    let Ok(scene) = Scene::look(world).await else { return vec!["the gateway does not run".to_owned()] };
    let mut faults: Vec<String> = scene.orders.iter().flat_map(history::check).collect();
    faults.extend(money::agree(&scene, |_, _, _| true));
    faults.extend(deliveries::complete(&scene));
    match (records(world).await, jobs(world).await) {
        (Ok(wrong), Ok(jobs)) => {
            faults.extend(wrong);
            faults.extend(ends::jobs(&jobs, &scene.orders, world.now()));
        }
        _ => faults.push("the records and the jobs cannot be read".to_owned()),
    }
    scene.show(world, &faults);
    for stored in &scene.orders {
        let (id, head) = (stored.order.id(), &stored.order.head);
        let state = stored.order.header.state.as_str();
        world.log(&format!("{id} {state} {} {}", head.sequence, head.hash));
    }
    faults
}
