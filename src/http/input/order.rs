//! An order: new, or changed.

use port::{Address, Currency, Customer};

use super::fields::Fields;
use super::item::item;
use super::reader::Value;
use super::schema::Presence;
use super::values::{MAX_REFERENCE, address, amount, currency, customer, metadata};
use crate::config::Need;
use crate::domain::cart::MAX_ITEMS;
use crate::domain::{LineItem, Metadata, PersonalData, Requirement};
use crate::http::problem::Code;
use crate::orders::{NewOrder, OrderFields};

/// Seconds in a day.
const DAY_S: u64 = 86_400;

/// A new order.
pub(in crate::http) fn new_order(value: Value<'_>) -> Option<NewOrder> {
    value.object(|fields| {
        let code = fields.required("currency", currency);
        let items = fields.optional("items", |value| items(value, code));
        let more = More::of(fields, code);
        let reference = fields.optional("reference", |value| value.text(MAX_REFERENCE));
        let personal = PersonalData {
            customer: fields.optional("customer", customer).unwrap_or_default(),
            billing_address: fields.optional("billingAddress", address),
            shipping_address: fields.optional("shippingAddress", address),
            metadata: fields.optional("metadata", metadata).unwrap_or_default(),
        };
        let context = value.context()?;
        let usual = context.settings.merchant(context.merchant);
        Some(NewOrder {
            reference,
            currency: code?,
            items: items.unwrap_or_default(),
            shipping: more.shipping.unwrap_or(0),
            tax_included: more.tax_included.unwrap_or(false),
            requires_signing: more.requires_signing.unwrap_or(requirement(usual.requires_signing)),
            requires_approval: more.requires_approval.unwrap_or(usual.requires_approval),
            auto_submit: more.auto_submit.unwrap_or(usual.auto_submit),
            personal,
            idle_seconds: u64::from(context.settings.orders.expire_after_days) * DAY_S,
        })
    })
}

fn items(value: Value<'_>, currency: Option<Currency>) -> Option<Vec<LineItem>> {
    value.list(MAX_ITEMS, Code::TooManyItems, |value| item(value, Presence::Required, currency))
}

fn requirement(need: Need) -> Requirement {
    match need {
        Need::NotRequired => Requirement::NotRequired,
        Need::Optional => Requirement::Optional,
        Need::Required => Requirement::Required,
    }
}

/// What a new order and a changed one have in common beside people and lines.
struct More {
    shipping: Option<i64>,
    tax_included: Option<bool>,
    requires_signing: Option<Requirement>,
    requires_approval: Option<bool>,
    auto_submit: Option<bool>,
}

impl More {
    fn of(fields: &Fields<'_>, currency: Option<Currency>) -> Self {
        Self {
            shipping: fields.optional("shipping", |value| amount(value, currency)),
            tax_included: fields.optional("taxIncluded", |value| value.flag()),
            requires_signing: fields.optional("requiresSigning", |value| value.enum_value()),
            requires_approval: fields.optional("requiresApproval", |value| value.flag()),
            auto_submit: fields.optional("autoSubmit", |value| value.flag()),
        }
    }

    fn is_empty(&self) -> bool {
        self.shipping.is_none()
            && self.tax_included.is_none()
            && self.requires_signing.is_none()
            && self.requires_approval.is_none()
            && self.auto_submit.is_none()
    }
}

/// A change of an order. People, addresses and metadata are replaced whole; null clears them.
pub(in crate::http) struct OrderChanges {
    more: More,
    customer: Option<Option<Customer>>,
    billing_address: Option<Option<Address>>,
    shipping_address: Option<Option<Address>>,
    metadata: Option<Option<Metadata>>,
}

/// A change of an order.
pub(in crate::http) fn order_changes(value: Value<'_>) -> Option<OrderChanges> {
    let currency = value.context().and_then(|context| context.currency);
    value.object(|fields| {
        Some(OrderChanges {
            more: More::of(fields, currency),
            customer: fields.clearable("customer", customer),
            billing_address: fields.clearable("billingAddress", address),
            shipping_address: fields.clearable("shippingAddress", address),
            metadata: fields.clearable("metadata", metadata),
        })
    })
}

impl OrderChanges {
    /// As the use case takes them; `None` if nothing is to change.
    pub(in crate::http) fn onto(self, before: Option<&PersonalData>) -> Option<OrderFields> {
        let people = self.customer.is_some()
            || self.billing_address.is_some()
            || self.shipping_address.is_some()
            || self.metadata.is_some();
        if !people && self.more.is_empty() {
            return None;
        }
        let mut personal = before.cloned().unwrap_or_default();
        if let Some(customer) = self.customer {
            personal.customer = customer.unwrap_or_default();
        }
        if let Some(address) = self.billing_address {
            personal.billing_address = address;
        }
        if let Some(address) = self.shipping_address {
            personal.shipping_address = address;
        }
        if let Some(metadata) = self.metadata {
            personal.metadata = metadata.unwrap_or_default();
        }
        Some(OrderFields {
            shipping: self.more.shipping,
            tax_included: self.more.tax_included,
            requires_signing: self.more.requires_signing,
            requires_approval: self.more.requires_approval,
            auto_submit: self.more.auto_submit,
            personal: people.then_some(personal),
        })
    }
}
