//! What merchants do with their endpoints.

use std::collections::BTreeMap;
use std::sync::Arc;

use port::{EndpointId, EventId, OrderId, Timestamp};

use super::secret;
use crate::domain::view::event_type;
use crate::domain::{
    DisabledReason, DomainError, EndpointEvent, EndpointSettings, Erasable, Event, OrderAggregate, Recorded,
    SubjectEvent as _, WebhookEndpoint, number_of, subject_of,
};
use crate::engine::{Command, CommandError, Decision, Engine, WorkingCopy};
use crate::store::{Change, DeliveryStream, PublicFilter, StoredChange, Write};

/// Endpoints of one merchant.
pub const MAX_ENDPOINTS: usize = 20;

/// Events that are sent again at one request.
pub const MAX_REPLAYED: usize = 10_000;

/// Changes read, and rows written, at a time.
const CHANGES_AT_ONCE: u32 = 1_000;
const ROWS_AT_ONCE: usize = 200;

/// The use cases of endpoints.
#[derive(Clone)]
pub struct Endpoints {
    /// How subjects change.
    pub engine: Engine,
}

/// A change of an endpoint; what is absent stays.
#[derive(Clone, Debug, Default)]
pub struct EndpointFields {
    /// Where it listens.
    pub url: Option<String>,
    /// The types of events that it takes; none for all.
    pub types: Option<Vec<String>>,
    /// The merchant's words for it.
    pub description: Option<Option<String>>,
    /// Whether it gets anything.
    pub enabled: Option<bool>,
}

/// The first and the last sequence of what is to be sent again of an order.
type Span = (u64, u64);

impl Endpoints {
    /// A merchant's command about its endpoints.
    pub fn by<'a>(&'a self, merchant: &'a str, command: &'a Command) -> EndpointCommand<'a> {
        EndpointCommand { endpoints: self, merchant, command }
    }

    /// A merchant's endpoints, newest first.
    ///
    /// # Errors
    /// That of the store.
    pub async fn list(&self, merchant: &str) -> Result<Vec<Arc<WebhookEndpoint>>, CommandError> {
        let mut endpoints = Vec::new();
        for (id, _) in self.engine.store.endpoints().await? {
            let endpoint = self.engine.store.load::<WebhookEndpoint>(id.uuid()).await?;
            endpoints.extend(endpoint.filter(|endpoint| endpoint.merchant == merchant));
        }
        endpoints.reverse();
        Ok(endpoints)
    }

    /// A merchant's endpoint.
    ///
    /// # Errors
    /// [`CommandError::NotFound`], also for another merchant's and one that was deleted.
    pub async fn get(
        &self,
        merchant: &str,
        id: EndpointId,
    ) -> Result<WorkingCopy<WebhookEndpoint>, CommandError> {
        let found = self.engine.of_merchant::<WebhookEndpoint>(merchant, id.uuid()).await?;
        if found.deleted { Err(CommandError::NotFound) } else { Ok(found) }
    }

    /// Since when no delivery to an endpoint has worked.
    ///
    /// # Errors
    /// That of the store.
    pub async fn failing_since(&self, id: EndpointId) -> Result<Option<Timestamp>, CommandError> {
        let endpoints = self.engine.store.endpoints().await?;
        Ok(endpoints.into_iter().find(|(of, _)| *of == id).and_then(|(_, since)| since))
    }

    /// The type of an event of a merchant's order, if merchants are told of it.
    async fn public_type(
        &self,
        merchant: &str,
        order: OrderId,
        sequence: u64,
    ) -> Result<Option<String>, CommandError> {
        let store = &self.engine.store;
        let found = store.order(order).await?.filter(|order| order.header.merchant == merchant);
        if found.is_none() || sequence == 0 {
            return Ok(None);
        }
        let change = store.changes_of(order.uuid(), sequence - 1, 1).await?.pop();
        let change = change.map(|change| change.read::<OrderAggregate>()).transpose()?;
        let event = change.and_then(|change| {
            change.recorded_events().find(|event| event.sequence == sequence).map(|event| event.event)
        });
        Ok(event.and_then(|event: Event| event.public()).map(event_type))
    }

    /// What happened to each order of a merchant in a range of time.
    async fn spans(
        &self,
        merchant: &str,
        from: Timestamp,
        to: Timestamp,
    ) -> Result<BTreeMap<OrderId, Span>, CommandError> {
        let (mut spans, mut up_to, mut count) = (BTreeMap::new(), None, 0);
        loop {
            let filter = PublicFilter {
                merchant: merchant.to_owned(),
                from: Some(from),
                to: Some(to),
                up_to,
                limit: CHANGES_AT_ONCE,
            };
            let changes = self.engine.store.public_changes(&filter).await?;
            for change in &changes {
                count += add_span(&mut spans, change)?;
                if count > MAX_REPLAYED {
                    return Err(DomainError::ReplayTooLarge { max: MAX_REPLAYED }.into());
                }
            }
            up_to = changes.last().map(|change| change.position.saturating_sub(1));
            if changes.len() < CHANGES_AT_ONCE as usize {
                return Ok(spans);
            }
        }
    }

    /// What a request with an idempotency key came to: the endpoint as its change left it, and how many endpoints or
    /// orders it was about, if it was to send events again.
    ///
    /// # Errors
    /// That of the store.
    pub async fn recall(
        &self,
        subject: port::Uuid,
        sequence: u64,
    ) -> Result<(Arc<WebhookEndpoint>, Option<u64>), CommandError> {
        let change = self.engine.store.changes_of(subject, sequence.saturating_sub(1), 1).await?.pop();
        let change: Option<Recorded<EndpointEvent>> =
            change.map(|change| change.read::<WebhookEndpoint>()).transpose()?;
        let change = change.ok_or(CommandError::NotFound)?;
        let count = change.events.iter().find_map(|event| match event {
            EndpointEvent::RedeliveryRequested { count } => Some(*count),
            _ => None,
        });
        let endpoint = self.engine.store.load_at(subject, change.last()).await?;
        Ok((endpoint.ok_or(CommandError::NotFound)?, count))
    }
}

