//! Making an order and changing it while it is a cart.

use port::Timestamp;

use super::event::{Content, Fact};
use super::file::OrderFile;
use super::order::{Order, OrderState, Proof};
use super::refusal::Refusal;
use super::submit::{submission, unmet, usable};
use super::{Sealed, Signature, price, requirements};

/// The most lines an order has.
pub const MOST_ITEMS: usize = 200;

/// Refuses unless the order is in one of the states.
pub(super) fn ensure(
    order: &Order,
    action: &'static str,
    allowed: &'static [OrderState],
) -> Result<(), Refusal> {
    if allowed.contains(&order.state) {
        return Ok(());
    }
    Err(Refusal::InvalidState { action, state: order.state, allowed })
}

/// Refuses unless the order is a cart: a locked one says how to unlock it.
fn ensure_cart(order: &Order, action: &'static str) -> Result<(), Refusal> {
    if order.state == OrderState::PendingPayment {
        return Err(Refusal::OrderLocked);
    }
    ensure(order, action, &[OrderState::Pending])
}

/// Gives the order new content. Price and signature fall, unless only the notes changed.
///
/// # Errors
/// [`Refusal::OrderLocked`], [`Refusal::InvalidState`], [`Refusal::TooManyItems`].
pub fn edit(file: &OrderFile, content: Content) -> Result<Vec<Fact>, Refusal> {
    ensure_cart(&file.order, "changed")?;
    if content.items.len() > MOST_ITEMS {
        return Err(Refusal::TooManyItems);
    }
    Ok(vec![Fact::OrderEdited(Box::new(content))])
}

/// The order's content as it stands, to be changed.
pub fn content(order: &Order) -> Content {
    Content {
        items: order.items.clone(),
        shipping: order.shipping,
        tax_included: order.tax_included,
        requires_signing: order.requires_signing,
        requires_approval: order.requires_approval,
        auto_submit: order.auto_submit,
        personal: order.personal.clone(),
        only_metadata: false,
    }
}

/// Computes totals and requirements.
///
/// # Errors
/// [`Refusal::OrderLocked`], [`Refusal::InvalidState`], [`Refusal::AmountTooLarge`].
pub fn price_order(order: &Order, now: Timestamp) -> Result<Fact, Refusal> {
    ensure_cart(order, "priced")?;
    let price = price::price(order, now)?;
    Ok(Fact::OrderPriced { price, requirements: requirements(order, price.total) })
}

/// Records a signature. A payment that only waited for it submits the order.
///
/// # Errors
/// [`Refusal::InvalidState`].
pub fn sign(file: &OrderFile, signature: Sealed<Signature>) -> Result<Vec<Fact>, Refusal> {
    ensure(&file.order, "signed", &[OrderState::Pending, OrderState::PendingPayment])?;
    let signed = Order { signature: Some(signature.clone()), ..file.order.clone() };
    let mut facts = vec![Fact::OrderSigned(signature)];
    let waits = signed.state == OrderState::PendingPayment && signed.auto_submit;
    let paid = file.sessions.last().filter(|_| waits).and_then(|session| usable(file, session.id).ok());
    if let Some(session) = paid.filter(|session| unmet(&signed, Some(session), false, true).is_empty()) {
        facts.extend(submission(&signed, Proof::Session(session.id)));
    }
    Ok(facts)
}
