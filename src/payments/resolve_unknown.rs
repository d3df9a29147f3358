//! What the agenda does about starts without a known outcome, orphans, and orders to hand over.

use std::time::Duration;

use port::{Advice, AttemptId, CreatedPayment, Next, OrderId, ProviderError, Timestamp};

use super::call::{AttemptStateStore, NoState};
use super::operate::UNSURE_LIMIT;
use super::read_limiter::Priority;
use super::start::may_repeat;
use super::{Account, PaymentError, Payments};
use crate::domain::observe::unsure_start;
use crate::domain::{
    Attempt, AttemptState, CALL_DEADLINE, Cause, Erasable, Event, OrderAggregate, leaves_open,
    needs_provider_order,
};

/// For how long a charge that its provider does not list may still show up there.
const CHARGE_TIMEOUT: Duration = UNSURE_LIMIT;

impl Payments {
    /// Finds out about a start whose answer was lost: repeats it where the provider knows our key, else looks
    /// the object up. What is found is adopted; what the provider does not have ends its session; what stays unsure
    /// for too long is shown to a person.
    ///
    /// # Errors
    /// [`PaymentError::Provider`] while it cannot be found out.
    pub async fn resolve_start(
        &self,
        order: OrderId,
        attempt: AttemptId,
        cause: &Cause,
    ) -> Result<OrderAggregate, PaymentError> {
        let mut order = self.shared.order(order).await?;
        let settled = self.resolve_unknown(&mut order, attempt, cause).await;
        let tell = |order: &OrderAggregate, now| {
            let events = unsure_start(order, attempt, UNSURE_LIMIT, now, &mut self.shared.ids());
            Ok::<_, PaymentError>(events.into())
        };
        self.shared.change("unsure", &mut order, cause, tell).await?;
        settled.map(|()| order)
    }

    async fn resolve_unknown(
        &self,
        order: &mut OrderAggregate,
        attempt: AttemptId,
        cause: &Cause,
    ) -> Result<(), PaymentError> {
        let Some(record) = in_state(order, attempt, AttemptState::Started) else { return Ok(()) };
        let account = self.account(&record.account)?;
        let charge =
            record.session.and_then(|id| order.session(id)).is_some_and(|session| session.charge.is_some());
        if may_repeat(&account) && !charge {
            if let Err(error) = self.send_create(order, &account, &record, cause).await? {
                self.abandon_if_declined(order, &record, error, cause).await?;
            }
            return Ok(());
        }
        let found = self.find_by_reference(order, &account, &record, Priority::of(cause)).await?;
        // "There is none" is certain only once nothing that was sent can still arrive, and where money has moved if it
        // did, once its list has had time to follow.
        let patience = if charge { CHARGE_TIMEOUT } else { CALL_DEADLINE };
        let certain = self.shared.now() >= record.started_at.plus(patience);
        match found {
            Some((created, as_of)) => {
                self.accept_start(order, &account, attempt, created, as_of, cause).await
            }
            None if certain => self.abandon(order, &record, &ProviderError::NotFound, cause).await.map(drop),
            None => Ok(()),
        }
    }

    async fn abandon_if_declined(
        &self,
        order: &mut OrderAggregate,
        record: &Attempt,
        error: ProviderError,
        cause: &Cause,
    ) -> Result<(), PaymentError> {
        if error.advice() == Advice::Stop {
            return self.abandon(order, record, &error, cause).await.map(|_| ());
        }
        Err(error.into())
    }

