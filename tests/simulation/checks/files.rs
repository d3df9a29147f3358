//! One order by itself: its events follow each other, make its rows, and never leave the bounds of its money.

use std::collections::BTreeMap;
use std::time::Duration;

use paymux::domain::{
    Attempt, AttemptState, AttentionCode, Event, Hash, OperationKind, OrderAggregate, Payment, RecordedEvent,
    RefundOrigin, RefundStatus,
};
use port::{PaymentId, Timestamp};

use super::Kept;

/// How long something may be unsure before a person is told, with the agenda's own pauses.
const UNSURE_LIMIT: Duration = Duration::from_secs(60 * 60);

/// Words that no table has.
const UNMAPPED: [&str; 2] = ["something_new", "SOMETHING_NEW"];

pub(super) fn check(kept: &Kept) -> Vec<String> {
    let mut faults = chain(&kept.events);
    faults.extend(rows(kept));
    faults.extend(words(&kept.events));
    faults.extend(unsure(kept));
    faults.extend(made_twice(&kept.order));
    faults.into_iter().map(|fault| format!("{}: {fault}", kept.order.id())).collect()
}

/// Places without gaps, each hash chained to the one before it.
fn chain(events: &[RecordedEvent]) -> Vec<String> {
    let (mut faults, mut head, mut notices) = (Vec::new(), Hash::default(), 0);
    for (event, place) in events.iter().zip(1..) {
        head = head.chain(&event.text);
        notices += u64::from(event.record.event.public_event().is_some());
        let notice = event.record.event.public_event().map(|_| notices);
        if event.sequence != place || event.public_sequence != notice || event.hash != head {
            faults.push(format!("event {place} is out of place or its hash is wrong"));
        }
    }
    faults
}

/// The events make the rows, and every change on the way kept the money within its bounds.
fn rows(kept: &Kept) -> Vec<String> {
    let Some(mut order) = kept.events.first().and_then(|first| OrderAggregate::create(&first.record.event))
    else {
        return vec!["it has no first event".to_owned()];
    };
    let mut faults = Vec::new();
    for event in &kept.events {
        if let Err(error) = order.apply(event) {
            faults.push(format!("event {}: {error}", event.sequence));
            return faults;
        }
        if !event.record.continues {
            faults.extend(
                bounds(&order).into_iter().map(|fault| format!("after event {}: {fault}", event.sequence)),
            );
        }
    }
    if order != kept.order {
        faults.push("its events do not make its rows".to_owned());
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
    let stands = &payment.state;
    let (refunded, captured) = (stands.refunded(), stands.captured);
    let most = if payment.capabilities.authorizes && !payment.external {
        stands.authorized
    } else {
        payment.money.minor
    };
    let succeeded = |refund: &&paymux::domain::Refund| {
        refund.payment == payment.id && refund.status == RefundStatus::Succeeded
    };
    let stated: i64 = order.refunds.iter().filter(succeeded).map(|refund| refund.money.minor).sum();
    let reserved = order.reserved(payment.id);
    let id = payment.id;
    if refunded < 0 || refunded > captured || captured > most || most > payment.money.minor {
        return Some(format!(
            "{id}: refunded {refunded}, captured {captured}, authorised {most} of {}",
            payment.money
        ));
    }
    if stated != refunded {
        return Some(format!("{id}: refunds add up to {stated}, the provider gave back {refunded}"));
    }
    // What somebody gives back in the portal may have been reserved for ours.
    let portal =
        order.refunds.iter().any(|refund| refund.payment == id && refund.origin == RefundOrigin::Provider);
    if refunded + reserved > captured && !portal {
        return Some(format!("{id}: {refunded} refunded and {reserved} reserved of {captured}"));
    }
    None
}

/// A word that nobody knows leads to nothing.
fn words(events: &[RecordedEvent]) -> Vec<String> {
    let unknown = events.iter().filter_map(|event| match &event.record.event {
        Event::PaymentUpdated { provider_status, .. } => Some((event.sequence, &provider_status.status)),
        _ => None,
    });
    let believed = unknown.filter(|(_, word)| UNMAPPED.contains(&word.as_str()));
    believed.map(|(sequence, word)| format!("event {sequence} believes the unknown word {word}")).collect()
}

/// What stays unsure is shown to a person.
fn unsure(kept: &Kept) -> Vec<String> {
    let mut faults = Vec::new();
    let mut open: BTreeMap<PaymentId, (OperationKind, Timestamp)> = BTreeMap::new();
    let told = |payment: PaymentId, since: Timestamp| {
        kept.order.attention.iter().any(|attention| {
            attention.code == AttentionCode::OutcomeUnknown
                && attention.payment == Some(payment)
                && attention.resolved_at.is_none_or(|at| at >= since)
                && attention.raised_at <= since.plus(UNSURE_LIMIT)
        })
    };
    let mut judge = |payment: PaymentId, kind: OperationKind, since: Timestamp, until: Timestamp| {
        if until.since(since) > UNSURE_LIMIT && !told(payment, since) {
            let hours = until.since(since).as_secs() / 3_600;
            faults.push(format!(
                "{payment}: {} unsure since {since} for {hours} h and nobody is told",
                kind.as_str()
            ));
        }
    };
    for event in &kept.events {
        match &event.record.event {
            Event::OperationRequested { payment, operation, .. } => {
                open.insert(*payment, (operation.kind, operation.since));
            }
            Event::OperationFinished { payment, .. } => {
                if let Some((kind, since)) = open.remove(payment) {
                    judge(*payment, kind, since, event.record.at);
                }
            }
            _ => {}
        }
    }
    for (payment, (kind, since)) in open {
        judge(payment, kind, since, Timestamp::from_micros(i64::MAX));
    }
    faults.extend(starts(kept));
    faults
}

/// A start may be unsure as long as its session lives; then somebody is told.
fn starts(kept: &Kept) -> Vec<String> {
    let ended = |attempt: &Attempt| {
        kept.events.iter().find(|event| match &event.record.event {
            Event::AttemptCreated { attempt: id, .. } | Event::AttemptAbandoned { attempt: id, .. } => {
                *id == attempt.id
            }
            _ => false,
        })
    };
    let mut faults = Vec::new();
    for attempt in &kept.order.attempts {
        let until = ended(attempt).map_or(Timestamp::from_micros(i64::MAX), |event| event.record.at);
        let session = attempt.session.and_then(|id| kept.order.session(id));
        let lives_until = session.map_or(attempt.started_at, |session| session.expires_at);
        let told =
            kept.order.attention.iter().any(|attention| attention.code == AttentionCode::OutcomeUnknown);
        if until.since(lives_until) > UNSURE_LIMIT && !told {
            faults.push(format!("{}: its start is unsure until {until} and nobody is told", attempt.id));
        }
        if ended(attempt).is_none() && attempt.state != AttemptState::Started {
            faults.push(format!("{}: it left its start without an event", attempt.id));
        }
    }
    faults
}

/// Every refund that is asked for has a reference of its own.
fn made_twice(order: &OrderAggregate) -> Vec<String> {
    let mut seen = BTreeMap::new();
    for reference in order.refunds.iter().filter_map(|refund| refund.reference.as_ref()) {
        *seen.entry(reference).or_insert(0) += 1;
    }
    let twice = seen.into_iter().filter(|(_, times)| *times > 1);
    twice.map(|(reference, times)| format!("refund {reference} was made {times} times")).collect()
}
