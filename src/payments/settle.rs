//! What the agenda does about starts without a known outcome, orphans, and orders to hand over.

use std::time::Duration;

use port::{Advice, AttemptId, Begun, Next, OrderId, ProviderError, Timestamp};

use super::begin::may_repeat;
use super::budget::Wish;
use super::call::{FileKeeper, NothingToKeep};
use super::operate::UNSURE_LIMIT;
use super::{Account, PaymentError, Payments};
use crate::domain::observe::unsure_start;
use crate::domain::{
    AttemptRecord, AttemptState, CALL_DEADLINE, Cause, Fact, OrderFile, Sealed, is_to_hand_over, leaves_open,
};

/// For how long a charge that its provider does not list may still show up there.
const CHARGE_PATIENCE: Duration = UNSURE_LIMIT;

impl Payments {
    /// Finds out about a start whose answer was lost: repeats it where the provider knows our key, else looks
    /// the object up. What is found is adopted; what the provider does not have ends its session; what stays unsure
    /// for too long is shown to a person.
    ///
    /// # Errors
    /// [`PaymentError::Provider`] while it cannot be found out.
    pub async fn settle_begin(
        &self,
        order: OrderId,
        attempt: AttemptId,
        cause: &Cause,
    ) -> Result<OrderFile, PaymentError> {
        let mut file = self.shared.file(order).await?;
        let settled = self.find_out(&mut file, attempt, cause).await;
        let tell = |file: &OrderFile, now| {
            let facts = unsure_start(file, attempt, UNSURE_LIMIT, now, &mut self.shared.ids());
            Ok::<_, PaymentError>(facts.into())
        };
        self.shared.change("unsure", &mut file, cause, tell).await?;
        settled.map(|()| file)
    }

    async fn find_out(
        &self,
        file: &mut OrderFile,
        attempt: AttemptId,
        cause: &Cause,
    ) -> Result<(), PaymentError> {
        let Some(record) = in_state(file, attempt, AttemptState::Started) else { return Ok(()) };
        let account = self.account(&record.account)?;
        let charge =
            record.session.and_then(|id| file.session(id)).is_some_and(|session| session.charge.is_some());
        if may_repeat(&account) && !charge {
            if let Err(error) = self.send_begin(file, &account, &record, cause).await? {
                self.give_up_if_no(file, &record, error, cause).await?;
            }
            return Ok(());
        }
        let found = self.look_up(file, &account, &record, Wish::of(cause)).await?;
        // "There is none" is certain only once nothing that was sent can still arrive, and where money has moved if it
        // did, once its list has had time to follow.
        let patience = if charge { CHARGE_PATIENCE } else { CALL_DEADLINE };
        let certain = self.shared.now() >= record.started_at.plus(patience);
        match found {
            Some((begun, place)) => self.adopt(file, &account, attempt, begun, place, cause).await,
            None if certain => self.leave(file, &record, &ProviderError::NotFound, cause).await.map(drop),
            None => Ok(()),
        }
    }

