//! Reads of single rows by key: idempotency keys, API keys, settings, notifications.

use port::NotificationId;
use rusqlite::{Connection, Row};

use super::statement::{all, blob, corrupt, count, maybe_time, one, text, time, uuid};
use crate::store::{ApiKeyRow, IdempotencyRow, InboxRow, Store, StoreError};

impl dyn Store + '_ {
    pub async fn idempotency(&self, merchant: &str, key: &str) -> Result<Option<IdempotencyRow>, StoreError> {
        const SQL: &str =
            "SELECT fingerprint, subject, sequence, at FROM idempotency WHERE merchant = ?1 AND key = ?2";
        let (owner, key) = (merchant.to_owned(), key.to_owned());
        self.read_of(merchant, move |db, merchant| {
            one(db, SQL, (merchant, &key), |row| {
                Ok(IdempotencyRow {
                    merchant: owner.clone(),
                    key: key.clone(),
                    fingerprint: row.get(0)?,
                    subject: uuid(row, 1)?,
                    sequence: count(row, 2)?,
                    at: time(row, 3)?,
                    replaces: None,
                })
            })
        })
        .await
    }

    /// An API key by the hash of its text.
    pub async fn api_key(&self, hash: &str) -> Result<Option<ApiKeyRow>, StoreError> {
        const SQL: &str =
            "SELECT hash, hint, merchant, scopes, created_at, revoked_at FROM api_keys WHERE hash = ?1";
        let hash = hash.to_owned();
        self.read(move |db| one(db, SQL, [hash], api_key_row)).await
    }

    /// Every API key, oldest first. Only hashes are stored.
    pub async fn api_keys(&self) -> Result<Vec<ApiKeyRow>, StoreError> {
        const SQL: &str = "SELECT hash, hint, merchant, scopes, created_at, revoked_at FROM api_keys
             ORDER BY created_at, hash";
        self.read(|db| all(db, SQL, [], api_key_row)).await
    }

    /// A value of the installation.
    pub async fn setting(&self, name: &str) -> Result<Option<String>, StoreError> {
        let name = name.to_owned();
        let sql = "SELECT value FROM settings WHERE name = ?1";
        self.read(move |db| one(db, sql, [name], |row| Ok(row.get(0)?))).await
    }

    /// The accounts that have stored notifications, by name.
    pub async fn notified_accounts(&self) -> Result<Vec<String>, StoreError> {
        const SQL: &str = "SELECT DISTINCT account FROM inbox ORDER BY account";
        self.read(|db| all(db, SQL, [], |row| Ok(row.get(0)?))).await
    }

    pub async fn notification(&self, id: NotificationId) -> Result<Option<InboxRow>, StoreError> {
        let sql = "SELECT account, identity, headers, body, targets, received_at FROM inbox WHERE id = ?1";
        let read = move |row: &Row<'_>| {
            Ok(InboxRow {
                id,
                account: row.get(0)?,
                identity: row.get(1)?,
                headers: row.get(2)?,
                body: row.get(3)?,
                targets: row.get(4)?,
                received_at: time(row, 5)?,
            })
        };
        self.read(move |db| one(db, sql, [blob(id.uuid())], read)).await
    }
}

pub(super) fn has_api_key(db: &Connection, hash: &str) -> Result<bool, StoreError> {
    Ok(one(db, "SELECT 1 FROM api_keys WHERE hash = ?1", [hash], |_| Ok(()))?.is_some())
}

fn api_key_row(row: &Row<'_>) -> Result<ApiKeyRow, StoreError> {
    Ok(ApiKeyRow {
        hash: row.get(0)?,
        hint: row.get(1)?,
        merchant: row.get(2)?,
        scopes: serde_json::from_str(text(row, 3)?).map_err(|fault| corrupt(row, 3, fault))?,
        created_at: time(row, 4)?,
        revoked_at: maybe_time(row, 5)?,
    })
}
