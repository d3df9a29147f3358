//! Following a profile session: reading its status, closing it, recording what it stored.

use port::{Advice, ProfileId, ProviderView, StoredProfile, Timestamp, Uuid, VaultView};

use super::vault_of;
use crate::domain::{
    FailureCode, Profile, ProfileOwner, ProfileSession, ProfileSessionEvent, SessionFailure, SessionStatus,
    Urgency,
};
use crate::engine::{Command, WorkingCopy};
use crate::payments::fetch::{MIN_FETCH_INTERVAL, NO_JITTER};
use crate::payments::providers::NoState;
use crate::payments::start::{StartOutcome, may_repeat};
use crate::payments::task::ProfileTask;
use crate::payments::{Account, PaymentError, Payments, ReadPass, Result};
use crate::store::StoreError;

impl Payments {
    /// Follows a session that is due: resolves its start, closes it when its time is up, else reads it.
    pub async fn follow_profile_session(&self, id: Uuid, command: &Command, pass: &ReadPass) -> Result<()> {
        let Some(mut session) = self.engine.load::<ProfileSession>(id).await? else { return Ok(()) };
        let session = &mut self.task(&mut session, command, pass);
        let over = self.engine.now() >= session.expires_at;
        if !session.status.is_open() || session.is_starting() && !self.resolve_start_of(session, over).await?
        {
            return Ok(());
        }
        if over || session.closing.is_some() {
            self.close_at_provider(session, FailureCode::Expired).await
        } else {
            self.fetch_profile_session(session).await
        }
    }

    /// Resolves a start whose answer was lost, by repeating it where the provider knows our key. Elsewhere it stays
    /// unknown, and the session ends with its time. True if the provider has it.
    async fn resolve_start_of(&self, session: &mut ProfileTask<'_>, over: bool) -> Result<bool> {
        let Some(attempt) = session.attempt() else { return Ok(false) };
        if may_repeat(&*self.account_of_session(attempt)?)
            && self.start_profile_session(session, true).await? == StartOutcome::Created
        {
            return Ok(true);
        }
        if over {
            self.end_profile_session(session, FailureCode::ProviderError).await?;
        }
        Ok(false)
    }

    /// Resolves a start of unknown outcome, for a repeated request.
    pub async fn resolve_profile_session(
        &self,
        session: &mut WorkingCopy<ProfileSession>,
        command: &Command,
    ) -> Result<()> {
        if session.is_starting() {
            let pass = ReadPass::of(Urgency::Customer);
            self.resolve_start_of(&mut self.task(session, command, &pass), false).await?;
        }
        Ok(())
    }

    /// Reads because the customer or the merchant requests it: at most as often as the schedule would, or, where
    /// `freely`, a few seconds after the last read.
    pub async fn refresh_profile_session(
        &self,
        session: &mut WorkingCopy<ProfileSession>,
        freely: bool,
        command: &Command,
    ) -> Result<()> {
        let next = |last: Timestamp| match freely {
            true => Some(last.plus(MIN_FETCH_INTERVAL)),
            false => session.next_due(last, NO_JITTER),
        };
        let last = self.past(self.fetches.profile_fetched.get(&session.id));
        let early = last.and_then(next).is_some_and(|next| self.engine.now() < next);
        if !session.is_live() || early {
            return Ok(());
        }
        let pass = ReadPass::of(Urgency::Customer);
        self.fetch_profile_session(&mut self.task(session, command, &pass)).await
    }

    /// Cancels an open session. It ends when the provider reports that nothing is stored.
    ///
    /// # Errors
    /// [`PaymentError::Command`] once a method is stored, also for a key that is in use;
    /// [`PaymentError::AccountNotConfigured`]. A refusal changes nothing.
    pub async fn cancel_profile_session(
        &self,
        session: &mut WorkingCopy<ProfileSession>,
        command: &Command,
    ) -> Result<()> {
        let cancel = |session: &ProfileSession, _| {
            command.ensure_version(session.version())?;
            self.at_provider(session).map(drop)?;
            Ok::<_, PaymentError>(session.close(FailureCode::Cancelled)?.into())
        };
        self.engine.change("cancel profile session", command, session, cancel).await?;
        if !session.is_live() {
            return Ok(());
        }
        let session = &mut self.task(session, command, &ReadPass::of(Urgency::Customer));
        match self.close_at_provider(session, FailureCode::Cancelled).await {
            // A job closes it later.
            Err(PaymentError::Provider(_)) => Ok(()),
            closed => closed,
        }
    }

