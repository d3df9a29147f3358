//! Statements of the audit: reads across all merchants, checkpoints and erasure.

use port::Uuid;
use rusqlite::{Connection, Row};

use super::lookups::{LOOKUP_TABLES, with_row};
use super::names::number;
use super::statement::{all, blob, coded, count, hash, integer, one, run, time, uuid};
use crate::domain::{Hash, Lookup, SubjectKind};
use crate::store::{ChangeColumns, CheckpointRow, Store, StoreError, SubjectRow};

const CHECKPOINT: &str =
    "INSERT INTO checkpoints (number, at, position, changes, hash) VALUES (?1, ?2, ?3, ?4, ?5)";
const CHECKPOINTS: &str = "SELECT number, at, position, changes, hash FROM checkpoints
     WHERE number > ?1 ORDER BY number LIMIT ?2";
const LAST_CHANGE: &str = "SELECT position, hash FROM changes ORDER BY position DESC LIMIT 1";
const LAST_CHECKPOINT: &str = "SELECT number, at, position, changes, hash FROM checkpoints
     ORDER BY number DESC LIMIT 1";
const SUBJECTS: &str = "SELECT subjects.id, kind, names.name, state, created_at
     FROM subjects JOIN names ON names.id = merchant WHERE subjects.id > ?1 ORDER BY subjects.id LIMIT ?2";
const COLUMNS: &str = "SELECT names.name, at, events, public_before, public
     FROM changes LEFT JOIN names ON names.id = merchant WHERE subject = ?1 ORDER BY sequence";
const PERSONAL: &str = "SELECT body FROM personal
     WHERE position IN (SELECT position FROM changes WHERE subject = ?1)";
const STRAY_PERSONAL: &str = "SELECT count(*) FROM personal
     WHERE position NOT IN (SELECT position FROM changes)";
/// A key is written with a change of its merchant, at the same time.
const STRAY_KEYS: &str = "SELECT key FROM idempotency LEFT JOIN changes USING (subject, sequence)
     WHERE changes.at IS NOT idempotency.at OR changes.merchant IS NOT idempotency.merchant
     ORDER BY idempotency.merchant, key LIMIT ?1";
const PERSONAL_ERASED: &str = "DELETE FROM personal
     WHERE position IN (SELECT position FROM changes WHERE subject = ?1)";
/// `lower` leaves all letters but those of ASCII.
const NOTIFICATIONS_ERASED: &str = "DELETE FROM inbox
     WHERE account = ?1 AND instr(lower(targets), ?2) > 0";

pub(super) fn checkpoint(db: &Connection, row: &CheckpointRow) -> Result<(), StoreError> {
    let (number, position, changes) = (integer(row.number), integer(row.position), integer(row.changes));
    run(db, CHECKPOINT, (number, row.at.micros(), position, changes, row.hash.0)).map(drop)
}

/// The position and hash of the newest change.
pub(super) fn last_change(db: &Connection) -> Result<Option<(u64, Hash)>, StoreError> {
    one(db, LAST_CHANGE, [], |row| Ok((count(row, 0)?, hash(row, 1)?)))
}

/// Deletes the personal values of a subject, and the stored notifications that name its objects. Like where they are
/// processed, an id in other capitals is the same id.
pub(super) fn erase(db: &Connection, subject: Uuid, objects: &[(String, String)]) -> Result<(), StoreError> {
    run(db, PERSONAL_ERASED, [blob(subject)])?;
    for (account, name) in objects {
        let quoted = serde_json::to_string(&name.to_ascii_lowercase()).expect("a text is always JSON");
        run(db, NOTIFICATIONS_ERASED, (account, quoted))?;
    }
    Ok(())
}

