//! Background work: resolves unknown outcomes, fetches open payments, closes expired sessions, processes notifications,
//! delivers webhooks.
//!
//! Work is queued in lanes: one for each account, run within its read limit, most urgent first; one for each webhook
//! endpoint; one for the rest. The runner sleeps until the next job can run. A lane that hangs delays no other.

mod backlog;
mod order;
mod recurring;
mod runner;

pub use recurring::Recurring;
pub use runner::{JobRunner, Tick};

use std::time::Duration;

use port::{ProviderError, Timestamp};

use crate::domain::{Actor, DueJob, Job, JobKind, Profile, ProfileSession, Subject};
use crate::engine::{Command, Engine};
use crate::orders::Orders;
use crate::payments::{MAX_PAUSE, PaymentError, ReadPass};
use crate::store::{Change, ClaimedJob, Due, JobSubject, Rescheduled, StoreError, Write};
use crate::webhooks::WebhookDispatcher;

/// What jobs need.
pub struct JobContext {
    pub orders: Orders,
    pub webhooks: WebhookDispatcher,
}

const FIRST_RETRY: Duration = Duration::from_secs(5);
const MAX_RETRY: Duration = Duration::from_secs(6 * 3_600);

/// Why a job has to be retried.
#[derive(Clone, Copy, Default)]
struct Failure {
    /// Not before this delay, if one was given.
    retry_after: Option<Duration>,
    /// Whether a retry can only succeed after something else has changed.
    hopeless: bool,
}

impl Failure {
    /// Of two jobs of one subject: hopeless only if both are.
    fn and(self, other: Self) -> Self {
        let retry_after = self.retry_after.max(other.retry_after);
        Self { retry_after, hopeless: self.hopeless && other.hopeless }
    }

    /// When the job is retried, after `tries` earlier failures.
    fn retry(self, tries: u32, now: Timestamp) -> Timestamp {
        now.plus(self.retry_after.unwrap_or_else(|| backoff(tries)))
    }
}

/// The failure of a use case. Errors of providers are expected; any other error is logged.
fn failure_of(job: JobKind, result: Result<(), PaymentError>) -> Option<Failure> {
    match result {
        Ok(()) => None,
        Err(PaymentError::Provider(error)) => Some(Failure {
            retry_after: match error {
                ProviderError::Busy { retry_after } => retry_after.map(|wait| wait.min(MAX_PAUSE)),
                _ => None,
            },
            hopeless: error.advice() == port::Advice::Stop,
        }),
        Err(fault) => {
            let job: &'static str = job.into();
            tracing::error!(job.kind = job, "{fault}");
            Some(Failure::default())
        }
    }
}

/// 5 s, then twice as long each time, at most 6 h.
fn backoff(tries: u32) -> Duration {
    FIRST_RETRY.saturating_mul(1u32.checked_shl(tries.min(16)).unwrap_or(u32::MAX)).min(MAX_RETRY)
}

impl JobContext {
    fn engine(&self) -> &Engine {
        &self.orders.payments.engine
    }

    /// Runs a claimed job and stores when it is due again.
    async fn run(&self, job: ClaimedJob, pass: ReadPass) -> Result<(), StoreError> {
        let command = Command::of(match job.kind {
            JobSubject::Notification => Actor::Provider,
            _ => Actor::Scheduler,
        });
        let payments = &self.orders.payments;
        let done = match job.kind {
            JobSubject::Order => self.run_order(&job, &command, &pass).await?,
            JobSubject::ProfileSession => {
                let followed = payments.follow_profile_session(job.subject, &command, &pass).await;
                self.rescheduled_single::<ProfileSession>(&job, Job::FollowProfileSession, followed).await?
            }
            JobSubject::Profile => {
                let detached = payments.detach_profile(job.subject, &command).await;
                self.rescheduled_single::<Profile>(&job, Job::DetachProfile, detached).await?
            }
            JobSubject::Notification => self.run_notification(&job, &command, &pass).await?,
        };
        if let Some(account) = payments.providers.account_of_lane(&job.lane) {
            pass.give_back(&account.reads);
        }
        self.engine().commit(Change::plain("reschedule", vec![Write::Reschedule(done)])).await
    }

