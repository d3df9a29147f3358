//! The order header: items, price, personal data and state.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

use port::{
    Address, Currency, Customer, Decimal, ItemId, OrderId, PaymentId, ProfileId, ProfileSessionId, SessionId,
    Timestamp,
};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

use super::Erasable;
use super::error::DomainError;
use super::event::Event;

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
#[derive(strum::EnumString, strum::IntoStaticStr, strum::VariantArray)]
#[strum(serialize_all = "SCREAMING_SNAKE_CASE")]
pub enum OrderState {
    /// A cart; its content may change.
    Pending,
    /// Locked while a payment session is open or its payment waits to be submitted.
    PendingPayment,
    /// Submitted; the next state follows at once.
    Submitted,
    PendingApproval,
    /// Being fulfilled.
    Processing,
    /// Fulfilled.
    Completed,
    Cancelled,
    /// Expired without activity.
    Expired,
    /// Could not be fulfilled.
    Failed,
}

impl OrderState {
    pub fn is_final(self) -> bool {
        matches!(self, Self::Completed | Self::Cancelled | Self::Expired | Self::Failed)
    }

    /// Whether the order is a cart or waits for its payment.
    pub fn is_unsubmitted(self) -> bool {
        matches!(self, Self::Pending | Self::PendingPayment)
    }

    /// Whether an order in this state must not keep any money.
    pub(super) fn refunds_payments(self) -> bool {
        matches!(self, Self::Cancelled | Self::Expired)
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not a tax rate")]
pub struct InvalidTaxRate;

/// Whether something is needed before an order can be submitted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum Requirement {
    #[default]
    NotRequired,
    Optional,
    Required,
}

/// What an order needs, computed when it is priced.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Requirements {
    pub requires_payment: Requirement,
    pub requires_payment_profile: Requirement,
    pub requires_signing: Requirement,
}

/// The totals of an order, in minor units.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Price {
    /// Σ quantity × unit price.
    pub subtotal: i64,
    /// Σ discounts of the lines.
    pub discount: i64,
    /// Σ taxes of the lines.
    pub tax: i64,
    /// Untaxed.
    pub shipping: i64,
    pub total: i64,
    pub currency: Currency,
    pub calculated_at: Timestamp,
}

/// A tax rate in percent, exact: `"8.25"`.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct TaxRate(Decimal);

const MOST_RATE_DECIMALS: u32 = 6;

impl TaxRate {
    pub fn zero() -> Self {
        Self(Decimal::whole(0))
    }

    pub fn percent(self) -> Decimal {
        self.0
    }
}

impl FromStr for TaxRate {
    type Err = InvalidTaxRate;

    /// 0 to 1000 percent, at most six decimals.
    fn from_str(text: &str) -> Result<Self, InvalidTaxRate> {
        let percent: Decimal = text.parse().map_err(|_| InvalidTaxRate)?;
        let (digits, scale) = percent.parts();
        let most = 1_000 * 10i128.pow(scale.min(MOST_RATE_DECIMALS));
        let plain = text.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.');
        if plain && scale <= MOST_RATE_DECIMALS && digits <= most {
            Ok(Self(percent))
        } else {
            Err(InvalidTaxRate)
        }
    }
}

impl fmt::Debug for TaxRate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} %", self.0)
    }
}

impl Serialize for TaxRate {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&self.0)
    }
}

impl<'de> Deserialize<'de> for TaxRate {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = std::borrow::Cow::<str>::deserialize(deserializer)?;
        text.parse().map_err(|_| de::Error::custom("not a tax rate in percent, such as \"8.25\""))
    }
}

/// How often an item is billed. It makes a payment profile required; the gateway bills nothing by itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Recurring {
    pub interval: Interval,
    /// Every how many units, at least 1.
    pub count: u32,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum Interval {
    Day,
    Week,
    Month,
    Year,
}

/// A line of an order. Amounts in minor units of the order's currency.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct LineItem {
    pub id: ItemId,
    pub sku: Option<String>,
    pub title: String,
    /// At least 1.
    pub quantity: i64,
    /// At least 0.
    pub unit_price: i64,
    pub tax_rate: TaxRate,
    /// The discount on the whole line, at most its price.
    pub discount: i64,
    pub recurring: Option<Recurring>,
}

