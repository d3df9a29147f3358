//! Following a session that stores a method: asking how it stands, closing it, writing down what it stored.

use port::{
    Advice, ProfileId, ProfileSessionId, ProviderError, ProviderView, StoredProfile, Timestamp, VaultView,
};

use super::start::vault_of;
use super::{ProfileKey, poll_job};
use crate::domain::{
    AttemptState, FailureCode, Owner, Profile, ProfileSession, SessionFailure, SessionStatus,
};
use crate::payments::call::NoState;
use crate::payments::fetch_status::MIN_FETCH_INTERVAL;
use crate::payments::start::{StartOutcome, may_repeat};
use crate::payments::{Account, MAX_CONFLICTS, PaymentError, Payments};
use crate::store::{Change, StoreError, VaultWrite, Write};

/// A moment in the middle of what jitter makes of one.
const NO_JITTER: u64 = 100;

impl Payments {
    /// Goes on with a session that is due: settles its start, closes it when its time is up, else asks.
    ///
    /// # Errors
    /// [`PaymentError`]; what is due next is written all the same.
    pub async fn follow_profile_session(&self, id: ProfileSessionId) -> Result<(), PaymentError> {
        // One that was erased is over.
        let Some(mut session) = self.shared.store.profile_session(id).await? else { return Ok(()) };
        let version = session.version;
        let outcome = self.go_on(&mut session).await;
        if session.version == version {
            self.poll_later(&session, outcome.as_ref().err()).await?;
        }
        outcome
    }

    async fn go_on(&self, session: &mut ProfileSession) -> Result<(), PaymentError> {
        let over = self.shared.now() >= session.expires_at;
        if !session.status.is_open() {
            return Ok(());
        }
        if session.start.state == AttemptState::Started && !self.resolve_session_start(session, over).await? {
            return Ok(());
        }
        if over || session.closing.is_some() {
            self.close_now(session, FailureCode::Expired).await
        } else {
            self.fetch_profile_session(session).await
        }
    }

    /// Finds out about a start whose answer was lost, by making it again where the provider knows our key. Where it
    /// does not, nobody can say; the session then ends with its time. True if the provider has it.
    async fn resolve_session_start(
        &self,
        session: &mut ProfileSession,
        over: bool,
    ) -> Result<bool, PaymentError> {
        if may_repeat(&*self.account(&session.start.account)?) {
            let outcome = self.start_session(session, true).await?;
            if outcome == StartOutcome::Ready {
                return Ok(true);
            }
        }
        if over {
            let failure = failure(session.closing.unwrap_or(FailureCode::ProviderError));
            let end = |session: &ProfileSession, now| Ok(session.ended(failure.clone(), now));
            self.shared.change_session("end profile session", session, end).await?;
        }
        Ok(false)
    }

    /// Settles a start that a crash or a lost answer left open, for a request that is sent again.
    ///
    /// # Errors
    /// [`PaymentError::Store`].
    pub async fn resolve_profile_session(&self, session: &mut ProfileSession) -> Result<(), PaymentError> {
        if session.status.is_open() && session.start.state == AttemptState::Started {
            self.resolve_session_start(session, false).await?;
        }
        Ok(())
    }

    /// Asks when the customer or the merchant wants to know: at most as often as it would be asked anyway, where
    /// `freely` a few seconds after the last time.
    ///
    /// # Errors
    /// [`PaymentError`]; a failed read changes nothing.
    pub async fn refresh_profile_session(
        &self,
        session: &mut ProfileSession,
        freely: bool,
    ) -> Result<(), PaymentError> {
        let begun = session.start.state == AttemptState::Created && session.status.is_open();
        let next = |last: Timestamp| match freely {
            true => Some(last.plus(MIN_FETCH_INTERVAL)),
            false => session.next_look(last, NO_JITTER),
        };
        let last = self.shared.profile_fetched.get(&session.id);
        let early = last.and_then(next).is_some_and(|next| self.shared.now() < next);
        if !begun || early {
            return Ok(());
        }
        self.fetch_profile_session(session).await
    }

    /// Cancels an open session. It ends when the provider's answer says that nothing is stored.
    ///
    /// # Errors
    /// [`PaymentError::Refused`] once a method is stored, [`PaymentError::Store`], also for a key that is in use.
    pub async fn cancel_profile_session(
        &self,
        session: &mut ProfileSession,
        expects: Option<u64>,
        key: Option<&ProfileKey>,
    ) -> Result<(), PaymentError> {
        self.shared
            .change_session_by("cancel profile session", session, key, |session, now| {
                ensure_version(expects, session.version)?;
                Ok(session.closed(FailureCode::Cancelled, now)?)
            })
            .await?;
        if session.start.state != AttemptState::Created || !session.status.is_open() {
            return Ok(());
        }
        match self.close_now(session, FailureCode::Cancelled).await {
            Err(PaymentError::Provider(_)) => Ok(()),
            other => other,
        }
    }

