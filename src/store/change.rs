//! Changes as values: events first, then the rows they make, then what must happen later.

use std::collections::BTreeSet;
use std::sync::Arc;

use port::{AttemptId, AttentionId, NotificationId, OrderId, PaymentId, RefundId, SessionId, Timestamp};
use serde::Serialize;

use super::{CheckpointRow, Job, JobKind, OutboundEventRow, StoreError, VaultWrite, WebhookWrite};
use crate::domain::{Event, EventMeta, Ids, OrderAggregate, RecordedEvent, is_open, jobs};

/// Everything that one commit writes.
#[derive(Clone, Debug)]
pub struct Change {
    /// What it is, for crash points, logs and metrics.
    pub name: &'static str,
    /// In writing order.
    pub writes: Vec<Write>,
}

/// One row to write. Bodies are JSON; whatever is asked for by more than its id has a column of its own.
#[derive(Clone, Debug)]
pub enum Write {
    /// Appends an event. Its place being taken is a conflict.
    Event(Box<RecordedEvent>),
    /// Stores personal data that events mention by digest; the same digest again is nothing new.
    Erasable {
        /// Whose.
        order: OrderId,
        /// Of the body.
        digest: Arc<str>,
        /// The salted value.
        body: Arc<str>,
    },
    /// The order's row.
    Order(Box<OrderRow>),
    /// A session's row.
    Session {
        /// Its id.
        id: SessionId,
        /// Its order.
        order: OrderId,
        /// The session.
        body: String,
    },
    /// An attempt's row.
    Attempt {
        /// Its id.
        id: AttemptId,
        /// Its order.
        order: OrderId,
        /// Where.
        account: String,
        /// The provider's id.
        reference: Option<String>,
        /// Whether an open session stands on it: at most one in an order.
        open: bool,
        /// The hash of its return tokens' secret, at its start.
        return_hash: Option<String>,
        /// The attempt.
        body: String,
    },
    /// A payment's row.
    Payment {
        /// Its id.
        id: PaymentId,
        /// Its order.
        order: OrderId,
        /// Whose.
        merchant: String,
        /// Where; empty for a merchant's own collection.
        account: String,
        /// Its status, as the API writes it.
        status: &'static str,
        /// Whether somebody waits for what becomes of it.
        open: bool,
        /// The payment.
        body: String,
    },
    /// A refund's row.
    Refund {
        /// Its id.
        id: RefundId,
        /// Its order.
        order: OrderId,
        /// The refund.
        body: String,
    },
    /// An attention's row.
    Attention {
        /// Its id.
        id: String,
        /// Its order.
        order: OrderId,
        /// Whose.
        merchant: String,
        /// Where; empty for a merchant's own collection.
        account: String,
        /// Its code.
        code: &'static str,
        /// Whether it waits for a person.
        open: bool,
        /// The attention.
        body: String,
    },
    /// A merchant's idempotency key. In use already is `Taken`, unless it stands on the row named in `replaces`.
    Key(KeyRow),
    /// A row of the agenda: when, or not any more. Ends any lease on it.
    Job {
        /// What.
        kind: JobKind,
        /// Of which object.
        subject: String,
        /// In which order.
        order: Option<OrderId>,
        /// When; `None` takes it off.
        at: Option<Timestamp>,
    },
    /// Ends a lease that still stands: due again, or done. Nothing if the row was written meanwhile.
    Release {
        /// What was claimed.
        job: Job,
        /// When again; `None` takes it off.
        at: Option<Timestamp>,
    },
    /// A verified notification, raw.
    Notification(InboxRow),
    /// Deletes a stored notification.
    PruneNotification(NotificationId),
    /// A checkpoint over all events.
    Checkpoint(CheckpointRow),
    /// Erases the personal data of an order, and the stored notices that name its objects.
    Erase {
        /// Whose data.
        order: OrderId,
        /// Its objects, by account and the provider's id.
        objects: Vec<(String, String)>,
    },
    /// Erases a merchant's customer where no order is concerned: stored methods and the sessions that stored them.
    EraseCustomer {
        /// Whose customer.
        merchant: String,
        /// The merchant's own id of it.
        customer: String,
    },
    /// An API key.
    ApiKey(ApiKeyRow),
    /// Something that the installation keeps about itself. The first value stays.
    Setting {
        /// Its name.
        name: &'static str,
        /// Its value.
        value: String,
    },
    /// A row about telling merchants.
    Webhook(WebhookWrite),
    /// A row about stored payment methods.
    Vault(VaultWrite),
}

