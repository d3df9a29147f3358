//! What they answer, only the parts that are used. Statuses stay strings, and both generations of the reference
//! are read: what the earlier one lacks, wraps or calls otherwise is optional here.

use std::fmt;

use paymux_port::{
    Decimal, HttpResponse, Money, NotificationTarget, ProviderError, ProviderStatus, StoredProfile, Timestamp,
};
use serde::Deserialize;
use serde_json::Value;

/// An order of the provider's own.
#[derive(Deserialize)]
#[serde(try_from = "EitherOrder")]
pub(super) struct Order {
    pub(super) id: String,
    state: String,
}

/// An order of either reference. The earlier one calls `state` `status`, and wraps the answer to a submit.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct EitherOrder {
    order: Option<Box<EitherOrder>>,
    order_id: Option<String>,
    state: Option<String>,
    status: Option<String>,
}

impl TryFrom<EitherOrder> for Order {
    type Error = &'static str;

    fn try_from(mut read: EitherOrder) -> Result<Self, Self::Error> {
        let bare = read.order.take().map_or(read, |wrapped| *wrapped);
        match (bare.order_id, bare.state.or(bare.status)) {
            (Some(id), Some(state)) if !id.is_empty() => Ok(Self { id, state }),
            _ => Err("an order has an id and a state"),
        }
    }
}

impl Order {
    /// Whether it was submitted, whatever became of it then.
    pub(super) fn was_submitted(&self) -> bool {
        ["SUBMITTED", "PENDING_APPROVAL", "PROCESSING", "COMPLETED", "FAILED"]
            .iter()
            .any(|word| word.eq_ignore_ascii_case(&self.state))
    }
}

/// The answer of calculate-price.
#[derive(Deserialize)]
pub(super) struct Priced {
    pricing: Pricing,
}

/// Major units and their currency, apart.
#[derive(Deserialize)]
struct Pricing {
    total: Decimal,
    currency: String,
}

impl Priced {
    /// The total, if it is an amount of a currency at all.
    pub(super) fn money(&self) -> Option<Money> {
        Money::from_major(self.pricing.total, self.pricing.currency.parse().ok()?).ok()
    }
}

impl fmt::Display for Priced {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.pricing.total, self.pricing.currency)
    }
}

/// The methods stored for a customer.
#[derive(Deserialize)]
pub(super) struct Profiles {
    pub(super) items: Vec<Profile>,
}

/// A stored method.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Profile {
    payment_profile_id: String,
    #[serde(rename = "type")]
    kind: String,
    status: String,
    display_name: Option<String>,
    expires_at: Option<String>,
    pub(super) created_at: Timestamp,
}

impl From<Profile> for StoredProfile {
    fn from(profile: Profile) -> Self {
        Self {
            reference: profile.payment_profile_id,
            provider_status: ProviderStatus::new("profile", profile.status),
            kind: profile.kind,
            display_name: profile.display_name,
            expires_on: profile.expires_at,
        }
    }
}

/// A notification: a copy of an object as its GET would show it.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Envelope {
    event_id: Option<String>,
    data: Value,
}

impl Envelope {
    /// What it points at: a session or link by its id, an order or payment by our reference in its metadata;
    /// else nothing of ours. A line item's event holds the order one level down.
    pub(super) fn hint(self) -> Option<NotificationTarget> {
        let about = self.data.get("order").unwrap_or(&self.data);
        let ids = ["paymentSessionId", "paymentLinkId", "paymentProfileSessionId"];
        let reference = ids.iter().find_map(|name| about.get(name)?.as_str()).map(str::to_owned);
        let ours = ours(about.get("metadata").unwrap_or(&Value::Null));
        (reference.is_some() || ours.is_some()).then_some(NotificationTarget {
            reference,
            merchant_reference: ours,
            event: self.event_id,
        })
    }
}

/// Our reference, where an object's metadata echo it.
pub(super) fn ours(metadata: &Value) -> Option<String> {
    metadata.get("attempt")?.as_str().map(str::to_owned)
}

/// Sorts a refusal. Codes come in both cases and are compared without it (errors page).
pub(super) fn refusal(response: &HttpResponse, reads_only: bool) -> ProviderError {
    let body: Value = response.json().unwrap_or_default();
    let text = |name| body.get(name).and_then(Value::as_str);
    let is_locked = text("code").is_some_and(|code| code.eq_ignore_ascii_case("idempotency_key_locked"));
    if response.status == 409 && is_locked {
        return ProviderError::Busy { retry_after: response.retry_after };
    }
    let said = (text("code").map(str::to_owned), complaint(text("message"), body.get("details")));
    response.into_error(reads_only, Some(said))
}

/// The message and the names of the fields it is about, such as "Validation failed (returnUrl)". The details' own
/// texts may repeat what was sent, so they stay out.
fn complaint(message: Option<&str>, details: Option<&Value>) -> Option<String> {
    let details = details.and_then(Value::as_array).into_iter().flatten();
    let fields: Vec<_> = details.filter_map(|detail| detail.get("property")?.as_str()).collect();
    let message = message?.to_owned();
    Some(if fields.is_empty() { message } else { format!("{message} ({})", fields.join(", ")) })
}
