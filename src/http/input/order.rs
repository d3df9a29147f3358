//! Reads new orders and changes of orders.

use port::Currency;
use serde::Deserialize;

use super::fields::Fields;
use super::item::item;
use super::reader::{Context, Value};
use super::schema::Presence;
use super::values::{MAX_REFERENCE, address, amount, currency, customer, metadata};
use crate::config::RequirementSetting;
use crate::domain::cart::MAX_ITEMS;
use crate::domain::{LineItem, PersonalData, Requirement};
use crate::http::problem::Code;
use crate::orders::{NewOrder, OrderFields};

const DAY_S: u64 = 86_400;

pub(crate) fn new_order(value: Value<'_>) -> Option<NewOrder> {
    value.object(|fields| {
        let code = fields.required("currency", currency);
        let items = fields.optional("items", |value| items(value, code));
        let shared = shared_fields(value, fields, code);
        let reference = fields.optional("reference", |value| value.text(MAX_REFERENCE));
        let personal = PersonalData {
            customer: fields.optional("customer", customer).unwrap_or_default(),
            billing_address: fields.optional("billingAddress", address),
            shipping_address: fields.optional("shippingAddress", address),
            metadata: fields.optional("metadata", metadata).unwrap_or_default(),
        };
        let context = value.context()?;
        let defaults = context.settings.merchant(context.merchant);
        Some(NewOrder {
            reference,
            currency: code?,
            items: items.unwrap_or_default(),
            shipping: shared.shipping.unwrap_or(0),
            tax_included: shared.tax_included.unwrap_or(false),
            requires_signing: shared.requires_signing.unwrap_or(requirement(defaults.requires_signing)),
            requires_approval: shared.requires_approval.unwrap_or(defaults.requires_approval),
            payment_optional: shared.payment_optional.unwrap_or(false),
            profile_required: shared.profile_required.unwrap_or(false),
            auto_submit: shared.auto_submit.unwrap_or(defaults.auto_submit),
            personal,
            idle_seconds: u64::from(context.settings.orders.expire_after_days) * DAY_S,
        })
    })
}

fn items(value: Value<'_>, currency: Option<Currency>) -> Option<Vec<LineItem>> {
    value.list(MAX_ITEMS, Code::TooManyItems, |value| item(value, Presence::Required, currency))
}

fn requirement(need: RequirementSetting) -> Requirement {
    match need {
        RequirementSetting::NotRequired => Requirement::NotRequired,
        RequirementSetting::Optional => Requirement::Optional,
        RequirementSetting::Required => Requirement::Required,
    }
}

/// The only value that lowers what pricing finds: an order may be submitted unpaid.
#[derive(Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
enum Lowered {
    Optional,
}

/// The only value that raises what pricing finds.
#[derive(Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
enum Raised {
    Required,
}

/// Whether an order may be submitted unpaid, where the merchant's settings allow it.
fn payment_optional(value: Value<'_>, fields: &Fields<'_>) -> Option<bool> {
    let given =
        fields.field("requiresPayment", Presence::MayBeEmpty, |value| value.enum_value::<Lowered>())?;
    let allowed = |context: &Context<'_>| context.settings.merchant(context.merchant).unpaid_orders;
    if given.is_some() && !value.context().is_some_and(allowed) {
        let detail = "The settings of this installation do not let this merchant sell without a payment.";
        fields.fault::<()>("requiresPayment", Code::UnpaidOrdersNotAllowed, detail);
    }
    Some(given.is_some())
}

/// The fields that new and changed orders share.
fn shared_fields(value: Value<'_>, fields: &Fields<'_>, currency: Option<Currency>) -> OrderFields {
    OrderFields {
        shipping: fields.optional("shipping", |value| amount(value, currency)),
        tax_included: fields.optional("taxIncluded", |value| value.flag()),
        payment_optional: payment_optional(value, fields),
        profile_required: fields
            .field("requiresPaymentProfile", Presence::MayBeEmpty, |value| value.enum_value::<Raised>())
            .map(|raised| raised.is_some()),
        requires_signing: fields.may_be_empty("requiresSigning", |value| value.enum_value()),
        requires_approval: fields.optional("requiresApproval", |value| value.flag()),
        auto_submit: fields.optional("autoSubmit", |value| value.flag()),
        personal: None,
    }
}

/// The new values of an order; `Some(None)` if nothing is given. Customer, addresses and metadata are replaced whole;
/// null clears them.
pub(crate) fn order_changes(value: Value<'_>) -> Option<Option<OrderFields>> {
    value.object(|fields| {
        let mut changes = shared_fields(value, fields, value.context().and_then(|context| context.currency));
        let customer = fields.clearable("customer", customer);
        let billing_address = fields.clearable("billingAddress", address);
        let shipping_address = fields.clearable("shippingAddress", address);
        let metadata = fields.clearable("metadata", metadata);
        let addresses = billing_address.is_some() || shipping_address.is_some();
        if customer.is_some() || addresses || metadata.is_some() {
            let before = value.context()?.personal.cloned().unwrap_or_default();
            changes.personal = Some(PersonalData {
                customer: customer.map_or(before.customer, Option::unwrap_or_default),
                billing_address: billing_address.unwrap_or(before.billing_address),
                shipping_address: shipping_address.unwrap_or(before.shipping_address),
                metadata: metadata.map_or(before.metadata, Option::unwrap_or_default),
            });
        }
        Some(Some(changes).filter(|changes| *changes != OrderFields::default()))
    })
}
