//! What merchants want done at once with money that no order goes on with.

use std::collections::{BTreeMap, BTreeSet};

use crate::domain::AttentionCode;

/// The reasons for which money is refunded without asking a person; for all others it waits for one.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RefundPolicies {
    /// Of merchants that have none of their own.
    pub common: BTreeSet<AttentionCode>,
    /// Of those that have, by name.
    pub own: BTreeMap<String, BTreeSet<AttentionCode>>,
}

impl RefundPolicies {
    /// Whether a merchant's money is refunded for this reason.
    pub fn refunds(&self, merchant: &str, code: AttentionCode) -> bool {
        self.own.get(merchant).unwrap_or(&self.common).contains(&code)
    }
}
