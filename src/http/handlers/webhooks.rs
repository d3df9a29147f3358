//! Webhooks out: endpoints, what was delivered to them, and the events themselves.

use std::collections::HashMap;
use std::sync::Arc;

use actix_web::HttpResponse;
use futures_util::future::try_join_all;
use port::{EndpointId, Timestamp};
use serde_json::json;

use super::list;
use crate::domain::view::{self, view};
use crate::domain::{
    EndpointSecret, EndpointSettings, Event, OrderAggregate, RecordedEvent, WebhookEndpoint,
};
use crate::engine::CommandError;
use crate::http::answer::Answer;
use crate::http::idempotency::Recall;
use crate::http::input::{self, query::Position};
use crate::http::problem::Problem;
use crate::http::request::ApiRequest;
use crate::store::{DeliveryRow, IdempotencyRow, Page, PublicFilter, StoreError};
use crate::webhooks::{EndpointFields, Endpoints};

view! {
    /// An endpoint, since when no delivery to it has worked, and its secret: shown by the requests that make one, and
    /// never again.
    EndpointView(endpoint: WebhookEndpoint, failing_since: Option<Timestamp>, secret: Option<EndpointSecret>)
    "id": endpoint.id,
    "url": endpoint.settings.url,
    "events": Some(&endpoint.settings.types).filter(|types| !types.is_empty()),
    "description": endpoint.settings.description,
    "enabled": endpoint.disabled.is_none(),
    "disabledAt": endpoint.disabled.map(|disabled| disabled.at),
    "disabledReason": endpoint.disabled.map(|disabled| disabled.reason),
    "failingSince": failing_since,
    "secret": secret,
    "previousSecretExpiresAt": endpoint.previous_secret.as_ref().map(|previous| previous.expires_at),
    "createdAt": endpoint.created_at,
    "updatedAt": endpoint.updated_at,
    "version": endpoint.version,
}

async fn shown(request: &ApiRequest, endpoint: &WebhookEndpoint) -> Result<Answer, Problem> {
    let failing_since = request.endpoints().failing_since(endpoint.id).await?;
    Ok(Answer::ok(&EndpointView(endpoint, &failing_since, &None))?.version(endpoint.version))
}

fn address(endpoint: EndpointId) -> String {
    format!("/v1/webhook-endpoints/{endpoint}")
}

view! {
    /// One try to deliver an event.
    DeliveryView(row: DeliveryRow)
    "eventId": row.event,
    "type": row.event_type,
    "orderId": row.order,
    "sequence": row.public_sequence,
    "attempt": row.attempt,
    "status": if row.delivered { "SUCCEEDED" } else { "FAILED" },
    "responseCode": row.response_code,
    "error": row.error,
    "durationMs": row.duration_ms,
    "attemptedAt": row.at,
}

impl ApiRequest {
    fn endpoints(&self) -> Endpoints {
        Endpoints { engine: self.state().engine().clone() }
    }

    fn endpoint_id(&self) -> Result<EndpointId, Problem> {
        self.id("endpoint")
    }
}

/// An endpoint with a new secret, and since when no delivery to it has worked.
pub(in crate::http) struct WithSecret {
    endpoint: Arc<WebhookEndpoint>,
    failing_since: Option<Timestamp>,
}

impl WithSecret {
    async fn of(request: &ApiRequest, endpoint: Arc<WebhookEndpoint>) -> Result<Self, Problem> {
        let failing_since = request.endpoints().failing_since(endpoint.id).await?;
        Ok(Self { endpoint, failing_since })
    }
}

impl Recall for WithSecret {
    async fn recall(request: &ApiRequest, row: &IdempotencyRow, _: bool) -> Result<Option<Self>, Problem> {
        let (endpoint, _) = request.endpoints().recall(row.subject, row.sequence).await?;
        Self::of(request, endpoint).await.map(Some)
    }
}

pub(in crate::http) async fn create(
    request: &ApiRequest,
    new: EndpointSettings,
) -> Result<WithSecret, Problem> {
    let endpoint = request.endpoints().by(&request.merchant, &request.command()).create(new).await?;
    WithSecret::of(request, endpoint).await
}

pub(in crate::http) fn created(request: &ApiRequest, with: &WithSecret) -> Result<Answer, Problem> {
    Ok(rotated(request, with)?.created(address(with.endpoint.id)))
}

pub(in crate::http) async fn rotate(request: &ApiRequest) -> Result<WithSecret, Problem> {
    let id = request.endpoint_id()?;
    let endpoint = request.endpoints().by(&request.merchant, &request.command()).rotate(id).await?;
    WithSecret::of(request, endpoint).await
}

pub(in crate::http) fn rotated(_: &ApiRequest, with: &WithSecret) -> Result<Answer, Problem> {
    let WithSecret { endpoint, failing_since } = with;
    let secret = endpoint.secret.value().cloned();
    Ok(Answer::ok(&EndpointView(endpoint, failing_since, &secret))?.version(endpoint.version))
}

pub(in crate::http) async fn list_all(
    request: &ApiRequest,
    Page { before, limit }: Page,
) -> Result<Answer, Problem> {
    let mut endpoints = request.endpoints().list(&request.merchant).await?;
    if let Some(before) = before {
        endpoints.retain(|endpoint| endpoint.id.to_string() < before);
    }
    let failing: HashMap<_, _> = request.state().store().endpoints().await?.into_iter().collect();
    let since = |id| failing.get(&id).unwrap_or(&None);
    let key = |endpoint: &Arc<WebhookEndpoint>| endpoint.id.to_string();
    list(&endpoints, limit, key, |endpoint| EndpointView(endpoint, since(endpoint.id), &None))
}

