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

/// The result of a job.
enum JobResult {
    /// It succeeded; the subject determines when it is due again.
    Done,
    /// It failed and has to be retried.
    Failed {
        /// Not before this delay, if one was given.
        retry_after: Option<Duration>,
        /// Whether a retry can only succeed after something else has changed.
        hopeless: bool,
    },
}

impl JobResult {
    fn failed() -> Self {
        Self::Failed { retry_after: None, hopeless: false }
    }

    /// The result of several jobs of one subject: failed if one failed, hopeless only if all failed ones are.
    fn and(self, other: Self) -> Self {
        match (self, other) {
            (Self::Failed { retry_after, hopeless }, Self::Failed { retry_after: later, hopeless: also }) => {
                Self::Failed { retry_after: retry_after.max(later), hopeless: hopeless && also }
            }
            (failed @ Self::Failed { .. }, Self::Done) | (Self::Done, failed) => failed,
        }
    }

    /// When a failed job is retried, after `tries` earlier failures; `None` if it succeeded.
    fn retry(&self, tries: u32, now: Timestamp) -> Option<Timestamp> {
        match self {
            Self::Done => None,
            Self::Failed { retry_after, .. } => Some(now.plus(retry_after.unwrap_or_else(|| backoff(tries)))),
        }
    }
}

/// Converts the result of a use case. Errors of providers are expected; any other error is logged.
fn result_of(job: JobKind, result: Result<(), PaymentError>) -> JobResult {
    match result {
        Ok(()) => JobResult::Done,
        Err(PaymentError::Provider(error)) => JobResult::Failed {
            retry_after: match error {
                ProviderError::Busy { retry_after } => retry_after.map(|wait| wait.min(MAX_PAUSE)),
                _ => None,
            },
            hopeless: error.advice() == port::Advice::Stop,
        },
        Err(fault) => {
            let job: &'static str = job.into();
            tracing::error!(job.kind = job, "{fault}");
            JobResult::failed()
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
                self.ran::<ProfileSession>(&job, Job::FollowProfileSession, followed).await?
            }
            JobSubject::Profile => {
                let detached = payments.detach_profile(job.subject, &command).await;
                self.ran::<Profile>(&job, Job::DetachProfile, detached).await?
            }
            JobSubject::Notification => self.run_notification(&job, &command, &pass).await?,
        };
        if let Some(account) = payments.providers.account_of_lane(&job.lane) {
            pass.give_back(&account.reads);
        }
        self.engine().commit(Change::plain("reschedule", vec![Write::Reschedule(done)])).await
    }

    /// The new due time of a subject that has only one kind of job.
    async fn ran<S: Subject>(
        &self,
        job: &ClaimedJob,
        only: Job,
        result: Result<(), PaymentError>,
    ) -> Result<Rescheduled, StoreError> {
        let result = result_of(only.into(), result);
        self.count(only.into(), &result);
        self.rescheduled::<S>(job, result, &[only], &[only]).await
    }

    async fn run_notification(
        &self,
        job: &ClaimedJob,
        command: &Command,
        pass: &ReadPass,
    ) -> Result<Rescheduled, StoreError> {
        let payments = &self.orders.payments;
        let waits = crate::inbox::process(payments, job, command, pass).await?;
        let result = if waits { JobResult::failed() } else { JobResult::Done };
        self.count(JobKind::ProcessNotification, &result);
        let tries = if waits { job.tries + 1 } else { 0 };
        let at = self.engine().now().plus(backoff(job.tries));
        let next = waits.then_some(Due { at, urgency: job.urgency });
        Ok(Rescheduled { job: job.clone(), version: 0, next, tries, stays_woken: false })
    }

    /// When a subject is due again after a job.
    async fn rescheduled<S: Subject>(
        &self,
        job: &ClaimedJob,
        result: JobResult,
        done: &[Job],
        failed: &[Job],
    ) -> Result<Rescheduled, StoreError> {
        let (engine, now) = (self.engine(), self.engine().now());
        let subject = engine.load::<S>(job.subject).await?;
        let version = subject.as_ref().map_or(0, |subject| subject.head().sequence);
        let mut due = subject.map(|subject| subject.due(now, engine.draw())).unwrap_or_default();
        // A policy that was applied without success leaves the attention to a person.
        due.retain(|due| !(matches!(due.job, Job::ApplyRefundPolicy(_)) && done.contains(&due.job)));
        put_off(&mut due, done, failed, result.retry(job.tries, now), now);
        let next = crate::store::next_in(&job.lane, &due);
        Ok(after(job, version, next, result, now))
    }

    fn count(&self, job: JobKind, result: &JobResult) {
        let outcome = match result {
            JobResult::Done => "done",
            JobResult::Failed { .. } => "failed",
        };
        self.engine().metrics.job_run(job.into(), outcome);
    }
}

