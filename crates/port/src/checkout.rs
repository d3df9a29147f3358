//! Requests to a provider: the order's content in a form common to all adapters.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::hidden::hidden;
use crate::{AttemptId, Currency, Decimal, Money, OrderId, RefundId, Timestamp};

/// How the customer reaches the payment.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, strum::IntoStaticStr,
)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
#[strum(serialize_all = "SCREAMING_SNAKE_CASE")]
pub enum Approach {
    /// A page of the provider's.
    Hosted,
    /// The provider's widget in the merchant's page.
    Embedded,
    /// A link that the merchant or the provider sends.
    Link,
}

/// When the money is captured.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum CaptureMode {
    /// As soon as the customer has paid.
    #[default]
    Automatic,
    /// Authorized first, captured by a call of its own.
    Manual,
}

/// Who pays. Personal data: stored in rows of its own, never in events or logs.
#[derive(Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct Customer {
    /// The merchant's own id of the customer.
    pub id: Option<String>,
    /// E-mail address.
    pub email: Option<String>,
    /// Telephone number, international digits.
    pub phone: Option<String>,
    /// Given name.
    pub first_name: Option<String>,
    /// Family name.
    pub last_name: Option<String>,
}

impl Customer {
    /// The telephone number as a provider wants it that takes digits only: without `+` or `00` before the country, and
    /// without the `(0)` that is not dialled from abroad.
    pub fn phone_digits(&self) -> Option<String> {
        let dialled = self.phone.as_deref()?.replace("(0)", "");
        let digits: String = dialled.chars().filter(char::is_ascii_digit).collect();
        let digits = digits.strip_prefix("00").unwrap_or(&digits).to_owned();
        Some(digits).filter(|digits| !digits.is_empty())
    }
}

/// A postal address. Personal data, as [`Customer`].
#[derive(Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct Address {
    /// Whom to address.
    pub name: Option<String>,
    /// Street and number.
    pub line1: Option<String>,
    /// Second line.
    pub line2: Option<String>,
    /// Town.
    pub city: Option<String>,
    /// State, province or region.
    pub region: Option<String>,
    /// Postal code.
    pub postal_code: Option<String>,
    /// ISO 3166 alpha-2 code.
    pub country: Option<String>,
}

/// One line of what is paid for. Amounts in minor units of the order's currency.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LineItem {
    /// The merchant's stock number.
    pub sku: Option<String>,
    /// What it is.
    pub title: String,
    /// How many, at least 1.
    pub quantity: i64,
    /// Price of one, before discount.
    pub unit_price: i64,
    /// Taken off the whole line.
    pub discount: i64,
    /// Tax of the whole line; part of the prices if they include tax.
    pub tax: i64,
    /// Percent.
    pub tax_rate: Decimal,
}

/// Where a provider sends the customer back: addresses of the gateway itself.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct RedirectUrls {
    /// After paying.
    pub success: String,
    /// While the outcome is not decided.
    pub in_progress: String,
    /// After failing.
    pub failure: String,
    /// After giving up.
    pub cancel: String,
}

/// How the provider sends the link.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct LinkDelivery {
    /// To the customer's e-mail address.
    pub email: bool,
    /// To the customer's telephone.
    pub sms: bool,
}

impl LinkDelivery {
    /// Whether anything is to be sent.
    pub fn any(self) -> bool {
        self.email || self.sms
    }
}

/// A kind of payment method.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, strum::IntoStaticStr)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
#[strum(serialize_all = "SCREAMING_SNAKE_CASE")]
#[expect(missing_docs, reason = "the names say it")]
pub enum PaymentMethodType {
    Card,
    BankTransfer,
    DirectDebit,
    Wallet,
    BuyNowPayLater,
    Cash,
}