    /// The new due time of a subject that has only one kind of job.
    async fn rescheduled_single<S: Subject>(
        &self,
        job: &ClaimedJob,
        only: Job,
        result: Result<(), PaymentError>,
    ) -> Result<Rescheduled, StoreError> {
        let failure = failure_of(only.into(), result);
        self.count(only.into(), failure.is_none());
        self.rescheduled::<S>(job, failure, &[only], &[only]).await
    }

    async fn run_notification(
        &self,
        job: &ClaimedJob,
        command: &Command,
        pass: &ReadPass,
    ) -> Result<Rescheduled, StoreError> {
        let payments = &self.orders.payments;
        let waits = crate::inbox::process(payments, job, command, pass).await?;
        self.count(JobKind::ProcessNotification, !waits);
        let tries = if waits { job.tries + 1 } else { 0 };
        let at = self.engine().now().plus(backoff(job.tries));
        let next = waits.then_some(Due { at, urgency: job.urgency });
        Ok(Rescheduled { job: job.clone(), version: 0, next, tries, stays_woken: false })
    }

    /// When a subject is due again after a job.
    async fn rescheduled<S: Subject>(
        &self,
        job: &ClaimedJob,
        failure: Option<Failure>,
        done: &[Job],
        failed: &[Job],
    ) -> Result<Rescheduled, StoreError> {
        let (engine, now) = (self.engine(), self.engine().now());
        let subject = engine.load::<S>(job.subject).await?;
        let version = subject.as_ref().map_or(0, |subject| subject.head().sequence);
        let mut due = subject.map(|subject| subject.due(now, engine.draw())).unwrap_or_default();
        // A policy that was applied without success leaves the attention to a person.
        due.retain(|due| !(matches!(due.job, Job::ApplyRefundPolicy(_)) && done.contains(&due.job)));
        let retry = failure.map(|failure| failure.retry(job.tries, now));
        postpone(&mut due, done, failed, retry, now);
        let next = crate::store::next_in(&job.lane, &due);
        Ok(next_run(job, version, next, failure, now))
    }

    fn count(&self, job: JobKind, done: bool) {
        self.engine().metrics.job_run(job.into(), if done { "done" } else { "failed" });
    }
}

/// A job that was `done` but is still due waits for something else: it runs again after a fifth of the time it has been
/// due. A job that `failed`, and all others due now, wait for the retry. Later jobs keep their time, such as an
/// operation that this job has just requested.
fn postpone(due: &mut [DueJob], done: &[Job], failed: &[Job], retry: Option<Timestamp>, now: Timestamp) {
    for again in due.iter_mut().filter(|due| due.at <= now && done.contains(&due.job)) {
        again.at = now.plus((now.since(again.at) / 5).clamp(FIRST_RETRY, MAX_RETRY));
    }
    for waits in due.iter_mut().filter(|due| due.at <= now || failed.contains(&due.job)) {
        waits.at = retry.map_or(waits.at, |retry| waits.at.max(retry));
    }
}

