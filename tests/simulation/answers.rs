//! What merchants were shown of their requests with idempotency keys: the same each time, once it is certain.

use paymux::domain::{Outcome, OutcomeStatus};
use paymux::store::IdempotencyRow;
use port::{AttentionId, OrderId, PaymentId, RefundId, SessionId};

use crate::world::World;

/// What was last shown of a request.
#[derive(Clone, Debug)]
pub(crate) struct LastShown {
    /// What was wanted.
    pub(crate) what: String,
    /// The order, as far as it had come.
    pub(crate) order: OrderId,
    /// Where the change of the request begins.
    pub(crate) first: u64,
    /// What it had come to.
    pub(crate) shown: Shown,
}

/// An outcome without the order itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Shown {
    /// The version of the order that was shown.
    pub(crate) version: u64,
    session: Option<SessionId>,
    payment: Option<PaymentId>,
    refund: Option<RefundId>,
    attention: Option<AttentionId>,
    pub(crate) status: OutcomeStatus,
}

impl Shown {
    pub(crate) fn of(outcome: &Outcome) -> Self {
        Self {
            version: outcome.order.head.sequence,
            session: outcome.session,
            payment: outcome.payment,
            refund: outcome.refund,
            attention: outcome.attention,
            status: outcome.status.clone(),
        }
    }

    /// Whether it can still become something else.
    pub(crate) fn is_pending(&self) -> bool {
        self.status == OutcomeStatus::Pending
    }
}

/// A merchant was shown what a recorded request came to. It must not change once it is certain.
pub(crate) fn shown(
    world: &World,
    what: &str,
    row: &IdempotencyRow,
    outcome: &Outcome,
    creates_session: bool,
) {
    if outcome.had_no_effect(creates_session) {
        // The same key tries again, and its row moves on.
        world.seen().answers.remove(&row.key);
        return;
    }
    let (order, first, shown) = (OrderId::from_uuid(row.subject), row.sequence, Shown::of(outcome));
    let answer = LastShown { what: what.to_owned(), order, first, shown };
    let before = world.seen().answers.insert(row.key.clone(), answer.clone());
    if let Some(before) = before
        && !before.shown.is_pending()
        && (before.order, before.first, &before.shown) != (order, first, &answer.shown)
    {
        world.fail(format!("{order}: {what} was shown as {before:?}, then as {answer:?}"));
    }
}
