//! Small rows that are found by a name: idempotency keys, API keys, settings, notifications.

use port::{NotificationId, Uuid};
use rusqlite::{Connection, Row};

use super::names::number;
use super::statement::{all, blob, count, json, maybe_moment, moment, one, uuid};
use crate::store::{ApiKeyRow, IdempotencyRow, InboxRow, StoreError};

const API_KEYS: &str = "SELECT hash, hint, merchant, scopes, created_at, revoked_at FROM api_keys";

/// A merchant's idempotency key.
pub(super) fn idempotency(
    db: &Connection,
    merchant: &str,
    key: &str,
) -> Result<Option<IdempotencyRow>, StoreError> {
    let Some(owner) = number(db, merchant)? else { return Ok(None) };
    let sql = "SELECT fingerprint, subject, sequence, at FROM idempotency WHERE merchant = ?1 AND key = ?2";
    one(db, sql, (owner, key), |row| {
        let subject: Uuid = uuid(row, 1)?;
        Ok(IdempotencyRow {
            merchant: merchant.to_owned(),
            key: key.to_owned(),
            fingerprint: row.get(0)?,
            subject,
            sequence: count(row, 2)?,
            at: moment(row, 3)?,
            replaces: None,
        })
    })
}

fn api_key_row(row: &Row<'_>) -> Result<ApiKeyRow, StoreError> {
    Ok(ApiKeyRow {
        hash: row.get(0)?,
        hint: row.get(1)?,
        merchant: row.get(2)?,
        scopes: json(row, 3)?,
        created_at: moment(row, 4)?,
        revoked_at: maybe_moment(row, 5)?,
    })
}

/// An API key.
pub(super) fn api_key(db: &Connection, hash: &str) -> Result<Option<ApiKeyRow>, StoreError> {
    one(db, &format!("{API_KEYS} WHERE hash = ?1"), [hash], api_key_row)
}

/// Every API key.
pub(super) fn api_keys(db: &Connection) -> Result<Vec<ApiKeyRow>, StoreError> {
    all(db, &format!("{API_KEYS} ORDER BY created_at, hash"), [], api_key_row)
}

/// A value that the installation keeps.
pub(super) fn setting(db: &Connection, name: &str) -> Result<Option<String>, StoreError> {
    one(db, "SELECT value FROM settings WHERE name = ?1", [name], |row| Ok(row.get(0)?))
}

/// A stored notification.
pub(super) fn notification(db: &Connection, id: NotificationId) -> Result<Option<InboxRow>, StoreError> {
    let sql = "SELECT account, identity, headers, body, targets, received_at FROM inbox WHERE id = ?1";
    one(db, sql, [blob(id.uuid())], |row| {
        Ok(InboxRow {
            id,
            account: row.get(0)?,
            identity: row.get(1)?,
            headers: row.get(2)?,
            body: row.get(3)?,
            targets: row.get(4)?,
            received_at: moment(row, 5)?,
        })
    })
}
