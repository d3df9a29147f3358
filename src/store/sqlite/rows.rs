//! Rows: a statement for each kind, and what it means if another row is in the way.

use port::Timestamp;
use rusqlite::{Connection, ErrorCode, Params, params};

use super::{audit, vault, webhooks};
use crate::domain::RecordedEvent;
use crate::store::{ApiKeyRow, InboxRow, Job, KeyRow, OrderRow, StoreError, Unique, Write};

const EVENT: &str = "INSERT INTO events (order_id, sequence, id, notice, at, text, hash)
     VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)";
const SEALED: &str = "INSERT INTO sealed VALUES (?1, ?2, ?3) ON CONFLICT DO NOTHING";
const ORDER: &str = "INSERT INTO orders VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)
     ON CONFLICT (id) DO UPDATE SET state = excluded.state, sequence = excluded.sequence,
         notices = excluded.notices, head = excluded.head, body = excluded.body";
const SESSION: &str = "INSERT INTO sessions VALUES (?1, ?2, ?3)
     ON CONFLICT (id) DO UPDATE SET body = excluded.body";
const ATTEMPT: &str = "INSERT INTO attempts VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)
     ON CONFLICT (id) DO UPDATE SET reference = excluded.reference, open = excluded.open,
         return_hash = excluded.return_hash, body = excluded.body";
const PAYMENT: &str = "INSERT INTO payments VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)
     ON CONFLICT (id) DO UPDATE SET account = excluded.account, status = excluded.status,
         body = excluded.body, unsettled = excluded.unsettled";
const REFUND: &str = "INSERT INTO refunds VALUES (?1, ?2, ?3)
     ON CONFLICT (id) DO UPDATE SET body = excluded.body";
const ATTENTION: &str = "INSERT INTO attention VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)
     ON CONFLICT (id) DO UPDATE SET open = excluded.open, body = excluded.body";
/// Places grow within an order, so that one of two who replace the same row finds another place there.
const KEY: &str = "INSERT INTO idempotency VALUES (?1, ?2, ?3, ?4, ?5, ?6)
     ON CONFLICT (merchant, key) DO UPDATE SET fingerprint = excluded.fingerprint,
         sequence = excluded.sequence, at = excluded.at
     WHERE order_id = excluded.order_id AND sequence = ?7";
const DUE: &str = "INSERT INTO agenda VALUES (?1, ?2, ?3, ?4, 0, NULL)
     ON CONFLICT (kind, subject) DO UPDATE SET order_id = excluded.order_id, due_at = excluded.due_at,
         tries = 0, lease = NULL";
const NOT_DUE: &str = "DELETE FROM agenda WHERE kind = ?1 AND subject = ?2";
const LATER: &str = "UPDATE agenda SET due_at = ?4, lease = NULL
     WHERE kind = ?1 AND subject = ?2 AND lease = ?3";
const DONE: &str = "DELETE FROM agenda WHERE kind = ?1 AND subject = ?2 AND lease = ?3 AND due_at = ?4";
const FREE: &str = "UPDATE agenda SET lease = NULL WHERE kind = ?1 AND subject = ?2 AND lease = ?3";
const NOTE: &str = "INSERT INTO inbox VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)";
const FORGET: &str = "DELETE FROM inbox WHERE id = ?1";
const API_KEY: &str = "INSERT INTO api_keys VALUES (?1, ?2, ?3, ?4, ?5, ?6)
     ON CONFLICT (hash) DO UPDATE SET scopes = excluded.scopes, revoked_at = excluded.revoked_at";
const SETTING: &str = "INSERT INTO settings VALUES (?1, ?2) ON CONFLICT DO NOTHING";

/// What it means that a row is in the way, by the columns that must be unique.
const UNIQUE_VIOLATIONS: [(&str, StoreError); 4] = [
    ("events.order_id, events.sequence", StoreError::Conflict),
    ("orders.merchant, orders.reference", StoreError::Taken(Unique::Reference)),
    ("attempts.order_id", StoreError::Taken(Unique::OpenAttempt)),
    ("inbox.account, inbox.identity", StoreError::Taken(Unique::Note)),
];

impl From<rusqlite::Error> for StoreError {
    fn from(error: rusqlite::Error) -> Self {
        // Somebody's tool holds the file. That shows where a transaction begins, when nothing is written yet.
        if error.sqlite_error_code() == Some(ErrorCode::DatabaseBusy) {
            return Self::Busy;
        }
        let text = error.to_string();
        let columns = text.strip_prefix("UNIQUE constraint failed: ");
        let meaning = UNIQUE_VIOLATIONS.into_iter().find(|(unique, _)| columns == Some(unique));
        meaning.map_or(Self::Failed(text), |(_, meaning)| meaning)
    }
}

/// Runs a statement and says how many rows it wrote.
pub(super) fn run(db: &Connection, sql: &str, values: impl Params) -> Result<usize, StoreError> {
    Ok(db.prepare_cached(sql)?.execute(values)?)
}

