//! The order: what a merchant wants paid, and where it stands.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

use port::{
    Address, Currency, Customer, Decimal, ItemId, OrderId, PaymentId, ProfileId, ProfileSessionId, SessionId,
    Timestamp,
};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

use super::Erasable;

/// The nine states of an order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
#[derive(strum::EnumString, strum::IntoStaticStr, strum::VariantArray)]
#[strum(serialize_all = "SCREAMING_SNAKE_CASE")]
pub enum OrderState {
    /// A cart; may be changed.
    Pending,
    /// Locked while a payment is under way.
    PendingPayment,
    /// Handed over.
    Submitted,
    /// Waits for the merchant's approval.
    PendingApproval,
    /// Being fulfilled.
    Processing,
    /// Fulfilled.
    Completed,
    /// Cancelled before it was fulfilled.
    Cancelled,
    /// Left alone too long.
    Expired,
    /// Could not be fulfilled.
    Failed,
}

impl OrderState {
    /// As the API writes it.
    pub fn as_str(self) -> &'static str {
        self.into()
    }

    /// Whether nothing follows.
    pub fn is_final(self) -> bool {
        matches!(self, Self::Completed | Self::Cancelled | Self::Expired | Self::Failed)
    }

    /// Whether the order waits for a payment that would submit it.
    pub fn is_unsubmitted(self) -> bool {
        matches!(self, Self::Pending | Self::PendingPayment)
    }

    /// Whether the order has ended in a way that leaves it no money.
    pub(super) fn refunds_payments(self) -> bool {
        matches!(self, Self::Cancelled | Self::Expired)
    }
}

/// A text that is no tax rate.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not a tax rate")]
pub struct InvalidTaxRate;

/// Whether something must be there before an order can be submitted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum Requirement {
    /// Must not be asked for.
    #[default]
    NotRequired,
    /// May be given.
    Optional,
    /// Must be given.
    Required,
}

/// What an order needs, computed when it is priced.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Requirements {
    /// Money.
    pub requires_payment: Requirement,
    /// A stored payment method for later.
    pub requires_payment_profile: Requirement,
    /// A digital signature.
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
    /// Delivery, untaxed.
    pub shipping: i64,
    /// What is to be paid.
    pub total: i64,
    /// Of all of them.
    pub currency: Currency,
    /// When.
    pub calculated_at: Timestamp,
}

/// A tax rate in percent, exact: `"8.25"`.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct TaxRate(Decimal);

/// More decimals than any tax rate has.
const MOST_RATE_DECIMALS: u32 = 6;

impl TaxRate {
    /// No tax.
    pub fn zero() -> Self {
        Self(Decimal::whole(0))
    }

    /// The percentage.
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

/// How often something is billed. It makes a stored method required and bills nothing by itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Recurring {
    /// The unit.
    pub interval: Interval,
    /// Every how many units, at least 1.
    pub count: u32,
}

/// A calendar unit.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum Interval {
    /// Days.
    Day,
    /// Weeks.
    Week,
    /// Months.
    Month,
    /// Years.
    Year,
}

/// A line of an order. Amounts in minor units of the order's currency.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct LineItem {
    /// Its id.
    pub id: ItemId,
    /// The merchant's stock number.
    pub sku: Option<String>,
    /// What it is.
    pub title: String,
    /// How many, at least 1.
    pub quantity: i64,
    /// Price of one, at least 0.
    pub unit_price: i64,
    /// Percent.
    pub tax_rate: TaxRate,
    /// Off the whole line, at most its price.
    pub discount: i64,
    /// Whether it is billed again.
    pub recurring: Option<Recurring>,
}

/// The order's personal data and free texts: in rows alone, so that they can be erased.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct PersonalData {
    /// Who pays.
    pub customer: Customer,
    /// Address of the bill.
    pub billing_address: Option<Address>,
    /// Address of the delivery.
    pub shipping_address: Option<Address>,
    /// The merchant's own notes.
    pub metadata: Metadata,
}

/// The merchant's own notes: at most 50 names of 40 characters with values of 500.
pub type Metadata = BTreeMap<String, String>;

/// A digital signature that was recorded.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Signature {
    /// Who signed.
    pub signer: String,
    /// How.
    pub method: String,
    /// The signing service's reference.
    pub reference: String,
    /// When.
    pub signed_at: Timestamp,
}

/// A payment that the merchant collected without any provider of ours.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ExternalPayment {
    /// The merchant's provider's reference.
    pub reference: String,
    /// For people.
    pub receipt_description: Option<String>,
    /// Where the receipt is.
    pub receipt_url: Option<String>,
    /// When we were told.
    pub received_at: Timestamp,
}

/// What an order was submitted with.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PaymentSource {
    /// Nothing was required.
    Nothing,
    /// The merchant's own collection, by its reference.
    External(String),
    /// A completed session.
    Session(SessionId),
    /// A charge on a stored method.
    Profile(ProfileId),
    /// A stored method without a charge.
    ProfileSession(ProfileSessionId),
}

/// The order itself. Everything that hangs on it stands beside it in the [`OrderAggregate`](super::OrderAggregate).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct OrderHeader {
    /// Its id.
    pub id: OrderId,
    /// Whose it is.
    pub merchant: String,
    /// The merchant's own reference, unique for it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reference: Option<String>,
    /// Of every amount in the file.
    pub currency: Currency,
    /// Where it stands.
    pub state: OrderState,
    /// Its lines, at most 200.
    pub items: Vec<LineItem>,
    /// Delivery, untaxed, minor units.
    pub shipping: i64,
    /// Whether prices include their tax.
    pub tax_included: bool,
    /// Whether a signature is needed.
    pub requires_signing: Requirement,
    /// Whether a person approves it after it is submitted.
    pub requires_approval: bool,
    /// Whether a completed payment submits it.
    pub auto_submit: bool,
    /// Customer, addresses, notes.
    pub personal: Erasable<PersonalData>,
    /// Totals, until something changes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub price: Option<Price>,
    /// What it needs, with the price.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub requirements: Option<Requirements>,
    /// The signature, until something changes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub signature: Option<Erasable<Signature>>,
    /// The merchant's own collection.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub external_payment: Option<Erasable<ExternalPayment>>,
    /// The payment of that collection.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub external_payment_id: Option<PaymentId>,
    /// What it was submitted with.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub payment_source: Option<PaymentSource>,
    /// The profile session that proved a stored method when it was submitted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub profile_session: Option<ProfileSessionId>,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it last changed.
    pub updated_at: Timestamp,
    /// After how long without a request of the merchant's it expires.
    pub idle_seconds: u64,
    /// When it expires if nobody touches it.
    pub expires_at: Timestamp,
    /// When it was submitted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub submitted_at: Option<Timestamp>,
    /// When it was fulfilled.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub completed_at: Option<Timestamp>,
    /// How that went, in the merchant's words.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fulfilment: Option<Erasable<String>>,
}
