//! Fetching the status of a payment from its provider.

use std::sync::Arc;
use std::time::Duration;

use moka::future::Cache;
use port::{
    AttemptId, OrderId, PaymentId, PaymentStatus, ProfileSessionId, ProviderError, ProviderStatus, SessionId,
    Timestamp,
};

use super::task::OrderTask;
use super::{Account, PaymentError, Payments, ReadPass, Redirect, Result};
use crate::domain::attention::readability;
use crate::domain::session_end::left_by_customer;
use crate::domain::{Attempt, Context, Lane, OrderAggregate, Urgency, next_read, number_of};
use crate::engine::Command;
use crate::store::{Change, Due, JobSubject, Wake, Write};

/// How far apart reads of the same payment are that returns, notifications and merchants cause. Reads for an operation do
/// not wait.
pub(super) const MIN_FETCH_INTERVAL: Duration = Duration::from_secs(5);

/// The most payments that are remembered.
const MAX_REMEMBERED: u64 = 100_000;

/// The number drawn at which jitter changes nothing.
pub(super) const NO_JITTER: u64 = 2;

/// Which reads were made lately or are under way. In memory only: after a restart some reads are repeated, and a cancelled
/// checkout may lack its reason.
pub struct FetchLog {
    /// One read of a payment at a time serves all who wait for it.
    under_way: Cache<PaymentId, Arc<Result<Arc<OrderAggregate>>>>,
    fetched: moka::sync::Cache<PaymentId, Timestamp>,
    /// Payments to be read after a notification, until a read begins.
    notified: moka::sync::Cache<PaymentId, Timestamp>,
    /// When the customer of a payment last came back.
    returned: moka::sync::Cache<PaymentId, Timestamp>,
    /// Payments whose customer last came back by the cancel redirect.
    left: moka::sync::Cache<PaymentId, ()>,
    pub(super) profile_fetched: moka::sync::Cache<ProfileSessionId, Timestamp>,
}

impl Default for FetchLog {
    fn default() -> Self {
        Self {
            // A caller who goes away cannot remove what it waited for.
            under_way: Cache::builder().max_capacity(MAX_REMEMBERED).time_to_live(MIN_FETCH_INTERVAL).build(),
            fetched: moka::sync::Cache::new(MAX_REMEMBERED),
            notified: moka::sync::Cache::new(MAX_REMEMBERED),
            returned: moka::sync::Cache::new(MAX_REMEMBERED),
            left: moka::sync::Cache::new(MAX_REMEMBERED),
            profile_fetched: moka::sync::Cache::new(MAX_REMEMBERED),
        }
    }
}

impl Payments {
    /// Takes a read of a session's account, for a call to its provider.
    ///
    /// # Errors
    /// [`PaymentError::Provider`] (`Busy`) if there is none.
    pub fn spend_read_for(&self, order: &OrderAggregate, session: SessionId, pass: &ReadPass) -> Result<()> {
        let attempt = order.session(session).and_then(|session| order.attempt(session.attempt));
        let Some(attempt) = attempt else { return Ok(()) };
        Ok(self.providers.spend_read(&*self.providers.account(&attempt.account)?, pass)?)
    }

    /// Reads a payment at its provider, changes the order accordingly, and returns it. Simultaneous callers share one
    /// read, unless a customer has come back or a notification has come since it began. A failed read changes nothing;
    /// since when answers cannot be read is recorded.
    pub async fn fetch_status(
        &self,
        order: OrderId,
        payment: PaymentId,
        command: &Command,
        pass: &ReadPass,
    ) -> Result<Arc<OrderAggregate>> {
        self.fetch_shared(order, payment, command, pass, pass.is_for_customer()).await
    }

    /// The same; `anew` says that no read which began before this call will do.
    pub(super) async fn fetch_shared(
        &self,
        order: OrderId,
        payment: PaymentId,
        command: &Command,
        pass: &ReadPass,
        anew: bool,
    ) -> Result<Arc<OrderAggregate>> {
        let (this, command) = (self.clone(), command.following());
        let (read_command, read_pass) = (command.clone(), pass.clone());
        let read = async move { Arc::new(this.fetch_alone(order, payment, &read_command, &read_pass).await) };
        let under_way = &self.fetches.under_way;
        let answer = under_way.entry(payment).or_insert_with(Box::pin(read)).await;
        under_way.invalidate(&payment).await;
        // A read that was under way began before this was called, so it may have missed what this is called for.
        let missed = anew || self.awaits_fetch(payment);
        match !answer.is_fresh() && missed {
            true => self.fetch_alone(order, payment, &command, pass).await,
            false => (**answer.value()).clone(),
        }
    }

