//! Doing what the agenda says is due: finding out about lost answers, asking about open payments, closing what
//! is over, acting on notifications.
//!
//! One step at a time: [`Reconcile::run_once`] claims what is due and does it; the loop that repeats it lives
//! in `app`, and a test can call it until nothing is left. There is no other background work.

pub mod audit;
pub mod erase;
pub mod inbox;
mod intake;
mod notes;

pub use intake::Intake;

use std::str::FromStr;
use std::time::Duration;

use futures_util::StreamExt as _;
use futures_util::stream;
use port::OrderId;

use crate::domain::{Actor, Cause, OrderAggregate, jobs};
use crate::orders::Orders;
use crate::payments::PaymentError;
use crate::store::{Change, Due, JobKind, StoreError, Write};

/// How long a claimed row is nobody else's: longer than the longest operation at a provider.
const LEASE: Duration = Duration::from_secs(90);

/// What is claimed at once.
const MOST_AT_ONCE: u16 = 64;

/// What is done side by side.
const SIDE_BY_SIDE: usize = 16;

const FIRST_WAIT: Duration = Duration::from_secs(5);
const LONGEST_WAIT: Duration = Duration::from_secs(6 * 3_600);

/// Old notifications are deleted a page at a time, so that nobody waits long for the writer.
const CLEAR_ON: Duration = Duration::from_secs(1);
const CLEAR_AGAIN: Duration = Duration::from_secs(3_600);

/// The agenda's hand.
#[derive(Clone)]
pub struct Reconcile {
    /// What it can do.
    pub orders: Orders,
}

/// What a turn came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Turn {
    /// Nothing was due.
    Idle,
    /// So many things were done, or tried.
    Did(usize),
}

/// What became of a thing that was due.
enum Step {
    /// It is done, or another row says what is next.
    Done,
    /// It has to be tried again.
    Again,
    /// It is due again after this long.
    After(Duration),
}

impl Reconcile {
    /// Does what is due now.
    ///
    /// # Errors
    /// [`StoreError`] if nothing could be claimed.
    pub async fn run_once(&self) -> Result<Turn, StoreError> {
        let shared = &self.orders.payments.shared;
        let due = shared.store.claim(shared.now(), LEASE, MOST_AT_ONCE).await?;
        let count = due.len();
        stream::iter(due).for_each_concurrent(SIDE_BY_SIDE, |due| self.run(due)).await;
        Ok(if count == 0 { Turn::Idle } else { Turn::Did(count) })
    }

    async fn run(&self, due: Due) {
        let shared = &self.orders.payments.shared;
        let cause = Cause { actor: Actor::Scheduler, request: None };
        let (step, label) = match self.act(&due, &cause).await {
            Ok(step) => (step, "done"),
            Err(PaymentError::Provider(_)) => (Step::Again, "provider"),
            Err(fault) => {
                tracing::error!(agenda.kind = due.kind.as_str(), agenda.subject = %due.subject, "{fault}");
                (Step::Again, "failed")
            }
        };
        shared.metrics.agenda_run(due.kind.as_str(), label);
        let at = match step {
            Step::Done => None,
            Step::Again => Some(shared.now().plus(wait(due.tries))),
            Step::After(pause) => Some(shared.now().plus(pause)),
        };
        let release = Change::plain("release", vec![Write::Release { due, at }]);
        if let Err(fault) = shared.store.commit(release).await {
            // The lease runs out by itself.
            tracing::warn!("a lease could not be given back: {fault}");
        }
    }

