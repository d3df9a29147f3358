//! Changes as values: one change of one subject, and the rows beside it.

use std::sync::Arc;

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
    /// What it is, for crash points, logs and metrics.
    pub name: &'static str,
    /// The subject that it changes, if it changes one.
    pub subject: Option<Box<SubjectChange>>,
    /// Rows beside it.
    pub writes: Vec<Write>,
}

/// One change of one subject, with the rows that follow from it.
#[derive(Clone, Debug)]
pub struct SubjectChange {
    /// Whose.
    pub id: Uuid,
    /// Its kind.
    pub kind: SubjectKind,
    /// The merchant it belongs to.
    pub merchant: String,
    /// The sequence of the first event. Its being taken is a conflict.
    pub first: u64,
    /// How many events.
    pub events: u64,
    /// How many public events came before.
    pub public_before: u64,
    /// How many of the events are public.
    pub public: u64,
    /// When.
    pub at: Timestamp,
    /// The record.
    pub text: Arc<str>,
    /// Its hash.
    pub hash: Hash,
    /// The personal values beside the record, one on a line.
    pub personal: Option<String>,
    /// When the subject was created, if this change creates it.
    pub created_at: Option<Timestamp>,
    /// The state for lists, if this change sets it.
    pub state: Option<&'static str>,
    /// Rows that lead to the subject no more.
    pub gone: Vec<Lookup>,
    /// Rows that lead to it from now on.
    pub added: Vec<Lookup>,
    /// When it is due next in each lane that it is, or was, in.
    pub schedule: Vec<(Lane, Option<Due>)>,
    /// The whole subject, written once in a while so that a long history need not be read from its start.
    pub snapshot: Option<String>,
    /// The subject after the change.
    pub after: AnySubject,
}

/// A moment at which a subject is due in a lane.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Due {
    /// When.
    pub at: Timestamp,
    /// How urgent.
    pub urgency: Urgency,
}

/// After so many events a subject is written as a whole.
const SNAPSHOT_EVERY: u64 = 64;

/// One row to write beside a subject's change.
#[derive(Clone, Debug)]
pub enum Write {
    /// A merchant's idempotency key. `Taken` if it is in use, unless it stands where `replaces` says.
    Key(IdempotencyRow),
    /// Makes a subject due at once, or earlier than it was.
    Wake(Wake),
    /// A job that was claimed has run. Leaves the row as it is if the subject was changed or woken meanwhile.
    Reschedule(Rescheduled),
    /// A verified notification, raw.
    Notification(InboxRow),
    /// Deletes a stored notification.
    DeleteNotification(NotificationId),
    /// A checkpoint over all changes.
    Checkpoint(CheckpointRow),
    /// Deletes the personal values of a subject, and the stored notifications that name its objects.
    ErasePersonal {
        /// Whose.
        subject: Uuid,
        /// Its objects at providers, by account and the provider's id.
        objects: Vec<(String, String)>,
    },
    /// An API key.
    ApiKey(ApiKeyRow),
    /// Something that the installation keeps about itself. The first value stays.
    Setting {
        /// Its name.
        name: &'static str,
        /// Its value.
        value: String,
    },
    /// Events to deliver to an endpoint. What waits for a retry keeps its moment, unless it is a replay: then all that
    /// waits of this order is due.
    Enqueue {
        /// To whom and of what.
        stream: DeliveryStream,
        /// The sequence of the first event.
        first: u64,
        /// Of the last; none for all that follow.
        last: Option<u64>,
        /// When.
        at: Timestamp,
    },
    /// A delivery that was claimed has been tried: where its stream stands now and when it is due, or that it is
    /// done. More that was enqueued meanwhile stays.
    Advance {
        /// What was claimed.
        delivery: ClaimedDelivery,
        /// Where it stands.
        position: StreamPosition,
        /// When it is due; none if nothing more is known of.
        at: Option<Timestamp>,
    },
    /// Drops everything that waits for an endpoint.
    DropStreams(EndpointId),
    /// What became of a try to deliver.
    Delivery(DeliveryRow),
    /// Deliveries to an endpoint fail since then, or work again.
    EndpointFailing {
        /// Which.
        endpoint: EndpointId,
        /// Since when; none if they work.
        since: Option<Timestamp>,
    },
}

/// A job that has run, and when it is due again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rescheduled {
    /// What was claimed.
    pub job: ClaimedJob,
    /// The version of the subject from which `next` was computed.
    pub version: u64,
    /// When next; none if it is done.
    pub next: Option<Due>,
    /// How often it has failed in a row.
    pub tries: u32,
    /// Whether what it was woken for is still to be done.
    pub stays_woken: bool,
}

/// Makes a subject due in a lane.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wake {
    /// Which.
    pub subject: Uuid,
    /// What it is.
    pub kind: JobSubject,
    /// In which lane.
    pub lane: Lane,
    /// When, and how urgent.
    pub due: Due,
    /// The number of the attempt that it is about; none for all.
    pub attempt: Option<u64>,
}

impl Change {
    /// A change of no subject.
    pub fn plain(name: &'static str, writes: Vec<Write>) -> Self {
        Self { name, subject: None, writes }
    }

    /// A change of a subject.
    pub fn of(name: &'static str, subject: SubjectChange) -> Self {
        Self { name, subject: Some(Box::new(subject)), writes: Vec::new() }
    }

    /// With more rows.
    #[must_use]
    pub fn with(mut self, writes: impl IntoIterator<Item = Write>) -> Self {
        self.writes.extend(writes);
        self
    }

    /// The lanes in which it makes something due, with the earliest moment.
    pub fn wakes(&self) -> impl Iterator<Item = (&Lane, Due)> {
        let scheduled = self.subject.iter().flat_map(|change| &change.schedule);
        let scheduled = scheduled.filter_map(|(lane, due)| Some((lane, (*due)?)));
        scheduled.chain(self.writes.iter().filter_map(|write| match write {
            Write::Wake(wake) => Some((&wake.lane, wake.due)),
            Write::Reschedule(done) => Some((&done.job.lane, done.next?)),
            _ => None,
        }))
    }
}

impl SubjectChange {
    /// What follows from a recorded change: `before` is the subject before it, none if it creates the subject.
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

/// The next moment of each lane that a subject is in, and the lanes that it has left. What was due before stands in the
/// row already, or has had its turn and waits for its next: it makes nothing sooner.
fn schedule(before: &[DueJob], after: &[DueJob], now: Timestamp) -> Vec<(Lane, Option<Due>)> {
    let (old, new): (Vec<_>, Vec<_>) =
        after.iter().cloned().partition(|due| due.at <= now && before.contains(due));
    let mut lanes: Vec<&Lane> = before.iter().chain(&new).map(|due| &due.lane).collect();
    lanes.sort_unstable();
    lanes.dedup();
    let next = lanes.into_iter().map(|lane| (lane.clone(), next_in(lane, &new)));
    next.filter(|(lane, due)| due.is_some() || !old.iter().any(|old| old.lane == *lane)).collect()
}

/// The earliest of the jobs in a lane; of those at the same moment the most urgent.
pub fn next_in(lane: &Lane, jobs: &[DueJob]) -> Option<Due> {
    let of_lane = jobs.iter().filter(|due| due.lane == *lane);
    let earliest = of_lane.min_by_key(|due| (due.at, due.urgency))?;
    Some(Due { at: earliest.at, urgency: earliest.urgency })
}
