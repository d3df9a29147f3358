//! Delivery streams and the results of deliveries.

use std::time::Duration;

use port::{EndpointId, EventId, OrderId, Timestamp};
use rusqlite::{Connection, Row, params};

use super::statement::{all, blob, count, integer, maybe_count, run, time, uuid};
use crate::store::{ClaimedDelivery, DeliveryRow, DeliveryStream, Page, Store, StoreError, StreamPosition};

/// How long results of deliveries are kept.
const DELIVERIES_KEPT: Duration = Duration::from_secs(30 * 24 * 3_600);

const ENQUEUE: &str =
    "INSERT INTO delivery_streams (endpoint, subject, replay, next, last, failures, due_at, enqueued)
     VALUES (?1, ?2, ?3, ?4, ?5, 0, ?6, 0)
     ON CONFLICT (endpoint, subject, replay) DO UPDATE SET
         next = min(next, excluded.next), last = max(last, excluded.last), enqueued = enqueued + 1,
         failures = CASE WHEN excluded.replay THEN 0 ELSE failures END";
/// A replay makes all waiting deliveries of the order due.
const MAKE_ALL_DUE: &str = "UPDATE delivery_streams SET due_at = min(due_at, ?3)
     WHERE endpoint = ?1 AND subject = ?2";
/// Matches the claimed position, since the stream may have been dropped and created again meanwhile.
const ADVANCE: &str = "UPDATE delivery_streams SET next = ?6, failures = ?7, due_at = ?8,
         hastened = hastened AND next = ?6
     WHERE endpoint = ?1 AND subject = ?2 AND replay = ?3 AND enqueued = ?4 AND next = ?5";
/// More was enqueued while the delivery was under way.
const ADVANCE_PAST: &str = "UPDATE delivery_streams SET next = CASE WHEN next = ?4 THEN ?5 ELSE next END,
         failures = CASE WHEN next = ?4 THEN ?6 ELSE failures END, due_at = max(due_at, ?7)
     WHERE endpoint = ?1 AND subject = ?2 AND replay = ?3";
const DONE: &str = "DELETE FROM delivery_streams
     WHERE endpoint = ?1 AND subject = ?2 AND replay = ?3 AND enqueued = ?4 AND next = ?5";
pub(super) const DROP_STREAMS: &str = "DELETE FROM delivery_streams WHERE endpoint = ?1";
const FAILING: &str = "INSERT INTO failing_endpoints VALUES (?1, ?2) ON CONFLICT DO NOTHING";
const WORKING: &str = "DELETE FROM failing_endpoints WHERE endpoint = ?1";
/// Brings the retry of an event forward once: an endpoint that works refuses what it refuses then for its own reasons.
const HASTEN: &str = "UPDATE delivery_streams SET due_at = ?2, hastened = 1
     WHERE endpoint = ?1 AND due_at > ?2 AND hastened = 0";
const INSERT_DELIVERY: &str =
    "INSERT INTO deliveries (endpoint, subject, event, event_type, public_sequence, attempt, delivered,
         response_code, error, duration_ms, at)
     VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11)";
/// Deletes two old rows for each new one, so that old rows disappear over time.
const DELETE_OLD: &str = "DELETE FROM deliveries
     WHERE position IN (SELECT position FROM deliveries ORDER BY position LIMIT 2) AND at < ?1";
const WAITING: &str = "SELECT subject, replay, next, last, failures, due_at, enqueued FROM delivery_streams
     WHERE endpoint = ?1 AND due_at <= ?2 ORDER BY due_at LIMIT ?3";
const DELIVERIES: &str = "SELECT position, endpoint, subject, event, event_type, public_sequence, attempt,
         delivered, response_code, error, duration_ms, at
     FROM deliveries WHERE endpoint = ?1 AND position < ?2 ORDER BY position DESC LIMIT ?3";

fn key(stream: DeliveryStream) -> ([u8; 16], [u8; 16], bool) {
    (blob(stream.endpoint.uuid()), blob(stream.order.uuid()), stream.replay)
}

pub(super) fn enqueue(
    db: &Connection,
    stream: DeliveryStream,
    first: u64,
    last: Option<u64>,
    at: Timestamp,
) -> Result<(), StoreError> {
    let (endpoint, order, replay) = key(stream);
    run(db, ENQUEUE, (endpoint, order, replay, integer(first), last.map(integer), at.micros()))?;
    if replay {
        run(db, MAKE_ALL_DUE, (endpoint, order, at.micros()))?;
    }
    Ok(())
}

