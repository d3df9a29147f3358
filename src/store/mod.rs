//! Keeping: one way to write, plain reads, and the jobs that are due later.
//!
//! A [`Change`] is a value. It is complete before the store sees it, and committed whole or not at all. The sequence of
//! its first event is the lock: of two changes decided on the same version of a subject the second fails on its first
//! statement. What leads to a subject, and when it is due, are rows that follow from the subject alone.

mod change;
mod filters;
mod registry;
mod rows;
pub mod sqlite;

pub use change::{Change, Due, Rescheduled, SubjectChange, Wake, Write, next_in};
pub use filters::{
    AttentionFilter, Cursor, InboxFilter, OrderFilter, Page, PaymentFilter, ProfileFilter, PublicFilter,
};
pub use registry::{Enabled, EndpointRegistry};
pub use rows::{
    ApiKeyRow, CheckpointRow, ClaimedDelivery, ClaimedJob, DeliveryRow, DeliveryStream, IdempotencyRow,
    InboxRow, JobSubject, StreamPosition, WokenBy,
};

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use port::{EndpointId, NotificationId, OrderId, ProfileId, ProfileSessionId, Timestamp, Uuid};
use tokio::sync::broadcast;

use crate::domain::{
    AnySubject, Hash, Lane, Lookup, OrderAggregate, Profile, ProfileSession, Recorded, Subject, SubjectKind,
    Urgency,
};

/// A stored change of a subject whose events have not been read yet.
#[derive(Clone, Debug, PartialEq)]
pub struct StoredChange {
    /// Its place among all changes.
    pub position: u64,
    /// Whose.
    pub subject: Uuid,
    /// The sequence of its first event.
    pub first: u64,
    /// How many public events of the subject came before.
    pub public_before: u64,
    /// The record.
    pub text: Arc<str>,
    /// Its hash.
    pub hash: Hash,
}

impl StoredChange {
    /// The change with its events.
    ///
    /// # Errors
    /// [`StoreError::Corrupt`] for a record of an unknown version or with an event of an unknown kind.
    pub fn read<S: Subject>(&self) -> Result<Recorded<S::Event>, StoreError> {
        let read = Recorded::read(self.subject, self.first, self.public_before, self.text.clone(), self.hash);
        read.map_err(|fault| {
            StoreError::Corrupt(format!("change {} of {}: {fault}", self.first, self.subject))
        })
    }
}

/// What is stored of a subject beside its changes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SubjectRow {
    /// Which.
    pub id: Uuid,
    /// Its kind.
    pub kind: SubjectKind,
    /// Whose.
    pub merchant: String,
    /// The state that lists are filtered by.
    pub state: String,
    /// When it was created.
    pub created_at: Timestamp,
}

/// Reads and writes.
#[async_trait]
pub trait Store: Send + Sync {
    /// All or nothing, durable when it returns.
    ///
    /// # Errors
    /// [`StoreError::Conflict`]: the subject has moved on. [`StoreError::Taken`]: a key or reference is in use.
    /// Neither has written anything. [`StoreError::Busy`]: not even tried.
    async fn commit(&self, change: Change) -> Result<(), StoreError>;

    /// Tells of every subject that a commit has changed. It carries nothing else: a listener reads.
    fn changes(&self) -> broadcast::Receiver<Uuid>;

    /// Leases jobs of a lane that are due, the longest waiting first: at most `limit`, each for `lease`, to nobody
    /// else meanwhile.
    async fn claim(
        &self,
        lane: &Lane,
        urgency: Urgency,
        now: Timestamp,
        lease: Duration,
        limit: u32,
    ) -> Result<Vec<ClaimedJob>, StoreError>;

    /// The earliest moment at which a job of each urgency can be claimed in a lane: it is due, and no lease is on it.
    async fn next_due(&self, lane: &Lane) -> Result<Vec<Due>, StoreError>;

    /// Leases deliveries to an endpoint that are due, the longest waiting first.
    async fn claim_deliveries(
        &self,
        endpoint: EndpointId,
        now: Timestamp,
        lease: Duration,
        limit: u32,
    ) -> Result<Vec<ClaimedDelivery>, StoreError>;

    /// The earliest moment at which a delivery to an endpoint can be claimed.
    async fn next_delivery(&self, endpoint: EndpointId) -> Result<Option<Timestamp>, StoreError>;

