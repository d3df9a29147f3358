//! Asking a provider how a payment stands.

use std::sync::Arc;
use std::time::Duration;

use port::{Advice, OrderId, PaymentId, ProviderError, Timestamp};

use super::call::NoState;
use super::read_limiter::Priority;
use super::{PaymentError, Payments};
use crate::domain::{Cause, JobKind, OrderAggregate, next_read};
use crate::store::{Change, OrderLocator, Write};

/// Two reads for the same payment are at least this far apart, whoever asks.
pub(super) const MIN_FETCH_INTERVAL: Duration = Duration::from_secs(5);

/// When a read that did not work is made again where no schedule says when.
const FAILED_PAUSE: Duration = Duration::from_secs(5 * 60);

impl Payments {
    /// Asks the provider about a payment, works in what it says, and answers the file. All who ask at the same
    /// time share one read.
    ///
    /// # Errors
    /// [`PaymentError`]; a failed read has changed nothing but the moment of the next.
    pub async fn fetch_status(
        &self,
        order: OrderId,
        payment: PaymentId,
        cause: &Cause,
    ) -> Result<OrderAggregate, PaymentError> {
        let reading = &self.shared.reading;
        let (this, cause) = (self.clone(), cause.clone());
        let read = async move { Arc::new(this.fetch_status_alone(order, payment, &cause).await) };
        let answer = reading.get_with(payment, Box::pin(read)).await;
        reading.invalidate(&payment).await;
        (*answer).clone()
    }

    /// Asks because the customer has come back. One who reloads the page asks nobody twice.
    ///
    /// # Errors
    /// As [`Payments::fetch_status`].
    pub async fn fetch_status_for_customer(
        &self,
        order: OrderAggregate,
        payment: PaymentId,
        cause: &Cause,
    ) -> Result<OrderAggregate, PaymentError> {
        let now = self.shared.now();
        if self.shared.returned.get(&payment).is_some_and(|last| now < last.plus(MIN_FETCH_INTERVAL)) {
            return Ok(order);
        }
        self.shared.returned.insert(payment, now);
        self.fetch_status(order.id(), payment, cause).await
    }

    /// Asks because the merchant wants to know, at most as often as the polling schedule would.
    ///
    /// # Errors
    /// As [`Payments::fetch_status`].
    pub async fn fetch_status_for_merchant(
        &self,
        order: OrderAggregate,
        payment: PaymentId,
        cause: &Cause,
    ) -> Result<OrderAggregate, PaymentError> {
        const NO_JITTER: u64 = 100;
        let last = self.shared.fetched.get(&payment);
        let allowed = |last: Timestamp| {
            let found = order.payment(payment);
            let next = found.and_then(|payment| next_read(&order, payment, last, NO_JITTER));
            next.unwrap_or(last.plus(2 * MIN_FETCH_INTERVAL)) <= self.shared.now()
        };
        if last.is_some_and(|last| !allowed(last)) {
            return Ok(order);
        }
        self.fetch_status(order.id(), payment, cause).await
    }

    /// Takes a hint that a payment has changed: the agenda asks soon, once for any number of hints. Answers which,
    /// and when; until it [begins to ask](Payments::awaits_read) another hint adds nothing. `None`: it names nothing
    /// of ours.
    ///
    /// # Errors
    /// [`PaymentError::Store`].
    pub async fn schedule_hinted_fetch(
        &self,
        account: &str,
        reference: &str,
    ) -> Result<Option<(PaymentId, Timestamp)>, PaymentError> {
        let shared = &self.shared;
        let locator =
            OrderLocator::Reference { account: account.to_owned(), reference: reference.to_owned() };
        let Some(id) = shared.store.order_of(&locator).await? else { return Ok(None) };
        let Some(order) = shared.store.order(id).await? else { return Ok(None) };
        let attempt = order.attempts.iter().find(|attempt| attempt.reference.as_deref() == Some(reference));
        let Some(payment) = attempt.and_then(|attempt| order.payment_of(attempt)) else { return Ok(None) };
        let now = shared.now();
        let last = shared.fetched.get(&payment.id);
        let at = last.map_or(now, |last| last.plus(MIN_FETCH_INTERVAL)).max(now);
        shared.hinted.insert(payment.id, at);
        let job = Write::Job {
            kind: JobKind::FetchStatus,
            subject: payment.id.to_string(),
            order: Some(id),
            at: Some(at),
        };
        shared.store.commit(Change::plain("hint", vec![job])).await?;
        shared.wake.notify_one();
        Ok(Some((payment.id, at)))
    }

