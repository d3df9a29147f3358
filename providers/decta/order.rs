//! What is sent to create an order.

use paymux_port::{Attempt, CaptureMode, Decimal, Money, PaymentRequest, ProviderError, Result};

use super::wire::{Client, NewOrder, Product};
use super::{MAX_DECIMALS, MAX_PRODUCTS};

/// An order for an attempt.
pub(super) fn new_order<'a>(attempt: &Attempt, request: &'a PaymentRequest) -> Result<NewOrder<'a>> {
    let email = request.customer.email.as_deref();
    Ok(NewOrder {
        number: attempt.id.to_string(),
        currency: attempt.currency(),
        language: request
            .language
            .as_deref()
            .and_then(|tag| tag.split('-').next())
            .filter(|tag| tag.len() == 2),
        referrer: concat!("paymux ", env!("CARGO_PKG_VERSION")),
        client: Client {
            email: email.ok_or_else(|| ProviderError::NotSent("no customer.email".to_owned()))?,
            phone: request.customer.phone.as_deref(),
            first_name: request.customer.first_name.as_deref(),
            last_name: request.customer.last_name.as_deref(),
        },
        products: match lines(attempt.money, request) {
            Some(products) => products,
            None => vec![Product { title: &request.description, price: exact(attempt.money)?, quantity: 1 }],
        },
        success_redirect: &request.urls.success,
        in_progress_redirect: &request.urls.in_progress,
        failure_redirect: &request.urls.failure,
        cancel_redirect: &request.urls.cancel,
        skip_capture: attempt.capture == CaptureMode::Manual,
        due: request.expires_at.seconds(),
        deny_overdue_payment: true,
    })
}

/// The order's own lines, if DECTA's sum of them is what is to be paid; with a discount or a tax on top it is not.
fn lines(money: Money, request: &PaymentRequest) -> Option<Vec<Product<'_>>> {
    let shipping = (request.shipping != 0).then_some(("Shipping", 1, request.shipping));
    let own = request.items.iter().map(|line| (line.title.as_str(), line.quantity, line.unit_price));
    let parts: Vec<_> = own.chain(shipping).collect();
    let sum = parts.iter().try_fold(0i64, |sum, (_, quantity, price)| {
        quantity.checked_mul(*price).and_then(|line| sum.checked_add(line))
    });
    if sum != Some(money.minor) || parts.len() > MAX_PRODUCTS {
        return None;
    }
    let product = |(title, quantity, minor)| {
        let price = exact(Money::new(minor, money.currency)).ok()?;
        Some(Product { title, price, quantity })
    };
    parts.into_iter().map(product).collect()
}

pub(super) fn exact(money: Money) -> Result<Decimal> {
    let inexact = || ProviderError::NotSent("the amount has more decimals than DECTA takes".to_owned());
    money.to_major_within(MAX_DECIMALS).ok_or_else(inexact)
}
