//! Identifiers in each provider's form, derived from a seed and a counter so that a run can be repeated.

use sha2::{Digest, Sha256};

/// Makes identifiers. They depend on the time, so that a restart on an old journal repeats none.
pub(crate) struct IdGenerator {
    seed: u64,
    drawn: u64,
}

impl IdGenerator {
    pub(crate) fn new(seed: u64) -> Self {
        Self { seed, drawn: 0 }
    }

    /// Lower-case UUID text of version 4.
    pub(crate) fn uuid(&mut self, now: i64) -> String {
        uuid_of(&self.hex(now, 32))
    }

    /// `length` (at most 64) lower-case hexadecimal digits.
    pub(crate) fn hex(&mut self, now: i64, length: usize) -> String {
        self.drawn += 1;
        let mut hex = digest(&format!("{}/{}/{now}", self.seed, self.drawn));
        hex.truncate(length);
        hex
    }

    /// 19 decimal digits whose upper bits are the creation time in milliseconds, as paymennt's are.
    pub(crate) fn snowflake(&mut self, now: i64) -> String {
        self.drawn += 1;
        let millis = u64::try_from(now / 1000).unwrap_or(0);
        format!("{:019}", (millis << 20) | (self.drawn & 0xF_FFFF))
    }
}

/// A UUID that always belongs to the same text: the identity of a notification across its repeats.
pub(crate) fn fixed_uuid(text: &str) -> String {
    uuid_of(&digest(text))
}

/// The SHA-256 of a text in hexadecimal.
pub(crate) fn digest(text: &str) -> String {
    hex::encode(Sha256::digest(text.as_bytes()))
}

fn uuid_of(hex: &str) -> String {
    format!("{}-{}-4{}-a{}-{}", &hex[..8], &hex[8..12], &hex[13..16], &hex[17..20], &hex[20..32])
}
