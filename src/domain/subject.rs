//! Subjects: what changes by events, one change at a time.
//!
//! A subject (aggregate) is an order, a profile session, a stored payment method or a webhook endpoint. A change is a
//! list of events with one text, one hash and one place in the subject's history; its place is the lock: of two
//! changes decided on the same version only one can be written.

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

/// The kinds of subject.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
#[derive(strum::IntoStaticStr, strum::FromRepr, strum::VariantArray)]
#[strum(serialize_all = "snake_case")]
pub enum SubjectKind {
    /// An order with everything that hangs on it.
    Order = 1,
    /// A session in which a customer stores a payment method.
    ProfileSession = 2,
    /// A stored payment method.
    Profile = 3,
    /// A merchant's webhook endpoint.
    WebhookEndpoint = 4,
}

/// Where a subject's history ends.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, serde::Deserialize)]
pub struct Head {
    /// How many events made the subject.
    pub sequence: u64,
    /// How many of them are public.
    pub public_sequence: u64,
    /// The hash of the last change.
    pub hash: Hash,
}

/// What all events of one change share.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ChangeMeta {
    /// When.
    pub at: Timestamp,
    /// Who or what caused it.
    pub cause: Cause,
}

/// Events that do not fit the subject they were to change: a defect, never an input.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the events do not fit each other: {0}")]
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
    /// The state in upper case, as the API writes it.
    pub change: &'static str,
}

/// An event of a subject.
pub trait SubjectEvent:
    Clone + Debug + PartialEq + Serialize + DeserializeOwned + Send + Sync + 'static
{
    /// The public event that merchants are told of, if it is one.
    fn public(&self) -> Option<PublicEvent> {
        None
    }

    /// Whether merchants are told of it.
    fn is_public(&self) -> bool {
        self.public().is_some()
    }

    /// The personal values that are stored beside it.
    fn personal(&self) -> Vec<Body> {
        Vec::new()
    }
}

/// A subject: an aggregate that changes by events and nothing else.
pub trait Subject: Clone + Debug + PartialEq + Serialize + DeserializeOwned + Send + Sync + 'static {
    /// Its events.
    type Event: SubjectEvent;

    /// Which kind it is.
    const KIND: SubjectKind;

    /// The subject that a first event makes. `None` for an event that makes none.
    fn open(first: &Self::Event, meta: &ChangeMeta) -> Option<Self>;

    /// Applies one event.
    ///
    /// # Errors
    /// [`ReplayError`] if it names something that the subject does not have.
    fn apply_event(&mut self, event: &Self::Event, meta: &ChangeMeta) -> Result<(), ReplayError>;

    /// Its id.
    fn uuid(&self) -> Uuid;

    /// Whose it is.
    fn merchant(&self) -> &str;

    /// Where its history ends.
    fn head(&self) -> &Head;

    /// The same, to be moved on.
    fn head_mut(&mut self) -> &mut Head;

    /// The state that lists are filtered by.
    fn list_state(&self) -> &'static str;

    /// When it was created.
    fn created_at(&self) -> Timestamp;

    /// Where personal values belong.
    fn erasables(&mut self) -> Vec<&mut dyn ErasableSlot>;

    /// The rows that lead to it.
    fn lookups(&self) -> Vec<Lookup>;

    /// What it makes due, judged at `now`; `draw` spreads moments that need not be exact.
    fn due(&self, now: Timestamp, draw: u64) -> Vec<DueJob>;

    /// Itself among subjects of all kinds.
    fn into_any(this: Arc<Self>) -> AnySubject;

    /// Itself, if it is of this kind.
    fn from_any(any: AnySubject) -> Option<Arc<Self>>;
}

/// A subject of any kind.
#[derive(Clone, Debug, PartialEq)]
pub enum AnySubject {
    /// An order.
    Order(Arc<OrderAggregate>),
    /// A profile session.
    ProfileSession(Arc<ProfileSession>),
    /// A stored payment method.
    Profile(Arc<Profile>),
    /// A webhook endpoint.
    WebhookEndpoint(Arc<WebhookEndpoint>),
}

impl AnySubject {
    /// Where its history ends.
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
    /// The change.
    pub change: Arc<Recorded<S::Event>>,
    /// The subject after it.
    pub after: Arc<S>,
}

/// Implements those functions of [`Subject`] that are the same for all: its head is a field, its id, its merchant and
/// when it was created are fields of it or of a part of it, and it is one of [`AnySubject`].
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
    /// Whose.
    pub subject: Uuid,
    /// The sequence of its first event, from 1 without gaps.
    pub first: u64,
    /// How many public events came before it.
    pub public_before: u64,
    /// When, and by whom.
    pub meta: ChangeMeta,
    /// What happened.
    pub events: Vec<E>,
    /// The record as it is stored.
    pub text: Arc<str>,
    /// The text's hash, chained to the change before.
    pub hash: Hash,
}

/// One event in its place.
#[derive(Clone, Debug, PartialEq)]
pub struct RecordedEvent<E> {
    /// Its subject.
    pub subject: Uuid,
    /// Its place in the subject's history, from 1 without gaps.
    pub sequence: u64,
    /// Its place among the public events, from 1 without gaps; none if it is not public.
    pub public_sequence: Option<u64>,
    /// When.
    pub at: Timestamp,
    /// Who or what caused it.
    pub cause: Cause,
    /// Whether more events of the same change follow.
    pub continues: bool,
    /// What happened.
    pub event: E,
}

impl<E> RecordedEvent<E> {
    /// Its id.
    pub fn id(&self) -> port::EventId {
        event_id(self.subject, self.sequence)
    }
}

impl<E: SubjectEvent> Recorded<E> {
    /// The sequence of its last event.
    pub fn last(&self) -> u64 {
        self.first + self.events.len() as u64 - 1
    }

    /// Its events, each in its place.
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
    ///
    /// # Errors
    /// [`stored::RecordError`] for a text of an unknown version, or with an event of an unknown kind.
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

/// Records events on a subject: gives them their place, applies them, and writes their text. The only way a subject
/// changes.
///
/// # Errors
/// [`ReplayError`] if an event names something that the subject does not have; the subject is then of no use.
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

/// Applies a change that was recorded.
///
/// # Errors
/// [`ReplayError`] if it is not the next one, or an event does not fit.
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

/// The subject that a first change makes, before any event of it is applied.
///
/// # Errors
/// [`ReplayError`] if it makes none.
pub fn open<S: Subject>(first: &Recorded<S::Event>) -> Result<S, ReplayError> {
    let event = first.events.first().ok_or("a change has no events")?;
    S::open(event, &first.meta).ok_or_else(|| "the first event makes no subject".into())
}

/// Makes a subject again from its changes, oldest first.
///
/// # Errors
/// [`ReplayError`] if the first makes none, or one does not follow the other.
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
