//! Filters and pages of lists.

use port::{NotificationId, PaymentStatus, Timestamp, Uuid};

use crate::domain::{AttentionCode, OrderState};

/// One page: newest first, `limit` rows older than `before`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Page {
    /// The last key of the previous page; rows are older than it.
    pub before: Option<String>,
    /// At most this many, 1 to 200.
    pub limit: u32,
}

/// The position of a row in a list ordered by time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Cursor {
    pub at: Timestamp,
    pub id: Uuid,
}

impl Cursor {
    /// As the text of a page's `before`.
    pub fn text(self) -> String {
        format!("{}.{}", self.at.micros(), self.id.simple())
    }

    /// Reads it back; `None` for an invalid text.
    pub fn read(text: &str) -> Option<Self> {
        let (at, id) = text.split_once('.')?;
        Some(Self { at: Timestamp::from_micros(at.parse().ok()?), id: id.parse().ok()? })
    }
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OrderFilter {
    pub merchant: String,
    pub state: Option<OrderState>,
    pub reference: Option<String>,
    /// Created at or after.
    pub created_after: Option<Timestamp>,
    pub created_before: Option<Timestamp>,
    /// Which page, by the order's id.
    pub page: Page,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PaymentFilter {
    pub merchant: String,
    pub status: Option<PaymentStatus>,
    pub account: Option<String>,
    pub before: Option<Cursor>,
    pub limit: u32,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AttentionFilter {
    pub merchant: String,
    /// Unresolved (true) or resolved (false) ones.
    pub open: Option<bool>,
    pub code: Option<AttentionCode>,
    pub account: Option<String>,
    pub before: Option<Cursor>,
    pub limit: u32,
}

/// A customer's payment profiles, newest first.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProfileFilter {
    pub merchant: String,
    /// The merchant's own id of the customer.
    pub customer_id: String,
    /// Which page, by the method's id.
    pub page: Page,
}

/// A filter for changes with public events.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PublicFilter {
    pub merchant: String,
    pub from: Option<Timestamp>,
    pub to: Option<Timestamp>,
    /// Up to and including this position.
    pub up_to: Option<u64>,
    pub limit: u32,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InboxFilter {
    /// That came at or after.
    pub from: Timestamp,
    pub to: Timestamp,
    pub account: Option<String>,
    pub after: Option<(Timestamp, NotificationId)>,
    pub limit: u32,
}
