//! Stored payment methods: the methods, the sessions that store them, and the keys of requests for those.

use async_trait::async_trait;
use port::{OrderId, ProfileId, ProfileSessionId, Timestamp};

use super::{Page, StoreError};
use crate::domain::{Profile, ProfileSession};

/// One row to write. A version that is there already is a conflict.
#[derive(Clone, Debug)]
pub enum VaultWrite {
    /// A session: new at version 1, else the next version of one that is there.
    Session(Box<ProfileSession>),
    /// A method: likewise. One that stands under another id already is a conflict too.
    Profile(Box<Profile>),
    /// A merchant's idempotency key. In use already is `Taken`, unless it stands for the session in `replaces`.
    Key(ProfileKeyRow),
    /// An order was submitted with a session. Used before is `Taken`.
    Used {
        /// The session.
        session: ProfileSessionId,
        /// The order.
        order: OrderId,
    },
}

/// A merchant's idempotency key of a request for a session that stores a method.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProfileKeyRow {
    /// Whose.
    pub merchant: String,
    /// The key.
    pub key: String,
    /// A hash of method, path and body.
    pub fingerprint: String,
    /// What the request made.
    pub session: ProfileSessionId,
    /// When.
    pub at: Timestamp,
    /// What it stood for before, where that had no effect and the request is tried again.
    pub replaces: Option<ProfileSessionId>,
}

/// A customer's methods, newest first.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProfileFilter {
    /// Whose.
    pub merchant: String,
    /// The merchant's own id of the customer.
    pub customer_id: String,
    /// Which page.
    pub page: Page,
}

/// Reads of stored payment methods.
#[async_trait]
pub trait VaultReads: Send + Sync {
    /// A session that stores a method.
    async fn profile_session(&self, id: ProfileSessionId) -> Result<Option<ProfileSession>, StoreError>;

    /// The session whose return addresses have a secret with this hash.
    async fn profile_session_of(&self, return_hash: &str) -> Result<Option<ProfileSession>, StoreError>;

    /// A stored method, deleted or not.
    async fn profile(&self, id: ProfileId) -> Result<Option<Profile>, StoreError>;

    /// The stored method that a provider knows by this reference, deleted or not.
    async fn profile_at(&self, account: &str, reference: &str) -> Result<Option<Profile>, StoreError>;

    /// A customer's stored methods that are not deleted, newest first.
    async fn profiles(&self, filter: &ProfileFilter) -> Result<Vec<Profile>, StoreError>;

    /// A merchant's idempotency key, if it stands for a session that stores a method.
    async fn profile_key(&self, merchant: &str, key: &str) -> Result<Option<ProfileKeyRow>, StoreError>;
}
