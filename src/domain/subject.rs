//! Subjects: aggregates that change by events, one change at a time.
//!
//! A change is a list of events with one text, one hash and one sequence. Its sequence is the lock: of two changes
//! decided on the same version only one can be written.

use std::fmt::Debug;
use std::sync::Arc;

use port::{Timestamp, Uuid};
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::erasable::{Body, ErasableSlot};
use super::hash::Hash;
use super::ids::event_id;
use super::jobs::DueJob;
use super::lookup::Lookup;
use super::stored;
use super::{Cause, OrderAggregate, Profile, ProfileSession, WebhookEndpoint};

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
#[derive(strum::IntoStaticStr, strum::FromRepr, strum::VariantArray)]
#[strum(serialize_all = "snake_case")]
pub enum SubjectKind {
    Order = 1,
    ProfileSession = 2,
    Profile = 3,
    WebhookEndpoint = 4,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, serde::Deserialize)]
pub struct Head {
    /// How many events the subject has.
    pub sequence: u64,
    /// How many of them are public.
    pub public_sequence: u64,
    pub hash: Hash,
}

/// What all events of one change share.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ChangeMeta {
    pub at: Timestamp,
    pub cause: Cause,
}

/// Events that cannot be applied to the subject: a defect, never an input error.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the events cannot be applied: {0}")]
pub struct ReplayError(pub String);

impl From<&str> for ReplayError {
    fn from(why: &str) -> Self {
        Self(why.to_owned())
    }
}

/// The public name of an event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PublicEvent {
    /// `order`, `paymentSession`, `payment`, `refund`, `dispute` or `attention`.
    pub noun: &'static str,
    /// The new state in upper case, as the API writes it.
    pub change: &'static str,
}

pub trait SubjectEvent:
    Clone + Debug + PartialEq + Serialize + DeserializeOwned + Send + Sync + 'static
{
    /// The public event, if merchants get one.
    fn public(&self) -> Option<PublicEvent> {
        None
    }

    fn is_public(&self) -> bool {
        self.public().is_some()
    }

    /// Its personal values, loaded or not.
    fn erasables(&self) -> Vec<&dyn ErasableSlot> {
        Vec::new()
    }

    /// Whether it erases the personal values of its subject.
    fn erases(&self) -> bool {
        false
    }

    /// The personal values that are stored beside it.
    fn personal(&self) -> Vec<Body> {
        self.erasables().into_iter().filter_map(ErasableSlot::body).collect()
    }
}

/// A subject: an aggregate that only events change.
pub trait Subject: Clone + Debug + PartialEq + Serialize + DeserializeOwned + Send + Sync + 'static {
    type Event: SubjectEvent;

    const KIND: SubjectKind;

    /// The subject that a first event creates; `None` if it creates none.
    fn open(first: &Self::Event, meta: &ChangeMeta) -> Option<Self>;

    /// Applies one event. Fails if it names something that the subject does not have.
    fn apply_event(&mut self, event: &Self::Event, meta: &ChangeMeta) -> Result<(), ReplayError>;

    fn uuid(&self) -> Uuid;

    fn merchant(&self) -> &str;

    fn head(&self) -> &Head;

    fn head_mut(&mut self) -> &mut Head;

    /// The state that lists are filtered by.
    fn list_state(&self) -> &'static str;

    fn created_at(&self) -> Timestamp;

    fn erasables(&mut self) -> Vec<&mut dyn ErasableSlot>;

    fn lookups(&self) -> Vec<Lookup> {
        Vec::new()
    }

    /// Its jobs, as of `now`; `draw` is a random number that spreads times that need not be exact.
    fn due(&self, _now: Timestamp, _draw: u64) -> Vec<DueJob> {
        Vec::new()
    }

    fn into_any(this: Arc<Self>) -> AnySubject;

    fn from_any(any: AnySubject) -> Option<Arc<Self>>;
}

#[derive(Clone, Debug, PartialEq)]
pub enum AnySubject {
    Order(Arc<OrderAggregate>),
    ProfileSession(Arc<ProfileSession>),
    Profile(Arc<Profile>),
    WebhookEndpoint(Arc<WebhookEndpoint>),
}

impl AnySubject {
    pub fn head(&self) -> &Head {
        match self {
            Self::Order(subject) => subject.head(),
            Self::ProfileSession(subject) => subject.head(),
            Self::Profile(subject) => subject.head(),
            Self::WebhookEndpoint(subject) => subject.head(),
        }
    }
}

/// One change of a subject, and the subject after it.
#[derive(Clone, Debug)]
pub struct Step<S: Subject> {
    pub change: Arc<Recorded<S::Event>>,
    pub after: Arc<S>,
}

