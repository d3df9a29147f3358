//! Telling merchants: endpoints, what they are owed, and what became of every try.

use std::time::Duration;

use async_trait::async_trait;
use port::{EndpointId, EventId, ExposeSecret as _, Secret, Timestamp};
use rusqlite::types::Value;
use rusqlite::{Connection, Row, params, params_from_iter};

use super::Sqlite;
use super::reads::{all, count, json, moment, one, word};
use super::rows::{integer, release, run};
use crate::store::{
    Cursor, DeliveryRow, DeliveryStream, Disabled, EndpointKeyRow, EndpointRow, Job, OldSecret,
    OutboundEventFilter, OutboundEventRow, Page, StoreError, Unique, WebhookReads, WebhookWrite,
};

/// For how long tries are kept.
const DELIVERIES_KEPT: Duration = Duration::from_secs(30 * 24 * 3_600);

const NOTICE: &str = "INSERT INTO notices VALUES (?1, ?2, ?3, ?4, ?5)";
const ENDPOINT: &str =
    "INSERT INTO endpoints VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14)
     ON CONFLICT (id) DO NOTHING";
const ENDPOINT_AGAIN: &str = "UPDATE endpoints SET url = ?3, types = ?4, description = ?5, secret = ?6,
         old_secret = ?7, old_secret_until = ?8, updated_at = ?10, off_since = ?11, off_because = ?12,
         failing_since = ?13, version = ?14
     WHERE id = ?1 AND version = ?14 - 1";
const ENDPOINT_KEY: &str = "INSERT INTO endpoint_keys VALUES (?1, ?2, ?3, ?4, ?5) ON CONFLICT DO NOTHING";
const ENDPOINT_GONE: &str = "DELETE FROM endpoints WHERE id = ?1";
const NOT_OWED: &str = "DELETE FROM agenda WHERE kind = 'deliver' AND substr(subject, 1, 29) = ?1";
const NO_CURSORS: &str = "DELETE FROM cursors WHERE endpoint_id = ?1";
const FAILING: &str = "UPDATE endpoints SET failing_since = ?2
     WHERE id = ?1 AND (failing_since IS NULL) = (?2 IS NOT NULL)";
/// A row that somebody works on gets a later moment, so that he who ends it sees that there is more. It is later
/// even if both fall into the same millisecond.
const OWED: &str = "INSERT INTO agenda VALUES ('deliver', ?1, ?2, ?3, 0, NULL)
     ON CONFLICT (kind, subject) DO UPDATE SET due_at = max(due_at + 1000, excluded.due_at)
     WHERE lease IS NOT NULL";
const DUE_AT_ONCE: &str = "UPDATE agenda SET due_at = ?2
     WHERE kind = 'deliver' AND subject = ?1 AND lease IS NULL AND due_at > ?2";
const CURSOR: &str = "INSERT INTO cursors VALUES (?1, ?2, ?3, ?4, ?5, 0)
     ON CONFLICT (endpoint_id, order_id, again) DO UPDATE SET
         next = min(next, excluded.next), last = max(last, excluded.last),
         failures = CASE WHEN excluded.again THEN 0 ELSE failures END";
const SETTLED: &str = "UPDATE cursors SET next = ?6, failures = ?7
     WHERE endpoint_id = ?1 AND order_id = ?2 AND again = ?3 AND next = ?5
         AND EXISTS (SELECT 1 FROM agenda WHERE kind = 'deliver' AND subject = ?4 AND lease = ?8)";
const CURSOR_DONE: &str = "DELETE FROM cursors WHERE endpoint_id = ?1 AND order_id = ?2 AND again = ?3
     AND NOT EXISTS (SELECT 1 FROM agenda WHERE kind = 'deliver' AND subject = ?4)";
