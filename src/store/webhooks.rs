//! Telling merchants: their endpoints, what each is still owed, and what became of every try.

use std::fmt;
use std::str::FromStr;

use async_trait::async_trait;
use port::{EndpointId, EventId, OrderId, Secret, Timestamp};

use super::{Job, Page, StoreError};

/// A merchant's endpoint.
#[derive(Clone, Debug)]
pub struct EndpointRow {
    /// Its id.
    pub id: EndpointId,
    /// Whose.
    pub merchant: String,
    /// Where it listens.
    pub url: String,
    /// The types of events that it takes, `payment.paid` or `payment.*`; none for all.
    pub types: Vec<String>,
    /// The merchant's words for it.
    pub description: Option<String>,
    /// What signs. Stored in clear, since it has to sign.
    pub secret: Secret,
    /// The secret before, while it signs too. So at most two are live.
    pub old_secret: Option<OldSecret>,
    /// When it was made.
    pub created_at: Timestamp,
    /// When the merchant last changed it, or it was switched off.
    pub updated_at: Timestamp,
    /// Since when and why it gets nothing.
    pub disabled: Option<Disabled>,
    /// Since when no delivery has worked; none while they do.
    pub failing_since: Option<Timestamp>,
    /// Grows by one with every change but that of `failing_since`.
    pub version: u64,
}

impl EndpointRow {
    /// Whether it takes events of this type.
    pub fn takes(&self, event_type: &str) -> bool {
        let fits = |wanted: &String| match wanted.strip_suffix('*') {
            Some(noun) => event_type.starts_with(noun),
            None => wanted == event_type,
        };
        self.types.is_empty() || self.types.iter().any(fits)
    }
}

/// A secret that was replaced.
#[derive(Clone, Debug)]
pub struct OldSecret {
    /// Its text.
    pub text: Secret,
    /// Until when it signs.
    pub until: Timestamp,
}

/// That an endpoint gets nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Disabled {
    /// Since when.
    pub at: Timestamp,
    /// Why.
    pub reason: DisabledReason,
}

/// Why an endpoint gets nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DisabledReason {
    /// The merchant wanted so.
    Merchant,
    /// It answered that it is gone for good.
    Gone,
    /// It could not be told for days.
    Failing,
}

impl DisabledReason {
    /// As the API writes it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Merchant => "MERCHANT",
            Self::Gone => "GONE",
            Self::Failing => "FAILING",
        }
    }
}

impl FromStr for DisabledReason {
    type Err = crate::domain::UnknownWord;

    fn from_str(word: &str) -> Result<Self, Self::Err> {
        let known = [Self::Merchant, Self::Gone, Self::Failing];
        known.into_iter().find(|because| because.as_str() == word).ok_or(crate::domain::UnknownWord)
    }
}

/// The deliveries of one order to one endpoint, which follow each other.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct DeliveryStream {
    /// To which endpoint.
    pub endpoint: EndpointId,
    /// Of which order.
    pub order: OrderId,
    /// Whether they were asked for once more, beside what happens now.
    pub replay: bool,
}

/// How the subject of what was asked for once more ends.
const REPLAY: &str = "/again";

impl fmt::Display for DeliveryStream {
    /// As the subject in the agenda.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}{}", self.endpoint, self.order, if self.replay { REPLAY } else { "" })
    }
}

impl FromStr for DeliveryStream {
    type Err = crate::domain::UnknownWord;

    fn from_str(subject: &str) -> Result<Self, Self::Err> {
        let rest = subject.strip_suffix(REPLAY);
        let (endpoint, order) = rest.unwrap_or(subject).split_once('/').ok_or(crate::domain::UnknownWord)?;
        let unknown = |_| crate::domain::UnknownWord;
        let (endpoint, order) = (endpoint.parse().map_err(unknown)?, order.parse().map_err(unknown)?);
        Ok(Self { endpoint, order, replay: rest.is_some() })
    }
}

/// Where a lane stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cursor {
    /// The place of the first event that was not delivered.
    pub next: u64,
    /// The place of the last to deliver; none for all that happens.
    pub last: Option<u64>,
    /// How often the delivery of the next has failed.
    pub failures: u32,
}

