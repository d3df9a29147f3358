//! The agenda: what is due, and to whom it is leased.

use port::Timestamp;
use rusqlite::Connection;

use super::reads::{all, moment, one, word};
use super::rows::run;
use crate::store::{Due, DueKind, Lease, StoreError};

/// What is due and nobody's, oldest first, as it will be leased. Kind by kind, so that each look is a short walk
/// along the index, however much is due.
pub(super) fn waiting(
    db: &Connection,
    now: Timestamp,
    until: Lease,
    limit: u16,
) -> Result<Vec<Due>, StoreError> {
    let mut waiting = Vec::new();
    for kind in DueKind::ALL {
        waiting.extend(all(
            db,
            "SELECT subject, order_id, due_at, tries FROM agenda
             WHERE kind = ?1 AND due_at <= ?2 AND (lease IS NULL OR lease <= ?2)
             ORDER BY due_at LIMIT ?3",
            (kind.as_str(), now.micros(), limit),
            |row| {
                let order = row.get::<_, Option<String>>(1)?.map(|_| word(row, 1)).transpose()?;
                let (subject, at, tries) = (row.get(0)?, moment(row, 2)?, row.get(3)?);
                Ok(Due { kind, subject, order, at, tries, lease: until })
            },
        )?);
    }
    waiting.sort_by_key(|due| due.at);
    waiting.truncate(limit.into());
    Ok(waiting)
}

/// Leases what is due and nobody's.
pub(super) fn claim(
    db: &Connection,
    now: Timestamp,
    until: Lease,
    limit: u16,
) -> Result<Vec<Due>, StoreError> {
    let claimed = waiting(db, now, until, limit)?;
    for due in &claimed {
        run(
            db,
            "UPDATE agenda SET lease = ?3, tries = tries + 1 WHERE kind = ?1 AND subject = ?2",
            (due.kind.as_str(), &due.subject, until.0.micros()),
        )?;
    }
    Ok(claimed)
}

/// The oldest moment of each kind.
pub(super) fn oldest(db: &Connection) -> Result<Vec<(DueKind, Timestamp)>, StoreError> {
    let mut oldest = Vec::new();
    for kind in DueKind::ALL {
        let sql = "SELECT due_at FROM agenda WHERE kind = ?1 ORDER BY due_at LIMIT 1";
        let at = one(db, sql, [kind.as_str()], |row| moment(row, 0))?;
        oldest.extend(at.map(|at| (kind, at)));
    }
    Ok(oldest)
}
