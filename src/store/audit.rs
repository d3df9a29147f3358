//! For auditors: every order there is, every event's hash in the order of commits, and the checkpoints on them.

use async_trait::async_trait;
use port::{OrderId, Timestamp};

use super::StoreError;
use crate::domain::Hash;

/// A point in the order of commits, with the hash that chains every event up to it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CheckpointRow {
    /// Its place, from 1 without gaps.
    pub number: u64,
    /// When it was made.
    pub at: Timestamp,
    /// The position of the last event that it covers.
    pub position: u64,
    /// How many events it covers.
    pub events: u64,
    /// The checkpoint before, chained with the hash of every event since.
    pub hash: Hash,
}

/// Reads across all merchants, for checks.
#[async_trait]
pub trait AuditReads: Send + Sync {
    /// The orders after one, by id, at most `limit`.
    async fn order_ids(&self, after: Option<OrderId>, limit: u32) -> Result<Vec<OrderId>, StoreError>;

    /// How many orders there are.
    async fn order_count(&self) -> Result<u64, StoreError>;

    /// The hashes of the events after a position, in the order of their commits, at most `limit`.
    async fn event_hashes(&self, after: u64, limit: u32) -> Result<Vec<(u64, Hash)>, StoreError>;

    /// The checkpoints after a number, oldest first, at most `limit`.
    async fn checkpoints(&self, after: u64, limit: u32) -> Result<Vec<CheckpointRow>, StoreError>;

    /// The newest checkpoint.
    async fn last_checkpoint(&self) -> Result<Option<CheckpointRow>, StoreError>;
}
