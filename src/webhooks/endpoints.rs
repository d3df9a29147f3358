//! What merchants do with their endpoints.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use port::{EndpointId, Env, EventId, OrderId, Timestamp};

use super::secret;
use crate::domain::view::event_type;
use crate::store::{
    Change, CommandResult, DeliveryStream, Disabled, DisabledReason, EndpointKeyRow, EndpointRegistry,
    EndpointRow, OldSecret, OutboundEventFilter, Page, Store, StoreError, Unique, WebhookWrite, Write,
};

/// Endpoints of one merchant.
pub const MAX_ENDPOINTS: usize = 20;

/// Events that are sent again at one request.
pub const MAX_REPLAYED: usize = 10_000;

/// How long a secret that was replaced signs beside the new one.
const ROTATION: Duration = Duration::from_secs(24 * 3_600);

/// Events read, and rows written, at a time.
const EVENTS_AT_ONCE: u32 = 1_000;
const ROWS_AT_ONCE: usize = 200;

/// How often a change is made anew after somebody else was faster.
const MAX_CONFLICTS: u32 = 16;

/// The use cases of endpoints.
#[derive(Clone)]
pub struct Endpoints {
    /// Where they are kept.
    pub store: Arc<dyn Store>,
    /// Where they stand in memory.
    pub registry: Arc<EndpointRegistry>,
    /// Time, ids, chance.
    pub env: Arc<dyn Env>,
}

/// A new endpoint, checked for its shape.
#[derive(Clone, Debug)]
pub struct Draft {
    /// Where it listens.
    pub url: String,
    /// The types of events that it takes; none for all.
    pub types: Vec<String>,
    /// The merchant's words for it.
    pub description: Option<String>,
}

/// A change of an endpoint; what is absent stays.
#[derive(Clone, Debug, Default)]
pub struct Edit {
    /// Where it listens.
    pub url: Option<String>,
    /// The types of events that it takes; none for all.
    pub types: Option<Vec<String>>,
    /// The merchant's words for it.
    pub description: Option<Option<String>>,
    /// Whether it gets anything.
    pub enabled: Option<bool>,
}

/// The idempotency key of a request, with a hash of what it was sent with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Key {
    /// The merchant's text.
    pub text: String,
    /// A hash of method, path and body.
    pub fingerprint: String,
}

impl Key {
    fn row(&self, merchant: &str, result: CommandResult, at: Timestamp) -> Write {
        Write::Webhook(WebhookWrite::EndpointKey(EndpointKeyRow {
            merchant: merchant.to_owned(),
            key: self.text.clone(),
            fingerprint: self.fingerprint.clone(),
            result,
            at,
        }))
    }
}

/// Why a use case did not get through.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum EndpointError {
    /// There is no such thing, or it is another merchant's.
    #[error("not found")]
    NotFound,
    /// The merchant expected another version.
    #[error("the version is {actual}")]
    VersionMismatch {
        /// What it is.
        actual: u64,
    },
    /// The merchant has as many as it may.
    #[error("there are {MAX_ENDPOINTS} endpoints already")]
    TooMany,
    /// The endpoint is off, or does not take events of this type.
    #[error("the endpoint does not get this event: it is off, or does not take events of this type")]
    NotTaken,
    /// More events than are sent again at once.
    #[error("the range has more than {MAX_REPLAYED} events")]
    TooLarge,
    /// The idempotency key was used meanwhile.
    #[error("the idempotency key is in use")]
    KeyTaken,
    /// The store did not work.
    #[error(transparent)]
    Store(StoreError),
}

impl From<StoreError> for EndpointError {
    fn from(fault: StoreError) -> Self {
        match fault {
            StoreError::Taken(Unique::Key) => Self::KeyTaken,
            other => Self::Store(other),
        }
    }
}

/// The first and the last place of what is to be sent again of an order.
type Span = (u64, u64);

impl Endpoints {
    /// Makes an endpoint. It hears of what happens from now on.
    ///
    /// # Errors
    /// [`EndpointError::TooMany`], [`EndpointError::KeyTaken`], [`EndpointError::Store`].
    pub async fn create(
        &self,
        merchant: &str,
        draft: Draft,
        key: Option<&Key>,
    ) -> Result<EndpointRow, EndpointError> {
        if self.list(merchant).await?.len() >= MAX_ENDPOINTS {
            return Err(EndpointError::TooMany);
        }
        let now = self.env.now();
        let row = EndpointRow {
            id: EndpointId::from_uuid(self.env.uuid()),
            merchant: merchant.to_owned(),
            url: draft.url,
            types: draft.types,
            description: draft.description,
            secret: secret::make(&*self.env),
            old_secret: None,
            created_at: now,
            updated_at: now,
            disabled: None,
            failing_since: None,
            version: 1,
        };
        self.write(&row, key).await?;
        Ok(row)
    }

