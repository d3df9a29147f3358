//! Keeps background loops running: one that panics or ends is logged, counted, and started again after a pause. Until
//! then it is known to be down.

use std::collections::BTreeSet;
use std::panic::AssertUnwindSafe;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures_util::FutureExt as _;

use crate::metrics::Metrics;

/// How long a loop rests before it is started again.
const PAUSE: Duration = Duration::from_secs(5);

/// The supervisor of all background loops.
pub struct Supervisor {
    metrics: Arc<Metrics>,
    down: Mutex<BTreeSet<&'static str>>,
}

impl Supervisor {
    pub fn new(metrics: Arc<Metrics>) -> Self {
        Self { metrics, down: Mutex::default() }
    }

    /// Runs the loop that `start` makes, again and again.
    pub async fn keep_running<F: Future<Output = ()>>(
        self: Arc<Self>,
        name: &'static str,
        start: impl Fn() -> F,
    ) {
        loop {
            // What `start` does itself is part of the loop.
            let ended = AssertUnwindSafe(async { start().await }).catch_unwind().await;
            self.names().insert(name);
            self.metrics.background_restarted(name);
            let how = if ended.is_ok() { "has ended" } else { "has panicked" };
            let seconds = PAUSE.as_secs();
            tracing::error!(
                background.name = name,
                "background work {how}; it is started again in {seconds} s"
            );
            tokio::time::sleep(PAUSE).await;
            self.names().remove(name);
        }
    }

    /// The loops that do not run at present.
    pub fn down(&self) -> Vec<&'static str> {
        self.names().iter().copied().collect()
    }

    fn names(&self) -> MutexGuard<'_, BTreeSet<&'static str>> {
        self.down.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU32, Ordering};

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_loop_that_panics_or_ends_is_down_until_it_is_started_again() {
        let metrics = Arc::new(Metrics::new());
        let supervisor = Arc::new(Supervisor::new(metrics.clone()));
        let starts = Arc::new(AtomicU32::new(0));
        let running = tokio::spawn({
            let (supervisor, starts) = (supervisor.clone(), starts.clone());
            let start = move || {
                let number = starts.fetch_add(1, Ordering::Relaxed);
                async move {
                    match number {
                        0 => panic!("a defect"),
                        1 => {}
                        _ => std::future::pending().await,
                    }
                }
            };
            supervisor.keep_running("jobs", start)
        });
        let moment = Duration::from_millis(1);
        for failures in 1..=2 {
            tokio::time::sleep(moment).await;
            assert_eq!(supervisor.down(), ["jobs"], "after {failures} failures");
            assert_eq!(starts.load(Ordering::Relaxed), failures);
            tokio::time::sleep(PAUSE).await;
        }
        assert_eq!(supervisor.down(), [""; 0]);
        assert_eq!(starts.load(Ordering::Relaxed), 3);
        assert!(metrics.render().contains("paymux_background_restarts_total{name=\"jobs\"} 2"));
        running.abort();
    }
}