/// The order's row.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OrderRow {
    /// Its id.
    pub id: OrderId,
    /// Whose.
    pub merchant: String,
    /// The merchant's reference, unique for it.
    pub reference: Option<String>,
    /// Its state, as the API writes it.
    pub state: &'static str,
    /// When it was made.
    pub created_at: Timestamp,
    /// How many events made the file.
    pub sequence: u64,
    /// How many of them merchants are told of.
    pub public_sequence: u64,
    /// The hash of the last one, hexadecimal.
    pub head: String,
    /// The order.
    pub body: String,
}

/// Where an idempotency key stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyUse {
    /// A hash of method, path and body of its request.
    pub fingerprint: String,
    /// Its row, if its request was about an order.
    pub row: Option<KeyRow>,
}

/// A merchant's idempotency key and what it stands for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyRow {
    /// Whose.
    pub merchant: String,
    /// The key.
    pub key: String,
    /// A hash of method, path and body.
    pub fingerprint: String,
    /// The order that the request made or changed.
    pub order: OrderId,
    /// The place of the first event of the change that it made.
    pub sequence: u64,
    /// When.
    pub at: Timestamp,
    /// The place it stood on before, where that had no effect and the request is tried again.
    pub replaces: Option<u64>,
}

/// A verified notification.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InboxRow {
    /// Its id.
    pub id: NotificationId,
    /// To which account.
    pub account: String,
    /// What makes it the same as another: the provider's event id, or a hash of its bytes.
    pub identity: String,
    /// Its headers as JSON, without any that carries a secret.
    pub headers: String,
    /// Its exact bytes.
    pub body: Vec<u8>,
    /// What it points at, as JSON.
    pub targets: String,
    /// When it came.
    pub received_at: Timestamp,
}

/// An API key. Its text is never stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ApiKeyRow {
    /// SHA-256 of the key's text, hexadecimal.
    pub hash: String,
    /// The first letters, to tell keys apart.
    pub hint: String,
    /// Whose.
    pub merchant: String,
    /// What it may: `payments`, `finance`, `ops`.
    pub scopes: Vec<String>,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it was withdrawn.
    pub revoked_at: Option<Timestamp>,
}

impl Change {
    /// A change without events: agenda, notes, keys.
    pub fn plain(name: &'static str, writes: Vec<Write>) -> Self {
        Self { name, writes }
    }

    /// The only way to change an order: applies the facts to the file and writes down what that makes of it,
    /// with everything that becomes due by it or is not due any more.
    ///
    /// # Errors
    /// [`StoreError::Corrupt`] if the facts do not fit the file: a defect.
    pub fn of(
        name: &'static str,
        order: &mut OrderAggregate,
        events: Vec<Event>,
        meta: &EventMeta<'_>,
        ids: &mut Ids<'_>,
    ) -> Result<Self, StoreError> {
        let before = if order.sequence == 0 { Vec::new() } else { jobs(order) };
        let events =
            order.record(events, meta, ids).map_err(|error| StoreError::Corrupt(error.to_string()))?;
        let mut change = Self { name, writes: Vec::with_capacity(events.len() * 2 + 4) };
        change.append(order, &events)?;
        let after = jobs(order);
        let order = Some(order.id());
        for (kind, subject, _) in before.iter().filter(|(kind, subject, _)| !holds(&after, *kind, subject)) {
            change.writes.push(Write::Job { kind: *kind, subject: subject.clone(), order, at: None });
        }
        for (kind, subject, at) in after.into_iter().filter(|due| !before.contains(due)) {
            change.writes.push(Write::Job { kind, subject, order, at: Some(at) });
        }
        Ok(change)
    }

    /// With an idempotency key.
    #[must_use]
    pub fn key(mut self, key: Option<KeyRow>) -> Self {
        self.writes.extend(key.map(Write::Key));
        self
    }

    /// With something due, or not due any more.
    #[must_use]
    pub fn job(mut self, kind: JobKind, subject: String, order: OrderId, at: Option<Timestamp>) -> Self {
        self.writes.push(Write::Job { kind, subject, order: Some(order), at });
        self
    }

