//! Payment sessions: looking at one, asking its provider, and cancelling it.

use port::SessionId;

use super::show;
use crate::http::answer::Answer;
use crate::http::call::ApiRequest;
use crate::http::idempotency::CommandOutcome;
use crate::http::input::Query;
use crate::http::problem::Problem;
use crate::payments::PaymentError;
use crate::store::OrderLocator;

pub(in crate::http) async fn read(request: ApiRequest) -> Result<Answer, Problem> {
    let query = Query::of(request.raw.request.query_string());
    let refresh = query.parsed("refresh", "true or false").unwrap_or(false);
    query.finish(())?;
    let id: SessionId = request.id("session")?;
    let mut order = request.order_of(OrderLocator::Session(id)).await?;
    let payment = order.session(id).map(|session| session.payment);
    if let Some(payment) = payment.filter(|_| refresh) {
        let stored = order.clone();
        order = match request
            .state()
            .payments()
            .fetch_status_for_merchant(order, payment, &request.cause())
            .await
        {
            // A provider that cannot be asked is no reason to hide what is known.
            Err(PaymentError::Provider(_)) => stored,
            other => other?,
        };
    }
    let session = order.session(id).ok_or_else(Problem::not_found)?;
    show::session_answer(request.state(), &order, session)
}

pub(in crate::http) async fn cancel(request: &ApiRequest) -> Result<CommandOutcome, Problem> {
    request.read_nothing()?;
    let id: SessionId = request.id("session")?;
    let order = request.order_of(OrderLocator::Session(id)).await?.id();
    let closed = request.state().orders().cancel_session(&request.command_context(), order, id).await?;
    Ok(CommandOutcome::session(closed.order, id, closed.pending))
}