    async fn give_up_if_no(
        &self,
        file: &mut OrderFile,
        record: &AttemptRecord,
        error: ProviderError,
        cause: &Cause,
    ) -> Result<(), PaymentError> {
        if error.advice() == Advice::Stop {
            return self.leave(file, record, &error, cause).await.map(|_| ());
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
        order: OrderId,
        attempt: AttemptId,
        cause: &Cause,
    ) -> Result<OrderFile, PaymentError> {
        let mut file = self.shared.file(order).await?;
        let Some(mut record) = file.attempt(attempt).filter(|record| may_exist(record)).cloned() else {
            return Ok(file);
        };
        let account = self.account(&record.account)?;
        let Some((begun, _)) = self.orphan_object(&mut file, &account, &record, cause).await? else {
            let gone = |file: &OrderFile, _| {
                let left = Fact::AttemptLeft { attempt, orphaned: false, why: "not_found".to_owned() };
                let still = in_state(file, attempt, AttemptState::Orphaned).map(|_| left);
                Ok::<_, PaymentError>(still.into_iter().collect::<Vec<_>>().into())
            };
            self.shared.change("orphan", &mut file, cause, gone).await?;
            return Ok(file);
        };
        record.reference = Some(begun.reference.clone());
        let adapter_view = record.for_adapter(order);
        let ctx = self.ctx(&account, &NothingToKeep);
        let closed = self.call(&account, "cancel", &ctx, account.adapter.cancel(&ctx, &adapter_view)).await;
        let (snapshot, place) = match closed {
            Ok(answer) => answer,
            Err(error) if error.advice() == Advice::Stop => {
                self.may_read(&account, Wish::of(cause))?;
                let ctx = self.ctx(&account, &NothingToKeep);
                self.call(&account, "fetch", &ctx, account.adapter.fetch(&ctx, &adapter_view)).await?
            }
            Err(error) => return Err(error.into()),
        };
        let seen = self.understand(&account, snapshot, place);
        let next = Sealed::new(Next::Nothing, self.shared.source.nonce());
        let known = Fact::AttemptBegun { attempt, reference: begun.reference, next, theirs: None };
        let left = Fact::AttemptLeft { attempt, orphaned: false, why: "closed".to_owned() };
        let first = if leaves_open(&seen) { Vec::new() } else { vec![known, left] };
        self.observe(&mut file, &account, attempt, &seen, &first, cause).await?;
        Ok(file)
    }

    async fn orphan_object(
        &self,
        file: &mut OrderFile,
        account: &Account,
        record: &AttemptRecord,
        cause: &Cause,
    ) -> Result<Option<(Begun, Timestamp)>, PaymentError> {
        if !may_repeat(account) || record.state == AttemptState::Ended {
            return Ok(self.look_up(file, account, record, Wish::of(cause)).await?);
        }
        let attempt = record.for_adapter(file.id());
        let ask = self.ask_of(file, record);
        let keeper = FileKeeper::new(&self.shared, file.clone(), record.id, cause);
        let ctx = self.ctx(account, &keeper);
        let again = self.call(account, "begin", &ctx, account.adapter.begin(&ctx, &attempt, &ask)).await;
        *file = keeper.into_file();
        match again {
            Ok(begun) => Ok(Some(begun)),
            Err(error) if error.advice() == Advice::Stop => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    /// Hands the provider's own order over, as ours was submitted.
    ///
    /// # Errors
    /// [`PaymentError::Provider`] while it did not work; it is repeated until its outcome is known.
    pub async fn hand_over(
        &self,
        order: OrderId,
        attempt: AttemptId,
        cause: &Cause,
    ) -> Result<OrderFile, PaymentError> {
        let file = self.shared.file(order).await?;
        let waits =
            |file: &OrderFile| file.attempt(attempt).is_some_and(|record| is_to_hand_over(file, record));
        let Some(record) = file.attempt(attempt).filter(|_| waits(&file)).cloned() else { return Ok(file) };
        let account = self.account(&record.account)?;
        let adapter_view = record.for_adapter(order);
        let keeper = FileKeeper::new(&self.shared, file, attempt, cause);
        let ctx = self.ctx(&account, &keeper);
        self.call(&account, "hand_over", &ctx, account.adapter.hand_over(&ctx, &adapter_view)).await?;
        let mut file = keeper.into_file();
        let done = |file: &OrderFile, _| {
            let fact = waits(file).then_some(Fact::HandedOver { attempt });
            Ok::<_, PaymentError>(fact.into_iter().collect::<Vec<_>>().into())
        };
        self.shared.change("hand over", &mut file, cause, done).await?;
        Ok(file)
    }
}

/// Whether it was given up and nobody has seen yet what became of it at its provider.
fn may_exist(record: &AttemptRecord) -> bool {
    match record.state {
        AttemptState::Orphaned => true,
        AttemptState::Ended => record.reference.is_none(),
        AttemptState::Started | AttemptState::Begun => false,
    }
}

fn in_state(file: &OrderFile, attempt: AttemptId, state: AttemptState) -> Option<AttemptRecord> {
    file.attempt(attempt).filter(|record| record.state == state).cloned()
}
