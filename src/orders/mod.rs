//! From cart to fulfilment: creating, changing, checking out, submitting, ending.
//!
//! Each use case lets the domain decide on the order and commits; where money is involved it then goes on in
//! [`payments`](crate::payments). What a request came to is an [`Outcome`], computed from the order's changes by the
//! request itself and by every repeat of it. Nothing here knows HTTP.

mod cart;
mod checkout;
mod finish;
mod money;
mod resolve;
mod submit;

pub use cart::{Edit, NewOrder, OrderFields};
pub use finish::Finish;
pub use money::MoneyRequest;

use std::sync::Arc;

use arc_swap::ArcSwap;
use port::{OrderId, PaymentId, Timestamp};

use crate::domain::{Event, OrderAggregate, Outcome};
use crate::engine::{Command, CommandError, Decision, WorkingCopy};
use crate::payments::{PaymentError, Payments, RefundPolicies};
use crate::store::{IdempotencyRow, StoreError};

/// The use cases of orders.
#[derive(Clone)]
pub struct Orders {
    /// The money behind them.
    pub payments: Payments,
    /// What merchants want done at once with money that no order goes on with.
    pub refund_policies: Arc<ArcSwap<RefundPolicies>>,
}

impl Orders {
    /// The merchant's order.
    ///
    /// # Errors
    /// [`CommandError::NotFound`], also for another merchant's.
    pub async fn order(
        &self,
        merchant: &str,
        id: OrderId,
    ) -> Result<WorkingCopy<OrderAggregate>, CommandError> {
        self.payments.engine.of_merchant(merchant, id.uuid()).await
    }

    /// A merchant's command about one of its orders.
    pub fn on<'a>(&'a self, merchant: &'a str, command: &'a Command, order: OrderId) -> OrderCommand<'a> {
        OrderCommand { orders: self, merchant, command, order }
    }

    /// Sends the operations that a change has requested.
    async fn send_requested(
        &self,
        order: &mut WorkingCopy<OrderAggregate>,
        first: Option<u64>,
        command: &Command,
    ) -> Result<(), PaymentError> {
        let Some(first) = first else { return Ok(()) };
        let change = order.steps_from(first).first().map(|step| requested(&step.change.events));
        for payment in change.unwrap_or_default() {
            self.payments.operate(order, payment, command).await?;
        }
        Ok(())
    }

    /// What the request behind an idempotency key came to. A start that no request is making any more is resolved
    /// first. `None` if the request was to create a session and reached no provider: it is to be run again.
    pub async fn recall(
        &self,
        command: &Command,
        row: &IdempotencyRow,
        creates_session: bool,
    ) -> Result<Option<Outcome>, PaymentError> {
        let mut outcome = self.recorded(row).await?;
        let starting = outcome.session.filter(|_| outcome.is_pending());
        if let Some(session) = starting.and_then(|id| outcome.order.session(id)) {
            self.resume_start(outcome.order.id(), session.attempt, command).await?;
            outcome = self.recorded(row).await?;
        }
        Ok(Some(outcome).filter(|outcome| !outcome.had_no_effect(creates_session)))
    }

    async fn recorded(&self, row: &IdempotencyRow) -> Result<Outcome, PaymentError> {
        let engine = &self.payments.engine;
        let current = engine.existing::<OrderAggregate>(row.subject).await?;
        let steps = engine.steps_from::<OrderAggregate>(row.subject, row.sequence).await?;
        let mut outcome = Outcome::of(&steps, current.current().clone());
        // With the personal values that still exist.
        let sequence = outcome.order.head.sequence;
        let order = engine.store.load_at(row.subject, sequence).await?;
        outcome.order = order.ok_or_else(|| StoreError::Corrupt("an order is gone".to_owned()))?;
        Ok(outcome)
    }
}

/// A merchant's command about one of its orders: what the merchant may do with it.
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

    async fn load(&self) -> Result<WorkingCopy<OrderAggregate>, CommandError> {
        self.orders.order(self.merchant, self.order).await
    }

    /// Decides on the order, commits, sends the operations that the change has recorded and nothing else (an operation
    /// that was under way before may have taken effect already), and tells what the request came to.
    async fn run<E: From<StoreError> + From<PaymentError>>(
        &self,
        name: &'static str,
        mut decide: impl FnMut(&OrderAggregate, Timestamp) -> Result<Vec<Event>, E>,
    ) -> Result<Outcome, E> {
        let mut order = self.load().await.map_err(PaymentError::from)?;
        let decide = |order: &OrderAggregate, now| decide(order, now).map(Decision::from);
        let first = self.payments().engine.change(name, self.command, &mut order, decide).await?;
        self.orders.send_requested(&mut order, first, self.command).await?;
        Ok(outcome(&order, first))
    }
}

/// What a request came to, whose change begins with `first`.
fn outcome(order: &WorkingCopy<OrderAggregate>, first: Option<u64>) -> Outcome {
    let steps = first.map(|first| order.steps_from(first)).unwrap_or_default();
    Outcome::of(steps, order.current().clone())
}

/// The payments that a change requests an operation on.
fn requested(events: &[Event]) -> Vec<PaymentId> {
    let of = |event: &Event| match event {
        Event::OperationRequested { payment, .. } => Some(*payment),
        _ => None,
    };
    events.iter().filter_map(of).collect()
}