/// What a customer paid with, as far as the provider says.
#[derive(Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct PaymentMethod {
    /// Its kind, where the provider's name for it is known.
    #[serde(rename = "type")]
    pub kind: Option<PaymentMethodType>,
    /// The card scheme, or the provider's own name of the method.
    pub brand: Option<String>,
    /// The last four digits of the card.
    pub last4: Option<String>,
    /// The wallet that the card or the money came from.
    pub wallet: Option<String>,
    /// The ISO 3166 code of the country that issued it.
    pub country: Option<String>,
}

/// Everything about a payment that a provider may want to know. The amount itself is the attempt's.
#[derive(Clone)]
pub struct PaymentRequest {
    /// A short text for pages and statements.
    pub description: String,
    /// The merchant's own reference of the order, to be found in the provider's portal.
    pub reference: Option<String>,
    /// The lines of the order.
    pub items: Vec<LineItem>,
    /// Sum of the lines before discount, tax and shipping.
    pub subtotal: i64,
    /// Sum of the discounts.
    pub discount: i64,
    /// Sum of the taxes.
    pub tax: i64,
    /// Delivery, untaxed.
    pub shipping: i64,
    /// Whether prices include their tax.
    pub tax_included: bool,
    /// Who pays.
    pub customer: Customer,
    /// Address of the bill.
    pub billing_address: Option<Address>,
    /// Address of the delivery.
    pub shipping_address: Option<Address>,
    /// Where the customer returns to.
    pub urls: RedirectUrls,
    /// Whom to send a link to.
    pub link_delivery: LinkDelivery,
    /// BCP 47 tag.
    pub language: Option<String>,
    /// When the page shall close.
    pub expires_at: Timestamp,
    /// What the page may offer; empty for whatever the account has.
    pub payment_methods: Vec<PaymentMethodType>,
    /// How often the customer may try on the page.
    pub max_attempts: Option<u8>,
    /// Whether to store the method for later payments.
    pub save_profile: bool,
    /// The provider's own id of a payment profile to prefill.
    pub profile: Option<String>,
}

impl PaymentRequest {
    /// The ISO 639 code of the language, two or three letters.
    pub fn language_code(&self) -> Option<&str> {
        let code = self.language.as_deref()?.split('-').next()?;
        (2..=3).contains(&code.len()).then_some(code)
    }
}

/// Adapter state of an attempt: ids, or the exact bytes of a request that may have to be repeated. The gateway stores
/// it and does not interpret it.
pub type AdapterState = BTreeMap<String, String>;

/// One start of a payment at one account, as stored before anything is sent.
#[derive(Clone)]
pub struct Attempt {
    /// Our reference, unique for ever; the provider's idempotency keys are made from it.
    pub id: AttemptId,
    /// The order it pays.
    pub order: OrderId,
    /// The requested amount.
    pub money: Money,
    /// How the customer pays.
    pub approach: Approach,
    /// When the money is captured.
    pub capture: CaptureMode,
    /// When the intent was stored.
    pub started_at: Timestamp,
    /// The provider's id of the object, once known; shown as `providerReference`.
    pub reference: Option<String>,
    /// What the adapter has saved.
    pub adapter_state: AdapterState,
}

impl Attempt {
    /// The provider's id of the object, for operations that need one.
    ///
    /// # Errors
    /// [`ProviderError::NotFound`](crate::ProviderError::NotFound) while it is not known.
    pub fn provider_reference(&self) -> Result<&str, crate::ProviderError> {
        self.reference.as_deref().ok_or(crate::ProviderError::NotFound)
    }

    /// The requested currency.
    pub fn currency(&self) -> Currency {
        self.money.currency
    }
}

/// A refund to make.
#[derive(Clone)]
pub struct RefundRequest {
    /// Our id of it.
    pub id: RefundId,
    /// How much to give back.
    pub money: Money,
    /// The merchant's reason.
    pub reason: Option<String>,
}

hidden!(Customer, Address, PaymentMethod, RedirectUrls, PaymentRequest, Attempt, RefundRequest);