/// A merchant's command about its endpoints.
#[derive(Clone, Copy)]
pub struct EndpointCommand<'a> {
    endpoints: &'a Endpoints,
    merchant: &'a str,
    command: &'a Command,
}

impl EndpointCommand<'_> {
    /// Creates an endpoint. It hears of what happens from now on.
    pub async fn create(self, settings: EndpointSettings) -> Result<Arc<WebhookEndpoint>, CommandError> {
        if self.endpoints.list(self.merchant).await?.len() >= MAX_ENDPOINTS {
            return Err(DomainError::TooManyEndpoints { max: MAX_ENDPOINTS }.into());
        }
        let engine = &self.endpoints.engine;
        let created = EndpointEvent::Created {
            id: EndpointId::from_uuid(engine.subject_id()),
            merchant: self.merchant.to_owned(),
            settings,
            secret: Erasable::new(secret::make(&*engine.env), engine.env.nonce()),
        };
        let endpoint: WorkingCopy<WebhookEndpoint> =
            engine.create("create endpoint", self.command, Decision::from(vec![created])).await?;
        Ok(endpoint.current().clone())
    }

    /// Changes an endpoint. One that is enabled again hears of what happens from then on; what it missed can be sent
    /// again with [`EndpointCommand::replay`].
    pub async fn edit(
        self,
        id: EndpointId,
        fields: &EndpointFields,
    ) -> Result<Arc<WebhookEndpoint>, CommandError> {
        self.change(id, |endpoint| edited(endpoint, fields)).await
    }

    /// Gives an endpoint a new secret; the one before signs beside it for a day.
    pub async fn rotate(self, id: EndpointId) -> Result<Arc<WebhookEndpoint>, CommandError> {
        let secret =
            Erasable::new(secret::make(&*self.endpoints.engine.env), self.endpoints.engine.env.nonce());
        let rotated = |_: &WebhookEndpoint| vec![EndpointEvent::SecretRotated(secret.clone())].into();
        self.change(id, rotated).await
    }

    /// Deletes an endpoint, with all that waits for it.
    pub async fn delete(self, id: EndpointId) -> Result<(), CommandError> {
        let deleted = |endpoint: &WebhookEndpoint| Decision {
            events: vec![EndpointEvent::Deleted],
            also: vec![Write::DropStreams(endpoint.id)],
        };
        self.change(id, deleted).await.map(drop)
    }

    async fn change(
        self,
        id: EndpointId,
        change: impl Fn(&WebhookEndpoint) -> Decision<EndpointEvent>,
    ) -> Result<Arc<WebhookEndpoint>, CommandError> {
        let mut endpoint = self.endpoints.get(self.merchant, id).await?;
        let decide = |endpoint: &WebhookEndpoint, _| {
            self.command.ensure_version(endpoint.version)?;
            if endpoint.deleted {
                return Err(CommandError::NotFound);
            }
            Ok(change(endpoint))
        };
        self.endpoints.engine.change("endpoint", self.command, &mut endpoint, decide).await?;
        Ok(endpoint.current().clone())
    }

    /// Sends an event again, to one endpoint or to all that take it. Answers to how many.
    ///
    /// # Errors
    /// [`CommandError::NotFound`] for the event or the endpoint; [`DomainError::EventNotTaken`].
    pub async fn redeliver(self, event: EventId, to: Option<EndpointId>) -> Result<u64, CommandError> {
        let order = OrderId::from_uuid(subject_of(event.uuid()));
        let sequence = number_of(event.uuid());
        let kind = self
            .endpoints
            .public_type(self.merchant, order, sequence)
            .await?
            .ok_or(CommandError::NotFound)?;
        let mut endpoints = match to {
            Some(id) => vec![self.endpoints.get(self.merchant, id).await?.current().clone()],
            None => self.endpoints.list(self.merchant).await?,
        };
        endpoints.retain(|endpoint| endpoint.disabled.is_none() && endpoint.takes(&kind));
        if to.is_some() && endpoints.is_empty() {
            return Err(DomainError::EventNotTaken.into());
        }
        let span = (sequence, sequence);
        let streams = endpoints.iter().map(|endpoint| (endpoint.id, order, span)).collect::<Vec<_>>();
        self.enqueue(&streams).await
    }

    /// Sends an endpoint again all that happened from one moment to before another. Answers of how many orders.
    ///
    /// # Errors
    /// [`CommandError::NotFound`]; [`DomainError::EventNotTaken`] if it is disabled;
    /// [`DomainError::ReplayTooLarge`].
    pub async fn replay(self, id: EndpointId, from: Timestamp, to: Timestamp) -> Result<u64, CommandError> {
        if self.endpoints.get(self.merchant, id).await?.disabled.is_some() {
            return Err(DomainError::EventNotTaken.into());
        }
        let spans = self.endpoints.spans(self.merchant, from, to).await?;
        let streams: Vec<_> = spans.into_iter().map(|(order, span)| (id, order, span)).collect();
        self.enqueue(&streams).await
    }

    /// Writes down what is to be sent again, and how much that is. A part of it may stand if the store fails; asked for
    /// again, it is merged. The key comes with the last of it, on the first endpoint.
    async fn enqueue(self, streams: &[(EndpointId, OrderId, Span)]) -> Result<u64, CommandError> {
        let (at, count) = (self.endpoints.engine.now(), streams.len() as u64);
        let Some((first, ..)) = streams.first() else { return Ok(0) };
        let mut endpoint = self.endpoints.get(self.merchant, *first).await?;
        let mut rest = streams.chunks(ROWS_AT_ONCE).peekable();
        while let Some(some) = rest.next() {
            let rows = some.iter().map(|(endpoint, order, (first, last))| {
                let stream = DeliveryStream { endpoint: *endpoint, order: *order, replay: true };
                Write::Enqueue { stream, first: *first, last: Some(*last), at }
            });
            if rest.peek().is_some() {
                self.endpoints.engine.commit(Change::plain("redeliver", rows.collect())).await?;
                continue;
            }
            let also: Vec<Write> = rows.collect();
            let requested = |_: &WebhookEndpoint, _| {
                let events = vec![EndpointEvent::RedeliveryRequested { count }];
                Ok::<_, CommandError>(Decision { events, also: also.clone() })
            };
            self.endpoints.engine.change("redeliver", self.command, &mut endpoint, requested).await?;
        }
        Ok(count)
    }
}