    /// A merchant's endpoints, newest first.
    ///
    /// # Errors
    /// [`EndpointError::Store`].
    pub async fn list(&self, merchant: &str) -> Result<Vec<EndpointRow>, EndpointError> {
        let mut rows = self.store.endpoints().await?;
        rows.retain(|row| row.merchant == merchant);
        rows.reverse();
        Ok(rows)
    }

    /// A merchant's endpoint.
    ///
    /// # Errors
    /// [`EndpointError::NotFound`], also for another merchant's.
    pub async fn get(&self, merchant: &str, id: EndpointId) -> Result<EndpointRow, EndpointError> {
        let found = self.store.endpoint(id).await?;
        found.filter(|row| row.merchant == merchant).ok_or(EndpointError::NotFound)
    }

    /// What a request with this key made before, with the hash of what it was sent with.
    ///
    /// # Errors
    /// [`EndpointError::Store`].
    pub async fn made_by(&self, merchant: &str, key: &str) -> Result<Option<EndpointKeyRow>, EndpointError> {
        Ok(self.store.endpoint_key(merchant, key).await?)
    }

    /// Changes an endpoint. One that is switched on again hears of what happens from then on; what it missed can be
    /// sent again with [`Endpoints::replay`].
    ///
    /// # Errors
    /// [`EndpointError::NotFound`], [`EndpointError::VersionMismatch`], [`EndpointError::Store`].
    pub async fn edit(
        &self,
        merchant: &str,
        id: EndpointId,
        expects: Option<u64>,
        edit: &Edit,
    ) -> Result<EndpointRow, EndpointError> {
        self.change(merchant, id, expects, None, |row, now| edited(row, edit, now)).await
    }

    /// Gives an endpoint a new secret; the one before signs beside it for a day. While an old one still signs, another
    /// turn replaces only the new one, so that a turn whose answer was lost can be repeated.
    ///
    /// # Errors
    /// As for [`Endpoints::edit`], and [`EndpointError::KeyTaken`].
    pub async fn rotate(
        &self,
        merchant: &str,
        id: EndpointId,
        expects: Option<u64>,
        key: Option<&Key>,
    ) -> Result<EndpointRow, EndpointError> {
        let secret = secret::make(&*self.env);
        self.change(merchant, id, expects, key, |row, now| {
            let old = row.old_secret.filter(|old| now < old.until);
            let old = old.unwrap_or_else(|| OldSecret { text: row.secret, until: now.plus(ROTATION) });
            EndpointRow { secret: secret.clone(), old_secret: Some(old), ..row }
        })
        .await
    }

    /// Takes an endpoint away, with all that it is owed.
    ///
    /// # Errors
    /// As for [`Endpoints::edit`].
    pub async fn delete(
        &self,
        merchant: &str,
        id: EndpointId,
        expects: Option<u64>,
    ) -> Result<(), EndpointError> {
        let row = self.get(merchant, id).await?;
        check_version(&row, expects)?;
        let gone = Change::plain("endpoint", vec![Write::Webhook(WebhookWrite::Gone(id))]);
        Ok(self.registry.change(&*self.store, gone).await?)
    }

    /// Sends an event again, to one endpoint or to all that take it. Answers to how many.
    ///
    /// # Errors
    /// [`EndpointError::NotFound`] for the event or the endpoint, [`EndpointError::NotTaken`],
    /// [`EndpointError::KeyTaken`], [`EndpointError::Store`].
    pub async fn redeliver(
        &self,
        merchant: &str,
        event: EventId,
        to: Option<EndpointId>,
        key: Option<&Key>,
    ) -> Result<u64, EndpointError> {
        let outbound = self.store.outbound_event(merchant, event).await?.ok_or(EndpointError::NotFound)?;
        let found = self.store.events(outbound.order, outbound.sequence - 1, 1).await?;
        let notice_of = found.first().and_then(|event| event.record.event.public_event());
        let kind = event_type(notice_of.ok_or(EndpointError::NotFound)?);
        let mut endpoints = match to {
            Some(id) => vec![self.get(merchant, id).await?],
            None => self.list(merchant).await?,
        };
        endpoints.retain(|row| row.disabled.is_none() && row.takes(&kind));
        if to.is_some() && endpoints.is_empty() {
            return Err(EndpointError::NotTaken);
        }
        let span = (outbound.sequence, outbound.sequence);
        let owed = endpoints.iter().map(|row| (row.id, outbound.order, span)).collect::<Vec<_>>();
        self.enqueue(merchant, &owed, key).await
    }

