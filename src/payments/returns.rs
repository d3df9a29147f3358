//! Return addresses: where a provider sends the customer back to.
//!
//! A token names an attempt, carries a secret of 128 bits, and ends with a letter for the redirect. The secret is
//! derived from a key of the installation, so that a start that is resumed after a crash sends the same addresses, and
//! nothing has to be stored or looked up to verify a token.

use port::{AttemptId, RedirectUrls, sign};

/// Which of a provider's redirects brought the customer; a token ends with its letter.
#[derive(Clone, Copy, Debug, PartialEq, Eq, strum::EnumString, strum::IntoStaticStr)]
pub enum Redirect {
    #[strum(serialize = "s")]
    Success,
    #[strum(serialize = "p")]
    InProgress,
    #[strum(serialize = "f")]
    Failure,
    #[strum(serialize = "c")]
    Cancel,
}

/// Makes and reads return tokens.
#[derive(Clone)]
pub struct Returns {
    key: [u8; 32],
    public_url: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ReturnToken {
    pub attempt: AttemptId,
    pub redirect: Redirect,
}

/// Bytes of a token's secret.
const SECRET_BYTES: usize = 16;

/// The beginning of an attempt's id; a token leaves it out.
const ATTEMPT_PREFIX: &str = "att_";

impl Returns {
    /// `key` is the installation's own.
    pub fn new(key: [u8; 32], public_url: &str) -> Self {
        Self { key, public_url: public_url.trim_end_matches('/').to_owned() }
    }

    fn secret(&self, attempt: AttemptId) -> [u8; SECRET_BYTES] {
        let mac = sign::hmac_sha256(&self.key, &[b"return", attempt.uuid().as_bytes()]);
        let (secret, _) = mac.split_at(SECRET_BYTES);
        secret.try_into().unwrap_or_default()
    }

    pub fn token(&self, attempt: AttemptId, redirect: Redirect) -> String {
        self.tokens(attempt)(redirect)
    }

    /// The tokens of an attempt, by redirect.
    fn tokens(&self, attempt: AttemptId) -> impl Fn(Redirect) -> String {
        let (id, secret) = (attempt.to_string(), hex::encode(self.secret(attempt)));
        move |redirect| {
            let id = id.strip_prefix(ATTEMPT_PREFIX).unwrap_or(&id);
            format!("{id}{secret}{}", <&str>::from(redirect))
        }
    }

    /// `None` if the token is not genuine.
    pub fn read(&self, token: &str) -> Option<ReturnToken> {
        let secret_at = token.len().checked_sub(2 * SECRET_BYTES + 1)?;
        let (id, rest) = token.split_at_checked(secret_at)?;
        let (digits, letter) = rest.split_at_checked(2 * SECRET_BYTES)?;
        let redirect = letter.parse().ok()?;
        let attempt: AttemptId = format!("{ATTEMPT_PREFIX}{id}").parse().ok()?;
        let mut secret = [0; SECRET_BYTES];
        hex::decode_to_slice(digits, &mut secret).ok()?;
        // An id and a secret have one spelling.
        let same = sign::same_bytes(&secret, &self.secret(attempt)) && self.token(attempt, redirect) == token;
        same.then_some(ReturnToken { attempt, redirect })
    }

    pub fn urls(&self, attempt: AttemptId) -> RedirectUrls {
        let token = self.tokens(attempt);
        let url = |redirect| format!("{}/return/{}", self.public_url, token(redirect));
        RedirectUrls {
            success: url(Redirect::Success),
            in_progress: url(Redirect::InProgress),
            failure: url(Redirect::Failure),
            cancel: url(Redirect::Cancel),
        }
    }

    /// The address of the QR code of a session's link.
    pub fn qr_url(&self, attempt: AttemptId) -> String {
        format!("{}/qr/{}", self.public_url, self.token(attempt, Redirect::InProgress))
    }
}

#[cfg(test)]
mod tests {
    use port::Uuid;

    use super::*;

    #[test]
    fn a_token_leads_back_to_its_attempt_and_redirect_and_nothing_else_does() {
        let returns = Returns::new([7; 32], "https://pay.example/");
        let attempt = AttemptId::from_uuid(Uuid::from_u128(1));
        let token = returns.token(attempt, Redirect::Cancel);
        assert_eq!(returns.read(&token), Some(ReturnToken { attempt, redirect: Redirect::Cancel }));
        assert!(returns.urls(attempt).cancel.ends_with(&format!("/return/{token}")));
        let other = returns.token(AttemptId::from_uuid(Uuid::from_u128(2)), Redirect::Cancel);
        assert_ne!(token, other);
        assert_eq!(Returns::new([8; 32], "").read(&token), None, "the key of another installation");
        let last = token.len() - 1;
        let swapped = format!("{}{}", &other[..last - 2 * SECRET_BYTES], &token[last - 2 * SECRET_BYTES..]);
        let upper = token.to_uppercase();
        let longer = format!("{token}s");
        for bad in ["", "s", "zz", &upper, &longer, &token[1..], &token[..last], &swapped] {
            assert_eq!(returns.read(bad), None, "{bad}");
        }
    }
}
