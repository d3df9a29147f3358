//! Signatures and comparisons that take the same time whatever the input.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, Mac};
use secrecy::ExposeSecret;
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;

use crate::Secret;

/// HMAC-SHA256 of the parts, one after the other.
pub fn hmac_sha256(key: &[u8], parts: &[&[u8]]) -> [u8; 32] {
    let mut mac = Hmac::<Sha256>::new_from_slice(key).expect("HMAC takes a key of any length");
    for part in parts {
        mac.update(part);
    }
    mac.finalize().into_bytes().into()
}

/// SHA-256 of the parts, one after the other.
pub fn sha256(parts: &[&[u8]]) -> [u8; 32] {
    let mut hash = Sha256::new();
    for part in parts {
        hash.update(part);
    }
    hash.finalize().into()
}

/// Whether a secret that was sent is the one we hold, in constant time for equal lengths.
pub fn same_secret(held: &Secret, sent: &[u8]) -> bool {
    same_bytes(held.expose_secret().as_bytes(), sent)
}

/// Whether two byte strings are equal, in constant time for equal lengths.
pub fn same_bytes(held: &[u8], sent: &[u8]) -> bool {
    held.ct_eq(sent).into()
}

/// The shortest key of a `whsec_` secret, bytes (Standard Webhooks). Who can guess the key can sign.
pub const MIN_SIGNING_KEY: usize = 24;

/// Why a signature of the Standard Webhooks family was refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SignatureError {
    /// The shared secret is not base64 of [`MIN_SIGNING_KEY`] bytes or more, with or without `whsec_`.
    #[error("the signing secret is not base64 of {MIN_SIGNING_KEY} bytes at least")]
    BadSecret,
    /// No `v1` entry matches.
    #[error("no signature matches")]
    NoMatch,
}

/// Checks `signature`, a blank-separated list of `version,base64`, over `id.timestamp.body`: accepted if any
/// `v1` entry is the HMAC-SHA256 under `secret`. The age of the timestamp is the caller's to judge.
///
/// # Errors
/// [`SignatureError`]; every `v1` entry is compared in constant time.
pub fn check_webhook_signature(
    secret: &Secret,
    id: &[u8],
    timestamp: &[u8],
    body: &[u8],
    signature: &str,
) -> Result<(), SignatureError> {
    let text = secret.expose_secret();
    let key = STANDARD.decode(text.strip_prefix("whsec_").unwrap_or(text)).ok();
    let key = key.filter(|key| key.len() >= MIN_SIGNING_KEY).ok_or(SignatureError::BadSecret)?;
    let expected = hmac_sha256(&key, &[id, b".", timestamp, b".", body]);
    let matches = signature
        .split(' ')
        .filter_map(|entry| entry.strip_prefix("v1,"))
        .filter_map(|encoded| STANDARD.decode(encoded).ok())
        .fold(false, |found, sent| found | bool::from(expected.as_slice().ct_eq(&sent)));
    if matches { Ok(()) } else { Err(SignatureError::NoMatch) }
}
