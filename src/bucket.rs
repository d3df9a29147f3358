//! A bucket of tokens, which limits how often something may happen.

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
