//! The job runner: claims due jobs and deliveries up to each lane's limit, runs them, and sleeps until more are due.

use std::collections::HashMap;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::BoxFuture;
use futures_util::stream::FuturesUnordered;
use futures_util::{FutureExt as _, StreamExt as _};
use port::{EndpointId, Timestamp};
use strum::VariantArray as _;

use super::JobContext;
use super::backlog::{Backlog, Progress};
use crate::domain::{Lane, Urgency};
use crate::engine::RunnerLane;
use crate::payments::{Account, ReadPass};
use crate::store::{ClaimedJob, LeaseKey, StoreError};

/// The lease of a subject's jobs in a lane: longer than they run. The last one [starts](super::order::START_UNTIL) in time,
/// and makes a few calls to a provider.
const JOB_LEASE: Duration = Duration::from_secs(240);

/// The lease of a delivery; longer than its longest timeout.
const DELIVERY_LEASE: Duration = Duration::from_secs(60);

/// The most running jobs: in the general lane, and at one account.
const MAX_GENERAL: u32 = 32;
const MAX_AT_ACCOUNT: u32 = 16;

/// The most running deliveries: in all, to one merchant, to a working endpoint, and to a failing one.
const MAX_DELIVERIES: u32 = 256;
const MAX_TO_MERCHANT: u32 = 32;
const MAX_TO_ENDPOINT: u32 = 8;
const MAX_TO_FAILING: u32 = 1;

/// The longest sleep, so that expired leases are noticed.
const MAX_SLEEP: Duration = Duration::from_secs(60);

/// The pause after a failure of the store: of the runner, and of the work that failed.
const STORE_PAUSE: Duration = Duration::from_secs(1);
const FAILED_PAUSE: Duration = Duration::from_secs(5);

/// Runs due jobs and deliveries. There is one per gateway, since it counts what is running in each lane.
pub struct JobRunner {
    context: Arc<JobContext>,
    under_way: FuturesUnordered<BoxFuture<'static, WorkKey>>,
    busy: HashMap<WorkKey, u32>,
    backlog: Backlog,
}

/// The limits that running work counts against.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct WorkKey {
    lane: RunnerLane,
    /// The merchant of a delivery.
    merchant: Option<String>,
}

/// The result of one turn of the runner.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tick {
    /// Nothing is running, and nothing is due before this time.
    Idle(Option<Timestamp>),
    /// Something was started, is running, or has ended.
    Busy,
}

impl JobRunner {
    /// A runner with every lane due, so that each is read once.
    pub fn new(context: impl Into<Arc<JobContext>>) -> Self {
        let context = context.into();
        let due_times = context.engine().due_times.clone();
        let accounts = context.orders.payments.providers.accounts().iter();
        let lanes = accounts.map(|account| Lane::Account(account.name.clone())).chain([Lane::General]);
        for lane in lanes {
            due_times.set_due(RunnerLane::Jobs(lane), Timestamp::default());
        }
        for enabled in context.engine().endpoints.enabled() {
            due_times.set_due(RunnerLane::Endpoint(enabled.endpoint.id), Timestamp::default());
        }
        Self {
            context,
            under_way: FuturesUnordered::new(),
            busy: HashMap::new(),
            backlog: Backlog::default(),
        }
    }

    /// Does what is due, for ever.
    pub async fn run(mut self) {
        loop {
            match self.run_once().await {
                Ok(Tick::Busy) => {}
                Ok(Tick::Idle(next)) => self.wait(next).await,
                Err(fault) => {
                    tracing::error!("due jobs could not be read: {fault}");
                    tokio::time::sleep(STORE_PAUSE).await;
                }
            }
        }
    }

    /// Starts what is due, up to the limits, and waits until something ends or more is due.
    ///
    /// # Errors
    /// [`StoreError`] if nothing could be claimed; what is under way stays so.
    pub async fn run_once(&mut self) -> Result<Tick, StoreError> {
        let next = self.start_due().await?;
        if self.under_way.is_empty() {
            return Ok(Tick::Idle(next));
        }
        self.wait(next).await;
        Ok(Tick::Busy)
    }

    /// Runs everything that is due now and waits until it has ended. For tests.
    ///
    /// # Errors
    /// [`StoreError`] if nothing could be claimed.
    pub async fn run_due(&mut self) -> Result<(), StoreError> {
        while self.run_once().await? == Tick::Busy {}
        Ok(())
    }

