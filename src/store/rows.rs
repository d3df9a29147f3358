//! Rows of the tables beside subjects: keys, jobs, deliveries, notifications, checkpoints.

use port::{EndpointId, EventId, NotificationId, OrderId, Timestamp, Uuid};

use crate::domain::{Hash, Lane, SubjectKind, Urgency};

/// A merchant's idempotency key and the change that its request made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IdempotencyRow {
    pub merchant: String,
    pub key: String,
    /// A hash of method, path and body.
    pub fingerprint: [u8; 32],
    /// The subject that the request created or changed.
    pub subject: Uuid,
    /// The sequence of the first event of the change that it made.
    pub sequence: u64,
    pub at: Timestamp,
    /// The subject and sequence that the key pointed to before, if that change had no effect and is replaced.
    pub replaces: Option<(Uuid, u64)>,
}

/// What a job is about; subjects have the numbers of their [`SubjectKind`], by which a change schedules its job.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, strum::FromRepr)]
#[repr(u8)]
pub enum JobSubject {
    Order = SubjectKind::Order as u8,
    ProfileSession = SubjectKind::ProfileSession as u8,
    Profile = SubjectKind::Profile as u8,
    Notification = 5,
}

/// What is still open at an account.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct OpenWork {
    pub account: String,
    /// Payments whose outcome is awaited.
    pub unpaid: u64,
    /// Payments whose money is authorized.
    pub authorized: u64,
    pub disputed: u64,
    /// Orders, profile sessions and payment profiles with something to do at the account, now or later: these payments,
    /// operations and starts of unknown outcome, and more.
    pub waiting: u64,
}

/// A due subject in a lane, leased to the caller.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClaimedJob {
    pub subject: Uuid,
    pub kind: JobSubject,
    pub lane: Lane,
    pub urgency: Urgency,
    pub due_at: Timestamp,
    /// How many times in a row it has failed.
    pub tries: u32,
    /// What woke it, if anything did since it last ran.
    pub woken: Option<WokenBy>,
    /// How often it has been woken, to detect a wake during the run.
    pub wakes: u64,
}

/// What a woken job has to read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WokenBy {
    /// The attempt with this number.
    Attempt(u64),
    Anything,
}

/// What a lease is on: the jobs of a subject in a lane, or a stream of deliveries.
#[derive(Clone, Debug)]
pub enum LeaseKey {
    Job(Lane, Uuid),
    Delivery(DeliveryStream),
}

impl LeaseKey {
    pub fn subject(&self) -> Uuid {
        match self {
            Self::Job(_, subject) => *subject,
            Self::Delivery(stream) => stream.order.uuid(),
        }
    }
}

/// The deliveries of one order to one endpoint, in order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct DeliveryStream {
    pub endpoint: EndpointId,
    pub order: OrderId,
    /// Whether it is a redelivery, beside the deliveries of new events.
    pub replay: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StreamPosition {
    /// The sequence of the first event that was not delivered.
    pub next: u64,
    /// The sequence of the last event to deliver; `None` for all.
    pub last: Option<u64>,
    /// How often the delivery of the next has failed.
    pub failures: u32,
}

/// A due delivery, leased to the caller.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ClaimedDelivery {
    pub stream: DeliveryStream,
    /// Its position when it was claimed.
    pub position: StreamPosition,
    pub due_at: Timestamp,
    /// How often something was enqueued, to detect additions during the delivery.
    pub enqueued: u64,
}

/// One try to deliver an event.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeliveryRow {
    /// Its position among all deliveries; set by the store.
    pub position: u64,
    pub endpoint: EndpointId,
    pub order: OrderId,
    pub event: EventId,
    pub event_type: String,
    /// The event's sequence among the public events of its order.
    pub public_sequence: u64,
    /// Which try it was, from 1.
    pub attempt: u32,
    pub delivered: bool,
    /// The status it was answered with, if it was.
    pub response_code: Option<u16>,
    /// Why it failed; without any content of the request or answer.
    pub error: Option<String>,
    pub duration_ms: u64,
    pub at: Timestamp,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InboxRow {
    pub id: NotificationId,
    pub account: String,
    /// Its identity for deduplication: the provider's event id, or a hash of its bytes.
    pub identity: String,
    /// Its headers as JSON, without any that carries a secret.
    pub headers: String,
    pub body: Vec<u8>,
    pub targets: String,
    pub received_at: Timestamp,
}

/// A position in the order of commits, with a hash over all changes up to it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct CheckpointRow {
    /// Its number, from 1 without gaps.
    pub number: u64,
    pub at: Timestamp,
    /// The position of the last change that it covers.
    pub position: u64,
    /// How many changes it covers.
    pub changes: u64,
    /// The hash of the previous checkpoint, chained with the hash of each change since.
    pub hash: Hash,
}

/// An API key. Its text is never stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ApiKeyRow {
    /// SHA-256 of the key's text, hexadecimal.
    pub hash: String,
    /// The first letters, to tell keys apart.
    pub hint: String,
    pub merchant: String,
    /// Its scopes: `payments`, `finance`, `ops`.
    pub scopes: Vec<String>,
    pub created_at: Timestamp,
    pub revoked_at: Option<Timestamp>,
}

/// What the columns of a change say beside its record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ChangeColumns {
    pub merchant: String,
    /// Its time as it is stored, to the microsecond.
    pub at_micros: i64,
    pub events: u64,
    /// How many public events of the subject came before.
    pub public_before: u64,
    /// How many of the events are public.
    pub public: u64,
}
