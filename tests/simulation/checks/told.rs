//! The merchant hears of everything that happens to its orders, of each order in its order.

use super::Scene;
use crate::world::Heard;

/// No order's news overtake each other: one that is new is the next, whatever is repeated before it.
pub(super) fn in_order(scene: &Scene) -> Vec<String> {
    scene
        .orders
        .iter()
        .filter_map(|kept| {
            let order = kept.order.id().to_string();
            let mut last = 0;
            let jump = heard_of(scene, &order).find(|heard| {
                let fits = heard.sequence <= last + 1;
                last = last.max(heard.sequence);
                !fits
            });
            jump.map(|heard| format!("{order}: the merchant heard number {} too early", heard.sequence))
        })
        .collect()
}

/// Nothing is left that the merchant has not heard of, and it heard of nothing that is not written down.
pub(super) fn complete(scene: &Scene) -> Vec<String> {
    let mut faults = Vec::new();
    for kept in &scene.orders {
        let order = kept.order.id().to_string();
        let known = |heard: &Heard| {
            kept.events.iter().any(|event| {
                event.id.to_string() == heard.event && event.public_sequence == Some(heard.sequence)
            })
        };
        let last = heard_of(scene, &order).map(|heard| heard.sequence).max();
        let owed = kept.events.iter().filter_map(|event| event.public_sequence).max();
        if last != owed {
            faults.push(format!("{order}: the merchant heard up to {last:?}, and there is {owed:?}"));
        }
        let made_up = heard_of(scene, &order).filter(|heard| !known(heard));
        faults.extend(
            made_up.map(|heard| format!("{order}: the merchant heard of {}, which is not", heard.event)),
        );
    }
    faults
}

fn heard_of<'a>(scene: &'a Scene, order: &'a str) -> impl Iterator<Item = &'a Heard> {
    scene.facts.heard.iter().filter(move |heard| heard.order == order)
}
