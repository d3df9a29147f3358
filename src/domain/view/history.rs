//! The JSON views of an order's events: timeline entries and public events.

use port::{AttemptId, EventId, Failure, OrderId, PaymentId, PaymentStatus, RefundId, SessionId, Timestamp};
use serde::Serialize;

use super::{AttentionView, OrderView, PaymentView, RefundView, SessionView};
use crate::domain::event::dispute_outcome;
use crate::domain::{
    Actor, Erasable, Event, Operation, OrderAggregate, PublicEvent, RecordedEvent, SessionFailure,
    SubjectEvent as _,
};

/// One entry of a timeline. Members without a value are null.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct TimelineEntry<'a> {
    id: EventId,
    sequence: u64,
    #[serde(rename = "type")]
    kind: String,
    occurred_at: Timestamp,
    actor: Actor,
    request_id: Option<&'a str>,
    #[serde(flatten)]
    event: EventDetails<'a>,
}

#[derive(Debug, Default, Serialize)]
#[serde(rename_all = "camelCase")]
struct EventDetails<'a> {
    session_id: Option<SessionId>,
    payment_id: Option<PaymentId>,
    attempt_id: Option<AttemptId>,
    refund_id: Option<RefundId>,
    account: Option<&'a str>,
    from: Option<&'static str>,
    to: Option<&'static str>,
    amount: Option<i64>,
    provider_status: Option<&'a str>,
    provider_code: Option<&'a str>,
    provider_message: Option<&'a str>,
    detail: Option<&'a str>,
}

pub fn timeline_entry<'a>(
    order: &'a OrderAggregate,
    recorded: &'a RecordedEvent<Event>,
) -> TimelineEntry<'a> {
    TimelineEntry {
        id: recorded.id(),
        sequence: recorded.sequence,
        kind: recorded.event.name(),
        occurred_at: recorded.at,
        actor: recorded.cause.actor,
        request_id: recorded.cause.request.as_deref(),
        event: of_order(order, &recorded.event),
    }
}

impl<'a> EventDetails<'a> {
    fn with_failure(self, failure: Option<&'a Failure>) -> Self {
        let (code, text) = failure.map(|failure| (failure.code.as_deref(), failure.text.as_deref())).unzip();
        Self { provider_code: code.flatten(), provider_message: text.flatten(), ..self }
    }

    fn with_session_failure(self, failure: Option<&'a SessionFailure>) -> Self {
        Self {
            provider_code: failure.and_then(|failure| failure.provider_code.as_deref()),
            provider_message: failure.and_then(|failure| failure.message.as_deref()),
            ..self
        }
    }

    fn operation(payment: PaymentId, operation: &Operation) -> Self {
        Self {
            payment_id: Some(payment),
            refund_id: operation.refund,
            amount: operation.amount,
            to: Some(operation.kind.as_str()),
            ..Self::default()
        }
    }
}

/// An erasable text, unless it was erased.
fn text(value: Option<&Erasable<String>>) -> Option<&str> {
    value?.value().map(String::as_str)
}

fn of_order<'a>(order: &'a OrderAggregate, event: &'a Event) -> EventDetails<'a> {
    let none = EventDetails::default();
    let header = &order.header;
    match event {
        Event::OrderCreated(header) => EventDetails { to: Some(header.state.as_str()), ..none },
        Event::OrderStateChanged { from, to, reason } => EventDetails {
            from: Some(from.as_str()),
            to: Some(to.as_str()),
            detail: reason.as_deref(),
            ..none
        },
        Event::OrderPriced { price, .. } => EventDetails { amount: Some(price.total), ..none },
        Event::FulfilmentReported(_) => EventDetails { detail: text(header.fulfilment.as_ref()), ..none },
        Event::ExternalPaymentRecorded { payment, .. } => {
            let external = header.external_payment.as_ref().and_then(Erasable::value);
            let (payment_id, amount) = (Some(payment.id), Some(payment.money.minor));
            EventDetails { payment_id, amount, detail: external.map(|external| &*external.reference), ..none }
        }
        Event::AttentionRaised(raised) => {
            let (to, detail) = (Some(raised.code.as_str()), Some(&*raised.detail));
            EventDetails { payment_id: Some(raised.payment), to, detail, ..none }
        }
        Event::AttentionResolved { attention, decision, .. } => {
            let attention = order.attention(*attention);
            let note = attention.and_then(|attention| attention.resolution.as_ref()?.note.as_ref());
            let payment_id = attention.map(|attention| attention.payment);
            EventDetails { payment_id, to: Some(decision.as_str()), detail: text(note), ..none }
        }
        other => of_session(order, other),
    }
}