/// Stores a stream's position after a delivery and when it is due. Without a due time the stream is deleted, unless
/// more was enqueued meanwhile.
pub(super) fn advance(
    db: &Connection,
    delivery: &ClaimedDelivery,
    position: StreamPosition,
    at: Option<Timestamp>,
) -> Result<(), StoreError> {
    let (endpoint, order, replay) = key(delivery.stream);
    let (enqueued, was, next) =
        (integer(delivery.enqueued), integer(delivery.position.next), integer(position.next));
    let written = match at {
        Some(at) => {
            let values =
                params![endpoint, order, replay, enqueued, was, next, position.failures, at.micros()];
            run(db, ADVANCE, values)?
        }
        None => run(db, DONE, (endpoint, order, replay, enqueued, was))?,
    };
    if written == 0 {
        let at = at.map_or(0, Timestamp::micros);
        run(db, ADVANCE_PAST, params![endpoint, order, replay, was, next, position.failures, at])?;
    }
    Ok(())
}

/// Stores since when deliveries to an endpoint fail.
pub(super) fn failing(db: &Connection, endpoint: EndpointId, since: Timestamp) -> Result<(), StoreError> {
    run(db, FAILING, (blob(endpoint.uuid()), since.micros())).map(drop)
}

/// Stores that deliveries to an endpoint work again, and makes all that wait for it due.
pub(super) fn works(db: &Connection, endpoint: EndpointId, at: Timestamp) -> Result<(), StoreError> {
    let endpoint = blob(endpoint.uuid());
    run(db, WORKING, [endpoint])?;
    run(db, HASTEN, (endpoint, at.micros())).map(drop)
}

pub(super) fn insert_delivery(db: &Connection, row: &DeliveryRow) -> Result<(), StoreError> {
    let values = params![
        blob(row.endpoint.uuid()),
        blob(row.order.uuid()),
        blob(row.event.uuid()),
        row.event_type,
        integer(row.public_sequence),
        row.attempt,
        row.delivered,
        row.response_code,
        row.error,
        integer(row.duration_ms),
        row.at.micros(),
    ];
    run(db, INSERT_DELIVERY, values)?;
    run(db, DELETE_OLD, [row.at.minus(DELIVERIES_KEPT).micros()]).map(drop)
}

impl dyn Store + '_ {
    /// Leases deliveries to an endpoint that are due, the longest waiting first.
    pub async fn claim_deliveries(
        &self,
        endpoint: EndpointId,
        now: Timestamp,
        lease: Duration,
        limit: u32,
    ) -> Result<Vec<ClaimedDelivery>, StoreError> {
        let leases = self.leases().deliveries.clone();
        self.read(move |db| {
            let query = |most| waiting(db, endpoint, now, most);
            leases.claim(now, lease, limit, query, |delivery| delivery.stream)
        })
        .await
    }

    /// The earliest time at which a delivery to an endpoint can be claimed.
    pub async fn next_delivery(&self, endpoint: EndpointId) -> Result<Option<Timestamp>, StoreError> {
        let leases = self.leases().deliveries.clone();
        let ever = Timestamp::from_micros(i64::MAX);
        self.read(move |db| {
            let query = |most| waiting(db, endpoint, ever, most);
            leases.next(query, |delivery| delivery.stream, |delivery| delivery.due_at)
        })
        .await
    }

    /// The tries to deliver to an endpoint, newest first; a page by its last position.
    pub async fn deliveries(
        &self,
        endpoint: EndpointId,
        page: &Page,
    ) -> Result<Vec<DeliveryRow>, StoreError> {
        // An invalid cursor finds nothing.
        let before = page.before.as_ref().map_or(i64::MAX, |text| text.parse().unwrap_or(0));
        let values = (blob(endpoint.uuid()), before, page.limit);
        self.read(move |db| all(db, DELIVERIES, values, delivery_row)).await
    }
}

/// What waits for an endpoint, by when it is due.
fn waiting(
    db: &Connection,
    endpoint: EndpointId,
    until: Timestamp,
    limit: u32,
) -> Result<Vec<ClaimedDelivery>, StoreError> {
    all(db, WAITING, (blob(endpoint.uuid()), until.micros(), limit), |row| {
        let order = OrderId::from_uuid(uuid(row, 0)?);
        Ok(ClaimedDelivery {
            stream: DeliveryStream { endpoint, order, replay: row.get(1)? },
            position: StreamPosition {
                next: count(row, 2)?,
                last: maybe_count(row, 3)?,
                failures: row.get(4)?,
            },
            due_at: time(row, 5)?,
            enqueued: count(row, 6)?,
        })
    })
}

fn delivery_row(row: &Row<'_>) -> Result<DeliveryRow, StoreError> {
    Ok(DeliveryRow {
        position: count(row, 0)?,
        endpoint: EndpointId::from_uuid(uuid(row, 1)?),
        order: OrderId::from_uuid(uuid(row, 2)?),
        event: EventId::from_uuid(uuid(row, 3)?),
        event_type: row.get(4)?,
        public_sequence: count(row, 5)?,
        attempt: row.get(6)?,
        delivered: row.get(7)?,
        response_code: row.get(8)?,
        error: row.get(9)?,
        duration_ms: count(row, 10)?,
        at: time(row, 11)?,
    })
}
