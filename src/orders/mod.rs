//! From cart to fulfilment: creating, changing, checking out, submitting, ending.
//!
//! Each use case lets the domain decide on the order and commits; where money is involved it then calls
//! [`payments`](crate::payments). A request's [`Outcome`] is computed from the order's changes, by the request itself and
//! by every repeat of it. Nothing here knows HTTP.

mod cart;
mod checkout;
mod finish;
mod money;
mod resolve;
mod submit;

pub use cart::{Edit, NewOrder, OrderFields};
pub use finish::OrderAction;
pub use money::MoneyRequest;

use std::sync::Arc;

use arc_swap::ArcSwap;
use port::OrderId;

use crate::domain::{Context, Event, OrderAggregate, Outcome, Urgency};
use crate::engine::{Command, Decision, WorkingCopy};
use crate::payments::{PaymentError, Payments, ReadPass, RefundPolicies, Result};
use crate::store::{IdempotencyRow, StoreError};

/// The use cases of orders.
#[derive(Clone)]
pub struct Orders {
    pub payments: Payments,
    /// Read at the start.
    pub refund_policies: Arc<ArcSwap<RefundPolicies>>,
}

impl Orders {
    /// # Errors
    /// [`NotFound`](crate::engine::CommandError::NotFound), also for another merchant's.
    pub async fn order(&self, merchant: &str, id: OrderId) -> Result<WorkingCopy<OrderAggregate>> {
        Ok(self.payments.engine.of_merchant(merchant, id.uuid()).await?)
    }

    pub fn on<'a>(&'a self, merchant: &'a str, command: &'a Command, order: OrderId) -> OrderCommand<'a> {
        OrderCommand { orders: self, merchant, command, order }
    }

    /// Decides on the order, commits, and sends the operations that the change requested.
    async fn change<E: From<StoreError> + From<PaymentError>>(
        &self,
        name: &'static str,
        command: &Command,
        order: &mut WorkingCopy<OrderAggregate>,
        mut decide: impl FnMut(&mut Context<'_>) -> Result<Vec<Event>, E>,
    ) -> Result<Option<u64>, E> {
        let engine = &self.payments.engine;
        let decide =
            |order: &OrderAggregate, now| decide(&mut engine.context(order, now)).map(Decision::from);
        let first = engine.change(name, command, order, decide).await?;
        self.payments.send_requested(order, first, command).await?;
        Ok(first)
    }

    /// The outcome of the request behind an idempotency key. A start that a crash or a lost answer left open is resolved
    /// first, not repeated. `None` if the request was to create a session and reached no provider: it is run again.
    pub async fn recall(
        &self,
        command: &Command,
        row: &IdempotencyRow,
        creates_session: bool,
    ) -> Result<Option<Outcome>> {
        let mut outcome = self.recorded(row).await?;
        let starting = outcome.session.filter(|_| outcome.is_pending());
        if let Some(session) = starting.and_then(|id| outcome.order.session(id)) {
            let (order, pass) = (outcome.order.id(), ReadPass::of(Urgency::UnknownOutcome));
            match self.payments.resolve_start(order, session.attempt, command, &pass).await {
                Ok(()) | Err(PaymentError::Provider(_) | PaymentError::AccountNotConfigured { .. }) => {
                    outcome = self.recorded(row).await?;
                }
                Err(fault) => return Err(fault),
            }
        }
        Ok(Some(outcome).filter(|outcome| !outcome.had_no_effect(creates_session)))
    }

    async fn recorded(&self, row: &IdempotencyRow) -> Result<Outcome> {
        let engine = &self.payments.engine;
        let current = engine.existing::<OrderAggregate>(row.subject).await?;
        let steps = engine.steps_from::<OrderAggregate>(row.subject, row.sequence).await?;
        let mut outcome = Outcome::of(&steps, current.current().clone());
        // Loaded again to fill in the personal values that still exist.
        let sequence = outcome.order.head.sequence;
        let order = engine.store.load_at(row.subject, sequence).await?;
        outcome.order = order.ok_or_else(|| StoreError::Corrupt("an order is gone".to_owned()))?;
        Ok(outcome)
    }
}

/// A merchant's command about one of its orders.
#[derive(Clone, Copy)]
pub struct OrderCommand<'a> {
    orders: &'a Orders,
    merchant: &'a str,
    command: &'a Command,
    order: OrderId,
}

impl OrderCommand<'_> {
    fn payments(&self) -> &Payments {
        &self.orders.payments
    }

    async fn load(&self) -> Result<WorkingCopy<OrderAggregate>> {
        self.orders.order(self.merchant, self.order).await
    }

    async fn run<E: From<StoreError> + From<PaymentError>>(
        &self,
        name: &'static str,
        decide: impl FnMut(&mut Context<'_>) -> Result<Vec<Event>, E>,
    ) -> Result<Outcome, E> {
        let mut order = self.load().await?;
        let first = self.orders.change(name, self.command, &mut order, decide).await?;
        Ok(outcome(&order, first))
    }
}

/// The outcome of a request whose change begins with `first`.
fn outcome(order: &WorkingCopy<OrderAggregate>, first: Option<u64>) -> Outcome {
    let steps = first.map(|first| order.steps_from(first)).unwrap_or_default();
    Outcome::of(steps, order.current().clone())
}
