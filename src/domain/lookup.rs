//! Lookup rows: they lead from a reference or a list to a subject.
//!
//! They are computed from the subject: a change writes the difference between before and after, and the audit
//! recomputes them.

use port::{AttentionId, PaymentId, PaymentStatus, ProfileId, ProfileSessionId, Timestamp};

use super::AttentionCode;

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Lookup {
    /// Unique for the merchant.
    OrderReference(String),
    /// The provider's id of an attempt.
    ProviderReference { account: String, reference: String },
    /// A payment in the merchant's list.
    Payment {
        id: PaymentId,
        /// Its account; empty for an external payment.
        account: String,
        status: PaymentStatus,
        /// Whether its outcome is awaited.
        open: bool,
        created_at: Timestamp,
    },
    /// An attention in the merchant's list.
    Attention {
        id: AttentionId,
        /// The account it is about; empty for an external payment.
        account: String,
        code: AttentionCode,
        /// Whether it is unresolved.
        open: bool,
        raised_at: Timestamp,
    },
    /// A payment profile among its customer's.
    CustomerProfile { customer_id: String, id: ProfileId },
    /// A provider's own id of a payment profile; unique for the account.
    ProfileReference { account: String, reference: String },
    /// A profile session that an order was submitted with; it can be used for one order only.
    ProfileSessionUsed(ProfileSessionId),
}

/// The rows that a change removes and those it adds.
pub fn difference(mut before: Vec<Lookup>, mut after: Vec<Lookup>) -> (Vec<Lookup>, Vec<Lookup>) {
    before.sort_unstable();
    after.sort_unstable();
    let gone = before.iter().filter(|row| after.binary_search(row).is_err()).cloned().collect();
    after.retain(|row| before.binary_search(row).is_err());
    (gone, after)
}