const TRIED: &str = "INSERT INTO deliveries VALUES (NULL, ?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11)";
/// Two go for each that comes, so that all that are too old go in time.
const OLD_TRIES: &str = "DELETE FROM deliveries
     WHERE position IN (SELECT position FROM deliveries ORDER BY position LIMIT 2) AND at < ?1";

/// Writes one row.
pub(super) fn write(db: &Connection, row: &WebhookWrite) -> Result<(), StoreError> {
    match row {
        WebhookWrite::OutboundEvent(row) => outbound_event(db, row),
        WebhookWrite::Endpoint(row) => endpoint(db, row),
        WebhookWrite::EndpointKey(row) => endpoint_key(db, row),
        WebhookWrite::Gone(id) => {
            run(db, ENDPOINT_GONE, [id.to_string()])?;
            owed_nothing(db, *id)
        }
        WebhookWrite::Failing { endpoint, since } => {
            run(db, FAILING, (endpoint.to_string(), since.map(Timestamp::micros))).map(drop)
        }
        WebhookWrite::Enqueue { stream, first, last, at } => owed(db, *stream, *first, *last, *at),
        WebhookWrite::Attempted(row) => tried(db, row),
        WebhookWrite::Advanced { job, stream, was, is, at } => advanced(db, job, *stream, *was, *is, *at),
    }
}

fn outbound_event(db: &Connection, row: &OutboundEventRow) -> Result<(), StoreError> {
    let (event, order) = (row.event.to_string(), row.order.to_string());
    run(db, NOTICE, (&row.merchant, event, order, integer(row.sequence), row.at.micros())).map(drop)
}

fn endpoint(db: &Connection, row: &EndpointRow) -> Result<(), StoreError> {
    let types = serde_json::to_string(&row.types).expect("words are always JSON");
    let old = row.old_secret.as_ref();
    let values = params![
        row.id.to_string(),
        row.merchant,
        row.url,
        types,
        row.description,
        row.secret.expose_secret(),
        old.map(|old| old.text.expose_secret()),
        old.map(|old| old.until.micros()),
        row.created_at.micros(),
        row.updated_at.micros(),
        row.disabled.map(|off| off.at.micros()),
        row.disabled.map(|off| off.reason.as_str()),
        row.failing_since.map(Timestamp::micros),
        integer(row.version),
    ];
    let written = run(db, if row.version == 1 { ENDPOINT } else { ENDPOINT_AGAIN }, values)?;
    if written == 0 {
        return Err(StoreError::Conflict);
    }
    if row.disabled.is_some() { owed_nothing(db, row.id) } else { Ok(()) }
}

fn endpoint_key(db: &Connection, row: &EndpointKeyRow) -> Result<(), StoreError> {
    let values = (&row.merchant, &row.key, &row.fingerprint, row.result.to_string(), row.at.micros());
    match run(db, ENDPOINT_KEY, values)? {
        0 => Err(StoreError::Taken(Unique::Key)),
        _ => Ok(()),
    }
}

fn owed_nothing(db: &Connection, endpoint: EndpointId) -> Result<(), StoreError> {
    run(db, NOT_OWED, [endpoint.to_string()])?;
    run(db, NO_CURSORS, [endpoint.to_string()]).map(drop)
}

fn owed(
    db: &Connection,
    stream: DeliveryStream,
    first: u64,
    last: Option<u64>,
    at: Timestamp,
) -> Result<(), StoreError> {
    let (subject, order) = (stream.to_string(), stream.order.to_string());
    run(db, OWED, (&subject, &order, at.micros()))?;
    if stream.replay {
        for subject in [subject, DeliveryStream { replay: false, ..stream }.to_string()] {
            run(db, DUE_AT_ONCE, (subject, at.micros()))?;
        }
    }
    let values = (stream.endpoint.to_string(), order, stream.replay, integer(first), last.map(integer));
    run(db, CURSOR, values).map(drop)
}

