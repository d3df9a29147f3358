//! Keeping: one way to write, plain reads, and the agenda of all that is due later.
//!
//! A [`Change`] is a value. It is made by the domain's events ([`Change::of`]), complete before the store sees
//! it, and committed whole or not at all. The event's place in its order is the lock: of two changes made from
//! the same file, the second fails on its first statement. This room knows rows and nothing of payments.

mod audit;
mod change;
mod endpoint_registry;
mod jobs;
mod reads;
pub mod sqlite;
mod vault;
mod webhooks;

pub use audit::{AuditReads, CheckpointRow};
pub use change::{ApiKeyRow, Change, InboxRow, KeyRow, KeyUse, OrderRow, Write};
pub use endpoint_registry::EndpointRegistry;
pub use jobs::{Job, JobKind, Lease};
pub use reads::{
    AttentionFilter, InboxFilter, OrderFilter, OrderLocator, Page, PaymentFilter, Reads, StoredEvent,
};
pub use vault::{ProfileFilter, ProfileKeyRow, VaultReads, VaultWrite};
pub use webhooks::{
    CommandResult, Cursor, DeliveryRow, DeliveryStream, Disabled, DisabledReason, EndpointKeyRow,
    EndpointRow, OldSecret, OutboundEventFilter, OutboundEventRow, WebhookReads, WebhookWrite,
};

use std::time::Duration;

use async_trait::async_trait;
use port::{EndpointId, OrderId, Timestamp};
use tokio::sync::broadcast;

/// Reads and writes.
#[async_trait]
pub trait Store: Reads {
    /// All or nothing, durable when it returns.
    ///
    /// # Errors
    /// [`StoreError::Conflict`]: the file has moved on. [`StoreError::Taken`]: a key, reference or place is in
    /// use. Neither has written anything. [`StoreError::Busy`]: not even tried.
    async fn commit(&self, change: Change) -> Result<(), StoreError>;

    /// Leases what is due, but for deliveries, oldest first: at most `limit` rows, each for `lease`, to nobody else meanwhile.
    ///
    /// # Errors
    /// [`StoreError::Busy`] or [`StoreError::Failed`]; then nothing is leased.
    async fn claim(&self, now: Timestamp, lease: Duration, limit: u16) -> Result<Vec<Job>, StoreError>;

    /// Leases deliveries that are due, oldest first: of each endpoint at most so many, `limit` in all, each for
    /// `lease`.
    ///
    /// # Errors
    /// As for [`Store::claim`].
    async fn claim_deliveries(
        &self,
        now: Timestamp,
        lease: Duration,
        limit: u16,
        wanted: Vec<(EndpointId, u16)>,
    ) -> Result<Vec<Job>, StoreError>;

    /// Tells of every order that a commit has changed. It carries nothing else: who wants to know reads.
    fn changes(&self) -> broadcast::Receiver<OrderId>;
}

/// Why the store could not do it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum StoreError {
    /// Somebody was faster: read the file again.
    #[error("the order has changed meanwhile")]
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
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unique {
    /// A merchant's reference of an order.
    Reference,
    /// A merchant's idempotency key.
    Key,
    /// The one open attempt of an order.
    OpenAttempt,
    /// A notification that is already stored.
    Note,
    /// A profile session, as the proof of one order.
    ProfileSession,
}

impl std::fmt::Display for Unique {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Reference => "the reference",
            Self::Key => "the idempotency key",
            Self::OpenAttempt => "the order's open attempt",
            Self::Note => "the notification",
            Self::ProfileSession => "the payment profile session",
        })
    }
}
