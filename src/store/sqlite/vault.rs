//! Stored payment methods and the sessions that store them.

use async_trait::async_trait;
use port::{ProfileId, ProfileSessionId};
use rusqlite::{Connection, params};

use super::Sqlite;
use super::reads::{all, json, moment, one, word};
use super::rows::{integer, run};
use crate::domain::{Profile, ProfileSession};
use crate::store::{ProfileFilter, ProfileKeyRow, StoreError, Unique, VaultReads, VaultWrite};

const SESSION: &str = "INSERT INTO profile_sessions VALUES (?1, ?2, ?3, ?4, ?5, ?6, NULL)
     ON CONFLICT (id) DO NOTHING";
const SESSION_AGAIN: &str = "UPDATE profile_sessions
     SET account = ?2, reference = ?3, return_hash = ?4, version = ?5, body = ?6
     WHERE id = ?1 AND version = ?5 - 1";
const USED: &str = "UPDATE profile_sessions SET order_id = ?2 WHERE id = ?1 AND order_id IS NULL";
const PROFILE: &str = "INSERT INTO profiles VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8) ON CONFLICT DO NOTHING";
const PROFILE_AGAIN: &str = "UPDATE profiles SET forgotten = ?2, version = ?3, body = ?4
     WHERE id = ?1 AND version = ?3 - 1";
const KEY: &str = "INSERT INTO profile_keys VALUES (?1, ?2, ?3, ?4, ?5)
     ON CONFLICT (merchant, key) DO UPDATE SET session_id = excluded.session_id, at = excluded.at
     WHERE session_id = ?6";

/// Writes one row.
pub(super) fn write(db: &Connection, row: &VaultWrite) -> Result<(), StoreError> {
    let (written, otherwise) = match row {
        VaultWrite::Session(row) => (session(db, row)?, StoreError::Conflict),
        VaultWrite::Profile(row) => (profile(db, row)?, StoreError::Conflict),
        VaultWrite::Key(row) => (key(db, row)?, StoreError::Taken(Unique::Key)),
        VaultWrite::Used { session, order } => {
            let used = run(db, USED, (session.to_string(), order.to_string()))?;
            (used, StoreError::Taken(Unique::ProfileSession))
        }
    };
    if written == 0 { Err(otherwise) } else { Ok(()) }
}

fn body<T: serde::Serialize>(value: &T) -> Result<String, StoreError> {
    serde_json::to_string(value).map_err(|fault| StoreError::Corrupt(fault.to_string()))
}

fn session(db: &Connection, row: &ProfileSession) -> Result<usize, StoreError> {
    let start = &row.start;
    let values = params![
        row.id.to_string(),
        start.account,
        start.reference,
        start.return_hash,
        integer(row.version),
        body(row)?,
    ];
    run(db, if row.version == 1 { SESSION } else { SESSION_AGAIN }, values)
}

fn profile(db: &Connection, row: &Profile) -> Result<usize, StoreError> {
    let (id, version, body) = (row.id.to_string(), integer(row.version), body(row)?);
    if row.version > 1 {
        return run(db, PROFILE_AGAIN, (id, row.forgotten, version, body));
    }
    let values =
        params![id, row.merchant, row.customer_id, row.account, row.reference, row.forgotten, version, body];
    run(db, PROFILE, values)
}

fn key(db: &Connection, row: &ProfileKeyRow) -> Result<usize, StoreError> {
    let values = params![
        row.merchant,
        row.key,
        row.fingerprint,
        row.session.to_string(),
        row.at.micros(),
        row.replaces.map(|session| session.to_string()),
    ];
    run(db, KEY, values)
}

#[async_trait]
impl VaultReads for Sqlite {
    async fn profile_session(&self, id: ProfileSessionId) -> Result<Option<ProfileSession>, StoreError> {
        let sql = "SELECT body FROM profile_sessions WHERE id = ?1";
        self.read(move |db| one(db, sql, [id.to_string()], |row| json(row, 0))).await
    }

    async fn profile_session_of(&self, return_hash: &str) -> Result<Option<ProfileSession>, StoreError> {
        let hash = return_hash.to_owned();
        let sql = "SELECT body FROM profile_sessions WHERE return_hash = ?1";
        self.read(move |db| one(db, sql, [hash], |row| json(row, 0))).await
    }

    async fn profile(&self, id: ProfileId) -> Result<Option<Profile>, StoreError> {
        let sql = "SELECT body FROM profiles WHERE id = ?1";
        self.read(move |db| one(db, sql, [id.to_string()], |row| json(row, 0))).await
    }

    async fn profile_at(&self, account: &str, reference: &str) -> Result<Option<Profile>, StoreError> {
        let values = [account.to_owned(), reference.to_owned()];
        let sql = "SELECT body FROM profiles WHERE account = ?1 AND reference = ?2";
        self.read(move |db| one(db, sql, values, |row| json(row, 0))).await
    }

    async fn profiles(&self, filter: &ProfileFilter) -> Result<Vec<Profile>, StoreError> {
        let filter = filter.clone();
        let sql = "SELECT body FROM profiles
                   WHERE merchant = ?1 AND customer = ?2 AND NOT forgotten AND (?3 IS NULL OR id < ?3)
                   ORDER BY id DESC LIMIT ?4";
        self.read(move |db| {
            let values = (filter.merchant, filter.customer_id, filter.page.before, filter.page.limit);
            all(db, sql, values, |row| json(row, 0))
        })
        .await
    }

    async fn profile_key(&self, merchant: &str, key: &str) -> Result<Option<ProfileKeyRow>, StoreError> {
        let values = [merchant.to_owned(), key.to_owned()];
        let sql = "SELECT merchant, key, fingerprint, session_id, at FROM profile_keys
                   WHERE merchant = ?1 AND key = ?2";
        self.read(move |db| {
            one(db, sql, values, |row| {
                Ok(ProfileKeyRow {
                    merchant: row.get(0)?,
                    key: row.get(1)?,
                    fingerprint: row.get(2)?,
                    session: word(row, 3)?,
                    at: moment(row, 4)?,
                    replaces: None,
                })
            })
        })
        .await
    }
}
