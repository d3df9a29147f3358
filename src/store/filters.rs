//! What lists are narrowed by.

use port::{NotificationId, PaymentStatus, Timestamp, Uuid};

use crate::domain::{AttentionCode, OrderState};

/// One page: newest first, `limit` rows older than `before`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Page {
    /// What the page before ended with; rows are older than it.
    pub before: Option<String>,
    /// At most this many, 1 to 200.
    pub limit: u32,
}

/// A row of a list that is in the order of its moments: what the next page begins after.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Cursor {
    /// When it was made.
    pub at: Timestamp,
    /// Its id.
    pub id: Uuid,
}

impl Cursor {
    /// As a page's `before` has it.
    pub fn text(self) -> String {
        format!("{}.{}", self.at.micros(), self.id.simple())
    }

    /// Reads it back; `None` for a text that is none of ours.
    pub fn read(text: &str) -> Option<Self> {
        let (at, id) = text.split_once('.')?;
        Some(Self { at: Timestamp::from_micros(at.parse().ok()?), id: id.parse().ok()? })
    }
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
    /// Created at or after.
    pub created_after: Option<Timestamp>,
    /// Created before.
    pub created_before: Option<Timestamp>,
    /// Which page, by the order's id.
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
    /// Older than this one.
    pub before: Option<Cursor>,
    /// At most this many.
    pub limit: u32,
}

/// Which attention.
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
    /// Older than this one.
    pub before: Option<Cursor>,
    /// At most this many.
    pub limit: u32,
}

/// A customer's stored methods, newest first.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProfileFilter {
    /// Whose.
    pub merchant: String,
    /// The merchant's own id of the customer.
    pub customer_id: String,
    /// Which page, by the method's id.
    pub page: Page,
}

/// Which changes that have public events.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PublicFilter {
    /// Whose.
    pub merchant: String,
    /// From this moment.
    pub from: Option<Timestamp>,
    /// Before this moment.
    pub to: Option<Timestamp>,
    /// Up to this position, which counts too.
    pub up_to: Option<u64>,
    /// At most this many.
    pub limit: u32,
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
    /// After this one.
    pub after: Option<(Timestamp, NotificationId)>,
    /// At most this many.
    pub limit: u32,
}