    /// Finds an attempt that was given up and closes it, so that its page cannot be paid. If it was paid all the
    /// same, the money gets a payment of its own. What does not close yet stays an orphan.
    ///
    /// # Errors
    /// [`PaymentError::Provider`] while it cannot be found out.
    pub async fn close_orphan(
        &self,
        id: OrderId,
        attempt: AttemptId,
        cause: &Cause,
    ) -> Result<OrderAggregate, PaymentError> {
        let mut order = self.shared.order(id).await?;
        let Some(mut record) = order.attempt(attempt).filter(|record| may_exist(record)).cloned() else {
            return Ok(order);
        };
        let account = self.account(&record.account)?;
        let Some((created, _)) = self.orphan_object(&mut order, &account, &record, cause).await? else {
            let gone = |order: &OrderAggregate, _| {
                let left = Event::AttemptAbandoned { attempt, orphaned: false, why: "not_found".to_owned() };
                let still = in_state(order, attempt, AttemptState::Orphaned).map(|_| left);
                Ok::<_, PaymentError>(still.into_iter().collect::<Vec<_>>().into())
            };
            self.shared.change("orphan", &mut order, cause, gone).await?;
            return Ok(order);
        };
        record.reference = Some(created.reference.clone());
        let adapter_view = record.for_adapter(id);
        let ctx = self.ctx(&account, &NoState);
        let closed = self.call(&account, "cancel", &ctx, account.adapter.cancel(&ctx, &adapter_view)).await;
        let (view, as_of) = match closed {
            Ok(answer) => answer,
            Err(error) if error.advice() == Advice::Stop => {
                self.may_read(&account, Priority::of(cause))?;
                let ctx = self.ctx(&account, &NoState);
                self.call(&account, "fetch", &ctx, account.adapter.fetch(&ctx, &adapter_view)).await?
            }
            Err(error) => return Err(error.into()),
        };
        let seen = self.translate(&account, view, as_of);
        let next = Erasable::new(Next::Nothing, self.shared.env.nonce());
        let known =
            Event::AttemptCreated { attempt, reference: created.reference, next, adapter_state: None };
        let left = Event::AttemptAbandoned { attempt, orphaned: false, why: "closed".to_owned() };
        let first = if leaves_open(&seen) { Vec::new() } else { vec![known, left] };
        self.observe(&mut order, &account, attempt, &seen, &first, cause).await?;
        Ok(order)
    }

    async fn orphan_object(
        &self,
        order: &mut OrderAggregate,
        account: &Account,
        record: &Attempt,
        cause: &Cause,
    ) -> Result<Option<(CreatedPayment, Timestamp)>, PaymentError> {
        if !may_repeat(account) || record.state == AttemptState::Ended {
            return Ok(self.find_by_reference(order, account, record, Priority::of(cause)).await?);
        }
        let attempt = record.for_adapter(order.id());
        let request = self.request_of(order, record);
        let state_store = AttemptStateStore::new(&self.shared, order.clone(), record.id, cause);
        let ctx = self.ctx(account, &state_store);
        let again = self.call(account, "begin", &ctx, account.adapter.create(&ctx, &attempt, &request)).await;
        *order = state_store.into_order();
        match again {
            Ok(created) => Ok(Some(created)),
            Err(error) if error.advice() == Advice::Stop => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    /// Hands the provider's own order over, as ours was submitted.
    ///
    /// # Errors
    /// [`PaymentError::Provider`] while it did not work; it is repeated until its outcome is known.
    pub async fn submit_provider_order(
        &self,
        id: OrderId,
        attempt: AttemptId,
        cause: &Cause,
    ) -> Result<OrderAggregate, PaymentError> {
        let order = self.shared.order(id).await?;
        let waits = |order: &OrderAggregate| {
            order.attempt(attempt).is_some_and(|record| needs_provider_order(order, record))
        };
        let Some(record) = order.attempt(attempt).filter(|_| waits(&order)).cloned() else {
            return Ok(order);
        };
        let account = self.account(&record.account)?;
        let adapter_view = record.for_adapter(id);
        let state_store = AttemptStateStore::new(&self.shared, order, attempt, cause);
        let ctx = self.ctx(&account, &state_store);
        self.call(&account, "hand_over", &ctx, account.adapter.submit_provider_order(&ctx, &adapter_view))
            .await?;
        let mut order = state_store.into_order();
        let done = |order: &OrderAggregate, _| {
            let event = waits(order).then_some(Event::ProviderOrderSubmitted { attempt });
            Ok::<_, PaymentError>(event.into_iter().collect::<Vec<_>>().into())
        };
        self.shared.change("hand over", &mut order, cause, done).await?;
        Ok(order)
    }
}

/// Whether it was given up and nobody has seen yet what became of it at its provider.
fn may_exist(record: &Attempt) -> bool {
    match record.state {
        AttemptState::Orphaned => true,
        AttemptState::Ended => record.reference.is_none(),
        AttemptState::Started | AttemptState::Created => false,
    }
}

fn in_state(order: &OrderAggregate, attempt: AttemptId, state: AttemptState) -> Option<Attempt> {
    order.attempt(attempt).filter(|record| record.state == state).cloned()
}
