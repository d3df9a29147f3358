//! A change as a value: the change of one subject and the rows to write with it.

use std::sync::Arc;
use std::time::Duration;

use port::{EndpointId, NotificationId, Timestamp, Uuid};

use super::rows::{
    ApiKeyRow, CheckpointRow, ClaimedDelivery, ClaimedJob, DeliveryRow, DeliveryStream, IdempotencyRow,
    InboxRow, JobSubject, StreamPosition,
};
use super::{StoreError, SubjectKind};
use crate::domain::{
    AnySubject, DueJob, Hash, Lane, Lookup, Recorded, Subject, SubjectEvent as _, Urgency, difference,
};

/// Everything that one commit writes, all or nothing.
#[derive(Clone, Debug)]
pub struct Change {
    /// Its name, for crash points.
    pub name: &'static str,
    /// The subject that it changes, if it changes one.
    pub subject: Option<Box<SubjectChange>>,
    pub writes: Vec<Write>,
}

/// One change of one subject, with the rows that follow from it.
#[derive(Clone, Debug)]
pub struct SubjectChange {
    pub id: Uuid,
    pub kind: SubjectKind,
    pub merchant: String,
    /// The sequence of the first event. If it is already used, that is a conflict.
    pub first: u64,
    pub events: u64,
    /// How many public events came before.
    pub public_before: u64,
    /// How many of the events are public.
    pub public: u64,
    pub at: Timestamp,
    pub text: Arc<str>,
    pub hash: Hash,
    /// The erasable values of the change, one per line.
    pub personal: Option<String>,
    /// When the subject was created, if this change creates it.
    pub created_at: Option<Timestamp>,
    /// The state for lists, if this change sets it.
    pub state: Option<&'static str>,
    pub gone: Vec<Lookup>,
    pub added: Vec<Lookup>,
    /// The next due time in each lane that it is, or was, in; `None` if it is not due there any more.
    pub schedule: Vec<(Lane, Option<Due>)>,
    /// A snapshot of the subject, written every 64 events.
    pub snapshot: Option<String>,
    pub after: AnySubject,
}

/// When a subject is due in a lane.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Due {
    pub at: Timestamp,
    pub urgency: Urgency,
}

/// After this many events a snapshot is written.
const SNAPSHOT_EVERY: u64 = 64;

/// One row to write beside a subject's change.
#[derive(Clone, Debug)]
pub enum Write {
    /// An idempotency key. Fails with `Taken` if it is in use, unless it points to what `replaces` names.
    IdempotencyKey(IdempotencyRow),
    /// Makes a subject due at once, or earlier than it was.
    Wake(Wake),
    /// A claimed job has run: sets its next due time, unless the subject was changed or woken since.
    Reschedule(Rescheduled),
    Notification(InboxRow),
    DeleteNotification(NotificationId),
    Checkpoint(CheckpointRow),
    /// Deletes the personal values of a subject, and the stored notifications that name its objects.
    ErasePersonal {
        subject: Uuid,
        /// Its objects at providers, by account and an id that a notification may name them by, ours or the provider's.
        objects: Vec<(String, String)>,
    },
    ApiKey(ApiKeyRow),
    /// A value of the installation. The first value is kept.
    Setting {
        name: &'static str,
        value: String,
    },
    /// Takes room and gives it back, to try whether the database can be written.
    Probe,
    /// Events to deliver to an endpoint. A delivery that waits for a retry keeps its due time; a replay makes all
    /// waiting deliveries of the order due.
    Enqueue {
        stream: DeliveryStream,
        /// The sequence of the first event.
        first: u64,
        /// The sequence of the last event; `None` for all that follow.
        last: Option<u64>,
        at: Timestamp,
    },
    /// A claimed delivery was tried: the new position of its stream and when it is due, or that it is done. What was
    /// enqueued since stays.
    Advance {
        delivery: ClaimedDelivery,
        position: StreamPosition,
        /// When it is due; `None` if there is nothing more to deliver.
        at: Option<Timestamp>,
    },
    /// Deletes all deliveries that wait for an endpoint.
    DropStreams(EndpointId),
    /// Makes everything that is due at some time due that much earlier: the clock was set back.
    BringForward {
        by: Duration,
    },
    Delivery(DeliveryRow),
    /// Since when deliveries to an endpoint fail. The first time is kept.
    EndpointFailing {
        endpoint: EndpointId,
        since: Timestamp,
    },
    /// Deliveries to an endpoint do not fail any more: all that wait for it are due.
    EndpointWorks {
        endpoint: EndpointId,
        at: Timestamp,
    },
}

