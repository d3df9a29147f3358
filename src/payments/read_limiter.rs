//! How often an account's provider may be read.
//!
//! Each urgency has a share of the account's rate that no other can take: however often customers reload their return
//! pages, notified payments and unknown outcomes are still read. What one does not use flows into a pool that all may
//! take from, so one that is alone has the whole rate. Unused reads are saved for two seconds at most. A provider that
//! answers "too many requests" is read less for a while.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use port::Timestamp;
use strum::VariantArray as _;

use crate::bucket::{Bucket, TOKEN, filled_until};
use crate::domain::Urgency;

/// Each urgency is a class with the same share.
const CLASSES: u64 = Urgency::VARIANTS.len() as u64;

/// For how long unused reads are saved, in seconds.
const SAVED_S: u64 = 2;

/// By which factor, and for how long at least, reads slow down after the provider has answered "too many requests".
const SLOWED_BY: u64 = 4;
const SLOWED_FOR: Duration = Duration::from_secs(60);

/// The longest pause that a provider can request.
pub const MAX_PAUSE: Duration = Duration::from_secs(15 * 60);

#[derive(Debug)]
pub struct ReadLimiter {
    /// Reads a second.
    rate: u64,
    buckets: Mutex<Buckets>,
}

#[derive(Clone, Copy, Debug)]
struct Buckets {
    own: [Bucket; CLASSES as usize],
    pool: Bucket,
    filled_at: Timestamp,
    slow_until: Timestamp,
    closed_until: Timestamp,
}

impl ReadLimiter {
    pub fn new(reads_per_second: u32) -> Self {
        let rate = u64::from(reads_per_second.max(1));
        let never = Timestamp::default();
        let buckets = Buckets {
            own: [Bucket::full(own_capacity(rate)); CLASSES as usize],
            pool: Bucket::full(pool_capacity(rate)),
            filled_at: never,
            slow_until: never,
            closed_until: never,
        };
        Self { rate, buckets: Mutex::new(buckets) }
    }

    fn filled(&self, now: Timestamp) -> MutexGuard<'_, Buckets> {
        let mut buckets = self.buckets.lock().unwrap_or_else(PoisonError::into_inner);
        buckets.fill(self.rate, now);
        buckets
    }

    /// # Errors
    /// How long to wait until there is a read for this class, if no other takes it.
    pub fn take(&self, class: Urgency, now: Timestamp) -> Result<(), Duration> {
        let mut buckets = self.filled(now);
        let wait = buckets.wait(self.rate, class, now);
        if !wait.is_zero() {
            return Err(wait);
        }
        if !buckets.own[class as usize].take() {
            buckets.pool.take();
        }
        Ok(())
    }

    /// Gives back a read that was taken and not made: to the class, or to the pool if the class is full.
    pub fn give_back(&self, class: Urgency) {
        let mut buckets = self.buckets.lock().unwrap_or_else(PoisonError::into_inner);
        let over = buckets.own[class as usize].add(TOKEN);
        buckets.pool.add(over);
    }

    /// When there is a read for a class.
    pub fn next_at(&self, class: Urgency, now: Timestamp) -> Timestamp {
        now.plus(self.filled(now).wait(self.rate, class, now))
    }

    /// The provider answers "too many requests", perhaps with how long to wait.
    pub fn throttled(&self, retry_after: Option<Duration>, now: Timestamp) {
        let mut buckets = self.filled(now);
        let pause = retry_after.unwrap_or_default().min(MAX_PAUSE);
        buckets.own.iter_mut().for_each(Bucket::clear);
        buckets.pool.clear();
        buckets.closed_until = buckets.closed_until.max(now.plus(pause));
        buckets.slow_until = buckets.slow_until.max(now.plus(pause.max(SLOWED_FOR)));
    }
}

/// The right to read a provider: one read taken in advance, if it was, and more as the share of a class allows.
#[derive(Clone, Debug)]
pub struct ReadPass {
    class: Urgency,
    prepaid: Arc<AtomicBool>,
}

impl ReadPass {
    pub fn of(class: Urgency) -> Self {
        Self { class, prepaid: Arc::new(AtomicBool::new(false)) }
    }

    pub(super) fn is_for_customer(&self) -> bool {
        self.class == Urgency::Customer
    }

    /// With one read taken in advance.
    pub fn prepaid(class: Urgency) -> Self {
        Self { class, prepaid: Arc::new(AtomicBool::new(true)) }
    }

