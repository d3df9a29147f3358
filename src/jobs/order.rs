//! Runs the due jobs of an order.

use std::time::Duration;

use port::{PaymentId, Timestamp};

use super::{JobContext, RunOutcome, failure_of};
use crate::domain::{Actor, DueJob, Job, Lane, OrderAggregate, Subject as _, Urgency, number_of, read_of};
use crate::engine::Command;
use crate::payments::{PaymentError, ReadPass};
use crate::store::{ClaimedJob, Rescheduled, StoreError, WokenBy};

/// How long after the first another job of an order may be started, so that all end within their lease.
pub(super) const START_UNTIL: Duration = Duration::from_secs(60);

impl JobContext {
    /// Runs the due jobs of an order in a lane. Those for which there was no time stay due.
    pub(super) async fn run_order(
        &self,
        job: &ClaimedJob,
        pass: &ReadPass,
    ) -> Result<Rescheduled, StoreError> {
        let engine = self.engine();
        let Some(order) = engine.load::<OrderAggregate>(job.subject).await? else {
            return self.rescheduled::<OrderAggregate>(job, &RunOutcome::default()).await;
        };
        let (id, mut outcome) = (order.id(), RunOutcome::default());
        let started_at = engine.now();
        for due in due_now(&order, job, started_at) {
            if engine.now().since(started_at) > START_UNTIL {
                break;
            }
            let command = Command::of(cause(job, due));
            let failure = failure_of(due.into(), self.act(id, due, &command, pass).await);
            self.count(due.into(), failure.is_none());
            outcome.add(due, failure);
        }
        self.rescheduled::<OrderAggregate>(job, &outcome).await
    }

    async fn act(
        &self,
        order: port::OrderId,
        job: Job,
        command: &Command,
        pass: &ReadPass,
    ) -> Result<(), PaymentError> {
        let (orders, payments) = (&self.orders, &self.orders.payments);
        match job {
            Job::ResolveStart(attempt) => {
                payments.resolve_start(order, attempt, command, pass).await.map(drop)
            }
            Job::FetchStatus(payment) => payments.fetch_status(order, payment, command, pass).await.map(drop),
            Job::ResumeOperation(payment) => payments.resume_operation(order, payment, command, pass).await,
            Job::ReportUnknown(payment) => payments.report_unknown(order, payment, command, pass).await,
            Job::CloseOrphan(attempt) => payments.close_orphan(order, attempt, command, pass).await.map(drop),
            Job::SubmitProviderOrder(attempt) => {
                payments.submit_provider_order(order, attempt, command).await
            }
            Job::SyncProfiles(session) => payments.sync_profiles(order, session, command, pass).await,
            Job::CloseSession(session) => orders.expire_session(order, session, command, pass).await,
            Job::ExpireOrder => orders.expire(order, command).await,
            Job::ApplyRefundPolicy(attention) => orders.apply_policy(order, attention, command).await,
            // Jobs of other subjects.
            Job::FollowProfileSession | Job::DetachProfile | Job::ProcessNotification => Ok(()),
        }
    }
}

/// Who or what caused a job of an order: of a read, whoever has woken it.
fn cause(woken: &ClaimedJob, job: Job) -> Actor {
    let reads = matches!(job, Job::FetchStatus(_) | Job::CloseOrphan(_));
    match woken.urgency {
        Urgency::Customer if reads => Actor::Customer,
        Urgency::Notified if reads => Actor::Provider,
        _ => Actor::Scheduler,
    }
}

/// The jobs of an order to run now: those due, and reads of the payments of the lane.
fn due_now(order: &OrderAggregate, job: &ClaimedJob, now: Timestamp) -> Vec<Job> {
    let of_lane = order.due(now, 0).into_iter().filter(|due| due.lane == job.lane);
    let (reads, scheduled): (Vec<DueJob>, Vec<_>) =
        of_lane.partition(|due| matches!(due.job, Job::FetchStatus(_)));
    let mut due: Vec<Job> = scheduled.iter().filter(|due| due.at <= now).map(|due| due.job).collect();
    let reads = match (&job.lane, job.woken) {
        (Lane::Account(account), Some(WokenBy::Attempt(number))) => {
            woken(order, account, |id| number_of(id) == number)
        }
        (Lane::Account(account), Some(WokenBy::Anything)) => woken(order, account, |_| true),
        _ => reads.into_iter().map(|due| due.job).filter(|read| !is_read_by(order, &due, *read)).collect(),
    };
    // A notified payment is read in any case, since another job may end without a read.
    for read in reads {
        if !due.contains(&read) {
            due.push(read);
        }
    }
    due
}

/// The reads that a wake requests.
fn woken(order: &OrderAggregate, account: &str, about: impl Fn(port::Uuid) -> bool) -> Vec<Job> {
    let attempts =
        order.attempts.iter().filter(|attempt| attempt.account == account && about(attempt.id.uuid()));
    attempts.filter_map(|attempt| read_of(order, attempt)).collect()
}

/// Whether another job that is due reads the payment anyway.
fn is_read_by(order: &OrderAggregate, due: &[Job], read: Job) -> bool {
    let Job::FetchStatus(payment) = read else { return false };
    let of = |job: &Job| -> Option<PaymentId> {
        match job {
            Job::ResumeOperation(id) => Some(*id),
            Job::CloseSession(id) => order.session(*id).map(|session| session.payment),
            _ => None,
        }
    };
    due.iter().any(|job| of(job) == Some(payment))
}