    /// Ends the lease on a job whose row stays as it is.
    fn release(&self, lane: &Lane, subject: Uuid);

    /// Ends the lease on a delivery whose row stays as it is.
    fn release_delivery(&self, stream: DeliveryStream);

    /// A subject as it is.
    async fn subject(&self, kind: SubjectKind, id: Uuid) -> Result<Option<AnySubject>, StoreError>;

    /// A subject as it was after the event with a sequence, with what still exists of its personal data.
    async fn subject_at(
        &self,
        kind: SubjectKind,
        id: Uuid,
        sequence: u64,
    ) -> Result<Option<AnySubject>, StoreError>;

    /// The changes of a subject that have events after a sequence, oldest first, at most `limit`.
    async fn changes_of(&self, id: Uuid, after: u64, limit: u32) -> Result<Vec<StoredChange>, StoreError>;

    /// The kind of a subject.
    async fn kind_of(&self, id: Uuid) -> Result<Option<SubjectKind>, StoreError>;

    /// The subjects of a provider's own id at an account, newest first.
    async fn with_provider_reference(&self, account: &str, reference: &str) -> Result<Vec<Uuid>, StoreError>;

    /// The stored method that a provider knows by this reference, deleted or not.
    async fn profile_with_reference(
        &self,
        account: &str,
        reference: &str,
    ) -> Result<Option<ProfileId>, StoreError>;

    /// A merchant's orders, newest first.
    async fn orders(&self, filter: &OrderFilter) -> Result<Vec<OrderId>, StoreError>;

    /// A merchant's payments, newest first, each with what the next page begins after.
    async fn payments(&self, filter: &PaymentFilter) -> Result<Vec<Cursor>, StoreError>;

    /// A merchant's attention, newest first, each with what the next page begins after.
    async fn attention(&self, filter: &AttentionFilter) -> Result<Vec<Cursor>, StoreError>;

    /// A customer's stored methods, newest first.
    async fn profiles(&self, filter: &ProfileFilter) -> Result<Vec<ProfileId>, StoreError>;

    /// Every endpoint that was not deleted, oldest first, with the moment since when its deliveries fail.
    async fn endpoints(&self) -> Result<Vec<(EndpointId, Option<Timestamp>)>, StoreError>;

    /// A merchant's changes that have public events, newest first.
    async fn public_changes(&self, filter: &PublicFilter) -> Result<Vec<StoredChange>, StoreError>;

    /// The place of a subject's change among all, by the sequence of its first event or of a later one.
    async fn position_of(&self, id: Uuid, sequence: u64) -> Result<Option<u64>, StoreError>;

    /// A merchant's idempotency key.
    async fn idempotency(&self, merchant: &str, key: &str) -> Result<Option<IdempotencyRow>, StoreError>;

    /// An API key by the hash of its text.
    async fn api_key(&self, hash: &str) -> Result<Option<ApiKeyRow>, StoreError>;

    /// Every API key, oldest first. Only hashes are stored.
    async fn api_keys(&self) -> Result<Vec<ApiKeyRow>, StoreError>;

    /// A value that the installation keeps about itself.
    async fn setting(&self, name: &str) -> Result<Option<String>, StoreError>;

    /// Notifications of a range of time after a place, oldest first.
    async fn notifications(
        &self,
        filter: &InboxFilter,
    ) -> Result<Vec<(Timestamp, NotificationId, String)>, StoreError>;

    /// A stored notification.
    async fn notification(&self, id: NotificationId) -> Result<Option<InboxRow>, StoreError>;

    /// The tries to deliver to an endpoint, newest first; a page by its last position.
    async fn deliveries(&self, endpoint: EndpointId, page: &Page) -> Result<Vec<DeliveryRow>, StoreError>;

    /// When the oldest payment of an account was created whose outcome is awaited.
    async fn oldest_open_payment(&self, account: &str) -> Result<Option<Timestamp>, StoreError>;

    /// The subjects after one, by id, at most `limit`.
    async fn subjects_after(&self, after: Option<Uuid>, limit: u32) -> Result<Vec<SubjectRow>, StoreError>;

    /// How many subjects there are.
    async fn subject_count(&self) -> Result<u64, StoreError>;