/// A row about telling merchants.
#[derive(Clone, Debug)]
pub enum WebhookWrite {
    /// An event that merchants are told of, to be found by its merchant.
    OutboundEvent(OutboundEventRow),
    /// An endpoint as it is now, with its next version. `Conflict` if it moved on or is gone. One that is off is
    /// owed nothing any more.
    Endpoint(Box<EndpointRow>),
    /// The idempotency key of a request that made or changed an endpoint. In use already is `Taken`.
    EndpointKey(EndpointKeyRow),
    /// An endpoint that goes, with all that it is owed.
    Gone(EndpointId),
    /// Deliveries that work, or do not any more. The first moment stays.
    Failing {
        /// Of which endpoint.
        endpoint: EndpointId,
        /// Since when; none if they work.
        since: Option<Timestamp>,
    },
    /// Something to deliver, now. What is owed already and waits for a retry stays as it is, unless it is asked for
    /// once more: then all that waits for this order is due.
    Enqueue {
        /// To whom and of what.
        stream: DeliveryStream,
        /// The place of the first event.
        first: u64,
        /// Of the last; none for all that follow.
        last: Option<u64>,
        /// When.
        at: Timestamp,
    },
    /// What became of a try.
    Attempted(DeliveryRow),
    /// Ends the lease on a lane, if it still stands: due again, or done unless more is owed meanwhile.
    Advanced {
        /// What was claimed.
        job: Job,
        /// The lane it is.
        stream: DeliveryStream,
        /// Where it stood when it was claimed.
        was: Cursor,
        /// Where it stands.
        is: Cursor,
        /// When again; `None` if nothing more is known of.
        at: Option<Timestamp>,
    },
}

/// What a request about endpoints came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CommandResult {
    /// It made or changed an endpoint.
    Endpoint(EndpointId),
    /// So many endpoints, or orders, are told again.
    Queued(u64),
}

impl fmt::Display for CommandResult {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Endpoint(id) => id.fmt(f),
            Self::Queued(count) => count.fmt(f),
        }
    }
}

impl FromStr for CommandResult {
    type Err = <EndpointId as FromStr>::Err;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        text.parse().map(Self::Queued).or_else(|_| text.parse().map(Self::Endpoint))
    }
}

/// A merchant's idempotency key and what it stands for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EndpointKeyRow {
    /// Whose.
    pub merchant: String,
    /// The key.
    pub key: String,
    /// A hash of method, path and body.
    pub fingerprint: String,
    /// What the request came to.
    pub result: CommandResult,
    /// When.
    pub at: Timestamp,
}

/// An event that a merchant is told of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OutboundEventRow {
    /// Whose.
    pub merchant: String,
    /// The event.
    pub event: EventId,
    /// Of which order.
    pub order: OrderId,
    /// Its place in the order.
    pub sequence: u64,
    /// When it happened.
    pub at: Timestamp,
}

/// One try to deliver an event.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeliveryRow {
    /// Its place among all; given by the store.
    pub position: u64,
    /// To which endpoint.
    pub endpoint: EndpointId,
    /// Of which order.
    pub order: OrderId,
    /// Which event.
    pub event: EventId,
    /// The event's type.
    pub event_type: String,
    /// The event's place among those that merchants are told of.
    pub public_sequence: u64,
    /// Which try it was, from 1.
    pub attempt: u32,
    /// Whether it was taken.
    pub delivered: bool,
    /// The status it was answered with, if it was.
    pub response_code: Option<u16>,
    /// Why it was not taken. Nothing of either body is in it.
    pub error: Option<String>,
    /// How long it took, milliseconds.
    pub duration_ms: u64,
    /// When it began.
    pub at: Timestamp,
}

/// Which events of a merchant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OutboundEventFilter {
    /// Whose.
    pub merchant: String,
    /// From this moment.
    pub from: Option<Timestamp>,
    /// Before this moment.
    pub to: Option<Timestamp>,
    /// Which page, by the event's id.
    pub page: Page,
}

/// Reads about telling merchants.
#[async_trait]
pub trait WebhookReads: Send + Sync {
    /// Every endpoint, oldest first.
    async fn endpoints(&self) -> Result<Vec<EndpointRow>, StoreError>;

    /// An endpoint.
    async fn endpoint(&self, id: EndpointId) -> Result<Option<EndpointRow>, StoreError>;

    /// A merchant's idempotency key, if it stands for an endpoint.
    async fn endpoint_key(&self, merchant: &str, key: &str) -> Result<Option<EndpointKeyRow>, StoreError>;

    /// Where a lane stands, if anything is owed on it.
    async fn cursor(&self, stream: DeliveryStream) -> Result<Option<Cursor>, StoreError>;

    /// The tries at an endpoint, newest first; a page by its last position.
    async fn deliveries(&self, endpoint: EndpointId, page: &Page) -> Result<Vec<DeliveryRow>, StoreError>;

    /// A merchant's events, newest first.
    async fn outbound_events(
        &self,
        filter: &OutboundEventFilter,
    ) -> Result<Vec<OutboundEventRow>, StoreError>;

    /// One of a merchant's events.
    async fn outbound_event(
        &self,
        merchant: &str,
        event: EventId,
    ) -> Result<Option<OutboundEventRow>, StoreError>;
}
