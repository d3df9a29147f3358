//! Fetches the methods that a payment has stored, and deletes methods.

use port::{Advice, OrderId, SessionId, Uuid};

use super::vault_of;
use crate::domain::{Event, Metadata, OrderAggregate, Profile, ProfileEvent, ProfileOwner};
use crate::engine::{Command, WorkingCopy};
use crate::payments::providers::NoState;
use crate::payments::{PaymentError, Payments, ReadPass, Result};

impl Payments {
    /// Lists the methods that an order's customer has at the account of a paid session, and stores those that are new.
    ///
    /// # Errors
    /// [`PaymentError::Provider`] while the provider cannot be read.
    pub async fn sync_profiles(
        &self,
        order: OrderId,
        session: SessionId,
        command: &Command,
        pass: &ReadPass,
    ) -> Result<()> {
        let mut order = self.engine.existing::<OrderAggregate>(order.uuid()).await?;
        let found = order.session(session).filter(|session| !session.profiles_synced);
        let Some(attempt) = found.and_then(|session| order.attempt(session.attempt)) else { return Ok(()) };
        let account = self.providers.account(&attempt.account)?;
        let customer_id =
            order.header.content.personal.value().and_then(|personal| personal.customer.id.clone());
        if let (Ok(vault), Some(customer_id)) = (vault_of(&account), customer_id) {
            self.providers.spend_read(&account, pass)?;
            let ctx = self.providers.ctx(&account, &NoState);
            let list = vault.list(&ctx, &customer_id);
            let (stored, _) = self.providers.call(&account, "profile_list", &ctx, list).await?;
            let metadata = Metadata::new();
            let owner = ProfileOwner {
                merchant: &order.header.merchant,
                customer_id: &customer_id,
                account: &account.name,
                provider: account.about().name,
                metadata: &metadata,
            };
            for profile in &stored {
                self.upsert_profile(&account, &owner, profile, command).await?;
            }
        }
        let synced = |order: &OrderAggregate, _| {
            let unsynced = order.session(session).filter(|session| !session.profiles_synced);
            unsynced.map(|_| Event::ProfilesSynced { session })
        };
        self.task(&mut order, command, pass).change("profiles synced", synced).await.map(drop)
    }

    /// Deletes a stored method: at once for the merchant, and at its provider where that is possible.
    pub async fn delete_profile(&self, profile: &mut WorkingCopy<Profile>, command: &Command) -> Result<()> {
        let delete = |profile: &Profile, _| {
            command.ensure_version(profile.version())?;
            Ok::<_, PaymentError>((!profile.deleted).then_some(ProfileEvent::Deleted).into())
        };
        self.engine.change("delete profile", command, profile, delete).await?;
        match self.detach(profile, &command.following()).await {
            // A job repeats it.
            Err(PaymentError::Provider(_)) => Ok(()),
            other => other,
        }
    }

    /// Detaches a deleted method at its provider; a job repeats it until the provider has answered.
    ///
    /// # Errors
    /// [`PaymentError::Provider`] while the provider cannot be reached.
    pub async fn detach_profile(&self, id: Uuid, command: &Command) -> Result<()> {
        match self.engine.load::<Profile>(id).await? {
            Some(mut profile) if profile.deleted && !profile.detached => {
                self.detach(&mut profile, command).await
            }
            _ => Ok(()),
        }
    }

    async fn detach(&self, profile: &mut WorkingCopy<Profile>, command: &Command) -> Result<()> {
        let account = self.providers.account(&profile.account)?;
        let detaches = account.about().capabilities.vault.is_some_and(|vault| vault.detaches);
        if let (Ok(vault), Some(reference)) = (vault_of(&account), profile.reference().filter(|_| detaches)) {
            let ctx = self.providers.ctx(&account, &NoState);
            let detach = vault.detach(&ctx, reference);
            match self.providers.call(&account, "profile_detach", &ctx, detach).await {
                Err(error) if error.advice() != Advice::Stop => return Err(error.into()),
                // Declined: the provider has no such method.
                Ok(_) | Err(_) => {}
            }
        }
        let detached = |profile: &Profile, _| {
            Ok::<_, PaymentError>((!profile.detached).then_some(ProfileEvent::Detached).into())
        };
        self.engine.change("profile detached", command, profile, detached).await.map(drop)
    }
}
