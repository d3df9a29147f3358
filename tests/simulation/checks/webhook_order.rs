//! The merchant hears of everything that happens to its orders, of each order in its order.

use super::Scene;
use crate::world::ReceivedEvent;

/// No order's news overtake each other: one that is new is the next, whatever is repeated before it.
pub(super) fn in_order(scene: &Scene) -> Vec<String> {
    scene
        .orders
        .iter()
        .filter_map(|kept| {
            let order = kept.order.id().to_string();
            let mut last = 0;
            let jump = heard_of(scene, &order).find(|received| {
                let fits = received.sequence <= last + 1;
                last = last.max(received.sequence);
                !fits
            });
            jump.map(|received| format!("{order}: the merchant heard number {} too early", received.sequence))
        })
        .collect()
}

/// Nothing is left that the merchant has not heard of, and it heard of nothing that is not written down.
pub(super) fn complete(scene: &Scene) -> Vec<String> {
    let mut faults = Vec::new();
    for kept in &scene.orders {
        let order = kept.order.id().to_string();
        let known = |received: &ReceivedEvent| {
            kept.events.iter().any(|event| {
                event.id.to_string() == received.event && event.public_sequence == Some(received.sequence)
            })
        };
        let last = heard_of(scene, &order).map(|received| received.sequence).max();
        let owed = kept.events.iter().filter_map(|event| event.public_sequence).max();
        if last != owed {
            faults.push(format!("{order}: the merchant heard up to {last:?}, and there is {owed:?}"));
        }
        let made_up = heard_of(scene, &order).filter(|received| !known(received));
        faults.extend(
            made_up
                .map(|received| format!("{order}: the merchant heard of {}, which is not", received.event)),
        );
    }
    faults
}

fn heard_of<'a>(scene: &'a Scene, order: &'a str) -> impl Iterator<Item = &'a ReceivedEvent> {
    scene.facts.received.iter().filter(move |received| received.order == order)
}
