//! What can be read.

use async_trait::async_trait;
use port::{
    AttemptId, AttentionId, NotificationId, OrderId, PaymentId, PaymentStatus, RefundId, SessionId, Timestamp,
};

use super::{ApiKeyRow, AuditReads, InboxRow, JobKind, KeyUse, StoreError, VaultReads, WebhookReads};
use crate::domain::{AttentionCode, OrderAggregate, OrderState, RecordedEvent};

/// Reads of committed state. All that `http` gets to see of the store.
#[async_trait]
pub trait Reads: WebhookReads + VaultReads + AuditReads {
    /// An order and everything that hangs on it, in one snapshot.
    async fn order(&self, id: OrderId) -> Result<Option<OrderAggregate>, StoreError>;

    /// An order as it was after the event in a place, with what still exists of its personal data.
    async fn order_at(&self, id: OrderId, sequence: u64) -> Result<Option<OrderAggregate>, StoreError>;

    /// The order that something belongs to.
    async fn order_of(&self, locator: &OrderLocator) -> Result<Option<OrderId>, StoreError>;

    /// A merchant's orders, newest first.
    async fn orders(&self, filter: &OrderFilter) -> Result<Vec<OrderAggregate>, StoreError>;

    /// A merchant's payments, newest first, each with its order.
    async fn payments(&self, filter: &PaymentFilter) -> Result<Vec<(PaymentId, OrderAggregate)>, StoreError>;

    /// Why people should look at a merchant's money, newest first, each with its order.
    async fn attention(
        &self,
        filter: &AttentionFilter,
    ) -> Result<Vec<(AttentionId, OrderAggregate)>, StoreError>;

    /// The events of an order after a place, oldest first, at most `limit`, as they were stored.
    async fn events(&self, order: OrderId, after: u64, limit: u32) -> Result<Vec<StoredEvent>, StoreError>;

    /// A merchant's idempotency key.
    async fn key(&self, merchant: &str, key: &str) -> Result<Option<KeyUse>, StoreError>;

    /// An API key by the hash of its text.
    async fn api_key(&self, hash: &str) -> Result<Option<ApiKeyRow>, StoreError>;

    /// Every API key, oldest first. Only hashes are stored.
    async fn api_keys(&self) -> Result<Vec<ApiKeyRow>, StoreError>;

    /// A value that the installation keeps about itself.
    async fn setting(&self, name: &str) -> Result<Option<String>, StoreError>;

    /// The notifications of a range of time after a place, oldest first, at most `limit`.
    async fn notifications(
        &self,
        filter: &InboxFilter,
        after: Option<(Timestamp, NotificationId)>,
        limit: u32,
    ) -> Result<Vec<(Timestamp, NotificationId)>, StoreError>;

    /// A stored notification.
    async fn notification(&self, id: &str) -> Result<Option<InboxRow>, StoreError>;

    /// When the oldest payment of an account was made that somebody still waits for.
    async fn oldest_open_payment(&self, account: &str) -> Result<Option<Timestamp>, StoreError>;

    /// The oldest due moment of each kind that has any.
    async fn oldest_jobs(&self) -> Result<Vec<(JobKind, Timestamp)>, StoreError>;
}

/// Something that leads to an order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum OrderLocator {
    /// A session.
    Session(SessionId),
    /// A payment.
    Payment(PaymentId),
    /// A refund.
    Refund(RefundId),
    /// An attempt.
    Attempt(AttemptId),
    /// A reason why a person should look.
    Attention(AttentionId),
    /// The hash of a return token's secret.
    Return(String),
    /// A provider's own id at an account.
    Reference {
        /// The account.
        account: String,
        /// The provider's id.
        reference: String,
    },
}

/// One page: newest first, `limit` rows older than `before`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Page {
    /// The last id of the page before; rows are older than it.
    pub before: Option<String>,
    /// At most this many, 1 to 200.
    pub limit: u32,
}

/// Which orders.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OrderFilter {
    /// Whose.
    pub merchant: String,
    /// In this state.
    pub state: Option<OrderState>,
    /// With this reference.
    pub reference: Option<String>,
    /// Made at or after.
    pub created_after: Option<Timestamp>,
    /// Made before.
    pub created_before: Option<Timestamp>,
    /// Which page.
    pub page: Page,
}

/// Which payments.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PaymentFilter {
    /// Whose.
    pub merchant: String,
    /// In this status.
    pub status: Option<PaymentStatus>,
    /// At this account.
    pub account: Option<String>,
    /// Of this order.
    pub order: Option<OrderId>,
    /// Which page.
    pub page: Page,
}

/// Which reasons why people should look.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AttentionFilter {
    /// Whose.
    pub merchant: String,
    /// Waiting for a decision, or decided.
    pub open: Option<bool>,
    /// With this code.
    pub code: Option<AttentionCode>,
    /// About a payment at this account.
    pub account: Option<String>,
    /// Which page.
    pub page: Page,
}

/// Which notifications.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InboxFilter {
    /// That came at or after.
    pub from: Timestamp,
    /// That came before.
    pub to: Timestamp,
    /// To this account.
    pub account: Option<String>,
}

/// An event with the personal data that still exists for it filled in nowhere: its text is what was hashed.
pub type StoredEvent = RecordedEvent;
