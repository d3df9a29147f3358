//! One delivery: what the endpoint is owed next, sent once, and what follows from the answer.

use std::sync::Arc;
use std::time::Duration;

use port::{AttemptId, Env, HttpRequest, Timestamp, Transport};

use super::decide::{DeliveryDecision, DeliveryResponse, decide};
use super::{message, secret};
use crate::domain::RecordedEvent;
use crate::domain::view::{self, event_type};
use crate::metrics::{DeliveryOutcome, Metrics};
use crate::store::{
    Change, Cursor, DeliveryRow, DeliveryStream, Disabled, DisabledReason, EndpointRegistry, EndpointRow,
    Job, Store, StoreError, WebhookWrite, Write,
};

/// How many events are looked at for the next that an endpoint takes.
const EVENTS_AT_ONCE: u32 = 100;

/// How often switching an endpoint off is tried anew after somebody else changed it.
const MAX_CONFLICTS: u32 = 16;

/// Longest reason that is kept, characters.
const MAX_ERROR: usize = 200;

/// Where the gateway shows the link of an attempt as a picture.
pub type QrUrl = Arc<dyn Fn(AttemptId) -> String + Send + Sync>;

/// What deliveries are made with.
pub struct DeliveryContext {
    /// Where everything is kept.
    pub store: Arc<dyn Store>,
    /// The endpoints that are on.
    pub endpoint_registry: Arc<EndpointRegistry>,
    /// Time and chance.
    pub env: Arc<dyn Env>,
    /// Counters.
    pub metrics: Arc<Metrics>,
    /// The way out: one that follows no redirect, reaches only where merchants may listen, and has limits.
    pub transport: Arc<dyn Transport>,
    /// For the snapshots of sessions.
    pub qr_url: QrUrl,
}

/// What an endpoint is told next.
struct Next {
    event: RecordedEvent,
    kind: String,
    /// Whether more is known to follow.
    more: bool,
}

/// A try and what it came to.
struct DeliveryAttempt {
    started_at: Timestamp,
    ended_at: Timestamp,
    answered: DeliveryResponse,
    error: Option<String>,
}

impl DeliveryContext {
    /// Makes the next delivery of a lane that was claimed, and writes down what became of it.
    ///
    /// # Errors
    /// [`StoreError`]; the lease then runs out by itself.
    pub(super) async fn deliver(&self, stream: DeliveryStream, job: Job) -> Result<(), StoreError> {
        // One that was switched off meanwhile is owed nothing, and its rows are gone.
        let Some(endpoint) = self.endpoint_registry.endpoint(stream.endpoint) else { return Ok(()) };
        let Some(cursor) = self.store.cursor(stream).await? else {
            return self.commit(vec![Write::Release { job, at: None }]).await;
        };
        let (next, seen) = self.next(&endpoint, stream, cursor).await?;
        let Some(next) = next else {
            let is = Cursor { next: seen + 1, failures: 0, ..cursor };
            return self.commit(vec![advanced(job, stream, cursor, is, None)]).await;
        };
        let body = self.body(&next.event).await?;
        let attempt = self.send(&endpoint, &next.event, body).await;
        self.follow(&endpoint, job, stream, cursor, &next, attempt).await
    }

    /// The next event that the endpoint takes, and the place up to which none is left before it.
    async fn next(
        &self,
        endpoint: &EndpointRow,
        stream: DeliveryStream,
        cursor: Cursor,
    ) -> Result<(Option<Next>, u64), StoreError> {
        let mut seen = cursor.next.saturating_sub(1);
        loop {
            let events = self.store.events(stream.order, seen, EVENTS_AT_ONCE).await?;
            let full = events.len() == EVENTS_AT_ONCE as usize;
            let last = events.last().map_or(seen, |event| event.sequence);
            let mut taken = events.into_iter().filter_map(|event| {
                let kind = event_type(event.record.event.public_event()?);
                let within = cursor.last.is_none_or(|last| event.sequence <= last);
                (within && endpoint.takes(&kind)).then_some((event, kind))
            });
            if let Some((event, kind)) = taken.next() {
                let more = full || taken.next().is_some();
                return Ok((Some(Next { event, kind, more }), last));
            }
            if !full {
                return Ok((None, last));
            }
            seen = last;
        }
    }

    async fn body(&self, event: &RecordedEvent) -> Result<Vec<u8>, StoreError> {
        let corrupt = |what: String| StoreError::Corrupt(format!("event {}: {what}", event.id));
        let order = self.store.order_at(event.order, event.sequence).await?;
        let order = order.ok_or_else(|| corrupt("its order is gone".to_owned()))?;
        let view = view::event(&order, event, &*self.qr_url)
            .ok_or_else(|| corrupt("it is none to tell".to_owned()))?;
        message::body(&view).map_err(|fault| corrupt(fault.to_string()))
    }

