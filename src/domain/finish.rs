//! How an order ends: approved and fulfilled, rejected, cancelled, or left alone too long.

use port::Timestamp;

use super::aggregate::OrderAggregate;
use super::attention::raise;
use super::erasable::Erasable;
use super::error::DomainError;
use super::event::Event;
use super::guard::ensure;
use super::ids::NewIds;
use super::jobs::{idle, unflagged_money};
use super::operate::{CANCELLABLE, blocks_expiry, close, refund_or_void_all};
use super::order::OrderState;
use super::payment::AttentionCode;
use super::session::FailureCode;

/// A person approves the order.
///
/// # Errors
/// [`DomainError::InvalidState`] unless it waits for that.
pub fn approve(order: &OrderAggregate) -> Result<Vec<Event>, DomainError> {
    ensure(&order.header, "approved", &[OrderState::PendingApproval])?;
    Ok(vec![moved(order, OrderState::Processing, None)])
}

/// A person rejects the order: it is cancelled and its money given back.
///
/// # Errors
/// [`DomainError::InvalidState`] unless it waits for that.
pub fn reject(order: &OrderAggregate, now: Timestamp, ids: &mut NewIds) -> Result<Vec<Event>, DomainError> {
    ensure(&order.header, "rejected", &[OrderState::PendingApproval])?;
    Ok(ended(order, OrderState::Cancelled, "rejected", now, ids))
}

/// The merchant cancels the order: it ends at once, and what gives the money back is recorded with it.
///
/// # Errors
/// [`DomainError::InvalidState`] once it is being fulfilled, or has ended.
pub fn cancel(order: &OrderAggregate, now: Timestamp, ids: &mut NewIds) -> Result<Vec<Event>, DomainError> {
    ensure(&order.header, "cancelled", CANCELLABLE)?;
    Ok(ended(order, OrderState::Cancelled, "cancelled", now, ids))
}

fn ended(
    order: &OrderAggregate,
    to: OrderState,
    reason: &str,
    now: Timestamp,
    ids: &mut NewIds,
) -> Vec<Event> {
    let mut events = vec![moved(order, to, Some(reason.to_owned()))];
    events.extend(refund_or_void_all(order, now, ids));
    events
}

/// The merchant tells how fulfilment went. A failure moves no money; a person is told.
///
/// # Errors
/// [`DomainError::InvalidState`] unless it is being fulfilled.
pub fn fulfil(
    order: &OrderAggregate,
    completed: bool,
    detail: Option<Erasable<String>>,
    now: Timestamp,
    ids: &mut NewIds,
) -> Result<Vec<Event>, DomainError> {
    ensure(&order.header, "fulfilled", &[OrderState::Processing])?;
    let to = if completed { OrderState::Completed } else { OrderState::Failed };
    let mut events: Vec<_> = detail.map(Event::FulfilmentReported).into_iter().collect();
    events.push(moved(order, to, None));
    if completed {
        return Ok(events);
    }
    if let Some(payment) = order.payments.iter().find(|payment| payment.state.holds_money()) {
        let detail = "fulfilment failed and the order is paid".to_owned();
        events.extend(raise(
            order,
            AttentionCode::PaidNotFulfilled,
            Some(payment.id),
            detail,
            None,
            now,
            ids,
        ));
    }
    Ok(events)
}

/// What is due for an order that nobody touches: it expires, unless money is held, collected or uncertain; then
/// a person is told after a day.
pub fn expire(order: &OrderAggregate, now: Timestamp, ids: &mut NewIds) -> Vec<Event> {
    if idle(order).is_none_or(|at| now < at) {
        return Vec::new();
    }
    if let Some(payment) = unflagged_money(order) {
        let detail = "paid a day ago and not submitted".to_owned();
        return raise(order, AttentionCode::PaidNotSubmitted, Some(payment.id), detail, None, now, ids);
    }
    if blocks_expiry(order) {
        return Vec::new();
    }
    match order.open_session() {
        // The session ends first, by the provider's word; the order follows at its next turn.
        Some(session) => close(order, session.id, FailureCode::Expired, now).unwrap_or_default(),
        None => vec![moved(order, OrderState::Expired, None)],
    }
}

fn moved(order: &OrderAggregate, to: OrderState, reason: Option<String>) -> Event {
    Event::OrderStateChanged { from: order.header.state, to, reason }
}
