//! What a provider said reaches an order here and nowhere else.

use port::{AttemptId, Observation};

use super::{Account, PaymentError, Payments};
use crate::domain::observe::{Expected, observe};
use crate::domain::session_start::StartResult;
use crate::domain::{Context, Event, OrderAggregate};
use crate::engine::{Command, WorkingCopy};

impl Payments {
    /// Works an observation into the order. `first` are events that make the attempt what the observation speaks of.
    /// An operation that follows from it is sent.
    ///
    /// # Errors
    /// That of the store.
    pub(super) async fn observe(
        &self,
        order: &mut WorkingCopy<OrderAggregate>,
        account: &Account,
        attempt: AttemptId,
        seen: &Observation,
        first: &[Event],
        command: &Command,
    ) -> Result<(), PaymentError> {
        let accepted = |_: &mut Context<'_>| StartResult::Accepted(first.to_vec());
        self.observe_start(order, account, attempt, seen, accepted, command).await
    }

    /// The same for the answer to a start, of which the order as it is decides whether it counts. All parts that the
    /// change adds get their ids from one source: two would number them alike.
    ///
    /// # Errors
    /// That of the store.
    pub(super) async fn observe_start(
        &self,
        order: &mut WorkingCopy<OrderAggregate>,
        account: &Account,
        attempt: AttemptId,
        seen: &Observation,
        accept: impl Fn(&mut Context<'_>) -> StartResult,
        command: &Command,
    ) -> Result<(), PaymentError> {
        let expected = Expected { is_test: account.is_test };
        let mut follows = None;
        let decide = |order: &OrderAggregate, now| {
            // Not what an earlier look at the order, which has changed since, made follow.
            follows = None;
            let mut context = self.engine.context(order, now);
            let mut events = match accept(&mut context) {
                StartResult::Accepted(first) => first,
                StartResult::Abandoned(events) => return Ok(events.into()),
            };
            events.extend(observe(&mut context, attempt, seen, expected));
            follows = events.iter().find_map(|event| match event {
                Event::OperationRequested { payment, .. } => Some(*payment),
                _ => None,
            });
            Ok::<_, PaymentError>(events.into())
        };
        self.engine.change("observe", &command.following(), order, decide).await?;
        match follows {
            Some(payment) => Box::pin(self.operate(order, payment, command)).await,
            None => Ok(()),
        }
    }
}
