//! Payment sessions: looking at one, asking its provider, and cancelling it.

use port::SessionId;

use super::show;
use crate::domain::Outcome;
use crate::http::answer::Answer;
use crate::http::problem::Problem;
use crate::http::request::{ApiRequest, order_id_of};
use crate::payments::PaymentError;

pub(in crate::http) async fn read(request: &ApiRequest, refresh: bool) -> Result<Answer, Problem> {
    let id: SessionId = request.id("session")?;
    let mut order = request.order_of(id.uuid()).await?;
    let payment = order.session(id).map(|session| session.payment);
    if let Some(payment) = payment.filter(|_| refresh) {
        let payments = request.state().payments();
        match payments.fetch_status_for_merchant(order.clone(), payment, &request.command()).await {
            // A provider that cannot be asked is no reason to hide what is known.
            Err(PaymentError::Provider(_)) => {}
            fetched => order = fetched?,
        }
    }
    let session = order.session(id).ok_or_else(Problem::not_found)?;
    show::session_answer(request.state(), &order, session)
}

pub(in crate::http) async fn cancel(request: &ApiRequest) -> Result<Outcome, Problem> {
    let id: SessionId = request.id("session")?;
    let (orders, order) = (request.state().orders(), order_id_of(id.uuid()));
    Ok(orders.on(&request.merchant, &request.command(), order).cancel_session(id).await?)
}
