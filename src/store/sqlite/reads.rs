//! Reads: rows back into what they were made from.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::str::FromStr;
use std::sync::mpsc::sync_channel;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;

use port::{OrderId, Timestamp};
use rusqlite::{Connection, Params, Row};
use serde::de::DeserializeOwned;

use super::executor::Executor;
use super::rows::integer;
use super::{OpenError, Query};
use crate::domain::{OrderAggregate, Record, RecordedEvent};
use crate::store::{ApiKeyRow, InboxRow, KeyRow, KeyUse, OrderLocator, StoreError};

/// Puts a thread behind each connection; they share one queue.
pub(super) fn start(connections: Vec<Connection>, capacity: usize) -> Result<Executor<Query>, OpenError> {
    let (queue, work) = sync_channel::<Query>(capacity);
    let work = Arc::new(Mutex::new(work));
    let mut threads = Vec::with_capacity(connections.len());
    for db in connections {
        let work = work.clone();
        let next = move || work.lock().unwrap_or_else(PoisonError::into_inner).recv();
        let serve = move || {
            while let Ok(query) = next() {
                // A read that panics is answered by its absence; its snapshot ends with it.
                let _ = catch_unwind(AssertUnwindSafe(|| query(&db)));
            }
        };
        let thread = thread::Builder::new().name("store-reader".to_owned()).spawn(serve);
        threads.push(thread.map_err(OpenError::Thread)?);
    }
    Ok(Executor::threads(queue, threads))
}

