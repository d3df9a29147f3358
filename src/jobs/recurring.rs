//! What recurs: checkpoints over all changes, and forgetting notifications that are old enough.

use std::time::Duration;

use port::Timestamp;

use crate::audit::{self, CHECKPOINT_INTERVAL};
use crate::engine::Engine;
use crate::inbox;
use crate::store::StoreError;

/// How far apart the looks for old notifications are, and the pages of one, so that nobody waits long for the writer.
const PRUNE_INTERVAL: Duration = Duration::from_secs(3_600);
const PRUNE_PAUSE: Duration = Duration::from_secs(1);

/// How long recurring work rests after the store has failed.
const RETRY_PAUSE: Duration = Duration::from_secs(10);

/// Work that recurs.
pub struct Recurring {
    engine: Engine,
    keep_notifications: Duration,
    checkpoint_at: Timestamp,
    prune_at: Timestamp,
}

impl Recurring {
    /// Due at once, and again and again. Notifications are kept for `keep_notifications`.
    pub fn new(engine: Engine, keep_notifications: Duration) -> Self {
        let now = engine.now();
        Self { engine, keep_notifications, checkpoint_at: now, prune_at: now }
    }

    /// Does what is due, for ever.
    pub async fn run(mut self) {
        loop {
            let next = self.run_once().await;
            tokio::time::sleep(next.since(self.engine.now())).await;
        }
    }

    /// Does what is due now. Answers when something is due next.
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