/// Writes one row. What never changes in a row is not written again.
pub(super) fn write(db: &Connection, row: &Write) -> Result<(), StoreError> {
    let written = match row {
        Write::Event(event) => append(db, event),
        Write::Erasable { order, digest, body } => run(db, SEALED, (order.to_string(), &**digest, &**body)),
        Write::Order(row) => order(db, row),
        Write::Session { id, order, body } => run(db, SESSION, (id.to_string(), order.to_string(), body)),
        Write::Attempt { id, order, account, reference, open, return_hash, body } => {
            let (id, order) = (id.to_string(), order.to_string());
            run(db, ATTEMPT, (id, order, account, reference, open, return_hash, body))
        }
        Write::Payment { id, order, merchant, account, status, open, body } => {
            let (id, order) = (id.to_string(), order.to_string());
            run(db, PAYMENT, (id, order, merchant, account, status, body, open))
        }
        Write::Refund { id, order, body } => run(db, REFUND, (id.to_string(), order.to_string(), body)),
        Write::Attention { id, order, merchant, account, code, open, body } => {
            run(db, ATTENTION, (id, order.to_string(), merchant, code, open, body, account))
        }
        Write::Key(row) => return key(db, row),
        Write::Job { kind, subject, order, at: Some(at) } => {
            let order = order.map(|order| order.to_string());
            run(db, DUE, (kind.as_str(), subject, order, at.micros()))
        }
        Write::Job { kind, subject, at: None, .. } => run(db, NOT_DUE, (kind.as_str(), subject)),
        Write::Release { job, at } => return release(db, job, *at),
        Write::Notification(row) => notification(db, row),
        Write::PruneNotification(note) => run(db, FORGET, [note.to_string()]),
        Write::ApiKey(row) => api_key(db, row),
        Write::Checkpoint(row) => audit::checkpoint(db, row),
        Write::EraseCustomer { merchant, customer } => audit::erase_customer(db, merchant, customer),
        Write::Erase { order, objects } => audit::erase(db, *order, objects),
        Write::Setting { name, value } => run(db, SETTING, (name, value)),
        Write::Webhook(row) => return webhooks::write(db, row),
        Write::Vault(row) => return vault::write(db, row),
    };
    written.map(drop)
}

/// SQLite's integers have a sign. No count of ours comes near the end of them.
pub(super) fn integer(count: u64) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}

/// Ends a lease that still stands. A row that was made due again meanwhile without ending the lease stays.
pub(super) fn release(db: &Connection, job: &Job, at: Option<Timestamp>) -> Result<(), StoreError> {
    let (kind, subject, lease) = (job.kind.as_str(), &job.subject, job.lease.0.micros());
    match at {
        Some(at) => run(db, LATER, (kind, subject, lease, at.micros()))?,
        None if run(db, DONE, (kind, subject, lease, job.at.micros()))? == 0 => {
            run(db, FREE, (kind, subject, lease))?
        }
        None => 0,
    };
    Ok(())
}

fn append(db: &Connection, event: &RecordedEvent) -> Result<usize, StoreError> {
    let values = params![
        event.order.to_string(),
        integer(event.sequence),
        event.id.to_string(),
        event.public_sequence.map(integer),
        event.record.at.micros(),
        &*event.text,
        event.hash.to_string(),
    ];
    run(db, EVENT, values)
}

fn order(db: &Connection, row: &OrderRow) -> Result<usize, StoreError> {
    let values = params![
        row.id.to_string(),
        row.merchant,
        row.reference,
        row.state,
        row.created_at.micros(),
        integer(row.sequence),
        integer(row.public_sequence),
        row.head,
        row.body,
    ];
    run(db, ORDER, values)
}

fn key(db: &Connection, row: &KeyRow) -> Result<(), StoreError> {
    let values = params![
        row.merchant,
        row.key,
        row.fingerprint,
        row.order.to_string(),
        integer(row.sequence),
        row.at.micros(),
        row.replaces.map(integer),
    ];
    match run(db, KEY, values)? {
        0 => Err(StoreError::Taken(Unique::Key)),
        _ => Ok(()),
    }
}

fn notification(db: &Connection, row: &InboxRow) -> Result<usize, StoreError> {
    let values = params![
        row.id.to_string(),
        row.account,
        row.identity,
        row.headers,
        row.body,
        row.targets,
        row.received_at.micros(),
    ];
    run(db, NOTE, values)
}

fn api_key(db: &Connection, row: &ApiKeyRow) -> Result<usize, StoreError> {
    let scopes = serde_json::to_string(&row.scopes).expect("words are always JSON");
    let values = params![
        row.hash,
        row.hint,
        row.merchant,
        scopes,
        row.created_at.micros(),
        row.revoked_at.map(|at| at.micros()),
    ];
    run(db, API_KEY, values)
}