    /// # Errors
    /// How long to wait, if there is no read for this class.
    pub fn spend(&self, limiter: &ReadLimiter, now: Timestamp) -> Result<(), Duration> {
        if self.prepaid.swap(false, Ordering::Relaxed) {
            return Ok(());
        }
        limiter.take(self.class, now)
    }

    /// Gives back what was taken in advance and not spent.
    pub fn give_back(self, limiter: &ReadLimiter) {
        if self.prepaid.swap(false, Ordering::Relaxed) {
            limiter.give_back(self.class);
        }
    }
}

/// The most that a class saves: two seconds of its share, at least one read.
fn own_capacity(rate: u64) -> u64 {
    (rate * SAVED_S * TOKEN / CLASSES).max(TOKEN)
}

/// The most that the pool saves: together with the classes, two seconds of the whole rate, or a little more where that is
/// less than a read for each class.
fn pool_capacity(rate: u64) -> u64 {
    (rate * SAVED_S * TOKEN / 2).max(TOKEN)
}

impl Buckets {
    fn fill(&mut self, rate: u64, now: Timestamp) {
        // Longer than it takes to fill all buckets, even slowly.
        let long = Duration::from_secs(120);
        let passed = now.since(self.filled_at).min(long);
        let slow = self.slow_until.since(now.minus(passed)).min(passed);
        let micros = |span: Duration| u64::try_from(span.as_micros()).unwrap_or(u64::MAX);
        let come = micros(passed - slow) * rate + micros(slow) * rate / SLOWED_BY;
        let share = come / CLASSES;
        let over: u64 = self.own.iter_mut().map(|own| own.add(share)).sum();
        self.pool.add(come - share * CLASSES + over);
        self.filled_at = filled_until(self.filled_at, now);
        // A pause ends in time also if the clock was set back.
        self.closed_until = self.closed_until.min(now.plus(MAX_PAUSE));
        self.slow_until = self.slow_until.min(now.plus(MAX_PAUSE));
    }

