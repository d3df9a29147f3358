//! The hash that chains a change to the one before it.

use std::fmt;

use port::sign;
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

/// The SHA-256 of a change's text, chained to the change before it in its subject.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Hash(pub [u8; 32]);

impl Hash {
    /// The hash of a text, chained to this one.
    #[must_use]
    pub fn chain(self, text: &[u8]) -> Self {
        Self(sign::sha256(&[&self.0, text]))
    }
}

impl fmt::Display for Hash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&hex::encode(self.0))
    }
}

impl Serialize for Hash {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Hash {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = std::borrow::Cow::<str>::deserialize(deserializer)?;
        let mut bytes = [0; 32];
        hex::decode_to_slice(&*text, &mut bytes).map_err(de::Error::custom)?;
        Ok(Self(bytes))
    }
}
