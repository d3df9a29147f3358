//! Stored payment methods: the sessions that store them, and what is known of each.
//!
//! As with payments the intent is committed before anything is sent, what may have worked is not sent elsewhere, and
//! only the provider's answer says that a method is stored.

mod follow;
mod start;
mod sync;

pub use start::NewProfileSession;

use async_trait::async_trait;
use port::{ProfileId, ProfileSessionId, ProviderError, StateStore, StateStoreError, Vault};
use tokio::sync::Mutex;

use super::providers::extended;
use super::{Account, PaymentError, Payments};
use crate::domain::{Erasable, Profile, ProfileSession, ProfileSessionEvent};
use crate::engine::{Command, CommandError, Engine, WorkingCopy};

/// Saves what an adapter wants to find again, with the profile session.
struct SessionStateStore<'a> {
    engine: &'a Engine,
    command: &'a Command,
    session: Mutex<WorkingCopy<ProfileSession>>,
}

#[async_trait]
impl StateStore for SessionStateStore<'_> {
    async fn save_state(&self, pairs: &[(&str, &str)]) -> Result<(), StateStoreError> {
        let mut session = self.session.lock().await;
        let saved = self.engine.change("save adapter state", self.command, &mut session, |session, _| {
            let known = session.attempt().and_then(|attempt| attempt.adapter_state.as_ref());
            let state = Erasable::new(extended(known, pairs), self.engine.env.nonce());
            Ok::<_, PaymentError>(vec![ProfileSessionEvent::AdapterStateSaved(state)].into())
        });
        saved.await.map(drop).map_err(|fault| {
            tracing::error!(profile_session.id = %session.id, "the adapter's state could not be saved: {fault}");
            StateStoreError
        })
    }
}

impl Payments {
    /// The merchant's stored method, unless it was deleted.
    ///
    /// # Errors
    /// [`CommandError::NotFound`], also for another merchant's.
    pub async fn profile(&self, merchant: &str, id: ProfileId) -> Result<WorkingCopy<Profile>, PaymentError> {
        let found = self.engine.of_merchant::<Profile>(merchant, id.uuid()).await?;
        if found.deleted || found.details.value().is_none() {
            return Err(CommandError::NotFound.into());
        }
        Ok(found)
    }

    /// The merchant's profile session.
    ///
    /// # Errors
    /// [`CommandError::NotFound`], also for another merchant's.
    pub async fn profile_session(
        &self,
        merchant: &str,
        id: ProfileSessionId,
    ) -> Result<WorkingCopy<ProfileSession>, PaymentError> {
        let found = self.engine.of_merchant::<ProfileSession>(merchant, id.uuid()).await?;
        if found.request.value().is_none() {
            return Err(CommandError::NotFound.into());
        }
        Ok(found)
    }
}

/// The stored methods of an account.
///
/// # Errors
/// [`ProviderError::Unsupported`] if its adapter has none.
fn vault_of(account: &Account) -> Result<&dyn Vault, ProviderError> {
    account.adapter.vault().ok_or(ProviderError::Unsupported("store payment methods"))
}
