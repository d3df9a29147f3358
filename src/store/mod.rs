//! The database: one way to write, plain reads, and the table of due jobs.
//!
//! A [`Change`] is a value. It is complete before the store sees it, and committed whole or not at all. The sequence of
//! its first event is the lock: of two changes decided on the same version of a subject the second fails on its first
//! statement. Lookup rows and due times are computed from the subject.

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
    ApiKeyRow, ChangeColumns, CheckpointRow, ClaimedDelivery, ClaimedJob, DeliveryRow, DeliveryStream,
    IdempotencyRow, InboxRow, JobSubject, LeaseKey, OpenWork, StreamPosition, WokenBy,
};

use std::sync::Arc;

use async_trait::async_trait;
use port::{OrderId, ProfileId, Timestamp, Uuid};
use tokio::sync::broadcast;

use self::sqlite::{Leases, Query};
use crate::domain::{AnySubject, Hash, OrderAggregate, Profile, Recorded, Subject, SubjectKind};

/// A stored change of a subject whose events have not been read yet.
#[derive(Clone, Debug, PartialEq)]
pub struct StoredChange {
    /// Its position among all changes.
    pub position: u64,
    pub subject: Uuid,
    /// The sequence of its first event.
    pub first: u64,
    /// How many public events of the subject came before.
    pub public_before: u64,
    pub text: Arc<str>,
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

/// A subject's row, beside its changes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SubjectRow {
    pub id: Uuid,
    pub kind: SubjectKind,
    pub merchant: String,
    /// The state that lists are filtered by.
    pub state: String,
    pub created_at: Timestamp,
}

/// The database. Its reads are methods of `dyn Store`, next to their SQL.
#[async_trait]
pub trait Store: Send + Sync {
    /// Commits a change: all or nothing, durable when it returns.
    ///
    /// # Errors
    /// [`StoreError::Conflict`]: the subject was changed by another commit. [`StoreError::Taken`]: a key or reference
    /// is in use. Neither has written anything. [`StoreError::Busy`]: nor has this.
    async fn commit(&self, change: Change) -> Result<(), StoreError>;

    /// The ids of changed subjects, sent after each commit. Listeners read the subject themselves.
    fn changes(&self) -> broadcast::Receiver<Uuid>;

    /// A subject as it is, or as it was after the event with a sequence, with what still exists of its personal data.
    async fn subject(&self, id: Uuid, sequence: Option<u64>) -> Result<Option<AnySubject>, StoreError>;

    /// Runs a query, or has it run as soon as a connection is free.
    async fn run(&self, query: Query) -> Result<(), StoreError>;

    fn leases(&self) -> &Leases;
}

impl dyn Store + '_ {
    /// A subject, if it is of this kind.
    pub async fn load<S: Subject>(&self, id: Uuid) -> Result<Option<Arc<S>>, StoreError> {
        Ok(self.subject(id, None).await?.and_then(S::from_any))
    }

    /// The same as it was after the event with a sequence.
    pub async fn load_at<S: Subject>(&self, id: Uuid, sequence: u64) -> Result<Option<Arc<S>>, StoreError> {
        Ok(self.subject(id, Some(sequence)).await?.and_then(S::from_any))
    }

    pub async fn order(&self, id: OrderId) -> Result<Option<Arc<OrderAggregate>>, StoreError> {
        self.load(id.uuid()).await
    }

    /// A payment profile, deleted or not.
    pub async fn profile(&self, id: ProfileId) -> Result<Option<Arc<Profile>>, StoreError> {
        self.load(id.uuid()).await
    }

    /// The changes of a subject that have events after a sequence, oldest first, with their events.
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

#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum StoreError {
    /// Another change of the subject was committed first: load it again.
    #[error("the subject was changed by another request")]
    Conflict,
    /// Something that must be unique is in use.
    #[error("{0} is in use")]
    Taken(Unique),
    /// Nothing was written: the queue is full, another program holds the lock, or other changes were faster 16 times.
    #[error("the store is busy")]
    Busy,
    /// The disk is full, read-only or broken. Whether a commit took effect is not known.
    #[error("the disk of the database failed: {0}")]
    Disk(String),
    /// The database failed. Whether a commit took effect is not known.
    #[error("the store failed: {0}")]
    Failed(String),
    #[error("stored data is damaged: {0}")]
    Corrupt(String),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, strum::Display)]
pub enum Unique {
    /// A merchant's reference of an order.
    #[strum(serialize = "the reference")]
    OrderReference,
    #[strum(serialize = "the idempotency key")]
    IdempotencyKey,
    /// A notification that is already stored.
    #[strum(serialize = "the notification")]
    Notification,
    /// A provider's own id of a payment profile.
    #[strum(serialize = "the provider's id of the payment profile")]
    ProfileReference,
    /// A profile session, as the proof of one order.
    #[strum(serialize = "the payment profile session")]
    ProfileSession,
}
