//! Verifies the stored data: each subject's hash chain, the checkpoints, and whether all rows follow from the changes.

use std::collections::BTreeSet;

use port::{Timestamp, Uuid};

use super::checkpoint::{PAGE, chained};
use super::derived_rows;
use crate::domain::{
    DueJob, Hash, Job, Lane, OrderAggregate, Profile, ProfileSession, Recorded, Subject, SubjectKind,
    WebhookEndpoint, replay,
};
use crate::store::{CheckpointRow, Store, StoreError, SubjectRow};

/// Faults that are listed one by one; more are counted.
const MAX_LISTED: u32 = 100;

/// The result of a verification.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AuditReport {
    pub subjects: u64,
    pub events: u64,
    pub checkpoints: u64,
    /// At most 100; more are counted.
    pub faults: Vec<String>,
    /// How much more is wrong.
    pub more_faults: u64,
    /// The changes of the subjects that were checked.
    changes: u64,
    /// Rows that should lead to them.
    lookups: u64,
}

impl AuditReport {
    pub fn is_fine(&self) -> bool {
        self.faults.is_empty()
    }

    fn fault(&mut self, what: String) {
        if self.faults.len() < MAX_LISTED as usize {
            self.faults.push(what);
        } else {
            self.more_faults += 1;
        }
    }
}

/// Verifies each subject's hash chain, rebuilds it from its changes, compares its rows and jobs (due at `now`), and
/// verifies the checkpoints. `progress` is called with the number of subjects done.
///
/// # Errors
/// [`StoreError`] if something cannot be read at all; what is read and wrong is in the report.
pub async fn verify(
    store: &dyn Store,
    now: Timestamp,
    mut progress: impl FnMut(u64),
) -> Result<AuditReport, StoreError> {
    let mut report = AuditReport::default();
    let mut last = None;
    loop {
        let page = store.subjects_after(last, PAGE).await?;
        for row in &page {
            verify_any(store, row, now, &mut report).await?;
            report.subjects += 1;
            progress(report.subjects);
        }
        last = page.last().map(|row| row.id);
        if page.len() < PAGE as usize {
            break;
        }
    }
    let changes = store.change_count().await?;
    if report.is_fine() && changes != report.changes {
        let expected = report.changes;
        report.fault(format!("changes that are stored: {changes}; those of the subjects: {expected}"));
    }
    // Positions have no gaps: each is one more than the last.
    let newest = store.last_change().await?.map_or(0, |(position, _)| position);
    if report.is_fine() && changes != newest {
        report.fault(format!("changes that are stored: {changes}; the newest is at position {newest}"));
    }
    let rows = store.lookup_count().await?;
    if report.is_fine() && rows != report.lookups {
        let expected = report.lookups;
        report.fault(format!("lookup rows: {rows}; the changes give {expected}"));
    }
    for fault in derived_rows::stray_rows(store, MAX_LISTED).await? {
        report.fault(fault);
    }
    verify_checkpoints(store, &mut report).await?;
    Ok(report)
}

async fn verify_any(
    store: &dyn Store,
    row: &SubjectRow,
    now: Timestamp,
    report: &mut AuditReport,
) -> Result<(), StoreError> {
    let checked = match row.kind {
        SubjectKind::Order => verify_subject::<OrderAggregate>(store, row, now, report).await,
        SubjectKind::ProfileSession => verify_subject::<ProfileSession>(store, row, now, report).await,
        SubjectKind::Profile => verify_subject::<Profile>(store, row, now, report).await,
        SubjectKind::WebhookEndpoint => verify_subject::<WebhookEndpoint>(store, row, now, report).await,
    };
    match checked {
        Err(StoreError::Corrupt(why)) => {
            report.fault(format!("{}: {why}", name(row)));
            Ok(())
        }
        other => other,
    }
}

/// A subject as the API names it.
fn name(row: &SubjectRow) -> String {
    match row.kind {
        SubjectKind::Order => port::OrderId::from_uuid(row.id).to_string(),
        SubjectKind::ProfileSession => port::ProfileSessionId::from_uuid(row.id).to_string(),
        SubjectKind::Profile => port::ProfileId::from_uuid(row.id).to_string(),
        SubjectKind::WebhookEndpoint => port::EndpointId::from_uuid(row.id).to_string(),
    }
}