/// Implements those functions of [`Subject`] that are the same for all. The expression is the part with the id, the
/// merchant and the time of creation.
macro_rules! any_subject {
    ($kind:ident, |$this:ident| $part:expr) => {
        const KIND: $crate::domain::SubjectKind = $crate::domain::SubjectKind::$kind;

        fn uuid(&self) -> port::Uuid {
            let $this = self;
            $part.id.uuid()
        }

        fn merchant(&self) -> &str {
            let $this = self;
            &$part.merchant
        }

        fn created_at(&self) -> port::Timestamp {
            let $this = self;
            $part.created_at
        }

        fn head(&self) -> &$crate::domain::Head {
            &self.head
        }

        fn head_mut(&mut self) -> &mut $crate::domain::Head {
            &mut self.head
        }

        fn into_any(this: std::sync::Arc<Self>) -> $crate::domain::AnySubject {
            $crate::domain::AnySubject::$kind(this)
        }

        fn from_any(any: $crate::domain::AnySubject) -> Option<std::sync::Arc<Self>> {
            match any {
                $crate::domain::AnySubject::$kind(this) => Some(this),
                _ => None,
            }
        }
    };
}
pub(super) use any_subject;

/// One change of a subject, as it is stored and hashed.
#[derive(Clone, Debug, PartialEq)]
pub struct Recorded<E> {
    pub subject: Uuid,
    /// The sequence of its first event, from 1 without gaps.
    pub first: u64,
    /// How many public events came before it.
    pub public_before: u64,
    pub meta: ChangeMeta,
    pub events: Vec<E>,
    /// The record as it is stored.
    pub text: Arc<str>,
    /// The text's hash, chained to the change before.
    pub hash: Hash,
}

/// One event with its sequence.
#[derive(Clone, Debug, PartialEq)]
pub struct RecordedEvent<E> {
    pub subject: Uuid,
    /// Its sequence in the subject, from 1 without gaps.
    pub sequence: u64,
    /// Its sequence among the public events, from 1 without gaps; `None` if it is not public.
    pub public_sequence: Option<u64>,
    pub at: Timestamp,
    pub cause: Cause,
    /// Whether more events of the same change follow.
    pub continues: bool,
    pub event: E,
}

impl<E> RecordedEvent<E> {
    pub fn id(&self) -> port::EventId {
        event_id(self.subject, self.sequence)
    }
}

impl<E: SubjectEvent> Recorded<E> {
    pub fn last(&self) -> u64 {
        self.first + self.events.len() as u64 - 1
    }

    pub fn recorded_events(&self) -> impl Iterator<Item = RecordedEvent<E>> + '_ {
        let mut public = self.public_before;
        self.events.iter().enumerate().map(move |(index, event)| {
            public += u64::from(event.is_public());
            RecordedEvent {
                subject: self.subject,
                sequence: self.first + index as u64,
                public_sequence: event.is_public().then_some(public),
                at: self.meta.at,
                cause: self.meta.cause.clone(),
                continues: index + 1 < self.events.len(),
                event: event.clone(),
            }
        })
    }

    /// Reads a change back from its text.
    pub fn read(
        subject: Uuid,
        first: u64,
        public_before: u64,
        text: Arc<str>,
        hash: Hash,
    ) -> Result<Self, stored::RecordError> {
        let (meta, events) = stored::read(&text)?;
        Ok(Self { subject, first, public_before, meta, events, text, hash })
    }
}

/// Makes a change of events: writes their text, hashes it and applies them. The only way a subject changes. After an
/// error the subject must be discarded.
pub fn record<S: Subject>(
    subject: &mut S,
    events: Vec<S::Event>,
    meta: ChangeMeta,
) -> Result<Recorded<S::Event>, ReplayError> {
    let head = *subject.head();
    let text: Arc<str> =
        stored::write(&meta, &events).map_err(|fault| ReplayError(fault.to_string()))?.into();
    let hash = head.hash.chain(text.as_bytes());
    let change = Recorded {
        subject: subject.uuid(),
        first: head.sequence + 1,
        public_before: head.public_sequence,
        meta,
        events,
        text,
        hash,
    };
    apply(subject, &change)?;
    Ok(change)
}

/// Applies a recorded change. Fails if it is not the next one, or an event does not fit.
pub fn apply<S: Subject>(subject: &mut S, change: &Recorded<S::Event>) -> Result<(), ReplayError> {
    if change.first != subject.head().sequence + 1 {
        return Err("a change is not the next one".into());
    }
    for event in &change.events {
        subject.apply_event(event, &change.meta)?;
    }
    let public = change.events.iter().filter(|event| event.is_public()).count() as u64;
    *subject.head_mut() =
        Head { sequence: change.last(), public_sequence: change.public_before + public, hash: change.hash };
    Ok(())
}

/// The subject that a first change creates, before any event of it is applied.
pub fn open<S: Subject>(first: &Recorded<S::Event>) -> Result<S, ReplayError> {
    let event = first.events.first().ok_or("a change has no events")?;
    S::open(event, &first.meta).ok_or_else(|| "the first event makes no subject".into())
}

/// Rebuilds a subject from its changes, oldest first.
pub fn replay<'a, S: Subject>(
    changes: impl IntoIterator<Item = &'a Recorded<S::Event>>,
) -> Result<S, ReplayError> {
    let mut changes = changes.into_iter().peekable();
    let mut subject: S = open(changes.peek().ok_or("there are no changes")?)?;
    for change in changes {
        apply(&mut subject, change)?;
    }
    Ok(subject)
}
