//! A bucket of tokens, which limits how often something may happen.

/// A token in the unit that is counted: at one token a second, one unit comes each microsecond.
pub const TOKEN: u64 = 1_000_000;

/// What is saved, in millionths of a token, up to a limit.
#[derive(Clone, Copy, Debug)]
pub struct Bucket {
    level: u64,
    capacity: u64,
}

impl Bucket {
    /// A full one.
    pub fn full(capacity: u64) -> Self {
        Self { level: capacity, capacity }
    }

    /// Adds what has come, and returns what there is no room for.
    pub fn add(&mut self, amount: u64) -> u64 {
        let room = self.room();
        self.level += amount.min(room);
        amount.saturating_sub(room)
    }

    /// Takes a token, if there is a whole one.
    pub fn take(&mut self) -> bool {
        let has_one = self.level >= TOKEN;
        if has_one {
            self.level -= TOKEN;
        }
        has_one
    }

    /// Takes everything.
    pub fn clear(&mut self) {
        self.level = 0;
    }

    /// How many whole tokens there are.
    pub fn tokens(self) -> u64 {
        self.level / TOKEN
    }

    /// What is missing for a token.
    pub fn missing(self) -> u64 {
        TOKEN.saturating_sub(self.level)
    }

    /// What is missing until it is full.
    pub fn room(self) -> u64 {
        self.capacity - self.level
    }
}
