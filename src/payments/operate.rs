//! Sends operations to providers: close, capture, void, refund.
//!
//! The intent is in the order before this is called. An operation is sent once; before it is sent again the payment is
//! read, and then only where a second effect is impossible: the provider rules it out, or the last try provably never
//! reached it.

use port::{Advice, Failure, Money, Observation, OrderId, PaymentId, ProviderError, RefundRequest, Repeat};

use super::providers::NoState;
use super::task::OrderTask;
use super::{Account, PaymentError, Payments, ReadPass, Result};
use crate::domain::attention::{capture_declined, report_unknown, return_declined, unreported_unreadable};
use crate::domain::{
    Attempt, AttemptState, AttentionCode, Context, Event, Operation, OperationKind, OrderAggregate, Urgency,
    leaves_unpaid, mismatch_refund, operate, session_end,
};
use crate::engine::{Command, WorkingCopy};

/// The most refunds sent in one go; a job sends the rest.
const MAX_IN_A_ROW: usize = 20;

impl Payments {
    /// Sends the operations that a change requested and nothing else: an operation that was under way before may have
    /// taken effect already. `first` is the sequence of the change's first event.
    pub async fn send_requested(
        &self,
        order: &mut WorkingCopy<OrderAggregate>,
        first: Option<u64>,
        command: &Command,
    ) -> Result<()> {
        let step = first.and_then(|first| order.steps_from(first).first()).cloned();
        let mut sent = false;
        for event in step.iter().flat_map(|step| &step.change.events) {
            let Event::OperationRequested { payment, operation, .. } = event else { continue };
            // The call before it may have taken long: meanwhile a job may have taken it up, and even have ended it.
            if std::mem::replace(&mut sent, true) {
                self.engine.catch_up(order).await?;
            }
            if Pending::of(order, *payment).is_some_and(|pending| pending.operation == *operation) {
                Box::pin(self.operate(order, *payment, command)).await?;
            }
        }
        Ok(())
    }

    /// Sends the recorded operation, then the refunds waiting behind it.
    ///
    /// # Errors
    /// That of the store; a job then resolves what was sent.
    pub(super) async fn operate(
        &self,
        order: &mut WorkingCopy<OrderAggregate>,
        payment: PaymentId,
        command: &Command,
    ) -> Result<()> {
        let order = &mut self.task(order, command, &ReadPass::of(Urgency::UnknownOutcome));
        self.send_queue(order, payment, false).await
    }

    /// The same; `before` says that the operation may have been sent before.
    async fn send_queue(
        &self,
        order: &mut OrderTask<'_>,
        payment: PaymentId,
        mut before: bool,
    ) -> Result<()> {
        for _ in 0..MAX_IN_A_ROW {
            let Some(pending) = Pending::of(order, payment) else { return Ok(()) };
            self.send(order, &Pending { before, ..pending }).await?;
            before = false;
            if Pending::of(order, payment).is_some() || !self.next_in_queue(order, payment).await? {
                return Ok(());
            }
        }
        Ok(())
    }

    /// Resolves an operation of unknown outcome: reads the payment first, and sends again only where a second effect is
    /// impossible.
    pub async fn resume_operation(
        &self,
        order: OrderId,
        payment: PaymentId,
        command: &Command,
        pass: &ReadPass,
    ) -> Result<()> {
        let mut order = self.engine.existing(order.uuid()).await?;
        let order = &mut self.task(&mut order, command, pass);
        let Some(pending) = Pending::of(order, payment) else {
            if self.next_in_queue(order, payment).await? {
                self.send_queue(order, payment, false).await?;
            }
            return Ok(());
        };
        self.fetch_and_repeat(order, &pending).await
    }

