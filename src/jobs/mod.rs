//! Background work: resolves unknown outcomes, fetches open payments, closes expired sessions, processes notifications,
//! delivers webhooks.
//!
//! Work is queued in lanes: one for each account, run within its read limit, most urgent first; one for each webhook
//! endpoint; one for the rest. The runner sleeps until the next job can run. A lane that hangs delays no other.

mod backlog;
mod clock;
mod order;
mod recurring;
mod runner;

pub use clock::adjust_to_clock;
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
struct JobFailure {
    /// Not before this delay, if one was given.
    retry_after: Option<Duration>,
    /// Whether a retry can only succeed after something else has changed.
    permanent: bool,
}

impl JobFailure {
    /// Of two jobs of one subject: permanent only if both are.
    fn and(self, other: Self) -> Self {
        let retry_after = self.retry_after.max(other.retry_after);
        Self { retry_after, permanent: self.permanent && other.permanent }
    }

    /// When the job is retried, after `tries` earlier failures.
    fn retry(self, tries: u32, now: Timestamp) -> Timestamp {
        now.plus(self.retry_after.unwrap_or_else(|| backoff(tries)))
    }
}

/// What became of the jobs of one run.
#[derive(Default)]
struct RunOutcome {
    done: Vec<Job>,
    failed: Vec<Job>,
    /// Of all failed jobs together.
    failure: Option<JobFailure>,
}

impl RunOutcome {
    fn add(&mut self, job: Job, failure: Option<JobFailure>) {
        if failure.is_none() { &mut self.done } else { &mut self.failed }.push(job);
        self.failure = self.failure.into_iter().chain(failure).reduce(JobFailure::and);
    }

    /// Whether a job has not run yet. Fetches of a status count as run: every run of their lane makes them, or another
    /// job of it reads the payment. Nor does a report about what has failed so far begin anything new.
    fn is_to_come(&self, job: Job) -> bool {
        !matches!(job, Job::FetchStatus(_) | Job::ReportUnknown(_))
            && !self.done.contains(&job)
            && !self.failed.contains(&job)
    }
}