    /// Remembers by which redirect the customer has come back. It changes nothing, but says why a payment has failed
    /// whose provider does not.
    pub fn customer_returned(&self, payment: PaymentId, redirect: Redirect) {
        match redirect {
            Redirect::Cancel => self.fetches.left.insert(payment, ()),
            _ => self.fetches.left.invalidate(&payment),
        }
    }

    /// The same where the failure was read before the customer came back: the session gets its reason now.
    pub async fn record_customer_left(
        &self,
        order: OrderId,
        session: SessionId,
        command: &Command,
    ) -> Result<Arc<OrderAggregate>> {
        let mut order = self.engine.existing::<OrderAggregate>(order.uuid()).await?;
        let task = &mut self.task(&mut order, command, &ReadPass::of(Urgency::Customer));
        task.extend("customer left", |context| left_by_customer(context.order, session)).await?;
        Ok(order.current().clone())
    }

    /// Whether the customer last came back by the cancel redirect.
    pub(super) fn customer_left(&self, payment: PaymentId) -> bool {
        self.fetches.left.contains_key(&payment)
    }

    /// Reserves a read for a customer who has come back, and returns how long to wait for it: a read that another return
    /// has caused or reserved keeps its distance. `None` if that would be `at_most` or longer.
    pub fn reserve_customer_fetch(&self, payment: PaymentId, at_most: Duration) -> Option<Duration> {
        let (now, last) = (self.engine.now(), self.past(self.fetches.returned.get(&payment)));
        let wait = last.map_or(Duration::ZERO, |last| last.plus(MIN_FETCH_INTERVAL).since(now));
        let soon = (wait < at_most).then_some(wait)?;
        self.fetches.returned.insert(payment, now.plus(soon));
        Some(soon)
    }

    /// Reads because the customer has come back, as [reserved](Self::reserve_customer_fetch). If the customers' share of
    /// the account's reads is used up, a job reads as soon as there is one.
    pub async fn fetch_status_for_customer(
        &self,
        order: Arc<OrderAggregate>,
        payment: PaymentId,
        command: &Command,
    ) -> Result<Arc<OrderAggregate>> {
        tracing::info!(order.id = %order.id(), payment.id = %payment, "a customer has returned");
        let now = self.engine.now();
        let pass = ReadPass::of(Urgency::Customer);
        let fetched = self.fetch_status(order.id(), payment, command, &pass).await;
        if let Err(PaymentError::Provider(ProviderError::Busy { .. })) = &fetched {
            self.wake(&order, payment, Urgency::Customer, now).await?;
        }
        fetched
    }

    /// Reads because the merchant requests it, at most as often as the polling schedule would.
    pub async fn fetch_status_for_merchant(
        &self,
        order: Arc<OrderAggregate>,
        payment: PaymentId,
        command: &Command,
    ) -> Result<Arc<OrderAggregate>> {
        let last = self.past(self.fetches.fetched.get(&payment));
        let allowed = |last: Timestamp| {
            let found = order.payment(payment);
            let next = found.and_then(|payment| next_read(&order, payment, last, NO_JITTER));
            next.unwrap_or(last.plus(2 * MIN_FETCH_INTERVAL)) <= self.engine.now()
        };
        if last.is_some_and(|last| !allowed(last)) {
            return Ok(order);
        }
        self.fetch_status(order.id(), payment, command, &ReadPass::of(Urgency::Customer)).await
    }

