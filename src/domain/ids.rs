//! Ids of a subject's parts, which contain the id of their subject.
//!
//! A subject's UUID has its low 24 bits zero. Its parts (sessions, attempts, payments, refunds, attention, events)
//! have the same UUID with a number in those bits. So the id of a part names its subject, no table has to be searched
//! for it, and both are valid UUIDs of version 7.

use port::{AttemptId, EventId, RefundId, Uuid};

/// The low bits that number the parts of a subject: 16.7 million of each kind.
const NUMBER_BITS: u32 = 24;
const NUMBER_MASK: u128 = (1 << NUMBER_BITS) - 1;

/// The id of the subject that a part belongs to. Also makes the id of a new subject from a fresh UUID.
pub fn subject_of(id: Uuid) -> Uuid {
    Uuid::from_u128(id.as_u128() & !NUMBER_MASK)
}

/// Numbers count from 1 for each kind of part.
pub fn part_of(subject: Uuid, number: u64) -> Uuid {
    Uuid::from_u128(subject_of(subject).as_u128() | (u128::from(number) & NUMBER_MASK))
}

/// 0 for the subject itself.
pub fn number_of(id: Uuid) -> u64 {
    u64::try_from(id.as_u128() & NUMBER_MASK).unwrap_or_default()
}

/// The id of the refund of a payment with the wrong amount (AMOUNT_MISMATCH). The order has no refund record for it,
/// so its number is outside the range of refund records.
pub fn mismatch_refund(attempt: AttemptId) -> RefundId {
    const MISMATCH: u64 = 1 << (NUMBER_BITS - 1);
    RefundId::from_uuid(part_of(attempt.uuid(), number_of(attempt.uuid()) | MISMATCH))
}

pub(super) fn event_id(subject: Uuid, sequence: u64) -> EventId {
    EventId::from_uuid(part_of(subject, sequence))
}