/// The order's personal data and metadata, stored so that they can be erased.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct PersonalData {
    pub customer: Customer,
    pub billing_address: Option<Address>,
    pub shipping_address: Option<Address>,
    pub metadata: Metadata,
}

/// The merchant's metadata: at most 50 names of 40 characters with values of 500.
pub type Metadata = BTreeMap<String, String>;

/// A digital signature of the customer, made elsewhere.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Signature {
    pub signer: String,
    pub method: String,
    pub reference: String,
    pub signed_at: Timestamp,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ExternalPayment {
    /// Given by the service that collected the money.
    pub reference: String,
    pub receipt_description: Option<String>,
    pub receipt_url: Option<String>,
    pub received_at: Timestamp,
}

/// What an order was submitted with.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PaymentProof {
    Nothing,
    /// By its reference.
    External(String),
    Session(SessionId),
    /// A charge on a payment profile.
    Profile(ProfileId),
    /// A payment profile without a charge.
    ProfileSession(ProfileSessionId),
}

/// The content of an order, which the merchant may change while it is a cart.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Content {
    /// At most [`MAX_ITEMS`](super::cart::MAX_ITEMS).
    pub items: Vec<LineItem>,
    /// Untaxed, minor units.
    pub shipping: i64,
    /// Whether unit prices include their tax.
    pub tax_included: bool,
    pub requires_signing: Requirement,
    pub requires_approval: bool,
    /// Whether it may be submitted unpaid although there is something to pay.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub payment_optional: bool,
    /// Whether it requires a payment profile whatever its items are.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub profile_required: bool,
    /// Whether a completed payment submits it.
    pub auto_submit: bool,
    /// Customer, addresses, metadata.
    pub personal: Erasable<PersonalData>,
}

/// The order itself; its sessions and payments are in [`OrderAggregate`](super::OrderAggregate).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct OrderHeader {
    pub id: OrderId,
    pub merchant: String,
    /// The merchant's own, unique for it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reference: Option<String>,
    /// Of every amount of the order.
    pub currency: Currency,
    pub state: OrderState,
    pub content: Content,
    /// Cleared with the requirements and the signature when the content changes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub price: Option<Price>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub requirements: Option<Requirements>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub signature: Option<Erasable<Signature>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub external_payment: Option<Erasable<ExternalPayment>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub external_payment_id: Option<PaymentId>,
    #[serde(rename = "payment_source", default, skip_serializing_if = "Option::is_none")]
    pub payment_proof: Option<PaymentProof>,
    /// The profile session that proved a payment profile when it was submitted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub profile_session: Option<ProfileSessionId>,
    pub created_at: Timestamp,
    pub updated_at: Timestamp,
    /// After so many seconds without a request of the merchant it expires.
    pub idle_seconds: u64,
    pub expires_at: Timestamp,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub submitted_at: Option<Timestamp>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub completed_at: Option<Timestamp>,
    /// The merchant's description of the fulfilment.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fulfilment: Option<Erasable<String>>,
}

impl OrderHeader {
    /// Refuses unless the order is in one of the states. `action` is a participle, such as `submitted`.
    pub(super) fn ensure(
        &self,
        action: &'static str,
        allowed: &'static [OrderState],
    ) -> Result<(), DomainError> {
        if allowed.contains(&self.state) {
            return Ok(());
        }
        Err(DomainError::InvalidState { action, state: self.state, allowed })
    }

    /// Whether it cannot be submitted without a payment profile.
    pub fn requires_profile(&self) -> bool {
        self.requirements.is_some_and(|needs| needs.requires_payment_profile == Requirement::Required)
    }

    /// The event of the order's next state.
    pub(super) fn moved(&self, to: OrderState, reason: Option<&str>) -> Event {
        Event::OrderStateChanged { from: self.state, to, reason: reason.map(str::to_owned) }
    }
}