/// The failure of a use case. Errors of providers are expected; any other error is logged.
fn failure_of(job: JobKind, result: Result<(), PaymentError>) -> Option<JobFailure> {
    match result {
        Ok(()) => None,
        Err(PaymentError::Provider(error)) => Some(JobFailure {
            retry_after: match error {
                ProviderError::Busy { retry_after } => retry_after.map(|wait| wait.min(MAX_PAUSE)),
                _ => None,
            },
            permanent: error.advice() == port::Advice::Stop,
        }),
        // The program says at its start which accounts are missing.
        Err(PaymentError::AccountNotConfigured { .. }) => Some(JobFailure::default()),
        Err(fault) => {
            let job: &'static str = job.into();
            tracing::error!(job.kind = job, "{fault}");
            Some(JobFailure::default())
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
            JobSubject::Order => self.run_order(&job, &pass).await?,
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
        let mut outcome = RunOutcome::default();
        outcome.add(only, failure);
        self.rescheduled::<S>(job, &outcome).await
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
        outcome: &RunOutcome,
    ) -> Result<Rescheduled, StoreError> {
        let (engine, now) = (self.engine(), self.engine().now());
        let subject = engine.load::<S>(job.subject).await?;
        let version = subject.as_ref().map_or(0, |subject| subject.head().sequence);
        let mut due = subject.map(|subject| subject.due(now, engine.draw())).unwrap_or_default();
        // A policy that was applied without success leaves the attention to a person.
        due.retain(|due| !(matches!(due.job, Job::ApplyRefundPolicy(_)) && outcome.done.contains(&due.job)));
        due.retain(|due| due.lane == job.lane);
        Ok(next_run(job, version, due, outcome, now))
    }

    fn count(&self, job: JobKind, done: bool) {
        self.engine().metrics.job_run(job.into(), if done { "done" } else { "failed" });
    }
}

/// A job that was `done` but is still due waits for something else: it runs again after a fifth of the time it has been
/// due. A job that `failed`, and all others due now, wait for the retry. Later jobs keep their time, such as an
/// operation that this job has just requested.
fn postpone(due: &mut [DueJob], outcome: &RunOutcome, retry: Option<Timestamp>, now: Timestamp) {
    for again in due.iter_mut().filter(|due| due.at <= now && outcome.done.contains(&due.job)) {
        again.at = now.plus((now.since(again.at) / 5).clamp(FIRST_RETRY, MAX_RETRY));
    }
    for waits in due.iter_mut().filter(|due| due.at <= now || outcome.failed.contains(&due.job)) {
        waits.at = retry.map_or(waits.at, |retry| waits.at.max(retry));
    }
}

/// When a job is due again: at the next time of its subject, whose jobs in its lane are `due`. A woken job that failed
/// is also retried without a schedule, unless it is permanent.
fn next_run(
    job: &ClaimedJob,
    version: u64,
    mut due: Vec<DueJob>,
    outcome: &RunOutcome,
    now: Timestamp,
) -> Rescheduled {
    let retry = outcome.failure.map(|failure| failure.retry(job.tries, now));
    postpone(&mut due, outcome, retry, now);
    let next = crate::store::next_in(&job.lane, &due);
    let (Some(failure), Some(retry)) = (outcome.failure, retry) else {
        return Rescheduled { job: job.clone(), version, next, tries: 0, stays_woken: false };
    };
    let stays_woken = job.woken.is_some() && !failure.permanent;
    let next = match next {
        Some(due) if stays_woken => {
            Some(Due { at: due.at.min(retry), urgency: due.urgency.min(job.urgency) })
        }
        None if stays_woken => Some(Due { at: retry, urgency: job.urgency }),
        next => next,
    };
    // The failures of a job that comes before the retry are counted from zero; waiting for the read limit is none.
    let comes_first = due.iter().any(|due| due.at < retry && outcome.is_to_come(due.job));
    let tries = match failure.retry_after {
        _ if comes_first => 0,
        Some(_) => job.tries,
        None => job.tries + 1,
    };
    Rescheduled { job: job.clone(), version, next, tries, stays_woken }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::{Lane, Urgency};

    /// `failed`, `busy 5`, `permanent`: how it went, and how long to wait.
    fn shown(failure: JobFailure) -> String {
        match failure {
            JobFailure { retry_after: Some(wait), .. } => format!("busy {}", wait.as_secs()),
            JobFailure { permanent: true, .. } => "permanent".to_owned(),
            JobFailure { .. } => "failed".to_owned(),
        }
    }

    fn read(text: &str) -> JobFailure {
        let wait = text.split_once(' ').map(|(_, wait)| Duration::from_secs(wait.parse().unwrap()));
        JobFailure { retry_after: wait, permanent: text == "permanent" }
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
    fn what_fails_is_tried_again_after_five_seconds_and_then_ever_later_up_to_six_hours() {
        let waits = [0, 1, 2, 11, 12, 13, 40].map(|tries| backoff(tries).as_secs());
        assert_eq!(waits, [5, 10, 20, 10_240, 20_480, 21_600, 21_600]);
    }

    #[test]
    fn what_failed_does_not_put_off_what_was_requested_meanwhile() {
        let (now, hours) = (Timestamp::from_seconds(1_800_000_000), Duration::from_secs(2 * 3_600));
        let soon = now.plus(Duration::from_secs(45));
        let orphan = Job::CloseOrphan(port::AttemptId::from_uuid(port::Uuid::nil()));
        let payment = port::PaymentId::from_uuid(port::Uuid::nil());
        let (operation, fetch) = (Job::ResumeOperation(payment), Job::FetchStatus(payment));
        let lane = Lane::Account("decta".to_owned());
        let due_job = |job, urgency, at| DueJob { job, lane: lane.clone(), urgency, at };
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
        let woken = ClaimedJob {
            urgency: Urgency::Notified,
            woken: Some(crate::store::WokenBy::Anything),
            ..job.clone()
        };
        let mut outcome = RunOutcome::default();
        outcome.add(orphan, Some(JobFailure::default()));
        let failed = due_job(orphan, Urgency::Scheduled, now.minus(hours));
        let requested = due_job(operation, Urgency::UnknownOutcome, soon);
        let fetched = due_job(fetch, Urgency::UnknownOutcome, soon);
        for job in [job, woken] {
            let ran = |due| next_run(&job, 1, due, &outcome, now);
            let next = ran(vec![failed.clone(), requested.clone()]);
            assert_eq!((next.next.unwrap().at, next.tries), (soon, 0), "{job:?}");
            let next = ran(vec![failed.clone()]);
            assert_eq!((next.next.unwrap().at, next.tries), (now.plus(backoff(11)), 12), "{job:?}");
            let next = ran(vec![failed.clone(), fetched.clone()]);
            assert_eq!((next.next.unwrap().at, next.tries), (soon, 12), "a fetch is no other work: {job:?}");
        }
    }

    #[test]
    fn a_job_that_may_work_later_is_not_given_up_beside_one_that_cannot() {
        for (one, other, both) in [
            ("permanent", "permanent", "permanent"),
            ("failed", "permanent", "failed"),
            ("busy 5", "permanent", "busy 5"),
            ("busy 5", "busy 9", "busy 9"),
        ] {
            assert_eq!(shown(read(one).and(read(other))), both, "{one} and {other}");
            assert_eq!(shown(read(other).and(read(one))), both, "{other} and {one}");
        }
    }
}
