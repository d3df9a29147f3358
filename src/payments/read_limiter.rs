//! How often an account's provider may be asked how something stands: one budget for all who ask.
//!
//! It fills steadily and is kept for a few seconds, so that a burst passes. Whoever waits for an answer goes first:
//! a customer who has come back may take what is not there yet, and what the agenda asks leaves a rest for others.
//! A provider that says that it is asked too often is asked less for a while.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use port::Timestamp;

use crate::domain::{Actor, Cause};

/// What one read takes, in millionths of a read: so many come in a second for each read a second.
const READ: i64 = 1_000_000;

/// For how long reads that nobody makes are kept, seconds.
const KEPT_S: i64 = 2;

/// The part of what is kept that the agenda leaves to others.
const LEFT_BY_JOBS: i64 = 4;

/// How much slower it fills after the provider has complained, and for how long at least.
const SLOWED_BY: i64 = 4;
const SLOWED_FOR: Duration = Duration::from_secs(60);

/// A provider cannot keep us away for longer than this.
const MAX_PAUSE: Duration = Duration::from_secs(15 * 60);

/// Who wants to ask.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Priority {
    /// A customer who waits for the next page, or a checkout whose start was not answered.
    Urgent,
    /// A merchant, an operator or a notification.
    Usual,
    /// The agenda, which can come back later.
    Patient,
}

impl Priority {
    /// Of whoever makes it happen.
    pub fn of(cause: &Cause) -> Self {
        match cause.actor {
            Actor::Customer => Self::Urgent,
            Actor::Merchant | Actor::Operator | Actor::Provider => Self::Usual,
            Actor::Scheduler => Self::Patient,
        }
    }
}

/// The reads that an account has left.
#[derive(Debug)]
pub struct ReadLimiter {
    /// Reads a second.
    rate: i64,
    bucket: Mutex<Bucket>,
}

#[derive(Clone, Copy, Debug)]
struct Bucket {
    /// Millionths of a read; below zero what was borrowed.
    left: i64,
    /// When it was last filled.
    filled_at: Timestamp,
    /// Until when it fills slowly.
    slow_until: Timestamp,
    /// Until when the provider wants to be left alone.
    closed_until: Timestamp,
}

impl ReadLimiter {
    /// Of so many reads a second on average, full.
    pub fn new(reads_per_second: u32) -> Self {
        let rate = i64::from(reads_per_second.max(1));
        let never = Timestamp::default();
        let bucket =
            Bucket { left: rate * KEPT_S * READ, filled_at: never, slow_until: never, closed_until: never };
        Self { rate, bucket: Mutex::new(bucket) }
    }

    /// Takes one read out.
    ///
    /// # Errors
    /// How long to wait, if it is not there for this wish.
    pub fn take(&self, priority: Priority, now: Timestamp) -> Result<(), Duration> {
        let mut bucket = self.bucket.lock().unwrap_or_else(PoisonError::into_inner);
        self.fill(&mut bucket, now);
        let kept = self.rate * KEPT_S * READ;
        let stays = match priority {
            Priority::Urgent => -kept,
            Priority::Usual => 0,
            Priority::Patient => kept / LEFT_BY_JOBS,
        };
        let lacks = stays + READ - bucket.left;
        let pause =
            if priority == Priority::Urgent { Duration::ZERO } else { bucket.closed_until.since(now) };
        if lacks <= 0 && pause.is_zero() {
            bucket.left -= READ;
            return Ok(());
        }
        let slowed_by = if bucket.slow_until > now { SLOWED_BY } else { 1 };
        // Rounded up: moments are kept to the millisecond.
        let millis = u64::try_from(lacks.max(1) * slowed_by / self.rate / 1_000).unwrap_or(0);
        Err(pause.max(Duration::from_millis(millis + 1)))
    }

