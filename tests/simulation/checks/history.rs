//! One order by itself: its changes follow each other, make it, and never leave the bounds of its money.

use std::collections::BTreeMap;
use std::time::Duration;

use paymux::domain::{
    Attempt, AttemptState, AttentionCode, Event, Hash, OperationKind, OrderAggregate, Payment, Refund,
    RefundOrigin, RefundStatus, apply, number_of, open, replay, subject_of,
};
use port::{PaymentId, Timestamp, Uuid};

use super::Stored;

/// How long something may be unsure before it raises attention, with the pauses of the jobs.
const UNSURE_LIMIT: Duration = Duration::from_secs(60 * 60);

/// Statuses that no table has.
const UNMAPPED: [&str; 2] = ["something_new", "SOMETHING_NEW"];

pub(super) fn check(stored: &Stored) -> Vec<String> {
    let mut faults = chain(stored);
    faults.extend(ids(&stored.order));
    faults.extend(replayed(stored));
    faults.extend(statuses(stored));
    faults.extend(unsure(stored));
    faults.extend(made_twice(&stored.order));
    faults.into_iter().map(|fault| format!("{}: {fault}", stored.order.id())).collect()
}

/// Changes without gaps, each hash chained to the one before it.
fn chain(stored: &Stored) -> Vec<String> {
    let (mut faults, mut head, mut next, mut public) = (Vec::new(), Hash::default(), 1, 0);
    for change in &stored.changes {
        head = head.chain(change.text.as_bytes());
        if change.first != next || change.public_before != public || change.hash != head {
            faults.push(format!("change {} is out of place or its hash is wrong", change.first));
        }
        next = change.last() + 1;
        for event in change.recorded_events() {
            public += u64::from(event.public_sequence.is_some());
            if event.public_sequence.is_some_and(|sequence| sequence != public) {
                faults.push(format!("event {} is out of place among the public ones", event.sequence));
            }
        }
    }
    if stored.order.head.sequence + 1 != next {
        faults.push(format!("it has {} events and its changes {}", stored.order.head.sequence, next - 1));
    }
    faults
}

/// The parts of an order are numbered without gaps, and their ids name it.
fn ids(order: &OrderAggregate) -> Vec<String> {
    let parts: [(&str, Vec<Uuid>); 5] = [
        ("session", order.sessions.iter().map(|part| part.id.uuid()).collect()),
        ("attempt", order.attempts.iter().map(|part| part.id.uuid()).collect()),
        ("payment", order.payments.iter().map(|part| part.id.uuid()).collect()),
        ("refund", order.refunds.iter().map(|part| part.id.uuid()).collect()),
        ("attention", order.attention.iter().map(|part| part.id.uuid()).collect()),
    ];
    let own = order.id().uuid();
    let mut faults = Vec::new();
    for (kind, ids) in parts {
        for (id, number) in ids.into_iter().zip(1..) {
            if subject_of(id) != own || number_of(id) != number {
                faults.push(format!("{kind} {number} has the id {id}"));
            }
        }
    }
    faults
}

/// The changes make the order, and each of them kept the money within its bounds.
fn replayed(stored: &Stored) -> Vec<String> {
    let Some(mut order) = stored.changes.first().and_then(|first| open::<OrderAggregate>(first).ok()) else {
        return vec!["no change creates it".to_owned()];
    };
    let mut faults = Vec::new();
    for change in &stored.changes {
        if let Err(fault) = apply(&mut order, change) {
            faults.push(format!("change {}: {fault}", change.first));
            return faults;
        }
        let out_of = bounds(&order).into_iter();
        faults.extend(out_of.map(|fault| format!("after change {}: {fault}", change.first)));
    }
    if replay::<OrderAggregate>(&stored.changes).as_ref() != Ok(&*stored.order) {
        faults.push("its changes do not make it".to_owned());
    }
    faults
}

fn bounds(order: &OrderAggregate) -> Vec<String> {
    let mut faults: Vec<String> =
        order.payments.iter().filter_map(|payment| out_of_bounds(order, payment)).collect();
    if order.sessions.iter().filter(|session| session.status.is_open()).count() > 1 {
        faults.push("two sessions are open".to_owned());
    }
    faults
}