fn advanced(
    db: &Connection,
    job: &Job,
    stream: DeliveryStream,
    was: Cursor,
    is: Cursor,
    at: Option<Timestamp>,
) -> Result<(), StoreError> {
    let (endpoint, order) = (stream.endpoint.to_string(), stream.order.to_string());
    let values = params![
        endpoint,
        order,
        stream.replay,
        job.subject,
        integer(was.next),
        integer(is.next),
        is.failures,
        job.lease.0.micros(),
    ];
    run(db, SETTLED, values)?;
    release(db, job, at)?;
    if at.is_none() {
        run(db, CURSOR_DONE, (endpoint, order, stream.replay, &job.subject))?;
    }
    Ok(())
}

fn tried(db: &Connection, row: &DeliveryRow) -> Result<(), StoreError> {
    let values = params![
        row.endpoint.to_string(),
        row.order.to_string(),
        row.event.to_string(),
        row.event_type,
        integer(row.public_sequence),
        row.attempt,
        row.delivered,
        row.response_code,
        row.error,
        integer(row.duration_ms),
        row.at.micros(),
    ];
    run(db, TRIED, values)?;
    run(db, OLD_TRIES, [row.at.minus(DELIVERIES_KEPT).micros()]).map(drop)
}

const ENDPOINT_COLUMNS: &str =
    "SELECT id, merchant, url, types, description, secret, old_secret, old_secret_until,
     created_at, updated_at, off_since, off_because, failing_since, version FROM endpoints";

fn maybe_moment(row: &Row<'_>, column: usize) -> Result<Option<Timestamp>, StoreError> {
    Ok(row.get::<_, Option<i64>>(column)?.map(Timestamp::from_micros))
}

fn endpoint_row(row: &Row<'_>) -> Result<EndpointRow, StoreError> {
    let old = row.get::<_, Option<String>>(6)?.map(Secret::from).zip(maybe_moment(row, 7)?);
    let off = |since| Ok::<_, StoreError>(Disabled { at: since, reason: word(row, 11)? });
    Ok(EndpointRow {
        id: word(row, 0)?,
        merchant: row.get(1)?,
        url: row.get(2)?,
        types: json(row, 3)?,
        description: row.get(4)?,
        secret: Secret::from(row.get::<_, String>(5)?),
        old_secret: old.map(|(text, until)| OldSecret { text, until }),
        created_at: moment(row, 8)?,
        updated_at: moment(row, 9)?,
        disabled: maybe_moment(row, 10)?.map(off).transpose()?,
        failing_since: maybe_moment(row, 12)?,
        version: count(row, 13)?,
    })
}

fn delivery_row(row: &Row<'_>) -> Result<DeliveryRow, StoreError> {
    Ok(DeliveryRow {
        position: count(row, 0)?,
        endpoint: word(row, 1)?,
        order: word(row, 2)?,
        event: word(row, 3)?,
        event_type: row.get(4)?,
        public_sequence: count(row, 5)?,
        attempt: row.get(6)?,
        delivered: row.get(7)?,
        response_code: row.get(8)?,
        error: row.get(9)?,
        duration_ms: count(row, 10)?,
        at: moment(row, 11)?,
    })
}

fn notice_row(row: &Row<'_>) -> Result<OutboundEventRow, StoreError> {
    Ok(OutboundEventRow {
        merchant: row.get(0)?,
        event: word(row, 1)?,
        order: word(row, 2)?,
        sequence: count(row, 3)?,
        at: moment(row, 4)?,
    })
}

const NOTICE_COLUMNS: &str =
    "SELECT merchant, event_id, order_id, sequence, at FROM notices WHERE merchant = ?1";