    /// Schedules a read of the payment that a notification names, once for any number of notifications. Returns which,
    /// and when; until a read [begins](Payments::awaits_fetch) another notification adds nothing. One that says that a
    /// payment which waits for its customer still does, as of every new checkout, leaves it to its schedule. `None`:
    /// the notification is unmatched.
    pub async fn schedule_notified_fetch(
        &self,
        account: &Account,
        reference: &str,
        says: Option<&ProviderStatus>,
    ) -> Result<Option<(PaymentId, Timestamp)>> {
        let still_waits = says.is_some_and(|status| account.statuses.means(status, PaymentStatus::Pending));
        let account = account.name.as_str();
        let store = &self.engine.store;
        for subject in store.with_provider_reference(account, reference).await? {
            let Some(order) = store.load::<OrderAggregate>(subject).await? else { continue };
            let named = |attempt: &&Attempt| attempt.account == account && attempt.is_called(reference);
            let named = order.attempts.iter().find(named);
            let Some(payment) = named.and_then(|attempt| order.payment_of(attempt)) else { continue };
            let now = self.engine.now();
            if still_waits && payment.status() == PaymentStatus::Pending {
                return Ok(Some((payment.id, now)));
            }
            let last = self.past(self.fetches.fetched.get(&payment.id));
            let at = last.map_or(now, |last| last.plus(MIN_FETCH_INTERVAL)).max(now);
            self.fetches.notified.insert(payment.id, at);
            self.wake(&order, payment.id, Urgency::Notified, at).await?;
            tracing::info!(order.id = %order.id(), payment.id = %payment.id, account.name = account,
                "a notification has come");
            return Ok(Some((payment.id, at)));
        }
        Ok(None)
    }

    async fn wake(
        &self,
        order: &OrderAggregate,
        payment: PaymentId,
        urgency: Urgency,
        at: Timestamp,
    ) -> Result<()> {
        let attempt = order.payment(payment).and_then(|payment| order.attempt(payment.attempt?));
        let Some(attempt) = attempt else { return Ok(()) };
        let wake = Wake {
            subject: order.id().uuid(),
            kind: JobSubject::Order,
            lane: Lane::Account(attempt.account.clone()),
            due: Due { at, urgency },
            attempt: Some(number_of(attempt.id.uuid())),
        };
        Ok(self.engine.commit(Change::plain("wake", vec![Write::Wake(wake)])).await?)
    }

    /// Whether a notification about a payment has come since its last read began. A read for any reason answers the
    /// notifications that came before it, and none that come after.
    pub fn awaits_fetch(&self, payment: PaymentId) -> bool {
        self.fetches.notified.contains_key(&payment)
    }

    /// Whether the last read is so recent that another now is too early.
    pub fn fetched_lately(&self, payment: PaymentId) -> bool {
        let last = self.past(self.fetches.fetched.get(&payment));
        last.is_some_and(|last| self.engine.now() < last.plus(MIN_FETCH_INTERVAL))
    }

    /// Whether the last read of a payment began before `moment`, so that it may miss what happened by then.
    pub fn fetched_before(&self, payment: PaymentId, moment: Timestamp) -> bool {
        self.fetches.fetched.get(&payment).is_some_and(|last| last < moment)
    }

    /// When something was last done, unless that is in the future, since the clock was set back.
    pub(super) fn past(&self, last: Option<Timestamp>) -> Option<Timestamp> {
        last.filter(|last| *last <= self.engine.now().plus(MIN_FETCH_INTERVAL))
    }

    async fn fetch_alone(
        &self,
        order: OrderId,
        payment: PaymentId,
        command: &Command,
        pass: &ReadPass,
    ) -> Result<Arc<OrderAggregate>> {
        let mut order = self.engine.existing::<OrderAggregate>(order.uuid()).await?;
        let found = order.payment(payment).filter(|payment| !payment.external);
        let Some(attempt) = found.and_then(|found| order.attempt(found.attempt?)) else {
            return Ok(order.current().clone());
        };
        let account = self.providers.account(&attempt.account)?;
        let view = attempt.for_adapter(order.id());
        self.providers.spend_read(&account, pass)?;
        self.fetches.fetched.insert(payment, self.engine.now());
        self.fetches.notified.remove(&payment);
        let seen = self.providers.fetch(&account, &view).await;
        let task = &mut self.task(&mut order, command, pass);
        match seen {
            Ok(seen) => {
                self.observe(task, &account, view.id, &seen, &[]).await?;
                Ok(order.current().clone())
            }
            Err(error) => {
                if let ProviderError::Unreadable(why) = &error {
                    self.record_unreadable(task, payment, view.id, why).await?;
                }
                Err(error.into())
            }
        }
    }

    /// Logs an answer that cannot be read, and records since when that is so.
    async fn record_unreadable(
        &self,
        order: &mut OrderTask<'_>,
        payment: PaymentId,
        attempt: AttemptId,
        why: &str,
    ) -> Result<()> {
        tracing::warn!(order.id = %order.id(), payment.id = %payment, attempt.id = %attempt,
            "what the provider answers about a payment cannot be read: {why}");
        let unreadable = |context: &mut Context<'_>| readability(context.order, attempt, false);
        order.extend("unreadable", unreadable).await.map(drop)
    }
}
