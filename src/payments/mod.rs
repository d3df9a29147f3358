//! Money use cases: starting a payment, asking about it, and acting on it.
//!
//! [`Payments::call`] is the only caller of adapters, and [`Payments::observe`] the only place where what a
//! provider said reaches an order. Nothing is sent before the intent is committed; nothing that may have
//! worked is sent again before the provider was asked.

mod accept_start;
mod accounts;
mod call;
mod fetch_status;
mod observe;
mod operate;
mod profiles;
mod read_limiter;
mod refund_policies;
mod resolve_unknown;
mod returns;
mod start;

pub use accounts::{Account, Accounts};
pub use profiles::{ProfileKey, ProfileSessionRequest};
pub use read_limiter::{Priority, ReadLimiter};
pub use refund_policies::RefundPolicies;
pub use returns::{Redirect, Returns, attempt_of, read_token};
pub use start::{CheckoutRequest, StartOutcome};

use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use moka::future::Cache;
use port::{AttemptId, Env, OrderId, PaymentId, ProfileSessionId, ProviderError, Timestamp, Transport, Uuid};
use tokio::sync::Notify;

use crate::domain::{Cause, DomainError, Event, EventMeta, JobKind, OrderAggregate, Payment, next_read};
use crate::metrics::Metrics;
use crate::routing::{RouteError, Rules};
use crate::store::{Change, EndpointRegistry, Store, StoreError, Write};

/// How often a change is decided anew after somebody was faster.
const MAX_CONFLICTS: u32 = 16;

/// The money use cases. One for each worker: its own way out, everything else shared.
#[derive(Clone)]
pub struct Payments {
    /// What all workers share.
    pub shared: Arc<Shared>,
    /// This worker's way out.
    pub transport: Arc<dyn Transport>,
}

/// What all workers share.
pub struct Shared {
    /// The configured accounts.
    pub accounts: Accounts,
    /// The active routing.
    pub rules: ArcSwap<Rules>,
    /// Where everything is kept.
    pub store: Arc<dyn Store>,
    /// Time, ids, chance.
    pub env: Arc<dyn Env>,
    /// Counters.
    pub metrics: Arc<Metrics>,
    /// Return addresses.
    pub returns: Returns,
    /// Whether a hosted page whose start was never answered may be opened at another account.
    pub failover_after_unknown: bool,
    /// What merchants want done with money that nobody waits for.
    pub refund_policies: ArcSwap<RefundPolicies>,
    /// For how long notifications are kept, to act on them again.
    pub keep_notifications: Duration,
    /// Wakes the agenda when something is due at once.
    pub wake: Notify,
    /// Who is to be told of what happens to orders.
    pub endpoint_registry: Arc<EndpointRegistry>,
    /// One read of a payment at a time answers all who wait for it.
    reading: Cache<PaymentId, Arc<Result<OrderAggregate, PaymentError>>>,
    /// When a payment was last asked about; only spares reads, nothing relies on it.
    fetched: moka::sync::Cache<PaymentId, Timestamp>,
    /// When a hint wants a payment to be asked about; a read that is under way does not answer it.
    hinted: moka::sync::Cache<PaymentId, Timestamp>,
    /// When a session that stores a method was last asked about, likewise.
    profile_fetched: moka::sync::Cache<ProfileSessionId, Timestamp>,
    /// When the customer of a payment last came back, likewise.
    returned: moka::sync::Cache<PaymentId, Timestamp>,
}

/// For how long notifications are kept where nobody says otherwise.
const KEEP_NOTIFICATIONS: Duration = Duration::from_secs(90 * 24 * 3_600);

/// What is kept of payments that were asked about lately.
const MAX_REMEMBERED: u64 = 100_000;

impl Shared {
    /// Everything that workers share.
    pub fn new(
        accounts: Accounts,
        rules: Arc<Rules>,
        store: Arc<dyn Store>,
        env: Arc<dyn Env>,
        metrics: Arc<Metrics>,
        returns: Returns,
        failover_after_unknown: bool,
    ) -> Self {
        Self {
            accounts,
            rules: ArcSwap::new(rules),
            store,
            env,
            metrics,
            returns,
            failover_after_unknown,
            refund_policies: ArcSwap::default(),
            keep_notifications: KEEP_NOTIFICATIONS,
            wake: Notify::new(),
            endpoint_registry: Arc::default(),
            reading: Cache::new(MAX_REMEMBERED),
            fetched: moka::sync::Cache::new(MAX_REMEMBERED),
            hinted: moka::sync::Cache::new(MAX_REMEMBERED),
            profile_fetched: moka::sync::Cache::new(MAX_REMEMBERED),
            returned: moka::sync::Cache::new(MAX_REMEMBERED),
        }
    }

    /// The present moment.
    pub fn now(&self) -> Timestamp {
        self.env.now()
    }

