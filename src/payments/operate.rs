//! Operations on money at a provider: closing, capturing, voiding, refunding.
//!
//! The intent is in the order before this is called. An operation is sent once; before it is sent again the provider is
//! asked, and then only where a second effect is impossible: the provider rules it out, or the last try provably
//! reached nobody.

use std::time::Duration;

use port::{
    Advice, Failure, Money, OrderId, PaymentId, ProviderError, ProviderView, RefundRequest, Repeat, Timestamp,
};

use super::providers::NoState;
use super::{Account, PaymentError, Payments, ReadPass};
use crate::domain::attention::{capture_declined, operation_unknown, return_declined};
use crate::domain::{
    Attempt, AttemptState, Operation, OperationKind, OrderAggregate, Urgency, leaves_unpaid, mismatch_refund,
    operate, session_end,
};
use crate::engine::{Command, WorkingCopy};

/// After how long what stays unsure raises attention.
pub(super) const UNSURE_LIMIT: Duration = Duration::from_secs(15 * 60);

/// A bound on refunds sent in one go; a job goes on with the rest.
const MAX_IN_A_ROW: usize = 20;

impl Payments {
    /// Sends the operation that was just recorded, and the refunds that wait behind it.
    ///
    /// # Errors
    /// That of the store; what was sent is then resolved by a job.
    pub async fn operate(
        &self,
        order: &mut WorkingCopy<OrderAggregate>,
        payment: PaymentId,
        command: &Command,
    ) -> Result<(), PaymentError> {
        let pass = ReadPass::of(Urgency::UnknownOutcome);
        self.send_queue(order, payment, false, &command.following(), &pass).await
    }

    /// The same for an operation that may have been sent `before`.
    async fn send_queue(
        &self,
        order: &mut WorkingCopy<OrderAggregate>,
        payment: PaymentId,
        mut before: bool,
        command: &Command,
        pass: &ReadPass,
    ) -> Result<(), PaymentError> {
        for _ in 0..MAX_IN_A_ROW {
            let Some(pending) = Pending::of(order, payment) else { return Ok(()) };
            self.send(order, &Pending { before, ..pending }, command, pass).await?;
            before = false;
            if Pending::of(order, payment).is_some() || !self.next_in_queue(order, payment, command).await? {
                return Ok(());
            }
        }
        Ok(())
    }

    /// Goes on with an operation whose outcome is not known: asks first, and sends again only where a second effect is
    /// impossible.
    pub async fn resume_operation(
        &self,
        order: OrderId,
        payment: PaymentId,
        command: &Command,
        pass: &ReadPass,
    ) -> Result<(), PaymentError> {
        let mut order = self.engine.existing(order.uuid()).await?;
        let Some(pending) = Pending::of(&order, payment) else {
            if self.next_in_queue(&mut order, payment, command).await? {
                self.send_queue(&mut order, payment, false, command, pass).await?;
            }
            return Ok(());
        };
        let resumed = self.fetch_and_repeat(&mut order, &pending, command, pass).await;
        // Whatever came of it: what stays unsure for too long raises attention, most of all while the provider cannot
        // even be asked.
        let raise = |order: &OrderAggregate, now| {
            let events = operation_unknown(&mut self.engine.context(order, now), payment, UNSURE_LIMIT);
            Ok::<_, PaymentError>(events.into())
        };
        self.engine.change("unsure", command, &mut order, raise).await?;
        resumed
    }