    async fn close_now(&self, session: &mut ProfileSession, code: FailureCode) -> Result<(), PaymentError> {
        self.shared
            .change_session("close profile session", session, |session, now| Ok(session.closed(code, now)?))
            .await?;
        let account = self.account(&session.start.account)?;
        let (vault, attempt) = (vault_of(&account)?, session.for_adapter());
        let ctx = self.ctx(&account, &NoState);
        match self.call(&account, "save_cancel", &ctx, vault.cancel(&ctx, &attempt)).await {
            Ok((shown, as_of)) => self.observe_saved(session, &account, shown, as_of).await?,
            // It cannot be closed, perhaps because it has ended: a look tells.
            Err(error) if error.advice() == Advice::Stop => self.fetch_profile_session(session).await?,
            Err(error) => return Err(error.into()),
        }
        // Nothing that is still open there can take money: for us it is over.
        let failure = failure(session.closing.unwrap_or(code));
        let end = |session: &ProfileSession, now| Ok(session.ended(failure.clone(), now));
        self.shared.change_session("end profile session", session, end).await.map(|_| ())
    }

    async fn fetch_profile_session(&self, session: &mut ProfileSession) -> Result<(), PaymentError> {
        let account = self.account(&session.start.account)?;
        let (vault, attempt) = (vault_of(&account)?, session.for_adapter());
        self.shared.profile_fetched.insert(session.id, self.shared.now());
        let ctx = self.ctx(&account, &NoState);
        let (shown, as_of) = self.call(&account, "save_fetch", &ctx, vault.fetch(&ctx, &attempt)).await?;
        self.observe_saved(session, &account, shown, as_of).await
    }

    /// Works what the provider said into the session; a method that it stored becomes a profile in the same commit.
    async fn observe_saved(
        &self,
        session: &mut ProfileSession,
        account: &Account,
        shown: VaultView,
        as_of: Timestamp,
    ) -> Result<(), PaymentError> {
        let shared = &self.shared;
        let said = ProviderView { provider_status: shown.provider_status, ..ProviderView::default() };
        let seen = self.translate(account, said, as_of);
        for _ in 0..MAX_CONFLICTS {
            let (stored, with) = match &shown.profile {
                Some(profile) => self.upsert_method(&session.owner(), profile).await?,
                None => (None, Vec::new()),
            };
            let Some(next) = session.observed(&seen, stored, shared.now()) else { return Ok(()) };
            let with = if next.status == SessionStatus::Completed { with } else { Vec::new() };
            match shared.write_session("observe profile session", &next, with).await {
                Ok(()) => {
                    *session = next;
                    return Ok(());
                }
                Err(StoreError::Conflict) => *session = shared.profile_session(session.id).await?,
                Err(fault) => return Err(fault.into()),
            }
        }
        Err(StoreError::Busy.into())
    }

    /// The profile of a method: the one that there is, else a new one to write. None if it is another merchant's or
    /// another customer's, or was deleted: then it is no news.
    pub(super) async fn upsert_method(
        &self,
        owner: &Owner<'_>,
        stored: &StoredProfile,
    ) -> Result<(Option<ProfileId>, Vec<Write>), PaymentError> {
        let shared = &self.shared;
        if let Some(known) = shared.store.profile_at(owner.account, &stored.reference).await? {
            let same = known.merchant == owner.merchant && known.customer_id == owner.customer_id;
            return Ok(((same && !known.forgotten).then_some(known.id), Vec::new()));
        }
        let id = ProfileId::from_uuid(shared.env.uuid());
        let profile = Profile::new(id, owner, stored.clone(), shared.now());
        Ok((Some(id), vec![Write::Vault(VaultWrite::Profile(Box::new(profile)))]))
    }

    /// A look that changed nothing is repeated at its time, and not before the provider wants it.
    async fn poll_later(
        &self,
        session: &ProfileSession,
        error: Option<&PaymentError>,
    ) -> Result<(), PaymentError> {
        let now = self.shared.now();
        let next = session.next_look(now, self.shared.draw());
        let at = match error {
            Some(PaymentError::Provider(ProviderError::Busy { retry_after: Some(wait) })) => {
                next.map(|at| at.max(now.plus(*wait)))
            }
            _ => next,
        };
        let later = Change::plain("profile later", vec![poll_job(session.id, at)]);
        Ok(self.shared.store.commit(later).await?)
    }
}

/// Whether the version is the one that the merchant expects.
pub(super) fn ensure_version(expects: Option<u64>, actual: u64) -> Result<(), PaymentError> {
    match expects {
        Some(version) if version != actual => Err(PaymentError::VersionMismatch { actual }),
        _ => Ok(()),
    }
}

fn failure(code: FailureCode) -> SessionFailure {
    SessionFailure { code, message: None, provider_code: None, retryable: false }
}