    /// Whether a hint about a payment has been taken that no read has begun to answer. Whoever asks, be it a
    /// customer before the agenda's turn, answers the hints that came before and none that comes after.
    pub fn awaits_read(&self, payment: PaymentId) -> bool {
        self.shared.hinted.contains_key(&payment)
    }

    /// Whether the provider was asked less than a moment ago: another read now is too early.
    pub fn fetched_lately(&self, payment: PaymentId) -> bool {
        let last = self.shared.fetched.get(&payment);
        last.is_some_and(|last| self.shared.now() < last.plus(MIN_FETCH_INTERVAL))
    }

    /// Whether the last read of a payment began before this moment, so that it may not know what happened by then.
    pub fn fetched_before(&self, payment: PaymentId, moment: Timestamp) -> bool {
        self.shared.fetched.get(&payment).is_some_and(|last| last < moment)
    }

    async fn fetch_status_alone(
        &self,
        id: OrderId,
        payment: PaymentId,
        cause: &Cause,
    ) -> Result<OrderAggregate, PaymentError> {
        let shared = &self.shared;
        let mut order = shared.order(id).await?;
        let Some(found) = order.payment(payment).filter(|payment| !payment.external) else {
            return Ok(order);
        };
        let Some(record) = found.attempt.and_then(|attempt| order.attempt(attempt)) else { return Ok(order) };
        let account = self.account(&record.account)?;
        let attempt = record.for_adapter(id);
        let priority = Priority::of(cause);
        if let Err(used_up) = self.may_read(&account, priority) {
            if priority == Priority::Patient {
                self.fetch_status_in_turn(id, payment, &used_up).await?;
            }
            return Err(used_up.into());
        }
        shared.fetched.insert(payment, shared.now());
        shared.hinted.remove(&payment);
        let ctx = self.ctx(&account, &NoState);
        match self.call(&account, "fetch", &ctx, account.adapter.fetch(&ctx, &attempt)).await {
            Ok((view, as_of)) => {
                let seen = self.translate(&account, view, as_of);
                self.observe(&mut order, &account, attempt.id, &seen, &[], cause).await?;
                Ok(order)
            }
            Err(error) => {
                self.fetch_status_later(&order, payment, &error).await?;
                Err(error.into())
            }
        }
    }

    /// What the agenda may not ask now it asks when there is something to ask with, a little spread.
    async fn fetch_status_in_turn(
        &self,
        order: OrderId,
        payment: PaymentId,
        used_up: &ProviderError,
    ) -> Result<(), PaymentError> {
        const SPREAD_MS: u64 = 2_000;
        let wait = match used_up {
            ProviderError::Busy { retry_after } => retry_after.unwrap_or_default(),
            _ => Duration::ZERO,
        };
        let shared = &self.shared;
        let at = shared.now().plus(wait).plus(Duration::from_millis(shared.draw() % SPREAD_MS));
        let job = Write::Job {
            kind: JobKind::FetchStatus,
            subject: payment.to_string(),
            order: Some(order),
            at: Some(at),
        };
        Ok(shared.store.commit(Change::plain("ask in turn", vec![job])).await?)
    }

    /// A failed read is repeated at its time, and not before the provider wants it.
    async fn fetch_status_later(
        &self,
        order: &OrderAggregate,
        payment: PaymentId,
        error: &ProviderError,
    ) -> Result<(), PaymentError> {
        let now = self.shared.now();
        let next =
            order.payment(payment).and_then(|payment| next_read(order, payment, now, self.shared.draw()));
        // Whoever wanted to know still does, even where no schedule asks; but a plain no would only come again.
        let at = match error {
            ProviderError::Busy { retry_after: Some(wait) } => Some(next.unwrap_or(now).max(now.plus(*wait))),
            _ if error.advice() == Advice::Stop => next,
            _ => Some(next.unwrap_or(now.plus(FAILED_PAUSE))),
        };
        let job = Write::Job {
            kind: JobKind::FetchStatus,
            subject: payment.to_string(),
            order: Some(order.id()),
            at,
        };
        Ok(self.shared.store.commit(Change::plain("ask later", vec![job])).await?)
    }
}
