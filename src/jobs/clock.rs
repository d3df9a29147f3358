//! What follows if the machine's clock is set. Set back by a day, all that is due would wait a day longer, so it is
//! brought forward. Set forward, as after the machine was asleep, what has become due meanwhile would wait until the
//! runner wakes up by itself, so every lane is read again.

use std::time::Duration;

use port::Timestamp;
use tokio::time::Instant;

use crate::engine::Engine;
use crate::store::{Change, StoreError, Write};

/// A clock that is behind by less was corrected, and not set back.
const TOLERANCE: Duration = Duration::from_secs(2);

/// How a clock was set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ClockStep {
    Back(Duration),
    Forward(Duration),
}

/// Compares the machine's clock with the time that passes.
pub(super) struct ClockWatch {
    shown: Timestamp,
    at: Instant,
}

impl ClockWatch {
    pub(super) fn new(shown: Timestamp, at: Instant) -> Self {
        Self { shown, at }
    }

    /// How the clock was set since the last call, given what it shows `now`.
    pub(super) fn step(&mut self, now: Timestamp, at: Instant) -> Option<ClockStep> {
        let expected = self.shown.plus(at.saturating_duration_since(self.at));
        (self.shown, self.at) = (now, at);
        match (expected.since(now), now.since(expected)) {
            (back, _) if back > TOLERANCE => Some(ClockStep::Back(back)),
            (_, forward) if forward > TOLERANCE => Some(ClockStep::Forward(forward)),
            _ => None,
        }
    }
}

/// Brings forward what is due, if the clock was set back since the last change was committed: while the gateway was
/// stopped.
///
/// # Errors
/// [`StoreError`]; then nothing is brought forward.
pub async fn adjust_to_clock(engine: &Engine) -> Result<(), StoreError> {
    let last = engine.store.last_change_at().await?.unwrap_or_default();
    match last.since(engine.now()) {
        by if by > TOLERANCE => bring_forward(engine, by).await,
        _ => Ok(()),
    }
}

/// Brings forward all that is due at a later time.
///
/// # Errors
/// [`StoreError`]; then nothing is brought forward.
pub(super) async fn bring_forward(engine: &Engine, by: Duration) -> Result<(), StoreError> {
    let seconds = by.as_secs();
    tracing::warn!(clock.set_back_seconds = seconds, "the machine's clock was set back by {seconds} s");
    engine.commit(Change::plain("clock set back", vec![Write::BringForward { by }])).await?;
    engine.due_times.set_all_due();
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_clock_was_set_if_another_time_passes_on_it_than_really_does() {
        let (shown, at) = (Timestamp::from_seconds(1_800_000_000), Instant::now());
        let seconds = Duration::from_secs;
        let mut watch = ClockWatch::new(shown, at);
        for (shows, passed, step) in [
            (15, 15, None),
            (29, 30, None),
            (3_600, 45, Some(ClockStep::Forward(seconds(3_556)))),
            (3_555, 60, Some(ClockStep::Back(seconds(60)))),
            (3_570, 75, None),
            (0, 90, Some(ClockStep::Back(seconds(3_585)))),
        ] {
            let found = watch.step(shown.plus(seconds(shows)), at + seconds(passed));
            assert_eq!(found, step, "it shows {shows} s after {passed} s");
        }
    }
}