pub(in crate::http) async fn read(request: &ApiRequest) -> Result<Answer, Problem> {
    let endpoint = request.endpoints().get(&request.merchant, request.endpoint_id()?).await?;
    shown(request, &endpoint).await
}

pub(in crate::http) async fn change(request: &ApiRequest, fields: EndpointFields) -> Result<Answer, Problem> {
    let (endpoints, id) = (request.endpoints(), request.endpoint_id()?);
    let endpoint = endpoints.by(&request.merchant, &request.command()).edit(id, &fields).await?;
    shown(request, &endpoint).await
}

pub(in crate::http) async fn remove(request: &ApiRequest) -> Result<HttpResponse, Problem> {
    let (endpoints, id) = (request.endpoints(), request.endpoint_id()?);
    endpoints.by(&request.merchant, &request.command()).delete(id).await?;
    Ok(HttpResponse::NoContent().finish())
}

pub(in crate::http) async fn deliveries(
    request: &ApiRequest,
    Page { before, limit }: Page,
) -> Result<Answer, Problem> {
    let endpoint = request.endpoints().get(&request.merchant, request.endpoint_id()?).await?;
    let page = Page { before, limit: limit + 1 };
    let rows = request.state().store().deliveries(endpoint.id, &page).await?;
    list(&rows, limit, |row| row.position.to_string(), DeliveryView)
}

pub(in crate::http) async fn events(
    request: &ApiRequest,
    (before, limit): (Option<Position>, u32),
) -> Result<Answer, Problem> {
    let events = public_events(request, before, limit + 1).await?;
    let store = request.state().store();
    let shown = events.into_iter().map(|(position, event)| async move {
        let order = store.load_at::<OrderAggregate>(event.subject, event.sequence).await?;
        let order =
            order.ok_or_else(|| StoreError::Corrupt(format!("the order of {} is gone", event.id())))?;
        Ok::<_, StoreError>((position, order, event))
    });
    let shown = try_join_all(shown).await?;
    let qr_url = |attempt| request.state().qr_url(attempt);
    let key = |(position, sequence): &Position| format!("{position}.{sequence}");
    list(&shown, limit, |(at, ..)| key(at), |(_, order, event)| view::event(order, event, &qr_url))
}

/// The merchant's public events before a position, newest first.
async fn public_events(
    request: &ApiRequest,
    before: Option<Position>,
    limit: u32,
) -> Result<Vec<(Position, RecordedEvent<Event>)>, StoreError> {
    let filter = PublicFilter {
        merchant: request.merchant.to_string(),
        from: None,
        to: None,
        up_to: before.map(|(position, _)| position),
        // Each change has one event at least, and those of the first may be before the page.
        limit: limit + 1,
    };
    let mut events = Vec::new();
    for stored in request.state().store().public_changes(&filter).await? {
        let change = stored.read::<OrderAggregate>()?;
        let public = change.recorded_events().filter(|event| event.public_sequence.is_some());
        let mut public: Vec<_> = public.map(|event| ((stored.position, event.sequence), event)).collect();
        public.retain(|(position, _)| before.is_none_or(|before| *position < before));
        events.extend(public.into_iter().rev());
    }
    events.truncate(limit as usize);
    Ok(events)
}

/// How many endpoints or orders events are sent again to, or of.
pub(in crate::http) struct Redelivery(u64);

impl Recall for Redelivery {
    async fn recall(request: &ApiRequest, row: &IdempotencyRow, _: bool) -> Result<Option<Self>, Problem> {
        let (_, count) = request.endpoints().recall(row.subject, row.sequence).await?;
        Ok(Some(Self(count.ok_or(CommandError::NotFound)?)))
    }
}

pub(in crate::http) async fn redeliver(
    request: &ApiRequest,
    to: Option<EndpointId>,
) -> Result<Redelivery, Problem> {
    let event = request.id("event")?;
    let endpoints = request.endpoints();
    Ok(Redelivery(endpoints.by(&request.merchant, &request.command()).redeliver(event, to).await?))
}

pub(in crate::http) fn redelivered(request: &ApiRequest, done: &Redelivery) -> Result<Answer, Problem> {
    let to = request.read(input::redelivery)?;
    let all = || "/v1/webhook-endpoints".to_owned();
    let location = to.map_or_else(all, |id| format!("{}/deliveries", address(id)));
    Ok(Answer::ok(&json!({"endpoints": done.0}))?.accepted(location))
}

pub(in crate::http) async fn replay(
    request: &ApiRequest,
    (from, to): (Timestamp, Timestamp),
) -> Result<Redelivery, Problem> {
    let (endpoints, id) = (request.endpoints(), request.endpoint_id()?);
    Ok(Redelivery(endpoints.by(&request.merchant, &request.command()).replay(id, from, to).await?))
}

pub(in crate::http) fn replayed(request: &ApiRequest, done: &Redelivery) -> Result<Answer, Problem> {
    let location = format!("{}/deliveries", address(request.endpoint_id()?));
    Ok(Answer::ok(&json!({"orders": done.0}))?.accepted(location))
}
