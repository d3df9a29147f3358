//! How an order ends.

use port::OrderId;

use super::money::operations;
use super::{CommandContext, OrderError, Orders};
use crate::domain::{Cause, Erasable, OrderAggregate, finish};
use crate::payments::PaymentError;

/// What a merchant can do to an order that is past the cart.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Finish {
    /// A person approves it.
    Approve,
    /// A person rejects it; its money is given back.
    Reject,
    /// It is cancelled; its money is given back.
    Cancel,
    /// It was fulfilled, or could not be.
    Fulfil {
        /// Whether it was.
        completed: bool,
        /// In the merchant's words.
        detail: Option<String>,
    },
}

impl Orders {
    /// Approves, rejects, cancels or fulfils the order. The order ends at once; what gives its money back is
    /// recorded with it and sent before this returns, or by the agenda.
    ///
    /// # Errors
    /// [`OrderError::Refused`].
    pub async fn finish(
        &self,
        context: &CommandContext,
        order: OrderId,
        how: &Finish,
    ) -> Result<OrderAggregate, OrderError> {
        let mut order = self.order(context, order).await?;
        let shared = &self.payments.shared;
        let detail = match how {
            Finish::Fulfil { detail: Some(detail), .. } => {
                Some(Erasable::new(detail.clone(), shared.env.nonce()))
            }
            _ => None,
        };
        let mut sends = Vec::new();
        self.change("finish", context, &mut order, |order, now| {
            let mut ids = shared.ids();
            let events = match how {
                Finish::Approve => finish::approve(order)?,
                Finish::Reject => finish::reject(order, now, &mut ids)?,
                Finish::Cancel => finish::cancel(order, now, &mut ids)?,
                Finish::Fulfil { completed, .. } => {
                    finish::fulfil(order, *completed, detail.clone(), now, &mut ids)?
                }
            };
            sends = operations(&events);
            Ok(events)
        })
        .await?;
        self.send(&mut order, &sends, &context.cause).await?;
        Ok(order)
    }

    /// What is due for an order that nobody touches.
    ///
    /// # Errors
    /// [`PaymentError`].
    pub async fn expire(&self, order: OrderId, cause: &Cause) -> Result<OrderAggregate, PaymentError> {
        let shared = &self.payments.shared;
        let mut order = shared.order(order).await?;
        let mut sends = Vec::new();
        let decide = |order: &OrderAggregate, now| {
            let events = finish::expire(order, now, &mut shared.ids());
            sends = operations(&events);
            Ok::<_, PaymentError>(events.into())
        };
        shared.change("expire", &mut order, cause, decide).await?;
        self.send(&mut order, &sends, cause).await?;
        Ok(order)
    }

    /// What is due for a session past its time.
    ///
    /// # Errors
    /// [`PaymentError`].
    pub async fn expire_session(
        &self,
        order: OrderId,
        session: port::SessionId,
        cause: &Cause,
    ) -> Result<OrderAggregate, PaymentError> {
        use crate::domain::{FailureCode, operate::close};
        let shared = &self.payments.shared;
        let mut order = shared.order(order).await?;
        let mut sends = Vec::new();
        let decide = |order: &OrderAggregate, now| {
            let over = order
                .session(session)
                .is_some_and(|session| session.status.is_open() && session.expires_at <= now);
            let events = if over { close(order, session, FailureCode::Expired, now)? } else { Vec::new() };
            sends = operations(&events);
            Ok::<_, PaymentError>(events.into())
        };
        shared.change("expire session", &mut order, cause, decide).await?;
        self.send(&mut order, &sends, cause).await?;
        Ok(order)
    }
}
