//! Reads items of orders: new and changed ones.

use port::{Currency, ItemId};

use super::reader::Value;
use super::schema::Presence;
use super::values::{amount, rate};
use crate::domain::{LineItem, Recurring, TaxRate};
use crate::http::problem::Code;

const MAX_TITLE: usize = 300;
const MAX_SKU: usize = 100;

/// The most intervals between two bills.
const MAX_INTERVAL: i64 = 1_000;

const PRICE_FITS: &str = "Quantity times unit price must fit 63 bits.";
const DISCOUNT_FITS: &str = "A discount is at most the price of its line.";

pub(crate) fn new_item(value: Value<'_>) -> Option<LineItem> {
    item(value, Presence::Required, value.context().and_then(|context| context.currency))
}

/// A changed item: fields that are left out keep their values.
pub(crate) fn item_changes(value: Value<'_>) -> Option<LineItem> {
    item(value, Presence::Optional, value.context().and_then(|context| context.currency))
}

/// An item; `presence` is that of the fields that every item has.
pub(super) fn item(value: Value<'_>, presence: Presence, currency: Option<Currency>) -> Option<LineItem> {
    let money = |value: Value<'_>| amount(value, currency);
    value.object(|fields| {
        fields.rules(&[PRICE_FITS, DISCOUNT_FITS]);
        let title =
            fields.field("title", presence, |value| value.typed(|value| value.text(MAX_TITLE))).flatten();
        let quantity = fields.field("quantity", presence, |value| value.integer(1..=i64::MAX)).flatten();
        let unit_price = fields.field("unitPrice", presence, money).flatten();
        let discount = fields.optional("discount", money);
        let tax_rate = fields.optional("taxRate", rate);
        let sku = fields.field("sku", Presence::MayBeEmpty, |value| value.text(MAX_SKU));
        let recurring = fields.clearable("recurring", recurring);
        let context = value.context()?;
        let before = context.item;
        let item = LineItem {
            id: before.map_or_else(|| ItemId::from_uuid(context.env.uuid()), |item| item.id),
            sku: sku.unwrap_or_else(|| before.and_then(|item| item.sku.clone())),
            title: title.or_else(|| before.map(|item| item.title.clone()))?,
            quantity: quantity.or(before.map(|item| item.quantity))?,
            unit_price: unit_price.or(before.map(|item| item.unit_price))?,
            tax_rate: tax_rate.or(before.map(|item| item.tax_rate)).unwrap_or_else(TaxRate::zero),
            discount: discount.or(before.map(|item| item.discount)).unwrap_or(0),
            recurring: recurring.unwrap_or_else(|| before.and_then(|item| item.recurring)),
        };
        match item.quantity.checked_mul(item.unit_price) {
            None => fields.fault("unitPrice", Code::AmountTooLarge, PRICE_FITS),
            Some(price) if item.discount > price => {
                fields.fault("discount", Code::DiscountExceedsPrice, DISCOUNT_FITS)
            }
            Some(_) => Some(item),
        }
    })
}

fn recurring(value: Value<'_>) -> Option<Recurring> {
    value.object(|fields| {
        let interval = fields.required("interval", |value| value.enum_value());
        let count = fields.required("count", |value| value.integer(1..=MAX_INTERVAL));
        Some(Recurring { interval: interval?, count: u32::try_from(count?).ok()? })
    })
}
