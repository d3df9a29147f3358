//! A line of an order: new, or changed.

use port::{Currency, ItemId};

use super::reader::{Fields, Value};
use super::values::{amount, rate};
use crate::domain::{Interval, LineItem, Recurring, TaxRate};
use crate::http::problem::Code;

/// Longest title of a line.
const MAX_TITLE: usize = 300;

/// Longest stock number.
const MAX_SKU: usize = 100;

/// Largest count of intervals between two bills.
const MAX_INTERVAL: i64 = 1_000;

/// A line with this id. A change brings the line as it is, and what is left out stays.
pub(in crate::http) fn item(
    value: Value<'_>,
    id: ItemId,
    before: Option<&LineItem>,
    currency: Option<Currency>,
) -> Option<LineItem> {
    value.object(|fields| {
        let title =
            given_or(fields, "title", before.map(|item| item.title.clone()), |value| value.text(MAX_TITLE));
        let quantity = given_or(fields, "quantity", before.map(|item| item.quantity), |value| {
            value.integer(1..=i64::MAX)
        });
        let money = |value: Value<'_>| amount(value, currency);
        let unit_price = given_or(fields, "unitPrice", before.map(|item| item.unit_price), money);
        let discount = given_or(fields, "discount", Some(before.map_or(0, |item| item.discount)), money);
        let tax_rate =
            given_or(fields, "taxRate", Some(before.map_or_else(TaxRate::zero, |item| item.tax_rate)), rate);
        let sku = fields.clearable("sku", |value| value.text(MAX_SKU));
        let recurring = fields.clearable("recurring", recurring);
        let item = LineItem {
            id,
            sku: sku.unwrap_or_else(|| before.and_then(|item| item.sku.clone())),
            title: title?,
            quantity: quantity?,
            unit_price: unit_price?,
            tax_rate: tax_rate?,
            discount: discount?,
            recurring: recurring.unwrap_or_else(|| before.and_then(|item| item.recurring)),
        };
        fits(fields, &item).then_some(item)
    })
}

/// The field if it is there, else what it was before; needed if it was not.
fn given_or<T>(
    fields: &Fields<'_>,
    name: &'static str,
    before: Option<T>,
    reader: impl FnOnce(Value<'_>) -> Option<T>,
) -> Option<T> {
    match before {
        Some(before) if !fields.is_given(name) => {
            fields.optional(name, |_| Some(()));
            Some(before)
        }
        _ => fields.required(name, reader),
    }
}

/// Whether the line's price fits 63 bits and its discount is not larger than that.
fn fits(fields: &Fields<'_>, item: &LineItem) -> bool {
    let price = item.quantity.checked_mul(item.unit_price);
    match price {
        None => {
            fields.fault::<()>(
                "unitPrice",
                Code::AmountTooLarge,
                "Quantity times unit price does not fit 63 bits.",
            );
        }
        Some(price) if item.discount > price => {
            fields.fault::<()>(
                "discount",
                Code::DiscountExceedsPrice,
                "A discount is at most the price of its line.",
            );
        }
        Some(_) => return true,
    }
    false
}

fn recurring(value: Value<'_>) -> Option<Recurring> {
    value.object(|fields| {
        let interval =
            fields.required("interval", |value| value.enum_value::<Interval>("DAY, WEEK, MONTH, YEAR"));
        let count = fields.required("count", |value| value.integer(1..=MAX_INTERVAL));
        Some(Recurring { interval: interval?, count: u32::try_from(count?).ok()? })
    })
}
