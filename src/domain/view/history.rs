//! What happened to an order, as its timeline and its events show it.

use port::{
    AttemptId, EventId, Failure, OrderId, PaymentId, PaymentStatus, ProviderStatus, RefundId, SessionId,
    Timestamp,
};
use serde::Serialize;

use super::{
    AttentionView, OrderView, PaymentView, QrUrl, RefundView, SessionView, attention, order as order_view,
    payment, refund, session,
};
use crate::domain::event::dispute_outcome;
use crate::domain::{
    Actor, Event, Operation, OrderAggregate, PublicEvent, RecordedEvent, SessionFailure, SessionStatus,
    SubjectEvent as _,
};

/// One entry of a timeline: what happened, to what, and in whose words. What an entry has no value for is null.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct TimelineEntry<'a> {
    id: EventId,
    sequence: u64,
    #[serde(rename = "type")]
    kind: &'static str,
    occurred_at: Timestamp,
    actor: Actor,
    request_id: Option<&'a str>,
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

/// The entry of an event of a file.
pub fn timeline_entry<'a>(
    order: &'a OrderAggregate,
    recorded: &'a RecordedEvent<Event>,
) -> TimelineEntry<'a> {
    let blank = TimelineEntry {
        id: recorded.id(),
        sequence: recorded.sequence,
        kind: recorded.event.name(),
        occurred_at: recorded.at,
        actor: recorded.cause.actor,
        request_id: recorded.cause.request.as_deref(),
        session_id: None,
        payment_id: None,
        attempt_id: None,
        refund_id: None,
        account: None,
        from: None,
        to: None,
        amount: None,
        provider_status: None,
        provider_code: None,
        provider_message: None,
        detail: None,
    };
    let event = &recorded.event;
    let entry = match event {
        Event::AttemptStarted { attempt, .. } => {
            let started = order.attempt(attempt.attempt);
            let (payment_id, amount) = started.map(|started| (started.payment, started.money.minor)).unzip();
            TimelineEntry { payment_id, amount, ..of_order(blank, event) }
        }
        Event::AttentionResolved { attention, decision, .. } => {
            let payment_id = order.attention(*attention).and_then(|attention| attention.payment);
            TimelineEntry { payment_id, to: Some(decision.as_str()), ..blank }
        }
        event => of_order(blank, event),
    };
    TimelineEntry { detail: entry.detail.or_else(|| merchant_text(order, event)), ..entry }
}

/// The merchant's words beside a fact, unless they were erased: the event has only their digest.
fn merchant_text<'a>(order: &'a OrderAggregate, event: &Event) -> Option<&'a str> {
    let texts = match event {
        Event::ExternalPaymentRecorded { .. } => {
            return Some(&order.header.external_payment.as_ref()?.value()?.reference);
        }
        Event::FulfilmentReported(_) => order.header.fulfilment.as_ref(),
        Event::RefundCreated(refund) => order.refund(refund.id)?.reason.as_ref(),
        Event::AttentionResolved { attention, .. } => {
            order.attention(*attention)?.resolution.as_ref()?.note.as_ref()
        }
        _ => None,
    };
    texts?.value().map(String::as_str)
}

impl<'a> TimelineEntry<'a> {
    fn said(self, failure: Option<&'a Failure>) -> Self {
        Self {
            provider_code: failure.and_then(|failure| failure.code.as_deref()),
            provider_message: failure.and_then(|failure| failure.text.as_deref()),
            ..self
        }
    }

    fn ended(self, failure: Option<&'a SessionFailure>) -> Self {
        Self {
            provider_code: failure.and_then(|failure| failure.provider_code.as_deref()),
            provider_message: failure.and_then(|failure| failure.message.as_deref()),
            ..self
        }
    }

    fn provider_status(self, provider_status: &'a ProviderStatus) -> Self {
        Self { provider_status: Some(&provider_status.status), ..self }
    }

    fn operation(self, payment: PaymentId, operation: &Operation) -> Self {
        Self {
            payment_id: Some(payment),
            refund_id: operation.refund,
            amount: operation.amount,
            to: Some(operation.kind.as_str()),
            ..self
        }
    }
}

fn of_order<'a>(entry: TimelineEntry<'a>, event: &'a Event) -> TimelineEntry<'a> {
    match event {
        Event::OrderCreated(header) => TimelineEntry { to: Some(header.state.as_str()), ..entry },
        Event::OrderStateChanged { from, to, reason } => TimelineEntry {
            from: Some(from.as_str()),
            to: Some(to.as_str()),
            detail: reason.as_deref(),
            ..entry
        },
        Event::OrderPriced { price, .. } => TimelineEntry { amount: Some(price.total), ..entry },
        Event::ExternalPaymentRecorded { payment, .. } => {
            TimelineEntry { payment_id: Some(payment.id), amount: Some(payment.money.minor), ..entry }
        }
        Event::AttentionRaised(raised) => TimelineEntry {
            payment_id: raised.payment,
            to: Some(raised.code.as_str()),
            detail: Some(&raised.detail),
            ..entry
        },
        other => of_session(entry, other),
    }
}

