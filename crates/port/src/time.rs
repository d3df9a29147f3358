//! Timestamps, and the source of time, ids and random numbers.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use ::time::OffsetDateTime;
use ::time::format_description::well_known::Rfc3339;
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use uuid::Uuid;

/// A moment in UTC, to the millisecond, which is how it is written: RFC 3339 with `Z`. Held and stored as
/// microseconds since 1970.
#[derive(Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Timestamp(i64);

/// The last moment RFC 3339 can write, 9999-12-31T23:59:59.999999Z.
const LAST_MICROS: i64 = 253_402_300_799_999_999;

impl Timestamp {
    /// Microseconds since 1970, kept within the years 1970 to 9999 and cut to the millisecond, so that what is
    /// read back is what was written.
    pub fn from_micros(micros: i64) -> Self {
        let within = micros.clamp(0, LAST_MICROS);
        Self(within - within % 1_000)
    }

    /// Seconds since 1970.
    pub fn from_seconds(seconds: i64) -> Self {
        Self::from_micros(seconds.saturating_mul(1_000_000))
    }

    /// Microseconds since 1970.
    pub fn micros(self) -> i64 {
        self.0
    }

    /// Whole seconds since 1970.
    pub fn seconds(self) -> i64 {
        self.0.div_euclid(1_000_000)
    }

    /// This moment and `span`, at most the last moment there is.
    #[must_use]
    pub fn plus(self, span: Duration) -> Self {
        let micros = i64::try_from(span.as_micros()).unwrap_or(i64::MAX);
        Self::from_micros(self.0.saturating_add(micros))
    }

    /// This moment less `span`, at least 1970.
    #[must_use]
    pub fn minus(self, span: Duration) -> Self {
        let micros = i64::try_from(span.as_micros()).unwrap_or(i64::MAX);
        Self::from_micros(self.0.saturating_sub(micros))
    }

    /// How long after `earlier` this is; nothing if it is not after.
    pub fn since(self, earlier: Self) -> Duration {
        Duration::from_micros(u64::try_from(self.0.saturating_sub(earlier.0)).unwrap_or(0))
    }
}

impl fmt::Display for Timestamp {
    /// Digit by digit: a checkout writes some thirty of them, and formatting each part takes several times as long.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let moment = OffsetDateTime::from_unix_timestamp(self.seconds()).map_err(|_| fmt::Error)?;
        let (date, (hour, minute, second)) = (moment.date(), moment.time().as_hms());
        let mut text = *b"0000-00-00T00:00:00.000Z";
        for (place, number) in [
            (0..4, date.year().into()),
            (5..7, u8::from(date.month()).into()),
            (8..10, date.day().into()),
            (11..13, hour.into()),
            (14..16, minute.into()),
            (17..19, second.into()),
            (20..23, self.0 / 1_000 % 1_000),
        ] {
            let mut rest: i64 = number;
            for digit in text.get_mut(place).unwrap_or_default().iter_mut().rev() {
                *digit += u8::try_from(rest % 10).unwrap_or_default();
                rest /= 10;
            }
        }
        f.write_str(std::str::from_utf8(&text).map_err(|_| fmt::Error)?)
    }
}

impl fmt::Debug for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// Not an RFC 3339 time between the years 1970 and 9999.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not an RFC 3339 time")]
pub struct BadTimestamp;

impl FromStr for Timestamp {
    type Err = BadTimestamp;

    fn from_str(text: &str) -> Result<Self, BadTimestamp> {
        let moment = OffsetDateTime::parse(text, &Rfc3339).map_err(|_| BadTimestamp)?;
        let micros = i64::try_from(moment.unix_timestamp_nanos() / 1_000).map_err(|_| BadTimestamp)?;
        if (0..=LAST_MICROS).contains(&micros) { Ok(Self::from_micros(micros)) } else { Err(BadTimestamp) }
    }
}

impl Serialize for Timestamp {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Timestamp {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = std::borrow::Cow::<str>::deserialize(deserializer)?;
        text.parse().map_err(de::Error::custom)
    }
}

/// The source of time, ids and random numbers: the machine, or a seed in the simulation.
pub trait Env: Send + Sync {
    /// The present moment.
    fn now(&self) -> Timestamp;

    /// A new UUIDv7; the caller gives it its type.
    fn uuid(&self) -> Uuid;

    /// Sixteen unpredictable bytes.
    fn nonce(&self) -> [u8; 16];
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_written_with_milliseconds_and_z() {
        assert_eq!(Timestamp::from_micros(1_767_225_605_123_456).to_string(), "2026-01-01T00:00:05.123Z");
        let read: Timestamp = "2026-01-01T02:00:05.5+02:00".parse().unwrap();
        assert_eq!(read.to_string(), "2026-01-01T00:00:05.500Z");
        for bad in ["", "yesterday", "2026-01-01", "1969-12-31T23:59:59Z", "10000-01-01T00:00:00Z"] {
            assert!(bad.parse::<Timestamp>().is_err(), "{bad}");
        }
    }

    #[test]
    fn times_never_leave_what_can_be_written() {
        let last = Timestamp::from_micros(i64::MAX);
        assert_eq!(last.plus(Duration::MAX), last);
        assert!(last.to_string().starts_with("9999-12-31"));
        assert_eq!(Timestamp::from_micros(-1), Timestamp::from_micros(0));
    }
}
