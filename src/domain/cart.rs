//! Changes to an order while it is a cart: content, price, signature.

use port::Timestamp;

use super::aggregate::OrderAggregate;
use super::error::DomainError;
use super::event::Event;
use super::order::{Content, OrderHeader, OrderState, PaymentProof};
use super::payment_proof::{ensure_met, submission, usable};
use super::{Erasable, Signature, price, requirements};

/// The most lines an order has.
pub const MAX_ITEMS: usize = 200;

/// Refuses unless the order is a cart, with an error of its own for a locked one.
fn ensure_cart(header: &OrderHeader, action: &'static str) -> Result<(), DomainError> {
    if header.state == OrderState::PendingPayment {
        return Err(DomainError::OrderLocked);
    }
    header.ensure(action, &[OrderState::Pending])
}

/// Replaces the order's content. Clears price and signature unless only the metadata changed.
///
/// # Errors
/// [`DomainError::OrderLocked`], [`DomainError::InvalidState`], [`DomainError::TooManyItems`].
pub fn edit(
    order: &OrderAggregate,
    content: Content,
    only_metadata: bool,
) -> Result<Vec<Event>, DomainError> {
    ensure_cart(&order.header, "changed")?;
    if content.items.len() > MAX_ITEMS {
        return Err(DomainError::TooManyItems);
    }
    Ok(vec![Event::OrderEdited { content: Box::new(content), only_metadata }])
}

/// Computes totals and requirements.
///
/// # Errors
/// [`DomainError::OrderLocked`], [`DomainError::InvalidState`], [`DomainError::AmountTooLarge`].
pub fn price_order(header: &OrderHeader, now: Timestamp) -> Result<Event, DomainError> {
    ensure_cart(header, "priced")?;
    let price = price::price(header, now)?;
    Ok(Event::OrderPriced { price, requirements: requirements(header, price.total) })
}

/// Records a signature. Submits the order if it is paid and only the signature was missing.
pub fn sign(order: &OrderAggregate, signature: Erasable<Signature>) -> Result<Vec<Event>, DomainError> {
    order.header.ensure("signed", &[OrderState::Pending, OrderState::PendingPayment])?;
    let signed = OrderHeader { signature: Some(signature.clone()), ..order.header.clone() };
    let mut events = vec![Event::OrderSigned(signature)];
    let waits = signed.state == OrderState::PendingPayment && signed.content.auto_submit;
    let paid = order.sessions.last().filter(|_| waits).and_then(|session| usable(order, session.id).ok());
    if let Some(session) = paid.filter(|session| ensure_met(&signed, Some(session), false, true).is_ok()) {
        events.extend(submission(&signed, PaymentProof::Session(session.id), None));
    }
    Ok(events)
}