async fn verify_subject<S: Subject>(
    store: &dyn Store,
    row: &SubjectRow,
    now: Timestamp,
    report: &mut AuditReport,
) -> Result<(), StoreError> {
    let changes = store.recorded::<S>(row.id, 0).await?;
    report.changes += changes.len() as u64;
    report.events += changes.iter().map(|change| change.events.len() as u64).sum::<u64>();
    changes.iter().try_fold(Hash::default(), |before, change| {
        let broken = || StoreError::Corrupt(format!("the chain breaks at event {}", change.first));
        Some(before.chain(change.text.as_bytes())).filter(|hash| *hash == change.hash).ok_or_else(broken)
    })?;
    let made: S = replay(&changes).map_err(|fault| StoreError::Corrupt(fault.to_string()))?;
    let fits = made.list_state() == row.state
        && made.created_at() == row.created_at
        && made.merchant() == row.merchant;
    if !fits {
        report.fault(format!("{}: its row does not match its changes", name(row)));
    }
    if !snapshot_fits::<S>(store, row.id, &changes).await? {
        report.fault(format!("{}: its snapshot does not match its changes", name(row)));
    }
    for fault in derived_rows::faults_of::<S>(store, row.id, made.merchant(), &changes).await? {
        report.fault(format!("{}: {fault}", name(row)));
    }
    // Some lookup rows are computed from personal values, so the subject is loaded with those that still exist.
    let unreadable = || StoreError::Corrupt("it has changes and cannot be read".to_owned());
    let stored = store.load::<S>(row.id).await?.ok_or_else(unreadable)?;
    if *stored != made {
        report.fault(format!("{}: the loaded subject does not match its changes", name(row)));
    }
    let mut lookups = stored.lookups();
    // Two attempts may have the same id at their provider.
    lookups.sort_unstable();
    lookups.dedup();
    report.lookups += lookups.len() as u64;
    for missing in store.missing_lookups(row.id, &row.merchant, lookups).await? {
        report.fault(format!("{}: the lookup row {missing:?} is missing", name(row)));
    }
    for lane in lanes(&stored.due(now, 0)) {
        if !store.has_job(row.id, &lane).await? {
            report.fault(format!("{}: it has work due in {lane:?} and no job for it", name(row)));
        }
    }
    Ok(())
}

/// The lanes that must have a job. Its due time is not checked, since a failed job is retried later. Refund policy jobs
/// are left out, since a policy that could not be applied leaves the attention to a person.
fn lanes(due: &[DueJob]) -> BTreeSet<Lane> {
    let with_job = due.iter().filter(|due| !matches!(due.job, Job::ApplyRefundPolicy(_)));
    with_job.map(|due| due.lane.clone()).collect()
}

async fn snapshot_fits<S: Subject>(
    store: &dyn Store,
    id: Uuid,
    changes: &[Recorded<S::Event>],
) -> Result<bool, StoreError> {
    let Some((sequence, text)) = store.snapshot(id).await? else { return Ok(true) };
    let until = changes.iter().take_while(|change| change.last() <= sequence);
    let made: Option<S> = replay(until).ok();
    let stored: Option<S> = serde_json::from_str(&text).ok();
    Ok(stored.is_some() && made == stored)
}

async fn verify_checkpoints(store: &dyn Store, report: &mut AuditReport) -> Result<(), StoreError> {
    let mut made = CheckpointRow::default();
    let mut hashes = Vec::new().into_iter();
    loop {
        let Some(stored) = store.checkpoints(made.number, 1).await?.into_iter().next() else { return Ok(()) };
        report.checkpoints += 1;
        while made.position < stored.position {
            let next = match hashes.next() {
                Some(next) => next,
                None => {
                    hashes = store.change_hashes(made.position, PAGE).await?.into_iter();
                    let Some(next) = hashes.next() else { break };
                    next
                }
            };
            made = chained(made, next.0, next.1);
        }
        made.number += 1;
        let fits = made.hash == stored.hash && made.number == stored.number && made.changes == stored.changes;
        if !fits {
            let number = stored.number;
            report.fault(format!("checkpoint {number}: changes before it are missing or were altered"));
            return Ok(());
        }
    }
}
