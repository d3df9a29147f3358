//! Following a profile session: asking how it stands, closing it, writing down what it stored.

use port::{Advice, ProfileId, ProviderView, StoredProfile, Timestamp, Uuid, VaultView};

use super::vault_of;
use crate::domain::{
    FailureCode, ProfileOwner, ProfileSession, ProfileSessionEvent, SessionFailure, SessionStatus, Urgency,
};
use crate::engine::{Command, Decision, WorkingCopy};
use crate::payments::fetch::{MIN_FETCH_INTERVAL, NO_JITTER};
use crate::payments::providers::NoState;
use crate::payments::start::{StartOutcome, may_repeat};
use crate::payments::{Account, PaymentError, Payments, ReadPass};
use crate::store::StoreError;

impl Payments {
    /// Goes on with a session that is due: resolves its start, closes it when its time is up, else asks.
    ///
    /// # Errors
    /// [`PaymentError`].
    pub async fn follow_profile_session(
        &self,
        id: Uuid,
        command: &Command,
        pass: &ReadPass,
    ) -> Result<(), PaymentError> {
        let Some(mut session) = self.engine.load::<ProfileSession>(id).await? else { return Ok(()) };
        let over = self.engine.now() >= session.expires_at;
        if !session.status.is_open() {
            return Ok(());
        }
        if session.is_starting() && !self.resolve_start_of(&mut session, over, command).await? {
            return Ok(());
        }
        if over || session.closing.is_some() {
            self.close_at_provider(&mut session, FailureCode::Expired, command, pass).await
        } else {
            self.fetch_profile_session(&mut session, command, pass).await
        }
    }

    /// Finds out about a start whose answer was lost, by making it again where the provider knows our key. Where it
    /// does not, nobody can say; the session then ends with its time. True if the provider has it.
    async fn resolve_start_of(
        &self,
        session: &mut WorkingCopy<ProfileSession>,
        over: bool,
        command: &Command,
    ) -> Result<bool, PaymentError> {
        let Some(attempt) = session.attempt() else { return Ok(false) };
        if may_repeat(&*self.providers.account(&attempt.account)?) {
            let outcome = self.start_profile_session(session, true, command).await?;
            if outcome == StartOutcome::Ready {
                return Ok(true);
            }
        }
        if over {
            let code = session.closing.unwrap_or(FailureCode::ProviderError);
            self.end_profile_session(session, code, command).await?;
        }
        Ok(false)
    }