/// Widens the span of a change's order by its public events. Answers how many they are.
fn add_span(spans: &mut BTreeMap<OrderId, Span>, change: &StoredChange) -> Result<usize, CommandError> {
    let change = change.read::<OrderAggregate>()?;
    let public: Vec<u64> = change
        .recorded_events()
        .filter(|event| event.event.is_public())
        .map(|event| event.sequence)
        .collect();
    for sequence in &public {
        let span = spans.entry(OrderId::from_uuid(change.subject)).or_insert((*sequence, *sequence));
        *span = (span.0.min(*sequence), span.1.max(*sequence));
    }
    Ok(public.len())
}

fn edited(endpoint: &WebhookEndpoint, fields: &EndpointFields) -> Decision<EndpointEvent> {
    let old = &endpoint.settings;
    let settings = EndpointSettings {
        url: fields.url.as_ref().unwrap_or(&old.url).clone(),
        types: fields.types.as_ref().unwrap_or(&old.types).clone(),
        description: fields.description.as_ref().unwrap_or(&old.description).clone(),
    };
    let mut also = Vec::new();
    // Another address, or another beginning, has not failed yet.
    if fields.url.is_some() || fields.enabled == Some(true) {
        also.push(Write::EndpointFailing { endpoint: endpoint.id, since: None });
    }
    let mut events = vec![EndpointEvent::Edited(settings)];
    match fields.enabled {
        Some(true) if endpoint.disabled.is_some() => events.push(EndpointEvent::Enabled),
        Some(false) if endpoint.disabled.is_none() => {
            events.push(EndpointEvent::Disabled { reason: DisabledReason::Merchant });
            also.push(Write::DropStreams(endpoint.id));
        }
        _ => {}
    }
    Decision { events, also }
}
