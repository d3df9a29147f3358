//! A bucket of tokens, which limits how often something may happen.

use std::time::Duration;

use port::Timestamp;

/// A clock that shows a time that is earlier by more than this was set back.
const CLOCK_TOLERANCE: Duration = Duration::from_secs(1);

/// Until when buckets have been filled, after they were filled at `now`: the later of both, unless the clock was set
/// back. Then they are filled from there on, and not only once it has caught up.
pub fn filled_until(before: Timestamp, now: Timestamp) -> Timestamp {
    if now.plus(CLOCK_TOLERANCE) < before { now } else { before.max(now) }
}

/// One token in internal units. At a rate of one token a second, one unit is added every microsecond.
pub const TOKEN: u64 = 1_000_000;

/// A token bucket; levels are counted in millionths of a token.
#[derive(Clone, Copy, Debug)]
pub struct Bucket {
    level: u64,
    capacity: u64,
}

impl Bucket {
    pub fn full(capacity: u64) -> Self {
        Self { level: capacity, capacity }
    }

    /// Adds units and returns those that do not fit.
    pub fn add(&mut self, amount: u64) -> u64 {
        let room = self.room();
        self.level += amount.min(room);
        amount.saturating_sub(room)
    }

    /// Takes one token; false if there is none.
    pub fn take(&mut self) -> bool {
        let has_one = self.level >= TOKEN;
        if has_one {
            self.level -= TOKEN;
        }
        has_one
    }

    pub fn clear(&mut self) {
        self.level = 0;
    }

    /// How many whole tokens there are.
    pub fn tokens(self) -> u64 {
        self.level / TOKEN
    }

    /// How many units are missing until there is a whole token.
    pub fn missing(self) -> u64 {
        TOKEN.saturating_sub(self.level)
    }

    /// How many units are missing until the bucket is full.
    pub fn room(self) -> u64 {
        self.capacity - self.level
    }
}
