//! Renders the outcome of an order's request, for the request and for its repeats.

use port::{AttemptId, AttentionId, PaymentId, SessionId};

use crate::domain::view::{AttentionView, OrderView, PaymentView, RefundView, SessionView, view};
use crate::domain::{
    DomainError, FailureCode, OrderAggregate, Outcome, OutcomeStatus, Session, SessionStatus,
};
use crate::http::answer::Answer;
use crate::http::problem::Problem;
use crate::http::request::ApiRequest;
use crate::http::state::State;

pub(crate) fn order(_: &ApiRequest, outcome: &Outcome) -> Result<Answer, Problem> {
    Ok(Answer::ok(&OrderView(&outcome.order))?.version(outcome.order.version()))
}

pub(crate) fn created(request: &ApiRequest, outcome: &Outcome) -> Result<Answer, Problem> {
    Ok(order(request, outcome)?.created(order_address(&outcome.order)))
}

/// An order that was submitted, or whose payment profile was charged.
pub(crate) fn submitted(request: &ApiRequest, outcome: &Outcome) -> Result<Answer, Problem> {
    let answer = order(request, outcome)?;
    let session = outcome.session.and_then(|id| outcome.order.session(id));
    let Some(charge) = session.filter(|session| session.charge.is_some()) else { return Ok(answer) };
    match (charge.status, &charge.failure) {
        (SessionStatus::Completed, _) => Ok(answer),
        (SessionStatus::Failed, Some(failure)) if failure.code != FailureCode::Cancelled => {
            let declined =
                port::Failure { code: failure.provider_code.clone(), text: failure.message.clone() };
            Err(DomainError::Declined(declined).into())
        }
        (SessionStatus::Failed, _) => Err(DomainError::AuthenticationRequired.into()),
        (SessionStatus::Pending | SessionStatus::RequiresAction, _) => {
            Ok(answer.accepted(order_address(&outcome.order)))
        }
    }
}

pub(crate) fn session(request: &ApiRequest, outcome: &Outcome) -> Result<Answer, Problem> {
    let session = session_of(outcome)?;
    Ok(started(session_answer(request.state(), &outcome.order, session)?, session, outcome))
}

view! {
    OrderAndSession(order: OrderAggregate, session: Session, qr_url: dyn Fn(AttemptId) -> String)
    "order": OrderView(order),
    "session": SessionView(order, session, qr_url),
}

pub(crate) fn order_and_session(request: &ApiRequest, outcome: &Outcome) -> Result<Answer, Problem> {
    let session = session_of(outcome)?;
    let qr_url = |attempt| request.state().qr_url(attempt);
    Ok(started(Answer::ok(&OrderAndSession(&outcome.order, session, &qr_url))?, session, outcome))
}

fn started(answer: Answer, session: &Session, outcome: &Outcome) -> Answer {
    let location = session_address(session);
    if outcome.is_pending() { answer.accepted(location) } else { answer.created(location) }
}

fn session_of(outcome: &Outcome) -> Result<&Session, Problem> {
    let found = outcome.session.and_then(|id| outcome.order.session(id));
    found.ok_or_else(|| Problem::internal("the session of a checkout is missing"))
}

/// A session that was cancelled, or is being cancelled.
pub(crate) fn cancelled_session(request: &ApiRequest, outcome: &Outcome) -> Result<Answer, Problem> {
    let id: SessionId = request.id("session")?;
    let session = outcome.order.session(id).ok_or_else(Problem::not_found)?;
    if session.status == SessionStatus::Completed {
        return Err(DomainError::TooLate("the session is COMPLETED; it was paid").into());
    }
    let answer = session_answer(request.state(), &outcome.order, session)?;
    Ok(if outcome.is_pending() { answer.accepted(session_address(session)) } else { answer })
}

/// A payment with a capture or void, done or pending.
pub(crate) fn operated(request: &ApiRequest, outcome: &Outcome) -> Result<Answer, Problem> {
    let id: PaymentId = request.id("payment")?;
    let payment = outcome.order.payment(id).ok_or_else(Problem::not_found)?;
    let answer = Answer::ok(&PaymentView(&outcome.order, payment))?.version(payment.version);
    match &outcome.status {
        OutcomeStatus::Done => Ok(answer),
        OutcomeStatus::Pending => Ok(answer.accepted(format!("/v1/payments/{id}"))),
        OutcomeStatus::Declined(failure) => Err(DomainError::Declined(failure.clone()).into()),
    }
}

/// A refund that was created: done, queued, or of unknown outcome.
pub(crate) fn refund(_: &ApiRequest, outcome: &Outcome) -> Result<Answer, Problem> {
    let found = outcome.refund.and_then(|id| outcome.order.refund(id));
    let refund = found.ok_or_else(|| Problem::internal("the created refund is missing"))?;
    let answer = Answer::ok(&RefundView(&outcome.order, refund))?.version(refund.version);
    let location = format!("/v1/refunds/{}", refund.id);
    match &outcome.status {
        OutcomeStatus::Done => Ok(answer.created(location)),
        OutcomeStatus::Pending => Ok(answer.accepted(location)),
        OutcomeStatus::Declined(failure) => {
            let declined = Problem::from(DomainError::Declined(failure.clone()));
            Err(declined.with("refundId", refund.id.to_string()))
        }
    }
}

pub(crate) fn attention(request: &ApiRequest, outcome: &Outcome) -> Result<Answer, Problem> {
    let id: AttentionId = request.id("attention")?;
    let attention = outcome.order.attention(id).ok_or_else(Problem::not_found)?;
    Ok(Answer::ok(&AttentionView(&outcome.order, attention))?.version(attention.version()))
}

pub(super) fn session_answer(
    state: &State,
    order: &OrderAggregate,
    session: &Session,
) -> Result<Answer, Problem> {
    let qr_url = |attempt| state.qr_url(attempt);
    Ok(Answer::ok(&SessionView(order, session, &qr_url))?.version(session.version))
}

fn order_address(order: &OrderAggregate) -> String {
    format!("/v1/orders/{}", order.id())
}

fn session_address(session: &Session) -> String {
    format!("/v1/payment-sessions/{}", session.id)
}
