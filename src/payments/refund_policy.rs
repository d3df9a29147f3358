//! For which reasons a merchant's money is refunded at once.

use std::collections::{BTreeMap, BTreeSet};

use crate::domain::AttentionCode;

/// The reasons for which money is refunded without a person's decision; for all others it waits for one.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RefundPolicies {
    /// For merchants without a policy of their own.
    pub common: BTreeSet<AttentionCode>,
    pub own: BTreeMap<String, BTreeSet<AttentionCode>>,
}

impl RefundPolicies {
    pub fn refunds(&self, merchant: &str, code: AttentionCode) -> bool {
        self.own.get(merchant).unwrap_or(&self.common).contains(&code)
    }
}
