//! The agenda: everything that must happen later is a row, written by the change that made it necessary.

use port::{OrderId, Timestamp};

pub use crate::domain::JobKind;

/// Something that is due, leased to whoever claimed it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Job {
    /// What.
    pub kind: JobKind,
    /// Of which object: an id as text.
    pub subject: String,
    /// In which order; none for a notification.
    pub order: Option<OrderId>,
    /// When it was due.
    pub at: Timestamp,
    /// How often it was claimed before.
    pub tries: u32,
    /// Until when it is ours. A change that writes the row anew ends the lease.
    pub lease: Lease,
}

/// The moment a lease ends, which also names it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Lease(pub Timestamp);
