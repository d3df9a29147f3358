//! Compares what is stored beside the records of changes with them: columns, personal values, idempotency keys.

use std::collections::BTreeSet;

use port::Uuid;

use crate::domain::{Recorded, Subject, SubjectEvent as _, erasable_digest};
use crate::store::{ChangeColumns, Store, StoreError};

/// What is wrong with the columns and the personal values of a subject, given all its changes.
pub(super) async fn faults_of<S: Subject>(
    store: &dyn Store,
    id: Uuid,
    merchant: &str,
    changes: &[Recorded<S::Event>],
) -> Result<Vec<String>, StoreError> {
    let mut faults = Vec::new();
    let (found, expected) = (store.change_columns(id).await?, columns::<S>(merchant, changes));
    for ((found, expected), change) in found.iter().zip(&expected).zip(changes) {
        if found != expected {
            faults.push(format!("the columns of change {} do not match its record", change.first));
        }
    }
    let stored: BTreeSet<String> =
        store.personal_values(id).await?.iter().map(|body| erasable_digest(body)).collect();
    let expected = kept_digests::<S>(changes);
    let (missing, others) = (expected.difference(&stored).count(), stored.difference(&expected).count());
    if missing > 0 {
        faults.push(format!("personal values that are missing and were not erased: {missing}"));
    }
    if others > 0 {
        faults.push(format!("personal values that are stored and not its own, or were erased: {others}"));
    }
    Ok(faults)
}

/// The columns that follow from the records.
fn columns<S: Subject>(merchant: &str, changes: &[Recorded<S::Event>]) -> Vec<ChangeColumns> {
    let mut public_before = 0;
    let of_change = |change: &Recorded<S::Event>| {
        let public = change.events.iter().filter(|event| event.is_public()).count() as u64;
        let columns = ChangeColumns {
            merchant: merchant.to_owned(),
            at_micros: change.meta.at.micros(),
            events: change.events.len() as u64,
            public_before,
            public,
        };
        public_before += public;
        columns
    };
    changes.iter().map(of_change).collect()
}

/// The digests of the personal values that must still be there: those of the events since the last erasure. An event after
/// it may name a value from before, which is gone.
fn kept_digests<S: Subject>(changes: &[Recorded<S::Event>]) -> BTreeSet<String> {
    let (mut kept, mut erased) = (BTreeSet::new(), BTreeSet::new());
    for change in changes {
        let slots = change.events.iter().flat_map(|event| event.erasables());
        kept.extend(slots.map(|slot| slot.digest().to_owned()).filter(|digest| !erased.contains(digest)));
        if change.events.iter().any(|event| event.erases()) {
            erased.append(&mut kept);
        }
    }
    kept
}

/// What is wrong with rows that name a change and do not belong to its subject; at most `limit` keys are named.
pub(super) async fn stray_rows(store: &dyn Store, limit: u32) -> Result<Vec<String>, StoreError> {
    let keys = store.stray_keys(limit).await?;
    let of_key =
        |key: String| format!("the idempotency key {key:?} names no change of its merchant and time");
    let mut faults: Vec<String> = keys.into_iter().map(of_key).collect();
    let values = store.stray_personal_count().await?;
    if values > 0 {
        faults.push(format!("personal values of changes that are not stored: {values}"));
    }
    Ok(faults)
}