    async fn fetch_and_repeat(
        &self,
        order: &mut WorkingCopy<OrderAggregate>,
        pending: &Pending,
        command: &Command,
        pass: &ReadPass,
    ) -> Result<(), PaymentError> {
        if pending.attempt.state == AttemptState::Started {
            return Ok(());
        }
        self.fetch_status(order.id(), pending.payment, command, pass).await?;
        self.engine.catch_up(order).await?;
        let still = Pending::of(order, pending.payment).filter(|still| still.operation == pending.operation);
        let Some(still) = still else { return Ok(()) };
        let refund = still.operation.kind == OperationKind::Refund;
        if refund && order.payment(pending.payment).is_some_and(operate::is_contested) {
            return Ok(());
        }
        let account = self.providers.account(&still.attempt.account)?;
        // Of several who find it unsent, the one who writes down that it is tried again sends it.
        let unsent = still.operation.unsent && self.set_unsent(order, &still, false, command).await?;
        if unsent || repeatable(&account, &still) {
            self.send_queue(order, pending.payment, !unsent, command, pass).await?;
        }
        Ok(())
    }

    /// Writes down whether the last try of an operation provably reached nobody. False if that is no news.
    async fn set_unsent(
        &self,
        order: &mut WorkingCopy<OrderAggregate>,
        pending: &Pending,
        unsent: bool,
        command: &Command,
    ) -> Result<bool, PaymentError> {
        let mark = |order: &OrderAggregate, _| {
            let event = operate::set_unsent(order, pending.payment, &pending.operation, unsent);
            Ok::<_, PaymentError>(event.into())
        };
        Ok(self.engine.change("set unsent", command, order, mark).await?.is_some())
    }

    async fn next_in_queue(
        &self,
        order: &mut WorkingCopy<OrderAggregate>,
        payment: PaymentId,
        command: &Command,
    ) -> Result<bool, PaymentError> {
        let next = |order: &OrderAggregate, now| {
            let events = operate::next_refund(&mut self.engine.context(order, now), payment);
            Ok::<_, PaymentError>(events.into())
        };
        Ok(self.engine.change("next refund", command, order, next).await?.is_some())
    }

    async fn send(
        &self,
        order: &mut WorkingCopy<OrderAggregate>,
        pending: &Pending,
        command: &Command,
        pass: &ReadPass,
    ) -> Result<(), PaymentError> {
        if pending.attempt.state == AttemptState::Started {
            return Ok(());
        }
        let account = self.providers.account(&pending.attempt.account)?;
        match self.send_to(&account, order, pending, pass).await {
            Ok((answer, as_of)) => {
                let seen = self.providers.translate(&account, answer, as_of);
                self.observe(order, &account, pending.attempt.id, &seen, &[], command).await?;
                match leaves_unpaid(&seen) {
                    true => self.close_by_gateway(order, &account, pending, command).await,
                    false => Ok(()),
                }
            }
            Err(error) if error.advice() == Advice::Stop => {
                self.handle_decline(order, pending, error, command, pass).await
            }
            // Not sent, or not known: it stays recorded, and a job goes on with it.
            Err(error) if error.advice() == Advice::ResolveUnknown || repeatable(&account, pending) => Ok(()),
            Err(_) => self.set_unsent(order, pending, true, command).await.map(drop),
        }
    }

    async fn send_to(
        &self,
        account: &Account,
        order: &OrderAggregate,
        pending: &Pending,
        pass: &ReadPass,
    ) -> Result<(ProviderView, Timestamp), ProviderError> {
        let (view, adapter) = (pending.attempt.for_adapter(order.id()), &account.adapter);
        let ctx = self.providers.ctx(account, &NoState);
        let money = Money::new(pending.operation.amount.unwrap_or(0), pending.attempt.money.currency);
        match pending.operation.kind {
            OperationKind::Close if !account.about().capabilities.cancel.cancels_checkout() => {
                self.providers.spend_read(account, pass)?;
                self.providers.call(account, "fetch", &ctx, adapter.fetch(&ctx, &view)).await
            }
            OperationKind::Close | OperationKind::Void => {
                self.providers.call(account, "cancel", &ctx, adapter.cancel(&ctx, &view)).await
            }
            OperationKind::Capture => {
                self.providers.call(account, "capture", &ctx, adapter.capture(&ctx, &view, money)).await
            }
            OperationKind::Refund => {
                let refund = pending.operation.refund.and_then(|id| order.refund(id));
                if refund.is_none() && pending.operation.refund.is_some() {
                    return Err(ProviderError::Unsupported("refund nothing"));
                }
                // What was taken over another amount than was asked goes back once for an attempt.
                let id = refund.map_or_else(|| mismatch_refund(pending.attempt.id), |refund| refund.id);
                let reason = refund.and_then(|refund| refund.reason.as_ref()?.value().cloned());
                let request = RefundRequest { id, money, reason };
                self.providers.call(account, "refund", &ctx, adapter.refund(&ctx, &view, &request)).await
            }
        }
    }