fn of_session<'a>(order: &'a OrderAggregate, event: &'a Event) -> EventDetails<'a> {
    let none = EventDetails::default();
    match event {
        Event::SessionCreated(session) => EventDetails {
            session_id: Some(session.id),
            payment_id: Some(session.payment),
            to: Some(session.status.as_str()),
            amount: Some(session.money.minor),
            detail: Some(&session.routing.reason),
            ..none
        },
        Event::AttemptStarted { session, attempt } => {
            let started = order.attempt(attempt.attempt);
            EventDetails {
                attempt_id: Some(attempt.attempt),
                session_id: Some(*session),
                payment_id: started.map(|started| started.payment),
                account: Some(&attempt.account),
                amount: started.map(|started| started.money.minor),
                ..none
            }
        }
        Event::ProfilesSynced { session, .. } => EventDetails { session_id: Some(*session), ..none },
        Event::AdapterStateSaved { attempt, .. }
        | Event::StartUnknown { attempt }
        | Event::AnswerUnreadable { attempt }
        | Event::AnswerReadable { attempt }
        | Event::ProviderOrderSubmitted { attempt } => EventDetails { attempt_id: Some(*attempt), ..none },
        Event::AttemptCreated { attempt, reference, .. } => {
            EventDetails { attempt_id: Some(*attempt), detail: Some(reference), ..none }
        }
        Event::AttemptAbandoned { attempt, failure, .. } => {
            EventDetails { attempt_id: Some(*attempt), detail: Some(failure.as_str()), ..none }
        }
        Event::SessionStatusChanged { session, from, to, failure } => {
            let (from, to) = (Some(from.as_str()), Some(to.as_str()));
            EventDetails { session_id: Some(*session), from, to, ..none }
                .with_session_failure(failure.as_ref())
        }
        other => of_payment(order, other),
    }
}

fn of_payment<'a>(order: &'a OrderAggregate, event: &'a Event) -> EventDetails<'a> {
    let none = EventDetails::default();
    match event {
        Event::PaymentUpdated { payment, attempt, from, to, provider_status, failure, .. } => EventDetails {
            payment_id: Some(*payment),
            attempt_id: Some(*attempt),
            from: Some(from.as_str()),
            to: Some(to.as_str()),
            provider_status: Some(&provider_status.status),
            ..none
        }
        .with_failure(failure.as_ref()),
        Event::PaymentNotStarted { payment } => {
            EventDetails { payment_id: Some(*payment), to: Some(PaymentStatus::Failed.as_str()), ..none }
        }
        Event::LatePaymentFound(payment) => EventDetails {
            payment_id: Some(payment.id),
            attempt_id: payment.attempt,
            to: Some(payment.status().as_str()),
            amount: Some(payment.money.minor),
            ..none
        },
        Event::OperationRequested { payment, operation, .. } => EventDetails::operation(*payment, operation),
        Event::OperationUnanswered { payment, unsent } => EventDetails {
            payment_id: Some(*payment),
            detail: unsent.then_some("it did not reach the provider"),
            ..none
        },
        Event::OperationFinished { payment, operation, declined } => {
            EventDetails::operation(*payment, operation).with_failure(declined.as_ref())
        }
        Event::RefundCreated(refund) => EventDetails {
            refund_id: Some(refund.id),
            payment_id: Some(refund.payment),
            amount: Some(refund.money.minor),
            to: Some(refund.status.as_str()),
            detail: text(order.refund(refund.id).and_then(|refund| refund.reason.as_ref())),
            ..none
        },
        Event::RefundStatusChanged { refund, to, failure } => {
            EventDetails { refund_id: Some(*refund), to: Some(to.as_str()), ..none }
                .with_failure(failure.as_ref())
        }
        Event::DisputeUpdated { payment, stage, lost } => EventDetails {
            payment_id: Some(*payment),
            from: lost.map(|_| stage.as_str()),
            to: Some(lost.map_or(stage.as_str(), dispute_outcome)),
            ..none
        },
        _ => none,
    }
}

