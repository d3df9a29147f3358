//! What a provider made for an attempt: taken as its own, closed if nobody may see it, left to the orphans if nobody
//! waits for it any more.

use port::{AttemptId, Next, Timestamp};

use super::{Account, PaymentError, Payments};
use crate::domain::observe::no_web_page;
use crate::domain::open::accept_start;
use crate::domain::{Cause, Erasable, Event, FailureCode, OrderAggregate, Session, operate};

impl Payments {
    /// Takes an object as the attempt's own. One that states another amount, or whose page is no web page, is never
    /// shown to the customer: it is closed at the provider, and a person is told. One for which nobody waits any more is
    /// left to be closed as an orphan.
    pub(super) async fn accept_start(
        &self,
        order: &mut OrderAggregate,
        account: &Account,
        attempt: AttemptId,
        created: port::CreatedPayment,
        as_of: Timestamp,
        cause: &Cause,
    ) -> Result<(), PaymentError> {
        let Some(record) = order.attempt(attempt) else { return Ok(()) };
        let differs = created.view.total.is_some_and(|total| total != record.money);
        let unsafe_page = !can_be_opened(&created.next);
        let wrong = differs || unsafe_page;
        let nonce = || self.shared.env.nonce();
        let mut adapter_state =
            record.adapter_state.as_ref().and_then(Erasable::value).cloned().unwrap_or_default();
        let keeps = !created.adapter_state.is_empty();
        adapter_state.extend(created.adapter_state);
        let event = Event::AttemptCreated {
            attempt,
            reference: created.reference,
            next: Erasable::new(if wrong { Next::Nothing } else { created.next }, nonce()),
            adapter_state: keeps.then(|| Erasable::new(adapter_state, nonce())),
        };
        let mut first = vec![event];
        if unsafe_page {
            first.extend(no_web_page(order, record.payment, self.shared.now(), &mut self.shared.ids()));
        }
        let seen = self.translate(account, created.view, as_of);
        let taken = |order: &OrderAggregate| accept_start(order, attempt, &first);
        self.observe_answer(order, account, attempt, &seen, taken, cause).await?;
        self.shared.metrics.attempt_created(&account.name);
        self.close_created(order, attempt, wrong, cause).await
    }

    /// Closes what was just begun, if it must not be shown, or if somebody wanted it closed meanwhile: that found
    /// nothing to close yet.
    async fn close_created(
        &self,
        order: &mut OrderAggregate,
        attempt: AttemptId,
        wrong: bool,
        cause: &Cause,
    ) -> Result<(), PaymentError> {
        let open = |order: &OrderAggregate| {
            let own = |session: &&Session| session.attempt == attempt;
            order.open_session().filter(own).cloned()
        };
        if let Some(session) = open(order).filter(|_| wrong) {
            let decide = |order: &OrderAggregate, now| {
                let close = operate::close(order, session.id, FailureCode::ProviderError, now)?;
                Ok::<_, PaymentError>(close.into())
            };
            self.shared.change("close", order, cause, decide).await?;
        }
        match open(order).filter(|session| session.closing.is_some()) {
            Some(session) => Box::pin(self.operate(order, session.payment, cause)).await,
            None => Ok(()),
        }
    }
}

/// Whether a browser that is sent there opens a page, and runs no script.
fn can_be_opened(next: &Next) -> bool {
    match next {
        Next::Page(url) => url.starts_with("https://") || url.starts_with("http://"),
        Next::Widget(_) | Next::Nothing => true,
    }
}
