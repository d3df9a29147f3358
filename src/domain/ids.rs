//! Ids that find their subject.
//!
//! A subject (an order, a profile session, a stored method, an endpoint) has a UUID whose low bits are zero. Its
//! parts (sessions, attempts, payments, refunds, attention, events) have the same UUID with their number in those
//! bits. So the id of a part names its subject, no table has to be searched for it, and both stay valid UUIDs of
//! version 7.

use port::{AttemptId, AttentionId, EventId, PaymentId, RefundId, SessionId, Uuid};

use super::OrderAggregate;

/// The low bits that number the parts of one subject: 16.7 million of each kind.
const NUMBER_BITS: u32 = 24;
const NUMBER_MASK: u128 = (1 << NUMBER_BITS) - 1;

/// The subject that a part belongs to; a subject's own id stays as it is. Makes the id of a new subject from a
/// fresh UUID.
pub fn subject_of(id: Uuid) -> Uuid {
    Uuid::from_u128(id.as_u128() & !NUMBER_MASK)
}

/// The id of a subject's part. Numbers count from 1 for each kind of part.
pub fn part_of(subject: Uuid, number: u64) -> Uuid {
    Uuid::from_u128(subject_of(subject).as_u128() | (u128::from(number) & NUMBER_MASK))
}

/// The number of a part within its subject; 0 for the subject itself.
pub fn number_of(id: Uuid) -> u64 {
    u64::try_from(id.as_u128() & NUMBER_MASK).unwrap_or_default()
}

/// The refund that gives back what an attempt took over another amount than was asked. No refund of the order stands
/// for it, so its number is one that no refund of the order gets.
pub fn unasked_refund(attempt: AttemptId) -> RefundId {
    const UNASKED: u64 = 1 << (NUMBER_BITS - 1);
    RefundId::from_uuid(part_of(attempt.uuid(), number_of(attempt.uuid()) | UNASKED))
}

/// The id of an event by its sequence.
pub(super) fn event_id(subject: Uuid, sequence: u64) -> EventId {
    EventId::from_uuid(part_of(subject, sequence))
}

/// Gives ids to the parts that one decision adds to an order. Two decisions on the same version of an order give the
/// same ids; only one of them can be committed.
#[derive(Clone, Debug)]
pub struct NewIds {
    subject: Uuid,
    nonce: u128,
    sessions: u64,
    attempts: u64,
    payments: u64,
    refunds: u64,
    attention: u64,
}

impl NewIds {
    /// For parts that follow those the order has: after the last one's number, as a decision may have left one out.
    /// `nonce` is unpredictable: salts are made of it.
    pub fn of(order: &OrderAggregate, nonce: [u8; 16]) -> Self {
        Self {
            subject: order.id().uuid(),
            nonce: u128::from_le_bytes(nonce),
            sessions: order.sessions.last().map_or(0, |last| number_of(last.id.uuid())),
            attempts: order.attempts.last().map_or(0, |last| number_of(last.id.uuid())),
            payments: order.payments.last().map_or(0, |last| number_of(last.id.uuid())),
            refunds: order.refunds.last().map_or(0, |last| number_of(last.id.uuid())),
            attention: order.attention.last().map_or(0, |last| number_of(last.id.uuid())),
        }
    }

    /// The next session.
    pub fn session(&mut self) -> SessionId {
        SessionId::from_uuid(next(self.subject, &mut self.sessions))
    }

    /// The next attempt.
    pub fn attempt(&mut self) -> AttemptId {
        AttemptId::from_uuid(next(self.subject, &mut self.attempts))
    }

    /// The next payment.
    pub fn payment(&mut self) -> PaymentId {
        PaymentId::from_uuid(next(self.subject, &mut self.payments))
    }

    /// The next refund.
    pub fn refund(&mut self) -> RefundId {
        RefundId::from_uuid(next(self.subject, &mut self.refunds))
    }

    /// The next attention.
    pub fn attention(&mut self) -> AttentionId {
        AttentionId::from_uuid(next(self.subject, &mut self.attention))
    }

    /// A salt for a personal value.
    pub fn salt(&mut self) -> [u8; 16] {
        self.nonce = self.nonce.wrapping_add(1);
        self.nonce.to_le_bytes()
    }
}

fn next(subject: Uuid, number: &mut u64) -> Uuid {
    *number += 1;
    part_of(subject, *number)
}
