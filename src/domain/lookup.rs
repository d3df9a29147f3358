//! Rows that lead to a subject from what the outside knows of it.
//!
//! They follow from the subject alone: a change writes the difference between before and after, and a check of the
//! books makes them again.

use port::{AttentionId, PaymentId, PaymentStatus, ProfileId, ProfileSessionId, Timestamp};

use super::AttentionCode;

/// Something that leads to a subject.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Lookup {
    /// The merchant's own reference of an order; unique for the merchant.
    OrderReference(String),
    /// A provider's own id of what one of our attempts made there.
    ProviderReference {
        /// The account.
        account: String,
        /// The provider's id.
        reference: String,
    },
    /// A payment in the merchant's list.
    Payment {
        /// Its id.
        id: PaymentId,
        /// Its account; empty for a merchant's own collection.
        account: String,
        /// Its status.
        status: PaymentStatus,
        /// Whether its outcome is awaited.
        open: bool,
        /// When it was created.
        created_at: Timestamp,
    },
    /// An attention in the merchant's list.
    Attention {
        /// Its id.
        id: AttentionId,
        /// The account it is about; empty for a merchant's own collection.
        account: String,
        /// Its code.
        code: AttentionCode,
        /// Whether it waits for a decision.
        open: bool,
        /// When it was raised.
        raised_at: Timestamp,
    },
    /// A stored method among its customer's.
    CustomerProfile {
        /// The merchant's own id of the customer.
        customer_id: String,
        /// The method.
        id: ProfileId,
    },
    /// A provider's own id of a stored method; unique for the account.
    ProfileReference {
        /// The account.
        account: String,
        /// The provider's id.
        reference: String,
    },
    /// A profile session that an order was submitted with; it serves one order.
    ProfileSessionUsed(ProfileSessionId),
}

/// What a change takes away and what it adds, by the rows before and after.
pub fn difference(mut before: Vec<Lookup>, mut after: Vec<Lookup>) -> (Vec<Lookup>, Vec<Lookup>) {
    before.sort_unstable();
    after.sort_unstable();
    let gone = before.iter().filter(|row| after.binary_search(row).is_err()).cloned().collect();
    after.retain(|row| before.binary_search(row).is_err());
    (gone, after)
}
