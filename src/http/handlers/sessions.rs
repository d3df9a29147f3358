//! Routes of payment sessions: read, with a fetch on request, and cancel.

use port::SessionId;

use super::show;
use crate::domain::Outcome;
use crate::http::answer::Answer;
use crate::http::problem::Problem;
use crate::http::request::{ApiRequest, order_id_of};
use crate::payments::PaymentError;

pub(crate) async fn read(request: &ApiRequest, refresh: bool) -> Result<Answer, Problem> {
    let id: SessionId = request.id("session")?;
    let mut order = request.order_of(id.uuid()).await?;
    let payment = order.session(id).map(|session| session.payment);
    if let Some(payment) = payment.filter(|_| refresh) {
        let payments = request.state().payments();
        match payments.fetch_status_for_merchant(order.clone(), payment, &request.command).await {
            // If the provider cannot be read, the stored state is shown.
            Err(PaymentError::Provider(_) | PaymentError::AccountNotConfigured { .. }) => {}
            fetched => order = fetched?,
        }
    }
    let session = order.session(id).ok_or_else(Problem::not_found)?;
    show::session_answer(request.state(), &order, session)
}

pub(crate) async fn cancel(request: &ApiRequest) -> Result<Outcome, Problem> {
    let id: SessionId = request.id("session")?;
    Ok(request.on(order_id_of(id.uuid())).cancel_session(id).await?)
}
