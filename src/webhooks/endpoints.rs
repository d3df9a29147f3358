//! The use cases of webhook endpoints.

use std::collections::BTreeMap;
use std::sync::Arc;

use port::{EndpointId, EventId, OrderId, Timestamp};

use super::secret;
use crate::domain::view::event_type;
use crate::domain::{
    DisabledReason, DomainError, EndpointEvent, EndpointSettings, Erasable, OrderAggregate, Recorded,
    Subject, SubjectEvent as _, WebhookEndpoint, number_of, subject_of,
};
use crate::engine::{Command, CommandError, Decision, Engine, WorkingCopy};
use crate::store::{Change, DeliveryStream, PublicFilter, StoreError, StoredChange, Write};

/// The most endpoints of one merchant.
pub const MAX_ENDPOINTS: usize = 20;

/// The most events that one request can replay.
pub const MAX_REPLAYED: usize = 10_000;

/// How many changes are read, and rows written, at a time.
const CHANGES_AT_ONCE: u32 = 1_000;
const ROWS_AT_ONCE: usize = 200;

#[derive(Clone)]
pub struct Endpoints {
    pub engine: Engine,
}

/// A change of an endpoint; what is absent stays.
#[derive(Clone, Debug, Default)]
pub struct EndpointFields {
    pub url: Option<String>,
    /// The types of events that it takes; none for all.
    pub types: Option<Vec<String>>,
    pub description: Option<Option<String>>,
    pub enabled: Option<bool>,
}

type Result<T, E = CommandError> = std::result::Result<T, E>;

/// The first and the last sequence of an order's events that are redelivered.
type Span = (u64, u64);