    /// With one more row.
    #[must_use]
    pub fn with(mut self, write: Write) -> Self {
        self.writes.push(write);
        self
    }

    /// The order whose events it appends.
    pub fn order(&self) -> Option<OrderId> {
        self.events().next().map(|event| event.order)
    }

    /// The events it appends.
    pub fn events(&self) -> impl Iterator<Item = &RecordedEvent> {
        self.writes.iter().filter_map(|write| match write {
            Write::Event(event) => Some(&**event),
            _ => None,
        })
    }

    fn append(&mut self, order: &OrderAggregate, events: &[RecordedEvent]) -> Result<(), StoreError> {
        let id = order.id();
        let mut dirty = BTreeSet::new();
        for event in events {
            dirty.extend(dirty_parts(order, &event.record.event));
            self.writes.push(Write::Event(Box::new(event.clone())));
            let sealed = event.record.event.erasable();
            self.writes.extend(sealed.into_iter().map(|(digest, body)| Write::Erasable {
                order: id,
                digest,
                body,
            }));
            self.writes.extend(outbound_event(order, event));
        }
        if !events.is_empty() {
            self.writes.push(Write::Order(Box::new(OrderRow::of(order)?)));
        }
        let mut rows = Vec::with_capacity(dirty.len());
        for row in dirty {
            rows.extend(row.write(order)?);
        }
        // An order has one open attempt: the one before is closed first, whatever their ids say.
        rows.sort_by_key(|row| matches!(row, Write::Attempt { open: true, .. }));
        self.writes.extend(rows);
        Ok(())
    }
}

/// What lets merchants find an event that they are told of.
fn outbound_event(order: &OrderAggregate, event: &RecordedEvent) -> Option<Write> {
    let (merchant, order) = (order.header.merchant.clone(), event.order);
    let row = || OutboundEventRow {
        merchant,
        event: event.id,
        order,
        sequence: event.sequence,
        at: event.record.at,
    };
    event.public_sequence.map(|_| Write::Webhook(WebhookWrite::OutboundEvent(row())))
}

fn holds(jobs: &[(JobKind, String, Timestamp)], kind: JobKind, subject: &str) -> bool {
    jobs.iter().any(|(other, of, _)| *other == kind && of == subject)
}

/// A row that an event touches.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum DirtyPart {
    Session(SessionId),
    Attempt(AttemptId),
    Payment(PaymentId),
    Refund(RefundId),
    Attention(AttentionId),
}

/// The rows that a fact touches beside the order's own.
fn dirty_parts(order: &OrderAggregate, event: &Event) -> Vec<DirtyPart> {
    let of_attempt = |id: &AttemptId| {
        let attempt = order.attempt(*id);
        let session = attempt.and_then(|attempt| attempt.session).map(DirtyPart::Session);
        let payment = attempt.map(|attempt| DirtyPart::Payment(attempt.payment));
        std::iter::once(DirtyPart::Attempt(*id)).chain(session).chain(payment).collect::<Vec<_>>()
    };
    let of_payment = |id: &PaymentId| {
        let session = order.payment(*id).and_then(|payment| payment.session);
        std::iter::once(DirtyPart::Payment(*id)).chain(session.map(DirtyPart::Session)).collect::<Vec<_>>()
    };
    let of_attention = |id: &AttentionId| {
        let payment = order.attention(*id).and_then(|attention| attention.payment).map(DirtyPart::Payment);
        std::iter::once(DirtyPart::Attention(*id)).chain(payment).collect()
    };
    match event {
        Event::ExternalPaymentRecorded { payment, .. } | Event::LatePaymentFound(payment) => {
            vec![DirtyPart::Payment(payment.id)]
        }
        Event::PaymentSourceUsed(crate::domain::PaymentSource::Session(id)) => vec![DirtyPart::Session(*id)],
        Event::SessionCreated { session, payment } => {
            vec![DirtyPart::Session(session.id), DirtyPart::Payment(payment.id)]
        }
        Event::AdapterStateSaved { attempt, .. } => vec![DirtyPart::Attempt(*attempt)],
        Event::AttemptStarted(attempt) => of_attempt(&attempt.id),
        Event::AttemptCreated { attempt, .. } | Event::AttemptAbandoned { attempt, .. } => {
            of_attempt(attempt)
        }
        Event::ProviderOrderSubmitted { attempt } => vec![DirtyPart::Attempt(*attempt)],
        Event::SessionStatusChanged { session, .. } => {
            let of = order.session(*session).into_iter();
            let beside = of.flat_map(|of| [DirtyPart::Attempt(of.attempt), DirtyPart::Payment(of.payment)]);
            std::iter::once(DirtyPart::Session(*session)).chain(beside).collect()
        }
        Event::PaymentUpdated { payment, .. }
        | Event::PaymentNotStarted { payment }
        | Event::DisputeUpdated { payment, .. } => {
            vec![DirtyPart::Payment(*payment)]
        }
        Event::OperationRequested { payment, .. } | Event::OperationFinished { payment, .. } => {
            of_payment(payment)
        }
        Event::RefundCreated(refund) => {
            vec![DirtyPart::Refund(refund.id), DirtyPart::Payment(refund.payment)]
        }
        Event::RefundStatusChanged { refund, .. } => {
            let of = order.refunds.iter().find(|known| known.id == *refund);
            let payment = of.map(|refund| DirtyPart::Payment(refund.payment));
            std::iter::once(DirtyPart::Refund(*refund)).chain(payment).collect()
        }
        Event::AttentionRaised(attention) => of_attention(&attention.id),
        Event::AttentionResolved { attention, .. } => of_attention(attention),
        Event::PersonalDataErased
        | Event::OrderCreated(_)
        | Event::OrderEdited(_)
        | Event::OrderPriced { .. }
        | Event::OrderSigned(_)
        | Event::OrderStateChanged { .. }
        | Event::FulfilmentReported(_)
        | Event::PaymentSourceUsed(_) => Vec::new(),
    }
}

