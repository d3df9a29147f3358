//! Payment profiles: payment methods that a provider has stored for a customer. A profile belongs to one account, and
//! every charge on it is made there.

use std::fmt;

use port::{ProfileId, ProfileStatus, StoredProfile, Timestamp};
use serde::{Deserialize, Serialize};

use super::aggregate::OrderAggregate;
use super::erasable::{Erasable, ErasableSlot};
use super::jobs::{CALL_DEADLINE, DueJob, Job, Lane, Urgency};
use super::lookup::Lookup;
use super::subject::{ChangeMeta, Head, ReplayError, Subject, SubjectEvent, any_subject};
use super::{DomainError, Metadata};

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Profile {
    pub id: ProfileId,
    pub merchant: String,
    pub account: String,
    pub provider: String,
    pub status: ProfileStatus,
    pub details: Erasable<ProfileDetails>,
    /// By the merchant; it is then not shown, and not stored again when the provider lists it.
    pub deleted: bool,
    /// Whether it was also deleted at the provider, or the provider has no such call.
    pub detached: bool,
    pub created_at: Timestamp,
    pub updated_at: Timestamp,
    pub head: Head,
}

#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProfileDetails {
    /// The merchant's own id of the customer.
    pub customer_id: String,
    /// The provider's id of it; never shown.
    pub reference: String,
    /// Such as `CARD`.
    pub kind: String,
    /// Such as `Visa 4242`.
    pub display_name: Option<String>,
    /// Its expiry date, as the provider gives it.
    pub expires_at: Option<String>,
    pub metadata: Metadata,
}

impl fmt::Debug for ProfileDetails {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ProfileDetails")
    }
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type", content = "data")]
pub enum ProfileEvent {
    #[serde(rename = "profile.stored")]
    Stored {
        id: ProfileId,
        merchant: String,
        account: String,
        provider: String,
        status: ProfileStatus,
        details: Erasable<ProfileDetails>,
    },
    #[serde(rename = "profile.deleted")]
    Deleted,
    /// It was deleted at the provider, or the provider has no such call.
    #[serde(rename = "profile.detached")]
    Detached,
    #[serde(rename = "profile.personal_data_erased")]
    PersonalDataErased,
}

impl SubjectEvent for ProfileEvent {
    fn erasables(&self) -> Vec<&dyn ErasableSlot> {
        match self {
            Self::Stored { details, .. } => vec![details],
            _ => Vec::new(),
        }
    }

    fn erases(&self) -> bool {
        matches!(self, Self::PersonalDataErased)
    }
}

/// The customer and account a payment profile belongs to.
#[derive(Clone, Copy)]
pub struct ProfileOwner<'a> {
    pub merchant: &'a str,
    pub customer_id: &'a str,
    pub account: &'a str,
    pub provider: &'a str,
    pub metadata: &'a Metadata,
}

impl ProfileOwner<'_> {
    /// The event of a method that a provider has stored for this customer.
    pub fn stored(
        &self,
        id: ProfileId,
        stored: StoredProfile,
        status: ProfileStatus,
        salt: [u8; 16],
    ) -> ProfileEvent {
        let details = ProfileDetails {
            customer_id: self.customer_id.to_owned(),
            reference: stored.reference,
            kind: stored.kind,
            display_name: stored.display_name,
            expires_at: stored.expires_on,
            metadata: self.metadata.clone(),
        };
        ProfileEvent::Stored {
            id,
            merchant: self.merchant.to_owned(),
            account: self.account.to_owned(),
            provider: self.provider.to_owned(),
            status,
            details: Erasable::new(details, salt),
        }
    }

    pub fn owns(&self, profile: &Profile) -> bool {
        profile.merchant == self.merchant && profile.customer_id() == Some(self.customer_id)
    }
}

/// Whether an order is a customer's, by the merchant's own id of the customer.
pub(super) fn is_customer_of(order: &OrderAggregate, customer_id: Option<&str>) -> bool {
    let personal = order.header.content.personal.value();
    let customer = personal.and_then(|personal| personal.customer.id.as_deref());
    customer.is_some() && customer == customer_id
}

impl Profile {
    pub fn version(&self) -> u64 {
        self.head.sequence
    }

    /// `None` once it was erased.
    pub fn customer_id(&self) -> Option<&str> {
        self.details.value().map(|details| details.customer_id.as_str())
    }

    /// `None` once it was erased.
    pub fn reference(&self) -> Option<&str> {
        self.details.value().map(|details| details.reference.as_str())
    }

    /// Fails with [`DomainError::ProfileUnusable`] unless it is active and belongs to the order's customer.
    pub fn ensure_pays(&self, order: &OrderAggregate) -> Result<(), DomainError> {
        if self.status != ProfileStatus::Active {
            return Err(DomainError::ProfileUnusable("it is not ACTIVE"));
        }
        if !is_customer_of(order, self.customer_id()) {
            return Err(DomainError::ProfileUnusable("it belongs to another customer than the order"));
        }
        Ok(())
    }
}

impl Subject for Profile {
    type Event = ProfileEvent;

    any_subject!(Profile, |profile| profile);

    fn open(first: &ProfileEvent, meta: &ChangeMeta) -> Option<Self> {
        let ProfileEvent::Stored { id, merchant, account, provider, status, details } = first else {
            return None;
        };
        Some(Self {
            id: *id,
            merchant: merchant.clone(),
            account: account.clone(),
            provider: provider.clone(),
            status: *status,
            details: details.clone(),
            deleted: false,
            detached: false,
            created_at: meta.at,
            updated_at: meta.at,
            head: Head::default(),
        })
    }

    fn apply_event(&mut self, event: &ProfileEvent, meta: &ChangeMeta) -> Result<(), ReplayError> {
        match event {
            ProfileEvent::Stored { .. } => {}
            ProfileEvent::Deleted => self.deleted = true,
            ProfileEvent::Detached => self.detached = true,
            ProfileEvent::PersonalDataErased => self.details.erase(),
        }
        self.updated_at = meta.at;
        Ok(())
    }

    fn list_state(&self) -> &'static str {
        if self.deleted { "DELETED" } else { "STORED" }
    }

    fn erasables(&mut self) -> Vec<&mut dyn ErasableSlot> {
        vec![&mut self.details]
    }

    fn lookups(&self) -> Vec<Lookup> {
        let Some(details) = self.details.value() else { return Vec::new() };
        let reference =
            Lookup::ProfileReference { account: self.account.clone(), reference: details.reference.clone() };
        let listed = (!self.deleted)
            .then(|| Lookup::CustomerProfile { customer_id: details.customer_id.clone(), id: self.id });
        std::iter::once(reference).chain(listed).collect()
    }

    /// A deleted method is also deleted at its provider. The request tries that first; the job repeats it.
    fn due(&self, _: Timestamp, _: u64) -> Vec<DueJob> {
        if !self.deleted || self.detached || self.details.value().is_none() {
            return Vec::new();
        }
        vec![DueJob {
            job: Job::DetachProfile,
            lane: Lane::Account(self.account.clone()),
            urgency: Urgency::Scheduled,
            at: self.updated_at.plus(CALL_DEADLINE),
        }]
    }
}
