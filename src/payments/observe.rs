//! What a provider said reaches an order here and nowhere else.

use port::{AttemptId, Observation};

use super::profiles::listing;
use super::{Account, Decided, PaymentError, Payments};
use crate::domain::observe::{Expected, observe};
use crate::domain::open::Answered;
use crate::domain::{Cause, Fact, OrderFile, SessionStatus};

impl Payments {
    /// Works an observation into the file and writes down when to ask again. `first` are facts that make the
    /// attempt what the observation speaks of. An operation that follows from it is sent.
    ///
    /// # Errors
    /// [`PaymentError::Store`].
    pub(super) async fn observe(
        &self,
        file: &mut OrderFile,
        account: &Account,
        attempt: AttemptId,
        seen: &Observation,
        first: &[Fact],
        cause: &Cause,
    ) -> Result<bool, PaymentError> {
        self.observe_answer(file, account, attempt, seen, |_| Answered::Adopted(first.to_vec()), cause).await
    }

    /// The same for the answer to a start, of which the file as it is decides whether it counts.
    ///
    /// # Errors
    /// [`PaymentError::Store`].
    pub(super) async fn observe_answer(
        &self,
        file: &mut OrderFile,
        account: &Account,
        attempt: AttemptId,
        seen: &Observation,
        answered: impl Fn(&OrderFile) -> Answered,
        cause: &Cause,
    ) -> Result<bool, PaymentError> {
        let expected = Expected { is_test: account.is_test };
        let shared = &self.shared;
        let mut follows = None;
        let decide = |file: &OrderFile, now| {
            // Not what an earlier look at the file, which somebody has changed since, made follow.
            follows = None;
            let mut facts = match answered(file) {
                Answered::Adopted(first) => first,
                Answered::GivenUp(facts) => return Ok(facts.into()),
            };
            facts.extend(observe(file, attempt, seen, expected, now, &mut shared.ids()));
            follows = facts.iter().find_map(|fact| match fact {
                Fact::OperationAsked { payment, .. } => Some(*payment),
                _ => None,
            });
            let completed = facts.iter().filter_map(|fact| match fact {
                Fact::SessionMoved { session, to: SessionStatus::Completed, .. } => Some(*session),
                _ => None,
            });
            let with = completed.filter_map(|session| listing(file, session, now)).collect();
            Ok::<_, PaymentError>(Decided { facts, with, asked: Some(attempt) })
        };
        let changed = shared.change("observe", file, cause, decide).await?;
        if let Some(payment) = follows {
            Box::pin(self.operate(file, payment, cause)).await?;
        }
        Ok(changed)
    }
}