/// When a job is due again: at the `next` time of its subject. A woken job that failed is also retried without a
/// schedule, unless it is hopeless.
fn next_run(
    job: &ClaimedJob,
    version: u64,
    next: Option<Due>,
    failure: Option<Failure>,
    now: Timestamp,
) -> Rescheduled {
    let Some(failure) = failure else {
        return Rescheduled { job: job.clone(), version, next, tries: 0, stays_woken: false };
    };
    let retry = failure.retry(job.tries, now);
    let stays_woken = job.woken.is_some() && !failure.hopeless;
    let next = match next {
        Some(due) if stays_woken => {
            Some(Due { at: due.at.min(retry), urgency: due.urgency.min(job.urgency) })
        }
        None if stays_woken => Some(Due { at: retry, urgency: job.urgency }),
        next => next,
    };
    let tries = match next {
        // A more urgent job comes first; its failures are counted from zero.
        Some(due) if due.at < retry && due.urgency < job.urgency => 0,
        // Waiting for the read limit is not a failure.
        _ if failure.retry_after.is_some() => job.tries,
        _ => job.tries + 1,
    };
    Rescheduled { job: job.clone(), version, next, tries, stays_woken }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::{Lane, Urgency};

    /// `failed`, `busy 5`, `hopeless`: how it went, and how long to wait.
    fn shown(failure: Failure) -> String {
        match failure {
            Failure { retry_after: Some(wait), .. } => format!("busy {}", wait.as_secs()),
            Failure { hopeless: true, .. } => "hopeless".to_owned(),
            Failure { .. } => "failed".to_owned(),
        }
    }

    fn read(text: &str) -> Failure {
        let wait = text.split_once(' ').map(|(_, wait)| Duration::from_secs(wait.parse().unwrap()));
        Failure { retry_after: wait, hopeless: text == "hopeless" }
    }

    #[test]
    fn a_provider_puts_a_job_off_for_a_quarter_of_an_hour_at_most() {
        let now = Timestamp::from_seconds(1_800_000_000);
        for (asked, waited) in [(7, 7), (900, 900), (31_536_000, 900)] {
            let retry_after = Some(Duration::from_secs(asked));
            let busy = PaymentError::Provider(ProviderError::Busy { retry_after });
            let again = failure_of(JobKind::ResumeOperation, Err(busy)).unwrap().retry(0, now);
            assert_eq!(again, now.plus(Duration::from_secs(waited)), "{asked}");
        }
    }

    #[test]
    fn what_failed_does_not_put_off_what_was_requested_meanwhile() {
        let (now, hours) = (Timestamp::from_seconds(1_800_000_000), Duration::from_secs(2 * 3_600));
        let soon = now.plus(Duration::from_secs(45));
        let orphan = Job::CloseOrphan(port::AttemptId::from_uuid(port::Uuid::nil()));
        let operation = Job::ResumeOperation(port::PaymentId::from_uuid(port::Uuid::nil()));
        let lane = Lane::Account("decta".to_owned());
        let due_job = |job, urgency, at| DueJob { job, lane: lane.clone(), urgency, at };
        let mut due = [
            due_job(orphan, Urgency::Scheduled, now.minus(hours)),
            due_job(operation, Urgency::UnknownOutcome, soon),
        ];
        postpone(&mut due, &[], &[orphan], Some(now.plus(hours)), now);
        assert_eq!(due.each_ref().map(|due| due.at), [now.plus(hours), soon]);
        let job = ClaimedJob {
            subject: port::Uuid::nil(),
            kind: JobSubject::Order,
            lane: lane.clone(),
            urgency: Urgency::Scheduled,
            due_at: now,
            tries: 11,
            woken: None,
            wakes: 0,
        };
        let next = crate::store::next_in(&lane, &due);
        let done = next_run(&job, 1, next, Some(Failure::default()), now);
        assert_eq!((done.next, done.tries), (next, 0));
        let only_orphan = crate::store::next_in(&lane, &due[..1]);
        let done = next_run(&job, 1, only_orphan, Some(Failure::default()), now);
        assert_eq!((done.next, done.tries), (only_orphan, 12));
    }

    #[test]
    fn a_job_that_may_work_later_is_not_given_up_beside_one_that_cannot() {
        for (one, other, both) in [
            ("hopeless", "hopeless", "hopeless"),
            ("failed", "hopeless", "failed"),
            ("busy 5", "hopeless", "busy 5"),
            ("busy 5", "busy 9", "busy 9"),
        ] {
            assert_eq!(shown(read(one).and(read(other))), both, "{one} and {other}");
            assert_eq!(shown(read(other).and(read(one))), both, "{other} and {one}");
        }
    }
}
