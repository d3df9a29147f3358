//! What stands on a provider's order and is paid or stored on: a session, a link, or a profile session. Three
//! objects of one manner, so that starting, reading and cancelling them is written once.

use std::collections::BTreeMap;

use paymux_port::{Approach, Next};
use serde::Deserialize;
use serde_json::Value;

use super::wire::ours;

/// What stands on a provider's order.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Session,
    Link,
    ProfileSession,
}

impl Kind {
    /// What a payment opens.
    pub(super) fn of(approach: Approach) -> Self {
        match approach {
            Approach::Hosted | Approach::Embedded => Self::Session,
            Approach::Link => Self::Link,
        }
    }

    pub(super) fn path(self) -> &'static str {
        match self {
            Self::Session => "/payment-sessions",
            Self::Link => "/payment-links",
            Self::ProfileSession => "/payment-profiles/sessions",
        }
    }

    /// The section of `statuses.toml` that its words stand in.
    pub(super) fn section(self) -> &'static str {
        match self {
            Self::Session => "session",
            Self::Link => "payment_link",
            Self::ProfileSession => "profile_session",
        }
    }
}

/// A session, link or profile session.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Opened {
    pub(super) status: String,
    payment_session_id: Option<String>,
    payment_link_id: Option<String>,
    payment_profile_session_id: Option<String>,
    /// Of a profile session that has stored a method; not in the reference (assumed).
    pub(super) payment_profile_id: Option<String>,
    checkout_url: Option<String>,
    url: Option<String>,
    #[serde(default)]
    provider: Value,
    #[serde(default)]
    providers: Value,
    #[serde(default)]
    metadata: Value,
}

impl Opened {
    pub(super) fn id(&self, kind: Kind) -> Option<&str> {
        let id = match kind {
            Kind::Session => &self.payment_session_id,
            Kind::Link => &self.payment_link_id,
            Kind::ProfileSession => &self.payment_profile_session_id,
        };
        id.as_deref().filter(|id| !id.is_empty())
    }

    /// Our reference, as the object's metadata echo it.
    pub(super) fn ours(&self) -> Option<String> {
        ours(&self.metadata)
    }

    /// The page, or what the widget needs. The reference gives a profile session no page; one that has none goes
    /// on with the widget.
    pub(super) fn next(&self, kind: Kind, approach: Approach, payment_provider: &str) -> Option<Next> {
        let shown = match kind {
            Kind::Session | Kind::Link => &self.provider,
            Kind::ProfileSession => member_of(&self.providers, payment_provider),
        };
        let page = || self.page(shown).map(|url| Next::Page(url.to_owned()));
        match (approach, kind) {
            (Approach::Embedded, _) => widget(shown),
            (_, Kind::ProfileSession) => page().or_else(|| widget(shown)),
            (Approach::Hosted | Approach::Link, _) => page(),
        }
    }

    /// The reference says that there is an address and not where: the likely places in turn (assumed).
    fn page<'a>(&'a self, shown: &'a Value) -> Option<&'a str> {
        let inside = |name| shown.get(name).and_then(Value::as_str);
        let places =
            [self.checkout_url.as_deref(), inside("checkoutUrl"), inside("url"), self.url.as_deref()];
        places.into_iter().flatten().find(|url| !url.is_empty())
    }
}

/// The member of an object whose name is a provider's; they write `STRIPE` and `stripe`.
fn member_of<'a>(providers: &'a Value, name: &str) -> &'a Value {
    let mut members = providers.as_object().into_iter().flatten();
    members.find(|(known, _)| known.eq_ignore_ascii_case(name)).map_or(&Value::Null, |(_, member)| member)
}

/// Every string that the widget may need, under the provider's own names.
fn widget(shown: &Value) -> Option<Next> {
    let members = shown.as_object()?.iter();
    let texts: BTreeMap<String, String> =
        members.filter_map(|(name, value)| Some((name.clone(), value.as_str()?.to_owned()))).collect();
    (!texts.is_empty()).then_some(Next::Widget(texts))
}