    async fn close_at_provider(&self, session: &mut ProfileTask<'_>, code: FailureCode) -> Result<()> {
        let close = |session: &ProfileSession, _| Ok::<_, PaymentError>(session.close(code)?.into());
        self.engine.change("close profile session", &session.command, session.subject, close).await?;
        let Some((account, view)) = self.at_provider(session)? else { return Ok(()) };
        let (vault, ctx) = (vault_of(&account)?, self.providers.ctx(&account, &NoState));
        let cancel = vault.cancel(&ctx, &view);
        match self.providers.call(&account, "profile_cancel", None, &ctx, cancel).await {
            Ok(shown) => self.observe_stored(session, &account, shown).await?,
            // It cannot be closed, perhaps because it has ended: a read shows.
            Err(error) if error.advice() == Advice::Stop => self.fetch_profile_session(session).await?,
            Err(error) => return Err(error.into()),
        }
        // What is still open at the provider can take no money: for the gateway it is over.
        self.end_profile_session(session, code).await
    }

    /// Ends a session: for the reason that it is being closed for, else for this one.
    async fn end_profile_session(&self, session: &mut ProfileTask<'_>, code: FailureCode) -> Result<()> {
        let code = session.closing.unwrap_or(code);
        let failure = SessionFailure { code, message: None, provider_code: None, retryable: false };
        let end = |session: &ProfileSession, _| session.ended(failure.clone());
        session.change("end profile session", end).await.map(drop)
    }

    async fn fetch_profile_session(&self, session: &mut ProfileTask<'_>) -> Result<()> {
        let Some((account, view)) = self.at_provider(session)? else { return Ok(()) };
        let vault = vault_of(&account)?;
        self.providers.spend_read(&account, &session.pass)?;
        self.fetches.profile_fetched.insert(session.id, self.engine.now());
        let ctx = self.providers.ctx(&account, &NoState);
        let fetch = vault.fetch(&ctx, &view);
        let shown = self.providers.call(&account, "profile_fetch", None, &ctx, fetch).await?;
        self.observe_stored(session, &account, shown).await
    }

    /// Changes the session by what its provider reports. A method that it stored becomes a profile first, so that the
    /// session never names one that does not exist.
    async fn observe_stored(
        &self,
        session: &mut ProfileTask<'_>,
        account: &Account,
        (shown, as_of): (VaultView, Timestamp),
    ) -> Result<()> {
        let status = ProviderView { provider_status: shown.provider_status, ..ProviderView::default() };
        let seen = self.providers.translate(account, status, as_of);
        let observed = session.observed(&seen, Some(ProfileId::from_uuid(session.id.uuid())));
        let ends_stored =
            matches!(observed, Some(ProfileSessionEvent::StatusChanged { to: SessionStatus::Completed, .. }));
        let stored = match (&shown.profile, session.request.value()) {
            (Some(profile), Some(request)) if ends_stored => {
                let owner = ProfileOwner {
                    merchant: &session.merchant,
                    customer_id: &request.customer_id,
                    account: &account.name,
                    provider: account.about().name,
                    metadata: &request.metadata,
                };
                self.upsert_profile(account, &owner, profile, &session.command).await?
            }
            _ => None,
        };
        let observe = |session: &ProfileSession, _| session.observed(&seen, stored);
        session.change("observe profile session", observe).await.map(drop)
    }

    /// The profile of a method: the existing one, else a new one. `None` if it is another merchant's or another
    /// customer's, or was deleted.
    pub(super) async fn upsert_profile(
        &self,
        account: &Account,
        owner: &ProfileOwner<'_>,
        stored: &StoredProfile,
        command: &Command,
    ) -> Result<Option<ProfileId>> {
        const TRIES: u32 = 2;
        let (engine, store) = (&self.engine, &self.engine.store);
        for _ in 0..TRIES {
            if let Some(id) = store.profile_with_reference(owner.account, &stored.reference).await? {
                let known = store.profile(id).await?;
                let own = known.is_some_and(|known| owner.owns(&known) && !known.deleted);
                return Ok(own.then_some(id));
            }
            let id = ProfileId::from_uuid(engine.subject_id());
            let status = self.providers.profile_status(account, stored);
            let event = owner.stored(id, stored.clone(), status, engine.env.nonce());
            match engine.create::<Profile>("store profile", command, vec![event]).await {
                Ok(_) => return Ok(Some(id)),
                // Another request has just stored it.
                Err(StoreError::Taken(_)) => {}
                Err(fault) => return Err(fault.into()),
            }
        }
        Err(StoreError::Busy.into())
    }
}
