//! The table of jobs: when a subject is due in each lane.

use std::time::Duration;

use port::{Timestamp, Uuid};
use rusqlite::{Connection, Row, params};
use strum::VariantArray as _;

use super::statement::{all, blob, coded, count, integer, maybe_count, one, run, time, uuid};
use crate::domain::{Lane, Urgency};
use crate::store::{
    ClaimedJob, Due, JobSubject, Rescheduled, Store, StoreError, SubjectChange, Wake, WokenBy,
};

/// A change can only make a job due earlier; only the job itself, after it has run, makes it due later. An earlier due
/// time means new work, so its failures are counted from zero.
const SCHEDULE: &str =
    "INSERT INTO jobs (subject, lane, kind, urgency, due_at, tries, version, wakes, attempt)
     VALUES (?1, ?2, ?3, ?4, ?5, 0, ?6, 0, NULL)
     ON CONFLICT (subject, lane) DO UPDATE SET
         urgency = CASE WHEN wakes > 0 THEN urgency ELSE excluded.urgency END,
         tries = CASE WHEN excluded.due_at < due_at THEN 0 ELSE tries END,
         due_at = min(due_at, excluded.due_at), version = excluded.version";
/// A woken subject still has to be processed, so its row stays.
const UNSCHEDULE: &str = "DELETE FROM jobs WHERE subject = ?1 AND lane = ?2 AND wakes = 0";
const UNSCHEDULED: &str = "UPDATE jobs SET version = ?3 WHERE subject = ?1 AND lane = ?2";
const WAKE: &str = "INSERT INTO jobs (subject, lane, kind, urgency, due_at, tries, version, wakes, attempt)
     VALUES (?1, ?2, ?3, ?4, ?5, 0, 0, 1, ?6)
     ON CONFLICT (subject, lane) DO UPDATE SET
         urgency = min(urgency, excluded.urgency), due_at = min(due_at, excluded.due_at),
         attempt = CASE WHEN wakes = 0 OR attempt = excluded.attempt THEN excluded.attempt ELSE 0 END,
         wakes = wakes + 1";
const RESCHEDULE: &str = "UPDATE jobs SET urgency = ?5, due_at = ?6, tries = ?7,
         wakes = CASE WHEN ?8 THEN wakes ELSE 0 END, attempt = CASE WHEN ?8 THEN attempt ELSE NULL END
     WHERE subject = ?1 AND lane = ?2 AND version <= ?3 AND wakes = ?4";
const DONE: &str = "DELETE FROM jobs WHERE subject = ?1 AND lane = ?2 AND version <= ?3 AND wakes = ?4";
const WAITING: &str = "SELECT subject, kind, due_at, tries, wakes, attempt FROM jobs
     WHERE lane = ?1 AND urgency = ?2 AND due_at <= ?3 ORDER BY due_at LIMIT ?4";
const DUE: &str = "SELECT count(*) FROM jobs WHERE lane = ?1 AND due_at <= ?2";
const HAS_JOB: &str = "SELECT 1 FROM jobs WHERE subject = ?1 AND lane = ?2";
const NEXT: &str = "SELECT subject, due_at FROM jobs
     WHERE lane = ?1 AND urgency = ?2 ORDER BY due_at LIMIT ?3";

/// Makes all jobs and deliveries due that much earlier.
pub(super) fn bring_forward(db: &Connection, by: Duration) -> Result<(), StoreError> {
    let micros = i64::try_from(by.as_micros()).unwrap_or(i64::MAX);
    for table in ["jobs", "delivery_streams"] {
        run(db, &format!("UPDATE {table} SET due_at = max(0, due_at - ?1)"), [micros])?;
    }
    Ok(())
}