impl Endpoints {
    pub fn by<'a>(&'a self, merchant: &'a str, command: &'a Command) -> EndpointCommand<'a> {
        EndpointCommand { endpoints: self, merchant, command }
    }

    /// A merchant's endpoints, newest first.
    pub async fn list(&self, merchant: &str) -> Result<Vec<Arc<WebhookEndpoint>>> {
        let mut endpoints = Vec::new();
        for (id, _) in self.engine.store.endpoints(Some(merchant)).await? {
            let endpoint = self.engine.store.load::<WebhookEndpoint>(id.uuid()).await?;
            endpoints.extend(endpoint);
        }
        endpoints.reverse();
        Ok(endpoints)
    }

    /// # Errors
    /// [`CommandError::NotFound`], also for another merchant's and one that was deleted.
    pub async fn get(&self, merchant: &str, id: EndpointId) -> Result<WorkingCopy<WebhookEndpoint>> {
        let found = self.engine.of_merchant::<WebhookEndpoint>(merchant, id.uuid()).await?;
        if found.deleted { Err(CommandError::NotFound) } else { Ok(found) }
    }

    /// Since when every delivery to a merchant's endpoint has failed.
    pub async fn failing_since(&self, merchant: &str, id: EndpointId) -> Result<Option<Timestamp>> {
        let endpoints = self.engine.store.endpoints(Some(merchant)).await?;
        Ok(endpoints.into_iter().find(|(of, _)| *of == id).and_then(|(_, since)| since))
    }

    /// The type of a public event of a merchant's order.
    async fn public_type(&self, merchant: &str, order: OrderId, sequence: u64) -> Result<String> {
        let found = self.engine.store.order(order).await?.filter(|order| order.header.merchant == merchant);
        found.filter(|_| sequence > 0).ok_or(CommandError::NotFound)?;
        let change = self.change_at::<OrderAggregate>(order.uuid(), sequence).await?;
        let event =
            change.and_then(|change| change.recorded_events().find(|event| event.sequence == sequence));
        event.and_then(|event| event.event.public()).map(event_type).ok_or(CommandError::NotFound)
    }

    /// The change that has the event with this sequence.
    async fn change_at<S: Subject>(
        &self,
        subject: port::Uuid,
        sequence: u64,
    ) -> Result<Option<Recorded<S::Event>>, StoreError> {
        let change = self.engine.store.changes_of(subject, sequence.saturating_sub(1), 1).await?.pop();
        change.map(|change| change.read::<S>()).transpose()
    }

    /// The public events of each of a merchant's orders in a range of time.
    async fn spans(&self, merchant: &str, from: Timestamp, to: Timestamp) -> Result<BTreeMap<OrderId, Span>> {
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

    /// The outcome of a request with an idempotency key: the endpoint as its change left it, and, of a redelivery, how
    /// many endpoints or orders it affects.
    pub async fn recall(
        &self,
        subject: port::Uuid,
        sequence: u64,
    ) -> Result<(Arc<WebhookEndpoint>, Option<u64>)> {
        let change = self.change_at::<WebhookEndpoint>(subject, sequence).await?;
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
    /// Creates an endpoint. It gets the events from now on.
    pub async fn create(self, settings: EndpointSettings) -> Result<Arc<WebhookEndpoint>> {
        let engine = &self.endpoints.engine;
        // Held until it is written, on purpose: of two at once the second has to count the first.
        let _alone = engine.endpoints.keep_from_adding().await;
        if engine.store.endpoints(Some(self.merchant)).await?.len() >= MAX_ENDPOINTS {
            return Err(DomainError::TooManyEndpoints { max: MAX_ENDPOINTS }.into());
        }
        let created = EndpointEvent::Created {
            id: EndpointId::from_uuid(engine.subject_id()),
            merchant: self.merchant.to_owned(),
            settings,
            secret: Erasable::new(secret::make(&*engine.env), engine.env.nonce()),
        };
        let endpoint =
            engine.create::<WebhookEndpoint>("create endpoint", self.command, vec![created]).await?;
        Ok(endpoint.current().clone())
    }

    /// Changes an endpoint. One that is enabled again gets the events from then on; those it missed can be sent with
    /// [`EndpointCommand::replay`].
    pub async fn edit(self, id: EndpointId, fields: &EndpointFields) -> Result<Arc<WebhookEndpoint>> {
        self.change(id, |endpoint, now| edited(endpoint, fields, now)).await
    }

    /// Gives an endpoint a new secret; the old one also signs for a day.
    pub async fn rotate(self, id: EndpointId) -> Result<Arc<WebhookEndpoint>> {
        let env = &self.endpoints.engine.env;
        let secret = Erasable::new(secret::make(&**env), env.nonce());
        self.change(id, |_, _| vec![EndpointEvent::SecretRotated(secret.clone())].into()).await
    }

    /// Deletes an endpoint and its waiting deliveries.
    pub async fn delete(self, id: EndpointId) -> Result<()> {
        let deleted = |endpoint: &WebhookEndpoint, _| Decision {
            events: vec![EndpointEvent::Deleted],
            also: vec![Write::DropStreams(endpoint.id)],
        };
        self.change(id, deleted).await.map(drop)
    }

    async fn change(
        self,
        id: EndpointId,
        change: impl Fn(&WebhookEndpoint, Timestamp) -> Decision<EndpointEvent>,
    ) -> Result<Arc<WebhookEndpoint>> {
        let mut endpoint = self.endpoints.get(self.merchant, id).await?;
        let decide = |endpoint: &WebhookEndpoint, now| {
            self.command.ensure_version(endpoint.version)?;
            if endpoint.deleted {
                return Err(CommandError::NotFound);
            }
            Ok(change(endpoint, now))
        };
        self.endpoints.engine.change("endpoint", self.command, &mut endpoint, decide).await?;
        Ok(endpoint.current().clone())
    }

    async fn enabled(self, id: EndpointId) -> Result<WorkingCopy<WebhookEndpoint>> {
        let endpoint = self.endpoints.get(self.merchant, id).await?;
        if endpoint.disabled.is_some() { Err(DomainError::EndpointDisabled.into()) } else { Ok(endpoint) }
    }

    /// Sends an event again, to one endpoint or to all that take it. Returns how many.
    ///
    /// # Errors
    /// [`CommandError::NotFound`] for the event or the endpoint; [`DomainError::EndpointDisabled`];
    /// [`DomainError::NotSubscribed`].
    pub async fn redeliver(self, event: EventId, to: Option<EndpointId>) -> Result<u64> {
        let order = OrderId::from_uuid(subject_of(event.uuid()));
        let sequence = number_of(event.uuid());
        let kind = self.endpoints.public_type(self.merchant, order, sequence).await?;
        let mut endpoints = match to {
            Some(id) => vec![self.enabled(id).await?.current().clone()],
            None => self.endpoints.list(self.merchant).await?,
        };
        endpoints.retain(|endpoint| endpoint.disabled.is_none() && endpoint.subscribes_to(&kind));
        if to.is_some() && endpoints.is_empty() {
            return Err(DomainError::NotSubscribed.into());
        }
        let span = (sequence, sequence);
        let streams = endpoints.iter().map(|endpoint| (endpoint.id, order, span)).collect::<Vec<_>>();
        self.enqueue(&streams).await
    }

    /// Sends an endpoint again all events from one moment to before another. Returns of how many orders.
    ///
    /// # Errors
    /// [`CommandError::NotFound`]; [`DomainError::EndpointDisabled`]; [`DomainError::ReplayTooLarge`].
    pub async fn replay(self, id: EndpointId, from: Timestamp, to: Timestamp) -> Result<u64> {
        self.enabled(id).await?;
        let spans = self.endpoints.spans(self.merchant, from, to).await?;
        let streams: Vec<_> = spans.into_iter().map(|(order, span)| (id, order, span)).collect();
        self.enqueue(&streams).await
    }

    /// Records what is redelivered, and how much that is. A part of it may stay if the store fails; a repeated request is
    /// merged with it. The key is written with the last part, on the first endpoint.
    async fn enqueue(self, streams: &[(EndpointId, OrderId, Span)]) -> Result<u64> {
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

/// Widens the span of a change's order by its public events. Returns how many they are.
fn add_span(spans: &mut BTreeMap<OrderId, Span>, change: &StoredChange) -> Result<usize> {
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

fn edited(endpoint: &WebhookEndpoint, fields: &EndpointFields, now: Timestamp) -> Decision<EndpointEvent> {
    let old = &endpoint.settings;
    let settings = EndpointSettings {
        url: fields.url.as_ref().unwrap_or(&old.url).clone(),
        types: fields.types.as_ref().unwrap_or(&old.types).clone(),
        description: fields.description.as_ref().unwrap_or(&old.description).clone(),
    };
    let mut also = Vec::new();
    // With another address, or enabled again, it has not failed yet.
    if fields.url.is_some() || fields.enabled == Some(true) {
        also.push(Write::EndpointWorks { endpoint: endpoint.id, at: now });
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
