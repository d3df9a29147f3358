//! The one place where what a provider reports reaches an order.

use std::borrow::Cow;
use std::time::Duration;

use port::{AttemptId, Observation};

use super::task::OrderTask;
use super::{Account, Payments, Result};
use crate::domain::attention::readability;
use crate::domain::observe::{Expected, observe};
use crate::domain::session_start::StartResult;
use crate::domain::{Context, Event, OrderAggregate};

impl Payments {
    /// Changes the order by an observation. `first` are events that make the attempt what the observation describes.
    /// An operation that follows from it is sent.
    pub(super) async fn observe(
        &self,
        order: &mut OrderTask<'_>,
        account: &Account,
        attempt: AttemptId,
        seen: &Observation,
        first: &[Event],
    ) -> Result<()> {
        let accepted = |_: &mut Context<'_>| StartResult::Accepted(first.to_vec());
        self.observe_start(order, account, attempt, seen, accepted).await
    }

    /// The same for the answer to a start; the order as it is decides whether it counts. All parts that the change adds
    /// get their ids from one source: two would number them alike.
    pub(super) async fn observe_start(
        &self,
        order: &mut OrderTask<'_>,
        account: &Account,
        attempt: AttemptId,
        seen: &Observation,
        accept: impl Fn(&mut Context<'_>) -> StartResult,
    ) -> Result<()> {
        let payment = order.attempt(attempt).map(|attempt| attempt.payment);
        let customer_left = payment.is_some_and(|payment| self.customer_left(payment));
        let expected = Expected { is_test: account.is_test, customer_left };
        let seen = &*newer_than_known(order, attempt, seen);
        let observed = order.extend("observe", |context| {
            let mut events = match accept(context) {
                StartResult::Accepted(first) => first,
                StartResult::Abandoned(events) => return events,
            };
            events.extend(readability(context.order, attempt, true));
            events.extend(observe(context, attempt, seen, expected));
            events
        });
        let first = observed.await?;
        self.send_requested(order.subject, first, &order.command).await
    }
}

/// The provider was asked after this copy of the order was made, so that its answer is newer than every report the copy
/// knows; a clock that was set back meanwhile says otherwise, and is not believed.
fn newer_than_known<'a>(
    order: &OrderAggregate,
    attempt: AttemptId,
    seen: &'a Observation,
) -> Cow<'a, Observation> {
    let payment = order.attempt(attempt).and_then(|attempt| order.payment_of(attempt));
    match payment.map(|payment| payment.reported_at) {
        Some(known) if seen.as_of < known => {
            Cow::Owned(Observation { as_of: known.plus(Duration::from_millis(1)), ..seen.clone() })
        }
        _ => Cow::Borrowed(seen),
    }
}
