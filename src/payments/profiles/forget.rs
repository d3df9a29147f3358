//! Listing the methods that a payment has stored, and forgetting one.

use port::{Advice, Customer, OrderId, ProfileId, SessionId, Timestamp};

use super::follow::ensure_version;
use super::start::vault_of;
use crate::domain::{CALL_DEADLINE, JobKind, Metadata, OrderAggregate, Owner, Profile, SessionStatus};
use crate::payments::call::NoState;
use crate::payments::{PaymentError, Payments};
use crate::store::{Change, StoreError, VaultWrite, Write};

impl Payments {
    /// Lists the methods that an order's customer has at the account of a session, and stores those that are new.
    ///
    /// # Errors
    /// [`PaymentError::Provider`] while the provider cannot be asked.
    pub async fn sync_methods(&self, order: OrderId, session: SessionId) -> Result<(), PaymentError> {
        let order = self.shared.order(order).await?;
        let Some((customer, account)) = saver(&order, session) else { return Ok(()) };
        let account = self.account(account)?;
        let Ok(vault) = vault_of(&account) else { return Ok(()) };
        let ctx = self.ctx(&account, &NoState);
        let (stored, _) = self.call(&account, "save_list", &ctx, vault.list(&ctx, customer)).await?;
        let owner = Owner {
            merchant: &order.header.merchant,
            customer_id: customer.id.as_deref().unwrap_or_default(),
            account: &account.name,
            provider: account.about().name,
            metadata: &Metadata::new(),
        };
        for profile in &stored {
            let (_, writes) = self.upsert_method(&owner, profile).await?;
            if !writes.is_empty() {
                match self.shared.store.commit(Change::plain("profile found", writes)).await {
                    // Somebody else has just stored it.
                    Ok(()) | Err(StoreError::Conflict) => {}
                    Err(fault) => return Err(fault.into()),
                }
            }
        }
        Ok(())
    }

    /// Deletes a stored method: at once for the merchant, and at its provider where that can.
    ///
    /// # Errors
    /// [`PaymentError::VersionMismatch`], [`PaymentError::Store`].
    pub async fn delete_profile(&self, profile: &Profile, expects: Option<u64>) -> Result<(), PaymentError> {
        ensure_version(expects, profile.version)?;
        let now = self.shared.now();
        let gone = Write::Vault(VaultWrite::Profile(Box::new(profile.forgotten(now))));
        let writes = vec![gone, detach_job(profile.id, Some(now.plus(CALL_DEADLINE)))];
        self.shared.store.commit(Change::plain("delete profile", writes)).await?;
        match self.detach(profile).await {
            // The agenda goes on with it.
            Err(PaymentError::Provider(_)) => Ok(()),
            other => other,
        }
    }

    /// Forgets a deleted method at its provider, as the agenda does until that has an answer.
    ///
    /// # Errors
    /// [`PaymentError::Provider`] while the provider cannot be reached.
    pub async fn detach_method(&self, id: ProfileId) -> Result<(), PaymentError> {
        match self.shared.store.profile(id).await? {
            Some(profile) if profile.forgotten => self.detach(&profile).await,
            _ => Ok(()),
        }
    }

    async fn detach(&self, profile: &Profile) -> Result<(), PaymentError> {
        let account = self.account(&profile.account)?;
        if let Ok(vault) = vault_of(&account) {
            let ctx = self.ctx(&account, &NoState);
            match self.call(&account, "forget", &ctx, vault.detach(&ctx, &profile.reference)).await {
                Err(error) if error.advice() != Advice::Stop => return Err(error.into()),
                // A plain no: it has no such call, or no such method.
                Ok(_) | Err(_) => {}
            }
        }
        let done = Change::plain("profile forgotten", vec![detach_job(profile.id, None)]);
        Ok(self.shared.store.commit(done).await?)
    }
}

fn detach_job(profile: ProfileId, at: Option<Timestamp>) -> Write {
    Write::Job { kind: JobKind::DetachMethod, subject: profile.to_string(), order: None, at }
}

/// The customer and the account of a completed session that was to store the method.
fn saver(order: &OrderAggregate, session: SessionId) -> Option<(&Customer, &str)> {
    let session = order.session(session).filter(|session| session.status == SessionStatus::Completed)?;
    session.request.value().filter(|request| request.save_payment_profile)?;
    let customer = order.header.personal.value().map(|personal| &personal.customer)?;
    customer.id.as_ref()?;
    Some((customer, order.attempt(session.attempt)?.account.as_str()))
}

/// The listing that a payment makes due by its completion, if its session was to store the method.
pub(in crate::payments) fn sync_job(
    order: &OrderAggregate,
    session: SessionId,
    now: Timestamp,
) -> Option<Write> {
    let asked = order.session(session)?.request.value().is_some_and(|request| request.save_payment_profile);
    let known = order.header.personal.value().is_some_and(|personal| personal.customer.id.is_some());
    let (subject, order) = (session.to_string(), Some(order.id()));
    (asked && known).then(|| Write::Job { kind: JobKind::SyncMethods, subject, order, at: Some(now) })
}
