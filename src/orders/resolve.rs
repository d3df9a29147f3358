//! Deciding about money that needs a look: a person does, or the merchant's policy.

use port::{AttentionId, OrderId, PaymentId};

use super::money::operations;
use super::{CommandContext, OrderError, Orders};
use crate::domain::resolve::resolve;
use crate::domain::{
    AttentionDecision, Cause, DomainError, Erasable, Event, OrderAggregate, Resolution, is_decidable,
};
use crate::payments::{Effects, PaymentError};

impl Orders {
    /// Closes an attention as a person has decided, and sends what gives money back. What that comes to is seen
    /// at the payment and its refunds.
    ///
    /// # Errors
    /// [`OrderError::Refused`]; then it stays open.
    pub async fn resolve(
        &self,
        context: &CommandContext,
        id: OrderId,
        attention: AttentionId,
        decision: AttentionDecision,
        note: Option<String>,
    ) -> Result<OrderAggregate, OrderError> {
        let mut order = self.order(context, id).await?;
        let shared = &self.payments.shared;
        let note = note.map(|note| Erasable::new(note, shared.env.nonce()));
        let with = Resolution { decision, note };
        let mut sends = Vec::new();
        let decide = |order: &OrderAggregate, now| {
            check_version(context, order, attention)?;
            let mut effects =
                decided(order, resolve(order, attention, &with, now, &mut shared.ids())?, &mut sends);
            effects.writes = context.key_row(id, order.sequence + 1, now);
            Ok::<_, OrderError>(effects)
        };
        shared.change("resolve", &mut order, &context.cause, decide).await?;
        self.send(&mut order, &sends, &context.cause).await?;
        Ok(order)
    }

    /// Gives the money of an attention back if that is its merchant's policy. Where it cannot be done the
    /// attention stays open for a person. True if it has to be tried again, behind an operation under way.
    ///
    /// # Errors
    /// [`PaymentError`].
    pub async fn apply_policy(
        &self,
        id: OrderId,
        attention: AttentionId,
        cause: &Cause,
    ) -> Result<bool, PaymentError> {
        let shared = &self.payments.shared;
        let mut order = shared.order(id).await?;
        let policies = shared.refund_policies.load();
        let with = Resolution { decision: AttentionDecision::Refund, note: None };
        let mut sends = Vec::new();
        let decide = |order: &OrderAggregate, now| {
            let found = order.attention(attention).filter(|found| is_decidable(order, found));
            let wanted = found.is_some_and(|found| policies.refunds(&order.header.merchant, found.code));
            if !wanted {
                // Somebody was faster, and sends what that made.
                sends.clear();
                return Ok(Effects::default());
            }
            Ok::<_, PaymentError>(decided(
                order,
                resolve(order, attention, &with, now, &mut shared.ids())?,
                &mut sends,
            ))
        };
        match shared.change("policy", &mut order, cause, decide).await {
            Ok(_) => self.send(&mut order, &sends, cause).await.map(|()| false),
            Err(PaymentError::Refused(DomainError::OperationPending)) => Ok(true),
            Err(PaymentError::Refused(error)) => {
                tracing::warn!(order.id = %id, attention.id = %attention,
                    "the merchant's policy cannot be followed: {error}");
                Ok(false)
            }
            Err(fault) => Err(fault),
        }
    }
}

/// The facts of a decision, with what has to be sent for them. An operation that was given up is no reason any
/// more to ask its provider, so the moment to ask is written anew.
fn decided(order: &OrderAggregate, events: Vec<Event>, sends: &mut Vec<PaymentId>) -> Effects {
    let given_up = events.iter().find_map(|event| match event {
        Event::OperationFinished { payment, .. } => order.payment(*payment)?.attempt,
        _ => None,
    });
    *sends = operations(&events);
    Effects { events, writes: Vec::new(), fetched: given_up }
}

fn check_version(
    context: &CommandContext,
    order: &OrderAggregate,
    attention: AttentionId,
) -> Result<(), OrderError> {
    match (context.expects, order.attention(attention)) {
        (Some(version), Some(attention)) if attention.version() != version => {
            Err(OrderError::VersionMismatch { actual: attention.version() })
        }
        _ => Ok(()),
    }
}
