//! Doing what the agenda says is due: finding out about lost answers, asking about open payments, closing what
//! is over, acting on notifications.
//!
//! One step at a time: [`JobRunner::run_once`] claims what is due and does it; the loop that repeats it lives
//! in `app`, and a test can call it until nothing is left. There is no other background work.

pub mod audit;
pub mod erase;
pub mod inbox;
mod notifications;
mod receiver;

pub use receiver::NotificationReceiver;

use std::str::FromStr;
use std::time::Duration;

use futures_util::StreamExt as _;
use futures_util::stream;
use port::OrderId;

use crate::domain::{Actor, Cause, OrderAggregate, jobs};
use crate::orders::Orders;
use crate::payments::PaymentError;
use crate::store::{Change, Job, JobKind, StoreError, Write};

/// How long a claimed row is nobody else's: longer than the longest operation at a provider.
const LEASE: Duration = Duration::from_secs(90);

/// What is claimed at once.
const MAX_AT_ONCE: u16 = 64;

/// What is done side by side.
const CONCURRENCY: usize = 16;

const FIRST_WAIT: Duration = Duration::from_secs(5);
const MAX_WAIT: Duration = Duration::from_secs(6 * 3_600);

/// Old notifications are deleted a page at a time, so that nobody waits long for the writer.
const PRUNE_NEXT: Duration = Duration::from_secs(1);
const PRUNE_INTERVAL: Duration = Duration::from_secs(3_600);

/// The agenda's hand.
#[derive(Clone)]
pub struct JobRunner {
    /// What it can do.
    pub orders: Orders,
}

/// What a turn came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tick {
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

impl JobRunner {
    /// Does what is due now.
    ///
    /// # Errors
    /// [`StoreError`] if nothing could be claimed.
    pub async fn run_once(&self) -> Result<Tick, StoreError> {
        let shared = &self.orders.payments.shared;
        let job = shared.store.claim(shared.now(), LEASE, MAX_AT_ONCE).await?;
        let count = job.len();
        stream::iter(job).for_each_concurrent(CONCURRENCY, |job| self.run(job)).await;
        Ok(if count == 0 { Tick::Idle } else { Tick::Did(count) })
    }

    async fn run(&self, job: Job) {
        let shared = &self.orders.payments.shared;
        let cause = Cause { actor: Actor::Scheduler, request: None };
        let (step, label) = match self.act(&job, &cause).await {
            Ok(step) => (step, "done"),
            Err(PaymentError::Provider(_)) => (Step::Again, "provider"),
            Err(fault) => {
                tracing::error!(job.kind = job.kind.as_str(), job.subject = %job.subject, "{fault}");
                (Step::Again, "failed")
            }
        };
        shared.metrics.job_run(job.kind.as_str(), label);
        let at = match step {
            Step::Done => None,
            Step::Again => Some(shared.now().plus(wait(job.tries))),
            Step::After(pause) => Some(shared.now().plus(pause)),
        };
        let release = Change::plain("release", vec![Write::Release { job, at }]);
        if let Err(fault) = shared.store.commit(release).await {
            // The lease runs out by itself.
            tracing::warn!("a lease could not be given back: {fault}");
        }
    }

