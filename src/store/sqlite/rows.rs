//! Writes one change: the change of its subject, lookup rows, due times, then the further rows.

use rusqlite::{Connection, params};

use super::names::Names;
use super::statement::{blob, integer, run};
use super::{audit, deliveries, jobs};
use crate::domain::Lookup;
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
const KEY_AGAIN: &str = "UPDATE idempotency SET fingerprint = ?3, subject = ?4, sequence = ?5, at = ?6
     WHERE merchant = ?1 AND key = ?2 AND subject = ?7 AND sequence = ?8";
const NOTIFICATION: &str = "INSERT INTO inbox (id, account, identity, headers, body, targets, received_at)
     VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)";
const NO_NOTIFICATION: &str = "DELETE FROM inbox WHERE id = ?1";
const API_KEY: &str = "INSERT INTO api_keys (hash, hint, merchant, scopes, created_at, revoked_at)
     VALUES (?1, ?2, ?3, ?4, ?5, ?6)
     ON CONFLICT (hash) DO UPDATE SET scopes = excluded.scopes, revoked_at = excluded.revoked_at";
const SETTING: &str = "INSERT INTO settings (name, value) VALUES (?1, ?2) ON CONFLICT DO NOTHING";

/// Writes a change. Its idempotency key is written first, so that a repeat is detected before any other conflict and
/// has written nothing.
pub(super) fn write_change(db: &Connection, names: &Names, change: &Change) -> Result<(), StoreError> {
    if !write_key(db, names, change)? {
        return Err(StoreError::Taken(Unique::Key));
    }
    write_all_but_key(db, names, change)
}

/// Writes a change's key, if it has one. False if it is in use: then nothing is written.
pub(super) fn write_key(db: &Connection, names: &Names, change: &Change) -> Result<bool, StoreError> {
    let row = change.writes.iter().find_map(|write| match write {
        Write::Key(row) => Some(row),
        _ => None,
    });
    row.map_or(Ok(true), |row| key(db, names, row))
}

/// Writes the rest of a change whose key is written.
pub(super) fn write_all_but_key(db: &Connection, names: &Names, change: &Change) -> Result<(), StoreError> {
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
    for lookup in &change.gone {
        write_lookup(db, names, change, lookup, false)?;
    }
    for lookup in &change.added {
        write_lookup(db, names, change, lookup, true)?;
    }
    for (lane, due) in &change.schedule {
        jobs::schedule(db, names.lane(lane)?, change, last, *due)?;
    }
    if let Some(body) = &change.snapshot {
        run(db, SNAPSHOT, (id, integer(last), body))?;
    }
    Ok(())
}

/// Inserts or deletes a lookup row.
fn write_lookup(
    db: &Connection,
    names: &Names,
    change: &SubjectChange,
    lookup: &Lookup,
    add: bool,
) -> Result<(), StoreError> {
    let (subject, merchant) = (blob(change.id), names.number(&change.merchant)?);
    let sql = sql_of(lookup, add);
    match lookup {
        Lookup::OrderReference(reference) => run(db, sql, (merchant, reference, subject)),
        Lookup::ProviderReference { account, reference } => {
            run(db, sql, (names.number(account)?, reference, subject))
        }
        Lookup::Payment { id, account, status, open, created_at } => {
            let values = params![
                merchant,
                names.number(account)?,
                status.as_str(),
                created_at.micros(),
                blob(id.uuid()),
                open
            ];
            run(db, sql, values)
        }
        Lookup::Attention { id, account, code, open, raised_at } => {
            let values = params![
                merchant,
                open,
                raised_at.micros(),
                blob(id.uuid()),
                names.number(account)?,
                code.as_str()
            ];
            run(db, sql, values)
        }
        Lookup::CustomerProfile { customer_id, id } => run(db, sql, (merchant, customer_id, blob(id.uuid()))),
        Lookup::ProfileReference { account, reference } => {
            run(db, sql, (names.number(account)?, reference, subject))
        }
        Lookup::ProfileSessionUsed(session) => run(db, sql, (blob(session.uuid()), subject)),
    }
    .map(drop)
}

