//! What jobs do about starts without a known outcome, orphans, and provider orders to be submitted.

use std::time::Duration;

use port::{Advice, AttemptId, CreatedPayment, Next, OrderId, ProviderError, Timestamp};

use super::operate::UNSURE_LIMIT;
use super::providers::{AttemptStateStore, NoState};
use super::start::may_repeat;
use super::{Account, PaymentError, Payments, ReadPass};
use crate::domain::attention::start_unknown;
use crate::domain::{
    Attempt, AttemptState, CALL_DEADLINE, Erasable, Event, OrderAggregate, StartFailure, awaits_submission,
    leaves_open,
};
use crate::engine::{Command, WorkingCopy};

/// For how long a charge that its provider does not list may still show up there.
const CHARGE_TIMEOUT: Duration = UNSURE_LIMIT;

impl Payments {
    /// Finds out about a start whose answer was lost: repeats it where the provider knows our key, else looks the
    /// object up. What is found is accepted; what the provider does not have ends its session; what stays unsure for
    /// too long raises attention.
    ///
    /// # Errors
    /// [`PaymentError::Provider`] while it cannot be found out.
    pub async fn resolve_start(
        &self,
        order: OrderId,
        attempt: AttemptId,
        command: &Command,
        pass: &ReadPass,
    ) -> Result<(), PaymentError> {
        let mut order = self.engine.existing(order.uuid()).await?;
        let resolved = self.find_out(&mut order, attempt, command, pass).await;
        let raise = |order: &OrderAggregate, now| {
            let events = start_unknown(&mut self.engine.context(order, now), attempt, UNSURE_LIMIT);
            Ok::<_, PaymentError>(events.into())
        };
        self.engine.change("unsure", &command.following(), &mut order, raise).await?;
        resolved
    }

    async fn find_out(
        &self,
        order: &mut WorkingCopy<OrderAggregate>,
        attempt: AttemptId,
        command: &Command,
        pass: &ReadPass,
    ) -> Result<(), PaymentError> {
        let Some(attempt) = in_state(order, attempt, AttemptState::Started) else { return Ok(()) };
        let account = self.providers.account(&attempt.account)?;
        let session = order.session(attempt.session);
        let charge = session.is_some_and(|session| session.charge.is_some());
        if may_repeat(&account) && !charge {
            return match self.send_create(order, &account, &attempt, command).await? {
                Ok(()) => Ok(()),
                Err(error) if error.advice() == Advice::Stop => {
                    self.abandon(order, &attempt, &error, command).await
                }
                Err(error) => Err(error.into()),
            };
        }
        let found = self.find_by_reference(order, &account, &attempt, pass).await?;
        // "There is none" is certain only once nothing that was sent can still arrive, and where money has moved if it
        // did, once its list has had time to follow.
        let patience = if charge { CHARGE_TIMEOUT } else { CALL_DEADLINE };
        let certain = self.engine.now() >= attempt.started_at.plus(patience);
        match found {
            Some((created, as_of)) => {
                self.accept_start(order, &account, attempt.id, created, as_of, command).await
            }
            None if certain => self.abandon(order, &attempt, &ProviderError::NotFound, command).await,
            None => Ok(()),
        }
    }

    /// Finds an attempt that was abandoned and closes it, so that its page cannot be paid. If it was paid all the
    /// same, the money gets a payment of its own. What does not close yet stays an orphan.
    ///
    /// # Errors
    /// [`PaymentError::Provider`] while it cannot be found out.
    pub async fn close_orphan(
        &self,
        order: OrderId,
        attempt: AttemptId,
        command: &Command,
        pass: &ReadPass,
    ) -> Result<WorkingCopy<OrderAggregate>, PaymentError> {
        let mut order = self.engine.existing::<OrderAggregate>(order.uuid()).await?;
        let Some(mut record) = order.attempt(attempt).filter(|attempt| may_exist(attempt)).cloned() else {
            return Ok(order);
        };
        let account = self.providers.account(&record.account)?;
        let Some((created, _)) = self.orphan_object(&mut order, &account, &record, command, pass).await?
        else {
            self.end_orphan(&mut order, attempt, command).await?;
            return Ok(order);
        };
        record.reference = Some(created.reference.clone());
        let view = record.for_adapter(order.id());
        let ctx = self.providers.ctx(&account, &NoState);
        let closed = self.providers.call(&account, "cancel", &ctx, account.adapter.cancel(&ctx, &view)).await;
        let (answer, as_of) = match closed {
            Ok(answer) => answer,
            Err(error) if error.advice() == Advice::Stop => {
                self.providers.spend_read(&account, pass)?;
                let ctx = self.providers.ctx(&account, &NoState);
                self.providers.call(&account, "fetch", &ctx, account.adapter.fetch(&ctx, &view)).await?
            }
            Err(error) => return Err(error.into()),
        };
        let seen = self.providers.translate(&account, answer, as_of);
        let next = Erasable::new(Next::Nothing, self.engine.env.nonce());
        let known =
            Event::AttemptCreated { attempt, reference: created.reference, next, adapter_state: None };
        let closed = Event::AttemptAbandoned { attempt, orphaned: false, failure: StartFailure::Closed };
        let first = if leaves_open(&seen) { Vec::new() } else { vec![known, closed] };
        self.observe(&mut order, &account, attempt, &seen, &first, command).await?;
        Ok(order)
    }