fn out_of_bounds(order: &OrderAggregate, payment: &Payment) -> Option<String> {
    let state = &payment.state;
    let (refunded, captured) = (state.refunded(), state.captured);
    let most = if payment.capabilities.authorizes && !payment.external {
        state.authorized
    } else {
        payment.money.minor
    };
    let succeeded =
        |refund: &&Refund| refund.payment == payment.id && refund.status == RefundStatus::Succeeded;
    let stated: i64 = order.refunds.iter().filter(succeeded).map(|refund| refund.money.minor).sum();
    let reserved = order.reserved(payment.id);
    let id = payment.id;
    if refunded < 0 || refunded > captured || captured > most || most > payment.money.minor {
        return Some(format!(
            "{id}: refunded {refunded}, captured {captured}, authorized {most} of {}",
            payment.money
        ));
    }
    if stated != refunded {
        return Some(format!("{id}: refunds add up to {stated}, the provider gave back {refunded}"));
    }
    // A refund in the portal may use what was reserved for one of the merchant.
    let portal =
        order.refunds.iter().any(|refund| refund.payment == id && refund.origin == RefundOrigin::Provider);
    if refunded + reserved > captured && !portal {
        return Some(format!("{id}: {refunded} refunded and {reserved} reserved of {captured}"));
    }
    None
}

/// An unknown status changes nothing.
fn statuses(stored: &Stored) -> Vec<String> {
    let statuses = stored.events().filter_map(|event| match event.event {
        Event::PaymentUpdated { provider_status, .. } => Some((event.sequence, provider_status.status)),
        _ => None,
    });
    let believed = statuses.filter(|(_, status)| UNMAPPED.contains(&status.as_str()));
    believed.map(|(at, status)| format!("event {at} believes the unknown status {status}")).collect()
}

/// What stays unsure is shown to a person.
fn unsure(stored: &Stored) -> Vec<String> {
    let mut faults = Vec::new();
    let mut open: BTreeMap<PaymentId, (OperationKind, Timestamp)> = BTreeMap::new();
    let raised = |payment: PaymentId, since: Timestamp| {
        stored.order.attention.iter().any(|attention| {
            attention.code == AttentionCode::OutcomeUnknown
                && attention.payment == payment
                && attention.resolved_at.is_none_or(|at| at >= since)
                && attention.raised_at <= since.plus(UNSURE_LIMIT)
        })
    };
    let mut judge = |payment: PaymentId, kind: OperationKind, since: Timestamp, until: Timestamp| {
        if until.since(since) > UNSURE_LIMIT && !raised(payment, since) {
            let hours = until.since(since).as_secs() / 3_600;
            faults.push(format!(
                "{payment}: {} has an unknown outcome since {since} for {hours} h without attention",
                kind.as_str()
            ));
        }
    };
    for event in stored.events() {
        match &event.event {
            Event::OperationRequested { payment, operation, .. } => {
                open.insert(*payment, (operation.kind, operation.since));
            }
            Event::OperationFinished { payment, .. } => {
                if let Some((kind, since)) = open.remove(payment) {
                    judge(*payment, kind, since, event.at);
                }
            }
            _ => {}
        }
    }
    for (payment, (kind, since)) in open {
        judge(payment, kind, since, Timestamp::from_micros(i64::MAX));
    }
    faults.extend(starts(stored));
    faults
}

/// A start may be unsure as long as its session lives; then it raises attention.
fn starts(stored: &Stored) -> Vec<String> {
    let ended = |attempt: &Attempt| {
        stored.events().find(|event| match &event.event {
            Event::AttemptCreated { attempt: id, .. } | Event::AttemptAbandoned { attempt: id, .. } => {
                *id == attempt.id
            }
            _ => false,
        })
    };
    let mut faults = Vec::new();
    for attempt in &stored.order.attempts {
        let until = ended(attempt).map_or(Timestamp::from_micros(i64::MAX), |event| event.at);
        let session = stored.order.session(attempt.session);
        let lives_until = session.map_or(attempt.started_at, |session| session.expires_at);
        let raised =
            stored.order.attention.iter().any(|attention| attention.code == AttentionCode::OutcomeUnknown);
        if until.since(lives_until) > UNSURE_LIMIT && !raised {
            faults.push(format!(
                "{}: its start has an unknown outcome until {until} without attention",
                attempt.id
            ));
        }
        if ended(attempt).is_none() && attempt.state != AttemptState::Started {
            faults.push(format!("{}: it left its start without an event", attempt.id));
        }
    }
    faults
}

/// Every requested refund has a reference of its own.
fn made_twice(order: &OrderAggregate) -> Vec<String> {
    let mut seen = BTreeMap::new();
    for reference in order.refunds.iter().filter_map(|refund| refund.reference.as_ref()) {
        *seen.entry(reference).or_insert(0) += 1;
    }
    let twice = seen.into_iter().filter(|(_, times)| *times > 1);
    twice.map(|(reference, times)| format!("refund {reference} was made {times} times")).collect()
}