    /// A provider that cannot close, or has no such call for this state, was asked and says that nothing was taken:
    /// the session ends on our own word.
    async fn close_by_gateway(
        &self,
        order: &mut WorkingCopy<OrderAggregate>,
        account: &Account,
        pending: &Pending,
        command: &Command,
    ) -> Result<(), PaymentError> {
        let only_read = !account.about().capabilities.cancel.cancels_checkout();
        if !only_read || pending.operation.kind != OperationKind::Close {
            return Ok(());
        }
        let end = |order: &OrderAggregate, _| {
            Ok::<_, PaymentError>(session_end::closed_by_gateway(order, pending.payment).into())
        };
        self.engine.change("close", command, order, end).await.map(drop)
    }

    /// The provider declined. A page that does not close is asked about: it may have been paid meanwhile. So is what was
    /// sent before: that may be why a second is refused.
    async fn handle_decline(
        &self,
        order: &mut WorkingCopy<OrderAggregate>,
        pending: &Pending,
        error: ProviderError,
        command: &Command,
        pass: &ReadPass,
    ) -> Result<(), PaymentError> {
        let closes = pending.operation.kind == OperationKind::Close;
        if closes || pending.before {
            match self.fetch_status(order.id(), pending.payment, command, pass).await {
                Ok(_) => self.engine.catch_up(order).await?,
                Err(PaymentError::Provider(_)) => return Ok(()),
                Err(fault) => return Err(fault),
            }
        }
        if closes {
            return Ok(());
        }
        let failure = match error {
            ProviderError::Declined { code, text } | ProviderError::Rejected { code, text } => {
                Failure { code, text }
            }
            other => Failure { code: None, text: Some(other.to_string()) },
        };
        let end = |order: &OrderAggregate, now| {
            // Another that has taken its place meanwhile was not declined.
            let same = |now: &Pending| now.operation.is_same(&pending.operation);
            if !Pending::of(order, pending.payment).is_some_and(|now| same(&now)) {
                return Ok(Vec::new().into());
            }
            let mut context = self.engine.context(order, now);
            let mut events = operate::declined(order, pending.payment, failure.clone());
            events.extend(return_declined(&mut context, pending.payment));
            events.extend(capture_declined(&mut context, pending.payment));
            Ok::<_, PaymentError>(events.into())
        };
        self.engine.change("decline", command, order, end).await.map(drop)
    }
}

/// An operation under way, with what is needed to send it.
struct Pending {
    payment: PaymentId,
    operation: Operation,
    attempt: Attempt,
    /// Whether it may have been sent before.
    before: bool,
}

impl Pending {
    fn of(order: &OrderAggregate, payment: PaymentId) -> Option<Self> {
        let found = order.payment(payment)?;
        let operation = found.operation.clone()?;
        let attempt = order.attempt(found.attempt?)?.clone();
        Some(Self { payment, operation, attempt, before: false })
    }
}

/// Whether a second send of this operation cannot have a second effect.
fn repeatable(account: &Account, pending: &Pending) -> bool {
    let repeat = account.about().capabilities.repeat;
    let how = match pending.operation.kind {
        OperationKind::Close | OperationKind::Void => repeat.cancel,
        OperationKind::Capture => repeat.capture,
        OperationKind::Refund => repeat.refund,
    };
    how != Repeat::Unsafe
}
