//! Recurring work: checkpoints, pruning of old notifications, and a look at the clock.

use std::time::Duration;

use port::Timestamp;
use tokio::time::Instant;

use super::clock::{ClockStep, ClockWatch, bring_forward};
use crate::audit::{self, CHECKPOINT_INTERVAL};
use crate::engine::Engine;
use crate::inbox;
use crate::store::StoreError;

/// The interval of pruning, and the pause between its pages, so that it does not block the writer for long.
const PRUNE_INTERVAL: Duration = Duration::from_secs(3_600);
const PRUNE_PAUSE: Duration = Duration::from_secs(1);

/// The pause after a failure of the store.
const RETRY_PAUSE: Duration = Duration::from_secs(10);

/// Recurring work.
pub struct Recurring {
    engine: Engine,
    keep_notifications: Duration,
    clock_interval: Duration,
    checkpoint_at: Timestamp,
    prune_at: Timestamp,
}

impl Recurring {
    /// Starts with everything due. Notifications are kept for `keep_notifications`; every `clock_interval` it is seen
    /// whether the clock was set.
    pub fn new(engine: Engine, keep_notifications: Duration, clock_interval: Duration) -> Self {
        let now = engine.now();
        Self { engine, keep_notifications, clock_interval, checkpoint_at: now, prune_at: now }
    }

    /// Runs what is due, without end.
    pub async fn run(mut self) {
        let mut watch = ClockWatch::new(self.engine.now(), Instant::now());
        loop {
            match watch.step(self.engine.now(), Instant::now()) {
                Some(ClockStep::Back(by)) => self.clock_was_set_back(by).await,
                Some(ClockStep::Forward(by)) => {
                    let seconds = by.as_secs();
                    tracing::warn!(
                        clock.set_forward_seconds = seconds,
                        "the clock was set forward by {seconds} s"
                    );
                    self.engine.due_times.set_all_due();
                }
                None => {}
            }
            let next = self.run_once().await;
            tokio::time::sleep(next.since(self.engine.now()).min(self.clock_interval)).await;
        }
    }

    async fn clock_was_set_back(&mut self, by: Duration) {
        (self.checkpoint_at, self.prune_at) = (self.checkpoint_at.minus(by), self.prune_at.minus(by));
        let done = bring_forward(&self.engine, by).await;
        done.unwrap_or_else(|fault| tracing::error!("due times could not be brought forward: {fault}"));
    }

    /// Runs what is due now. Returns when something is due next.
    pub async fn run_once(&mut self) -> Timestamp {
        let now = self.engine.now();
        if self.checkpoint_at <= now {
            let made = audit::checkpoint(&*self.engine.store, now).await;
            self.checkpoint_at = now.plus(self.pause("checkpoint", made.map(|()| CHECKPOINT_INTERVAL)));
        }
        if self.prune_at <= now {
            let pruned = inbox::prune(&*self.engine.store, now.minus(self.keep_notifications)).await;
            let pause = pruned.map(|more| if more { PRUNE_PAUSE } else { PRUNE_INTERVAL });
            self.prune_at = now.plus(self.pause("prune_inbox", pause));
        }
        self.checkpoint_at.min(self.prune_at)
    }

    fn pause(&self, job: &'static str, done: Result<Duration, StoreError>) -> Duration {
        self.engine.metrics.job_run(job, if done.is_ok() { "done" } else { "failed" });
        done.unwrap_or_else(|fault| {
            tracing::error!(job.kind = job, "{fault}");
            RETRY_PAUSE
        })
    }
}
