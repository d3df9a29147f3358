//! Writes one change: the change of its subject, lookup rows, due times, then the further rows.

use rusqlite::{Connection, params};

use super::deliveries::DROP_STREAMS;
use super::lookups::with_row;
use super::names::Names;
use super::statement::{blob, integer, run};
use super::{audit, deliveries, jobs};
use crate::store::{ApiKeyRow, Change, IdempotencyRow, InboxRow, StoreError, SubjectChange, Unique, Write};

const CHANGE: &str = "INSERT INTO changes
         (subject, sequence, events, public_before, public, merchant, at, record, hash)
     VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)";
const PERSONAL: &str = "INSERT INTO personal (position, body) VALUES (?1, ?2)";
const SUBJECT: &str =
    "INSERT INTO subjects (id, kind, merchant, state, created_at) VALUES (?1, ?2, ?3, ?4, ?5)";
const STATE: &str = "UPDATE subjects SET state = ?2 WHERE id = ?1";
const SNAPSHOT: &str = "INSERT INTO snapshots (subject, sequence, body) VALUES (?1, ?2, ?3)
     ON CONFLICT (subject) DO UPDATE SET sequence = excluded.sequence, body = excluded.body";
const KEY: &str = "INSERT INTO idempotency (merchant, key, fingerprint, subject, sequence, at)
     VALUES (?1, ?2, ?3, ?4, ?5, ?6) ON CONFLICT DO NOTHING";
/// Of two requests that replace the same row, the second updates nothing.
const REPLACE_KEY: &str = "UPDATE idempotency SET fingerprint = ?3, subject = ?4, sequence = ?5, at = ?6
     WHERE merchant = ?1 AND key = ?2 AND subject = ?7 AND sequence = ?8";
const NOTIFICATION: &str = "INSERT INTO inbox (id, account, identity, headers, body, targets, received_at)
     VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)";
const DELETE_NOTIFICATION: &str = "DELETE FROM inbox WHERE id = ?1";
const API_KEY: &str = "INSERT INTO api_keys (hash, hint, merchant, scopes, created_at, revoked_at)
     VALUES (?1, ?2, ?3, ?4, ?5, ?6)
     ON CONFLICT (hash) DO UPDATE SET scopes = excluded.scopes, revoked_at = excluded.revoked_at";
/// Larger than a page, so that it needs room.
const PROBE: &str = "INSERT INTO settings (name, value) VALUES ('probe', printf('%.*c', 16384, 'x'))";
const PROBE_GONE: &str = "DELETE FROM settings WHERE name = 'probe'";
const SETTING: &str = "INSERT INTO settings (name, value) VALUES (?1, ?2) ON CONFLICT DO NOTHING";

/// Writes a change. Its idempotency key is written first, so that a repeat is detected before any other conflict: it fails
/// with `Taken(IdempotencyKey)` and has written nothing.
pub(super) fn write_change(db: &Connection, names: &Names, change: &Change) -> Result<(), StoreError> {
    for write in &change.writes {
        if let Write::IdempotencyKey(row) = write {
            write_key(db, names, row)?;
        }
    }
    if let Some(subject) = &change.subject {
        write_subject(db, names, subject)?;
    }
    change.writes.iter().try_for_each(|write| write_row(db, names, write))
}

