//! Asking a provider how a payment stands.

use std::sync::Arc;
use std::time::Duration;

use moka::future::Cache;
use port::{OrderId, PaymentId, ProfileSessionId, SessionId, Timestamp};

use super::providers::NoState;
use super::{PaymentError, Payments, ReadPass};
use crate::domain::{Lane, OrderAggregate, Urgency, next_read, number_of};
use crate::engine::Command;
use crate::store::{Change, Due, JobSubject, Wake, Write};

/// Two reads of the same payment are at least this far apart, whoever asks.
pub(super) const MIN_FETCH_INTERVAL: Duration = Duration::from_secs(5);

/// Payments that are remembered.
const MAX_REMEMBERED: u64 = 100_000;

/// A moment in the middle of what jitter makes of one.
pub(super) const NO_JITTER: u64 = 2;

/// Which reads were made lately or are under way. It only spares reads; nothing relies on it.
pub struct FetchLog {
    /// One read of a payment at a time answers all who wait for it.
    under_way: Cache<PaymentId, Arc<Result<Arc<OrderAggregate>, PaymentError>>>,
    /// When a payment was last read.
    fetched: moka::sync::Cache<PaymentId, Timestamp>,
    /// Payments that a notification wants read, until a read begins.
    notified: moka::sync::Cache<PaymentId, Timestamp>,
    /// When the customer of a payment last came back.
    returned: moka::sync::Cache<PaymentId, Timestamp>,
    /// When a profile session was last read.
    pub(super) profile_fetched: moka::sync::Cache<ProfileSessionId, Timestamp>,
}

impl Default for FetchLog {
    fn default() -> Self {
        Self {
            under_way: Cache::new(MAX_REMEMBERED),
            fetched: moka::sync::Cache::new(MAX_REMEMBERED),
            notified: moka::sync::Cache::new(MAX_REMEMBERED),
            returned: moka::sync::Cache::new(MAX_REMEMBERED),
            profile_fetched: moka::sync::Cache::new(MAX_REMEMBERED),
        }
    }
}

impl Payments {
    /// Takes a read of the account of a session, for something that costs its provider a call.
    ///
    /// # Errors
    /// [`PaymentError::Provider`] with a busy provider if there is none.
    pub fn spend_read_for(
        &self,
        order: &OrderAggregate,
        session: SessionId,
        pass: &ReadPass,
    ) -> Result<(), PaymentError> {
        let attempt = order.session(session).and_then(|session| order.attempt(session.attempt));
        let Some(attempt) = attempt else { return Ok(()) };
        Ok(self.providers.spend_read(&*self.providers.account(&attempt.account)?, pass)?)
    }

    /// Asks the provider about a payment, works in what it says, and answers the order. All who ask at the same time
    /// share one read.
    ///
    /// # Errors
    /// [`PaymentError`]; a failed read has changed nothing.
    pub async fn fetch_status(
        &self,
        order: OrderId,
        payment: PaymentId,
        command: &Command,
        pass: &ReadPass,
    ) -> Result<Arc<OrderAggregate>, PaymentError> {
        let under_way = &self.fetches.under_way;
        let (this, command, pass) = (self.clone(), command.following(), pass.clone());
        let read = async move { Arc::new(this.fetch_alone(order, payment, &command, &pass).await) };
        let answer = under_way.get_with(payment, Box::pin(read)).await;
        under_way.invalidate(&payment).await;
        (*answer).clone()
    }

    /// Asks because the customer has come back. One who reloads the page asks nobody twice. If the customers' share of
    /// the account's reads is used up, a job asks as soon as there is one.
    ///
    /// # Errors
    /// As [`Payments::fetch_status`].
    pub async fn fetch_status_for_customer(
        &self,
        order: Arc<OrderAggregate>,
        payment: PaymentId,
        command: &Command,
    ) -> Result<Arc<OrderAggregate>, PaymentError> {
        let now = self.engine.now();
        if self.fetches.returned.get(&payment).is_some_and(|last| now < last.plus(MIN_FETCH_INTERVAL)) {
            return Ok(order);
        }
        self.fetches.returned.insert(payment, now);
        let pass = ReadPass::of(Urgency::Customer);
        let fetched = self.fetch_status(order.id(), payment, command, &pass).await;
        if let Err(PaymentError::Provider(port::ProviderError::Busy { .. })) = &fetched {
            self.wake(&order, payment, Urgency::Customer, now).await?;
        }
        fetched
    }

