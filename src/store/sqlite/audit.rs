//! Reads across all merchants, for checks of the books, and what they write.

use port::Uuid;
use rusqlite::{Connection, Row};

use super::names::number;
use super::statement::{all, blob, coded, count, hash, integer, moment, one, run, uuid};
use crate::domain::{Hash, Lookup, SubjectKind};
use crate::store::{CheckpointRow, StoreError, SubjectRow};

const CHECKPOINT: &str =
    "INSERT INTO checkpoints (number, at, position, changes, hash) VALUES (?1, ?2, ?3, ?4, ?5)";
const CHECKPOINTS: &str = "SELECT number, at, position, changes, hash FROM checkpoints
     WHERE number > ?1 ORDER BY number LIMIT ?2";
const LAST_CHECKPOINT: &str = "SELECT number, at, position, changes, hash FROM checkpoints
     ORDER BY number DESC LIMIT 1";
const SUBJECTS: &str = "SELECT subjects.id, kind, names.name, state, created_at
     FROM subjects JOIN names ON names.id = merchant WHERE subjects.id > ?1 ORDER BY subjects.id LIMIT ?2";
const LOOKUP_TABLES: [&str; 7] = [
    "order_references",
    "provider_references",
    "payments",
    "attention",
    "customer_profiles",
    "profile_references",
    "used_profile_sessions",
];

/// Writes a checkpoint.
pub(super) fn checkpoint(db: &Connection, row: &CheckpointRow) -> Result<(), StoreError> {
    let (number, position, changes) = (integer(row.number), integer(row.position), integer(row.changes));
    run(db, CHECKPOINT, (number, row.at.micros(), position, changes, row.hash.0)).map(drop)
}

/// Deletes the personal values of a subject, and the stored notifications that name its objects.
pub(super) fn erase(db: &Connection, subject: Uuid, objects: &[(String, String)]) -> Result<(), StoreError> {
    run(db, "DELETE FROM personal WHERE subject = ?1", [blob(subject)])?;
    for (account, reference) in objects {
        let quoted =
            serde_json::to_string(reference).map_err(|fault| StoreError::Corrupt(fault.to_string()))?;
        run(db, "DELETE FROM inbox WHERE account = ?1 AND instr(targets, ?2) > 0", (account, quoted))?;
    }
    Ok(())
}

/// The subjects after one.
pub(super) fn subjects_after(
    db: &Connection,
    after: Option<Uuid>,
    limit: u32,
) -> Result<Vec<SubjectRow>, StoreError> {
    all(db, SUBJECTS, (blob(after.unwrap_or_default()), limit), |row| {
        Ok(SubjectRow {
            id: uuid(row, 0)?,
            kind: coded(row, 1, SubjectKind::from_repr)?,
            merchant: row.get(2)?,
            state: row.get(3)?,
            created_at: moment(row, 4)?,
        })
    })
}

/// How many subjects there are.
pub(super) fn subject_count(db: &Connection) -> Result<u64, StoreError> {
    Ok(one(db, "SELECT count(*) FROM subjects", [], |row| count(row, 0))?.unwrap_or(0))
}

/// How many changes there are.
pub(super) fn change_count(db: &Connection) -> Result<u64, StoreError> {
    Ok(one(db, "SELECT count(*) FROM changes", [], |row| count(row, 0))?.unwrap_or(0))
}

/// How many rows there are that lead to subjects.
pub(super) fn lookup_count(db: &Connection) -> Result<u64, StoreError> {
    let mut total = 0;
    for table in LOOKUP_TABLES {
        let sql = format!("SELECT count(*) FROM {table}");
        total += one(db, &sql, [], |row| count(row, 0))?.unwrap_or(0);
    }
    Ok(total)
}

/// Those of the rows that should lead to a subject and do not.
pub(super) fn missing_lookups(
    db: &Connection,
    subject: Uuid,
    merchant: &str,
    lookups: Vec<Lookup>,
) -> Result<Vec<Lookup>, StoreError> {
    let merchant = number(db, merchant)?.unwrap_or_default();
    let mut missing = Vec::new();
    for lookup in lookups {
        if !has(db, subject, merchant, &lookup)? {
            missing.push(lookup);
        }
    }
    Ok(missing)
}

