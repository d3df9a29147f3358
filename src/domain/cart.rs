//! Making an order and changing it while it is a cart.

use port::Timestamp;

use super::aggregate::OrderAggregate;
use super::error::DomainError;
use super::event::{Content, Event};
use super::guard::ensure;
use super::order::{OrderHeader, OrderState, PaymentSource};
use super::payment_proof::{submission, unmet, usable};
use super::{Erasable, Signature, price, requirements};

/// The most lines an order has.
pub const MAX_ITEMS: usize = 200;

/// Refuses unless the order is a cart: a locked one says how to unlock it.
fn ensure_cart(header: &OrderHeader, action: &'static str) -> Result<(), DomainError> {
    if header.state == OrderState::PendingPayment {
        return Err(DomainError::OrderLocked);
    }
    ensure(header, action, &[OrderState::Pending])
}

/// Gives the order new content. Price and signature fall, unless only the metadata changed.
///
/// # Errors
/// [`DomainError::OrderLocked`], [`DomainError::InvalidState`], [`DomainError::TooManyItems`].
pub fn edit(order: &OrderAggregate, content: Content) -> Result<Vec<Event>, DomainError> {
    ensure_cart(&order.header, "changed")?;
    if content.items.len() > MAX_ITEMS {
        return Err(DomainError::TooManyItems);
    }
    Ok(vec![Event::OrderEdited(Box::new(content))])
}

/// The order's content as it stands, to be changed.
pub fn content(header: &OrderHeader) -> Content {
    Content {
        items: header.items.clone(),
        shipping: header.shipping,
        tax_included: header.tax_included,
        requires_signing: header.requires_signing,
        requires_approval: header.requires_approval,
        auto_submit: header.auto_submit,
        personal: header.personal.clone(),
        only_metadata: false,
    }
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

/// Records a signature. A payment that only waited for it submits the order.
///
/// # Errors
/// [`DomainError::InvalidState`].
pub fn sign(order: &OrderAggregate, signature: Erasable<Signature>) -> Result<Vec<Event>, DomainError> {
    ensure(&order.header, "signed", &[OrderState::Pending, OrderState::PendingPayment])?;
    let signed = OrderHeader { signature: Some(signature.clone()), ..order.header.clone() };
    let mut events = vec![Event::OrderSigned(signature)];
    let waits = signed.state == OrderState::PendingPayment && signed.auto_submit;
    let paid = order.sessions.last().filter(|_| waits).and_then(|session| usable(order, session.id).ok());
    if let Some(session) = paid.filter(|session| unmet(&signed, Some(session), false, true).is_empty()) {
        events.extend(submission(&signed, PaymentSource::Session(session.id), None));
    }
    Ok(events)
}