/// A public event with a snapshot of what it concerns.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub struct EventView<'a> {
    id: EventId,
    #[serde(rename = "type")]
    pub kind: String,
    occurred_at: Timestamp,
    order_id: OrderId,
    /// Its sequence among the public events of its order.
    pub sequence: u64,
    data: EventData<'a>,
}

/// The snapshot in an event.
#[derive(Serialize)]
#[serde(untagged)]
pub enum EventData<'a> {
    Order(OrderView<'a>),
    Session(SessionView<'a>),
    /// A payment; also for disputes.
    Payment(PaymentView<'a>),
    Refund(RefundView<'a>),
    Attention(AttentionView<'a>),
}

/// The view of a public event; `None` for other events. `order` is the order right after the event.
pub fn event<'a>(
    order: &'a OrderAggregate,
    recorded: &RecordedEvent<Event>,
    qr_url: &'a dyn Fn(AttemptId) -> String,
) -> Option<EventView<'a>> {
    let public = recorded.event.public()?;
    Some(EventView {
        id: recorded.id(),
        kind: event_type(public),
        occurred_at: recorded.at,
        order_id: OrderId::from_uuid(recorded.subject),
        sequence: recorded.public_sequence?,
        data: concerns(order, &recorded.event, qr_url)?,
    })
}

/// The public type of an event, such as `payment.paid`.
pub fn event_type(public_event: PublicEvent) -> String {
    format!("{}.{}", public_event.noun, camel(public_event.change))
}

/// The snapshot of what an event concerns.
fn concerns<'a>(
    order: &'a OrderAggregate,
    event: &Event,
    qr_url: &'a dyn Fn(AttemptId) -> String,
) -> Option<EventData<'a>> {
    let of_session = |id| Some(EventData::Session(SessionView(order, order.session(id)?, qr_url)));
    let of_payment = |id| Some(EventData::Payment(PaymentView(order, order.payment(id)?)));
    let of_refund = |id| Some(EventData::Refund(RefundView(order, order.refund(id)?)));
    match event {
        Event::SessionCreated(created) => of_session(created.id),
        Event::SessionStatusChanged { session, .. } => of_session(*session),
        Event::ExternalPaymentRecorded { payment, .. } | Event::LatePaymentFound(payment) => {
            of_payment(payment.id)
        }
        Event::PaymentUpdated { payment, .. }
        | Event::PaymentNotStarted { payment }
        | Event::DisputeUpdated { payment, .. } => of_payment(*payment),
        Event::RefundCreated(refund) => of_refund(refund.id),
        Event::RefundStatusChanged { refund, .. } => of_refund(*refund),
        Event::AttentionRaised(raised) => {
            Some(EventData::Attention(AttentionView(order, order.attention(raised.id)?)))
        }
        _ => Some(EventData::Order(OrderView(order))),
    }
}

/// Camel case of an upper-case name: `PENDING_PAYMENT` is `pendingPayment`.
fn camel(name: &str) -> String {
    let lower = name.to_ascii_lowercase();
    let mut parts = lower.split('_');
    let first = parts.next().unwrap_or_default().to_owned();
    parts.fold(first, |mut text, part| {
        let mut letters = part.chars();
        text.extend(letters.next().map(|letter| letter.to_ascii_uppercase()));
        text.push_str(letters.as_str());
        text
    })
}

#[cfg(test)]
mod tests {
    use super::camel;

    #[test]
    fn types_of_events_are_in_camel_case() {
        for (name, expected) in [
            ("PAID", "paid"),
            ("PENDING_PAYMENT", "pendingPayment"),
            ("PRE_ARBITRATION", "preArbitration"),
            ("RAISED", "raised"),
        ] {
            assert_eq!(camel(name), expected);
        }
    }
}