fn has(db: &Connection, subject: Uuid, merchant: i64, lookup: &Lookup) -> Result<bool, StoreError> {
    let subject = blob(subject);
    let account = |name: &str| Ok::<_, StoreError>(number(db, name)?.unwrap_or_default());
    let found = match lookup {
        Lookup::OrderReference(reference) => {
            let sql =
                "SELECT 1 FROM order_references WHERE merchant = ?1 AND reference = ?2 AND subject = ?3";
            one(db, sql, (merchant, reference, subject), |_| Ok(()))
        }
        Lookup::ProviderReference { account: name, reference } => {
            let sql =
                "SELECT 1 FROM provider_references WHERE account = ?1 AND reference = ?2 AND subject = ?3";
            one(db, sql, (account(name)?, reference, subject), |_| Ok(()))
        }
        Lookup::Payment { id, account: name, status, open, created_at } => {
            let sql = "SELECT 1 FROM payments WHERE merchant = ?1 AND account = ?2 AND status = ?3
                       AND created_at = ?4 AND id = ?5 AND open = ?6";
            let id = blob(id.uuid());
            one(db, sql, (merchant, account(name)?, status.as_str(), created_at.micros(), id, open), |_| {
                Ok(())
            })
        }
        Lookup::Attention { id, account: name, code, open, raised_at } => {
            let sql = "SELECT 1 FROM attention WHERE merchant = ?1 AND open = ?2 AND raised_at = ?3
                       AND id = ?4 AND account = ?5 AND code = ?6";
            let id = blob(id.uuid());
            one(db, sql, (merchant, open, raised_at.micros(), id, account(name)?, code.as_str()), |_| Ok(()))
        }
        Lookup::CustomerProfile { customer_id, id } => {
            let sql = "SELECT 1 FROM customer_profiles WHERE merchant = ?1 AND customer = ?2 AND id = ?3";
            one(db, sql, (merchant, customer_id, blob(id.uuid())), |_| Ok(()))
        }
        Lookup::ProfileReference { account: name, reference } => {
            let sql =
                "SELECT 1 FROM profile_references WHERE account = ?1 AND reference = ?2 AND subject = ?3";
            one(db, sql, (account(name)?, reference, subject), |_| Ok(()))
        }
        Lookup::ProfileSessionUsed(session) => {
            let sql = "SELECT 1 FROM used_profile_sessions WHERE session = ?1 AND subject = ?2";
            one(db, sql, (blob(session.uuid()), subject), |_| Ok(()))
        }
    };
    Ok(found?.is_some())
}

/// The hashes of the changes after a position.
pub(super) fn change_hashes(db: &Connection, after: u64, limit: u32) -> Result<Vec<(u64, Hash)>, StoreError> {
    let sql = "SELECT position, hash FROM changes WHERE position > ?1 ORDER BY position LIMIT ?2";
    all(db, sql, (integer(after), limit), |row| Ok((count(row, 0)?, hash(row, 1)?)))
}

/// The checkpoints after a number.
pub(super) fn checkpoints(db: &Connection, after: u64, limit: u32) -> Result<Vec<CheckpointRow>, StoreError> {
    all(db, CHECKPOINTS, (integer(after), limit), checkpoint_row)
}

/// The newest checkpoint.
pub(super) fn last_checkpoint(db: &Connection) -> Result<Option<CheckpointRow>, StoreError> {
    one(db, LAST_CHECKPOINT, [], checkpoint_row)
}

fn checkpoint_row(row: &Row<'_>) -> Result<CheckpointRow, StoreError> {
    Ok(CheckpointRow {
        number: count(row, 0)?,
        at: moment(row, 1)?,
        position: count(row, 2)?,
        changes: count(row, 3)?,
        hash: hash(row, 4)?,
    })
}
