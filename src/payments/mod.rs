//! Money use cases: starting a payment, asking about it, and acting on it.
//!
//! [`Payments::call`] is the only caller of adapters, and [`Payments::observe`] the only place where what a
//! provider said reaches an order. Nothing is sent before the intent is committed; nothing that may have
//! worked is sent again before the provider was asked.

mod accounts;
mod adopt;
mod ask;
mod begin;
mod budget;
mod call;
mod observe;
mod operate;
mod profiles;
mod remedies;
mod returns;
mod settle;

pub use accounts::{Account, Accounts};
pub use begin::{Begun, CheckoutAsk};
pub use budget::{Budget, Wish};
pub use profiles::{ProfileKey, ProfileSessionAsk};
pub use remedies::Remedies;
pub use returns::{Redirect, Returns, attempt_of, read_token};

use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use moka::future::Cache;
use port::{AttemptId, Env, OrderId, PaymentId, ProfileSessionId, ProviderError, Timestamp, Transport, Uuid};
use tokio::sync::Notify;

use crate::domain::{Cause, DomainError, Event, EventMeta, JobKind, OrderAggregate, Payment, next_read};
use crate::metrics::Metrics;
use crate::routing::{RouteError, Rules};
use crate::store::{Change, Outbox, Store, StoreError, Write};

/// How often a change is decided anew after somebody was faster.
const MOST_CONFLICTS: u32 = 16;

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
    pub source: Arc<dyn Env>,
    /// Counters.
    pub metrics: Arc<Metrics>,
    /// Return addresses.
    pub returns: Returns,
    /// Whether a hosted page whose start was never answered may be opened at another account.
    pub failover_after_unknown: bool,
    /// What merchants want done with money that nobody waits for.
    pub remedies: ArcSwap<Remedies>,
    /// For how long notifications are kept, to act on them again.
    pub keep_notes: Duration,
    /// Wakes the agenda when something is due at once.
    pub wake: Notify,
    /// Who is to be told of what happens to orders.
    pub outbox: Arc<Outbox>,
    /// One read of a payment at a time answers all who wait for it.
    reading: Cache<PaymentId, Arc<Result<OrderAggregate, PaymentError>>>,
    /// When a payment was last asked about; only spares reads, nothing relies on it.
    asked: moka::sync::Cache<PaymentId, Timestamp>,
    /// When a hint wants a payment to be asked about; a read that is under way does not answer it.
    hinted: moka::sync::Cache<PaymentId, Timestamp>,
    /// When a session that stores a method was last asked about, likewise.
    saving_asked: moka::sync::Cache<ProfileSessionId, Timestamp>,
    /// When the customer of a payment last came back, likewise.
    returned: moka::sync::Cache<PaymentId, Timestamp>,
}

/// For how long notifications are kept where nobody says otherwise.
const KEEP_NOTES: Duration = Duration::from_secs(90 * 24 * 3_600);

/// What is kept of payments that were asked about lately.
const MOST_REMEMBERED: u64 = 100_000;

impl Shared {
    /// Everything that workers share.
    pub fn new(
        accounts: Accounts,
        rules: Arc<Rules>,
        store: Arc<dyn Store>,
        source: Arc<dyn Env>,
        metrics: Arc<Metrics>,
        returns: Returns,
        failover_after_unknown: bool,
    ) -> Self {
        Self {
            accounts,
            rules: ArcSwap::new(rules),
            store,
            source,
            metrics,
            returns,
            failover_after_unknown,
            remedies: ArcSwap::default(),
            keep_notes: KEEP_NOTES,
            wake: Notify::new(),
            outbox: Arc::default(),
            reading: Cache::new(MOST_REMEMBERED),
            asked: moka::sync::Cache::new(MOST_REMEMBERED),
            hinted: moka::sync::Cache::new(MOST_REMEMBERED),
            saving_asked: moka::sync::Cache::new(MOST_REMEMBERED),
            returned: moka::sync::Cache::new(MOST_REMEMBERED),
        }
    }

    /// The present moment.
    pub fn now(&self) -> Timestamp {
        self.source.now()
    }

    /// A source of new ids for one decision.
    pub fn ids(&self) -> impl FnMut() -> Uuid + '_ {
        || self.source.uuid()
    }

    /// A number that nobody can foresee.
    pub fn draw(&self) -> u64 {
        let [a, b, c, d, e, f, g, h, ..] = self.source.nonce();
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
        mut decide: impl FnMut(&OrderAggregate, Timestamp) -> Result<Decided, E>,
    ) -> Result<bool, E> {
        for _ in 0..MOST_CONFLICTS {
            let now = self.now();
            let decided = decide(order, now)?;
            if decided.is_nothing() {
                return Ok(false);
            }
            let mut next = order.clone();
            let change = decided.into_change(name, &mut next, self, cause, now)?;
            match self.commit(&next.header.merchant, change).await {
                Ok(()) => {
                    self.tell_of(order, &next);
                    *order = next;
                    return Ok(true);
                }
                Err(StoreError::Conflict) => *order = self.file(order.id()).await?,
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
        self.outbox.make_sure(&*self.store).await?;
        let owed = self.outbox.owed(merchant, &change, self.now());
        let tells = !owed.is_empty();
        change.writes.extend(owed);
        self.store.commit(change).await?;
        if tells {
            self.outbox.wake();
        }
        Ok(())
    }

    /// An order that is known to exist.
    ///
    /// # Errors
    /// [`StoreError`]; `Corrupt` if it is gone.
    pub async fn file(&self, order: OrderId) -> Result<OrderAggregate, StoreError> {
        let found = self.store.order(order).await?;
        found.ok_or_else(|| StoreError::Corrupt(format!("order {order} is gone")))
    }

    /// Counts and logs what a committed change did to payments and attention.
    fn tell_of(&self, before: &OrderAggregate, after: &OrderAggregate) {
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
pub struct Decided {
    /// What happened.
    pub events: Vec<Event>,
    /// Rows beside it: a key, something due.
    pub with: Vec<Write>,
    /// The attempt whose provider was asked, so that the moment to ask again is written.
    pub asked: Option<AttemptId>,
}

impl Decided {
    fn is_nothing(&self) -> bool {
        self.events.is_empty() && self.with.is_empty() && self.asked.is_none()
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
        change.writes.splice(0..0, self.with);
        change.writes.extend(self.asked.and_then(|attempt| shared.ask_again(order, attempt, now)));
        Ok(change)
    }
}

impl From<Vec<Event>> for Decided {
    fn from(events: Vec<Event>) -> Self {
        Self { events, ..Self::default() }
    }
}

impl Shared {
    /// When the provider is to be asked about an attempt again, as the file is now.
    fn ask_again(&self, order: &OrderAggregate, attempt: AttemptId, now: Timestamp) -> Option<Write> {
        let payment = order.attempt(attempt).and_then(|record| order.payment_of(record))?;
        let next = next_read(order, payment, now, self.draw());
        let at = [next, self.hinted.get(&payment.id)].into_iter().flatten().min();
        Some(Write::Due {
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
