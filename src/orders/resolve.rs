//! Resolving attention: a person decides, or the merchant's refund policy.

use port::{AttentionId, OrderId};

use super::{OrderCommand, Orders};
use crate::domain::resolve::resolve;
use crate::domain::{
    AttentionDecision, DomainError, Erasable, OrderAggregate, Outcome, Resolution, is_decidable,
};
use crate::engine::{Command, CommandError, WorkingCopy};
use crate::payments::PaymentError;

impl OrderCommand<'_> {
    /// Closes an attention as a person has decided, and sends what returns money. What that comes to is seen at the
    /// payment and its refunds.
    ///
    /// # Errors
    /// [`PaymentError::Command`]; then it stays open.
    pub async fn resolve(
        self,
        attention: AttentionId,
        decision: AttentionDecision,
        note: Option<String>,
    ) -> Result<Outcome, PaymentError> {
        let engine = &self.payments().engine;
        let note = note.map(|note| Erasable::new(note, engine.env.nonce()));
        let with = Resolution { decision, note };
        self.run("resolve", |order, now| {
            let found = order.attention(attention).ok_or(CommandError::NotFound)?;
            self.command.ensure_version(found.version())?;
            Ok::<_, PaymentError>(resolve(&mut engine.context(order, now), attention, &with)?)
        })
        .await
    }
}

impl Orders {
    /// Refunds or voids the money of an attention if that is its merchant's policy. Where it cannot be done the
    /// attention stays open for a person.
    ///
    /// # Errors
    /// [`PaymentError`]; `OperationPending` if it has to be tried again behind an operation under way.
    pub async fn apply_policy(
        &self,
        order: OrderId,
        attention: AttentionId,
        command: &Command,
    ) -> Result<(), PaymentError> {
        let engine = &self.payments.engine;
        let mut order: WorkingCopy<OrderAggregate> = engine.existing(order.uuid()).await?;
        let policies = self.refund_policies.load();
        let with = Resolution { decision: AttentionDecision::Refund, note: None };
        let decide = |order: &OrderAggregate, now| {
            let open = order.attention(attention).filter(|open| is_decidable(order, open));
            let wanted = open.is_some_and(|open| policies.refunds(&order.header.merchant, open.code));
            if !wanted {
                // Another decision was faster, and sends what that made.
                return Ok(Vec::new().into());
            }
            let events = resolve(&mut engine.context(order, now), attention, &with)?;
            Ok::<_, PaymentError>(events.into())
        };
        match engine.change("refund policy", command, &mut order, decide).await {
            Ok(first) => self.send_requested(&mut order, first, command).await,
            Err(fault @ PaymentError::Command(CommandError::Rejected(DomainError::OperationPending))) => {
                Err(fault)
            }
            Err(PaymentError::Command(CommandError::Rejected(error))) => {
                tracing::warn!(order.id = %order.id(), attention.id = %attention,
                    "the merchant's refund policy cannot be followed: {error}");
                Ok(())
            }
            Err(fault) => Err(fault),
        }
    }
}
