//! The merchant receives every public event of its orders, those of each order in their order.

use super::Scene;
use crate::world::Received;

/// No order's events overtake each other: one that is new is the next, whatever is repeated before it.
pub(super) fn in_order(scene: &Scene) -> Vec<String> {
    scene
        .orders
        .iter()
        .filter_map(|stored| {
            let order = stored.order.id().to_string();
            let mut last = 0;
            let jump = received_about(scene, &order).find(|received| {
                let fits = received.sequence <= last + 1;
                last = last.max(received.sequence);
                !fits
            });
            jump.map(|received| {
                format!("{order}: the merchant received number {} too early", received.sequence)
            })
        })
        .collect()
}

/// The merchant has received every public event, and none that is not stored.
pub(super) fn complete(scene: &Scene) -> Vec<String> {
    let mut faults = Vec::new();
    for stored in &scene.orders {
        let order = stored.order.id().to_string();
        let known = |received: &Received| {
            stored.events().any(|event| {
                event.id().to_string() == received.event && event.public_sequence == Some(received.sequence)
            })
        };
        let last = received_about(scene, &order).map(|received| received.sequence).max();
        let owed = stored.events().filter_map(|event| event.public_sequence).max();
        if last != owed {
            faults.push(format!("{order}: the merchant received up to {last:?}, and there is {owed:?}"));
        }
        let made_up = received_about(scene, &order).filter(|received| !known(received));
        faults.extend(made_up.map(|received| {
            format!("{order}: the merchant received {}, which does not exist", received.event)
        }));
    }
    faults
}

fn received_about<'a>(scene: &'a Scene, order: &'a str) -> impl Iterator<Item = &'a Received> {
    scene.seen.received.iter().filter(move |received| received.order == order)
}
