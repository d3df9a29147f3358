//! The agenda: what is due, and to whom it is leased.

use port::{EndpointId, Timestamp};
use rusqlite::{Connection, Row};

use super::reads::{all, moment, one, word};
use super::rows::run;
use crate::store::{Job, JobKind, Lease, StoreError};

/// What is due and nobody's, oldest first, as it will be leased. Kind by kind, so that each look is a short walk
/// along the index, however much is due. Deliveries are claimed in a way of their own.
pub(super) fn waiting(
    db: &Connection,
    now: Timestamp,
    until: Lease,
    limit: u16,
) -> Result<Vec<Job>, StoreError> {
    let mut waiting = Vec::new();
    for kind in JobKind::ALL.into_iter().filter(|kind| *kind != JobKind::Deliver) {
        waiting.extend(all(
            db,
            "SELECT subject, order_id, due_at, tries FROM agenda
             WHERE kind = ?1 AND due_at <= ?2 AND (lease IS NULL OR lease <= ?2)
             ORDER BY due_at LIMIT ?3",
            (kind.as_str(), now.micros(), limit),
            |row| job(row, kind, until),
        )?);
    }
    waiting.sort_by_key(|job| job.at);
    waiting.truncate(limit.into());
    Ok(waiting)
}

/// The same of deliveries, endpoint by endpoint, so that what one endpoint is owed stands in no other's way.
pub(super) fn deliveries_waiting(
    db: &Connection,
    now: Timestamp,
    until: Lease,
    limit: u16,
    wanted: &[(EndpointId, u16)],
) -> Result<Vec<Job>, StoreError> {
    let mut waiting = Vec::new();
    for (endpoint, most) in wanted {
        waiting.extend(all(
            db,
            "SELECT subject, order_id, due_at, tries FROM agenda
             WHERE kind = 'deliver' AND substr(subject, 1, 29) = ?1 AND due_at <= ?2
                 AND (lease IS NULL OR lease <= ?2)
             ORDER BY due_at LIMIT ?3",
            (endpoint.to_string(), now.micros(), most),
            |row| job(row, JobKind::Deliver, until),
        )?);
    }
    waiting.sort_by_key(|job| job.at);
    waiting.truncate(limit.into());
    Ok(waiting)
}

fn job(row: &Row<'_>, kind: JobKind, until: Lease) -> Result<Job, StoreError> {
    let order = row.get::<_, Option<String>>(1)?.map(|_| word(row, 1)).transpose()?;
    let (subject, at, tries) = (row.get(0)?, moment(row, 2)?, row.get(3)?);
    Ok(Job { kind, subject, order, at, tries, lease: until })
}

/// Leases what is due and nobody's.
pub(super) fn claim(
    db: &Connection,
    now: Timestamp,
    until: Lease,
    limit: u16,
) -> Result<Vec<Job>, StoreError> {
    lease(db, waiting(db, now, until, limit)?)
}

/// Leases deliveries that are due and nobody's.
pub(super) fn claim_deliveries(
    db: &Connection,
    now: Timestamp,
    until: Lease,
    limit: u16,
    wanted: &[(EndpointId, u16)],
) -> Result<Vec<Job>, StoreError> {
    lease(db, deliveries_waiting(db, now, until, limit, wanted)?)
}

fn lease(db: &Connection, waiting: Vec<Job>) -> Result<Vec<Job>, StoreError> {
    for job in &waiting {
        run(
            db,
            "UPDATE agenda SET lease = ?3, tries = tries + 1 WHERE kind = ?1 AND subject = ?2",
            (job.kind.as_str(), &job.subject, job.lease.0.micros()),
        )?;
    }
    Ok(waiting)
}

/// The oldest moment of each kind.
pub(super) fn oldest(db: &Connection) -> Result<Vec<(JobKind, Timestamp)>, StoreError> {
    let mut oldest = Vec::new();
    for kind in JobKind::ALL {
        let sql = "SELECT due_at FROM agenda WHERE kind = ?1 ORDER BY due_at LIMIT 1";
        let at = one(db, sql, [kind.as_str()], |row| moment(row, 0))?;
        oldest.extend(at.map(|at| (kind, at)));
    }
    Ok(oldest)
}
