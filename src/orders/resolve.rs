//! Deciding about money that needs a look: a person does, or the merchant's policy.

use port::{AttentionId, OrderId, PaymentId};

use super::money::operations;
use super::{Asked, OrderError, Orders};
use crate::domain::resolve::resolve;
use crate::domain::{Cause, Decision, Fact, OrderFile, Refusal, Resolution, Sealed, is_decidable};
use crate::payments::{Decided, PaymentError};

impl Orders {
    /// Closes an attention as a person has decided, and sends what gives money back. What that comes to is seen
    /// at the payment and its refunds.
    ///
    /// # Errors
    /// [`OrderError::Refused`]; then it stays open.
    pub async fn resolve(
        &self,
        asked: &Asked,
        order: OrderId,
        attention: AttentionId,
        decision: Decision,
        note: Option<String>,
    ) -> Result<OrderFile, OrderError> {
        let mut file = self.file(asked, order).await?;
        let shared = &self.payments.shared;
        let note = note.map(|note| Sealed::new(note, shared.source.nonce()));
        let with = Resolution { decision, note };
        let mut sends = Vec::new();
        let decide = |file: &OrderFile, now| {
            check_version(asked, file, attention)?;
            let mut decided =
                decided(file, resolve(file, attention, &with, now, &mut shared.ids())?, &mut sends);
            decided.with = asked.key_row(order, file.sequence + 1, now);
            Ok::<_, OrderError>(decided)
        };
        shared.change("resolve", &mut file, &asked.cause, decide).await?;
        self.send(&mut file, &sends, &asked.cause).await?;
        Ok(file)
    }

    /// Gives the money of an attention back if that is its merchant's policy. Where it cannot be done the
    /// attention stays open for a person. True if it has to be tried again, behind an operation under way.
    ///
    /// # Errors
    /// [`PaymentError`].
    pub async fn apply_policy(
        &self,
        order: OrderId,
        attention: AttentionId,
        cause: &Cause,
    ) -> Result<bool, PaymentError> {
        let shared = &self.payments.shared;
        let mut file = shared.file(order).await?;
        let remedies = shared.remedies.load();
        let with = Resolution { decision: Decision::Refund, note: None };
        let mut sends = Vec::new();
        let decide = |file: &OrderFile, now| {
            let told = file.attention(attention).filter(|told| is_decidable(file, told));
            let wanted = told.is_some_and(|told| remedies.gives_back(&file.order.merchant, told.code));
            if !wanted {
                // Somebody was faster, and sends what that made.
                sends.clear();
                return Ok(Decided::default());
            }
            Ok::<_, PaymentError>(decided(
                file,
                resolve(file, attention, &with, now, &mut shared.ids())?,
                &mut sends,
            ))
        };
        match shared.change("policy", &mut file, cause, decide).await {
            Ok(_) => self.send(&mut file, &sends, cause).await.map(|()| false),
            Err(PaymentError::Refused(Refusal::OperationPending)) => Ok(true),
            Err(PaymentError::Refused(refusal)) => {
                tracing::warn!(order.id = %order, attention.id = %attention,
                    "the merchant's policy cannot be followed: {refusal}");
                Ok(false)
            }
            Err(fault) => Err(fault),
        }
    }
}

/// The facts of a decision, with what has to be sent for them. An operation that was given up is no reason any
/// more to ask its provider, so the moment to ask is written anew.
fn decided(file: &OrderFile, facts: Vec<Fact>, sends: &mut Vec<PaymentId>) -> Decided {
    let given_up = facts.iter().find_map(|fact| match fact {
        Fact::OperationEnded { payment, .. } => file.payment(*payment)?.attempt,
        _ => None,
    });
    *sends = operations(&facts);
    Decided { facts, with: Vec::new(), asked: given_up }
}

fn check_version(asked: &Asked, file: &OrderFile, attention: AttentionId) -> Result<(), OrderError> {
    match (asked.expects, file.attention(attention)) {
        (Some(version), Some(told)) if told.version() != version => {
            Err(OrderError::VersionMismatch { actual: told.version() })
        }
        _ => Ok(()),
    }
}