    /// The provider has no object for an orphan: there is nothing to close.
    async fn end_orphan(
        &self,
        order: &mut WorkingCopy<OrderAggregate>,
        attempt: AttemptId,
        command: &Command,
    ) -> Result<(), PaymentError> {
        let gone = |order: &OrderAggregate, _| {
            let failure = StartFailure::NotFound;
            let abandoned = Event::AttemptAbandoned { attempt, orphaned: false, failure };
            let still = in_state(order, attempt, AttemptState::Orphaned).map(|_| abandoned);
            Ok::<_, PaymentError>(still.into())
        };
        self.engine.change("orphan", &command.following(), order, gone).await.map(drop)
    }

    async fn orphan_object(
        &self,
        order: &mut WorkingCopy<OrderAggregate>,
        account: &Account,
        attempt: &Attempt,
        command: &Command,
        pass: &ReadPass,
    ) -> Result<Option<(CreatedPayment, Timestamp)>, PaymentError> {
        if !may_repeat(account) || attempt.state == AttemptState::Ended {
            return Ok(self.find_by_reference(order, account, attempt, pass).await?);
        }
        let view = attempt.for_adapter(order.id());
        let request = self.request_of(order, attempt);
        let state = AttemptStateStore::new(&self.engine, order.clone(), attempt.id, command);
        let ctx = self.providers.ctx(account, &state);
        let create = account.adapter.create(&ctx, &view, &request);
        let again = self.providers.call(account, "create", &ctx, create).await;
        *order = state.into_subject();
        match again {
            Ok(created) => Ok(Some(created)),
            Err(error) if error.advice() == Advice::Stop => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    /// Submits the provider's own order, as ours was submitted.
    ///
    /// # Errors
    /// [`PaymentError::Provider`] while it did not work; it is repeated until its outcome is known.
    pub async fn submit_provider_order(
        &self,
        order: OrderId,
        attempt: AttemptId,
        command: &Command,
    ) -> Result<(), PaymentError> {
        let order = self.engine.existing::<OrderAggregate>(order.uuid()).await?;
        let waits = |order: &OrderAggregate| {
            order.attempt(attempt).is_some_and(|attempt| awaits_submission(order, attempt))
        };
        let Some(record) = order.attempt(attempt).filter(|_| waits(&order)).cloned() else { return Ok(()) };
        let account = self.providers.account(&record.account)?;
        let view = record.for_adapter(order.id());
        let state = AttemptStateStore::new(&self.engine, order, attempt, command);
        let ctx = self.providers.ctx(&account, &state);
        let submit = account.adapter.submit_provider_order(&ctx, &view);
        self.providers.call(&account, "submit_order", &ctx, submit).await?;
        let mut order = state.into_subject();
        let done = |order: &OrderAggregate, _| {
            let event = waits(order).then_some(Event::ProviderOrderSubmitted { attempt });
            Ok::<_, PaymentError>(event.into())
        };
        let command = command.following();
        self.engine.change("submit provider order", &command, &mut order, done).await.map(drop)
    }
}

/// Whether it was abandoned and nobody has seen yet what became of it at its provider.
fn may_exist(attempt: &Attempt) -> bool {
    match attempt.state {
        AttemptState::Orphaned => true,
        AttemptState::Ended => attempt.reference.is_none(),
        AttemptState::Started | AttemptState::Created => false,
    }
}

fn in_state(order: &OrderAggregate, attempt: AttemptId, state: AttemptState) -> Option<Attempt> {
    order.attempt(attempt).filter(|attempt| attempt.state == state).cloned()
}
