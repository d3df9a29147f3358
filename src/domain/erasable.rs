//! Personal data beside the events: an event holds only the digest of it, the value lives in a row of its own.
//!
//! So the events of an order can be kept and checked for ever, while names, addresses and credentials can be
//! erased: the digest is salted, and without its row it says nothing.

use std::fmt;
use std::sync::Arc;

use port::sign;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// A value that events mention only by its digest. Serialised as the digest; the value is filled in from its
/// row with [`ErasableSlot::fill`] and is absent once erased.
pub struct Erasable<T> {
    digest: Arc<str>,
    body: Option<Arc<str>>,
    value: Option<Arc<T>>,
}

#[derive(Serialize, Deserialize)]
struct Envelope<T> {
    salt: String,
    value: T,
}

impl<T: Serialize> Erasable<T> {
    /// Seals a value; the salt keeps its digest from being guessed.
    pub fn new(value: T, salt: [u8; 16]) -> Self {
        let envelope = Envelope { salt: sign::hex(&salt), value };
        let body = serde_json::to_string(&envelope).expect("plain data is always JSON");
        let digest = sign::hex(&sign::sha256(&[body.as_bytes()]));
        Self { digest: digest.into(), body: Some(body.into()), value: Some(Arc::new(envelope.value)) }
    }
}

impl<T> Erasable<T> {
    /// The value, unless it was erased or not yet filled in.
    pub fn value(&self) -> Option<&T> {
        self.value.as_deref()
    }

    /// What has to be stored for it: digest and body.
    pub fn row(&self) -> Option<(Arc<str>, Arc<str>)> {
        Some((self.digest.clone(), self.body.clone()?))
    }
}

/// A place in an order file that a stored body belongs into.
pub trait ErasableSlot {
    /// Which body it waits for.
    fn digest(&self) -> &str;

    /// Puts the body in, if its digest is right; anything else leaves the slot as erased.
    fn fill(&mut self, body: Arc<str>);
}

impl<T: DeserializeOwned> ErasableSlot for Erasable<T> {
    fn digest(&self) -> &str {
        &self.digest
    }

    fn fill(&mut self, body: Arc<str>) {
        if sign::hex(&sign::sha256(&[body.as_bytes()])) != *self.digest {
            return;
        }
        if let Ok(envelope) = serde_json::from_str::<Envelope<T>>(&body) {
            self.value = Some(Arc::new(envelope.value));
            self.body = Some(body);
        }
    }
}

impl<T> Clone for Erasable<T> {
    fn clone(&self) -> Self {
        Self { digest: self.digest.clone(), body: self.body.clone(), value: self.value.clone() }
    }
}

impl<T> PartialEq for Erasable<T> {
    fn eq(&self, other: &Self) -> bool {
        self.digest == other.digest
    }
}

impl<T> Eq for Erasable<T> {}

impl<T> fmt::Debug for Erasable<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Sealed")
    }
}

impl<T> Serialize for Erasable<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.digest)
    }
}

impl<'de, T> Deserialize<'de> for Erasable<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let digest = String::deserialize(deserializer)?;
        Ok(Self { digest: digest.into(), body: None, value: None })
    }
}