    async fn act(&self, job: &Job, cause: &Cause) -> Result<Step, PaymentError> {
        let payments = &self.orders.payments;
        if job.kind == JobKind::Checkpoint {
            audit::checkpoint(&*payments.shared.store, payments.shared.now()).await?;
            return Ok(Step::After(audit::CHECKPOINT_INTERVAL));
        }
        if job.kind == JobKind::PruneInbox {
            let before = payments.shared.now().minus(payments.shared.keep_notifications);
            let more = inbox::prune(&*payments.shared.store, before).await?;
            return Ok(Step::After(if more { PRUNE_NEXT } else { PRUNE_INTERVAL }));
        }
        if matches!(job.kind, JobKind::PollProfileSession | JobKind::SyncMethods | JobKind::DetachMethod) {
            return self.act_on_profiles(job).await;
        }
        let Some(order) = job.order else { return self.process_notification(job).await };
        let order = match job.kind {
            JobKind::ResolveStart => payments.resolve_start(order, id(&job.subject)?, cause).await?,
            JobKind::CloseOrphan => payments.close_orphan(order, id(&job.subject)?, cause).await?,
            JobKind::SubmitProviderOrder => {
                payments.submit_provider_order(order, id(&job.subject)?, cause).await?
            }
            JobKind::CloseSession => self.orders.expire_session(order, id(&job.subject)?, cause).await?,
            JobKind::ExpireOrder => self.orders.expire(order, cause).await?,
            JobKind::ApplyRefundPolicy => {
                let waits = self.orders.apply_policy(order, id(&job.subject)?, cause).await?;
                return Ok(if waits { Step::Again } else { Step::Done });
            }
            JobKind::ResumeOperation => self.resume(order, job, cause).await?,
            JobKind::FetchStatus => return self.fetch_status(order, job, cause).await,
            // `webhooks` claims deliveries itself, endpoint by endpoint.
            JobKind::Checkpoint
            | JobKind::PruneInbox
            | JobKind::ProcessNotification
            | JobKind::Deliver
            | JobKind::PollProfileSession
            | JobKind::SyncMethods
            | JobKind::DetachMethod => return Ok(Step::Done),
        };
        Ok(still_due(&order, job))
    }

    /// Goes on with what is due about stored payment methods.
    async fn act_on_profiles(&self, job: &Job) -> Result<Step, PaymentError> {
        let payments = &self.orders.payments;
        match (job.kind, job.order) {
            // What to look at next, and when, is written by the following itself, whether it worked or not.
            (JobKind::PollProfileSession, _) => {
                match payments.follow_profile_session(id(&job.subject)?).await {
                    Ok(()) | Err(PaymentError::Provider(_)) => {}
                    Err(fault) => return Err(fault),
                }
            }
            (JobKind::SyncMethods, Some(order)) => payments.sync_methods(order, id(&job.subject)?).await?,
            _ => payments.detach_method(id(&job.subject)?).await?,
        }
        Ok(Step::Done)
    }

    /// What to ask next, and when, is written by the asking itself, whether it worked or not.
    async fn fetch_status(&self, order: OrderId, job: &Job, cause: &Cause) -> Result<Step, PaymentError> {
        match self.orders.payments.fetch_status(order, id(&job.subject)?, cause).await {
            Ok(_) | Err(PaymentError::Provider(_)) => Ok(Step::Done),
            Err(fault) => Err(fault),
        }
    }

    async fn resume(&self, order: OrderId, job: &Job, cause: &Cause) -> Result<OrderAggregate, PaymentError> {
        let mut order = self.orders.payments.shared.order(order).await?;
        self.orders.payments.resume(&mut order, id(&job.subject)?, cause).await?;
        Ok(order)
    }

    async fn process_notification(&self, job: &Job) -> Result<Step, PaymentError> {
        let payments = &self.orders.payments;
        let cause = Cause { actor: Actor::Provider, request: None };
        let waits = notifications::process_notification(payments, job, &cause).await?;
        Ok(if waits { Step::Again } else { Step::Done })
    }
}

/// Whether the file still makes this due after all.
fn still_due(order: &OrderAggregate, job: &Job) -> Step {
    let still = jobs(order).iter().any(|(kind, subject, _)| *kind == job.kind && *subject == job.subject);
    if still { Step::Again } else { Step::Done }
}

fn id<T: FromStr>(subject: &str) -> Result<T, PaymentError> {
    subject.parse().map_err(|_| StoreError::Corrupt(format!("`{subject}` is no id")).into())
}

/// 5 s, then twice as long each time, at most 6 h.
fn wait(tries: u32) -> Duration {
    FIRST_WAIT.saturating_mul(1u32.checked_shl(tries.min(16)).unwrap_or(u32::MAX)).min(MAX_WAIT)
}
