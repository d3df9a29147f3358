//! What a merchant does with a payment's money: capture, void, refund.

use port::{Failure, OrderId, PaymentId, RefundId};

use super::{CommandContext, OrderError, Orders};
use crate::domain::operate::{NewRefund, capture, refund, void};
use crate::domain::{
    Cause, DomainError, Erasable, Event, OrderAggregate, Payment, RefundOrigin, RefundStatus,
};
use crate::payments::PaymentError;

/// What is asked. Amounts in minor units; absent means all that is left.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum MoneyRequest {
    /// Take what is held.
    Capture {
        /// How much.
        amount: Option<i64>,
    },
    /// Release what is held.
    Void,
    /// Give back what was taken.
    Refund {
        /// How much.
        amount: Option<i64>,
        /// Why.
        reason: Option<String>,
        /// The merchant's reference.
        reference: Option<String>,
    },
}

/// What came of it.
#[derive(Clone, Debug, PartialEq)]
pub struct OperationResult {
    /// The order with its payment.
    pub order: OrderAggregate,
    /// The payment.
    pub payment: PaymentId,
    /// The refund, if one was asked for.
    pub refund: Option<RefundId>,
    /// How far it got.
    pub outcome: Outcome,
}

/// How far an operation got.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// It took effect.
    Done,
    /// It is recorded; whether it took effect is not known yet, or it waits for its turn.
    Pending,
    /// The provider said no.
    Refused(Failure),
}

impl Orders {
    /// Records an operation on a payment, with its amount reserved, and sends it.
    ///
    /// # Errors
    /// [`OrderError::Refused`] for what the state, the amount or the provider rules out before anything is sent.
    pub async fn operate(
        &self,
        context: &CommandContext,
        order: OrderId,
        payment: PaymentId,
        request: &MoneyRequest,
    ) -> Result<OperationResult, OrderError> {
        let mut order = self.order(context, order).await?;
        let env = &self.payments.shared.env;
        let id = RefundId::from_uuid(env.uuid());
        let sealed = match request {
            MoneyRequest::Refund { reason: Some(reason), .. } => {
                Some(Erasable::new(reason.clone(), env.nonce()))
            }
            _ => None,
        };
        let asked_for_order = CommandContext { expects: None, ..context.clone() };
        let mut sends = Vec::new();
        self.change("operate", &asked_for_order, &mut order, |order, now| {
            check_payment_version(context, order, payment)?;
            self.check_account(order, payment)?;
            let events = match request {
                MoneyRequest::Capture { amount } => capture(order, payment, *amount, now)?,
                MoneyRequest::Void => void(order, payment, now)?,
                MoneyRequest::Refund { amount, reference, .. } => {
                    let (reason, reference) = (sealed.clone(), reference.clone());
                    let origin = RefundOrigin::Api;
                    refund(order, payment, NewRefund { id, amount: *amount, reason, reference, origin }, now)?
                }
            };
            sends = operations(&events);
            Ok(events)
        })
        .await?;
        let before = order.sequence;
        self.send(&mut order, &sends, &context.cause).await?;
        let refund = matches!(request, MoneyRequest::Refund { .. }).then_some(id);
        let outcome = self.outcome(&order, payment, refund, before).await?;
        Ok(OperationResult { order, payment, refund, outcome })
    }

    /// Refuses money at an account that is not configured any more: it can be shown, and nobody can be asked to move it.
    fn check_account(&self, order: &OrderAggregate, payment: PaymentId) -> Result<(), DomainError> {
        let attempt = order.payment(payment).and_then(|payment| order.attempt(payment.attempt?));
        match attempt.map(|attempt| self.payments.shared.accounts.get(&attempt.account)) {
            Some(None) => {
                Err(DomainError::Unsupported("be reached, since its account is not configured any more"))
            }
            Some(Some(_)) | None => Ok(()),
        }
    }

    /// Sends what a change has recorded, and nothing else: an operation that was under way before may have taken
    /// effect already.
    pub(super) async fn send(
        &self,
        order: &mut OrderAggregate,
        sends: &[PaymentId],
        cause: &Cause,
    ) -> Result<(), PaymentError> {
        for payment in sends {
            self.payments.operate(order, *payment, cause).await?;
        }
        Ok(())
    }

    /// How an operation ended, by the events since it was recorded.
    async fn outcome(
        &self,
        order: &OrderAggregate,
        payment: PaymentId,
        refund: Option<RefundId>,
        after: u64,
    ) -> Result<Outcome, OrderError> {
        if let Some(refund) = refund.and_then(|id| order.refund(id)) {
            return Ok(match refund.status {
                RefundStatus::Pending => Outcome::Pending,
                RefundStatus::Succeeded | RefundStatus::Reversed => Outcome::Done,
                RefundStatus::Failed => Outcome::Refused(refund.failure.clone().unwrap_or_default()),
            });
        }
        if order.payment(payment).is_some_and(|payment: &Payment| payment.operation.is_some()) {
            return Ok(Outcome::Pending);
        }
        const MAX_EVENTS: u32 = 200;
        let events = self.payments.shared.store.events(order.id(), after, MAX_EVENTS).await?;
        let ended = events.into_iter().find_map(|event| match event.record.event {
            Event::OperationFinished { payment: of, refused, .. } if of == payment => Some(refused),
            _ => None,
        });
        Ok(ended.flatten().map_or(Outcome::Done, Outcome::Refused))
    }
}

/// The payments that a change asks an operation for.
pub(super) fn operations(events: &[Event]) -> Vec<PaymentId> {
    let asked = |event: &Event| match event {
        Event::OperationRequested { payment, .. } => Some(*payment),
        _ => None,
    };
    events.iter().filter_map(asked).collect()
}

fn check_payment_version(
    context: &CommandContext,
    order: &OrderAggregate,
    payment: PaymentId,
) -> Result<(), OrderError> {
    match (context.expects, order.payment(payment)) {
        (Some(version), Some(payment)) if payment.version != version => {
            Err(OrderError::VersionMismatch { actual: payment.version })
        }
        _ => Ok(()),
    }
}
