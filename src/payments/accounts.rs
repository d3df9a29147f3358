//! The configured accounts: each an adapter with its statuses, its address and how often it may be read.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use port::{About, CaptureSupport, Captures, Provider, RefundSupport, Secret, StatusTable, TableError};

use super::ReadLimiter;
use crate::domain::PaymentCapabilities;

/// One configured account of one provider.
pub struct Account {
    /// Its name in `accounts.toml`, in routing and in answers.
    pub name: String,
    /// The adapter, made for this account.
    pub adapter: Box<dyn Provider>,
    /// What the provider's statuses mean.
    pub statuses: StatusTable,
    /// Where the provider listens.
    pub base_url: String,
    /// Whether its payments are tests.
    pub is_test: bool,
    /// The secret part of the address that the provider notifies.
    pub notify_key: Option<Secret>,
    /// How often its provider may be asked.
    pub reads: ReadLimiter,
    /// For how many days a paid payment is asked about daily.
    pub poll_after_capture_days: u32,
}

/// Reads a second where nobody has said how many: as many as can be configured.
const MAX_READS: u32 = 1_000;

impl Account {
    /// An account for an adapter.
    ///
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
        Ok(Self { name, adapter, statuses, base_url, is_test, notify_key, reads, poll_after_capture_days: 0 })
    }

    /// With so many reads a second on average.
    #[must_use]
    pub fn reads_per_second(self, reads: u32) -> Self {
        Self { reads: ReadLimiter::new(reads), ..self }
    }

    /// Asking about a paid payment daily, for so many days.
    #[must_use]
    pub fn poll_after_capture(self, poll_after_capture_days: u32) -> Self {
        Self { poll_after_capture_days, ..self }
    }

    /// What its adapter says of itself.
    pub fn about(&self) -> &'static About {
        self.adapter.about()
    }

    /// What it can do with a payment.
    pub fn capabilities(&self) -> PaymentCapabilities {
        let capabilities = &self.about().capabilities;
        PaymentCapabilities {
            authorizes: matches!(capabilities.capture, CaptureSupport::ManualToo(_)),
            one_capture: capabilities.capture == CaptureSupport::ManualToo(Captures::One),
            closes: capabilities.cancel.cancels_checkout(),
            voids: capabilities.cancel.voids_authorization(),
            refunds: capabilities.refund != RefundSupport::None,
            partial_refunds: capabilities.refund == RefundSupport::Partial,
            authorization_seconds: capabilities.limits.authorization_lifetime.map(|hold| hold.as_secs()),
            poll_after_capture_days: self.poll_after_capture_days,
        }
    }
}

impl fmt::Debug for Account {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Account({})", self.name)
    }
}

/// Every configured account by its name.
#[derive(Clone, Debug, Default)]
pub struct Accounts(BTreeMap<String, Arc<Account>>);

impl Accounts {
    /// Of these accounts.
    pub fn new(accounts: impl IntoIterator<Item = Account>) -> Self {
        Self(accounts.into_iter().map(|account| (account.name.clone(), Arc::new(account))).collect())
    }

    /// An account by its name.
    pub fn get(&self, name: &str) -> Option<&Arc<Account>> {
        self.0.get(name)
    }

    /// Every account, by name.
    pub fn iter(&self) -> impl Iterator<Item = &Arc<Account>> {
        self.0.values()
    }
}
