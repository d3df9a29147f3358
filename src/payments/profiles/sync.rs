//! Fetches the methods that a payment has stored, and deletes methods.

use std::sync::Arc;
use std::time::Duration;

use futures_util::future::join_all;
use port::{Advice, Attempt, OrderId, ProfileStatus, ProviderError, SessionId, StoredProfile, Uuid};
use tokio::time::timeout;

use super::vault_of;
use crate::domain::submit::profiles_synced;
use crate::domain::{
    Metadata, OrderAggregate, Profile, ProfileEvent, ProfileOwner, Urgency, awaits_profiles,
};
use crate::engine::{Command, WorkingCopy};
use crate::payments::providers::NoState;
use crate::payments::{Account, PaymentError, Payments, ReadPass, Result};

/// How long a merchant waits for the methods that providers list.
const LIST_TIMEOUT: Duration = Duration::from_secs(3);

impl Payments {
    /// Fetches the methods that a paid session has stored for its customer, stores those that are new, and submits the
    /// order if that is what it waited for.
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
        let found = order.session(session).filter(|session| awaits_profiles(&order, session));
        let Some(attempt) = found.and_then(|session| order.attempt(session.attempt)) else { return Ok(()) };
        let account = self.providers.account(&attempt.account)?;
        let customer_id =
            order.header.content.personal.value().and_then(|personal| personal.customer.id.clone());
        let found = match (account.about().capabilities.vault, customer_id) {
            (Some(vault), Some(customer_id)) => {
                self.providers.spend_read(&account, pass)?;
                let stored = match vault.lists {
                    true => self.listed_profiles(&account, &customer_id).await?,
                    false => self.profile_stored_by(&account, &attempt.for_adapter(order.id())).await?,
                };
                self.store_profiles(&order.header.merchant, &account, &customer_id, &stored, command).await?
            }
            _ => false,
        };
        let mut task = self.task(&mut order, command, pass);
        let synced = task.extend("profiles synced", |context| profiles_synced(context, session, found));
        synced.await.map(drop)
    }

    /// Fetches the methods that a customer has at every account of the merchant's rules which can list them: methods
    /// that were stored elsewhere, such as by the provider's frame in the merchant's own page. All accounts are asked at
    /// once; one that cannot be read now, or not in time, adds nothing.
    pub async fn refresh_profiles(&self, merchant: &str, customer_id: &str, command: &Command) -> Result<()> {
        let rules = self.routing.rules.load();
        let accounts = rules.accounts_for(merchant).into_iter();
        let lists = |account: &&Arc<Account>| {
            let vault = account.about().capabilities.vault;
            vault.is_some_and(|vault| vault.lists)
                && self.providers.spend_read(account, &ReadPass::of(Urgency::Customer)).is_ok()
        };
        let lists = accounts.filter_map(|name| self.providers.accounts().get(name)).filter(lists);
        let reads = lists.map(|account| async move {
            (account, timeout(LIST_TIMEOUT, self.listed_profiles(account, customer_id)).await)
        });
        for (account, listed) in join_all(reads).await {
            if let Ok(Ok(stored)) = listed {
                self.store_profiles(merchant, account, customer_id, &stored, command).await?;
            }
        }
        Ok(())
    }

    /// The methods of a customer; the read is already paid for.
    async fn listed_profiles(
        &self,
        account: &Account,
        customer_id: &str,
    ) -> Result<Vec<StoredProfile>, ProviderError> {
        let ctx = self.providers.ctx(account, &NoState);
        let list = vault_of(account)?.list(&ctx, customer_id);
        Ok(self.providers.call(account, "profile_list", None, &ctx, list).await?.0)
    }

    /// The method that a payment has stored, if any; the read is already paid for.
    async fn profile_stored_by(
        &self,
        account: &Account,
        attempt: &Attempt,
    ) -> Result<Vec<StoredProfile>, ProviderError> {
        let ctx = self.providers.ctx(account, &NoState);
        let stored = vault_of(account)?.stored_by(&ctx, attempt);
        Ok(self
            .providers
            .call(account, "profile_stored", Some(attempt), &ctx, stored)
            .await?
            .0
            .into_iter()
            .collect())
    }

    /// Stores the methods that are new. Returns whether the customer has a usable one.
    async fn store_profiles(
        &self,
        merchant: &str,
        account: &Account,
        customer_id: &str,
        stored: &[StoredProfile],
        command: &Command,
    ) -> Result<bool> {
        let metadata = Metadata::new();
        let (account_name, provider) = (account.name.as_str(), account.about().name);
        let owner =
            ProfileOwner { merchant, customer_id, account: account_name, provider, metadata: &metadata };
        let mut usable = false;
        for profile in stored {
            let own = self.upsert_profile(account, &owner, profile, command).await?.is_some();
            usable |= own && self.providers.profile_status(account, profile) == ProfileStatus::Active;
        }
        Ok(usable)
    }

    /// Deletes a payment profile: at once for the merchant, and at its provider where that is possible.
    ///
    /// # Errors
    /// [`PaymentError::AccountNotConfigured`], since nobody could then delete it at the provider. A refusal changes
    /// nothing.
    pub async fn delete_profile(&self, profile: &mut WorkingCopy<Profile>, command: &Command) -> Result<()> {
        let delete = |profile: &Profile, _| {
            command.ensure_version(profile.version())?;
            self.account_of_profile(profile)?;
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
        let account = self.account_of_profile(profile)?;
        let detaches = account.about().capabilities.vault.is_some_and(|vault| vault.detaches);
        if let (Ok(vault), Some(reference)) = (vault_of(&account), profile.reference().filter(|_| detaches)) {
            let ctx = self.providers.ctx(&account, &NoState);
            let detach = vault.detach(&ctx, reference);
            match self.providers.call(&account, "profile_detach", None, &ctx, detach).await {
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