    /// Asks because the merchant wants to know, at most as often as the polling schedule would.
    ///
    /// # Errors
    /// As [`Payments::fetch_status`].
    pub async fn fetch_status_for_merchant(
        &self,
        order: Arc<OrderAggregate>,
        payment: PaymentId,
        command: &Command,
    ) -> Result<Arc<OrderAggregate>, PaymentError> {
        let last = self.fetches.fetched.get(&payment);
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

    /// Has a payment that a notification names read soon, once for any number of notifications. Answers which, and
    /// when; until a read [begins](Payments::awaits_fetch) another notification adds nothing. `None`: it names nothing
    /// of ours.
    ///
    /// # Errors
    /// That of the store.
    pub async fn schedule_notified_fetch(
        &self,
        account: &str,
        reference: &str,
    ) -> Result<Option<(PaymentId, Timestamp)>, PaymentError> {
        let store = &self.engine.store;
        for subject in store.with_provider_reference(account, reference).await? {
            let Some(order) = store.load::<OrderAggregate>(subject).await? else { continue };
            let named = order.attempts.iter().find(|attempt| {
                attempt.account == account && attempt.reference.as_deref() == Some(reference)
            });
            let Some(payment) = named.and_then(|attempt| order.payment_of(attempt)) else { continue };
            let now = self.engine.now();
            let last = self.fetches.fetched.get(&payment.id);
            let at = last.map_or(now, |last| last.plus(MIN_FETCH_INTERVAL)).max(now);
            self.fetches.notified.insert(payment.id, at);
            self.wake(&order, payment.id, Urgency::Notified, at).await?;
            return Ok(Some((payment.id, at)));
        }
        Ok(None)
    }

    /// Makes a read of a payment due, of a class.
    async fn wake(
        &self,
        order: &OrderAggregate,
        payment: PaymentId,
        urgency: Urgency,
        at: Timestamp,
    ) -> Result<(), PaymentError> {
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

    /// Whether a notification about a payment has come that no read has begun to answer. Whoever reads, be it for a
    /// customer before the job's turn, answers the notifications that came before and none that comes after.
    pub fn awaits_fetch(&self, payment: PaymentId) -> bool {
        self.fetches.notified.contains_key(&payment)
    }

    /// Whether the provider was asked less than a moment ago: another read now is too early.
    pub fn fetched_lately(&self, payment: PaymentId) -> bool {
        let last = self.fetches.fetched.get(&payment);
        last.is_some_and(|last| self.engine.now() < last.plus(MIN_FETCH_INTERVAL))
    }

    /// Whether the last read of a payment began before this moment, so that it may not know what happened by then.
    pub fn fetched_before(&self, payment: PaymentId, moment: Timestamp) -> bool {
        self.fetches.fetched.get(&payment).is_some_and(|last| last < moment)
    }

    async fn fetch_alone(
        &self,
        order: OrderId,
        payment: PaymentId,
        command: &Command,
        pass: &ReadPass,
    ) -> Result<Arc<OrderAggregate>, PaymentError> {
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
        let ctx = self.providers.ctx(&account, &NoState);
        let fetch = account.adapter.fetch(&ctx, &view);
        let (answer, as_of) = self.providers.call(&account, "fetch", &ctx, fetch).await?;
        let seen = self.providers.translate(&account, answer, as_of);
        self.observe(&mut order, &account, view.id, &seen, &[], command).await?;
        Ok(order.current().clone())
    }
}