    /// Waits until a time, or until something has ended or is due.
    async fn wait(&mut self, until: Option<Timestamp>) {
        let (due_times, now) = (self.context.engine().due_times.clone(), self.context.engine().now());
        let longest = until.map_or(MAX_SLEEP, |until| until.since(now)).min(MAX_SLEEP);
        tokio::select! {
            // In a fixed order, since tokio's random choice would not be repeatable from a seed.
            biased;
            Some(key) = self.under_way.next() => self.ended(&key),
            () = due_times.until_earlier() => {}
            () = tokio::time::sleep(longest) => {}
        }
        while let Some(Some(key)) = self.under_way.next().now_or_never() {
            self.ended(&key);
        }
    }

    /// Starts what is due in every lane below its limit. Returns the earliest time at which more can be started.
    async fn start_due(&mut self) -> Result<Option<Timestamp>, StoreError> {
        let (engine, now) = (self.context.engine().clone(), self.context.engine().now());
        let (due, mut next) = engine.due_times.due(now);
        for (lane, at) in due {
            let room = self.room(&lane);
            if room == 0 {
                continue;
            }
            let again = match &lane {
                RunnerLane::Jobs(of) => self.start_jobs(of, room, now).await,
                RunnerLane::Endpoint(endpoint) => self.start_deliveries(*endpoint, room, now).await,
            };
            // Due again after a failure of the store.
            let again = again.inspect_err(|_| engine.due_times.set_due(lane.clone(), at))?;
            if let Some(again) = again {
                engine.due_times.set_due(lane, again);
                next = Some(next.map_or(again, |next| next.min(again)));
            }
        }
        Ok(next)
    }

    /// How much more may be under way in a lane.
    fn room(&self, lane: &RunnerLane) -> u32 {
        let under_way = |of: &dyn Fn(&WorkKey) -> bool| -> u32 {
            self.busy.iter().filter(|(key, _)| of(key)).map(|(_, count)| count).sum()
        };
        let own = under_way(&|key| key.lane == *lane);
        match lane {
            RunnerLane::Jobs(Lane::General) => MAX_GENERAL.saturating_sub(own),
            RunnerLane::Jobs(Lane::Account(_)) => MAX_AT_ACCOUNT.saturating_sub(own),
            RunnerLane::Endpoint(id) => {
                let Some(enabled) = self.context.engine().endpoints.get(*id) else { return 1 };
                let most = if enabled.failing_since.is_some() { MAX_TO_FAILING } else { MAX_TO_ENDPOINT };
                let merchant = Some(&enabled.endpoint.merchant);
                let of_merchant = under_way(&|key| key.merchant.as_ref() == merchant);
                let all = under_way(&|key| key.merchant.is_some());
                let room = [(most, own), (MAX_TO_MERCHANT, of_merchant), (MAX_DELIVERIES, all)];
                room.into_iter().map(|(most, now)| most.saturating_sub(now)).min().unwrap_or(0)
            }
        }
    }

    /// Starts jobs of a lane, the most urgent first. Returns when the lane is due again.
    async fn start_jobs(
        &mut self,
        lane: &Lane,
        room: u32,
        now: Timestamp,
    ) -> Result<Option<Timestamp>, StoreError> {
        let engine = self.context.engine().clone();
        engine.due_times.take(&RunnerLane::Jobs(lane.clone()));
        let account = self.context.orders.payments.providers.account_of_lane(lane).cloned();
        let mut room = room;
        for urgency in Urgency::VARIANTS {
            while room > 0 {
                let reads = self.take_reads(account.as_deref(), *urgency, room, now);
                if reads == 0 {
                    break;
                }
                let claimed = engine.store.claim(lane, *urgency, now, JOB_LEASE, reads).await;
                let jobs = claimed.inspect_err(|_| give_back(account.as_deref(), *urgency, reads))?;
                let count = u32::try_from(jobs.len()).unwrap_or(reads);
                give_back(account.as_deref(), *urgency, reads - count);
                room -= count;
                jobs.into_iter().for_each(|job| self.start_job(job, account.is_some()));
                if count < reads {
                    break;
                }
            }
        }
        let next = engine.store.next_due(lane).await?;
        self.report_backlog(lane, next.iter().map(|due| due.at).min(), now).await?;
        let when = next.into_iter().map(|due| match &account {
            Some(account) => due.at.max(account.reads.next_at(due.urgency, now)),
            None => due.at,
        });
        Ok(when.min())
    }

