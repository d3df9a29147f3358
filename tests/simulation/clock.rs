//! Time and ids: from tokio's virtual clock and from the seed.

use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use port::{Env, Timestamp, Uuid};
use tokio::time::Instant;

use crate::random::Random;
use crate::world::held;

/// When every run begins: 2026-01-01.
const BEGIN_MICROS: i64 = 1_767_225_600_000_000;

/// How far the clock of the gateway's machine is ahead or behind at most.
pub(crate) const MAX_STEP: Duration = Duration::from_secs(300);

/// The true time, and the source of ids and chance.
pub(crate) struct Clock {
    created: Instant,
    random: Random,
    /// The millisecond of the newest id and its place within it, so that ids sort in the order of their making.
    newest: Mutex<(u64, u64)>,
}

impl Clock {
    /// A clock that starts now.
    pub(crate) fn new(seed: u64) -> Self {
        Self { created: Instant::now(), random: Random::new(!seed), newest: Mutex::default() }
    }

    /// Microseconds since 1970, as the sandbox counts.
    pub(crate) fn micros(&self) -> i64 {
        BEGIN_MICROS + i64::try_from(self.created.elapsed().as_micros()).expect("a few months")
    }
}

impl Env for Clock {
    fn now(&self) -> Timestamp {
        Timestamp::from_micros(self.micros())
    }

    fn uuid(&self) -> Uuid {
        let now = u64::try_from(self.micros() / 1_000).expect("after 1970");
        let mut newest = held(&self.newest);
        *newest = if newest.0 == now { (now, newest.1 + 1) } else { (now, 0) };
        assert!(newest.1 < 1 << 12, "more ids in a millisecond than fit");
        let head = u128::from(now) << 80 | 0x7 << 76 | u128::from(newest.1) << 64;
        Uuid::from_u128(head | 0b10 << 62 | u128::from(self.random.roll() >> 2))
    }

    fn nonce(&self) -> [u8; 16] {
        (u128::from(self.random.roll()) << 64 | u128::from(self.random.roll())).to_le_bytes()
    }
}

/// The clock of the gateway's machine: the true one, set forward and back by whoever looks after the machine.
pub(crate) struct MachineClock {
    clock: Arc<Clock>,
    /// By how much it is ahead; behind if negative.
    ahead_micros: AtomicI64,
}

impl MachineClock {
    /// A clock that is right.
    pub(crate) fn new(clock: Arc<Clock>) -> Self {
        Self { clock, ahead_micros: AtomicI64::new(0) }
    }

    /// Sets it so far ahead of the true time, or behind it.
    pub(crate) fn set(&self, ahead: bool, by: Duration) {
        let micros = i64::try_from(by.as_micros()).expect("minutes");
        self.ahead_micros.store(if ahead { micros } else { -micros }, Ordering::Relaxed);
    }
}

impl Env for MachineClock {
    fn now(&self) -> Timestamp {
        Timestamp::from_micros(self.clock.micros() + self.ahead_micros.load(Ordering::Relaxed))
    }

    fn uuid(&self) -> Uuid {
        self.clock.uuid()
    }

    fn nonce(&self) -> [u8; 16] {
        self.clock.nonce()
    }
}
