//! Ends an order: approval, rejection, fulfilment, cancellation and expiry.

use super::Context;
use super::aggregate::OrderAggregate;
use super::erasable::Erasable;
use super::error::DomainError;
use super::event::Event;
use super::jobs::{unflagged_money, unsubmitted_until};
use super::operate::{CANCELLABLE, blocks_expiry, close, refund_or_void_all};
use super::order::OrderState;
use super::payment::AttentionCode;
use super::session::FailureCode;

/// Approves the order.
///
/// # Errors
/// [`DomainError::InvalidState`] unless it waits for approval.
pub fn approve(order: &OrderAggregate) -> Result<Vec<Event>, DomainError> {
    order.header.ensure("approved", &[OrderState::PendingApproval])?;
    Ok(vec![order.header.moved(OrderState::Processing, None)])
}

/// Rejects the order: it is cancelled and its money returned.
///
/// # Errors
/// [`DomainError::InvalidState`] unless it waits for approval.
pub fn reject(context: &mut Context<'_>) -> Result<Vec<Event>, DomainError> {
    context.order.header.ensure("rejected", &[OrderState::PendingApproval])?;
    Ok(cancelled(context, "rejected"))
}

/// The merchant cancels the order. It ends at once; the operations that return its money are recorded in the same
/// change.
///
/// # Errors
/// [`DomainError::InvalidState`] once it is being fulfilled, or has ended.
pub fn cancel(context: &mut Context<'_>) -> Result<Vec<Event>, DomainError> {
    context.order.header.ensure("cancelled", CANCELLABLE)?;
    Ok(cancelled(context, "cancelled"))
}

fn cancelled(context: &mut Context<'_>, reason: &str) -> Vec<Event> {
    let mut events = vec![context.order.header.moved(OrderState::Cancelled, Some(reason))];
    events.extend(refund_or_void_all(context));
    events
}

/// Records how fulfilment went. A failure refunds nothing; attention is raised if the order is paid.
///
/// # Errors
/// [`DomainError::InvalidState`] unless it is being fulfilled.
pub fn fulfil(
    context: &mut Context<'_>,
    completed: bool,
    detail: Option<Erasable<String>>,
) -> Result<Vec<Event>, DomainError> {
    let order = context.order;
    order.header.ensure("fulfilled", &[OrderState::Processing])?;
    let to = if completed { OrderState::Completed } else { OrderState::Failed };
    let mut events: Vec<_> = detail.map(Event::FulfilmentReported).into_iter().collect();
    events.push(order.header.moved(to, None));
    let paid = order.payments.iter().find(|payment| payment.state.holds_money());
    if let Some(payment) = paid.filter(|_| !completed) {
        let detail = "fulfilment failed and the order is paid";
        events.extend(context.raise(AttentionCode::PaidNotFulfilled, payment.id, detail));
    }
    Ok(events)
}

/// Expires an order without activity, unless it has or may have money. Attention is raised on money that was not
/// submitted for a day.
pub fn expire(context: &mut Context<'_>) -> Vec<Event> {
    let (order, now) = (context.order, context.now);
    if unsubmitted_until(order).is_none_or(|at| now < at) {
        return Vec::new();
    }
    if let Some(payment) = unflagged_money(order) {
        let detail = "paid a day ago and not submitted";
        return context.raise(AttentionCode::PaidNotSubmitted, payment.id, detail).into_iter().collect();
    }
    if blocks_expiry(order) {
        return Vec::new();
    }
    match order.open_session() {
        // The session is closed at the provider first; the order expires on the next run.
        Some(session) => close(order, session.id, FailureCode::Expired, now).unwrap_or_default(),
        None => vec![order.header.moved(OrderState::Expired, None)],
    }
}