    /// How long a class has to wait for a read; nothing if there is one.
    fn wait(&self, rate: u64, class: Urgency, now: Timestamp) -> Duration {
        let pause = self.closed_until.since(now);
        let own = self.own[class as usize];
        if own.tokens() > 0 || self.pool.tokens() > 0 {
            return pause;
        }
        // Its own share fills, and full shares fill the pool.
        let slowed_by = if self.slow_until > now { SLOWED_BY } else { 1 };
        let full = self.own.iter().filter(|own| own.room() == 0).map(|_| 1).sum();
        let micros = |missing: u64, shares: u64| (missing * CLASSES * slowed_by).checked_div(rate * shares);
        let soonest = micros(own.missing(), 1).into_iter().chain(micros(self.pool.missing(), full)).min();
        // Rounded up, since timestamps have milliseconds.
        pause.max(Duration::from_millis(soonest.unwrap_or(0) / 1_000 + 1))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    fn start() -> Timestamp {
        Timestamp::from_seconds(1_800_000_000)
    }

    /// How many reads there are for a class at a moment.
    fn drain(limiter: &ReadLimiter, class: Urgency, now: Timestamp) -> usize {
        (0..10_000).take_while(|_| limiter.take(class, now).is_ok()).count()
    }

    #[test]
    fn a_class_that_is_alone_has_the_whole_rate() {
        let limiter = ReadLimiter::new(8);
        drain(&limiter, Urgency::Scheduled, start());
        let mut reads = 0;
        for tick in 1..=600 {
            reads += drain(&limiter, Urgency::Scheduled, start().plus(tick * SECOND / 10));
        }
        // A minute of eight a second; the others' shares were full already.
        assert!((478..=480).contains(&reads), "{reads}");
    }

    #[test]
    fn a_class_that_is_alone_and_waits_as_long_as_required_has_the_whole_rate_too() {
        for rate in [1, 2, 3, 5, 50] {
            let limiter = ReadLimiter::new(rate);
            drain(&limiter, Urgency::Scheduled, start());
            let (mut reads, mut now) = (0, start());
            while now < start().plus(600 * SECOND) {
                let next = limiter.next_at(Urgency::Scheduled, now);
                assert!(next > now, "there is none left now, at {rate} a second");
                now = next;
                reads += drain(&limiter, Urgency::Scheduled, now) as u32;
            }
            assert!((598 * rate..=601 * rate).contains(&reads), "{reads} at {rate} a second");
        }
    }

    #[test]
    fn no_class_takes_anothers_share() {
        let limiter = ReadLimiter::new(8);
        for tick in 0..600u32 {
            drain(&limiter, Urgency::Customer, start().plus(tick * SECOND / 10));
            drain(&limiter, Urgency::Scheduled, start().plus(tick * SECOND / 10));
        }
        let now = start().plus(60 * SECOND);
        // Two seconds of a quarter of eight, and perhaps one that has just run over.
        assert!((4..=5).contains(&drain(&limiter, Urgency::Notified, now)));
        assert!((4..=5).contains(&drain(&limiter, Urgency::UnknownOutcome, now)));
        assert!((2..=3).contains(&drain(&limiter, Urgency::Notified, now.plus(SECOND))));
    }

    #[test]
    fn all_classes_together_keep_to_the_rate() {
        let limiter = ReadLimiter::new(5);
        let mut reads = 0;
        for tick in 0..6_000u32 {
            for class in Urgency::VARIANTS {
                reads += drain(&limiter, *class, start().plus(tick * SECOND / 100));
            }
        }
        // A minute of five a second, and what was saved before.
        assert!((300..=315).contains(&reads), "{reads}");
    }

    #[test]
    fn what_is_given_back_can_be_taken_again() {
        let limiter = ReadLimiter::new(1);
        let mut reads = 0;
        for tick in 0..6_000u32 {
            let now = start().plus(tick * SECOND / 100);
            let taken = drain(&limiter, Urgency::Customer, now);
            (0..taken).for_each(|_| limiter.give_back(Urgency::Customer));
            reads += drain(&limiter, Urgency::Scheduled, now);
        }
        // A minute of one a second, and what was saved before.
        assert!((58..=63).contains(&reads), "{reads}");
    }

    #[test]
    fn a_reader_that_waits_as_long_as_required_gets_a_read() {
        for class in Urgency::VARIANTS {
            let limiter = ReadLimiter::new(3);
            drain(&limiter, *class, start());
            let wait = limiter.take(*class, start()).unwrap_err();
            assert!(wait <= 2 * SECOND, "{wait:?}");
            assert_eq!(limiter.next_at(*class, start()), start().plus(wait));
            assert!(drain(&limiter, *class, start().plus(wait)) >= 1, "{class:?}");
        }
    }

    #[test]
    fn a_provider_that_answers_too_many_requests_is_paused_and_then_read_less_for_a_while() {
        let limiter = ReadLimiter::new(8);
        limiter.throttled(Some(5 * SECOND), start());
        for class in Urgency::VARIANTS {
            assert!(limiter.take(*class, start()).unwrap_err() >= 5 * SECOND);
        }
        // A quarter of eight a second.
        let mut reads = 0;
        for tick in 0..100u32 {
            let now = start().plus(5 * SECOND).plus(tick * SECOND / 10);
            reads += Urgency::VARIANTS.iter().map(|class| drain(&limiter, *class, now)).sum::<usize>();
        }
        assert!((26..=30).contains(&reads), "{reads}");
        let later = start().plus(120 * SECOND);
        drain(&limiter, Urgency::Scheduled, later);
        assert_eq!(drain(&limiter, Urgency::Scheduled, later.plus(SECOND)), 8);
    }

    #[test]
    fn a_clock_that_goes_back_a_little_gives_nothing_away() {
        let limiter = ReadLimiter::new(4);
        drain(&limiter, Urgency::Scheduled, start());
        assert_eq!(drain(&limiter, Urgency::Scheduled, start().minus(SECOND / 2)), 0);
        assert_eq!(drain(&limiter, Urgency::Scheduled, start().plus(SECOND)), 4);
    }

    #[test]
    fn a_clock_that_is_set_back_stops_no_reads() {
        let (limiter, day) = (ReadLimiter::new(5), Duration::from_secs(86_400));
        limiter.throttled(Some(MAX_PAUSE), start());
        drain(&limiter, Urgency::Scheduled, start());
        let now = start().minus(day);
        drain(&limiter, Urgency::Scheduled, now);
        let later = now.plus(MAX_PAUSE).plus(60 * SECOND);
        assert!(drain(&limiter, Urgency::Scheduled, later) > 0);
    }
}