fn of_session<'a>(entry: TimelineEntry<'a>, event: &'a Event) -> TimelineEntry<'a> {
    match event {
        Event::SessionCreated(session) => TimelineEntry {
            session_id: Some(session.session),
            payment_id: Some(session.payment),
            to: Some(SessionStatus::Pending.as_str()),
            amount: Some(session.money.minor),
            detail: Some(&session.routing.reason),
            ..entry
        },
        Event::AttemptStarted { session, attempt } => TimelineEntry {
            attempt_id: Some(attempt.attempt),
            session_id: Some(*session),
            account: Some(&attempt.account),
            ..entry
        },
        Event::ProfilesSynced { session } => TimelineEntry { session_id: Some(*session), ..entry },
        Event::AdapterStateSaved { attempt, .. } | Event::ProviderOrderSubmitted { attempt } => {
            TimelineEntry { attempt_id: Some(*attempt), ..entry }
        }
        Event::AttemptCreated { attempt, reference, .. } => {
            TimelineEntry { attempt_id: Some(*attempt), detail: Some(reference), ..entry }
        }
        Event::AttemptAbandoned { attempt, failure, .. } => {
            TimelineEntry { attempt_id: Some(*attempt), detail: Some(failure.as_str()), ..entry }
        }
        Event::SessionStatusChanged { session, from, to, failure } => TimelineEntry {
            session_id: Some(*session),
            from: Some(from.as_str()),
            to: Some(to.as_str()),
            ..entry
        }
        .ended(failure.as_ref()),
        other => of_payment(entry, other),
    }
}

fn of_payment<'a>(entry: TimelineEntry<'a>, event: &'a Event) -> TimelineEntry<'a> {
    match event {
        Event::PaymentUpdated { payment, attempt, from, to, provider_status, failure, .. } => TimelineEntry {
            payment_id: Some(*payment),
            attempt_id: Some(*attempt),
            from: Some(from.as_str()),
            to: Some(to.as_str()),
            ..entry
        }
        .provider_status(provider_status)
        .said(failure.as_ref()),
        Event::PaymentNotStarted { payment } => {
            TimelineEntry { payment_id: Some(*payment), to: Some(PaymentStatus::Failed.as_str()), ..entry }
        }
        Event::LatePaymentFound(payment) => TimelineEntry {
            payment_id: Some(payment.id),
            attempt_id: payment.attempt,
            to: Some(payment.status().as_str()),
            amount: Some(payment.money.minor),
            ..entry
        },
        Event::OperationRequested { payment, operation, .. } => entry.operation(*payment, operation),
        Event::OperationFinished { payment, operation, declined } => {
            entry.operation(*payment, operation).said(declined.as_ref())
        }
        Event::RefundCreated(refund) => TimelineEntry {
            refund_id: Some(refund.id),
            payment_id: Some(refund.payment),
            amount: Some(refund.money.minor),
            to: Some(refund.status.as_str()),
            ..entry
        },
        Event::RefundStatusChanged { refund, to, failure } => {
            TimelineEntry { refund_id: Some(*refund), to: Some(to.as_str()), ..entry }.said(failure.as_ref())
        }
        Event::DisputeUpdated { payment, stage, lost } => TimelineEntry {
            payment_id: Some(*payment),
            from: lost.map(|_| stage.as_str()),
            to: Some(lost.map_or(stage.as_str(), dispute_outcome)),
            ..entry
        },
        _ => entry,
    }
}

/// An event as a merchant is told of it: what it concerns, as it was then.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct EventView<'a> {
    id: EventId,
    #[serde(rename = "type")]
    kind: String,
    occurred_at: Timestamp,
    order_id: OrderId,
    sequence: u64,
    data: EventData<'a>,
}

impl EventView<'_> {
    /// Its public name, such as `payment.paid`.
    pub fn kind(&self) -> &str {
        &self.kind
    }

    /// Its place among the events of its order that merchants are told of.
    pub fn sequence(&self) -> u64 {
        self.sequence
    }
}

/// What an event concerns.
#[derive(Debug, Serialize)]
#[serde(untagged)]
pub enum EventData<'a> {
    /// The order.
    Order(Box<OrderView<'a>>),
    /// A session.
    Session(Box<SessionView<'a>>),
    /// A payment; of a dispute too.
    Payment(Box<PaymentView<'a>>),
    /// A refund.
    Refund(Box<RefundView<'a>>),
    /// A reason why a person should look.
    Attention(AttentionView<'a>),
}

/// The event, if merchants are told of it. `file` is as of that event.
pub fn event<'a>(
    order: &'a OrderAggregate,
    recorded: &RecordedEvent<Event>,
    qr_url: QrUrl<'_>,
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

/// The type of an event, as merchants are told of it.
pub fn event_type(public_event: PublicEvent) -> String {
    format!("{}.{}", public_event.noun, camel(public_event.change))
}

/// What a fact concerns, as the file has it.
fn concerns<'a>(order: &'a OrderAggregate, event: &Event, qr_url: QrUrl<'_>) -> Option<EventData<'a>> {
    let of_session = |id: SessionId| {
        let found = order.session(id)?;
        Some(EventData::Session(Box::new(session(order, found, qr_url))))
    };
    let of_payment = |id: PaymentId| {
        let found = order.payment(id)?;
        Some(EventData::Payment(Box::new(payment(order, found))))
    };
    let of_refund = |id: RefundId| {
        let found = order.refund(id)?;
        Some(EventData::Refund(Box::new(refund(order, found))))
    };
    match event {
        Event::SessionCreated(created) => of_session(created.session),
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
            let found = order.attention(raised.id)?;
            Some(EventData::Attention(attention(order, found)))
        }
        _ => Some(EventData::Order(Box::new(order_view(order)))),
    }
}

/// An upper-case word as a part of an event's type: `PENDING_PAYMENT` is `pendingPayment`.
fn camel(word: &str) -> String {
    let lower = word.to_ascii_lowercase();
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
        for (word, expected) in [
            ("PAID", "paid"),
            ("PENDING_PAYMENT", "pendingPayment"),
            ("PRE_ARBITRATION", "preArbitration"),
            ("RAISED", "raised"),
        ] {
            assert_eq!(camel(word), expected);
        }
    }
}
