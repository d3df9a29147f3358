//! Stored payment methods: the sessions that store them, and what is known of each.
//!
//! As with payments the intent is committed before anything is sent, what may have worked is not sent elsewhere,
//! and only the provider's answer says that a method is stored.

mod follow;
mod forget;
mod start;

pub(super) use forget::sync_job;
pub use start::ProfileSessionRequest;

use std::sync::Arc;

use async_trait::async_trait;
use port::{ProfileId, ProfileSessionId, StateStore, StateStoreError, Timestamp};
use tokio::sync::Mutex;

use super::{MAX_CONFLICTS, PaymentError, Payments, Shared};
use crate::domain::{JobKind, Profile, ProfileSession};
use crate::store::{Change, ProfileKeyRow, StoreError, VaultWrite, Write};

/// The idempotency key of a request for a session, with a hash of what it was sent with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProfileKey {
    /// The merchant's text.
    pub text: String,
    /// A hash of method, path and body.
    pub fingerprint: String,
    /// What it stands for already, if that had no effect.
    pub replaces: Option<ProfileSessionId>,
}

impl ProfileKey {
    fn row(&self, session: &ProfileSession, at: Timestamp) -> Write {
        Write::Vault(VaultWrite::Key(ProfileKeyRow {
            merchant: session.merchant.clone(),
            key: self.text.clone(),
            fingerprint: self.fingerprint.clone(),
            session: session.id,
            at,
            replaces: self.replaces,
        }))
    }
}

impl Shared {
    /// Writes a session's next version, when to go on with it, and what belongs to it.
    async fn write_session(
        &self,
        name: &'static str,
        session: &ProfileSession,
        with: Vec<Write>,
    ) -> Result<(), StoreError> {
        let at = session.next_look(self.now(), self.draw());
        let mut writes = vec![Write::Vault(VaultWrite::Session(Box::new(session.clone())))];
        writes.extend(with);
        writes.push(poll_job(session.id, at));
        self.store.commit(Change::plain(name, writes)).await
    }

    /// Decides on a session and commits its next version, as often as somebody else was faster. False if there
    /// was nothing to change.
    async fn change_session(
        &self,
        name: &'static str,
        session: &mut ProfileSession,
        decide: impl FnMut(&ProfileSession, Timestamp) -> Result<Option<ProfileSession>, PaymentError>,
    ) -> Result<bool, PaymentError> {
        self.change_session_by(name, session, None, decide).await
    }

    /// The same for a request, whose key is committed with the change.
    async fn change_session_by(
        &self,
        name: &'static str,
        session: &mut ProfileSession,
        key: Option<&ProfileKey>,
        mut decide: impl FnMut(&ProfileSession, Timestamp) -> Result<Option<ProfileSession>, PaymentError>,
    ) -> Result<bool, PaymentError> {
        for _ in 0..MAX_CONFLICTS {
            let Some(next) = decide(session, self.now())? else { return Ok(false) };
            let key = key.map(|key| key.row(&next, next.updated_at));
            match self.write_session(name, &next, key.into_iter().collect()).await {
                Ok(()) => {
                    *session = next;
                    return Ok(true);
                }
                Err(StoreError::Conflict) => *session = self.profile_session(session.id).await?,
                Err(fault) => return Err(fault.into()),
            }
        }
        Err(StoreError::Busy.into())
    }

    /// A session that is known to exist.
    async fn profile_session(&self, id: ProfileSessionId) -> Result<ProfileSession, StoreError> {
        let found = self.store.profile_session(id).await?;
        found.ok_or_else(|| StoreError::Corrupt(format!("profile session {id} is gone")))
    }
}

/// When a session is gone on with.
fn poll_job(session: ProfileSessionId, at: Option<Timestamp>) -> Write {
    Write::Job { kind: JobKind::PollProfileSession, subject: session.to_string(), order: None, at }
}

/// Keeps what an adapter wants to find again, with the session.
struct ProfileSessionStateStore<'a> {
    shared: &'a Arc<Shared>,
    session: Mutex<ProfileSession>,
}

#[async_trait]
impl StateStore for ProfileSessionStateStore<'_> {
    async fn save_state(&self, pairs: &[(&str, &str)]) -> Result<(), StateStoreError> {
        let mut session = self.session.lock().await;
        let kept = self
            .shared
            .change_session("keep profile", &mut session, |session, now| Ok(Some(session.kept(pairs, now))));
        kept.await.map(|_| ()).map_err(|fault| {
            tracing::error!(profile_session.id = %session.id, "what the adapter keeps could not be stored: {fault}");
            StateStoreError
        })
    }
}

impl Payments {
    /// The merchant's stored method, unless it was deleted.
    ///
    /// # Errors
    /// [`PaymentError::Store`].
    pub async fn profile(&self, merchant: &str, id: ProfileId) -> Result<Option<Profile>, PaymentError> {
        let found = self.shared.store.profile(id).await?;
        Ok(found.filter(|profile| profile.merchant == merchant && !profile.forgotten))
    }

    /// The merchant's session.
    ///
    /// # Errors
    /// [`PaymentError::Store`].
    pub async fn profile_session(
        &self,
        merchant: &str,
        id: ProfileSessionId,
    ) -> Result<Option<ProfileSession>, PaymentError> {
        let found = self.shared.store.profile_session(id).await?;
        Ok(found.filter(|session| session.merchant == merchant))
    }
}
