//! Rate limits: a token bucket for each API key, or for each account that gets notifications.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use actix_web::http::header::{HeaderName, HeaderValue};
use moka::sync::Cache;
use port::Timestamp;

use super::problem::{Code, Problem, seconds_up};
use crate::bucket::{Bucket, TOKEN, filled_until};

/// The most keys in memory; one that was evicted starts with a full bucket.
const MAX_KEYS: u64 = 10_000;

/// The buckets of all keys.
pub(super) struct RateLimiter {
    per_second: u64,
    burst: u64,
    buckets: Cache<Arc<str>, Arc<Mutex<KeyBucket>>>,
}

struct KeyBucket {
    tokens: Bucket,
    filled_at: Timestamp,
}

/// The state of a key's bucket after a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Allowance {
    /// Requests in a full bucket.
    burst: u64,
    /// How long an empty bucket takes to fill.
    window: Duration,
    remaining: u64,
    /// How long until the bucket is full.
    full_in: Duration,
    /// How long until the next token, if there was none.
    pub(super) wait: Option<Duration>,
}

impl RateLimiter {
    /// With an average rate per second and a burst; zero counts as one.
    pub(super) fn new(per_second: u32, burst: u32) -> Self {
        let (per_second, burst) = (per_second.max(1).into(), burst.max(1).into());
        Self { per_second, burst, buckets: Cache::new(MAX_KEYS) }
    }

    /// Takes a token for a request of a key.
    pub(super) fn take(&self, key: &Arc<str>, now: Timestamp) -> Allowance {
        let full = || KeyBucket { tokens: Bucket::full(self.burst * TOKEN), filled_at: now };
        let bucket = self.buckets.get_with(key.clone(), || Arc::new(Mutex::new(full())));
        let mut bucket = bucket.lock().unwrap_or_else(PoisonError::into_inner);
        let micros = u64::try_from(now.since(bucket.filled_at).as_micros()).unwrap_or(u64::MAX);
        bucket.tokens.add(micros.saturating_mul(self.per_second));
        bucket.filled_at = filled_until(bucket.filled_at, now);
        let taken = bucket.tokens.take();
        Allowance {
            burst: self.burst,
            window: self.time_for(self.burst * TOKEN),
            remaining: bucket.tokens.tokens(),
            full_in: self.time_for(bucket.tokens.room()),
            wait: (!taken).then(|| self.time_for(bucket.tokens.missing())),
        }
    }

    fn time_for(&self, level: u64) -> Duration {
        Duration::from_micros(level.div_ceil(self.per_second))
    }
}

impl Allowance {
    /// The problem if there was no token.
    pub(super) fn refused(self) -> Option<Problem> {
        let wait = self.wait?;
        let detail = format!("This API key may send {} requests at once.", self.burst);
        Some(Problem::new(Code::RateLimited, detail).retry_after(wait))
    }

    /// `RateLimit-Policy` and `RateLimit`.
    pub(super) fn headers(self) -> [(HeaderName, HeaderValue); 2] {
        let value = |text: String| HeaderValue::from_str(&text).expect("quotes, digits and semicolons");
        let policy = format!("\"key\";q={};w={}", self.burst, seconds_up(self.window));
        let state =
            format!("\"key\";r={};t={}", self.remaining, seconds_up(self.wait.unwrap_or(self.full_in)));
        [
            (HeaderName::from_static("ratelimit-policy"), value(policy)),
            (HeaderName::from_static("ratelimit"), value(state)),
        ]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(millis: i64) -> Timestamp {
        Timestamp::from_micros(1_000_000_000_000 + millis * 1_000)
    }

    #[test]
    fn a_burst_is_allowed_and_then_the_average_rate_applies() {
        let limiter = RateLimiter::new(2, 3);
        let key: Arc<str> = "k".into();
        let waits = |millis| limiter.take(&key, at(millis)).wait;
        assert_eq!([waits(0), waits(0), waits(0)], [None; 3]);
        assert_eq!(waits(0), Some(Duration::from_millis(500)));
        assert_eq!(waits(200), Some(Duration::from_millis(300)));
        assert_eq!(waits(500), None);
        assert_eq!(waits(500), Some(Duration::from_millis(500)));
        assert_eq!(limiter.take(&"other".into(), at(500)).remaining, 2);
        // A clock that steps back gives nothing and takes nothing.
        assert!(waits(400).is_some());
    }

    #[test]
    fn the_headers_say_what_is_left() {
        let allowance = RateLimiter::new(2, 3).take(&"k".into(), at(0));
        let [(_, policy), (_, state)] = allowance.headers();
        assert_eq!(policy, "\"key\";q=3;w=2");
        assert_eq!(state, "\"key\";r=2;t=1");
        assert!(allowance.refused().is_none());
    }
}
