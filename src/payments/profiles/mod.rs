//! Payment profiles, and the sessions that store them.
//!
//! As with payments the intent is committed before anything is sent, what may have taken effect is not sent to another
//! account, and only the provider's answer proves that a method is stored.

mod follow;
mod start;
mod sync;

pub use start::NewProfileSession;

use std::sync::Arc;

use port::{ProfileId, ProfileSessionId, ProviderError, StoreAttempt, Vault};

use super::{Account, Payments, Result};
use crate::domain::{Profile, ProfileAttempt, ProfileSession};
use crate::engine::{CommandError, WorkingCopy};

impl Payments {
    /// # Errors
    /// [`CommandError::NotFound`], also for another merchant's and one that was deleted.
    pub async fn profile(&self, merchant: &str, id: ProfileId) -> Result<WorkingCopy<Profile>> {
        let found = self.engine.of_merchant::<Profile>(merchant, id.uuid()).await?;
        if found.deleted || found.details.value().is_none() {
            return Err(CommandError::NotFound.into());
        }
        Ok(found)
    }

    /// # Errors
    /// [`CommandError::NotFound`], also for another merchant's.
    pub async fn profile_session(
        &self,
        merchant: &str,
        id: ProfileSessionId,
    ) -> Result<WorkingCopy<ProfileSession>> {
        let found = self.engine.of_merchant::<ProfileSession>(merchant, id.uuid()).await?;
        if found.request.value().is_none() {
            return Err(CommandError::NotFound.into());
        }
        Ok(found)
    }

    /// The account of a session's start, and the start as its adapter sees it; `None` before it.
    fn at_provider(&self, session: &ProfileSession) -> Result<Option<(Arc<Account>, StoreAttempt)>> {
        let Some((attempt, view)) = session.attempt().zip(session.for_adapter()) else { return Ok(None) };
        Ok(Some((self.account_of_session(attempt)?, view)))
    }

    fn account_of_session(&self, attempt: &ProfileAttempt) -> Result<Arc<Account>> {
        self.providers.account_of("payment profile session", &attempt.account)
    }

    /// The account that a payment profile belongs to.
    ///
    /// # Errors
    /// [`PaymentError::AccountNotConfigured`](super::PaymentError::AccountNotConfigured).
    pub fn account_of_profile(&self, profile: &Profile) -> Result<Arc<Account>> {
        self.providers.account_of("payment profile", &profile.account)
    }
}

/// # Errors
/// [`ProviderError::Unsupported`] if its adapter has none.
fn vault_of(account: &Account) -> Result<&dyn Vault, ProviderError> {
    account.adapter.vault().ok_or(ProviderError::Unsupported("store payment methods"))
}