/// Reads without seeing anything that is committed meanwhile.
pub(super) fn in_snapshot<T>(
    db: &Connection,
    query: impl FnOnce(&Connection) -> Result<T, StoreError>,
) -> Result<T, StoreError> {
    let snapshot = db.unchecked_transaction()?;
    query(&snapshot)
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

fn corrupt(row: &Row<'_>, column: usize, fault: impl std::fmt::Display) -> StoreError {
    let name = row.as_ref().column_name(column).unwrap_or("a column");
    StoreError::Corrupt(format!("{name}: {fault}"))
}

fn text<'a>(row: &'a Row<'_>, column: usize) -> Result<&'a str, StoreError> {
    row.get_ref(column)?.as_str().map_err(|fault| corrupt(row, column, fault))
}

/// Something that is stored as a word.
pub(super) fn word<T: FromStr<Err: std::fmt::Display>>(
    row: &Row<'_>,
    column: usize,
) -> Result<T, StoreError> {
    text(row, column)?.parse().map_err(|fault| corrupt(row, column, fault))
}

/// Something that is stored as JSON.
pub(super) fn json<T: DeserializeOwned>(row: &Row<'_>, column: usize) -> Result<T, StoreError> {
    serde_json::from_str(text(row, column)?).map_err(|fault| corrupt(row, column, fault))
}

/// A time.
pub(super) fn moment(row: &Row<'_>, column: usize) -> Result<Timestamp, StoreError> {
    Ok(Timestamp::from_micros(row.get(column)?))
}

/// A place or a count.
pub(super) fn count(row: &Row<'_>, column: usize) -> Result<u64, StoreError> {
    u64::try_from(row.get::<_, i64>(column)?).map_err(|fault| corrupt(row, column, fault))
}

/// An order's file.
pub(super) fn order(db: &Connection, id: OrderId) -> Result<Option<OrderAggregate>, StoreError> {
    let id = id.to_string();
    let sql = "SELECT sequence, notices, head, body FROM orders WHERE id = ?1";
    let order = one(db, sql, [&id], |row| {
        Ok(OrderAggregate {
            header: json(row, 3)?,
            sessions: parts(db, "SELECT body FROM sessions WHERE order_id = ?1 ORDER BY id", &id)?,
            attempts: parts(db, "SELECT body FROM attempts WHERE order_id = ?1 ORDER BY id", &id)?,
            payments: parts(db, "SELECT body FROM payments WHERE order_id = ?1 ORDER BY id", &id)?,
            refunds: parts(db, "SELECT body FROM refunds WHERE order_id = ?1 ORDER BY id", &id)?,
            attention: parts(db, "SELECT body FROM attention WHERE order_id = ?1 ORDER BY id", &id)?,
            sequence: count(row, 0)?,
            public_sequence: count(row, 1)?,
            head: word(row, 2)?,
        })
    })?;
    order.map(|order| unsealed(db, order)).transpose()
}

/// An order's file as it was after an event.
pub(super) fn order_at(
    db: &Connection,
    id: OrderId,
    sequence: u64,
) -> Result<Option<OrderAggregate>, StoreError> {
    let events = events(db, id, 0, u32::try_from(sequence).unwrap_or(u32::MAX))?;
    if events.is_empty() {
        return Ok(None);
    }
    let order = OrderAggregate::replay(&events).map_err(|error| StoreError::Corrupt(error.to_string()))?;
    Ok(Some(unsealed(db, order)?))
}

/// A file with what still exists of its personal data.
fn unsealed(db: &Connection, mut order: OrderAggregate) -> Result<OrderAggregate, StoreError> {
    let id = order.id().to_string();
    for slot in order.slots() {
        let sql = "SELECT body FROM sealed WHERE order_id = ?1 AND digest = ?2";
        let body = one(db, sql, [id.as_str(), slot.digest()], |row| Ok(text(row, 0)?.into()))?;
        body.into_iter().for_each(|body| slot.fill(body));
    }
    Ok(order)
}

fn parts<T: DeserializeOwned>(db: &Connection, sql: &str, order: &str) -> Result<Vec<T>, StoreError> {
    all(db, sql, [order], |row| json(row, 0))
}

/// The order that something belongs to.
pub(super) fn order_of(db: &Connection, locator: &OrderLocator) -> Result<Option<OrderId>, StoreError> {
    let (sql, value) = match locator {
        OrderLocator::Session(id) => ("SELECT order_id FROM sessions WHERE id = ?1", id.to_string()),
        OrderLocator::Payment(id) => ("SELECT order_id FROM payments WHERE id = ?1", id.to_string()),
        OrderLocator::Refund(id) => ("SELECT order_id FROM refunds WHERE id = ?1", id.to_string()),
        OrderLocator::Attempt(id) => ("SELECT order_id FROM attempts WHERE id = ?1", id.to_string()),
        OrderLocator::Attention(id) => ("SELECT order_id FROM attention WHERE id = ?1", id.to_string()),
        OrderLocator::Return(hash) => ("SELECT order_id FROM attempts WHERE return_hash = ?1", hash.clone()),
        OrderLocator::Reference { account, reference } => {
            let sql = "SELECT order_id FROM attempts WHERE account = ?1 AND reference = ?2
                       ORDER BY id DESC LIMIT 1";
            return one(db, sql, [account, reference], |row| word(row, 0));
        }
    };
    one(db, sql, [value], |row| word(row, 0))
}

/// Events of an order after a place.
pub(super) fn events(
    db: &Connection,
    order: OrderId,
    after: u64,
    limit: u32,
) -> Result<Vec<RecordedEvent>, StoreError> {
    let sql = "SELECT id, sequence, notice, text, hash FROM events
               WHERE order_id = ?1 AND sequence > ?2 ORDER BY sequence LIMIT ?3";
    all(db, sql, (order.to_string(), integer(after), limit), |row| {
        let notice = row.get::<_, Option<i64>>(2)?.map(|_| count(row, 2)).transpose()?;
        Ok(RecordedEvent {
            id: word(row, 0)?,
            order,
            sequence: count(row, 1)?,
            public_sequence: notice,
            record: json::<Record>(row, 3)?,
            text: text(row, 3)?.into(),
            hash: word(row, 4)?,
        })
    })
}

/// A merchant's idempotency key.
pub(super) fn key(db: &Connection, merchant: &str, key: &str) -> Result<Option<KeyUse>, StoreError> {
    let sql = "SELECT fingerprint, order_id, sequence, at FROM idempotency WHERE merchant = ?1 AND key = ?2
               UNION ALL
               SELECT fingerprint, NULL, 0, at FROM endpoint_keys WHERE merchant = ?1 AND key = ?2
               UNION ALL
               SELECT fingerprint, NULL, 0, at FROM profile_keys WHERE merchant = ?1 AND key = ?2";
    one(db, sql, [merchant, key], |row| {
        let fingerprint: String = row.get(0)?;
        if row.get::<_, Option<String>>(1)?.is_none() {
            return Ok(KeyUse { fingerprint, row: None });
        }
        let found = KeyRow {
            merchant: merchant.to_owned(),
            key: key.to_owned(),
            fingerprint: fingerprint.clone(),
            order: word(row, 1)?,
            sequence: count(row, 2)?,
            at: moment(row, 3)?,
            replaces: None,
        };
        Ok(KeyUse { fingerprint, row: Some(found) })
    })
}

fn api_key_row(row: &Row<'_>) -> Result<ApiKeyRow, StoreError> {
    Ok(ApiKeyRow {
        hash: row.get(0)?,
        hint: row.get(1)?,
        merchant: row.get(2)?,
        scopes: json(row, 3)?,
        created_at: moment(row, 4)?,
        revoked_at: row.get::<_, Option<i64>>(5)?.map(Timestamp::from_micros),
    })
}

/// An API key.
pub(super) fn api_key(db: &Connection, hash: &str) -> Result<Option<ApiKeyRow>, StoreError> {
    let sql = "SELECT hash, hint, merchant, scopes, created_at, revoked_at FROM api_keys WHERE hash = ?1";
    one(db, sql, [hash], api_key_row)
}

/// Every API key.
pub(super) fn api_keys(db: &Connection) -> Result<Vec<ApiKeyRow>, StoreError> {
    let sql = "SELECT hash, hint, merchant, scopes, created_at, revoked_at FROM api_keys
               ORDER BY created_at, hash";
    all(db, sql, [], api_key_row)
}

/// A value that the installation keeps.
pub(super) fn setting(db: &Connection, name: &str) -> Result<Option<String>, StoreError> {
    one(db, "SELECT value FROM settings WHERE name = ?1", [name], |row| Ok(row.get(0)?))
}

/// A stored notification.
pub(super) fn notification(db: &Connection, id: &str) -> Result<Option<InboxRow>, StoreError> {
    let sql = "SELECT id, account, identity, headers, body, hints, received_at FROM inbox WHERE id = ?1";
    one(db, sql, [id], |row| {
        Ok(InboxRow {
            id: word(row, 0)?,
            account: row.get(1)?,
            identity: row.get(2)?,
            headers: row.get(3)?,
            body: row.get(4)?,
            targets: row.get(5)?,
            received_at: moment(row, 6)?,
        })
    })
}
