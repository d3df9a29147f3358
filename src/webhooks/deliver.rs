//! One delivery: the next event of an order for an endpoint, sent once, and what follows from the response.

use std::sync::Arc;
use std::time::Duration;

use port::{HttpRequest, OrderId, Timestamp, Transport};

use super::decide::{DeliveryDecision, DeliveryResponse, decide};
use super::{message, secret};
use crate::domain::view::{self, event_type};
use crate::domain::{
    Actor, DisabledReason, EndpointEvent, Event, OrderAggregate, RecordedEvent, SubjectEvent as _,
    WebhookEndpoint,
};
use crate::engine::{Command, Decision, Engine};
use crate::metrics::DeliveryOutcome;
use crate::store::{Change, ClaimedDelivery, DeliveryRow, Enabled, StoreError, StreamPosition, Write};

/// How many changes are read at a time for the next event that an endpoint takes.
const CHANGES_AT_ONCE: u32 = 50;

/// In characters.
const MAX_ERROR: usize = 200;

/// The address of the QR code of an attempt's link.
pub type QrUrl = Arc<dyn Fn(port::AttemptId) -> String + Send + Sync>;

pub struct WebhookDispatcher {
    pub engine: Engine,
    /// Follows no redirect, reaches only addresses that merchants may listen at, and has limits.
    pub transport: Arc<dyn Transport>,
    pub qr_url: QrUrl,
}

/// The next event for an endpoint.
struct Next {
    event: RecordedEvent<Event>,
    kind: String,
    /// Whether more events are known to follow.
    more: bool,
}

struct DeliveryAttempt {
    started_at: Timestamp,
    ended: Timestamp,
    response: DeliveryResponse,
    error: Option<String>,
}

impl WebhookDispatcher {
    /// Makes a delivery that was claimed, and records its result.
    ///
    /// # Errors
    /// [`StoreError`]; the lease then expires.
    pub async fn deliver(&self, delivery: ClaimedDelivery) -> Result<(), StoreError> {
        // One that was disabled meanwhile gets nothing, and its rows are gone.
        let Some(enabled) = self.engine.endpoints.get(delivery.stream.endpoint) else { return Ok(()) };
        let (next, last) = self.next(&enabled.endpoint, &delivery).await?;
        let Some(next) = next else {
            // What was enqueued meanwhile may lie between the end of this stream and the last change.
            let passed = delivery.position.last.map_or(last, |until| until.min(last));
            let position = StreamPosition { next: passed + 1, failures: 0, ..delivery.position };
            return self.commit(vec![Write::Advance { delivery, position, at: None }]).await;
        };
        let body = self.body(&next.event).await?;
        let attempt = self.send(&enabled.endpoint, &next.event, body).await?;
        self.follow(&enabled, delivery, &next, attempt).await
    }

