//! Time, ids and unpredictable bytes of the machine.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{SystemTime, UNIX_EPOCH};

use port::{Env, Timestamp, Uuid};

/// The machine's clock, and a random generator on each thread that the operating system reseeds now and then: an id
/// or a nonce costs no system call.
#[derive(Debug, Default)]
pub(super) struct SystemEnv {
    /// The time of the last id, in ticks. Ids always increase, even if the clock is set back.
    last_id: AtomicU64,
}

/// Ticks of an id's time in a millisecond: a UUIDv7 has twelve bits for them (RFC 9562, 6.2, method 3).
const TICK_BITS: u32 = 12;

/// The version and the variant of a UUIDv7, each at its place.
const VERSION: u128 = 0x7 << 76;
const VARIANT: u128 = 0b10 << 62;

/// The part of a UUIDv7 below its variant.
const RANDOM_BITS: u32 = 62;

/// The time since 1970-01-01; zero if the clock shows an earlier date.
#[expect(clippy::disallowed_methods, reason = "this is where the time comes from")]
fn since_1970() -> std::time::Duration {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default()
}

impl SystemEnv {
    /// An environment whose ids are all greater than `newest`, even if the clock was set back since that id was made.
    pub(super) fn after(newest: Option<Uuid>) -> Self {
        let ticks_of = |id: Uuid| {
            let (millis, within) = (id.as_u128() >> 80, id.as_u128() >> 64 & ((1 << TICK_BITS) - 1));
            u64::try_from(millis << TICK_BITS | within).unwrap_or(u64::MAX)
        };
        Self { last_id: AtomicU64::new(newest.map_or(0, ticks_of)) }
    }
}

fn ticks() -> u64 {
    let (since, per_milli) = (since_1970(), 1u64 << TICK_BITS);
    let within = u64::from(since.subsec_nanos()) % 1_000_000 * per_milli / 1_000_000;
    u64::try_from(since.as_millis()).unwrap_or_default() * per_milli + within
}

impl Env for SystemEnv {
    fn now(&self) -> Timestamp {
        Timestamp::from_micros(i64::try_from(since_1970().as_micros()).unwrap_or(i64::MAX))
    }

    fn uuid(&self) -> Uuid {
        let now = ticks();
        let next = |last: u64| now.max(last.saturating_add(1));
        // The closure never refuses, so both variants are the value before.
        let last = self.last_id.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |last| Some(next(last)));
        let ticks = next(last.unwrap_or_else(|last| last));
        let (millis, within) = (ticks >> TICK_BITS, ticks & ((1 << TICK_BITS) - 1));
        let random = u128::from(rand::random::<u64>() >> (u64::BITS - RANDOM_BITS));
        Uuid::from_u128(u128::from(millis) << 80 | VERSION | u128::from(within) << 64 | VARIANT | random)
    }

    fn nonce(&self) -> [u8; 16] {
        rand::random()
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;
    use std::sync::Arc;

    use super::*;

    #[test]
    fn ids_are_of_version_7_and_ascend_on_each_thread_and_none_is_given_twice() {
        let env = Arc::new(SystemEnv::default());
        let threads: Vec<_> = (0..4)
            .map(|_| {
                let env = env.clone();
                std::thread::spawn(move || (0..10_000).map(|_| env.uuid()).collect::<Vec<_>>())
            })
            .collect();
        let mut all = HashSet::new();
        for thread in threads {
            let ids = thread.join().unwrap();
            assert!(ids.is_sorted_by(|one, next| one.as_u128() >> 64 < next.as_u128() >> 64));
            assert!(ids.iter().all(|id| id.get_version_num() == 7));
            all.extend(ids.into_iter().map(|id| id.as_u128() >> 64));
        }
        assert_eq!(all.len(), 40_000);
    }

    #[test]
    fn an_id_says_when_it_was_made() {
        let env = SystemEnv::default();
        let (before, id, after) = (env.now(), env.uuid(), env.now());
        let millis = i64::try_from(id.as_u128() >> 80).unwrap();
        assert!((before.micros()..=after.micros()).contains(&(millis * 1_000)));
    }

    #[test]
    fn ids_go_on_after_the_newest_one_whatever_the_clock_says() {
        let tomorrow = Uuid::from_u128(SystemEnv::default().uuid().as_u128() + (86_400_000 << 80));
        let env = SystemEnv::after(Some(tomorrow));
        assert!(tomorrow < env.uuid());
        assert!(env.uuid() < env.uuid());
    }

    #[test]
    fn every_bit_of_a_nonce_changes() {
        let env = SystemEnv::default();
        let nonces = (0..200).map(|_| u128::from_le_bytes(env.nonce()));
        let (ones, zeros) = nonces.fold((0, 0), |(ones, zeros), nonce| (ones | nonce, zeros | !nonce));
        assert_eq!((ones, zeros), (u128::MAX, u128::MAX));
    }
}
