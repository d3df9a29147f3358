//! Handing an order over.

use port::{OrderId, PaymentId};

use super::{Asked, OrderError, Orders};
use crate::domain::submit::{Submission, submit};
use crate::domain::{OrderFile, ProfileSession, Refusal};
use crate::payments::Decided;
use crate::store::{Saving, Write};

impl Orders {
    /// Submits the order with what proves that it may be. A profile session that is among it proves one order only.
    ///
    /// # Errors
    /// [`OrderError::Refused`], which names what is missing.
    pub async fn submit(
        &self,
        asked: &Asked,
        order: OrderId,
        with: &Submission,
    ) -> Result<OrderFile, OrderError> {
        let mut file = self.file(asked, order).await?;
        let payment = PaymentId::from_uuid(self.payments.shared.source.uuid());
        let stored = match with.profile_session {
            Some(id) => Some(self.payments.profile_session(&asked.merchant, id).await?),
            None => None,
        };
        self.change("submit", asked, &mut file, |file, now| {
            let facts = submit(file, with, payment, now)?;
            let used = stored.as_ref().filter(|_| !facts.is_empty());
            let used = used.map(|session| proof(file, session.as_ref())).transpose()?;
            Ok(Decided { facts, with: used.into_iter().collect(), asked: None })
        })
        .await?;
        Ok(file)
    }
}

/// Uses a profile session up as the proof of an order, if it is one.
fn proof(file: &OrderFile, session: Option<&ProfileSession>) -> Result<Write, Refusal> {
    let session = session.ok_or(Refusal::SessionUnusable("there is no such payment profile session"))?;
    session.ensure_proves(&file.order)?;
    Ok(Write::Saving(Saving::Used { session: session.id, order: file.id() }))
}