    /// Sends an endpoint again all that happened from one moment to before another. Answers of how many orders.
    ///
    /// # Errors
    /// [`EndpointError::NotFound`], [`EndpointError::NotTaken`] if it is off, [`EndpointError::TooLarge`],
    /// [`EndpointError::KeyTaken`], [`EndpointError::Store`].
    pub async fn replay(
        &self,
        merchant: &str,
        id: EndpointId,
        from: Timestamp,
        to: Timestamp,
        key: Option<&Key>,
    ) -> Result<u64, EndpointError> {
        if self.get(merchant, id).await?.disabled.is_some() {
            return Err(EndpointError::NotTaken);
        }
        let spans = self.spans(merchant, from, to).await?;
        let owed: Vec<_> = spans.into_iter().map(|(order, span)| (id, order, span)).collect();
        self.enqueue(merchant, &owed, key).await
    }

    /// What happened to each order of a merchant in a range of time.
    async fn spans(
        &self,
        merchant: &str,
        from: Timestamp,
        to: Timestamp,
    ) -> Result<BTreeMap<OrderId, Span>, EndpointError> {
        let (mut spans, mut before, mut count) = (BTreeMap::new(), None, 0);
        loop {
            let filter = OutboundEventFilter {
                merchant: merchant.to_owned(),
                from: Some(from),
                to: Some(to),
                page: Page { before, limit: EVENTS_AT_ONCE },
            };
            let rows = self.store.outbound_events(&filter).await?;
            count += rows.len();
            if count > MAX_REPLAYED {
                return Err(EndpointError::TooLarge);
            }
            for row in &rows {
                let span: &mut Span = spans.entry(row.order).or_insert((row.sequence, row.sequence));
                *span = (span.0.min(row.sequence), span.1.max(row.sequence));
            }
            before = rows.last().map(|row| row.event.to_string());
            if rows.len() < EVENTS_AT_ONCE as usize {
                return Ok(spans);
            }
        }
    }

    /// Writes down what is to be sent again, and how much that is. A part of it may stand if the store fails; asked for
    /// again, it is merged. The key comes with the last of it.
    async fn enqueue(
        &self,
        merchant: &str,
        owed: &[(EndpointId, OrderId, Span)],
        key: Option<&Key>,
    ) -> Result<u64, EndpointError> {
        let (at, count) = (self.env.now(), u64::try_from(owed.len()).unwrap_or(u64::MAX));
        let mut rest = owed.chunks(ROWS_AT_ONCE).peekable();
        while let Some(some) = rest.next() {
            let rows = some.iter().map(|(endpoint, order, (first, last))| {
                let stream = DeliveryStream { endpoint: *endpoint, order: *order, replay: true };
                Write::Webhook(WebhookWrite::Enqueue { stream, first: *first, last: Some(*last), at })
            });
            let key = key.filter(|_| rest.peek().is_none());
            let key = key.map(|key| key.row(merchant, CommandResult::Queued(count), at));
            self.store.commit(Change::plain("redeliver", rows.chain(key).collect())).await?;
        }
        self.registry.wake();
        Ok(count)
    }

    async fn change(
        &self,
        merchant: &str,
        id: EndpointId,
        expects: Option<u64>,
        key: Option<&Key>,
        change: impl Fn(EndpointRow, Timestamp) -> EndpointRow,
    ) -> Result<EndpointRow, EndpointError> {
        for _ in 0..MAX_CONFLICTS {
            let row = self.get(merchant, id).await?;
            check_version(&row, expects)?;
            let now = self.env.now();
            let next = EndpointRow { updated_at: now, version: row.version + 1, ..change(row, now) };
            match self.write(&next, key).await {
                Err(EndpointError::Store(StoreError::Conflict)) => {}
                Err(fault) => return Err(fault),
                Ok(()) => return Ok(next),
            }
        }
        Err(StoreError::Busy.into())
    }

    async fn write(&self, row: &EndpointRow, key: Option<&Key>) -> Result<(), EndpointError> {
        let mut writes = vec![Write::Webhook(WebhookWrite::Endpoint(Box::new(row.clone())))];
        writes.extend(key.map(|key| key.row(&row.merchant, CommandResult::Endpoint(row.id), row.updated_at)));
        Ok(self.registry.change(&*self.store, Change::plain("endpoint", writes)).await?)
    }
}

fn check_version(row: &EndpointRow, expects: Option<u64>) -> Result<(), EndpointError> {
    match expects {
        Some(version) if version != row.version => {
            Err(EndpointError::VersionMismatch { actual: row.version })
        }
        _ => Ok(()),
    }
}

fn edited(row: EndpointRow, edit: &Edit, now: Timestamp) -> EndpointRow {
    let off = match edit.enabled {
        None => row.disabled,
        Some(true) => None,
        Some(false) => row.disabled.or(Some(Disabled { at: now, reason: DisabledReason::Merchant })),
    };
    // Another address, or another beginning, has not failed yet.
    let anew = edit.url.is_some() || edit.enabled == Some(true);
    EndpointRow {
        url: edit.url.clone().unwrap_or(row.url),
        types: edit.types.clone().unwrap_or(row.types),
        description: edit.description.clone().unwrap_or(row.description),
        disabled: off,
        failing_since: row.failing_since.filter(|_| !anew),
        ..row
    }
}
