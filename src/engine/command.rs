//! Commands: who requests a change, with which idempotency key and on which condition.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use port::Uuid;

use crate::domain::{Actor, Cause, DomainError, Recorded, SubjectEvent};
use crate::store::{IdempotencyRow, StoreError, Unique, Write};

/// A command: a request to change something.
#[derive(Clone, Debug)]
pub struct Command {
    /// Who or what caused it, for the events.
    pub cause: Cause,
    pub key: Option<IdempotencyKey>,
    /// The version that the resource must still have.
    pub if_match: Option<u64>,
}

/// An idempotency key with what it was sent with.
#[derive(Clone, Debug)]
pub struct IdempotencyKey {
    pub text: String,
    /// A hash of method, path and body.
    pub fingerprint: [u8; 32],
    /// The subject and sequence that the stored key points to, if that change had no effect and is to be replaced.
    pub replaces: Option<(Uuid, u64)>,
    is_written: Arc<AtomicBool>,
}

impl IdempotencyKey {
    /// A key that is not stored yet.
    pub fn new(text: String, fingerprint: [u8; 32]) -> Self {
        Self { text, fingerprint, replaces: None, is_written: Arc::default() }
    }

    /// Whether a change was committed with it.
    pub fn is_written(&self) -> bool {
        self.is_written.load(Ordering::Relaxed)
    }

    pub(super) fn written(&self) {
        self.is_written.store(true, Ordering::Relaxed);
    }

    /// The row that makes a change idempotent.
    pub(super) fn row<E: SubjectEvent>(&self, merchant: &str, change: &Recorded<E>) -> IdempotencyRow {
        IdempotencyRow {
            merchant: merchant.to_owned(),
            key: self.text.clone(),
            fingerprint: self.fingerprint,
            subject: change.subject,
            sequence: change.first,
            at: change.meta.at,
            replaces: self.replaces,
        }
    }
}

impl Command {
    /// A command of an actor without a request.
    pub fn of(actor: Actor) -> Self {
        Self { cause: Cause { actor, request: None }, key: None, if_match: None }
    }

    /// A follow-up of this command: same cause, without idempotency key and condition.
    #[must_use]
    pub fn following(&self) -> Self {
        Self { cause: self.cause.clone(), key: None, if_match: None }
    }

    /// Refuses if the resource does not have the version that `If-Match` names.
    pub fn ensure_version(&self, actual: u64) -> Result<(), CommandError> {
        match self.if_match {
            Some(version) if version != actual => Err(CommandError::VersionMismatch { actual }),
            _ => Ok(()),
        }
    }
}

/// The events of a decision, with further rows to write.
#[derive(Clone, Debug)]
pub struct Decision<E> {
    pub events: Vec<E>,
    pub also: Vec<Write>,
}

impl<E> From<Vec<E>> for Decision<E> {
    fn from(events: Vec<E>) -> Self {
        Self { events, also: Vec::new() }
    }
}

impl<E> From<Option<E>> for Decision<E> {
    fn from(event: Option<E>) -> Self {
        event.into_iter().collect::<Vec<_>>().into()
    }
}

/// Why a command was not carried out.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CommandError {
    /// There is no such thing, or it is another merchant's.
    #[error("not found")]
    NotFound,
    /// The merchant expected another version.
    #[error("the version is {actual}")]
    VersionMismatch { actual: u64 },
    #[error("the reference is in use")]
    ReferenceTaken,
    /// The idempotency key was used meanwhile.
    #[error("the idempotency key is in use")]
    IdempotencyKeyTaken,
    #[error(transparent)]
    Rejected(#[from] DomainError),
    #[error(transparent)]
    Store(StoreError),
}

impl From<StoreError> for CommandError {
    fn from(fault: StoreError) -> Self {
        match fault {
            StoreError::Taken(Unique::OrderReference) => Self::ReferenceTaken,
            StoreError::Taken(Unique::IdempotencyKey) => Self::IdempotencyKeyTaken,
            StoreError::Taken(Unique::ProfileSession) => {
                Self::Rejected(DomainError::SessionUnusable("it was used already"))
            }
            other => Self::Store(other),
        }
    }
}