/// A job that has run, and when it is due again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rescheduled {
    pub job: ClaimedJob,
    /// The version of the subject from which `next` was computed.
    pub version: u64,
    /// When next; none if it is done.
    pub next: Option<Due>,
    pub tries: u32,
    /// Whether it failed and stays woken for a retry.
    pub stays_woken: bool,
}

/// Makes a subject due in a lane.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wake {
    pub subject: Uuid,
    pub kind: JobSubject,
    pub lane: Lane,
    pub due: Due,
    /// The number of the attempt that it is about; none for all.
    pub attempt: Option<u64>,
}

impl Change {
    pub fn plain(name: &'static str, writes: Vec<Write>) -> Self {
        Self { name, subject: None, writes }
    }

    pub fn of(name: &'static str, subject: SubjectChange) -> Self {
        Self { name, subject: Some(Box::new(subject)), writes: Vec::new() }
    }

    #[must_use]
    pub fn with(mut self, writes: impl IntoIterator<Item = Write>) -> Self {
        self.writes.extend(writes);
        self
    }
}

impl SubjectChange {
    /// Computes all rows of a recorded change. `before` is the subject before it, `None` if it creates the subject.
    ///
    /// # Errors
    /// [`StoreError::Corrupt`] if the subject cannot be written: a defect.
    pub fn of<S: Subject>(
        before: Option<&S>,
        after: &Arc<S>,
        change: &Recorded<S::Event>,
        draw: u64,
    ) -> Result<Self, StoreError> {
        let at = change.meta.at;
        let personal: Vec<_> = change.events.iter().flat_map(|event| event.personal()).collect();
        let lines = personal.iter().map(|body| &*body.text).collect::<Vec<_>>().join("\n");
        let (gone, added) = difference(before.map(S::lookups).unwrap_or_default(), after.lookups());
        let state = after.list_state();
        let passed = |subject: &S| subject.head().sequence / SNAPSHOT_EVERY;
        let snapshot = before.is_some_and(|before| passed(before) < passed(after));
        let snapshot = snapshot.then(|| serde_json::to_string(&**after)).transpose();
        Ok(Self {
            id: change.subject,
            kind: S::KIND,
            merchant: after.merchant().to_owned(),
            first: change.first,
            events: change.events.len() as u64,
            public_before: change.public_before,
            public: after.head().public_sequence - change.public_before,
            at,
            text: change.text.clone(),
            hash: change.hash,
            personal: Some(lines).filter(|lines| !lines.is_empty()),
            created_at: before.is_none().then(|| after.created_at()),
            state: before.is_none_or(|before| before.list_state() != state).then_some(state),
            gone,
            added,
            schedule: schedule(
                &before.map(|before| before.due(at, draw)).unwrap_or_default(),
                &after.due(at, draw),
                at,
            ),
            snapshot: snapshot.map_err(|fault| StoreError::Corrupt(fault.to_string()))?,
            after: S::into_any(after.clone()),
        })
    }
}

/// The next due time in each lane that a subject is in, and the lanes that it has left. A job that was already due before
/// the change is in the row, or has run and was rescheduled, so it is left out.
fn schedule(before: &[DueJob], after: &[DueJob], now: Timestamp) -> Vec<(Lane, Option<Due>)> {
    let (old, new): (Vec<_>, Vec<_>) =
        after.iter().cloned().partition(|due| due.at <= now && before.contains(due));
    let mut lanes: Vec<&Lane> = before.iter().chain(&new).map(|due| &due.lane).collect();
    lanes.sort_unstable();
    lanes.dedup();
    let next = lanes.into_iter().map(|lane| (lane.clone(), next_in(lane, &new)));
    next.filter(|(lane, due)| due.is_some() || !old.iter().any(|old| old.lane == *lane)).collect()
}

/// The earliest of the jobs in a lane; of those at the same time the most urgent.
pub fn next_in(lane: &Lane, jobs: &[DueJob]) -> Option<Due> {
    let of_lane = jobs.iter().filter(|due| due.lane == *lane);
    let earliest = of_lane.min_by_key(|due| (due.at, due.urgency))?;
    Some(Due { at: earliest.at, urgency: earliest.urgency })
}
