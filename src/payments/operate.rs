//! Operations on money at a provider: closing, capturing, voiding, refunding.
//!
//! The intent is in the file before this is called. An operation is sent once; before it is sent again the
//! provider is asked, and then only where a second effect is impossible: the provider rules it out, or the last try
//! provably reached nobody.

use std::time::Duration;

use port::{Advice, Failure, Money, PaymentId, ProviderError, ProviderView, RefundId, RefundRequest, Repeat};

use super::call::NoState;
use super::read_limiter::Priority;
use super::{Account, PaymentError, Payments};
use crate::domain::observe::{not_taken, unsure};
use crate::domain::resolve::not_refunded;
use crate::domain::{
    Attempt, AttemptState, Cause, Operation, OperationKind, OrderAggregate, operate, takes_nothing,
};

/// After how long what stays unsure is shown to a person.
pub(super) const UNSURE_LIMIT: Duration = Duration::from_secs(15 * 60);

/// A bound on refunds sent in one go; the agenda goes on with the rest.
const MAX_IN_A_ROW: usize = 20;

impl Payments {
    /// Sends the operation that was just recorded, and the refunds that wait behind it.
    ///
    /// # Errors
    /// [`PaymentError::Store`]; what was sent is then settled by the agenda.
    pub async fn operate(
        &self,
        order: &mut OrderAggregate,
        payment: PaymentId,
        cause: &Cause,
    ) -> Result<(), PaymentError> {
        self.send_all(order, payment, false, cause).await
    }

    /// The same for an operation that may have been sent `before`.
    async fn send_all(
        &self,
        order: &mut OrderAggregate,
        payment: PaymentId,
        mut before: bool,
        cause: &Cause,
    ) -> Result<(), PaymentError> {
        for _ in 0..MAX_IN_A_ROW {
            let Some(pending) = Pending::of(order, payment) else { return Ok(()) };
            self.send(order, &Pending { before, ..pending }, cause).await?;
            before = false;
            if Pending::of(order, payment).is_some() || !self.next_in_queue(order, payment, cause).await? {
                return Ok(());
            }
        }
        Ok(())
    }

    /// Takes up an operation whose outcome is not known: asks first, and sends again only where a second effect is
    /// impossible.
    ///
    /// # Errors
    /// [`PaymentError`].
    pub async fn resume(
        &self,
        order: &mut OrderAggregate,
        payment: PaymentId,
        cause: &Cause,
    ) -> Result<(), PaymentError> {
        let Some(pending) = Pending::of(order, payment) else {
            if self.next_in_queue(order, payment, cause).await? {
                self.operate(order, payment, cause).await?;
            }
            return Ok(());
        };
        let taken_up = self.resume_operation(order, &pending, cause).await;
        // Whatever came of it: what stays unsure for too long is shown to a person, most of all while the provider
        // cannot even be asked.
        self.report_if_unsure(order, payment, cause).await?;
        taken_up
    }

    async fn resume_operation(
        &self,
        order: &mut OrderAggregate,
        pending: &Pending,
        cause: &Cause,
    ) -> Result<(), PaymentError> {
        if pending.record.state == AttemptState::Started {
            return Ok(());
        }
        *order = self.fetch_status(order.id(), pending.payment, cause).await?;
        let still = Pending::of(order, pending.payment).filter(|still| still.operation == pending.operation);
        let Some(still) = still else { return Ok(()) };
        let refund = still.operation.kind == OperationKind::Refund;
        if refund && order.payment(pending.payment).is_some_and(operate::is_contested) {
            return Ok(());
        }
        let account = self.account(&still.record.account)?;
        // Of several who find it unsent, the one who writes down that it is tried again sends it.
        let unsent = still.operation.unsent && self.set_unsent(order, &still, false, cause).await?;
        if unsent || repeatable(&account, &still) {
            self.send_all(order, pending.payment, !unsent, cause).await?;
        }
        Ok(())
    }

    /// Writes down whether the last try of an operation provably reached nobody. False if that is no news.
    async fn set_unsent(
        &self,
        order: &mut OrderAggregate,
        pending: &Pending,
        unsent: bool,
        cause: &Cause,
    ) -> Result<bool, PaymentError> {
        let mark = |order: &OrderAggregate, _| {
            let event = operate::set_unsent(order, pending.payment, &pending.operation, unsent);
            Ok::<_, PaymentError>(event.into_iter().collect::<Vec<_>>().into())
        };
        self.shared.change("mark", order, cause, mark).await
    }

    async fn next_in_queue(
        &self,
        order: &mut OrderAggregate,
        payment: PaymentId,
        cause: &Cause,
    ) -> Result<bool, PaymentError> {
        let next = |order: &OrderAggregate, now| {
            Ok::<_, PaymentError>(operate::next_refund(order, payment, now, &mut self.shared.ids()).into())
        };
        self.shared.change("next refund", order, cause, next).await
    }

    async fn report_if_unsure(
        &self,
        order: &mut OrderAggregate,
        payment: PaymentId,
        cause: &Cause,
    ) -> Result<(), PaymentError> {
        let tell = |order: &OrderAggregate, now| {
            Ok::<_, PaymentError>(unsure(order, payment, UNSURE_LIMIT, now, &mut self.shared.ids()).into())
        };
        self.shared.change("unsure", order, cause, tell).await.map(|_| ())
    }