    /// Resolves a start that a crash or a lost answer left open, for a request that is sent again.
    ///
    /// # Errors
    /// That of the store.
    pub async fn resolve_profile_session(
        &self,
        session: &mut WorkingCopy<ProfileSession>,
        command: &Command,
    ) -> Result<(), PaymentError> {
        if session.is_starting() {
            self.resolve_start_of(session, false, command).await?;
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
        session: &mut WorkingCopy<ProfileSession>,
        freely: bool,
        command: &Command,
    ) -> Result<(), PaymentError> {
        let next = |last: Timestamp| match freely {
            true => Some(last.plus(MIN_FETCH_INTERVAL)),
            false => session.next_due(last, NO_JITTER),
        };
        let last = self.fetches.profile_fetched.get(&session.id);
        let early = last.and_then(next).is_some_and(|next| self.engine.now() < next);
        if !session.is_live() || early {
            return Ok(());
        }
        self.fetch_profile_session(session, command, &ReadPass::of(Urgency::Customer)).await
    }

    /// Cancels an open session. It ends when the provider's answer says that nothing is stored. Answers the sequence of
    /// its change; `None` if there was nothing to change.
    ///
    /// # Errors
    /// [`PaymentError::Command`] once a method is stored, also for a key that is in use.
    pub async fn cancel_profile_session(
        &self,
        session: &mut WorkingCopy<ProfileSession>,
        command: &Command,
    ) -> Result<Option<u64>, PaymentError> {
        let cancel = |session: &ProfileSession, _| {
            command.ensure_version(session.version())?;
            Ok::<_, PaymentError>(session.close(FailureCode::Cancelled)?.into())
        };
        let first = self.engine.change("cancel profile session", command, session, cancel).await?;
        if session.is_live() {
            let pass = ReadPass::of(Urgency::Customer);
            let closed =
                self.close_at_provider(session, FailureCode::Cancelled, &command.following(), &pass).await;
            match closed {
                Ok(()) | Err(PaymentError::Provider(_)) => {}
                Err(fault) => return Err(fault),
            }
        }
        Ok(first)
    }

    async fn close_at_provider(
        &self,
        session: &mut WorkingCopy<ProfileSession>,
        code: FailureCode,
        command: &Command,
        pass: &ReadPass,
    ) -> Result<(), PaymentError> {
        let close = |session: &ProfileSession, _| Ok::<_, PaymentError>(session.close(code)?.into());
        self.engine.change("close profile session", command, session, close).await?;
        let Some((account, view)) = self.at_provider(session)? else { return Ok(()) };
        let (vault, ctx) = (vault_of(&account)?, self.providers.ctx(&account, &NoState));
        let cancel = vault.cancel(&ctx, &view);
        match self.providers.call(&account, "profile_cancel", &ctx, cancel).await {
            Ok((shown, as_of)) => self.observe_stored(session, &account, shown, as_of, command).await?,
            // It cannot be closed, perhaps because it has ended: a look tells.
            Err(error) if error.advice() == Advice::Stop => {
                self.fetch_profile_session(session, command, pass).await?;
            }
            Err(error) => return Err(error.into()),
        }
        // Nothing that is still open there can take money: for us it is over.
        let code = session.closing.unwrap_or(code);
        self.end_profile_session(session, code, command).await
    }

    async fn end_profile_session(
        &self,
        session: &mut WorkingCopy<ProfileSession>,
        code: FailureCode,
        command: &Command,
    ) -> Result<(), PaymentError> {
        let failure = SessionFailure { code, message: None, provider_code: None, retryable: false };
        let end = |session: &ProfileSession, _| Ok::<_, PaymentError>(session.ended(failure.clone()).into());
        self.engine.change("end profile session", command, session, end).await.map(drop)
    }

    async fn fetch_profile_session(
        &self,
        session: &mut WorkingCopy<ProfileSession>,
        command: &Command,
        pass: &ReadPass,
    ) -> Result<(), PaymentError> {
        let Some((account, view)) = self.at_provider(session)? else { return Ok(()) };
        let vault = vault_of(&account)?;
        self.providers.spend_read(&account, pass)?;
        self.fetches.profile_fetched.insert(session.id, self.engine.now());
        let ctx = self.providers.ctx(&account, &NoState);
        let fetch = vault.fetch(&ctx, &view);
        let (shown, as_of) = self.providers.call(&account, "profile_fetch", &ctx, fetch).await?;
        self.observe_stored(session, &account, shown, as_of, command).await
    }

    /// Works what the provider said into the session. A method that it stored becomes a profile first, so that the
    /// session never names one that is not there.
    async fn observe_stored(
        &self,
        session: &mut WorkingCopy<ProfileSession>,
        account: &Account,
        shown: VaultView,
        as_of: Timestamp,
        command: &Command,
    ) -> Result<(), PaymentError> {
        let said = ProviderView { provider_status: shown.provider_status, ..ProviderView::default() };
        let seen = self.providers.translate(account, said, as_of);
        let ends_stored =
            session.observed(&seen, Some(ProfileId::from_uuid(session.id.uuid()))).is_some_and(|event| {
                matches!(event, ProfileSessionEvent::StatusChanged { to: SessionStatus::Completed, .. })
            });
        let stored = match (&shown.profile, session.request.value()) {
            (Some(profile), Some(request)) if ends_stored => {
                let owner = ProfileOwner {
                    merchant: &session.merchant,
                    customer_id: &request.customer_id,
                    account: &account.name,
                    provider: account.about().name,
                    metadata: &request.metadata,
                };
                self.upsert_profile(account, &owner, profile, command).await?
            }
            _ => None,
        };
        let observe =
            |session: &ProfileSession, _| Ok::<_, PaymentError>(session.observed(&seen, stored).into());
        self.engine.change("observe profile session", command, session, observe).await.map(drop)
    }

    /// The profile of a method: the one that there is, else a new one. None if it is another merchant's or another
    /// customer's, or was deleted: then it is no news.
    pub(super) async fn upsert_profile(
        &self,
        account: &Account,
        owner: &ProfileOwner<'_>,
        stored: &StoredProfile,
        command: &Command,
    ) -> Result<Option<ProfileId>, PaymentError> {
        let (engine, store) = (&self.engine, &self.engine.store);
        const TRIES: u32 = 2;
        for _ in 0..TRIES {
            let known = store.profile_with_reference(owner.account, &stored.reference).await?;
            if let Some(id) = known {
                let known = store.profile(id).await?;
                let own = known.is_some_and(|known| owner.owns(&known) && !known.deleted);
                return Ok(own.then_some(id));
            }
            let id = ProfileId::from_uuid(engine.subject_id());
            let status = self.providers.profile_status(account, stored);
            let event = owner.stored(id, stored.clone(), status, engine.env.nonce());
            let decision = Decision::from(vec![event]);
            match engine.create::<crate::domain::Profile>("store profile", command, decision).await {
                Ok(_) => return Ok(Some(id)),
                // Another request has just stored it.
                Err(StoreError::Taken(_)) => {}
                Err(fault) => return Err(fault.into()),
            }
        }
        Err(StoreError::Busy.into())
    }
}
