//! What happened to an order, as its timeline and its events show it.

use port::{
    AttemptId, EventId, Failure, OrderId, PaymentId, PaymentStatus, RefundId, SessionId, StatusWord,
    Timestamp,
};
use serde::Serialize;

use super::{
    AttentionView, OrderView, PaymentView, QrUrl, RefundView, SessionView, attention, order, payment, refund,
    session,
};
use crate::domain::event::outcome;
use crate::domain::{Actor, Event, Fact, Notice, Operation, OrderFile, SessionFailure};

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
pub fn timeline_entry<'a>(file: &'a OrderFile, event: &'a Event) -> TimelineEntry<'a> {
    let blank = TimelineEntry {
        id: event.id,
        sequence: event.sequence,
        kind: event.record.fact.name(),
        occurred_at: event.record.at,
        actor: event.record.cause.actor,
        request_id: event.record.cause.request.as_deref(),
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
    let fact = &event.record.fact;
    let entry = match fact {
        Fact::AttentionResolved { attention, decision, .. } => {
            let payment_id = file.attention(*attention).and_then(|told| told.payment);
            TimelineEntry { payment_id, to: Some(decision.as_str()), ..blank }
        }
        fact => of_order(blank, fact),
    };
    TimelineEntry { detail: entry.detail.or_else(|| told(file, fact)), ..entry }
}

/// The merchant's words beside a fact, unless they were erased: the event has only their digest.
fn told<'a>(file: &'a OrderFile, fact: &Fact) -> Option<&'a str> {
    let words = match fact {
        Fact::PaidExternally { .. } => {
            return Some(&file.order.external_payment.as_ref()?.value()?.reference);
        }
        Fact::FulfilmentTold(_) => file.order.fulfilment.as_ref(),
        Fact::RefundMade(refund) => file.refund(refund.id)?.reason.as_ref(),
        Fact::AttentionResolved { attention, .. } => {
            file.attention(*attention)?.resolution.as_ref()?.note.as_ref()
        }
        _ => None,
    };
    words?.value().map(String::as_str)
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

    fn word(self, word: &'a StatusWord) -> Self {
        Self { provider_status: Some(&word.word), ..self }
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

fn of_order<'a>(entry: TimelineEntry<'a>, fact: &'a Fact) -> TimelineEntry<'a> {
    match fact {
        Fact::OrderPlaced(order) => TimelineEntry { to: Some(order.state.as_str()), ..entry },
        Fact::OrderMoved { from, to, why } => TimelineEntry {
            from: Some(from.as_str()),
            to: Some(to.as_str()),
            detail: why.as_deref(),
            ..entry
        },
        Fact::OrderPriced { price, .. } => TimelineEntry { amount: Some(price.total), ..entry },
        Fact::PaidExternally { payment, .. } => {
            TimelineEntry { payment_id: Some(payment.id), amount: Some(payment.money.minor), ..entry }
        }
        Fact::AttentionRaised(raised) => TimelineEntry {
            payment_id: raised.payment,
            to: Some(raised.code.as_str()),
            detail: Some(&raised.detail),
            ..entry
        },
        other => of_session(entry, other),
    }
}

fn of_session<'a>(entry: TimelineEntry<'a>, fact: &'a Fact) -> TimelineEntry<'a> {
    match fact {
        Fact::SessionOpened { session, payment } => TimelineEntry {
            session_id: Some(session.id),
            payment_id: Some(payment.id),
            to: Some(session.status.as_str()),
            amount: Some(session.money.minor),
            detail: Some(&session.routing.reason),
            ..entry
        },
        Fact::AttemptStarted(attempt) => TimelineEntry {
            attempt_id: Some(attempt.id),
            session_id: attempt.session,
            payment_id: Some(attempt.payment),
            account: Some(&attempt.account),
            amount: Some(attempt.money.minor),
            ..entry
        },
        Fact::AttemptKept { attempt, .. } | Fact::HandedOver { attempt } => {
            TimelineEntry { attempt_id: Some(*attempt), ..entry }
        }
        Fact::AttemptBegun { attempt, reference, .. } => {
            TimelineEntry { attempt_id: Some(*attempt), detail: Some(reference), ..entry }
        }
        Fact::AttemptLeft { attempt, why, .. } => {
            TimelineEntry { attempt_id: Some(*attempt), detail: Some(why), ..entry }
        }
        Fact::SessionMoved { session, from, to, failure } => TimelineEntry {
            session_id: Some(*session),
            from: Some(from.as_str()),
            to: Some(to.as_str()),
            ..entry
        }
        .ended(failure.as_ref()),
        other => of_payment(entry, other),
    }
}

fn of_payment<'a>(entry: TimelineEntry<'a>, fact: &'a Fact) -> TimelineEntry<'a> {
    match fact {
        Fact::PaymentObserved { payment, attempt, from, to, word, failure, .. } => TimelineEntry {
            payment_id: Some(*payment),
            attempt_id: Some(*attempt),
            from: Some(from.as_str()),
            to: Some(to.as_str()),
            ..entry
        }
        .word(word)
        .said(failure.as_ref()),
        Fact::PaymentNotStarted { payment } => {
            TimelineEntry { payment_id: Some(*payment), to: Some(PaymentStatus::Failed.as_str()), ..entry }
        }
        Fact::PaymentFound(payment) => TimelineEntry {
            payment_id: Some(payment.id),
            attempt_id: payment.attempt,
            to: Some(payment.status().as_str()),
            amount: Some(payment.money.minor),
            ..entry
        },
        Fact::OperationAsked { payment, operation, .. } => entry.operation(*payment, operation),
        Fact::OperationEnded { payment, operation, refused } => {
            entry.operation(*payment, operation).said(refused.as_ref())
        }
        Fact::RefundMade(refund) => TimelineEntry {
            refund_id: Some(refund.id),
            payment_id: Some(refund.payment),
            amount: Some(refund.money.minor),
            to: Some(refund.status.as_str()),
            ..entry
        },
        Fact::RefundMoved { refund, to, failure } => {
            TimelineEntry { refund_id: Some(*refund), to: Some(to.as_str()), ..entry }.said(failure.as_ref())
        }
        Fact::DisputeMoved { payment, stage, lost } => TimelineEntry {
            payment_id: Some(*payment),
            from: lost.map(|_| stage.as_str()),
            to: Some(lost.map_or(stage.as_str(), outcome)),
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
    data: Snapshot<'a>,
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
pub enum Snapshot<'a> {
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
pub fn event<'a>(file: &'a OrderFile, event: &Event, qr_url: QrUrl<'_>) -> Option<EventView<'a>> {
    let fact = &event.record.fact;
    let (notice, sequence) = (fact.notice()?, event.notice?);
    Some(EventView {
        id: event.id,
        kind: event_type(notice),
        occurred_at: event.record.at,
        order_id: event.order,
        sequence,
        data: concerns(file, fact, qr_url)?,
    })
}

/// The type of an event, as merchants are told of it.
pub fn event_type(notice: Notice) -> String {
    format!("{}.{}", notice.noun, camel(notice.word))
}

/// What a fact concerns, as the file has it.
fn concerns<'a>(file: &'a OrderFile, fact: &Fact, qr_url: QrUrl<'_>) -> Option<Snapshot<'a>> {
    let of_session = |id: SessionId| {
        let found = file.session(id)?;
        Some(Snapshot::Session(Box::new(session(file, found, qr_url))))
    };
    let of_payment = |id: PaymentId| {
        let found = file.payment(id)?;
        Some(Snapshot::Payment(Box::new(payment(file, found))))
    };
    let of_refund = |id: RefundId| {
        let found = file.refund(id)?;
        Some(Snapshot::Refund(Box::new(refund(file, found))))
    };
    match fact {
        Fact::SessionOpened { session, .. } => of_session(session.id),
        Fact::SessionMoved { session, .. } => of_session(*session),
        Fact::PaidExternally { payment, .. } | Fact::PaymentFound(payment) => of_payment(payment.id),
        Fact::PaymentObserved { payment, .. }
        | Fact::PaymentNotStarted { payment }
        | Fact::DisputeMoved { payment, .. } => of_payment(*payment),
        Fact::RefundMade(refund) => of_refund(refund.id),
        Fact::RefundMoved { refund, .. } => of_refund(*refund),
        Fact::AttentionRaised(raised) => {
            let found = file.attention(raised.id)?;
            Some(Snapshot::Attention(attention(file, found)))
        }
        _ => Some(Snapshot::Order(Box::new(order(file)))),
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
