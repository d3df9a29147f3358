//! What a decision about an order is made on: the order, the time, and ids for the parts that it adds.

use port::{AttemptId, AttentionId, PaymentId, RefundId, SessionId, Timestamp, Uuid};

use super::OrderAggregate;
use super::ids::{number_of, part_of};

/// The inputs of one decision. Two decisions on the same version of an order give the same ids; only one of them can be
/// committed.
#[derive(Clone, Debug)]
pub struct Context<'a> {
    pub order: &'a OrderAggregate,
    pub now: Timestamp,
    nonce: u128,
    sessions: u64,
    attempts: u64,
    payments: u64,
    refunds: u64,
    attention: u64,
}

impl<'a> Context<'a> {
    /// Ids continue after the highest existing number of each kind; numbers may have gaps. `nonce` must be
    /// unpredictable, since salts are derived from it.
    pub fn of(order: &'a OrderAggregate, now: Timestamp, nonce: [u8; 16]) -> Self {
        Self {
            order,
            now,
            nonce: u128::from_le_bytes(nonce),
            sessions: order.sessions.last().map_or(0, |last| number_of(last.id.uuid())),
            attempts: order.attempts.last().map_or(0, |last| number_of(last.id.uuid())),
            payments: order.payments.last().map_or(0, |last| number_of(last.id.uuid())),
            refunds: order.refunds.last().map_or(0, |last| number_of(last.id.uuid())),
            attention: order.attention.last().map_or(0, |last| number_of(last.id.uuid())),
        }
    }

    pub fn session_id(&mut self) -> SessionId {
        SessionId::from_uuid(next(self.order, &mut self.sessions))
    }

    pub fn attempt_id(&mut self) -> AttemptId {
        AttemptId::from_uuid(next(self.order, &mut self.attempts))
    }

    pub fn payment_id(&mut self) -> PaymentId {
        PaymentId::from_uuid(next(self.order, &mut self.payments))
    }

    pub fn refund_id(&mut self) -> RefundId {
        RefundId::from_uuid(next(self.order, &mut self.refunds))
    }

    pub fn attention_id(&mut self) -> AttentionId {
        AttentionId::from_uuid(next(self.order, &mut self.attention))
    }

    /// A salt for a personal value.
    pub fn salt(&mut self) -> [u8; 16] {
        self.nonce = self.nonce.wrapping_add(1);
        self.nonce.to_le_bytes()
    }
}

fn next(order: &OrderAggregate, number: &mut u64) -> Uuid {
    *number += 1;
    part_of(order.id().uuid(), *number)
}
