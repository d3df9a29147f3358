//! Return addresses: where a provider sends the customer back to.
//!
//! A token is a secret of 128 bits, one for each attempt, and a letter for the redirect. The secret is derived
//! from a key of the installation, so that a start that is resumed after a crash sends the same addresses;
//! only its hash is stored with the attempt, to find it again.

use port::{AttemptId, RedirectUrls, sign};

use crate::domain::{Attempt, OrderAggregate};
use crate::store::{OrderLocator, Reads, StoreError};

/// Which of a provider's redirects brought the customer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Redirect {
    /// After paying.
    Success,
    /// While it is not decided.
    InProgress,
    /// After failing.
    Failure,
    /// After giving up.
    Cancel,
}

impl Redirect {
    const ALL: [(Self, char); 4] =
        [(Self::Success, 's'), (Self::InProgress, 'p'), (Self::Failure, 'f'), (Self::Cancel, 'c')];

    fn letter(self) -> char {
        match self {
            Self::Success => 's',
            Self::InProgress => 'p',
            Self::Failure => 'f',
            Self::Cancel => 'c',
        }
    }
}

/// Makes and reads return tokens.
#[derive(Clone)]
pub struct Returns {
    key: [u8; 32],
    public_url: String,
}

/// Hexadecimal digits of a token's secret.
const SECRET_DIGITS: usize = 32;

impl Returns {
    /// With the installation's own key and the address that customers reach it by.
    pub fn new(key: [u8; 32], public_url: &str) -> Self {
        Self { key, public_url: public_url.trim_end_matches('/').to_owned() }
    }

    fn secret(&self, attempt: AttemptId) -> String {
        let mac = sign::hmac_sha256(&self.key, &[b"return", attempt.uuid().as_bytes()]);
        sign::hex(mac.get(..SECRET_DIGITS / 2).unwrap_or(&mac))
    }

    /// What is stored with the attempt.
    pub fn hash(&self, attempt: AttemptId) -> String {
        hash(&self.secret(attempt))
    }

    /// The token that a redirect of an attempt carries.
    pub fn token(&self, attempt: AttemptId, redirect: Redirect) -> String {
        format!("{}{}", self.secret(attempt), redirect.letter())
    }

    /// The addresses for a provider.
    pub fn urls(&self, attempt: AttemptId) -> RedirectUrls {
        let url = |redirect| format!("{}/return/{}", self.public_url, self.token(attempt, redirect));
        RedirectUrls {
            success: url(Redirect::Success),
            in_progress: url(Redirect::InProgress),
            failure: url(Redirect::Failure),
            cancel: url(Redirect::Cancel),
        }
    }

    /// Where the gateway shows a session's link as a picture.
    pub fn qr_url(&self, attempt: AttemptId) -> String {
        format!("{}/qr/{}", self.public_url, self.token(attempt, Redirect::InProgress))
    }
}

/// Reads a token: the hash to look for, and the redirect. `None` if it is none of ours.
pub fn read_token(token: &str) -> Option<(String, Redirect)> {
    let (secret, letter) = token.split_at_checked(SECRET_DIGITS)?;
    let plain = secret.bytes().all(|byte| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte));
    let mut letters = letter.chars();
    let first = letters.next().filter(|_| letters.next().is_none() && plain)?;
    let (redirect, _) = Redirect::ALL.into_iter().find(|(_, known)| *known == first)?;
    Some((hash(secret), redirect))
}

/// The attempt that a token's secret was made for, by the secret's hash, and its order.
///
/// # Errors
/// [`StoreError`].
pub async fn attempt_of(
    reads: &dyn Reads,
    hash: String,
) -> Result<Option<(OrderAggregate, Attempt)>, StoreError> {
    let Some(order) = reads.order_of(&OrderLocator::Return(hash.clone())).await? else { return Ok(None) };
    let Some(order) = reads.order(order).await? else { return Ok(None) };
    let attempt = order.attempts.iter().find(|attempt| attempt.return_hash.as_ref() == Some(&hash)).cloned();
    Ok(attempt.map(|attempt| (order, attempt)))
}

fn hash(secret: &str) -> String {
    sign::hex(&sign::sha256(&[secret.as_bytes()]))
}

#[cfg(test)]
mod tests {
    use super::*;
    use port::Uuid;

    #[test]
    fn a_token_leads_back_to_its_attempt_and_redirect_and_nothing_else_does() {
        let returns = Returns::new([7; 32], "https://pay.example/");
        let attempt = AttemptId::from_uuid(Uuid::from_u128(1));
        let token = returns.token(attempt, Redirect::Cancel);
        assert_eq!(read_token(&token), Some((returns.hash(attempt), Redirect::Cancel)));
        assert!(returns.urls(attempt).cancel.ends_with(&format!("/return/{token}")));
        let other = returns.token(AttemptId::from_uuid(Uuid::from_u128(2)), Redirect::Cancel);
        assert_ne!(token, other);
        for bad in ["", "s", "zz", &token.to_uppercase(), &format!("{token}s"), &token[1..]] {
            assert_eq!(read_token(bad), None, "{bad}");
        }
    }
}