    async fn send(
        &self,
        order: &mut OrderAggregate,
        pending: &Pending,
        cause: &Cause,
    ) -> Result<(), PaymentError> {
        if pending.record.state == AttemptState::Started {
            return Ok(());
        }
        let account = self.account(&pending.record.account)?;
        match self.send_to(&account, order, pending).await {
            Ok((view, as_of)) => {
                let seen = self.translate(&account, view, as_of);
                self.observe(order, &account, pending.record.id, &seen, &[], cause).await?;
                match takes_nothing(&seen) {
                    true => self.close_by_gateway(order, &account, pending, cause).await,
                    false => Ok(()),
                }
            }
            Err(error) if error.advice() == Advice::Stop => {
                self.handle_decline(order, pending, error, cause).await
            }
            // Not sent, or not known: it stays recorded, and the agenda takes it up.
            Err(error) if error.advice() == Advice::ResolveUnknown || repeatable(&account, pending) => Ok(()),
            Err(_) => self.set_unsent(order, pending, true, cause).await.map(|_| ()),
        }
    }

    async fn send_to(
        &self,
        account: &Account,
        order: &OrderAggregate,
        pending: &Pending,
    ) -> Result<(ProviderView, port::Timestamp), ProviderError> {
        let attempt = pending.record.for_adapter(order.id());
        let adapter = &account.adapter;
        let ctx = self.ctx(account, &NoState);
        let money = Money::new(pending.operation.amount.unwrap_or(0), attempt.money.currency);
        match pending.operation.kind {
            OperationKind::Close if !account.about().capabilities.cancel.cancels_checkout() => {
                self.may_read(account, Priority::Usual)?;
                self.call(account, "fetch", &ctx, adapter.fetch(&ctx, &attempt)).await
            }
            OperationKind::Close | OperationKind::Void => {
                self.call(account, "cancel", &ctx, adapter.cancel(&ctx, &attempt)).await
            }
            OperationKind::Capture => {
                self.call(account, "capture", &ctx, adapter.capture(&ctx, &attempt, money)).await
            }
            OperationKind::Refund => {
                let refund = pending.operation.refund.and_then(|id| order.refund(id));
                if refund.is_none() && pending.operation.refund.is_some() {
                    return Err(ProviderError::Unsupported("refund nothing"));
                }
                // What is not as it was asked goes back without a refund of ours, once for an attempt.
                let id = refund.map_or(RefundId::from_uuid(attempt.id.uuid()), |refund| refund.id);
                let reason = refund.and_then(|refund| refund.reason.as_ref()?.value().cloned());
                let request = RefundRequest { id, money, reason };
                self.call(account, "refund", &ctx, adapter.refund(&ctx, &attempt, &request)).await
            }
        }
    }

    /// A provider that cannot close, or has no such call for this state, was asked and says that nothing was
    /// taken: the session ends on our own word.
    async fn close_by_gateway(
        &self,
        order: &mut OrderAggregate,
        account: &Account,
        pending: &Pending,
        cause: &Cause,
    ) -> Result<(), PaymentError> {
        let only_read = !account.about().capabilities.cancel.cancels_checkout();
        if !only_read || pending.operation.kind != OperationKind::Close {
            return Ok(());
        }
        let end = |order: &OrderAggregate, _| {
            Ok::<_, PaymentError>(operate::closed_by_gateway(order, pending.payment).into())
        };
        self.shared.change("close", order, cause, end).await.map(|_| ())
    }

    /// The provider said no. A page that does not close is asked about: it may have been paid meanwhile. So is what was
    /// sent before: that may be why a second is refused.
    async fn handle_decline(
        &self,
        order: &mut OrderAggregate,
        pending: &Pending,
        error: ProviderError,
        cause: &Cause,
    ) -> Result<(), PaymentError> {
        let closes = pending.operation.kind == OperationKind::Close;
        if closes || pending.before {
            let asked = self.fetch_status(order.id(), pending.payment, cause).await;
            *order = match asked {
                Ok(fresh) => fresh,
                Err(PaymentError::Provider(_)) => return Ok(()),
                Err(fault) => return Err(fault),
            };
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
            // Another that has taken its place meanwhile was not refused.
            if Pending::of(order, pending.payment)
                .is_none_or(|now| !now.operation.is_same(&pending.operation))
            {
                return Ok(Vec::new().into());
            }
            let mut events = operate::refused(order, pending.payment, failure.clone());
            events.extend(not_refunded(order, pending.payment, now, &mut self.shared.ids()));
            events.extend(not_taken(order, pending.payment, now, &mut self.shared.ids()));
            Ok::<_, PaymentError>(events.into())
        };
        self.shared.change("refused", order, cause, end).await.map(|_| ())
    }
}

/// An operation under way, with what is needed to send it.
struct Pending {
    payment: PaymentId,
    operation: Operation,
    record: Attempt,
    /// Whether it may have been sent before.
    before: bool,
}

impl Pending {
    fn of(order: &OrderAggregate, payment: PaymentId) -> Option<Self> {
        let found = order.payment(payment)?;
        let operation = found.operation.clone()?;
        let record = order.attempt(found.attempt?)?.clone();
        Some(Self { payment, operation, record, before: false })
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
