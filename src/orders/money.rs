//! Use cases: capture, void and refund a payment.

use port::PaymentId;

use super::OrderCommand;
use crate::domain::operate::{NewRefund, capture, refund, void};
use crate::domain::{Context, DomainError, Erasable, OrderAggregate, Outcome, RefundOrigin};
use crate::engine::CommandError;
use crate::payments::{PaymentError, Result};

/// An operation that a merchant requests. Amounts are in minor units; absent means all that is left.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum MoneyRequest {
    Capture { amount: Option<i64> },
    Void,
    Refund { amount: Option<i64>, reason: Option<String>, reference: Option<String> },
}

impl OrderCommand<'_> {
    /// Records an operation on a payment, with its amount reserved, and sends it.
    ///
    /// # Errors
    /// [`PaymentError::Command`] for what the state, the amount or the provider rules out before anything is sent.
    pub async fn operate(self, payment: PaymentId, request: &MoneyRequest) -> Result<Outcome> {
        let decide = |context: &mut Context<'_>| {
            let (order, now) = (context.order, context.now);
            let found = order.payment(payment).ok_or(CommandError::NotFound)?;
            self.command.ensure_version(found.version)?;
            self.ensure_account(order, payment)?;
            Ok::<_, PaymentError>(match request {
                MoneyRequest::Capture { amount } => capture(order, payment, *amount, now)?,
                MoneyRequest::Void => void(order, payment, now)?,
                MoneyRequest::Refund { amount, reason, reference } => {
                    let new_refund = NewRefund {
                        amount: *amount,
                        reason: reason.clone().map(|reason| Erasable::new(reason, context.salt())),
                        reference: reference.clone(),
                        origin: RefundOrigin::Api,
                    };
                    refund(context, payment, new_refund)?
                }
            })
        };
        let outcome = self.run("operate", decide).await?;
        Ok(Outcome { payment: Some(payment), ..outcome })
    }

    /// Refuses what an account that is not configured any more would have to do: its payments can be shown, but neither
    /// closed nor their money moved.
    pub(super) fn ensure_account(
        &self,
        order: &OrderAggregate,
        payment: PaymentId,
    ) -> Result<(), DomainError> {
        let attempt = order.payment(payment).and_then(|payment| order.attempt(payment.attempt?));
        match attempt.map(|attempt| self.payments().providers.accounts().get(&attempt.account)) {
            Some(None) => Err(DomainError::Unsupported("be reached: its account is not configured any more")),
            Some(Some(_)) | None => Ok(()),
        }
    }
}
