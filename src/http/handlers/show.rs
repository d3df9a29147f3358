//! How what came of a change is shown: to the request that made it, and to a repeat of it.

use serde::Serialize;

use crate::domain::view::{self, OrderView, SessionView};
use crate::domain::{DomainError, FailureCode, OrderAggregate, Session, SessionStatus};
use crate::http::answer::Answer;
use crate::http::idempotency::CommandOutcome;
use crate::http::problem::Problem;
use crate::http::state::State;

/// An order as it is.
pub(in crate::http) fn order(_: &State, outcome: &CommandOutcome) -> Result<Answer, Problem> {
    Ok(Answer::ok(&view::order(&outcome.order))?.version(outcome.order.sequence))
}

/// An order that was made, or got a line more.
pub(in crate::http) fn placed(state: &State, outcome: &CommandOutcome) -> Result<Answer, Problem> {
    Ok(order(state, outcome)?.created(order_address(&outcome.order)))
}

/// An order that was submitted, or whose stored method was charged for it.
pub(in crate::http) fn submitted(state: &State, outcome: &CommandOutcome) -> Result<Answer, Problem> {
    let answer = order(state, outcome)?;
    let charge =
        outcome.session.and_then(|id| outcome.order.session(id)).filter(|session| session.charge.is_some());
    let Some(session) = charge else { return Ok(answer) };
    match (session.status, &session.failure) {
        (SessionStatus::Completed, _) => Ok(answer),
        (SessionStatus::Failed, Some(failure)) if failure.code != FailureCode::Cancelled => {
            let said = port::Failure { code: failure.provider_code.clone(), text: failure.message.clone() };
            Err(DomainError::Declined(said).into())
        }
        (SessionStatus::Failed, _) => Err(DomainError::AuthenticationRequired.into()),
        (SessionStatus::Pending | SessionStatus::RequiresAction, _) => {
            Ok(answer.accepted(order_address(&outcome.order)))
        }
    }
}

/// A session that was opened.
pub(in crate::http) fn opened(state: &State, outcome: &CommandOutcome) -> Result<Answer, Problem> {
    let session = session_of(outcome)?;
    Ok(started(session_answer(state, &outcome.order, session)?, session, outcome.pending))
}

/// A session that was closed, or is being closed.
pub(in crate::http) fn closed(state: &State, outcome: &CommandOutcome) -> Result<Answer, Problem> {
    let session = session_of(outcome)?;
    if session.status == SessionStatus::Completed {
        return Err(DomainError::TooLate("the session is COMPLETED; it was paid").into());
    }
    let answer = session_answer(state, &outcome.order, session)?;
    Ok(if outcome.pending { answer.accepted(session_address(session)) } else { answer })
}

#[derive(Serialize)]
struct Both<'a> {
    order: OrderView<'a>,
    session: SessionView<'a>,
}

/// An order that was made and its session.
pub(in crate::http) fn create_and_checkout(
    state: &State,
    outcome: &CommandOutcome,
) -> Result<Answer, Problem> {
    let session = session_of(outcome)?;
    let qr_url = |attempt| state.qr_url(attempt);
    let both =
        Both { order: view::order(&outcome.order), session: view::session(&outcome.order, session, &qr_url) };
    Ok(started(Answer::ok(&both)?, session, outcome.pending))
}

/// A payment that was captured or voided, or is to be.
pub(in crate::http) fn operated(_: &State, outcome: &CommandOutcome) -> Result<Answer, Problem> {
    if let Some(failure) = &outcome.refused {
        return Err(DomainError::Declined(failure.clone()).into());
    }
    let found = outcome.payment.and_then(|id| outcome.order.payment(id));
    let payment = found.ok_or_else(|| Problem::internal("the payment of an operation is gone"))?;
    let answer = Answer::ok(&view::payment(&outcome.order, payment))?.version(payment.version);
    Ok(if outcome.pending { answer.accepted(format!("/v1/payments/{}", payment.id)) } else { answer })
}

/// A refund that was made: done, waiting for its turn, or sent without an answer.
pub(in crate::http) fn refunded(_: &State, outcome: &CommandOutcome) -> Result<Answer, Problem> {
    let found = outcome.refund.and_then(|id| outcome.order.refund(id));
    let refund = found.ok_or_else(|| Problem::internal("the refund that was made is gone"))?;
    if let Some(failure) = &outcome.refused {
        return Err(
            Problem::from(DomainError::Declined(failure.clone())).with("refundId", refund.id.to_string())
        );
    }
    let answer = Answer::ok(&view::refund(&outcome.order, refund))?.version(refund.version);
    let location = format!("/v1/refunds/{}", refund.id);
    let payment = outcome.order.payment(refund.payment);
    let sent = payment.and_then(|payment| payment.operation.as_ref()?.refund) == Some(refund.id);
    Ok(if sent { answer.accepted(location) } else { answer.created(location) })
}

/// An attention that was decided.
pub(in crate::http) fn resolved(_: &State, outcome: &CommandOutcome) -> Result<Answer, Problem> {
    let found = outcome.attention.and_then(|id| outcome.order.attention(id));
    let attention = found.ok_or_else(|| Problem::internal("the attention of a decision is gone"))?;
    Ok(Answer::ok(&view::attention(&outcome.order, attention))?.version(attention.version()))
}

/// A session as it is.
pub(super) fn session_answer(
    state: &State,
    order: &OrderAggregate,
    session: &Session,
) -> Result<Answer, Problem> {
    let qr_url = |attempt| state.qr_url(attempt);
    Ok(Answer::ok(&view::session(order, session, &qr_url))?.version(session.version))
}

fn started(answer: Answer, session: &Session, pending: bool) -> Answer {
    let location = session_address(session);
    if pending { answer.accepted(location) } else { answer.created(location) }
}

fn session_of(outcome: &CommandOutcome) -> Result<&Session, Problem> {
    let found = outcome.session.and_then(|id| outcome.order.session(id));
    found.ok_or_else(|| Problem::internal("the session of a checkout is gone"))
}

fn order_address(order: &OrderAggregate) -> String {
    format!("/v1/orders/{}", order.id())
}

fn session_address(session: &Session) -> String {
    format!("/v1/payment-sessions/{}", session.id)
}