    /// A source of new ids for one decision.
    pub fn ids(&self) -> impl FnMut() -> Uuid + '_ {
        || self.env.uuid()
    }

    /// A number that nobody can foresee.
    pub fn draw(&self) -> u64 {
        let [a, b, c, d, e, f, g, h, ..] = self.env.nonce();
        u64::from_le_bytes([a, b, c, d, e, f, g, h])
    }

    /// Decides on a file and commits what follows, as often as somebody else was faster. The file is brought
    /// along, so the usual change reads nothing back.
    ///
    /// # Errors
    /// The decision's own, and [`StoreError`].
    pub async fn change<E: From<StoreError>>(
        &self,
        name: &'static str,
        order: &mut OrderAggregate,
        cause: &Cause,
        mut decide: impl FnMut(&OrderAggregate, Timestamp) -> Result<Effects, E>,
    ) -> Result<bool, E> {
        for _ in 0..MAX_CONFLICTS {
            let now = self.now();
            let effects = decide(order, now)?;
            if effects.is_nothing() {
                return Ok(false);
            }
            let mut next = order.clone();
            let change = effects.into_change(name, &mut next, self, cause, now)?;
            match self.commit(&next.header.merchant, change).await {
                Ok(()) => {
                    self.record_metrics(order, &next);
                    *order = next;
                    return Ok(true);
                }
                Err(StoreError::Conflict) => *order = self.order(order.id()).await?,
                Err(fault) => return Err(fault.into()),
            }
        }
        Err(StoreError::Busy.into())
    }

    /// Commits a change of a merchant's order, with what it makes owed to the merchant's endpoints.
    ///
    /// # Errors
    /// [`StoreError`]; then nothing is written.
    pub async fn commit(&self, merchant: &str, mut change: Change) -> Result<(), StoreError> {
        self.endpoint_registry.ensure_fresh(&*self.store).await?;
        let owed = self.endpoint_registry.enqueue(merchant, &change, self.now());
        let tells = !owed.is_empty();
        change.writes.extend(owed);
        self.store.commit(change).await?;
        if tells {
            self.endpoint_registry.wake();
        }
        Ok(())
    }

    /// An order that is known to exist.
    ///
    /// # Errors
    /// [`StoreError`]; `Corrupt` if it is gone.
    pub async fn order(&self, order: OrderId) -> Result<OrderAggregate, StoreError> {
        let found = self.store.order(order).await?;
        found.ok_or_else(|| StoreError::Corrupt(format!("order {order} is gone")))
    }

    /// Counts and logs what a committed change did to payments and attention.
    fn record_metrics(&self, before: &OrderAggregate, after: &OrderAggregate) {
        for payment in &after.payments {
            let was = before.payment(payment.id).map(Payment::status);
            let account = payment.attempt.and_then(|id| self.accounts.get(&after.attempt(id)?.account));
            if was != Some(payment.status()) {
                let provider = account.map_or("external", |account| account.about().name);
                let status = payment.status().as_str();
                self.metrics.payment_changed(provider, status);
                tracing::info!(order.id = %after.id(), payment.id = %payment.id, provider.name = provider,
                    "payment {} is {status}", payment.id);
            }
        }
        for attention in after.attention.iter().filter(|attention| before.attention(attention.id).is_none()) {
            let code = attention.code.as_str();
            self.metrics.attention_raised(code);
            tracing::warn!(order.id = %after.id(), attention.code = code, "order {} needs a look: {code}", after.id());
            // The merchant's policy may have something to say about it at once.
            self.wake.notify_one();
        }
    }
}

/// What a decision wants written.
#[derive(Debug, Default)]
pub struct Effects {
    /// What happened.
    pub events: Vec<Event>,
    /// Rows beside it: a key, something due.
    pub writes: Vec<Write>,
    /// The attempt whose provider was asked, so that the moment to ask again is written.
    pub fetched: Option<AttemptId>,
}

impl Effects {
    fn is_nothing(&self) -> bool {
        self.events.is_empty() && self.writes.is_empty() && self.fetched.is_none()
    }

    fn into_change(
        self,
        name: &'static str,
        order: &mut OrderAggregate,
        shared: &Shared,
        cause: &Cause,
        now: Timestamp,
    ) -> Result<Change, StoreError> {
        let meta = EventMeta { at: now, cause };
        let mut change = Change::of(name, order, self.events, &meta, &mut shared.ids())?;
        // A key goes first, so that a repeat is known for one before anything else is in its way.
        change.writes.splice(0..0, self.writes);
        change.writes.extend(self.fetched.and_then(|attempt| shared.schedule_fetch(order, attempt, now)));
        Ok(change)
    }
}

impl From<Vec<Event>> for Effects {
    fn from(events: Vec<Event>) -> Self {
        Self { events, ..Self::default() }
    }
}

impl Shared {
    /// When the provider is to be asked about an attempt again, as the file is now.
    fn schedule_fetch(&self, order: &OrderAggregate, attempt: AttemptId, now: Timestamp) -> Option<Write> {
        let payment = order.attempt(attempt).and_then(|record| order.payment_of(record))?;
        let next = next_read(order, payment, now, self.draw());
        let at = [next, self.hinted.get(&payment.id)].into_iter().flatten().min();
        Some(Write::Job {
            kind: JobKind::FetchStatus,
            subject: payment.id.to_string(),
            order: Some(order.id()),
            at,
        })
    }
}

/// Why a money use case did not get through.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PaymentError {
    /// The state forbids it.
    #[error(transparent)]
    Refused(#[from] DomainError),
    /// There is nowhere to go.
    #[error(transparent)]
    Route(#[from] RouteError),
    /// The store did not work.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The provider did not work.
    #[error(transparent)]
    Provider(#[from] ProviderError),
    /// The merchant expected another version.
    #[error("the version is {actual}")]
    VersionMismatch {
        /// What it is.
        actual: u64,
    },
    /// The account of an attempt is not configured any more.
    #[error("the account `{0}` is not configured")]
    NoAccount(String),
}
