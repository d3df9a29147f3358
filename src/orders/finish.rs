//! How an order ends.

use port::{OrderId, SessionId};

use super::{OrderCommand, Orders};
use crate::domain::{Erasable, FailureCode, OrderAggregate, Outcome, finish, operate};
use crate::engine::{Command, WorkingCopy};
use crate::payments::{PaymentError, ReadPass};

/// What a merchant can do to an order that is past the cart.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Finish {
    /// A person approves it.
    Approve,
    /// A person rejects it; its money is refunded or voided.
    Reject,
    /// It is cancelled; its money is refunded or voided.
    Cancel,
    /// It was fulfilled, or could not be.
    Fulfil {
        /// Whether it was.
        completed: bool,
        /// In the merchant's words.
        detail: Option<String>,
    },
}

impl OrderCommand<'_> {
    /// Approves, rejects, cancels or fulfils the order. The order ends at once; what returns its money is recorded with
    /// it and sent before this returns, or by a job.
    ///
    /// # Errors
    /// [`PaymentError::Command`].
    pub async fn finish(self, how: &Finish) -> Result<Outcome, PaymentError> {
        self.run("finish", |order, now| {
            self.command.ensure_version(order.version())?;
            let mut context = self.payments().engine.context(order, now);
            Ok::<_, PaymentError>(match how {
                Finish::Approve => finish::approve(order)?,
                Finish::Reject => finish::reject(&mut context)?,
                Finish::Cancel => finish::cancel(&mut context)?,
                Finish::Fulfil { completed, detail } => {
                    let detail = detail.clone().map(|detail| Erasable::new(detail, context.salt()));
                    finish::fulfil(&mut context, *completed, detail)?
                }
            })
        })
        .await
    }
}

impl Orders {
    /// What is due for an order that nobody touches.
    pub async fn expire(&self, order: OrderId, command: &Command) -> Result<(), PaymentError> {
        let engine = &self.payments.engine;
        let mut order = engine.existing(order.uuid()).await?;
        let decide = |order: &OrderAggregate, now| {
            Ok::<_, PaymentError>(finish::expire(&mut engine.context(order, now)).into())
        };
        let first = engine.change("expire", command, &mut order, decide).await?;
        self.send_requested(&mut order, first, command).await
    }

    /// What is due for a session past its time. Closing it costs the provider a call, so it takes a read of the
    /// account's budget.
    pub async fn expire_session(
        &self,
        order: OrderId,
        session: SessionId,
        command: &Command,
        pass: &ReadPass,
    ) -> Result<(), PaymentError> {
        let engine = &self.payments.engine;
        let mut order: WorkingCopy<OrderAggregate> = engine.existing(order.uuid()).await?;
        let over = |order: &OrderAggregate, now| {
            let found = order.session(session);
            found.is_some_and(|session| session.status.is_open() && session.expires_at <= now)
        };
        if over(&order, engine.now()) {
            self.payments.spend_read_for(&order, session, pass)?;
        }
        let decide = |order: &OrderAggregate, now| {
            let events = match over(order, now) {
                true => operate::close(order, session, FailureCode::Expired, now)?,
                false => Vec::new(),
            };
            Ok::<_, PaymentError>(events.into())
        };
        let first = engine.change("expire session", command, &mut order, decide).await?;
        self.send_requested(&mut order, first, command).await
    }
}
