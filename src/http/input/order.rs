//! An order: new, or changed.

use port::{Address, Currency, Customer, ItemId};

use super::item::item;
use super::reader::{Fields, Value};
use super::values::{address, amount, currency, customer, metadata};
use crate::config::{Merchant, Need};
use crate::domain::cart::MAX_ITEMS;
use crate::domain::{LineItem, Metadata, PersonalData, Requirement};
use crate::http::problem::Code;
use crate::orders::{NewOrder, OrderFields};

/// Longest reference of the merchant's.
const MAX_REFERENCE: usize = 100;

const REQUIREMENTS: &str = "NOT_REQUIRED, OPTIONAL, REQUIRED";

/// What an order is where its request does not say.
pub(in crate::http) struct Defaults<'d> {
    /// What the operator has set for the merchant.
    pub merchant: Merchant,
    /// After how long without a request it expires, seconds.
    pub idle_seconds: u64,
    /// Makes ids for its lines.
    pub item_id: &'d dyn Fn() -> ItemId,
}

/// A new order.
pub(in crate::http) fn new_order(value: Value<'_>, defaults: &Defaults<'_>) -> Option<NewOrder> {
    value.object(|fields| {
        let code = fields.required("currency", currency);
        let items = fields.optional("items", |value| items(value, code, defaults));
        let more = More::of(fields, code);
        let reference = fields.optional("reference", |value| value.text(MAX_REFERENCE));
        let personal = PersonalData {
            customer: fields.optional("customer", customer).unwrap_or_default(),
            billing_address: fields.optional("billingAddress", address),
            shipping_address: fields.optional("shippingAddress", address),
            metadata: fields.optional("metadata", metadata).unwrap_or_default(),
        };
        Some(NewOrder {
            reference,
            currency: code?,
            items: items.unwrap_or_default(),
            shipping: more.shipping.unwrap_or(0),
            tax_included: more.tax_included.unwrap_or(false),
            requires_signing: more
                .requires_signing
                .unwrap_or(requirement(defaults.merchant.requires_signing)),
            requires_approval: more.requires_approval.unwrap_or(defaults.merchant.requires_approval),
            auto_submit: more.auto_submit.unwrap_or(defaults.merchant.auto_submit),
            personal,
            idle_seconds: defaults.idle_seconds,
        })
    })
}

fn items(value: Value<'_>, currency: Option<Currency>, defaults: &Defaults<'_>) -> Option<Vec<LineItem>> {
    value.list(MAX_ITEMS, Code::TooManyItems, |value| item(value, (defaults.item_id)(), None, currency))
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
            requires_signing: fields.optional("requiresSigning", |value| value.enum_value(REQUIREMENTS)),
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

/// Reads a change of an order in this currency.
pub(in crate::http) fn order_changes(value: Value<'_>, currency: Currency) -> Option<OrderChanges> {
    value.object(|fields| {
        Some(OrderChanges {
            more: More::of(fields, Some(currency)),
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