    async fn act(&self, due: &Due, cause: &Cause) -> Result<Step, PaymentError> {
        let payments = &self.orders.payments;
        if due.kind == JobKind::Checkpoint {
            audit::checkpoint(&*payments.shared.store, payments.shared.now()).await?;
            return Ok(Step::After(audit::APART));
        }
        if due.kind == JobKind::PruneInbox {
            let before = payments.shared.now().minus(payments.shared.keep_notes);
            let more = inbox::clear(&*payments.shared.store, before).await?;
            return Ok(Step::After(if more { CLEAR_ON } else { CLEAR_AGAIN }));
        }
        if matches!(due.kind, JobKind::PollProfileSession | JobKind::SyncMethods | JobKind::DetachMethod) {
            return self.act_on_profiles(due).await;
        }
        let Some(order) = due.order else { return self.act_on_note(due).await };
        let order = match due.kind {
            JobKind::ResolveStart => payments.settle_begin(order, id(&due.subject)?, cause).await?,
            JobKind::CloseOrphan => payments.close_orphan(order, id(&due.subject)?, cause).await?,
            JobKind::SubmitProviderOrder => payments.hand_over(order, id(&due.subject)?, cause).await?,
            JobKind::CloseSession => self.orders.expire_session(order, id(&due.subject)?, cause).await?,
            JobKind::ExpireOrder => self.orders.expire(order, cause).await?,
            JobKind::ApplyRefundPolicy => {
                let waits = self.orders.apply_policy(order, id(&due.subject)?, cause).await?;
                return Ok(if waits { Step::Again } else { Step::Done });
            }
            JobKind::ResumeOperation => self.resume(order, due, cause).await?,
            JobKind::FetchStatus => return self.ask(order, due, cause).await,
            // `webhooks` claims deliveries itself, endpoint by endpoint.
            JobKind::Checkpoint
            | JobKind::PruneInbox
            | JobKind::ProcessNotification
            | JobKind::Deliver
            | JobKind::PollProfileSession
            | JobKind::SyncMethods
            | JobKind::DetachMethod => return Ok(Step::Done),
        };
        Ok(still_due(&order, due))
    }

    /// Goes on with what is due about stored payment methods.
    async fn act_on_profiles(&self, due: &Due) -> Result<Step, PaymentError> {
        let payments = &self.orders.payments;
        match (due.kind, due.order) {
            // What to look at next, and when, is written by the following itself, whether it worked or not.
            (JobKind::PollProfileSession, _) => {
                match payments.follow_profile_session(id(&due.subject)?).await {
                    Ok(()) | Err(PaymentError::Provider(_)) => {}
                    Err(fault) => return Err(fault),
                }
            }
            (JobKind::SyncMethods, Some(order)) => payments.list_saved(order, id(&due.subject)?).await?,
            _ => payments.forget_at_provider(id(&due.subject)?).await?,
        }
        Ok(Step::Done)
    }

    /// What to ask next, and when, is written by the asking itself, whether it worked or not.
    async fn ask(&self, order: OrderId, due: &Due, cause: &Cause) -> Result<Step, PaymentError> {
        match self.orders.payments.ask(order, id(&due.subject)?, cause).await {
            Ok(_) | Err(PaymentError::Provider(_)) => Ok(Step::Done),
            Err(fault) => Err(fault),
        }
    }

    async fn resume(&self, order: OrderId, due: &Due, cause: &Cause) -> Result<OrderAggregate, PaymentError> {
        let mut order = self.orders.payments.shared.file(order).await?;
        self.orders.payments.resume(&mut order, id(&due.subject)?, cause).await?;
        Ok(order)
    }

    async fn act_on_note(&self, due: &Due) -> Result<Step, PaymentError> {
        let payments = &self.orders.payments;
        let cause = Cause { actor: Actor::Provider, request: None };
        let waits = notes::act_on_note(payments, due, &cause).await?;
        Ok(if waits { Step::Again } else { Step::Done })
    }
}

/// Whether the file still makes this due after all.
fn still_due(order: &OrderAggregate, due: &Due) -> Step {
    let still = jobs(order).iter().any(|(kind, subject, _)| *kind == due.kind && *subject == due.subject);
    if still { Step::Again } else { Step::Done }
}

fn id<T: FromStr>(subject: &str) -> Result<T, PaymentError> {
    subject.parse().map_err(|_| StoreError::Corrupt(format!("`{subject}` is no id")).into())
}

/// 5 s, then twice as long each time, at most 6 h.
fn wait(tries: u32) -> Duration {
    FIRST_WAIT.saturating_mul(1u32.checked_shl(tries.min(16)).unwrap_or(u32::MAX)).min(LONGEST_WAIT)
}
