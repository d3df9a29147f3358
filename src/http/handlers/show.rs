//! How what came of a change is shown: to the request that made it, and to a repeat of it.

use serde::Serialize;

use crate::domain::view::{self, OrderView, SessionView};
use crate::domain::{FailureCode, OrderFile, Refusal, Session, SessionStatus};
use crate::http::answer::Answer;
use crate::http::idempotency::Done;
use crate::http::problem::Problem;
use crate::http::state::State;

/// An order as it is.
pub(in crate::http) fn order(_: &State, done: &Done) -> Result<Answer, Problem> {
    Ok(Answer::ok(&view::order(&done.file))?.version(done.file.sequence))
}

/// An order that was made, or got a line more.
pub(in crate::http) fn placed(state: &State, done: &Done) -> Result<Answer, Problem> {
    Ok(order(state, done)?.created(order_address(&done.file)))
}

/// An order that was submitted, or whose stored method was charged for it.
pub(in crate::http) fn submitted(state: &State, done: &Done) -> Result<Answer, Problem> {
    let answer = order(state, done)?;
    let charge = done.session.and_then(|id| done.file.session(id)).filter(|session| session.charge.is_some());
    let Some(session) = charge else { return Ok(answer) };
    match (session.status, &session.failure) {
        (SessionStatus::Completed, _) => Ok(answer),
        (SessionStatus::Failed, Some(failure)) if failure.code != FailureCode::Cancelled => {
            let said = port::Failure { code: failure.provider_code.clone(), text: failure.message.clone() };
            Err(Refusal::Declined(said).into())
        }
        (SessionStatus::Failed, _) => Err(Refusal::AuthenticationRequired.into()),
        (SessionStatus::Pending | SessionStatus::RequiresAction, _) => {
            Ok(answer.accepted(order_address(&done.file)))
        }
    }
}

/// A session that was opened.
pub(in crate::http) fn opened(state: &State, done: &Done) -> Result<Answer, Problem> {
    let session = session_of(done)?;
    Ok(begun(session_answer(state, &done.file, session)?, session, done.pending))
}

/// A session that was closed, or is being closed.
pub(in crate::http) fn closed(state: &State, done: &Done) -> Result<Answer, Problem> {
    let session = session_of(done)?;
    if session.status == SessionStatus::Completed {
        return Err(Refusal::TooLate("the session is COMPLETED; it was paid").into());
    }
    let answer = session_answer(state, &done.file, session)?;
    Ok(if done.pending { answer.accepted(session_address(session)) } else { answer })
}

#[derive(Serialize)]
struct Both<'a> {
    order: OrderView<'a>,
    session: SessionView<'a>,
}

/// An order that was made and its session.
pub(in crate::http) fn quick(state: &State, done: &Done) -> Result<Answer, Problem> {
    let session = session_of(done)?;
    let qr_url = |attempt| state.qr_url(attempt);
    let both = Both { order: view::order(&done.file), session: view::session(&done.file, session, &qr_url) };
    Ok(begun(Answer::ok(&both)?, session, done.pending))
}

/// A payment that was captured or voided, or is to be.
pub(in crate::http) fn operated(_: &State, done: &Done) -> Result<Answer, Problem> {
    if let Some(failure) = &done.refused {
        return Err(Refusal::Declined(failure.clone()).into());
    }
    let found = done.payment.and_then(|id| done.file.payment(id));
    let payment = found.ok_or_else(|| Problem::internal("the payment of an operation is gone"))?;
    let answer = Answer::ok(&view::payment(&done.file, payment))?.version(payment.version);
    Ok(if done.pending { answer.accepted(format!("/v1/payments/{}", payment.id)) } else { answer })
}

/// A refund that was made: done, waiting for its turn, or sent without an answer.
pub(in crate::http) fn refunded(_: &State, done: &Done) -> Result<Answer, Problem> {
    let found = done.refund.and_then(|id| done.file.refund(id));
    let refund = found.ok_or_else(|| Problem::internal("the refund that was made is gone"))?;
    if let Some(failure) = &done.refused {
        return Err(Problem::from(Refusal::Declined(failure.clone())).with("refundId", refund.id.to_string()));
    }
    let answer = Answer::ok(&view::refund(&done.file, refund))?.version(refund.version);
    let location = format!("/v1/refunds/{}", refund.id);
    let payment = done.file.payment(refund.payment);
    let sent = payment.and_then(|payment| payment.operation.as_ref()?.refund) == Some(refund.id);
    Ok(if sent { answer.accepted(location) } else { answer.created(location) })
}

/// An attention that was decided.
pub(in crate::http) fn resolved(_: &State, done: &Done) -> Result<Answer, Problem> {
    let found = done.attention.and_then(|id| done.file.attention(id));
    let told = found.ok_or_else(|| Problem::internal("the attention of a decision is gone"))?;
    Ok(Answer::ok(&view::attention(&done.file, told))?.version(told.version()))
}

/// A session as it is.
pub(super) fn session_answer(state: &State, file: &OrderFile, session: &Session) -> Result<Answer, Problem> {
    let qr_url = |attempt| state.qr_url(attempt);
    Ok(Answer::ok(&view::session(file, session, &qr_url))?.version(session.version))
}

fn begun(answer: Answer, session: &Session, pending: bool) -> Answer {
    let location = session_address(session);
    if pending { answer.accepted(location) } else { answer.created(location) }
}

fn session_of(done: &Done) -> Result<&Session, Problem> {
    let found = done.session.and_then(|id| done.file.session(id));
    found.ok_or_else(|| Problem::internal("the session of a checkout is gone"))
}

fn order_address(file: &OrderFile) -> String {
    format!("/v1/orders/{}", file.id())
}

fn session_address(session: &Session) -> String {
    format!("/v1/payment-sessions/{}", session.id)
}
