//! Use cases: resolve attention by a person or by the refund policy.

use port::{AttentionId, OrderId};

use super::{OrderCommand, Orders};
use crate::domain::resolve::resolve;
use crate::domain::{
    AttentionDecision, DomainError, Erasable, OrderAggregate, Outcome, Resolution, is_decidable,
};
use crate::engine::{Command, CommandError, WorkingCopy};
use crate::payments::{PaymentError, Result};

impl OrderCommand<'_> {
    /// Resolves attention as a person has decided, and sends what returns money. How that went shows at the payment and
    /// its refunds.
    ///
    /// # Errors
    /// [`PaymentError::Command`]; then it stays open.
    pub async fn resolve(
        self,
        attention: AttentionId,
        decision: AttentionDecision,
        note: Option<String>,
    ) -> Result<Outcome> {
        let note = note.map(|note| Erasable::new(note, self.payments().engine.env.nonce()));
        let with = Resolution { decision, note };
        self.run("resolve", |context| {
            let found = context.order.attention(attention).ok_or(CommandError::NotFound)?;
            self.command.ensure_version(found.version())?;
            Ok::<_, PaymentError>(resolve(context, attention, &with)?)
        })
        .await
    }
}

impl Orders {
    /// Refunds or voids the money that attention is about, if that is its merchant's policy. Where that is impossible it
    /// stays open for a person.
    ///
    /// # Errors
    /// [`PaymentError`]; `OperationPending` if it has to be tried again after an operation under way.
    pub async fn apply_policy(
        &self,
        order: OrderId,
        attention: AttentionId,
        command: &Command,
    ) -> Result<()> {
        let engine = &self.payments.engine;
        let mut order: WorkingCopy<OrderAggregate> = engine.existing(order.uuid()).await?;
        let policies = self.refund_policies.load();
        let with = Resolution { decision: AttentionDecision::Refund, note: None };
        let decide = |order: &OrderAggregate, now| {
            let open = order.attention(attention).filter(|open| is_decidable(order, open));
            let wanted = open.is_some_and(|open| policies.refunds(&order.header.merchant, open.code));
            if !wanted {
                // Another decision was faster, and sends what it requested.
                return Ok(Vec::new().into());
            }
            let events = resolve(&mut engine.context(order, now), attention, &with)?;
            Ok::<_, PaymentError>(events.into())
        };
        let changed = engine.change("refund policy", command, &mut order, decide).await;
        if let Err(PaymentError::Command(CommandError::Rejected(error))) = &changed
            && *error != DomainError::OperationPending
        {
            tracing::warn!(order.id = %order.id(), attention.id = %attention,
                "the merchant's refund policy cannot be followed: {error}");
            return Ok(());
        }
        self.payments.send_requested(&mut order, changed?, command).await
    }
}
