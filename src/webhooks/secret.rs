//! Secrets and signatures, as the Standard Webhooks specification defines them.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use port::{Env, EventId, Timestamp, sign};

use crate::domain::{EndpointSecret, WebhookEndpoint};
use crate::store::StoreError;

const PREFIX: &str = "whsec_";

/// A new secret of 32 random bytes.
pub(super) fn make(env: &dyn Env) -> EndpointSecret {
    // A nonce has a few fixed bits, so three are hashed to 32 bytes.
    let nonces = [env.nonce(), env.nonce(), env.nonce()].concat();
    EndpointSecret::new(format!("{PREFIX}{}", STANDARD.encode(sign::sha256(&[&nonces]))))
}

/// The value of `webhook-signature`: `v1,` and the HMAC-SHA256 of `id.timestamp.body`, once for each valid secret, the
/// newest first.
///
/// # Errors
/// [`StoreError::Corrupt`] if the newest secret is gone: nobody could verify what it does not sign.
pub(super) fn signatures(
    endpoint: &WebhookEndpoint,
    event: EventId,
    at: Timestamp,
    body: &[u8],
) -> Result<String, StoreError> {
    if endpoint.secret.value().is_none() {
        return Err(StoreError::Corrupt(format!("the secret of endpoint {} is gone", endpoint.id)));
    }
    let secrets = endpoint.live_secrets(at);
    let (event, at) = (event.to_string(), at.seconds().to_string());
    let signed = [event.as_bytes(), b".", at.as_bytes(), b".", body];
    let signatures = secrets.map(|secret| {
        let text = secret.expose();
        // The gateway's secrets are always base64; another would sign with its letters, and so match nothing.
        let key = STANDARD.decode(text.strip_prefix(PREFIX).unwrap_or(text));
        let key = key.unwrap_or_else(|_| text.as_bytes().to_vec());
        format!("v1,{}", STANDARD.encode(sign::hmac_sha256(&key, &signed)))
    });
    Ok(signatures.collect::<Vec<_>>().join(" "))
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU8, Ordering};

    use port::{EndpointId, Secret, Uuid};

    use super::*;
    use crate::domain::{EndpointSettings, Erasable, ErasableSlot as _, Head, PreviousSecret};

    struct Counting(AtomicU8);

    impl Env for Counting {
        fn now(&self) -> Timestamp {
            Timestamp::from_seconds(0)
        }

        fn uuid(&self) -> Uuid {
            Uuid::nil()
        }

        fn nonce(&self) -> [u8; 16] {
            [self.0.fetch_add(1, Ordering::Relaxed); 16]
        }
    }

    fn secret(text: &str) -> Erasable<EndpointSecret> {
        Erasable::new(EndpointSecret::new(text.to_owned()), [1; 16])
    }

    fn endpoint(previous_secret: Option<PreviousSecret>) -> WebhookEndpoint {
        WebhookEndpoint {
            id: EndpointId::from_uuid(Uuid::nil()),
            merchant: "shop".into(),
            settings: EndpointSettings {
                url: "https://shop.example/hook".into(),
                types: Vec::new(),
                description: None,
            },
            secret: secret("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"),
            previous_secret,
            disabled: None,
            deleted: false,
            created_at: Timestamp::from_seconds(0),
            updated_at: Timestamp::from_seconds(0),
            version: 1,
            head: Head::default(),
        }
    }

    #[test]
    fn a_secret_is_32_bytes_in_base64_and_never_shown() {
        let env = Counting(AtomicU8::new(0));
        let (one, other) = (make(&env), make(&env));
        let key =
            |secret: &EndpointSecret| STANDARD.decode(secret.expose().strip_prefix(PREFIX).unwrap()).unwrap();
        assert_eq!((key(&one).len(), key(&other).len()), (32, 32));
        assert_ne!(key(&one), key(&other));
        let shown = format!(
            "{:?}",
            WebhookEndpoint { secret: Erasable::new(one.clone(), [1; 16]), ..endpoint(None) }
        );
        assert!(!shown.contains(&one.expose()[6..]));
    }

    #[test]
    fn nothing_is_signed_for_an_endpoint_whose_secret_is_gone() {
        let old = PreviousSecret { secret: secret("whsec_old"), expires_at: Timestamp::from_seconds(1) };
        let mut row = endpoint(Some(old));
        row.secret.erase();
        let signed = signatures(&row, EventId::from_uuid(Uuid::nil()), Timestamp::from_seconds(0), b"{}");
        assert!(matches!(signed, Err(StoreError::Corrupt(_))), "{signed:?}");
    }

    #[test]
    fn the_old_secret_signs_until_its_time_and_the_new_one_always() {
        let until = Timestamp::from_seconds(1_000);
        let old =
            PreviousSecret { secret: secret("whsec_oldoldoldoldoldoldoldoldoldoldol"), expires_at: until };
        let (event, body) = (EventId::from_uuid(Uuid::nil()), b"{}");
        let row = endpoint(Some(old));
        for (second, expected) in [(0, 2), (999, 2), (1_000, 1), (9_999, 1)] {
            let at = Timestamp::from_seconds(second);
            let text = signatures(&row, event, at, body).unwrap();
            assert_eq!(text.split(' ').count(), expected, "at {second}");
            let (id, at) = (event.to_string(), second.to_string());
            let check = |secret: &str| {
                let secret = Secret::from(secret);
                sign::check_webhook_signature(&secret, id.as_bytes(), at.as_bytes(), body, &text).is_ok()
            };
            assert!(check("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"));
            assert_eq!(check("whsec_oldoldoldoldoldoldoldoldoldoldol"), expected == 2);
            assert!(!check("whsec_otherotherotherotherotherotherot"));
        }
    }
}