impl dyn Store + '_ {
    /// The subjects after one, by id, at most `limit`.
    pub async fn subjects_after(
        &self,
        after: Option<Uuid>,
        limit: u32,
    ) -> Result<Vec<SubjectRow>, StoreError> {
        self.read(move |db| all(db, SUBJECTS, (blob(after.unwrap_or_default()), limit), subject_row)).await
    }

    /// How many subjects there are.
    pub async fn subject_count(&self) -> Result<u64, StoreError> {
        self.read(|db| row_count(db, "SELECT count(*) FROM subjects")).await
    }

    /// How many changes there are, of all subjects.
    pub async fn change_count(&self) -> Result<u64, StoreError> {
        self.read(|db| row_count(db, "SELECT count(*) FROM changes")).await
    }

    /// How many lookup rows there are.
    pub async fn lookup_count(&self) -> Result<u64, StoreError> {
        self.read(|db| LOOKUP_TABLES.iter().map(|table| row_count(db, table.count)).sum()).await
    }

    /// Which of these lookup rows of a subject are missing.
    pub async fn missing_lookups(
        &self,
        subject: Uuid,
        merchant: &str,
        lookups: Vec<Lookup>,
    ) -> Result<Vec<Lookup>, StoreError> {
        let merchant = merchant.to_owned();
        self.read(move |db| {
            let merchant = number(db, &merchant)?.unwrap_or_default();
            let mut missing = Vec::new();
            for lookup in lookups {
                let account = |name: &str| Ok(number(db, name)?.unwrap_or_default());
                let found = with_row(&lookup, subject, merchant, account, |table, values| {
                    one(db, table.find, values, |_| Ok(()))
                })?;
                missing.extend(found.is_none().then_some(lookup));
            }
            Ok(missing)
        })
        .await
    }

    /// The columns of each change of a subject, oldest first.
    pub async fn change_columns(&self, subject: Uuid) -> Result<Vec<ChangeColumns>, StoreError> {
        self.read(move |db| all(db, COLUMNS, [blob(subject)], change_columns)).await
    }

    /// The personal values of a subject that still exist, as they are stored.
    pub async fn personal_values(&self, subject: Uuid) -> Result<Vec<String>, StoreError> {
        let rows: Vec<String> =
            self.read(move |db| all(db, PERSONAL, [blob(subject)], |row| Ok(row.get(0)?))).await?;
        Ok(rows.iter().flat_map(|row| row.lines()).map(str::to_owned).collect())
    }

    /// How many rows of personal values belong to no change.
    pub async fn stray_personal_count(&self) -> Result<u64, StoreError> {
        self.read(|db| row_count(db, STRAY_PERSONAL)).await
    }

    /// The idempotency keys that name no change of their merchant and time, at most `limit`.
    pub async fn stray_keys(&self, limit: u32) -> Result<Vec<String>, StoreError> {
        self.read(move |db| all(db, STRAY_KEYS, [limit], |row| Ok(row.get(0)?))).await
    }

    /// The hashes of the changes after a position, in the order of their commits, at most `limit`.
    pub async fn change_hashes(&self, after: u64, limit: u32) -> Result<Vec<(u64, Hash)>, StoreError> {
        let sql = "SELECT position, hash FROM changes WHERE position > ?1 ORDER BY position LIMIT ?2";
        let values = (integer(after), limit);
        self.read(move |db| all(db, sql, values, |row| Ok((count(row, 0)?, hash(row, 1)?)))).await
    }

    /// The position and hash of the newest change.
    pub async fn last_change(&self) -> Result<Option<(u64, Hash)>, StoreError> {
        self.read(last_change).await
    }

    /// The checkpoints after a number, oldest first, at most `limit`.
    pub async fn checkpoints(&self, after: u64, limit: u32) -> Result<Vec<CheckpointRow>, StoreError> {
        self.read(move |db| all(db, CHECKPOINTS, (integer(after), limit), checkpoint_row)).await
    }

    /// The newest checkpoint.
    pub async fn last_checkpoint(&self) -> Result<Option<CheckpointRow>, StoreError> {
        self.read(|db| one(db, LAST_CHECKPOINT, [], checkpoint_row)).await
    }
}

fn row_count(db: &Connection, sql: &str) -> Result<u64, StoreError> {
    Ok(one(db, sql, [], |row| count(row, 0))?.unwrap_or(0))
}

fn subject_row(row: &Row<'_>) -> Result<SubjectRow, StoreError> {
    Ok(SubjectRow {
        id: uuid(row, 0)?,
        kind: coded(row, 1, SubjectKind::from_repr)?,
        merchant: row.get(2)?,
        state: row.get(3)?,
        created_at: time(row, 4)?,
    })
}

fn change_columns(row: &Row<'_>) -> Result<ChangeColumns, StoreError> {
    Ok(ChangeColumns {
        merchant: row.get::<_, Option<String>>(0)?.unwrap_or_default(),
        at_micros: row.get(1)?,
        events: count(row, 2)?,
        public_before: count(row, 3)?,
        public: count(row, 4)?,
    })
}

fn checkpoint_row(row: &Row<'_>) -> Result<CheckpointRow, StoreError> {
    Ok(CheckpointRow {
        number: count(row, 0)?,
        at: time(row, 1)?,
        position: count(row, 2)?,
        changes: count(row, 3)?,
        hash: hash(row, 4)?,
    })
}
