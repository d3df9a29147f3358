//! What a provider made for an attempt: taken as its own, closed if nobody may see it, left to the orphans if nobody
//! waits for it any more.

use port::{AttemptId, Next, Timestamp};

use super::{Account, PaymentError, Payments};
use crate::domain::observe::no_web_page;
use crate::domain::open::answered;
use crate::domain::{Cause, Fact, FailureCode, OrderFile, Sealed, Session, operate};

impl Payments {
    /// Takes an object as the attempt's own. One that states another amount, or whose page is no web page, is never
    /// shown to the customer: it is closed at the provider, and a person is told. One for which nobody waits any more is
    /// left to be closed as an orphan.
    pub(super) async fn adopt(
        &self,
        file: &mut OrderFile,
        account: &Account,
        attempt: AttemptId,
        begun: port::Begun,
        place: Timestamp,
        cause: &Cause,
    ) -> Result<(), PaymentError> {
        let Some(record) = file.attempt(attempt) else { return Ok(()) };
        let differs = begun.snapshot.total.is_some_and(|total| total != record.money);
        let unsafe_page = !can_be_opened(&begun.next);
        let wrong = differs || unsafe_page;
        let nonce = || self.shared.source.nonce();
        let mut theirs = record.theirs.as_ref().and_then(Sealed::value).cloned().unwrap_or_default();
        let keeps = !begun.theirs.is_empty();
        theirs.extend(begun.theirs);
        let fact = Fact::AttemptBegun {
            attempt,
            reference: begun.reference,
            next: Sealed::new(if wrong { Next::Nothing } else { begun.next }, nonce()),
            theirs: keeps.then(|| Sealed::new(theirs, nonce())),
        };
        let mut first = vec![fact];
        if unsafe_page {
            first.extend(no_web_page(file, record.payment, self.shared.now(), &mut self.shared.ids()));
        }
        let seen = self.understand(account, begun.snapshot, place);
        let taken = |file: &OrderFile| answered(file, attempt, &first);
        self.observe_answer(file, account, attempt, &seen, taken, cause).await?;
        self.shared.metrics.attempt_begun(&account.name);
        self.close_begun(file, attempt, wrong, cause).await
    }

    /// Closes what was just begun, if it must not be shown, or if somebody wanted it closed meanwhile: that found
    /// nothing to close yet.
    async fn close_begun(
        &self,
        file: &mut OrderFile,
        attempt: AttemptId,
        wrong: bool,
        cause: &Cause,
    ) -> Result<(), PaymentError> {
        let open = |file: &OrderFile| {
            let own = |session: &&Session| session.attempt == attempt;
            file.open_session().filter(own).cloned()
        };
        if let Some(session) = open(file).filter(|_| wrong) {
            let decide = |file: &OrderFile, now| {
                let close = operate::close(file, session.id, FailureCode::ProviderError, now)?;
                Ok::<_, PaymentError>(close.into())
            };
            self.shared.change("close", file, cause, decide).await?;
        }
        match open(file).filter(|session| session.closing.is_some()) {
            Some(session) => Box::pin(self.operate(file, session.payment, cause)).await,
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
