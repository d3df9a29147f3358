//! Running statements, and reading rows.

use port::{Timestamp, Uuid};
use rusqlite::{Connection, ErrorCode, Params, Row};

use crate::domain::Hash;
use crate::store::{StoreError, Unique};

/// The error for a violated unique constraint, by its columns.
const UNIQUE_VIOLATIONS: [(&str, StoreError); 5] = [
    ("changes.subject, changes.sequence", StoreError::Conflict),
    ("order_references.merchant, order_references.reference", StoreError::Taken(Unique::OrderReference)),
    ("profile_references.account, profile_references.reference", StoreError::Taken(Unique::ProfileReference)),
    ("used_profile_sessions.session", StoreError::Taken(Unique::ProfileSession)),
    ("inbox.account, inbox.identity", StoreError::Taken(Unique::Notification)),
];

/// What the database says of a disk that is full, read-only or broken.
const DISK: [ErrorCode; 4] =
    [ErrorCode::DiskFull, ErrorCode::ReadOnly, ErrorCode::SystemIoFailure, ErrorCode::CannotOpen];

impl From<rusqlite::Error> for StoreError {
    fn from(error: rusqlite::Error) -> Self {
        // Another program locks the database. This can only happen at the start of a transaction, when nothing is
        // written yet.
        if error.sqlite_error_code() == Some(ErrorCode::DatabaseBusy) {
            return Self::Busy;
        }
        let text = error.to_string();
        let code = error.sqlite_error_code();
        if code.is_some_and(|code| DISK.contains(&code)) {
            return Self::Disk(text);
        }
        let columns = text.strip_prefix("UNIQUE constraint failed: ");
        let meaning = UNIQUE_VIOLATIONS.into_iter().find(|(unique, _)| columns == Some(unique));
        meaning.map_or(Self::Failed(text), |(_, meaning)| meaning)
    }
}

/// Runs a statement and returns how many rows it changed.
pub(super) fn run(db: &Connection, sql: &str, values: impl Params) -> Result<usize, StoreError> {
    Ok(db.prepare_cached(sql)?.execute(values)?)
}

/// Every row of a query.
pub(super) fn all<T>(
    db: &Connection,
    sql: &str,
    values: impl Params,
    read: impl Fn(&Row<'_>) -> Result<T, StoreError>,
) -> Result<Vec<T>, StoreError> {
    let mut statement = db.prepare_cached(sql)?;
    statement.query_and_then(values, read)?.collect()
}

/// The first row of a query.
pub(super) fn one<T>(
    db: &Connection,
    sql: &str,
    values: impl Params,
    read: impl Fn(&Row<'_>) -> Result<T, StoreError>,
) -> Result<Option<T>, StoreError> {
    let mut statement = db.prepare_cached(sql)?;
    statement.query_and_then(values, read)?.next().transpose()
}

/// Converts to SQLite's signed integers. No count comes near their limit.
pub(super) fn integer(count: u64) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}

/// An id as it is stored.
pub(super) fn blob(id: Uuid) -> [u8; 16] {
    *id.as_bytes()
}

pub(super) fn corrupt(row: &Row<'_>, column: usize, fault: impl std::fmt::Display) -> StoreError {
    let name = row.as_ref().column_name(column).unwrap_or("a column");
    StoreError::Corrupt(format!("{name}: {fault}"))
}

/// A text, without a copy.
pub(super) fn text<'a>(row: &'a Row<'_>, column: usize) -> Result<&'a str, StoreError> {
    row.get_ref(column)?.as_str().map_err(|fault| corrupt(row, column, fault))
}

pub(super) fn time(row: &Row<'_>, column: usize) -> Result<Timestamp, StoreError> {
    Ok(Timestamp::from_micros(row.get(column)?))
}

/// A time that may be absent.
pub(super) fn maybe_time(row: &Row<'_>, column: usize) -> Result<Option<Timestamp>, StoreError> {
    Ok(row.get::<_, Option<i64>>(column)?.map(Timestamp::from_micros))
}

/// A sequence, a position or a count.
pub(super) fn count(row: &Row<'_>, column: usize) -> Result<u64, StoreError> {
    u64::try_from(row.get::<_, i64>(column)?).map_err(|fault| corrupt(row, column, fault))
}

/// The same where it may be absent.
pub(super) fn maybe_count(row: &Row<'_>, column: usize) -> Result<Option<u64>, StoreError> {
    row.get::<_, Option<i64>>(column)?.map(|_| count(row, column)).transpose()
}

pub(super) fn uuid(row: &Row<'_>, column: usize) -> Result<Uuid, StoreError> {
    Ok(Uuid::from_bytes(row.get(column)?))
}

pub(super) fn hash(row: &Row<'_>, column: usize) -> Result<Hash, StoreError> {
    Ok(Hash(row.get(column)?))
}

/// Converts a number column to an enum.
pub(super) fn coded<T>(
    row: &Row<'_>,
    column: usize,
    read: impl Fn(u8) -> Option<T>,
) -> Result<T, StoreError> {
    read(row.get(column)?).ok_or_else(|| corrupt(row, column, "an unknown number"))
}
