//! The ledger of the sandbox against the gateway's payments.

use std::collections::BTreeMap;

use paymux::domain::{Attempt, AttentionCode, Payment, RefundOrigin, RefundStatus};
use port::{PaymentStatus, Timestamp};

use super::{Scene, Stored};
use crate::clock::MAX_STEP;
use crate::ledger::Entry;

/// What holds at every moment, whatever has been notified.
pub(super) fn check(scene: &Scene) -> Vec<String> {
    let mut faults = origins(scene);
    faults.extend(once(scene));
    faults.extend(scene.orders.iter().flat_map(|stored| paid_twice(scene, stored)));
    faults.extend(scene.ledger.iter().flat_map(|entry| given_back_once(scene, entry)));
    faults
}

/// Nothing exists at a provider that is not written down here, since before it existed.
fn origins(scene: &Scene) -> Vec<String> {
    let mut faults = Vec::new();
    for entry in &scene.ledger {
        match scene.attempt_of(entry) {
            None => faults.push(format!("{} {} has no attempt", entry.provider, entry.id)),
            Some((_, attempt)) if attempt.started_at > entry.created_at.plus(MAX_STEP) => {
                faults.push(format!("{} existed before its attempt {}", entry.id, attempt.id));
            }
            Some(_) => {}
        }
    }
    faults
}

/// An attempt makes one object; a mark makes one order.
fn once(scene: &Scene) -> Vec<String> {
    let mut objects: BTreeMap<&str, u32> = BTreeMap::new();
    for entry in &scene.ledger {
        *objects.entry(&entry.reference).or_default() += 1;
    }
    for stored in &scene.orders {
        *objects.entry(&stored.order.header.content.items[0].title).or_default() += 1;
    }
    let twice = objects.into_iter().filter(|(_, times)| *times > 1);
    twice.map(|(what, times)| format!("{what} was made {times} times")).collect()
}

/// Two objects of one order that hold money at the same time are shown to a person.
fn paid_twice(scene: &Scene, stored: &Stored) -> Option<String> {
    use AttentionCode::{DuplicatePayment, LatePayment, RefundFailed};
    let of_order = |entry: &&Entry| {
        stored.order.attempts.iter().any(|attempt| attempt.id.to_string() == entry.reference)
    };
    let entries: Vec<&Entry> = scene.ledger.iter().filter(of_order).collect();
    let mut moments: Vec<Timestamp> =
        entries.iter().flat_map(|entry| entry.history.iter().map(|step| step.at)).collect();
    moments.sort_unstable();
    let holding = |at: Timestamp| entries.iter().filter(|entry| held_at(entry, at)).count();
    let overlap = moments.into_iter().find(|at| holding(*at) > 1)?;
    let raised = |code| matches!(code, DuplicatePayment | LatePayment | RefundFailed);
    let is_raised = stored.order.attention.iter().any(|attention| raised(attention.code));
    (!is_raised).then(|| format!("{}: paid twice at {overlap} without attention", stored.order.id()))
}

fn held_at(entry: &Entry, at: Timestamp) -> bool {
    let step = entry.history.iter().rev().find(|step| step.at <= at);
    step.is_some_and(|step| step.held > 0 || step.captured > step.refunded)
}