    /// Raises attention on what has been unknown for too long about a payment, also, and most of all, while its provider
    /// cannot be read. Answers that could not be read are tried once more, since that may be long ago.
    pub async fn report_unknown(
        &self,
        order: OrderId,
        payment: PaymentId,
        command: &Command,
        pass: &ReadPass,
    ) -> Result<()> {
        let mut order = self.engine.existing::<OrderAggregate>(order.uuid()).await?;
        let order = &mut self.task(&mut order, command, pass);
        if order.payment(payment).is_some_and(|found| unreported_unreadable(order, found).is_some()) {
            // If it fails there is something to report.
            self.refresh(order, payment).await.ok();
        }
        order.extend("report unknown", |context| report_unknown(context, payment)).await.map(drop)
    }

    async fn fetch_and_repeat(&self, order: &mut OrderTask<'_>, pending: &Pending) -> Result<()> {
        if pending.attempt.state == AttemptState::Started {
            return Ok(());
        }
        self.refresh(order, pending.payment).await?;
        let still = Pending::of(order, pending.payment).filter(|still| still.operation == pending.operation);
        let Some(still) = still else { return Ok(()) };
        let refund = still.operation.kind == OperationKind::Refund;
        if refund && order.payment(pending.payment).is_some_and(operate::is_contested) {
            return Ok(());
        }
        let account = self.providers.account(&still.attempt.account)?;
        // Of several that find it unsent, only the one that records the next try sends it.
        let unsent = still.operation.unsent && self.record_next_try(order, &still).await?;
        if unsent || repeatable(&account, &still) {
            self.send_queue(order, pending.payment, !unsent).await?;
        }
        Ok(())
    }

    /// Reads the payment anew, and brings the order up to date: a read that began before may miss what was sent meanwhile.
    async fn refresh(&self, order: &mut OrderTask<'_>, payment: PaymentId) -> Result<()> {
        self.fetch_shared(order.id(), payment, &order.command, &order.pass, true).await?;
        Ok(self.engine.catch_up(order.subject).await?)
    }

    /// Records that a call for an operation ended without an answer that resolves it; `unsent`: it provably never reached
    /// the provider.
    async fn record_unanswered(
        &self,
        order: &mut OrderTask<'_>,
        pending: &Pending,
        unsent: bool,
    ) -> Result<()> {
        let record = |order: &OrderAggregate, _| {
            operate::unanswered(order, pending.payment, &pending.operation, unsent)
        };
        order.change("unanswered", record).await.map(drop)
    }

    /// Records that an operation that did not reach the provider is about to be sent again. False if another is doing so.
    async fn record_next_try(&self, order: &mut OrderTask<'_>, pending: &Pending) -> Result<bool> {
        let record =
            |order: &OrderAggregate, _| operate::send_again(order, pending.payment, &pending.operation);
        Ok(order.change("next try", record).await?.is_some())
    }

    async fn next_in_queue(&self, order: &mut OrderTask<'_>, payment: PaymentId) -> Result<bool> {
        let next = order.extend("next refund", |context| operate::next_refund(context, payment));
        Ok(next.await?.is_some())
    }

    async fn send(&self, order: &mut OrderTask<'_>, pending: &Pending) -> Result<()> {
        if pending.attempt.state == AttemptState::Started {
            return Ok(());
        }
        let Ok(account) = self.providers.account(&pending.attempt.account) else {
            return self.report_unsendable(order, pending).await;
        };
        match self.send_to(&account, order, pending).await {
            Ok(seen) => {
                self.observe(order, &account, pending.attempt.id, &seen, &[]).await?;
                // A provider that cannot close, or not in this state, was read and reports that nothing was taken: the
                // gateway itself ends the session.
                if pending.is_read_only(&account) && leaves_unpaid(&seen) {
                    let end =
                        |order: &OrderAggregate, _| session_end::closed_by_gateway(order, pending.payment);
                    order.change("close", end).await?;
                }
                Ok(())
            }
            Err(error) if error.advice() == Advice::Stop => self.handle_decline(order, pending, error).await,
            // Not sent, or not known: it stays recorded, and a job resumes it.
            Err(error) if error.advice() == Advice::ResolveUnknown || repeatable(&account, pending) => {
                self.record_unanswered(order, pending, false).await
            }
            Err(_) => self.record_unanswered(order, pending, true).await,
        }
    }