/// A job that was `done` but is still due waits for something else: it runs again after a fifth of the time it has been
/// due. A job that `failed`, and all others due now, wait for the retry. Later jobs keep their time, such as an
/// operation that this job has just requested.
fn put_off(due: &mut [DueJob], done: &[Job], failed: &[Job], retry: Option<Timestamp>, now: Timestamp) {
    for again in due.iter_mut().filter(|due| due.at <= now && done.contains(&due.job)) {
        again.at = now.plus((now.since(again.at) / 5).clamp(FIRST_RETRY, MAX_RETRY));
    }
    for waits in due.iter_mut().filter(|due| due.at <= now || failed.contains(&due.job)) {
        waits.at = retry.map_or(waits.at, |retry| waits.at.max(retry));
    }
}

/// When a job is due again: at the `next` time of its subject. A woken job that failed is also retried without a
/// schedule, unless it is hopeless.
fn after(
    job: &ClaimedJob,
    version: u64,
    next: Option<Due>,
    result: JobResult,
    now: Timestamp,
) -> Rescheduled {
    let (JobResult::Failed { retry_after, hopeless }, Some(retry)) = (&result, result.retry(job.tries, now))
    else {
        return Rescheduled { job: job.clone(), version, next, tries: 0, stays_woken: false };
    };
    let stays_woken = job.woken.is_some() && !hopeless;
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
        _ if retry_after.is_some() => job.tries,
        _ => job.tries + 1,
    };
    Rescheduled { job: job.clone(), version, next, tries, stays_woken }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::{Lane, Urgency};

    /// `done`, `busy 5`, `hopeless`: how it went, and how long to wait.
    fn shown(result: &JobResult) -> String {
        match result {
            JobResult::Done => "done".to_owned(),
            JobResult::Failed { retry_after: Some(wait), .. } => format!("busy {}", wait.as_secs()),
            JobResult::Failed { hopeless: true, .. } => "hopeless".to_owned(),
            JobResult::Failed { .. } => "failed".to_owned(),
        }
    }

    fn read(text: &str) -> JobResult {
        match text.split_once(' ') {
            Some((_, wait)) => {
                let retry_after = Some(Duration::from_secs(wait.parse().unwrap()));
                JobResult::Failed { retry_after, hopeless: false }
            }
            None if text == "done" => JobResult::Done,
            None => JobResult::Failed { retry_after: None, hopeless: text == "hopeless" },
        }
    }

    #[test]
    fn a_provider_puts_a_job_off_for_a_quarter_of_an_hour_at_most() {
        let now = Timestamp::from_seconds(1_800_000_000);
        for (asked, waited) in [(7, 7), (900, 900), (31_536_000, 900)] {
            let retry_after = Some(Duration::from_secs(asked));
            let busy = PaymentError::Provider(ProviderError::Busy { retry_after });
            let again = result_of(JobKind::ResumeOperation, Err(busy)).retry(0, now);
            assert_eq!(again, Some(now.plus(Duration::from_secs(waited))), "{asked}");
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
        put_off(&mut due, &[], &[orphan], Some(now.plus(hours)), now);
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
        let done = after(&job, 1, next, JobResult::failed(), now);
        assert_eq!((done.next, done.tries), (next, 0));
        let only_orphan = crate::store::next_in(&lane, &due[..1]);
        let done = after(&job, 1, only_orphan, JobResult::failed(), now);
        assert_eq!((done.next, done.tries), (only_orphan, 12));
    }

    #[test]
    fn a_job_that_may_work_later_is_not_given_up_beside_one_that_cannot() {
        for (one, other, both) in [
            ("done", "done", "done"),
            ("done", "hopeless", "hopeless"),
            ("hopeless", "hopeless", "hopeless"),
            ("failed", "hopeless", "failed"),
            ("busy 5", "hopeless", "busy 5"),
            ("busy 5", "busy 9", "busy 9"),
        ] {
            assert_eq!(shown(&read(one).and(read(other))), both, "{one} and {other}");
            assert_eq!(shown(&read(other).and(read(one))), both, "{other} and {one}");
        }
    }
}