    /// The provider says that it is asked too often, and perhaps for how long it wants to be left alone.
    pub fn throttled(&self, retry_after: Option<Duration>, now: Timestamp) {
        let mut bucket = self.bucket.lock().unwrap_or_else(PoisonError::into_inner);
        self.fill(&mut bucket, now);
        let pause = retry_after.unwrap_or_default().min(MAX_PAUSE);
        bucket.left = bucket.left.min(0);
        bucket.closed_until = bucket.closed_until.max(now.plus(pause));
        bucket.slow_until = bucket.slow_until.max(now.plus(pause.max(SLOWED_FOR)));
    }

    fn fill(&self, bucket: &mut Bucket, now: Timestamp) {
        // Longer than it takes to fill an empty one that was borrowed from, even slowly.
        let long = Duration::from_secs(60);
        let passed = now.since(bucket.filled_at).min(long);
        let slow = bucket.slow_until.since(now.minus(passed)).min(passed);
        let micros = |span: Duration| i64::try_from(span.as_micros()).unwrap_or(i64::MAX);
        let come = micros(passed - slow) * self.rate + micros(slow) * self.rate / SLOWED_BY;
        bucket.left = (bucket.left + come).min(self.rate * KEPT_S * READ);
        bucket.filled_at = bucket.filled_at.max(now);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    fn start() -> Timestamp {
        Timestamp::from_seconds(1_800_000_000)
    }

    /// How many reads of a kind there are at a moment.
    fn drain(budget: &ReadLimiter, priority: Priority, now: Timestamp) -> usize {
        (0..10_000).take_while(|_| budget.take(priority, now).is_ok()).count()
    }

    #[test]
    fn the_agenda_leaves_a_rest_and_a_customer_may_borrow() {
        let budget = ReadLimiter::new(10);
        assert_eq!(drain(&budget, Priority::Patient, start()), 15);
        assert_eq!(drain(&budget, Priority::Usual, start()), 5);
        assert_eq!(drain(&budget, Priority::Patient, start()), 0);
        assert_eq!(drain(&budget, Priority::Urgent, start()), 20);
        // What was borrowed is paid back before anybody else may ask.
        assert_eq!(drain(&budget, Priority::Usual, start().plus(2 * SECOND)), 0);
        assert_eq!(drain(&budget, Priority::Usual, start().plus(3 * SECOND)), 10);
    }

    #[test]
    fn who_is_sent_away_may_ask_once_the_time_it_was_told_has_passed() {
        for priority in [Priority::Patient, Priority::Usual, Priority::Urgent] {
            let budget = ReadLimiter::new(3);
            drain(&budget, priority, start());
            let wait = budget.take(priority, start()).unwrap_err();
            assert!(wait <= SECOND, "{wait:?}");
            assert_eq!(drain(&budget, priority, start().plus(wait)), 1, "{priority:?}");
        }
    }

    #[test]
    fn a_provider_that_complains_is_left_alone_and_then_asked_less_for_a_while() {
        let budget = ReadLimiter::new(8);
        budget.throttled(Some(5 * SECOND), start());
        assert_eq!(budget.take(Priority::Usual, start()), Err(5 * SECOND));
        assert_eq!(budget.take(Priority::Urgent, start()), Ok(()));
        // A quarter of eight a second, less what the customer has borrowed.
        assert_eq!(drain(&budget, Priority::Usual, start().plus(5 * SECOND)), 9);
        assert_eq!(drain(&budget, Priority::Usual, start().plus(7 * SECOND)), 4);
        drain(&budget, Priority::Usual, start().plus(60 * SECOND));
        assert_eq!(drain(&budget, Priority::Usual, start().plus(61 * SECOND)), 8);
    }

    #[test]
    fn a_clock_that_goes_back_gives_nothing_away() {
        let budget = ReadLimiter::new(1);
        drain(&budget, Priority::Usual, start());
        assert_eq!(drain(&budget, Priority::Usual, start().minus(10 * SECOND)), 0);
        assert_eq!(drain(&budget, Priority::Usual, start().plus(SECOND)), 1);
    }
}