/// No refund reached the provider twice, and none was more than requested.
fn given_back_once(scene: &Scene, entry: &Entry) -> Vec<String> {
    let Some((stored, attempt)) = scene.attempt_of(entry) else { return Vec::new() };
    let Some(payment) = stored.order.payment_of(attempt) else { return Vec::new() };
    let effects = || scene.seen.effects.iter().filter(|effect| effect.object == entry.id);
    let refunds: Vec<i64> = effects()
        .filter(|effect| effect.by_gateway && effect.verb == "refund")
        .map(|effect| effect.minor)
        .collect();
    let in_portal: i64 = effects().filter(|effect| !effect.by_gateway).map(|effect| effect.minor).sum();
    let rows = stored.order.refunds.iter();
    let rows = rows.filter(|refund| refund.payment == payment.id && refund.origin != RefundOrigin::Provider);
    let mut requested: Vec<i64> = rows.clone().map(|refund| refund.money.minor).collect();
    let mut faults = Vec::new();
    for minor in &refunds {
        match requested.iter().position(|requested| requested == minor) {
            Some(index) => drop(requested.swap_remove(index)),
            None => faults.push(format!("{}: {minor} was refunded more often than requested", entry.id)),
        }
    }
    let stand: i64 =
        rows.filter(|refund| refund.status != RefundStatus::Failed).map(|refund| refund.money.minor).sum();
    let gone: i64 = refunds.iter().sum();
    if !scene.seen.changed_in_portal.contains(&entry.id) && gone > stand + in_portal {
        faults.push(format!("{}: {gone} went back, our refunds say {stand}", entry.id));
    }
    let captured = effects().find(|effect| effect.verb == "capture").map(|effect| effect.minor);
    if captured.is_some_and(|captured| captured > payment.money.minor) {
        faults.push(format!("{}: more was captured than requested", entry.id));
    }
    faults
}

/// The two agree on what is held, taken and given back, wherever the gateway `could` know.
pub(super) fn agree(scene: &Scene, could: impl Fn(&Stored, &Attempt, &Entry) -> bool) -> Vec<String> {
    let mut faults = Vec::new();
    for entry in &scene.ledger {
        let Some((stored, attempt)) = scene.attempt_of(entry) else { continue };
        if could(stored, attempt, entry) {
            faults.extend(differ(stored, attempt, entry));
        }
    }
    faults
}

fn differ(stored: &Stored, attempt: &Attempt, entry: &Entry) -> Option<String> {
    let what = format!("{} {} ({})", stored.order.id(), attempt.id, attempt.account);
    let reported = format!(
        "{}: held {}, captured {}, refunded {}",
        entry.status, entry.held, entry.captured, entry.refunded
    );
    let Some(payment) = stored.order.payment_of(attempt) else {
        return entry
            .holds_money()
            .then(|| format!("{what}: the provider says {reported}; there is no payment"));
    };
    let state = &payment.state;
    let same = state.captured == entry.captured
        && state.refunded() == entry.refunded
        && state.is_authorized() == (entry.held > 0);
    let stored_amounts =
        format!("{}: captured {}, refunded {}", payment.status().as_str(), state.captured, state.refunded());
    // A refunded amount that decreases without an explanation is rejected, and raises attention.
    let doubted =
        entry.refunded < state.refunded() && stored.was_raised(payment.id, AttentionCode::Contradiction);
    (!same && !doubted).then(|| format!("{what}: the provider says {reported}; stored is {stored_amounts}"))
}

/// Whether the gateway had a chance to know of an object's last change: it was notified of it, or had to fetch its status.
pub(super) fn could_know(scene: &Scene, stored: &Stored, attempt: &Attempt, entry: &Entry) -> bool {
    let raised = scene.seen.notified.get(&entry.id).is_some_and(|at| *at >= entry.changed_at());
    raised || stored.order.payment_of(attempt).is_none_or(|payment| is_polled(stored, payment))
}

/// Whether the payment is still read while nothing changes.
fn is_polled(stored: &Stored, payment: &Payment) -> bool {
    use PaymentStatus::{Authorized, Disputed, Failed, Pending, Processing, RequiresAction};
    let unsure = payment.operation.is_some() || stored.order.reserved(payment.id) > 0;
    let open = payment
        .session
        .and_then(|id| stored.order.session(id))
        .is_some_and(|session| session.status.is_open());
    match payment.status() {
        Authorized | Disputed | Processing => true,
        Pending | RequiresAction => open || unsure,
        Failed => (open && !payment.state.is_final()) || unsure,
        _ => unsure,
    }
}
