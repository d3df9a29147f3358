//! What a merchant was shown of a request is what the order's changes say that it came to.

use std::sync::Arc;

use paymux::domain::{OrderAggregate, Outcome, Step, apply, open};

use super::{Scene, Stored};
use crate::answers::{LastShown, Shown};

pub(super) fn check(scene: &Scene) -> Vec<String> {
    let answers = scene.seen.answers.values().filter(|answer| !answer.shown.is_pending());
    answers.filter_map(|answer| differs(scene, answer)).collect()
}

fn differs(scene: &Scene, answer: &LastShown) -> Option<String> {
    let (id, what) = (answer.order, &answer.what);
    let Some(stored) = scene.orders.iter().find(|stored| stored.order.id() == id) else {
        return Some(format!("{id}: it was shown for {what} and does not exist"));
    };
    let made = Shown::of(&Outcome::of(&steps(stored, answer.first), stored.order.clone()));
    let shown = &answer.shown;
    (made != *shown).then(|| format!("{id}: {what} was shown as {shown:?}, its changes make {made:?}"))
}

/// The changes from the one that begins with an event, each with the order after it.
fn steps(stored: &Stored, first: u64) -> Vec<Step<OrderAggregate>> {
    let mut order: Option<OrderAggregate> = stored.changes.first().and_then(|change| open(change).ok());
    let mut steps = Vec::new();
    for change in &stored.changes {
        let Some(order) = order.as_mut() else { break };
        if apply(order, change).is_err() {
            break;
        }
        if change.first >= first {
            steps.push(Step { change: Arc::new(change.clone()), after: Arc::new(order.clone()) });
        }
    }
    steps
}
