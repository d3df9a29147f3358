//! Rows that are no subject: keys, jobs, deliveries, notifications, checkpoints.

use port::{EndpointId, EventId, NotificationId, OrderId, Timestamp, Uuid};

use crate::domain::{Hash, Lane, Urgency};

/// A merchant's idempotency key and the change that its request made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IdempotencyRow {
    /// Whose.
    pub merchant: String,
    /// The key.
    pub key: String,
    /// A hash of method, path and body.
    pub fingerprint: [u8; 32],
    /// The subject that the request created or changed.
    pub subject: Uuid,
    /// The sequence of the first event of the change that it made.
    pub sequence: u64,
    /// When.
    pub at: Timestamp,
    /// Where the key stood before, if that had no effect and the request is tried again: subject and sequence.
    pub replaces: Option<(Uuid, u64)>,
}

/// What a job is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, strum::FromRepr)]
#[repr(u8)]
pub enum JobSubject {
    /// An order.
    Order = 1,
    /// A profile session.
    ProfileSession = 2,
    /// A stored payment method.
    Profile = 3,
    /// A stored notification.
    Notification = 5,
}

/// A subject that was due in a lane, and is nobody else's while its lease lasts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClaimedJob {
    /// Which.
    pub subject: Uuid,
    /// What it is.
    pub kind: JobSubject,
    /// In which lane.
    pub lane: Lane,
    /// How urgent.
    pub urgency: Urgency,
    /// Since when it was due.
    pub due_at: Timestamp,
    /// How often it has failed in a row.
    pub tries: u32,
    /// What woke it, if anything did since it last ran.
    pub woken: Option<WokenBy>,
    /// How often it has been woken; tells a newer wake from this one.
    pub wakes: u64,
}

/// What a woken job has to look at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WokenBy {
    /// The attempt with this number.
    Attempt(u64),
    /// All of them.
    Anything,
}

/// The deliveries of one order to one endpoint, which follow each other.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct DeliveryStream {
    /// To which endpoint.
    pub endpoint: EndpointId,
    /// Of which order.
    pub order: OrderId,
    /// Whether it was asked for once more, beside what happens now.
    pub replay: bool,
}

/// Where a delivery stream stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StreamPosition {
    /// The sequence of the first event that was not delivered.
    pub next: u64,
    /// Of the last to deliver; none for all that happens.
    pub last: Option<u64>,
    /// How often the delivery of the next has failed.
    pub failures: u32,
}

/// A delivery that was due, and is nobody else's while its lease lasts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ClaimedDelivery {
    /// Which stream.
    pub stream: DeliveryStream,
    /// Where it stood.
    pub position: StreamPosition,
    /// Since when it was due.
    pub due_at: Timestamp,
    /// How often something was enqueued; tells what came meanwhile.
    pub enqueued: u64,
}

/// One try to deliver an event.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeliveryRow {
    /// Its place among all; given by the store.
    pub position: u64,
    /// To which endpoint.
    pub endpoint: EndpointId,
    /// Of which order.
    pub order: OrderId,
    /// Which event.
    pub event: EventId,
    /// The event's type.
    pub event_type: String,
    /// The event's place among the public events of its order.
    pub public_sequence: u64,
    /// Which try it was, from 1.
    pub attempt: u32,
    /// Whether it was taken.
    pub delivered: bool,
    /// The status it was answered with, if it was.
    pub response_code: Option<u16>,
    /// Why it was not taken. Nothing of either body is in it.
    pub error: Option<String>,
    /// How long it took, milliseconds.
    pub duration_ms: u64,
    /// When it began.
    pub at: Timestamp,
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

/// A point in the order of commits, with the hash that chains every change up to it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CheckpointRow {
    /// Its number, from 1 without gaps.
    pub number: u64,
    /// When it was made.
    pub at: Timestamp,
    /// The position of the last change that it covers.
    pub position: u64,
    /// How many changes it covers.
    pub changes: u64,
    /// The checkpoint before, chained with the hash of every change since.
    pub hash: Hash,
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
    /// When it was revoked.
    pub revoked_at: Option<Timestamp>,
}
