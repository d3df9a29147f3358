//! The configured accounts: each an adapter with its status table, its address and its read limit.

use std::collections::BTreeMap;
use std::sync::Arc;

use port::{
    About, AttemptId, CaptureSupport, Captures, Provider, RefundSupport, Secret, StatusTable, TableError,
};

use super::ReadLimiter;
use crate::domain::PaymentCapabilities;

/// One configured account of one provider.
pub struct Account {
    /// Its name in `accounts.toml`, in routing and in answers.
    pub name: String,
    pub adapter: Box<dyn Provider>,
    pub statuses: StatusTable,
    pub base_url: String,
    /// Whether its payments are tests.
    pub is_test: bool,
    /// The secret part of the address for notifications.
    pub notify_key: Option<Secret>,
    pub reads: ReadLimiter,
    pub poll_after_capture_days: u32,
    /// The attempts whose last read has failed.
    pub failing_reads: moka::sync::Cache<AttemptId, ()>,
}

/// Reads a second unless set: the most that can be configured.
const MAX_READS: u32 = 1_000;

/// How many failing reads are remembered.
const MAX_FAILING: u64 = 50_000;

impl Account {
    /// # Errors
    /// [`TableError`] if the table of statuses cannot be read.
    pub fn new(
        name: String,
        adapter: Box<dyn Provider>,
        base_url: String,
        is_test: bool,
        notify_key: Option<Secret>,
    ) -> Result<Self, TableError> {
        let statuses = StatusTable::parse(adapter.about().statuses)?;
        let reads = ReadLimiter::new(MAX_READS);
        let failing_reads = moka::sync::Cache::new(MAX_FAILING);
        Ok(Self {
            name,
            adapter,
            statuses,
            base_url,
            is_test,
            notify_key,
            reads,
            poll_after_capture_days: 0,
            failing_reads,
        })
    }

    pub fn about(&self) -> &'static About {
        self.adapter.about()
    }

    pub fn capabilities(&self) -> PaymentCapabilities {
        let capabilities = &self.about().capabilities;
        PaymentCapabilities {
            authorizes: matches!(capabilities.capture, CaptureSupport::ManualToo(_)),
            one_capture: capabilities.capture == CaptureSupport::ManualToo(Captures::One),
            closes: capabilities.cancel.cancels_checkout(),
            voids: capabilities.cancel.voids_authorization(),
            refunds: capabilities.refund != RefundSupport::None,
            partial_refunds: capabilities.refund == RefundSupport::Partial,
            authorization_seconds: capabilities
                .limits
                .authorization_lifetime
                .map(|lifetime| lifetime.as_secs()),
            poll_after_capture_days: self.poll_after_capture_days,
        }
    }
}

/// Every configured account by its name.
#[derive(Clone, Default)]
pub struct Accounts(BTreeMap<String, Arc<Account>>);

impl Accounts {
    pub fn new(accounts: impl IntoIterator<Item = Account>) -> Self {
        Self(accounts.into_iter().map(|account| (account.name.clone(), Arc::new(account))).collect())
    }

    pub fn get(&self, name: &str) -> Option<&Arc<Account>> {
        self.0.get(name)
    }

    /// Sorted by name.
    pub fn iter(&self) -> impl Iterator<Item = &Arc<Account>> {
        self.0.values()
    }
}