    async fn send(&self, endpoint: &EndpointRow, event: &RecordedEvent, body: Vec<u8>) -> DeliveryAttempt {
        let started_at = self.env.now();
        let signatures = secret::signatures(endpoint, event.id, started_at, &body);
        let call = HttpRequest::post("")
            .json_bytes(body)
            .header("webhook-id", event.id.to_string())
            .header("webhook-timestamp", started_at.seconds().to_string())
            .header("webhook-signature", signatures);
        let (answered, error) = match self.transport.send(&endpoint.url, &call).await {
            Ok(response) => {
                let error = (!response.ok()).then(|| format!("it answered {}", response.status));
                (DeliveryResponse::Status(response.status, response.retry_after), error)
            }
            Err(fault) => {
                (DeliveryResponse::Nothing, Some(fault.to_string().chars().take(MAX_ERROR).collect()))
            }
        };
        DeliveryAttempt { started_at, ended_at: self.env.now(), answered, error }
    }

    /// Writes down what became of a try, and what follows.
    async fn follow(
        &self,
        endpoint: &EndpointRow,
        job: Job,
        stream: DeliveryStream,
        cursor: Cursor,
        next: &Next,
        attempt: DeliveryAttempt,
    ) -> Result<(), StoreError> {
        let now = attempt.ended_at;
        let failing = endpoint.failing_since.map_or(Duration::ZERO, |since| now.since(since));
        let decision = decide(attempt.answered, cursor.failures, failing, self.draw());
        self.metrics.webhook_delivery(match decision {
            DeliveryDecision::Taken => DeliveryOutcome::Delivered,
            DeliveryDecision::Again(_) => DeliveryOutcome::Failed,
            DeliveryDecision::Off(_) => DeliveryOutcome::GivenUp,
        });
        let row = row(stream, cursor, next, attempt, decision == DeliveryDecision::Taken);
        let tried = Write::Webhook(WebhookWrite::Attempted(row));
        let (is, at) = match decision {
            DeliveryDecision::Taken => {
                let passed = Cursor { next: next.event.sequence + 1, failures: 0, ..cursor };
                (passed, next.more.then_some(now))
            }
            DeliveryDecision::Again(wait) => {
                (Cursor { failures: cursor.failures + 1, ..cursor }, Some(now.plus(wait)))
            }
            DeliveryDecision::Off(because) => return self.switch_off(endpoint, because, now, tried).await,
        };
        let since = (decision != DeliveryDecision::Taken).then_some(now);
        let mut writes = vec![tried, advanced(job, stream, cursor, is, at)];
        let turned = since.is_some() != endpoint.failing_since.is_some();
        if turned {
            writes.push(Write::Webhook(WebhookWrite::Failing { endpoint: endpoint.id, since }));
        }
        if turned { self.turn(writes).await } else { self.commit(writes).await }
    }

    async fn switch_off(
        &self,
        endpoint: &EndpointRow,
        because: DisabledReason,
        now: Timestamp,
        tried: Write,
    ) -> Result<(), StoreError> {
        for _ in 0..MAX_CONFLICTS {
            let mut writes = vec![tried.clone()];
            let known = self.store.endpoint(endpoint.id).await?.filter(|row| row.disabled.is_none());
            let off = known.map(|row| EndpointRow {
                disabled: Some(Disabled { at: now, reason: because }),
                updated_at: now,
                version: row.version + 1,
                ..row
            });
            writes.extend(off.map(|row| Write::Webhook(WebhookWrite::Endpoint(Box::new(row)))));
            match self.turn(writes).await {
                Err(StoreError::Conflict) => {}
                Err(fault) => return Err(fault),
                Ok(()) => {
                    tracing::error!(
                        endpoint.id = %endpoint.id,
                        endpoint.merchant = %endpoint.merchant,
                        because = because.as_str(),
                        "a webhook endpoint was switched off"
                    );
                    return Ok(());
                }
            }
        }
        Err(StoreError::Busy)
    }

    async fn commit(&self, writes: Vec<Write>) -> Result<(), StoreError> {
        self.store.commit(Change::plain("delivery", writes)).await
    }

    /// Commits what changes the endpoint too.
    async fn turn(&self, writes: Vec<Write>) -> Result<(), StoreError> {
        self.endpoint_registry.change(&*self.store, Change::plain("delivery", writes)).await
    }

    fn draw(&self) -> u64 {
        self.env.nonce().into_iter().take(8).fold(0, |drawn, byte| drawn << 8 | u64::from(byte))
    }
}

fn advanced(job: Job, stream: DeliveryStream, was: Cursor, is: Cursor, at: Option<Timestamp>) -> Write {
    Write::Webhook(WebhookWrite::Advanced { job, stream, was, is, at })
}

fn row(
    stream: DeliveryStream,
    cursor: Cursor,
    next: &Next,
    attempt: DeliveryAttempt,
    delivered: bool,
) -> DeliveryRow {
    DeliveryRow {
        position: 0,
        endpoint: stream.endpoint,
        order: stream.order,
        event: next.event.id,
        event_type: next.kind.clone(),
        public_sequence: next.event.public_sequence.unwrap_or_default(),
        attempt: cursor.failures + 1,
        delivered,
        response_code: match attempt.answered {
            DeliveryResponse::Status(status, _) => Some(status),
            DeliveryResponse::Nothing => None,
        },
        error: attempt.error,
        duration_ms: u64::try_from(attempt.ended_at.since(attempt.started_at).as_millis())
            .unwrap_or(u64::MAX),
        at: attempt.started_at,
    }
}