    /// Logs that a lane has fallen behind or caught up.
    async fn report_backlog(
        &mut self,
        lane: &Lane,
        oldest: Option<Timestamp>,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        match self.backlog.judge(lane, oldest, now) {
            Some(Progress::Behind(overdue)) => {
                let (jobs, seconds) =
                    (self.context.engine().store.due_count(lane, now).await?, overdue.as_secs());
                tracing::warn!(
                    job.lane = ?lane, job.due = jobs, job.overdue_seconds = seconds,
                    "a lane is behind: {jobs} due, the first for {seconds} s; an account catches up faster if its \
                     provider allows more `reads_per_second`"
                );
            }
            Some(Progress::CaughtUp(lasted)) => {
                let seconds = lasted.as_secs();
                tracing::info!(job.lane = ?lane, "a lane that was behind for {seconds} s has caught up");
            }
            None => {}
        }
        Ok(())
    }

    /// Takes reads of a class in advance, one for each job to claim.
    fn take_reads(&self, account: Option<&Account>, class: Urgency, most: u32, now: Timestamp) -> u32 {
        let Some(account) = account else { return most };
        let taken = (0..most).take_while(|_| account.reads.take(class, now).is_ok());
        u32::try_from(taken.count()).unwrap_or(most)
    }

    fn start_job(&mut self, job: ClaimedJob, prepaid: bool) {
        let key = WorkKey { lane: RunnerLane::Jobs(job.lane.clone()), merchant: None };
        let pass = if prepaid { ReadPass::prepaid(job.urgency) } else { ReadPass::of(job.urgency) };
        let (context, lease) = (self.context.clone(), LeaseKey::Job(job.lane.clone(), job.subject));
        self.start(key, lease, async move { context.run(job, pass).await });
    }

    /// Starts deliveries to an endpoint. Returns when it is due again.
    async fn start_deliveries(
        &mut self,
        endpoint: EndpointId,
        room: u32,
        now: Timestamp,
    ) -> Result<Option<Timestamp>, StoreError> {
        let engine = self.context.engine().clone();
        engine.due_times.take(&RunnerLane::Endpoint(endpoint));
        engine.endpoints.ensure_fresh(&*engine.store).await?;
        // A disabled endpoint gets nothing.
        let Some(enabled) = engine.endpoints.get(endpoint) else { return Ok(None) };
        let claimed = engine.store.claim_deliveries(endpoint, now, DELIVERY_LEASE, room).await?;
        for delivery in claimed {
            let merchant = Some(enabled.endpoint.merchant.clone());
            let key = WorkKey { lane: RunnerLane::Endpoint(endpoint), merchant };
            let (context, lease) = (self.context.clone(), LeaseKey::Delivery(delivery.stream));
            self.start(key, lease, async move { context.webhooks.deliver(delivery).await });
        }
        engine.store.next_delivery(endpoint).await
    }

    /// Starts leased work. A panic in it does not stop other work; what has panicked is retried when its lease has expired,
    /// what the store has failed sooner.
    fn start(
        &mut self,
        key: WorkKey,
        lease: LeaseKey,
        work: impl Future<Output = Result<(), StoreError>> + Send + 'static,
    ) {
        *self.busy.entry(key.clone()).or_default() += 1;
        let engine = self.context.engine().clone();
        let work = async move {
            let fault = match AssertUnwindSafe(work).catch_unwind().await {
                Ok(Ok(())) => return key,
                Ok(Err(fault)) => {
                    engine.store.leases().end_at(&lease, engine.now().plus(FAILED_PAUSE));
                    fault.to_string()
                }
                Err(_) => "it has panicked".to_owned(),
            };
            tracing::error!(job.lane = ?key.lane, job.subject = %lease.subject(), "a job failed: {fault}");
            key
        };
        self.under_way.push(work.boxed());
    }

    /// Something has ended: makes its lane due, since jobs may have been woken meanwhile.
    fn ended(&mut self, key: &WorkKey) {
        self.context.engine().due_times.set_due(key.lane.clone(), Timestamp::default());
        if let Some(busy) = self.busy.get_mut(key) {
            *busy -= 1;
            if *busy == 0 {
                self.busy.remove(key);
            }
        }
    }
}

fn give_back(account: Option<&Account>, class: Urgency, reads: u32) {
    if let Some(account) = account {
        (0..reads).for_each(|_| account.reads.give_back(class));
    }
}
