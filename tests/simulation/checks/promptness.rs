//! What a provider has notified is known soon, however much waits to be read.

use std::time::Duration;

use paymux::domain::Event;
use port::{PaymentStatus, Timestamp};

use super::{Scene, Stored};
use crate::world::Notified;

/// How long it may take: reads of one payment are five seconds apart, a notification that has to wait is looked at
/// again after five, and of one read a second a class has a quarter for itself.
const LIMIT: Duration = Duration::from_secs(20);

pub(super) fn check(scene: &Scene) -> Vec<String> {
    scene.seen.prompt.iter().filter_map(|notified| late(scene, notified)).collect()
}

fn late(scene: &Scene, notified: &Notified) -> Option<String> {
    let stored = scene.orders.iter().find(|stored| stored.order.id() == notified.order)?;
    let (order, since) = (notified.order, notified.at);
    match paid_at(stored) {
        Some(at) if at <= since.plus(LIMIT) => None,
        Some(at) => {
            Some(format!("{order}: notified at {since} and PAID {} s later", at.since(since).as_secs()))
        }
        None => Some(format!("{order}: notified at {since} and never PAID")),
    }
}

fn paid_at(stored: &Stored) -> Option<Timestamp> {
    let is_paid = |event: &Event| matches!(event, Event::PaymentUpdated { to: PaymentStatus::Paid, .. });
    let paid = stored.events().find(|event| is_paid(&event.event));
    paid.map(|event| event.at)
}
