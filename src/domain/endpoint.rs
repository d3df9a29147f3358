//! Merchants' webhook endpoints.

use std::fmt;
use std::time::Duration;

use port::{EndpointId, Timestamp};
use serde::{Deserialize, Serialize};

use super::erasable::{Erasable, ErasableSlot, slots};
use super::subject::{ChangeMeta, Head, ReplayError, Subject, SubjectEvent, any_subject};

/// How long a replaced secret stays valid.
pub const SECRET_OVERLAP: Duration = Duration::from_secs(24 * 3_600);

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct WebhookEndpoint {
    pub id: EndpointId,
    pub merchant: String,
    #[serde(flatten)]
    pub settings: EndpointSettings,
    pub secret: Erasable<EndpointSecret>,
    /// The replaced secret, which signs too until it expires.
    pub previous_secret: Option<PreviousSecret>,
    /// Since when and why it is disabled; `None` while it is enabled.
    pub disabled: Option<Disabled>,
    pub deleted: bool,
    pub created_at: Timestamp,
    pub updated_at: Timestamp,
    /// Unchanged by redeliveries.
    pub version: u64,
    pub head: Head,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct EndpointSettings {
    pub url: String,
    /// The types of events that it takes, `payment.paid` or `payment.*`; none for all.
    pub types: Vec<String>,
    pub description: Option<String>,
}

/// A signing secret. It is never printed.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct EndpointSecret(String);

impl EndpointSecret {
    /// From its text, `whsec_…`.
    pub fn new(text: String) -> Self {
        Self(text)
    }

    /// The text, to sign with it or to show it once.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for EndpointSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("EndpointSecret")
    }
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct PreviousSecret {
    pub secret: Erasable<EndpointSecret>,
    pub expires_at: Timestamp,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Disabled {
    pub at: Timestamp,
    pub reason: DisabledReason,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, strum::IntoStaticStr)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
#[strum(serialize_all = "SCREAMING_SNAKE_CASE")]
pub enum DisabledReason {
    /// The merchant disabled it.
    Merchant,
    /// It answered 410 Gone.
    Gone,
    /// Deliveries to it failed for days.
    Failing,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type", content = "data")]
pub enum EndpointEvent {
    #[serde(rename = "endpoint.created")]
    Created {
        id: EndpointId,
        merchant: String,
        #[serde(flatten)]
        settings: EndpointSettings,
        secret: Erasable<EndpointSecret>,
    },
    #[serde(rename = "endpoint.edited")]
    Edited(EndpointSettings),
    /// It got a new secret; the old one stays valid for a day.
    #[serde(rename = "endpoint.secret_rotated")]
    SecretRotated(Erasable<EndpointSecret>),
    #[serde(rename = "endpoint.enabled")]
    Enabled,
    #[serde(rename = "endpoint.disabled")]
    Disabled { reason: DisabledReason },
    /// Events are sent to it, or to other endpoints of the merchant, once more.
    #[serde(rename = "endpoint.redelivery_requested")]
    RedeliveryRequested {
        /// How many endpoints (redeliver) or orders (replay) are affected.
        count: u64,
    },
    #[serde(rename = "endpoint.deleted")]
    Deleted,
}

impl SubjectEvent for EndpointEvent {
    fn erasables(&self) -> Vec<&dyn ErasableSlot> {
        match self {
            Self::Created { secret, .. } | Self::SecretRotated(secret) => vec![secret],
            _ => Vec::new(),
        }
    }
}

impl WebhookEndpoint {
    /// The list state of an endpoint that was not deleted.
    pub const KEPT: &str = "KEPT";
    const DELETED: &str = "DELETED";

    pub fn subscribes_to(&self, event_type: &str) -> bool {
        let fits = |wanted: &String| match wanted.strip_suffix('*') {
            Some(noun) => event_type.starts_with(noun),
            None => wanted == event_type,
        };
        self.settings.types.is_empty() || self.settings.types.iter().any(fits)
    }

    /// The secrets that sign at this time, the newest first.
    pub fn live_secrets(&self, at: Timestamp) -> impl Iterator<Item = &EndpointSecret> {
        let previous = self.previous_secret.as_ref().filter(|previous| at < previous.expires_at);
        std::iter::once(&self.secret)
            .chain(previous.map(|previous| &previous.secret))
            .filter_map(Erasable::value)
    }

    fn rotate(&mut self, secret: Erasable<EndpointSecret>, at: Timestamp) {
        // While an old one still signs, another rotation replaces only the new one, so that a rotation whose answer
        // was lost can be repeated.
        let live = self.previous_secret.as_ref().is_some_and(|previous| at < previous.expires_at);
        let replaced = std::mem::replace(&mut self.secret, secret);
        if !live {
            self.previous_secret =
                Some(PreviousSecret { secret: replaced, expires_at: at.plus(SECRET_OVERLAP) });
        }
    }
}

impl Subject for WebhookEndpoint {
    type Event = EndpointEvent;

    any_subject!(WebhookEndpoint, |endpoint| endpoint);

    fn open(first: &EndpointEvent, meta: &ChangeMeta) -> Option<Self> {
        let EndpointEvent::Created { id, merchant, settings, secret } = first else { return None };
        Some(Self {
            id: *id,
            merchant: merchant.clone(),
            settings: settings.clone(),
            secret: secret.clone(),
            previous_secret: None,
            disabled: None,
            deleted: false,
            created_at: meta.at,
            updated_at: meta.at,
            version: 0,
            head: Head::default(),
        })
    }

    fn apply_event(&mut self, event: &EndpointEvent, meta: &ChangeMeta) -> Result<(), ReplayError> {
        match event {
            EndpointEvent::RedeliveryRequested { .. } => return Ok(()),
            EndpointEvent::Created { .. } => {}
            EndpointEvent::Edited(settings) => self.settings.clone_from(settings),
            EndpointEvent::SecretRotated(secret) => self.rotate(secret.clone(), meta.at),
            EndpointEvent::Enabled => self.disabled = None,
            EndpointEvent::Disabled { reason } => {
                self.disabled = Some(Disabled { at: meta.at, reason: *reason });
            }
            EndpointEvent::Deleted => self.deleted = true,
        }
        self.updated_at = meta.at;
        self.version += 1;
        Ok(())
    }

    fn list_state(&self) -> &'static str {
        if self.deleted { Self::DELETED } else { Self::KEPT }
    }

    fn erasables(&mut self) -> Vec<&mut dyn ErasableSlot> {
        let previous = self.previous_secret.as_mut().map(|previous| &mut previous.secret);
        slots([&mut self.secret].into_iter().chain(previous)).collect()
    }
}
