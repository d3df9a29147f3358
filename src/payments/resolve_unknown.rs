//! What jobs do about starts of unknown outcome, orphans, and provider orders to be submitted.

use std::time::Duration;

use port::{Advice, AttemptId, Next, OrderId, ProviderError};

use super::providers::NoState;
use super::start::{Created, is_charge, may_repeat};
use super::task::OrderTask;
use super::{Account, Payments, ReadPass, Result};
use crate::domain::{
    Attempt, AttemptState, CALL_DEADLINE, Erasable, Event, OrderAggregate, StartFailure, UNKNOWN_LIMIT,
    Urgency, awaits_submission, leaves_open,
};
use crate::engine::{Command, WorkingCopy};

/// For how long a charge that its provider does not list may still appear there.
const CHARGE_TIMEOUT: Duration = UNKNOWN_LIMIT;

impl Payments {
    /// Resolves a start whose answer was lost: repeats it where the provider knows our key, else looks the object up.
    /// What is found is accepted; what the provider does not have ends its session.
    ///
    /// # Errors
    /// `PaymentError::Provider` while it stays unknown.
    pub async fn resolve_start(
        &self,
        order: OrderId,
        attempt: AttemptId,
        command: &Command,
        pass: &ReadPass,
    ) -> Result<()> {
        let mut order = self.engine.existing(order.uuid()).await?;
        let order = &mut self.task(&mut order, command, pass);
        let Some(attempt) = in_state(order, attempt, AttemptState::Started) else { return Ok(()) };
        let account = self.providers.account(&attempt.account)?;
        let charge = is_charge(order, &attempt);
        if may_repeat(&account) && !charge {
            let sent = self.send_create(order, &account, &attempt, false).await;
            return match sent.map_err(ProviderError::from) {
                Ok(created) => self.accept_start(order, &account, attempt.id, created).await,
                Err(error) if error.advice() == Advice::Stop => self.abandon(order, &attempt, &error).await,
                Err(error) => Err(error.into()),
            };
        }
        let found = self.find_by_reference(order, &account, &attempt).await?;
        // "There is none" is certain only once nothing that was sent can still arrive, and for a charge, once the
        // provider's list has had time to show it.
        let timeout = if charge { CHARGE_TIMEOUT } else { CALL_DEADLINE };
        let certain = self.engine.now() >= attempt.started_at.plus(timeout);
        match found {
            Some(created) => self.accept_start(order, &account, attempt.id, created).await,
            None if certain => self.abandon(order, &attempt, &ProviderError::NotFound).await,
            None => Ok(()),
        }
    }

    /// Finds the object of an abandoned attempt and closes it, so that its page cannot be paid. If it was paid all the
    /// same, the money gets a payment of its own. What does not close yet stays an orphan.
    ///
    /// # Errors
    /// `PaymentError::Provider` while it stays unknown.
    pub async fn close_orphan(
        &self,
        order: OrderId,
        attempt: AttemptId,
        command: &Command,
        pass: &ReadPass,
    ) -> Result<WorkingCopy<OrderAggregate>> {
        let mut copy = self.engine.existing::<OrderAggregate>(order.uuid()).await?;
        let order = &mut self.task(&mut copy, command, pass);
        let Some(mut orphan) = order.attempt(attempt).filter(|attempt| may_exist(attempt)).cloned() else {
            return Ok(copy);
        };
        let account = self.providers.account(&orphan.account)?;
        let abandoned = |failure| Event::AttemptAbandoned { attempt, orphaned: false, failure };
        let Some((created, _)) = self.orphan_object(order, &account, &orphan).await? else {
            // The provider has no object for it, so there is nothing to close.
            let gone = |order: &OrderAggregate, _| {
                in_state(order, attempt, AttemptState::Orphaned).map(|_| abandoned(StartFailure::NotFound))
            };
            order.change("orphan", gone).await?;
            return Ok(copy);
        };
        orphan.reference = Some(created.reference.clone());
        let view = orphan.for_adapter(order.id());
        let ctx = self.providers.ctx(&account, &NoState);
        let cancel = account.adapter.cancel(&ctx, &view);
        let seen = match self.providers.observe(&account, "cancel", &view, &ctx, cancel).await {
            Err(error) if error.advice() == Advice::Stop => {
                self.providers.spend_read(&account, &order.pass)?;
                self.providers.fetch(&account, &view).await?
            }
            closed => closed?,
        };
        let next = Erasable::new(Next::Nothing, self.engine.env.nonce());
        let known =
            Event::AttemptCreated { attempt, reference: created.reference, next, adapter_state: None };
        let closed = [known, abandoned(StartFailure::Closed)];
        let first = if leaves_open(&seen) { &[][..] } else { &closed };
        self.observe(order, &account, attempt, &seen, first).await?;
        Ok(copy)
    }

    async fn orphan_object(
        &self,
        order: &mut OrderTask<'_>,
        account: &Account,
        orphan: &Attempt,
    ) -> Result<Option<Created>, ProviderError> {
        if !may_repeat(account) || orphan.state == AttemptState::Ended {
            return self.find_by_reference(order, account, orphan).await;
        }
        let sent = self.send_create(order, account, orphan, false).await;
        match sent.map_err(ProviderError::from) {
            Err(error) if error.advice() == Advice::Stop => Ok(None),
            created => created.map(Some),
        }
    }

    /// Submits the provider's own order, as the merchant's was submitted.
    ///
    /// # Errors
    /// `PaymentError::Provider` if it failed; it is repeated until its outcome is known.
    pub async fn submit_provider_order(
        &self,
        order: OrderId,
        attempt: AttemptId,
        command: &Command,
    ) -> Result<()> {
        let mut order = self.engine.existing(order.uuid()).await?;
        let order = &mut self.task(&mut order, command, &ReadPass::of(Urgency::Scheduled));
        let waiting = |order: &OrderAggregate| {
            order.attempt(attempt).filter(|attempt| awaits_submission(order, attempt)).cloned()
        };
        let Some(waits) = waiting(order) else { return Ok(()) };
        let account = self.providers.account(&waits.account)?;
        let view = waits.for_adapter(order.id());
        let state = order.state_store(attempt);
        let ctx = self.providers.ctx(&account, &state);
        let submit = account.adapter.submit_provider_order(&ctx, &view);
        self.providers.call(&account, "submit_order", Some(&view), &ctx, submit).await?;
        let submitted =
            |order: &OrderAggregate, _| waiting(order).map(|_| Event::ProviderOrderSubmitted { attempt });
        order.change("submit provider order", submitted).await.map(drop)
    }
}

/// Whether it was abandoned and not yet looked up at its provider.
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
