//! What they answer, only the parts that are used. Statuses stay text, and both generations of the reference are read:
//! what the earlier one lacks, wraps or calls otherwise is optional here.

use std::collections::BTreeMap;
use std::fmt;

use paymux_port::{
    Approach, Complaint, Currency, Decimal, Fields, HttpResponse, Moment, Money, Next, NotificationTarget,
    ProviderStatus, ProviderView, Side, StoredProfile, Text,
};
use serde::Deserialize;

use super::request::{Kind, Target};

/// A session, link or profile session.
#[derive(Deserialize)]
#[serde(try_from = "Fields")]
pub(super) struct Opened {
    status: String,
    members: Fields,
}

impl TryFrom<Fields> for Opened {
    type Error = &'static str;

    fn try_from(members: Fields) -> Result<Self, Self::Error> {
        let status = members.text("status").ok_or("it has no status")?;
        Ok(Self { status, members })
    }
}

impl Opened {
    pub(super) fn id(&self, kind: Kind) -> Option<String> {
        self.members.text(kind.id())
    }

    /// The method that a profile session has stored; not in the reference (assumed).
    pub(super) fn profile_id(&self) -> Option<String> {
        self.members.text("paymentProfileId")
    }

    pub(super) fn provider_status(&self, kind: Kind) -> ProviderStatus {
        ProviderStatus::new(kind.section(), &self.status)
    }

    /// Sessions and links state no amounts and no reasons. Their `updatedAt` is not used as the time of the state:
    /// nothing documents that every change of the state moves it.
    pub(super) fn view(&self, kind: Kind) -> ProviderView {
        ProviderView {
            provider_status: self.provider_status(kind),
            merchant_reference: merchant_reference(&self.members),
            ..ProviderView::default()
        }
    }

    /// The page, or what the widget needs. The reference gives a profile session no page; one that has none shows
    /// the widget.
    pub(super) fn next(&self, target: &Target<'_>, payment_provider: &str) -> Option<Next> {
        let shown = match target.kind {
            Kind::Session | Kind::Link => self.members.fields("provider"),
            Kind::ProfileSession => {
                self.members.fields("providers").and_then(|providers| member_of(&providers, payment_provider))
            }
        };
        let page = || self.page(shown.as_ref()).map(Next::Page);
        match (target.approach, target.kind) {
            (Approach::Embedded, _) => widget(shown.as_ref()?),
            (_, Kind::ProfileSession) => page().or_else(|| widget(shown.as_ref()?)),
            (Approach::Hosted | Approach::Link, _) => page(),
        }
    }

    /// The reference says that there is an address and not where: the likely places in turn (assumed).
    fn page(&self, shown: Option<&Fields>) -> Option<String> {
        let url = |fields: &Fields, name| fields.get::<String>(name).filter(|url| !url.is_empty());
        let (here, inside) = (|name| url(&self.members, name), |name| url(shown?, name));
        let places = [here("checkoutUrl"), inside("checkoutUrl"), inside("url"), here("url")];
        places.into_iter().flatten().next()
    }
}

/// The member of an object whose name is a provider's; they write `STRIPE` and `stripe`.
fn member_of(providers: &Fields, name: &str) -> Option<Fields> {
    let known = providers.names().find(|known| known.eq_ignore_ascii_case(name))?;
    providers.fields(known)
}

/// Every string that the widget may need, under the provider's own names.
fn widget(shown: &Fields) -> Option<Next> {
    let texts: BTreeMap<String, String> =
        shown.names().filter_map(|name| Some((name.to_owned(), shown.get(name)?))).collect();
    (!texts.is_empty()).then_some(Next::Widget(texts))
}

/// The merchant reference, where an object's metadata has it.
fn merchant_reference(object: &Fields) -> Option<String> {
    object.fields("metadata")?.get("attempt")
}

/// An order of the provider's own, of either reference. The earlier one calls `state` `status`, and wraps the answer to
/// a submit.
#[derive(Deserialize)]
#[serde(try_from = "Fields")]
pub(super) struct Order {
    pub(super) id: String,
    pub(super) state: String,
}

impl TryFrom<Fields> for Order {
    type Error = &'static str;

    fn try_from(read: Fields) -> Result<Self, Self::Error> {
        let bare = read.fields("order").unwrap_or(read);
        let state = bare.text("state").or_else(|| bare.text("status"));
        bare.text("orderId")
            .zip(state)
            .map(|(id, state)| Self { id, state })
            .ok_or("an order has an id and a state")
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
    currency: Text,
}

impl Priced {
    /// The total, if it is an amount of a currency at all.
    pub(super) fn money(&self) -> Option<Money> {
        Money::from_stated(self.pricing.total, Currency::from_stated(&self.pricing.currency).ok()?).ok()
    }
}

impl fmt::Display for Priced {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.pricing.total, &*self.pricing.currency)
    }
}

/// The methods stored for a customer.
#[derive(Deserialize)]
pub(super) struct Profiles {
    pub(super) items: Vec<Profile>,
}

/// A payment profile.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Profile {
    payment_profile_id: Text,
    #[serde(rename = "type")]
    kind: Text,
    status: Text,
    display_name: Side<Text>,
    expires_at: Side<Text>,
    pub(super) created_at: Side<Moment>,
}

impl From<Profile> for StoredProfile {
    fn from(profile: Profile) -> Self {
        Self {
            reference: profile.payment_profile_id.into(),
            provider_status: Some(profile.status.into()),
            kind: profile.kind.into(),
            display_name: profile.display_name.0.map(String::from),
            expires_on: profile.expires_at.0.map(String::from),
        }
    }
}

/// A notification: a copy of an object as its GET would show it.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct NotificationBody {
    event_id: Side<Text>,
    data: Fields,
}

impl NotificationBody {
    /// Its target: a session or link by its id, an order or payment by the merchant reference in its metadata. A line
    /// item's event holds the order one level down.
    pub(super) fn target(self) -> Option<NotificationTarget> {
        let about = self.data.fields("order").unwrap_or(self.data);
        let reference = Kind::ALL.into_iter().find_map(|kind| about.text(kind.id()));
        let merchant_reference = merchant_reference(&about);
        (reference.is_some() || merchant_reference.is_some()).then_some(NotificationTarget {
            status: None,
            reference,
            merchant_reference,
            event: self.event_id.0.map(String::from),
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
    let body: Fields = response.json().ok()?;
    let details: Vec<Side<Fields>> = body.get("details").unwrap_or_default();
    let fields: Vec<_> = details.iter().filter_map(|detail| detail.as_ref()?.text("property")).collect();
    let message = body.text("message").map(|message| match fields.as_slice() {
        [] => message,
        fields => format!("{message} ({})", fields.join(", ")),
    });
    Some((body.text("code"), message))
}
