//! Handing an order over.

use port::{OrderId, PaymentId};

use super::{Asked, OrderError, Orders};
use crate::domain::OrderFile;
use crate::domain::submit::{Submission, submit};

impl Orders {
    /// Submits the order with what proves that it may be.
    ///
    /// # Errors
    /// [`OrderError::Refused`], which names what is missing.
    pub async fn submit(&self, asked: &Asked, order: OrderId, with: &Submission) -> Result<OrderFile, OrderError> {
        let mut file = self.file(asked, order).await?;
        let payment = PaymentId::from_uuid(self.payments.shared.source.uuid());
        self.change("submit", asked, &mut file, |file, now| Ok(submit(file, with, payment, now)?)).await?;
        Ok(file)
    }
}
