//! How an order ends.

use port::OrderId;

use super::money::operations;
use super::{Asked, OrderError, Orders};
use crate::domain::{Cause, OrderFile, Sealed, finish};
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
    pub async fn finish(&self, asked: &Asked, order: OrderId, how: &Finish) -> Result<OrderFile, OrderError> {
        let mut file = self.file(asked, order).await?;
        let shared = &self.payments.shared;
        let detail = match how {
            Finish::Fulfil { detail: Some(detail), .. } => {
                Some(Sealed::new(detail.clone(), shared.source.nonce()))
            }
            _ => None,
        };
        let mut sends = Vec::new();
        self.change("finish", asked, &mut file, |file, now| {
            let mut ids = shared.ids();
            let facts = match how {
                Finish::Approve => finish::approve(file)?,
                Finish::Reject => finish::reject(file, now, &mut ids)?,
                Finish::Cancel => finish::cancel(file, now, &mut ids)?,
                Finish::Fulfil { completed, .. } => {
                    finish::fulfil(file, *completed, detail.clone(), now, &mut ids)?
                }
            };
            sends = operations(&facts);
            Ok(facts)
        })
        .await?;
        self.send(&mut file, &sends, &asked.cause).await?;
        Ok(file)
    }

    /// What is due for an order that nobody touches.
    ///
    /// # Errors
    /// [`PaymentError`].
    pub async fn expire(&self, order: OrderId, cause: &Cause) -> Result<OrderFile, PaymentError> {
        let shared = &self.payments.shared;
        let mut file = shared.file(order).await?;
        let mut sends = Vec::new();
        let decide = |file: &OrderFile, now| {
            let facts = finish::expire(file, now, &mut shared.ids());
            sends = operations(&facts);
            Ok::<_, PaymentError>(facts.into())
        };
        shared.change("expire", &mut file, cause, decide).await?;
        self.send(&mut file, &sends, cause).await?;
        Ok(file)
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
    ) -> Result<OrderFile, PaymentError> {
        use crate::domain::{FailureCode, operate::close};
        let shared = &self.payments.shared;
        let mut file = shared.file(order).await?;
        let mut sends = Vec::new();
        let decide = |file: &OrderFile, now| {
            let over = file
                .session(session)
                .is_some_and(|session| session.status.is_open() && session.expires_at <= now);
            let facts = if over { close(file, session, FailureCode::Expired, now)? } else { Vec::new() };
            sends = operations(&facts);
            Ok::<_, PaymentError>(facts.into())
        };
        shared.change("expire session", &mut file, cause, decide).await?;
        self.send(&mut file, &sends, cause).await?;
        Ok(file)
    }
}
