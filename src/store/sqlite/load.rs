//! Reading subjects: the last snapshot, the changes since, and what still exists of their personal data.

use std::collections::HashMap;
use std::sync::Arc;

use port::{Timestamp, Uuid};
use rusqlite::{Connection, OptionalExtension as _, Row};

use super::statement::{all, blob, coded, count, hash, integer, one, text, time, uuid};
use crate::domain::{
    AnySubject, Hash, OrderAggregate, Profile, ProfileSession, Recorded, ReplayError, Subject, SubjectKind,
    WebhookEndpoint, apply, erasable_digest, open,
};
use crate::store::{Store, StoreError, StoredChange};

const KIND: &str = "SELECT kind FROM subjects WHERE id = ?1";
const CHANGES: &str = "SELECT position, subject, sequence, public_before, record, hash FROM changes
     WHERE subject = ?1 AND sequence + events > ?2 + 1 ORDER BY sequence LIMIT ?3";
const PERSONAL: &str = "SELECT body FROM personal
     WHERE position IN (SELECT position FROM changes WHERE subject = ?1)";
const LAST_CHANGE: &str = "SELECT at FROM changes ORDER BY position DESC LIMIT 1";
const NEWEST_SUBJECT: &str = "SELECT id FROM subjects ORDER BY id DESC LIMIT 1";
const SNAPSHOT: &str = "SELECT sequence, body FROM snapshots WHERE subject = ?1 AND sequence <= ?2";
const HASH_AT: &str = "SELECT hash FROM changes WHERE subject = ?1 AND sequence <= ?2
     ORDER BY sequence DESC LIMIT 1";

/// The subject with the greatest id.
pub(super) fn newest_subject(db: &Connection) -> rusqlite::Result<Option<Uuid>> {
    db.query_row(NEWEST_SUBJECT, [], |row| Ok(Uuid::from_bytes(row.get(0)?))).optional()
}

impl dyn Store + '_ {
    /// The changes of a subject that have events after a sequence, oldest first, at most `limit`.
    pub async fn changes_of(
        &self,
        id: Uuid,
        after: u64,
        limit: u32,
    ) -> Result<Vec<StoredChange>, StoreError> {
        self.read(move |db| changes_of(db, id, after, limit)).await
    }

    /// The time of the last change that was committed.
    pub async fn last_change_at(&self) -> Result<Option<Timestamp>, StoreError> {
        self.read(|db| one(db, LAST_CHANGE, [], |row| time(row, 0))).await
    }

    /// The last snapshot of a subject: the sequence of its last event, and its text.
    pub async fn snapshot(&self, id: Uuid) -> Result<Option<(u64, String)>, StoreError> {
        self.read(move |db| snapshot(db, id, u64::MAX)).await
    }
}

/// A subject as it is, or as it was after the event with a sequence.
pub(super) fn subject(
    db: &Connection,
    id: Uuid,
    up_to: Option<u64>,
) -> Result<Option<AnySubject>, StoreError> {
    let kind = one(db, KIND, [blob(id)], |row| coded(row, 0, SubjectKind::from_repr))?;
    let up_to = up_to.unwrap_or(u64::MAX);
    Ok(match kind {
        Some(SubjectKind::Order) => of_kind::<OrderAggregate>(db, id, up_to)?,
        Some(SubjectKind::ProfileSession) => of_kind::<ProfileSession>(db, id, up_to)?,
        Some(SubjectKind::Profile) => of_kind::<Profile>(db, id, up_to)?,
        Some(SubjectKind::WebhookEndpoint) => of_kind::<WebhookEndpoint>(db, id, up_to)?,
        None => None,
    })
}

