//! Payment sessions: looking at one, asking its provider, and cancelling it.

use port::SessionId;

use super::show;
use crate::http::answer::Answer;
use crate::http::call::Call;
use crate::http::idempotency::Done;
use crate::http::input::Query;
use crate::http::problem::Problem;
use crate::payments::PaymentError;
use crate::store::Handle;

pub(in crate::http) async fn read(call: Call) -> Result<Answer, Problem> {
    let query = Query::of(call.incoming.request.query_string());
    let refresh = query.parsed("refresh", "true or false").unwrap_or(false);
    query.finish(())?;
    let id: SessionId = call.id("session")?;
    let mut order = call.file_of(Handle::Session(id)).await?;
    let payment = order.session(id).map(|session| session.payment);
    if let Some(payment) = payment.filter(|_| refresh) {
        let stored = order.clone();
        order = match call.state().payments().ask_for_merchant(order, payment, &call.cause()).await {
            // A provider that cannot be asked is no reason to hide what is known.
            Err(PaymentError::Provider(_)) => stored,
            other => other?,
        };
    }
    let session = order.session(id).ok_or_else(Problem::not_found)?;
    show::session_answer(call.state(), &order, session)
}

pub(in crate::http) async fn cancel(call: &Call) -> Result<Done, Problem> {
    call.read_nothing()?;
    let id: SessionId = call.id("session")?;
    let order = call.file_of(Handle::Session(id)).await?.id();
    let closed = call.state().orders().cancel_session(&call.asked(), order, id).await?;
    Ok(Done::session(closed.order, id, closed.pending))
}
