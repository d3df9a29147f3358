//! What they answer, only the parts that are used. Statuses stay text, and both generations of the reference are read:
//! what the earlier one lacks, wraps or calls otherwise is optional here.

use std::collections::BTreeMap;
use std::fmt;

use paymux_port::{
    Approach, Complaint, Decimal, HttpResponse, Money, Next, NotificationTarget, ProviderStatus,
    ProviderView, StoredProfile, Timestamp,
};
use serde::Deserialize;
use serde_json::{Map, Value};

use super::request::{Kind, Target};

/// A session, link or profile session.
#[derive(Deserialize)]
pub(super) struct Opened {
    status: String,
    #[serde(flatten)]
    members: Map<String, Value>,
}

impl Opened {
    fn text(&self, name: &str) -> Option<&str> {
        self.members.get(name)?.as_str().filter(|text| !text.is_empty())
    }

    pub(super) fn id(&self, kind: Kind) -> Option<String> {
        self.text(kind.id()).map(str::to_owned)
    }

    /// The method that a profile session has stored; not in the reference (assumed).
    pub(super) fn profile_id(&self) -> Option<&str> {
        self.text("paymentProfileId")
    }

    pub(super) fn provider_status(&self, kind: Kind) -> ProviderStatus {
        ProviderStatus::new(kind.section(), &self.status)
    }

    /// Sessions and links state no amounts and no reasons. Their `updatedAt` is not used as the time of the state:
    /// nothing documents that every change of the state moves it.
    pub(super) fn view(&self, kind: Kind) -> ProviderView {
        ProviderView {
            provider_status: self.provider_status(kind),
            merchant_reference: merchant_reference(self.members.get("metadata")),
            ..ProviderView::default()
        }
    }

    /// The page, or what the widget needs. The reference gives a profile session no page; one that has none shows
    /// the widget.
    pub(super) fn next(&self, target: &Target<'_>, payment_provider: &str) -> Option<Next> {
        let shown = match target.kind {
            Kind::Session | Kind::Link => self.members.get("provider"),
            Kind::ProfileSession => {
                self.members.get("providers").and_then(|providers| member_of(providers, payment_provider))
            }
        };
        let page = || self.page(shown).map(|url| Next::Page(url.to_owned()));
        match (target.approach, target.kind) {
            (Approach::Embedded, _) => widget(shown?),
            (_, Kind::ProfileSession) => page().or_else(|| widget(shown?)),
            (Approach::Hosted | Approach::Link, _) => page(),
        }
    }

    /// The reference says that there is an address and not where: the likely places in turn (assumed).
    fn page<'a>(&'a self, shown: Option<&'a Value>) -> Option<&'a str> {
        let inside = |name| shown?.get(name)?.as_str().filter(|url| !url.is_empty());
        let places = [self.text("checkoutUrl"), inside("checkoutUrl"), inside("url"), self.text("url")];
        places.into_iter().flatten().next()
    }
}

/// The member of an object whose name is a provider's; they write `STRIPE` and `stripe`.
fn member_of<'a>(providers: &'a Value, name: &str) -> Option<&'a Value> {
    let mut members = providers.as_object()?.iter();
    members.find(|(known, _)| known.eq_ignore_ascii_case(name)).map(|(_, member)| member)
}

/// Every string that the widget may need, under the provider's own names.
fn widget(shown: &Value) -> Option<Next> {
    let members = shown.as_object()?.iter();
    let texts: BTreeMap<String, String> =
        members.filter_map(|(name, value)| Some((name.clone(), value.as_str()?.to_owned()))).collect();
    (!texts.is_empty()).then_some(Next::Widget(texts))
}

/// The merchant reference, where an object's metadata has it.
fn merchant_reference(metadata: Option<&Value>) -> Option<String> {
    metadata?.get("attempt")?.as_str().map(str::to_owned)
}

/// An order of the provider's own.
#[derive(Deserialize)]
#[serde(try_from = "EitherOrder")]
pub(super) struct Order {
    pub(super) id: String,
    pub(super) state: String,
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
            provider_status: Some(profile.status),
            kind: profile.kind,
            display_name: profile.display_name,
            expires_on: profile.expires_at,
        }
    }
}

/// A notification: a copy of an object as its GET would show it.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct NotificationBody {
    event_id: Option<String>,
    data: Value,
}

impl NotificationBody {
    /// Its target: a session or link by its id, an order or payment by the merchant reference in its metadata. A line
    /// item's event holds the order one level down.
    pub(super) fn target(self) -> Option<NotificationTarget> {
        let about = self.data.get("order").unwrap_or(&self.data);
        let reference = Kind::ALL.into_iter().find_map(|kind| about.get(kind.id())?.as_str());
        let merchant_reference = merchant_reference(about.get("metadata"));
        (reference.is_some() || merchant_reference.is_some()).then_some(NotificationTarget {
            reference: reference.map(str::to_owned),
            merchant_reference,
            event: self.event_id,
        })
    }
}

/// Whether a request with the same key is still running (idempotency page). Codes come in both cases and are compared
/// without it (errors page).
pub(super) fn is_locked(response: &HttpResponse) -> bool {
    let code = complaint(response).and_then(|(code, _)| code);
    response.status == 409 && code.is_some_and(|code| code.eq_ignore_ascii_case("idempotency_key_locked"))
}

/// Code and message of a refusal with the names of the fields it is about, such as "Validation failed (returnUrl)". The
/// details' own texts may repeat what was sent, so they stay out.
pub(super) fn complaint(response: &HttpResponse) -> Option<Complaint> {
    let body: Value = response.json().ok()?;
    let text = |name| body.get(name)?.as_str().map(str::to_owned);
    let details = body.get("details").and_then(Value::as_array).into_iter().flatten();
    let fields: Vec<_> = details.filter_map(|detail| detail.get("property")?.as_str()).collect();
    let message = text("message").map(|message| match fields.as_slice() {
        [] => message,
        fields => format!("{message} ({})", fields.join(", ")),
    });
    Some((text("code"), message))
}
