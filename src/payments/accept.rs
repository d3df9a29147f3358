//! Accepting what a provider made for an attempt: as the attempt's own, closed if it must not be shown, left to be closed
//! as an orphan if the attempt was abandoned meanwhile.

use port::{AttemptId, Next};

use super::providers::extended;
use super::start::Created;
use super::task::OrderTask;
use super::{Account, PaymentError, Payments, Result};
use crate::domain::session_start::accept_start;
use crate::domain::{AttentionCode, Context, Erasable, Event, FailureCode, OrderAggregate, Session, operate};

impl Payments {
    /// Accepts an object as the attempt's own. One that has another amount, or whose page is no web page, is never
    /// shown to the customer: it is closed at the provider, and attention is raised.
    pub(super) async fn accept_start(
        &self,
        order: &mut OrderTask<'_>,
        account: &Account,
        attempt: AttemptId,
        (created, as_of): Created,
    ) -> Result<()> {
        let Some(started) = order.attempt(attempt) else { return Ok(()) };
        let payment = started.payment;
        let differs = created.view.total.is_some_and(|total| total != started.money);
        let unsafe_page = !can_be_opened(&created.next);
        let wrong = differs || unsafe_page;
        let nonce = || self.engine.env.nonce();
        let made = Event::AttemptCreated {
            attempt,
            reference: created.reference,
            next: Erasable::new(if wrong { Next::Nothing } else { created.next }, nonce()),
            adapter_state: extended(started.adapter_state.as_ref(), created.adapter_state, nonce()),
        };
        let seen = self.providers.translate(account, created.view, as_of);
        let accepted = |context: &mut Context<'_>| {
            let mut events = vec![made.clone()];
            if unsafe_page {
                let detail = "the checkout page is not an http or https address";
                events.extend(context.raise(AttentionCode::Contradiction, payment, detail));
            }
            accept_start(context.order, attempt, &events)
        };
        self.observe_start(order, account, attempt, &seen, accepted).await?;
        self.engine.metrics.attempt_created(&account.name);
        self.close_created(order, attempt, wrong).await
    }

    /// Closes what was just created if it must not be shown, or if closing it was requested meanwhile: that request
    /// found nothing to close yet.
    async fn close_created(&self, order: &mut OrderTask<'_>, attempt: AttemptId, wrong: bool) -> Result<()> {
        let open = |order: &OrderAggregate| {
            let own = |session: &&Session| session.attempt == attempt;
            order.open_session().filter(own).cloned()
        };
        if let Some(session) = open(order).filter(|_| wrong) {
            let decide = |order: &OrderAggregate, now| {
                let close = operate::close(order, session.id, FailureCode::ProviderError, now)?;
                Ok::<_, PaymentError>(close.into())
            };
            self.engine.change("close", &order.command, order.subject, decide).await?;
        }
        match open(order).filter(|session| session.closing.is_some()) {
            Some(session) => Box::pin(self.operate(order.subject, session.payment, &order.command)).await,
            None => Ok(()),
        }
    }
}

/// Whether a browser that follows it opens a page, and runs no script.
pub(super) fn can_be_opened(next: &Next) -> bool {
    match next {
        Next::Page(url) => url.starts_with("https://") || url.starts_with("http://"),
        Next::Widget(_) | Next::Nothing => true,
    }
}
