//! Reads across all merchants, and what auditing writes.

use async_trait::async_trait;
use port::OrderId;
use rusqlite::{Connection, Row};

use super::Sqlite;
use super::reads::{all, count, moment, one, word};
use super::rows::{integer, run};
use crate::domain::Hash;
use crate::store::{AuditReads, CheckpointRow, StoreError};

const CHECKPOINT: &str = "INSERT INTO checkpoints VALUES (?1, ?2, ?3, ?4, ?5)";

/// Writes a checkpoint.
pub(super) fn checkpoint(db: &Connection, row: &CheckpointRow) -> Result<usize, StoreError> {
    let (number, position, events) = (integer(row.number), integer(row.position), integer(row.events));
    run(db, CHECKPOINT, (number, row.at.micros(), position, events, row.hash.to_string()))
}

/// Erases the personal data of an order: its sealed values, and the stored notices that name its objects.
pub(super) fn erase(
    db: &Connection,
    order: OrderId,
    objects: &[(String, String)],
) -> Result<usize, StoreError> {
    let mut gone = run(db, "DELETE FROM sealed WHERE order_id = ?1", [order.to_string()])?;
    for (account, reference) in objects {
        let quoted =
            serde_json::to_string(reference).map_err(|fault| StoreError::Corrupt(fault.to_string()))?;
        gone += run(db, "DELETE FROM inbox WHERE account = ?1 AND instr(hints, ?2) > 0", (account, quoted))?;
    }
    Ok(gone)
}

/// Erases a customer's stored methods, and the sessions that stored them. A deleted method that its provider still has
/// stays until it was forgotten there, which takes the provider's id of it.
pub(super) fn erase_customer(db: &Connection, merchant: &str, customer: &str) -> Result<usize, StoreError> {
    let sessions = "DELETE FROM profile_sessions
         WHERE json_extract(body, '$.merchant') = ?1 AND json_extract(body, '$.customer_id') = ?2";
    let methods = "DELETE FROM profiles WHERE merchant = ?1 AND customer = ?2
         AND id NOT IN (SELECT subject FROM agenda WHERE kind = 'detach_method')";
    Ok(run(db, sessions, (merchant, customer))? + run(db, methods, (merchant, customer))?)
}

fn checkpoint_of(row: &Row<'_>) -> Result<CheckpointRow, StoreError> {
    Ok(CheckpointRow {
        number: count(row, 0)?,
        at: moment(row, 1)?,
        position: count(row, 2)?,
        events: count(row, 3)?,
        hash: word(row, 4)?,
    })
}

#[async_trait]
impl AuditReads for Sqlite {
    async fn order_ids(&self, after: Option<OrderId>, limit: u32) -> Result<Vec<OrderId>, StoreError> {
        let after = after.map(|id| id.to_string()).unwrap_or_default();
        self.read(move |db| {
            let sql = "SELECT id FROM orders WHERE id > ?1 ORDER BY id LIMIT ?2";
            all(db, sql, (after, limit), |row| word(row, 0))
        })
        .await
    }

    async fn order_count(&self) -> Result<u64, StoreError> {
        let counted = self.read(|db| one(db, "SELECT count(*) FROM orders", [], |row| count(row, 0)));
        Ok(counted.await?.unwrap_or(0))
    }

    async fn event_hashes(&self, after: u64, limit: u32) -> Result<Vec<(u64, Hash)>, StoreError> {
        let after = integer(after);
        self.read(move |db| {
            let sql = "SELECT position, hash FROM events WHERE position > ?1 ORDER BY position LIMIT ?2";
            all(db, sql, (after, limit), |row| Ok((count(row, 0)?, word(row, 1)?)))
        })
        .await
    }

    async fn checkpoints(&self, after: u64, limit: u32) -> Result<Vec<CheckpointRow>, StoreError> {
        let after = integer(after);
        self.read(move |db| {
            let sql = "SELECT * FROM checkpoints WHERE number > ?1 ORDER BY number LIMIT ?2";
            all(db, sql, (after, limit), checkpoint_of)
        })
        .await
    }

    async fn last_checkpoint(&self) -> Result<Option<CheckpointRow>, StoreError> {
        self.read(|db| one(db, "SELECT * FROM checkpoints ORDER BY number DESC LIMIT 1", [], checkpoint_of))
            .await
    }
}