    /// Raises attention on an operation whose account is not configured any more. It is sent once the account is
    /// configured again.
    async fn report_unsendable(&self, order: &mut OrderTask<'_>, pending: &Pending) -> Result<()> {
        let (kind, account) = (pending.operation.kind.as_str(), &pending.attempt.account);
        let detail = format!("the {kind} was not sent: the account `{account}` is not configured");
        let report = |context: &mut Context<'_>| {
            context.raise(AttentionCode::OutcomeUnknown, pending.payment, detail.clone())
        };
        order.extend("report unsendable", report).await?;
        self.record_unanswered(order, pending, true).await
    }

    async fn send_to(
        &self,
        account: &Account,
        order: &OrderTask<'_>,
        pending: &Pending,
    ) -> Result<Observation, ProviderError> {
        let (view, adapter) = (pending.attempt.for_adapter(order.id()), &account.adapter);
        if pending.is_read_only(account) {
            self.providers.spend_read(account, &order.pass)?;
            return self.providers.fetch(account, &view).await;
        }
        let ctx = self.providers.ctx(account, &NoState);
        let amount = || {
            let amount =
                pending.operation.amount.ok_or(ProviderError::Unsupported("an operation without an amount"));
            Ok::<_, ProviderError>(Money::new(amount?, pending.attempt.money.currency))
        };
        match pending.operation.kind {
            OperationKind::Close | OperationKind::Void => {
                self.providers.observe(account, "cancel", &view, &ctx, adapter.cancel(&ctx, &view)).await
            }
            OperationKind::Capture => {
                self.providers
                    .observe(account, "capture", &view, &ctx, adapter.capture(&ctx, &view, amount()?))
                    .await
            }
            OperationKind::Refund => {
                let refund = pending.operation.refund.and_then(|id| order.refund(id));
                if refund.is_none() && pending.operation.refund.is_some() {
                    return Err(ProviderError::Unsupported("refund without a refund record"));
                }
                // Money taken over another amount than was requested goes back once for an attempt.
                let id = refund.map_or_else(|| mismatch_refund(pending.attempt.id), |refund| refund.id);
                let reason = refund.and_then(|refund| refund.reason.as_ref()?.value().cloned());
                let request = RefundRequest { id, money: amount()?, reason };
                self.providers
                    .observe(account, "refund", &view, &ctx, adapter.refund(&ctx, &view, &request))
                    .await
            }
        }
    }

    /// The provider declined. The payment is read where it may have been paid meanwhile (its page does not close) and
    /// where the operation was sent before, which may be why a second one is declined.
    async fn handle_decline(
        &self,
        order: &mut OrderTask<'_>,
        pending: &Pending,
        error: ProviderError,
    ) -> Result<()> {
        let closes = pending.operation.kind == OperationKind::Close;
        if closes || pending.before {
            match self.refresh(order, pending.payment).await {
                Err(PaymentError::Provider(_)) => return Ok(()),
                read => read?,
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
        let end = order.extend("decline", |context| {
            // Another operation that has replaced it meanwhile was not declined.
            let still = Pending::of(context.order, pending.payment);
            if !still.is_some_and(|still| still.operation.is_same(&pending.operation)) {
                return Vec::new();
            }
            let mut events = operate::declined(context.order, pending.payment, failure.clone());
            events.extend(return_declined(context, pending.payment));
            events.extend(capture_declined(context, pending.payment));
            events
        });
        end.await.map(drop)
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

    /// Whether it is a close at a provider that cannot close a page: then the payment is read instead.
    fn is_read_only(&self, account: &Account) -> bool {
        self.operation.kind == OperationKind::Close && !account.about().capabilities.cancel.cancels_checkout()
    }
}

/// Whether this operation can be sent again without a second effect.
fn repeatable(account: &Account, pending: &Pending) -> bool {
    let repeat = account.about().capabilities.repeat;
    let how = match pending.operation.kind {
        OperationKind::Close | OperationKind::Void => repeat.cancel,
        OperationKind::Capture => repeat.capture,
        OperationKind::Refund => repeat.refund,
    };
    how != Repeat::Unsafe
}
