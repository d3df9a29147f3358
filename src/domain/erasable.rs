//! Personal data beside the events: an event holds only the digest of it, the value is stored elsewhere.
//!
//! So the history of a subject can be kept and checked for ever, while names, addresses and credentials can be
//! erased: the digest is salted, and without the value it says nothing.

use std::fmt;
use std::sync::Arc;

use port::sign;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// Bytes of a digest: as many as nobody can find another value for.
const DIGEST_BYTES: usize = 16;

/// A value that events mention only by its digest. Serialised as the digest; the value is filled in from where it is
/// stored, and is absent once erased.
pub struct Erasable<T> {
    digest: Arc<str>,
    body: Option<Arc<str>>,
    value: Option<Arc<T>>,
}

/// What is stored of a value: one line of JSON with its salt.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Body {
    /// Its digest.
    pub digest: Arc<str>,
    /// The salted value.
    pub text: Arc<str>,
}

#[derive(Serialize, Deserialize)]
struct Salted<T> {
    salt: String,
    value: T,
}

/// The digest of a stored value.
pub fn erasable_digest(body: &str) -> String {
    let [digest @ .., _, _, _, _, _, _, _, _, _, _, _, _, _, _, _, _] = sign::sha256(&[body.as_bytes()]);
    let digest: [u8; DIGEST_BYTES] = digest;
    hex::encode(digest)
}

impl<T: Serialize> Erasable<T> {
    /// Of a value; the salt keeps its digest from being guessed.
    pub fn new(value: T, salt: [u8; 16]) -> Self {
        let salted = Salted { salt: hex::encode(salt), value };
        let body = serde_json::to_string(&salted).expect("plain data is always JSON");
        let digest = erasable_digest(&body);
        Self { digest: digest.into(), body: Some(body.into()), value: Some(Arc::new(salted.value)) }
    }
}

impl<T> Erasable<T> {
    /// The value, unless it was erased or not yet filled in.
    pub fn value(&self) -> Option<&T> {
        self.value.as_deref()
    }

    /// What has to be stored for it.
    pub fn body(&self) -> Option<Body> {
        Some(Body { digest: self.digest.clone(), text: self.body.clone()? })
    }
}

/// A place in a subject that a stored value belongs into.
pub trait ErasableSlot {
    /// Which value it waits for.
    fn digest(&self) -> &str;

    /// Puts the stored value in, if its digest is right; anything else leaves the slot as erased.
    fn fill(&mut self, body: Arc<str>);

    /// Forgets the value.
    fn erase(&mut self);
}

/// The slots of values that are there.
pub(super) fn slots<'a, T: DeserializeOwned + 'a>(
    values: impl IntoIterator<Item = &'a mut Erasable<T>>,
) -> impl Iterator<Item = &'a mut dyn ErasableSlot> {
    values.into_iter().map(|value| value as &mut dyn ErasableSlot)
}

impl<T: DeserializeOwned> ErasableSlot for Erasable<T> {
    fn digest(&self) -> &str {
        &self.digest
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