fn outbound_events(
    db: &Connection,
    filter: OutboundEventFilter,
) -> Result<Vec<OutboundEventRow>, StoreError> {
    let mut sql = NOTICE_COLUMNS.to_owned();
    let mut values: Vec<Value> = vec![filter.merchant.into()];
    let narrower = [
        (" AND at >= ?", filter.from.map(|at| at.micros().into())),
        (" AND at < ?", filter.to.map(|at| at.micros().into())),
        (" AND event_id < ?", filter.page.before.map(Value::from)),
        (" ORDER BY event_id DESC LIMIT ?", Some(filter.page.limit.into())),
    ];
    for (condition, value) in narrower {
        if let Some(value) = value {
            sql.push_str(condition);
            values.push(value);
        }
    }
    all(db, &sql, params_from_iter(values), notice_row)
}

fn deliveries(db: &Connection, endpoint: EndpointId, page: &Page) -> Result<Vec<DeliveryRow>, StoreError> {
    let sql = "SELECT position, endpoint_id, order_id, event_id, event_type, notice, attempt, delivered,
                   response_code, error, duration_ms, at
               FROM deliveries WHERE endpoint_id = ?1 AND position < ?2 ORDER BY position DESC LIMIT ?3";
    // A cursor that is none of ours finds nothing.
    let before = page.before.as_ref().map_or(i64::MAX, |text| text.parse().unwrap_or(0));
    all(db, sql, (endpoint.to_string(), before, page.limit), delivery_row)
}

#[async_trait]
impl WebhookReads for Sqlite {
    async fn endpoints(&self) -> Result<Vec<EndpointRow>, StoreError> {
        let sql = format!("{ENDPOINT_COLUMNS} ORDER BY id");
        self.read(move |db| all(db, &sql, [], endpoint_row)).await
    }

    async fn endpoint(&self, id: EndpointId) -> Result<Option<EndpointRow>, StoreError> {
        let sql = format!("{ENDPOINT_COLUMNS} WHERE id = ?1");
        self.read(move |db| one(db, &sql, [id.to_string()], endpoint_row)).await
    }

    async fn endpoint_key(&self, merchant: &str, key: &str) -> Result<Option<EndpointKeyRow>, StoreError> {
        let (merchant, key) = (merchant.to_owned(), key.to_owned());
        self.read(move |db| {
            let sql = "SELECT merchant, key, fingerprint, made, at FROM endpoint_keys
                       WHERE merchant = ?1 AND key = ?2";
            one(db, sql, [merchant, key], |row| {
                Ok(EndpointKeyRow {
                    merchant: row.get(0)?,
                    key: row.get(1)?,
                    fingerprint: row.get(2)?,
                    result: word(row, 3)?,
                    at: moment(row, 4)?,
                })
            })
        })
        .await
    }

    async fn cursor(&self, stream: DeliveryStream) -> Result<Option<Cursor>, StoreError> {
        self.read(move |db| {
            let sql = "SELECT next, last, failures FROM cursors
                       WHERE endpoint_id = ?1 AND order_id = ?2 AND again = ?3";
            one(db, sql, (stream.endpoint.to_string(), stream.order.to_string(), stream.replay), |row| {
                let last = row.get::<_, Option<i64>>(1)?.map(|_| count(row, 1)).transpose()?;
                Ok(Cursor { next: count(row, 0)?, last, failures: row.get(2)? })
            })
        })
        .await
    }

    async fn deliveries(&self, endpoint: EndpointId, page: &Page) -> Result<Vec<DeliveryRow>, StoreError> {
        let page = page.clone();
        self.read(move |db| deliveries(db, endpoint, &page)).await
    }

    async fn outbound_events(
        &self,
        filter: &OutboundEventFilter,
    ) -> Result<Vec<OutboundEventRow>, StoreError> {
        let filter = filter.clone();
        self.read(move |db| outbound_events(db, filter)).await
    }

    async fn outbound_event(
        &self,
        merchant: &str,
        event: EventId,
    ) -> Result<Option<OutboundEventRow>, StoreError> {
        let merchant = merchant.to_owned();
        self.read(move |db| {
            let sql = format!("{NOTICE_COLUMNS} AND event_id = ?2");
            one(db, &sql, (merchant, event.to_string()), notice_row)
        })
        .await
    }
}