impl dyn Store + '_ {
    /// Leases jobs of a lane that are due, the longest waiting first: at most `limit`, each for `lease`.
    pub async fn claim(
        &self,
        lane: &Lane,
        urgency: Urgency,
        now: Timestamp,
        lease: Duration,
        limit: u32,
    ) -> Result<Vec<ClaimedJob>, StoreError> {
        let (of, leases) = (lane.clone(), self.leases().jobs.clone());
        self.read_lane(lane, move |db, lane| {
            let due = |most| {
                let values = (lane, urgency as u8, now.micros(), most);
                all(db, WAITING, values, |row| claimed(row, &of, urgency))
            };
            leases.claim(now, lease, limit, due, |job| (of.clone(), job.subject))
        })
        .await
    }

    /// The earliest time at which a job of each urgency can be claimed in a lane: it is due, and no lease is on it.
    pub async fn next_due(&self, lane: &Lane) -> Result<Vec<Due>, StoreError> {
        let (of, leases) = (lane.clone(), self.leases().jobs.clone());
        self.read_lane(lane, move |db, lane| {
            let mut next_due = Vec::new();
            for urgency in Urgency::VARIANTS {
                let next = |most| {
                    let values = (lane, *urgency as u8, most);
                    all(db, NEXT, values, |row| Ok((uuid(row, 0)?, time(row, 1)?)))
                };
                let at = leases.next(next, |(subject, _)| (of.clone(), *subject), |(_, at)| *at)?;
                next_due.extend(at.map(|at| Due { at, urgency: *urgency }));
            }
            Ok(next_due)
        })
        .await
    }

    /// How many jobs of a lane are due, leased or not.
    pub async fn due_count(&self, lane: &Lane, now: Timestamp) -> Result<u64, StoreError> {
        let due_count = move |db: &Connection, lane| one(db, DUE, (lane, now.micros()), |row| count(row, 0));
        Ok(self.read_lane(lane, due_count).await?.unwrap_or(0))
    }

    pub async fn has_job(&self, subject: Uuid, lane: &Lane) -> Result<bool, StoreError> {
        let job = move |db: &Connection, lane| one(db, HAS_JOB, (blob(subject), lane), |_| Ok(()));
        Ok(self.read_lane(lane, job).await?.is_some())
    }
}

/// Stores when a changed subject is due next in a lane.
pub(super) fn schedule(
    db: &Connection,
    lane: i64,
    change: &SubjectChange,
    version: u64,
    due: Option<Due>,
) -> Result<(), StoreError> {
    let (subject, version) = (blob(change.id), integer(version));
    let Some(due) = due else {
        if run(db, UNSCHEDULE, (subject, lane))? == 0 {
            run(db, UNSCHEDULED, (subject, lane, version))?;
        }
        return Ok(());
    };
    run(db, SCHEDULE, (subject, lane, change.kind as u8, due.urgency as u8, due.at.micros(), version))
        .map(drop)
}

/// Makes a subject due, or due sooner.
pub(super) fn wake(db: &Connection, lane: i64, wake: &Wake) -> Result<(), StoreError> {
    let attempt = integer(wake.attempt.unwrap_or(0));
    let (kind, urgency) = (wake.kind as u8, wake.due.urgency as u8);
    run(db, WAKE, (blob(wake.subject), lane, kind, urgency, wake.due.at.micros(), attempt)).map(drop)
}

/// Reschedules or deletes a job that has run, unless it was woken or its subject changed meanwhile.
pub(super) fn reschedule(db: &Connection, lane: i64, done: &Rescheduled) -> Result<(), StoreError> {
    let Rescheduled { job, version, next, tries, stays_woken } = done;
    let (subject, version, wakes) = (blob(job.subject), integer(*version), integer(job.wakes));
    match next {
        Some(due) => {
            let (urgency, at) = (due.urgency as u8, due.at.micros());
            run(db, RESCHEDULE, params![subject, lane, version, wakes, urgency, at, tries, stays_woken])
        }
        None => run(db, DONE, (subject, lane, version, wakes)),
    }
    .map(drop)
}

fn claimed(row: &Row<'_>, lane: &Lane, urgency: Urgency) -> Result<ClaimedJob, StoreError> {
    let woken = maybe_count(row, 5)?.map(|attempt| match attempt {
        0 => WokenBy::Anything,
        number => WokenBy::Attempt(number),
    });
    Ok(ClaimedJob {
        subject: uuid(row, 0)?,
        kind: coded(row, 1, JobSubject::from_repr)?,
        lane: lane.clone(),
        urgency,
        due_at: time(row, 2)?,
        tries: row.get(3)?,
        woken,
        wakes: count(row, 4)?,
    })
}
