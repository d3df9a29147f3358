//! Use cases: approve, reject, cancel, fulfil and expire an order.

use port::{OrderId, SessionId};

use super::{OrderCommand, Orders};
use crate::domain::{Context, Erasable, FailureCode, OrderAggregate, Outcome, finish, operate};
use crate::engine::{Command, WorkingCopy};
use crate::payments::{PaymentError, ReadPass, Result};

/// What a merchant can do to an order, beside editing, paying and submitting it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum OrderAction {
    Approve,
    /// Also refunds or voids its money.
    Reject,
    /// Also refunds or voids its money.
    Cancel,
    Fulfil {
        completed: bool,
        detail: Option<String>,
    },
}

impl OrderCommand<'_> {
    /// Approves, rejects, cancels or fulfils the order. The order ends at once; the operations that return its money
    /// are recorded in the same change and sent now, or later by a job.
    pub async fn perform(self, action: &OrderAction) -> Result<Outcome> {
        self.run("perform", |context| {
            self.command.ensure_version(context.order.version())?;
            Ok::<_, PaymentError>(match action {
                OrderAction::Approve => finish::approve(context.order)?,
                OrderAction::Reject => finish::reject(context)?,
                OrderAction::Cancel => finish::cancel(context)?,
                OrderAction::Fulfil { completed, detail } => {
                    let detail = detail.clone().map(|detail| Erasable::new(detail, context.salt()));
                    finish::fulfil(context, *completed, detail)?
                }
            })
        })
        .await
    }
}

impl Orders {
    /// Ends an order that has had no request for too long.
    pub async fn expire(&self, order: OrderId, command: &Command) -> Result<()> {
        let mut order = self.payments.engine.existing(order.uuid()).await?;
        let decide = |context: &mut Context<'_>| Ok(finish::expire(context));
        self.change("expire", command, &mut order, decide).await.map(drop)
    }

    /// Closes a session past its time. That costs a call to the provider, so it takes a read of the account.
    pub async fn expire_session(
        &self,
        order: OrderId,
        session: SessionId,
        command: &Command,
        pass: &ReadPass,
    ) -> Result<()> {
        let engine = &self.payments.engine;
        let mut order: WorkingCopy<OrderAggregate> = engine.existing(order.uuid()).await?;
        let over = |order: &OrderAggregate, now| {
            let found = order.session(session);
            found.is_some_and(|session| session.status.is_open() && session.expires_at <= now)
        };
        if over(&order, engine.now()) {
            self.payments.spend_read_for(&order, session, pass)?;
        }
        let decide = |context: &mut Context<'_>| match over(context.order, context.now) {
            true => Ok(operate::close(context.order, session, FailureCode::Expired, context.now)?),
            false => Ok(Vec::new()),
        };
        self.change("expire session", command, &mut order, decide).await.map(drop)
    }
}