    /// How many changes there are, of all subjects.
    async fn change_count(&self) -> Result<u64, StoreError>;

    /// Whether rows that lead to a subject are there; answers those that are not.
    async fn missing_lookups(
        &self,
        subject: Uuid,
        merchant: &str,
        lookups: Vec<Lookup>,
    ) -> Result<Vec<Lookup>, StoreError>;

    /// How many rows there are that lead to subjects.
    async fn lookup_count(&self) -> Result<u64, StoreError>;

    /// The last snapshot of a subject: the sequence of its last event, and its text.
    async fn snapshot(&self, id: Uuid) -> Result<Option<(u64, String)>, StoreError>;

    /// The hashes of the changes after a position, in the order of their commits, at most `limit`.
    async fn change_hashes(&self, after: u64, limit: u32) -> Result<Vec<(u64, Hash)>, StoreError>;

    /// The checkpoints after a number, oldest first, at most `limit`.
    async fn checkpoints(&self, after: u64, limit: u32) -> Result<Vec<CheckpointRow>, StoreError>;

    /// The newest checkpoint.
    async fn last_checkpoint(&self) -> Result<Option<CheckpointRow>, StoreError>;
}

impl dyn Store + '_ {
    /// A subject of a kind that is known by its type.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn load<S: Subject>(&self, id: Uuid) -> Result<Option<Arc<S>>, StoreError> {
        Ok(self.subject(S::KIND, id).await?.and_then(S::from_any))
    }

    /// The same as it was after the event with a sequence.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn load_at<S: Subject>(&self, id: Uuid, sequence: u64) -> Result<Option<Arc<S>>, StoreError> {
        Ok(self.subject_at(S::KIND, id, sequence).await?.and_then(S::from_any))
    }

    /// An order with everything that hangs on it.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn order(&self, id: OrderId) -> Result<Option<Arc<OrderAggregate>>, StoreError> {
        self.load(id.uuid()).await
    }

    /// A stored payment method, deleted or not.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn profile(&self, id: ProfileId) -> Result<Option<Arc<Profile>>, StoreError> {
        self.load(id.uuid()).await
    }

    /// A session that stores a payment method.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn profile_session(
        &self,
        id: ProfileSessionId,
    ) -> Result<Option<Arc<ProfileSession>>, StoreError> {
        self.load(id.uuid()).await
    }

    /// The changes of a subject that have events after a sequence, oldest first, with their events.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn recorded<S: Subject>(
        &self,
        id: Uuid,
        after: u64,
    ) -> Result<Vec<Recorded<S::Event>>, StoreError> {
        const PAGE: u32 = 500;
        let (mut changes, mut after) = (Vec::new(), after);
        loop {
            let page = self.changes_of(id, after, PAGE).await?;
            let full = page.len() == PAGE as usize;
            for change in page {
                changes.push(change.read::<S>()?);
            }
            match changes.last() {
                Some(last) if full => after = last.last(),
                _ => return Ok(changes),
            }
        }
    }
}

/// Why the store could not do it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum StoreError {
    /// Another change was faster: read the subject again.
    #[error("the subject has changed meanwhile")]
    Conflict,
    /// Something that must be unique is in use.
    #[error("{0} is in use")]
    Taken(Unique),
    /// The queue in front of the writer is full.
    #[error("the store is busy")]
    Busy,
    /// The database did not work. Whether a commit happened is not known.
    #[error("the store failed: {0}")]
    Failed(String),
    /// What was read does not make sense.
    #[error("the store holds something unreadable: {0}")]
    Corrupt(String),
}

/// What must be unique.
#[derive(Clone, Copy, Debug, PartialEq, Eq, strum::Display)]
pub enum Unique {
    /// A merchant's reference of an order.
    #[strum(serialize = "the reference")]
    OrderReference,
    /// A merchant's idempotency key.
    #[strum(serialize = "the idempotency key")]
    Key,
    /// A notification that is already stored.
    #[strum(serialize = "the notification")]
    Notification,
    /// A provider's own id of a stored method.
    #[strum(serialize = "the provider's id of the stored method")]
    ProfileReference,
    /// A profile session, as the proof of one order.
    #[strum(serialize = "the payment profile session")]
    ProfileSession,
}