/// The statement for a kind of row; both take the same values.
fn sql_of(lookup: &Lookup, add: bool) -> &'static str {
    match (lookup, add) {
        (Lookup::OrderReference(_), true) => "INSERT INTO order_references VALUES (?1, ?2, ?3)",
        (Lookup::OrderReference(_), false) => {
            "DELETE FROM order_references WHERE merchant = ?1 AND reference = ?2 AND subject = ?3"
        }
        (Lookup::ProviderReference { .. }, true) => {
            "INSERT INTO provider_references VALUES (?1, ?2, ?3) ON CONFLICT DO NOTHING"
        }
        (Lookup::ProviderReference { .. }, false) => {
            "DELETE FROM provider_references WHERE account = ?1 AND reference = ?2 AND subject = ?3"
        }
        (Lookup::Payment { .. }, true) => "INSERT INTO payments VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
        (Lookup::Payment { .. }, false) => {
            "DELETE FROM payments WHERE merchant = ?1 AND account = ?2 AND status = ?3 AND created_at = ?4
                 AND id = ?5 AND open = ?6"
        }
        (Lookup::Attention { .. }, true) => "INSERT INTO attention VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
        (Lookup::Attention { .. }, false) => {
            "DELETE FROM attention WHERE merchant = ?1 AND open = ?2 AND raised_at = ?3 AND id = ?4
                 AND account = ?5 AND code = ?6"
        }
        (Lookup::CustomerProfile { .. }, true) => "INSERT INTO customer_profiles VALUES (?1, ?2, ?3)",
        (Lookup::CustomerProfile { .. }, false) => {
            "DELETE FROM customer_profiles WHERE merchant = ?1 AND customer = ?2 AND id = ?3"
        }
        (Lookup::ProfileReference { .. }, true) => "INSERT INTO profile_references VALUES (?1, ?2, ?3)",
        (Lookup::ProfileReference { .. }, false) => {
            "DELETE FROM profile_references WHERE account = ?1 AND reference = ?2 AND subject = ?3"
        }
        (Lookup::ProfileSessionUsed(_), true) => "INSERT INTO used_profile_sessions VALUES (?1, ?2)",
        (Lookup::ProfileSessionUsed(_), false) => {
            "DELETE FROM used_profile_sessions WHERE session = ?1 AND subject = ?2"
        }
    }
}

fn write_row(db: &Connection, names: &Names, row: &Write) -> Result<(), StoreError> {
    match row {
        // Written before all others.
        Write::Key(_) => Ok(()),
        Write::Wake(wake) => jobs::wake(db, names.lane(&wake.lane)?, wake),
        Write::Reschedule(done) => jobs::reschedule(db, names.lane(&done.job.lane)?, done),
        Write::Notification(row) => notification(db, row),
        Write::DeleteNotification(id) => run(db, NO_NOTIFICATION, [blob(id.uuid())]).map(drop),
        Write::Checkpoint(row) => audit::checkpoint(db, row),
        Write::ErasePersonal { subject, objects } => audit::erase(db, *subject, objects),
        Write::ApiKey(row) => api_key(db, row),
        Write::Setting { name, value } => run(db, SETTING, (name, value)).map(drop),
        Write::Enqueue { stream, first, last, at } => deliveries::enqueue(db, *stream, *first, *last, *at),
        Write::Advance { delivery, position, at } => deliveries::advance(db, delivery, *position, *at),
        Write::DropStreams(endpoint) => deliveries::drop_streams(db, *endpoint),
        Write::Delivery(row) => deliveries::tried(db, row),
        Write::EndpointFailing { endpoint, since } => deliveries::failing(db, *endpoint, *since),
    }
}

fn key(db: &Connection, names: &Names, row: &IdempotencyRow) -> Result<bool, StoreError> {
    let merchant = names.number(&row.merchant)?;
    let (subject, sequence) = (blob(row.subject), integer(row.sequence));
    let written = match row.replaces {
        None => run(db, KEY, (merchant, &row.key, row.fingerprint, subject, sequence, row.at.micros()))?,
        Some((old, place)) => {
            let values = params![
                merchant,
                row.key,
                row.fingerprint,
                subject,
                sequence,
                row.at.micros(),
                blob(old),
                integer(place),
            ];
            run(db, KEY_AGAIN, values)?
        }
    };
    Ok(written > 0)
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
