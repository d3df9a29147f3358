//! How an order ends: approved and fulfilled, rejected, cancelled, or left alone too long.

use port::Timestamp;

use super::agenda::{idle, untold_money};
use super::cart::ensure;
use super::event::{Fact, Ids};
use super::file::OrderFile;
use super::observe::raise;
use super::operate::{CANCELLABLE, blocks_expiry, close, give_back};
use super::order::OrderState;
use super::payment::AttentionCode;
use super::refusal::Refusal;
use super::sealed::Sealed;
use super::session::FailureCode;

/// A person approves the order.
///
/// # Errors
/// [`Refusal::InvalidState`] unless it waits for that.
pub fn approve(file: &OrderFile) -> Result<Vec<Fact>, Refusal> {
    ensure(&file.order, "approved", &[OrderState::PendingApproval])?;
    Ok(vec![moved(file, OrderState::Processing, None)])
}

/// A person rejects the order: it is cancelled and its money given back.
///
/// # Errors
/// [`Refusal::InvalidState`] unless it waits for that.
pub fn reject(file: &OrderFile, now: Timestamp, ids: &mut Ids<'_>) -> Result<Vec<Fact>, Refusal> {
    ensure(&file.order, "rejected", &[OrderState::PendingApproval])?;
    Ok(ended(file, OrderState::Cancelled, "rejected", now, ids))
}

/// The merchant cancels the order: it ends at once, and what gives the money back is recorded with it.
///
/// # Errors
/// [`Refusal::InvalidState`] once it is being fulfilled, or has ended.
pub fn cancel(file: &OrderFile, now: Timestamp, ids: &mut Ids<'_>) -> Result<Vec<Fact>, Refusal> {
    ensure(&file.order, "cancelled", CANCELLABLE)?;
    Ok(ended(file, OrderState::Cancelled, "cancelled", now, ids))
}

fn ended(file: &OrderFile, to: OrderState, why: &str, now: Timestamp, ids: &mut Ids<'_>) -> Vec<Fact> {
    let mut facts = vec![moved(file, to, Some(why.to_owned()))];
    facts.extend(give_back(file, now, ids));
    facts
}

/// The merchant tells how fulfilment went. A failure moves no money; a person is told.
///
/// # Errors
/// [`Refusal::InvalidState`] unless it is being fulfilled.
pub fn fulfil(
    file: &OrderFile,
    completed: bool,
    detail: Option<Sealed<String>>,
    now: Timestamp,
    ids: &mut Ids<'_>,
) -> Result<Vec<Fact>, Refusal> {
    ensure(&file.order, "fulfilled", &[OrderState::Processing])?;
    let to = if completed { OrderState::Completed } else { OrderState::Failed };
    let mut facts: Vec<_> = detail.map(Fact::FulfilmentTold).into_iter().collect();
    facts.push(moved(file, to, None));
    if completed {
        return Ok(facts);
    }
    if let Some(payment) = file.payments.iter().find(|payment| payment.standing.holds_money()) {
        let detail = "fulfilment failed and the order is paid".to_owned();
        facts.extend(raise(file, AttentionCode::PaidNotFulfilled, Some(payment.id), detail, None, now, ids));
    }
    Ok(facts)
}

/// What is due for an order that nobody touches: it expires, unless money is held, collected or uncertain; then
/// a person is told after a day.
pub fn expire(file: &OrderFile, now: Timestamp, ids: &mut Ids<'_>) -> Vec<Fact> {
    if idle(file).is_none_or(|at| now < at) {
        return Vec::new();
    }
    if let Some(payment) = untold_money(file) {
        let detail = "paid a day ago and not submitted".to_owned();
        return raise(file, AttentionCode::PaidNotSubmitted, Some(payment.id), detail, None, now, ids);
    }
    if blocks_expiry(file) {
        return Vec::new();
    }
    match file.open_session() {
        // The session ends first, by the provider's word; the order follows at its next turn.
        Some(session) => close(file, session.id, FailureCode::Expired, now).unwrap_or_default(),
        None => vec![moved(file, OrderState::Expired, None)],
    }
}

fn moved(file: &OrderFile, to: OrderState, why: Option<String>) -> Fact {
    Fact::OrderMoved { from: file.order.state, to, why }
}