fn body<T: Serialize>(value: &T) -> Result<String, StoreError> {
    serde_json::to_string(value).map_err(|fault| StoreError::Corrupt(fault.to_string()))
}

impl OrderRow {
    fn of(order: &OrderAggregate) -> Result<Self, StoreError> {
        Ok(Self {
            id: order.header.id,
            merchant: order.header.merchant.clone(),
            reference: order.header.reference.clone(),
            state: order.header.state.as_str(),
            created_at: order.header.created_at,
            sequence: order.sequence,
            public_sequence: order.public_sequence,
            head: order.head.to_string(),
            body: body(&order.header)?,
        })
    }
}

impl DirtyPart {
    fn write(self, order: &OrderAggregate) -> Result<Option<Write>, StoreError> {
        let order_id = order.id();
        Ok(match self {
            Self::Session(id) => {
                let row = order.session(id).map(body).transpose()?;
                row.map(|body| Write::Session { id, order: order_id, body })
            }
            Self::Attempt(id) => {
                let Some(attempt) = order.attempt(id) else { return Ok(None) };
                Some(Write::Attempt {
                    id,
                    order: order_id,
                    account: attempt.account.clone(),
                    reference: attempt.reference.clone(),
                    open: order.open_attempt().is_some_and(|attempt| attempt.id == id),
                    return_hash: attempt.return_hash.clone(),
                    body: body(attempt)?,
                })
            }
            Self::Payment(id) => {
                let Some(payment) = order.payment(id) else { return Ok(None) };
                let attempt = payment.attempt.and_then(|attempt| order.attempt(attempt));
                Some(Write::Payment {
                    id,
                    order: order_id,
                    merchant: order.header.merchant.clone(),
                    account: attempt.map(|attempt| attempt.account.clone()).unwrap_or_default(),
                    status: payment.status().as_str(),
                    open: is_open(order, payment),
                    body: body(payment)?,
                })
            }
            Self::Refund(id) => {
                let row = order.refund(id).map(body).transpose()?;
                row.map(|body| Write::Refund { id, order: order_id, body })
            }
            Self::Attention(id) => {
                let Some(attention) = order.attention(id) else { return Ok(None) };
                Some(Write::Attention {
                    id: id.to_string(),
                    order: order_id,
                    merchant: order.header.merchant.clone(),
                    account: order.account_of(attention).unwrap_or_default().to_owned(),
                    code: attention.code.as_str(),
                    open: attention.resolved_at.is_none(),
                    body: body(attention)?,
                })
            }
        })
    }
}
