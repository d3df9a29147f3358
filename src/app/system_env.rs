//! Time, ids and chance of the machine.

use std::time::{SystemTime, UNIX_EPOCH};

use port::{Env, Timestamp, Uuid};

/// The machine's own clock and random source.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct SystemEnv;

impl Env for SystemEnv {
    #[expect(clippy::disallowed_methods, reason = "this is where the time comes from")]
    fn now(&self) -> Timestamp {
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Timestamp::from_micros(i64::try_from(since.as_micros()).unwrap_or(i64::MAX))
    }

    fn uuid(&self) -> Uuid {
        Uuid::now_v7()
    }

    fn nonce(&self) -> [u8; 16] {
        *Uuid::new_v4().as_bytes()
    }
}