fn write_subject(db: &Connection, names: &Names, change: &SubjectChange) -> Result<(), StoreError> {
    let (id, merchant) = (blob(change.id), names.number(&change.merchant)?);
    let values = params![
        id,
        integer(change.first),
        integer(change.events),
        integer(change.public_before),
        integer(change.public),
        merchant,
        change.at.micros(),
        &*change.text,
        change.hash.0,
    ];
    run(db, CHANGE, values)?;
    if let Some(body) = &change.personal {
        run(db, PERSONAL, (db.last_insert_rowid(), body))?;
    }
    let last = change.first + change.events - 1;
    match (change.created_at, change.state) {
        (Some(at), state) => {
            let state = state.unwrap_or_default();
            run(db, SUBJECT, (id, change.kind as u8, merchant, state, at.micros()))?;
        }
        (None, Some(state)) => drop(run(db, STATE, (id, state))?),
        (None, None) => {}
    }
    let number = |account: &str| names.number(account);
    for row in &change.gone {
        with_row(row, change.id, merchant, number, |table, values| run(db, table.delete, values))?;
    }
    for row in &change.added {
        with_row(row, change.id, merchant, number, |table, values| run(db, table.insert, values))?;
    }
    for (lane, due) in &change.schedule {
        jobs::schedule(db, names.lane(lane)?, change, last, *due)?;
    }
    if let Some(body) = &change.snapshot {
        run(db, SNAPSHOT, (id, integer(last), body))?;
    }
    Ok(())
}

fn write_row(db: &Connection, names: &Names, row: &Write) -> Result<(), StoreError> {
    match row {
        // Written before all others.
        Write::IdempotencyKey(_) => Ok(()),
        Write::Wake(wake) => jobs::wake(db, names.lane(&wake.lane)?, wake),
        Write::Reschedule(done) => jobs::reschedule(db, names.lane(&done.job.lane)?, done),
        Write::Notification(row) => notification(db, row),
        Write::DeleteNotification(id) => run(db, DELETE_NOTIFICATION, [blob(id.uuid())]).map(drop),
        Write::Checkpoint(row) => audit::checkpoint(db, row),
        Write::ErasePersonal { subject, objects } => audit::erase(db, *subject, objects),
        Write::ApiKey(row) => api_key(db, row),
        Write::Setting { name, value } => run(db, SETTING, (name, value)).map(drop),
        Write::Probe => run(db, PROBE, []).and_then(|_| run(db, PROBE_GONE, [])).map(drop),
        Write::Enqueue { stream, first, last, at } => deliveries::enqueue(db, *stream, *first, *last, *at),
        Write::Advance { delivery, position, at } => deliveries::advance(db, delivery, *position, *at),
        Write::DropStreams(endpoint) => run(db, DROP_STREAMS, [blob(endpoint.uuid())]).map(drop),
        Write::BringForward { by } => jobs::bring_forward(db, *by),
        Write::Delivery(row) => deliveries::insert_delivery(db, row),
        Write::EndpointFailing { endpoint, since } => deliveries::failing(db, *endpoint, *since),
        Write::EndpointWorks { endpoint, at } => deliveries::works(db, *endpoint, *at),
    }
}

fn write_key(db: &Connection, names: &Names, row: &IdempotencyRow) -> Result<(), StoreError> {
    let merchant = names.number(&row.merchant)?;
    let (subject, sequence) = (blob(row.subject), integer(row.sequence));
    let written = match row.replaces {
        None => run(db, KEY, (merchant, &row.key, row.fingerprint, subject, sequence, row.at.micros()))?,
        Some((old, old_sequence)) => {
            let values = params![
                merchant,
                row.key,
                row.fingerprint,
                subject,
                sequence,
                row.at.micros(),
                blob(old),
                integer(old_sequence),
            ];
            run(db, REPLACE_KEY, values)?
        }
    };
    if written == 0 { Err(StoreError::Taken(Unique::IdempotencyKey)) } else { Ok(()) }
}

fn notification(db: &Connection, row: &InboxRow) -> Result<(), StoreError> {
    let values = params![
        blob(row.id.uuid()),
        row.account,
        row.identity,
        row.headers,
        row.body,
        row.targets,
        row.received_at.micros(),
    ];
    run(db, NOTIFICATION, values).map(drop)
}

fn api_key(db: &Connection, row: &ApiKeyRow) -> Result<(), StoreError> {
    let scopes = serde_json::to_string(&row.scopes).expect("texts are always JSON");
    let values = params![
        row.hash,
        row.hint,
        row.merchant,
        scopes,
        row.created_at.micros(),
        row.revoked_at.map(|at| at.micros()),
    ];
    run(db, API_KEY, values).map(drop)
}
