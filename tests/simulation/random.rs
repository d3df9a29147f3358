//! Chance from a seed: the same seed draws the same numbers.

use std::sync::Mutex;
use std::time::Duration;

use crate::world::held;

/// A seeded source of numbers (SplitMix64), shared by everybody in a run.
pub(crate) struct Random(Mutex<u64>);

impl Random {
    pub(crate) fn new(seed: u64) -> Self {
        Self(Mutex::new(seed ^ 0x5eed_5eed_5eed_5eed))
    }

    /// Any number.
    pub(crate) fn roll(&self) -> u64 {
        let mut state = held(&self.0);
        *state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = *state;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// A number from `low` to `high`, both included.
    pub(crate) fn between(&self, low: u64, high: u64) -> u64 {
        low + self.roll() % (high - low + 1)
    }

    /// An amount of money from `low` to `high`, both included.
    pub(crate) fn minor(&self, low: i64, high: i64) -> i64 {
        let span = u64::try_from(high - low).expect("the bounds are in order");
        low + i64::try_from(self.between(0, span)).expect("it is within the bounds")
    }

    /// True in so many of a thousand cases.
    pub(crate) fn permille(&self, chance: u64) -> bool {
        self.between(0, 999) < chance
    }

    /// True in so many of a hundred cases.
    pub(crate) fn percent(&self, chance: u64) -> bool {
        self.permille(chance * 10)
    }

    /// One of them.
    pub(crate) fn pick<T: Copy>(&self, of: &[T]) -> T {
        let last = u64::try_from(of.len() - 1).expect("a short list");
        of[usize::try_from(self.between(0, last)).expect("a short list")]
    }

    /// A span from `low` to `high` milliseconds.
    pub(crate) fn millis(&self, low: u64, high: u64) -> Duration {
        Duration::from_millis(self.between(low, high))
    }

    /// A span up to `most`, short ones as likely as ten times longer ones.
    pub(crate) fn span(&self, most: Duration) -> Duration {
        let most = u64::try_from(most.as_millis()).expect("a few days").max(2);
        let digits = most.ilog2();
        let bits = self.between(1, u64::from(digits));
        Duration::from_millis(self.between(1 << (bits - 1), 1 << bits))
    }
}
