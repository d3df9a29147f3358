//! What a provider said reaches an order here and nowhere else.

use port::{AttemptId, Observation};

use super::profiles::sync_job;
use super::{Account, Effects, PaymentError, Payments};
use crate::domain::observe::{Expected, observe};
use crate::domain::open::StartResult;
use crate::domain::{Cause, Event, OrderAggregate, SessionStatus};

impl Payments {
    /// Works an observation into the file and writes down when to ask again. `first` are facts that make the
    /// attempt what the observation speaks of. An operation that follows from it is sent.
    ///
    /// # Errors
    /// [`PaymentError::Store`].
    pub(super) async fn observe(
        &self,
        order: &mut OrderAggregate,
        account: &Account,
        attempt: AttemptId,
        seen: &Observation,
        first: &[Event],
        cause: &Cause,
    ) -> Result<bool, PaymentError> {
        self.observe_answer(order, account, attempt, seen, |_| StartResult::Accepted(first.to_vec()), cause)
            .await
    }

    /// The same for the answer to a start, of which the file as it is decides whether it counts.
    ///
    /// # Errors
    /// [`PaymentError::Store`].
    pub(super) async fn observe_answer(
        &self,
        order: &mut OrderAggregate,
        account: &Account,
        attempt: AttemptId,
        seen: &Observation,
        answered: impl Fn(&OrderAggregate) -> StartResult,
        cause: &Cause,
    ) -> Result<bool, PaymentError> {
        let expected = Expected { is_test: account.is_test };
        let shared = &self.shared;
        let mut follows = None;
        let decide = |order: &OrderAggregate, now| {
            // Not what an earlier look at the file, which somebody has changed since, made follow.
            follows = None;
            let mut events = match answered(order) {
                StartResult::Accepted(first) => first,
                StartResult::Abandoned(events) => return Ok(events.into()),
            };
            events.extend(observe(order, attempt, seen, expected, now, &mut shared.ids()));
            follows = events.iter().find_map(|event| match event {
                Event::OperationRequested { payment, .. } => Some(*payment),
                _ => None,
            });
            let completed = events.iter().filter_map(|event| match event {
                Event::SessionStatusChanged { session, to: SessionStatus::Completed, .. } => Some(*session),
                _ => None,
            });
            let with = completed.filter_map(|session| sync_job(order, session, now)).collect();
            Ok::<_, PaymentError>(Effects { events, writes: with, fetched: Some(attempt) })
        };
        let changed = shared.change("observe", order, cause, decide).await?;
        if let Some(payment) = follows {
            Box::pin(self.operate(order, payment, cause)).await?;
        }
        Ok(changed)
    }
}
