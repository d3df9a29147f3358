//! Computes an order's totals exactly, rounding taxes half to even.

use port::Timestamp;

use super::error::DomainError;
use super::order::{LineItem, OrderHeader, Price, Requirement, Requirements};

const TOO_LARGE: DomainError = DomainError::AmountTooLarge;

/// The amounts of a line, in minor units.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LinePrice {
    /// quantity × unit price.
    pub gross: i64,
    /// `gross` less discount.
    pub base: i64,
    /// Its tax: on top of `base`, or part of it if prices include tax.
    pub tax: i64,
}

/// Prices one line. Fails if an amount does not fit in `i64`.
pub fn price_line(item: &LineItem, tax_included: bool) -> Result<LinePrice, DomainError> {
    let gross = item.quantity.checked_mul(item.unit_price).ok_or(TOO_LARGE)?;
    let base = gross.checked_sub(item.discount).ok_or(TOO_LARGE)?;
    let (rate, scale) = item.tax_rate.percent().parts();
    let hundred = 10i128.checked_pow(scale).and_then(|unit| unit.checked_mul(100)).ok_or(TOO_LARGE)?;
    let whole = if tax_included { hundred + rate } else { hundred };
    let product = i128::from(base).checked_mul(rate).ok_or(TOO_LARGE)?;
    let tax = i64::try_from(half_even(product, whole)).map_err(|_| TOO_LARGE)?;
    Ok(LinePrice { gross, base, tax })
}

/// Computes the order's totals.
pub fn price(header: &OrderHeader, now: Timestamp) -> Result<Price, DomainError> {
    let add = |sum: i64, part: i64| sum.checked_add(part).ok_or(TOO_LARGE);
    let (mut subtotal, mut discount, mut base, mut tax) = (0, 0, 0, 0);
    for item in &header.content.items {
        let line = price_line(item, header.content.tax_included)?;
        subtotal = add(subtotal, line.gross)?;
        discount = add(discount, item.discount)?;
        base = add(base, line.base)?;
        tax = add(tax, line.tax)?;
    }
    let untaxed = add(base, header.content.shipping)?;
    let total = if header.content.tax_included { untaxed } else { add(untaxed, tax)? };
    let (shipping, currency) = (header.content.shipping, header.currency);
    Ok(Price { subtotal, discount, tax, shipping, total, currency, calculated_at: now })
}

/// What the order needs at this total.
pub fn requirements(header: &OrderHeader, total: i64) -> Requirements {
    let content = &header.content;
    let stores = content.profile_required || content.items.iter().any(|item| item.recurring.is_some());
    let known = header.content.personal.value().is_some_and(|personal| personal.customer.id.is_some());
    Requirements {
        requires_payment: match content.payment_optional {
            _ if total == 0 => Requirement::NotRequired,
            true => Requirement::Optional,
            false => Requirement::Required,
        },
        requires_payment_profile: match (stores, known) {
            (true, _) => Requirement::Required,
            (false, true) => Requirement::Optional,
            (false, false) => Requirement::NotRequired,
        },
        requires_signing: content.requires_signing,
    }
}

/// The quotient of two numbers that are not negative, rounded half to even.
fn half_even(number: i128, by: i128) -> i128 {
    let (quotient, rest) = (number / by, number % by);
    let double = rest * 2;
    let up = double > by || (double == by && quotient % 2 == 1);
    quotient + i128::from(up)
}
