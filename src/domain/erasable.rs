//! Personal data that can be erased: an event holds only its digest, the value is stored separately.
//!
//! So the history of a subject can be kept and verified for ever, while names, addresses and credentials can be
//! erased: the digest is salted, and without the value it reveals nothing.

use std::fmt;
use std::sync::Arc;

use port::sign;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// Bytes of a digest: enough to be collision resistant.
const DIGEST_BYTES: usize = 16;

/// A value that is serialized as its digest. The value is loaded separately and is `None` after erasure.
pub struct Erasable<T> {
    digest: Arc<str>,
    body: Option<Arc<str>>,
    value: Option<Arc<T>>,
}

/// What is stored of a value: one line of JSON with its salt.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Body {
    pub digest: Arc<str>,
    pub text: Arc<str>,
}

#[derive(Serialize, Deserialize)]
struct Salted<T> {
    salt: String,
    value: T,
}

pub fn erasable_digest(body: &str) -> String {
    let [digest @ .., _, _, _, _, _, _, _, _, _, _, _, _, _, _, _, _] = sign::sha256(&[body.as_bytes()]);
    let digest: [u8; DIGEST_BYTES] = digest;
    hex::encode(digest)
}

impl<T: Serialize> Erasable<T> {
    /// Wraps a value. The salt prevents guessing the value from its digest.
    pub fn new(value: T, salt: [u8; 16]) -> Self {
        let salted = Salted { salt: hex::encode(salt), value };
        let body = serde_json::to_string(&salted).expect("plain data is always JSON");
        let digest = erasable_digest(&body);
        Self { digest: digest.into(), body: Some(body.into()), value: Some(Arc::new(salted.value)) }
    }
}

impl<T> Erasable<T> {
    /// `None` if it was erased or is not loaded yet.
    pub fn value(&self) -> Option<&T> {
        self.value.as_deref()
    }

    /// The digest and text to store; `None` if the value is not loaded.
    pub fn body(&self) -> Option<Body> {
        Some(Body { digest: self.digest.clone(), text: self.body.clone()? })
    }
}

/// An erasable value inside a subject, whatever its type.
pub trait ErasableSlot {
    fn digest(&self) -> &str;

    /// The digest and text to store; `None` if the value is not loaded.
    fn body(&self) -> Option<Body>;

    /// Sets the value if the text matches the digest; otherwise does nothing.
    fn fill(&mut self, body: Arc<str>);

    fn erase(&mut self);
}

pub(super) fn slots<'a, T: DeserializeOwned + 'a>(
    values: impl IntoIterator<Item = &'a mut Erasable<T>>,
) -> impl Iterator<Item = &'a mut dyn ErasableSlot> {
    values.into_iter().map(|value| value as &mut dyn ErasableSlot)
}

/// A value that an event may lack, as a slot.
pub(super) fn slot<T: DeserializeOwned>(value: Option<&Erasable<T>>) -> Option<&dyn ErasableSlot> {
    value.map(|value| value as &dyn ErasableSlot)
}

impl<T: DeserializeOwned> ErasableSlot for Erasable<T> {
    fn digest(&self) -> &str {
        &self.digest
    }

    fn body(&self) -> Option<Body> {
        Self::body(self)
    }

    fn fill(&mut self, body: Arc<str>) {
        if erasable_digest(&body) != *self.digest {
            return;
        }
        if let Ok(salted) = serde_json::from_str::<Salted<T>>(&body) {
            self.value = Some(Arc::new(salted.value));
            self.body = Some(body);
        }
    }

    fn erase(&mut self) {
        self.body = None;
        self.value = None;
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
        f.write_str("Erasable")
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