    /// The next event that the endpoint subscribes to, and the last sequence that was read.
    async fn next(
        &self,
        endpoint: &WebhookEndpoint,
        delivery: &ClaimedDelivery,
    ) -> Result<(Option<Next>, u64), StoreError> {
        let (order, first) = (delivery.stream.order.uuid(), delivery.position.next);
        let mut seen = first.saturating_sub(1);
        loop {
            let changes = self.engine.store.changes_of(order, seen, CHANGES_AT_ONCE).await?;
            let full = changes.len() == CHANGES_AT_ONCE as usize;
            let mut events = Vec::new();
            for change in &changes {
                events.extend(change.read::<OrderAggregate>()?.recorded_events());
            }
            let last = events.last().map_or(seen, |event: &RecordedEvent<Event>| event.sequence);
            let mut taken = events.into_iter().filter_map(|event| {
                let kind = event_type(event.event.public()?);
                let until = delivery.position.last;
                let within = event.sequence >= first && until.is_none_or(|until| event.sequence <= until);
                (within && endpoint.subscribes_to(&kind)).then_some((event, kind))
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

    async fn body(&self, event: &RecordedEvent<Event>) -> Result<Vec<u8>, StoreError> {
        let corrupt = |what: String| StoreError::Corrupt(format!("event {}: {what}", event.id()));
        let order = self.engine.store.load_at::<OrderAggregate>(event.subject, event.sequence).await?;
        let order = order.ok_or_else(|| corrupt("its order is gone".to_owned()))?;
        let view = view::event(&order, event, &*self.qr_url)
            .ok_or_else(|| corrupt("it is no public event".to_owned()))?;
        message::body(&view).map_err(|fault| corrupt(fault.to_string()))
    }

    async fn send(
        &self,
        endpoint: &WebhookEndpoint,
        event: &RecordedEvent<Event>,
        body: Vec<u8>,
    ) -> Result<DeliveryAttempt, StoreError> {
        let started_at = self.engine.now();
        let signatures = secret::signatures(endpoint, event.id(), started_at, &body)?;
        let request = HttpRequest::post("")
            .json_bytes(body)
            .header("webhook-id", event.id().to_string())
            .header("webhook-timestamp", started_at.seconds().to_string())
            .header("webhook-signature", signatures);
        let (response, error) = match self.transport.send(&endpoint.settings.url, &request).await {
            Ok(response) => {
                let error = (!response.ok()).then(|| format!("it answered {}", response.status));
                (DeliveryResponse::Status(response.status, response.retry_after), error)
            }
            Err(fault) => {
                (DeliveryResponse::Nothing, Some(fault.to_string().chars().take(MAX_ERROR).collect()))
            }
        };
        Ok(DeliveryAttempt { started_at, ended: self.engine.now(), response, error })
    }

    /// Commits the result of a delivery attempt and what follows from it.
    async fn follow(
        &self,
        enabled: &Enabled,
        delivery: ClaimedDelivery,
        next: &Next,
        attempt: DeliveryAttempt,
    ) -> Result<(), StoreError> {
        let (now, was, order) = (attempt.ended, delivery.position, delivery.stream.order);
        let failing = enabled.failing_since.map_or(Duration::ZERO, |since| now.since(since));
        let decision = decide(attempt.response, was.failures, failing, self.engine.draw());
        self.engine.metrics.webhook_delivery(match decision {
            DeliveryDecision::Delivered => DeliveryOutcome::Delivered,
            DeliveryDecision::RetryAfter(_) => DeliveryOutcome::Failed,
            DeliveryDecision::GiveUp | DeliveryDecision::Disable(_) => DeliveryOutcome::GivenUp,
        });
        if decision == DeliveryDecision::GiveUp {
            tracing::warn!(endpoint.id = %enabled.endpoint.id, event.id = %next.event.id(),
                "a webhook endpoint has refused an event for days while it accepted others; the event is given up");
        }
        let tried = Write::Delivery(row(&delivery, next, attempt, decision == DeliveryDecision::Delivered));
        let (position, at) = match decision {
            DeliveryDecision::Delivered | DeliveryDecision::GiveUp => {
                let passed = StreamPosition { next: next.event.sequence + 1, failures: 0, ..was };
                (passed, next.more.then_some(now))
            }
            DeliveryDecision::RetryAfter(wait) => {
                (StreamPosition { failures: was.failures + 1, ..was }, Some(now.plus(wait)))
            }
            DeliveryDecision::Disable(reason) => return self.disable(enabled, reason, tried).await,
        };
        let endpoint = enabled.endpoint.id;
        let news = match (decision == DeliveryDecision::Delivered, enabled.failing_since) {
            (true, Some(_)) => Some(Write::EndpointWorks { endpoint, at: now }),
            (false, None) => Some(Write::EndpointFailing { endpoint, since: now }),
            _ => None,
        };
        let (is_news, advance) = (news.is_some(), Write::Advance { delivery, position, at });
        self.commit([tried, advance].into_iter().chain(news).collect()).await?;
        if !is_news {
            return Ok(());
        }
        log_news(&enabled.endpoint, order, decision == DeliveryDecision::Delivered);
        self.engine.endpoints.refresh(&*self.engine.store).await
    }

    async fn disable(
        &self,
        enabled: &Enabled,
        reason: DisabledReason,
        tried: Write,
    ) -> Result<(), StoreError> {
        let id = enabled.endpoint.id;
        let mut endpoint = self.engine.existing::<WebhookEndpoint>(id.uuid()).await?;
        let disable = |endpoint: &WebhookEndpoint, _| {
            let news = endpoint.disabled.is_none() && !endpoint.deleted;
            let events = if news { vec![EndpointEvent::Disabled { reason }] } else { Vec::new() };
            Ok::<_, StoreError>(Decision { events, also: vec![tried.clone(), Write::DropStreams(id)] })
        };
        let command = Command::of(Actor::Scheduler);
        self.engine.change("disable endpoint", &command, &mut endpoint, disable).await?;
        let reason: &'static str = reason.into();
        tracing::error!(endpoint.id = %id, endpoint.merchant = %enabled.endpoint.merchant, reason,
            "a webhook endpoint was disabled");
        Ok(())
    }

    async fn commit(&self, writes: Vec<Write>) -> Result<(), StoreError> {
        self.engine.commit(Change::plain("delivery", writes)).await
    }
}

/// Logs that deliveries to an endpoint work again or have begun to fail.
fn log_news(endpoint: &WebhookEndpoint, order: OrderId, works: bool) {
    let (id, merchant) = (endpoint.id, &endpoint.merchant);
    if works {
        tracing::info!(endpoint.id = %id, endpoint.merchant = %merchant,
            "deliveries to a webhook endpoint work again");
    } else {
        tracing::warn!(endpoint.id = %id, endpoint.merchant = %merchant, order.id = %order,
            "deliveries to a webhook endpoint have begun to fail");
    }
}

fn row(delivery: &ClaimedDelivery, next: &Next, attempt: DeliveryAttempt, delivered: bool) -> DeliveryRow {
    DeliveryRow {
        position: 0,
        endpoint: delivery.stream.endpoint,
        order: delivery.stream.order,
        event: next.event.id(),
        event_type: next.kind.clone(),
        public_sequence: next.event.public_sequence.unwrap_or_default(),
        attempt: delivery.position.failures + 1,
        delivered,
        response_code: match attempt.response {
            DeliveryResponse::Status(status, _) => Some(status),
            DeliveryResponse::Nothing => None,
        },
        error: attempt.error,
        duration_ms: u64::try_from(attempt.ended.since(attempt.started_at).as_millis()).unwrap_or(u64::MAX),
        at: attempt.started_at,
    }
}