fn of_kind<S: Subject>(db: &Connection, id: Uuid, up_to: u64) -> Result<Option<AnySubject>, StoreError> {
    let mut subject: Option<S> = from_snapshot(db, id, up_to)?;
    let known = subject.as_ref().map_or(0, |subject| subject.head().sequence);
    for stored in changes_of(db, id, known, u32::MAX)?.iter().take_while(|change| change.first <= up_to) {
        let change = until(stored.read::<S>()?, up_to);
        subject = Some(next(subject, &change).map_err(|fault| damaged(id, &fault))?);
    }
    let Some(mut subject) = subject else { return Ok(None) };
    fill(db, id, &mut subject)?;
    Ok(Some(S::into_any(Arc::new(subject))))
}

/// A change without its events after a sequence.
fn until<E>(mut change: Recorded<E>, up_to: u64) -> Recorded<E> {
    let kept = usize::try_from(up_to.saturating_sub(change.first).saturating_add(1)).unwrap_or(usize::MAX);
    change.events.truncate(kept);
    change
}

/// Applies a change, whose text has to be chained to the one before.
fn next<S: Subject>(subject: Option<S>, change: &Recorded<S::Event>) -> Result<S, ReplayError> {
    let before = subject.as_ref().map_or(Hash::default(), |subject| subject.head().hash);
    if before.chain(change.text.as_bytes()) != change.hash {
        return Err(ReplayError(format!("the chain breaks at change {}", change.first)));
    }
    let mut subject = subject.map_or_else(|| open(change), Ok)?;
    apply(&mut subject, change)?;
    Ok(subject)
}

fn from_snapshot<S: Subject>(db: &Connection, id: Uuid, up_to: u64) -> Result<Option<S>, StoreError> {
    let Some((sequence, body)) = snapshot(db, id, up_to)? else { return Ok(None) };
    let subject: S =
        serde_json::from_str(&body).map_err(|fault| damaged(id, &format!("its snapshot: {fault}")))?;
    let hash = one(db, HASH_AT, (blob(id), integer(sequence)), |row| hash(row, 0))?;
    if subject.head().sequence != sequence || Some(subject.head().hash) != hash {
        return Err(damaged(id, &"its snapshot does not match its history"));
    }
    Ok(Some(subject))
}

fn damaged(id: Uuid, fault: &impl std::fmt::Display) -> StoreError {
    StoreError::Corrupt(format!("subject {id}: {fault}"))
}

/// The last snapshot that has no later event than `up_to`.
fn snapshot(db: &Connection, id: Uuid, up_to: u64) -> Result<Option<(u64, String)>, StoreError> {
    one(db, SNAPSHOT, (blob(id), integer(up_to)), |row| Ok((count(row, 0)?, row.get(1)?)))
}

/// Fills in the personal values that still exist.
fn fill<S: Subject>(db: &Connection, id: Uuid, subject: &mut S) -> Result<(), StoreError> {
    let mut slots = subject.erasables();
    if slots.is_empty() {
        return Ok(());
    }
    let rows: Vec<String> = all(db, PERSONAL, [blob(id)], |row| Ok(row.get(0)?))?;
    let bodies: HashMap<_, _> =
        rows.iter().flat_map(|row| row.lines()).map(|body| (erasable_digest(body), body)).collect();
    for slot in &mut slots {
        if let Some(body) = bodies.get(slot.digest()) {
            slot.fill((*body).into());
        }
    }
    Ok(())
}

fn changes_of(db: &Connection, id: Uuid, after: u64, limit: u32) -> Result<Vec<StoredChange>, StoreError> {
    all(db, CHANGES, (blob(id), integer(after), limit), stored_change)
}

/// Reads the columns position, subject, sequence, public_before, record and hash.
pub(super) fn stored_change(row: &Row<'_>) -> Result<StoredChange, StoreError> {
    Ok(StoredChange {
        position: count(row, 0)?,
        subject: uuid(row, 1)?,
        first: count(row, 2)?,
        public_before: count(row, 3)?,
        text: text(row, 4)?.into(),
        hash: hash(row, 5)?,
    })
}
