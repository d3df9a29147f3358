//! Routes of webhook endpoints, deliveries and events.

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
    /// An endpoint, since when its deliveries fail, and its secret: only the request that creates a secret shows it.
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

view! {
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
}

async fn shown(request: &ApiRequest, endpoint: &WebhookEndpoint) -> Result<Answer, Problem> {
    let failing_since = request.endpoints().failing_since(&request.merchant, endpoint.id).await?;
    Ok(Answer::ok(&EndpointView(endpoint, &failing_since, &None))?.version(endpoint.version))
}

fn address(endpoint: EndpointId) -> String {
    format!("/v1/webhook-endpoints/{endpoint}")
}

/// An endpoint with a new secret, and since when its deliveries fail.
pub(crate) struct WithSecret(Arc<WebhookEndpoint>, Option<Timestamp>);

impl WithSecret {
    async fn of(request: &ApiRequest, endpoint: Arc<WebhookEndpoint>) -> Result<Self, Problem> {
        let failing_since = request.endpoints().failing_since(&request.merchant, endpoint.id).await?;
        Ok(Self(endpoint, failing_since))
    }
}

impl Recall for WithSecret {
    async fn recall(request: &ApiRequest, row: &IdempotencyRow, _: bool) -> Result<Option<Self>, Problem> {
        let (endpoint, _) = request.endpoints().recall(row.subject, row.sequence).await?;
        Self::of(request, endpoint).await.map(Some)
    }
}

pub(crate) async fn create(request: &ApiRequest, new: EndpointSettings) -> Result<WithSecret, Problem> {
    let endpoint = request.endpoints().by(&request.merchant, &request.command).create(new).await?;
    WithSecret::of(request, endpoint).await
}

pub(crate) fn created(request: &ApiRequest, with: &WithSecret) -> Result<Answer, Problem> {
    Ok(rotated(request, with)?.created(address(with.0.id)))
}

pub(crate) async fn rotate(request: &ApiRequest) -> Result<WithSecret, Problem> {
    let id = request.id("endpoint")?;
    let endpoint = request.endpoints().by(&request.merchant, &request.command).rotate(id).await?;
    WithSecret::of(request, endpoint).await
}

pub(crate) fn rotated(_: &ApiRequest, with: &WithSecret) -> Result<Answer, Problem> {
    let WithSecret(endpoint, failing_since) = with;
    let secret = endpoint.secret.value().cloned();
    Ok(Answer::ok(&EndpointView(endpoint, failing_since, &secret))?.version(endpoint.version))
}

pub(crate) async fn list_all(request: &ApiRequest, Page { before, limit }: Page) -> Result<Answer, Problem> {
    let mut endpoints = request.endpoints().list(&request.merchant).await?;
    if let Some(before) = before {
        endpoints.retain(|endpoint| endpoint.id.to_string() < before);
    }
    let failing: HashMap<_, _> =
        request.state().store().endpoints(Some(&request.merchant)).await?.into_iter().collect();
    let since = |id| failing.get(&id).unwrap_or(&None);
    let key = |endpoint: &Arc<WebhookEndpoint>| endpoint.id.to_string();
    list(&endpoints, limit, key, |endpoint| EndpointView(endpoint, since(endpoint.id), &None))
}

pub(crate) async fn read(request: &ApiRequest) -> Result<Answer, Problem> {
    let endpoint = request.endpoints().get(&request.merchant, request.id("endpoint")?).await?;
    shown(request, &endpoint).await
}

pub(crate) async fn change(request: &ApiRequest, fields: EndpointFields) -> Result<Answer, Problem> {
    let (endpoints, id) = (request.endpoints(), request.id("endpoint")?);
    let endpoint = endpoints.by(&request.merchant, &request.command).edit(id, &fields).await?;
    shown(request, &endpoint).await
}

pub(crate) async fn remove(request: &ApiRequest) -> Result<HttpResponse, Problem> {
    let (endpoints, id) = (request.endpoints(), request.id("endpoint")?);
    endpoints.by(&request.merchant, &request.command).delete(id).await?;
    Ok(HttpResponse::NoContent().finish())
}

pub(crate) async fn deliveries(request: &ApiRequest, page: Page) -> Result<Answer, Problem> {
    let endpoint = request.endpoints().get(&request.merchant, request.id("endpoint")?).await?;
    let rows = request.state().store().deliveries(endpoint.id, &page).await?;
    list(&rows, page.limit, |row| row.position.to_string(), DeliveryView)
}

pub(crate) async fn events(
    request: &ApiRequest,
    (before, limit): (Option<Position>, u32),
) -> Result<Answer, Problem> {
    let events = public_events(request, before, limit).await?;
    let store = request.state().store();
    let shown = events.into_iter().map(|(position, event)| async move {
        let order = store.load_at::<OrderAggregate>(event.subject, event.sequence).await?;
        let missing = || StoreError::Corrupt(format!("the order of {} is missing", event.id()));
        Ok::<_, StoreError>((position, order.ok_or_else(missing)?, event))
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
        // Each change has at least one event; those of the first change may belong to the previous page.
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

/// The number of endpoints (`redeliver`) or orders (`replay`).
pub(crate) struct Redelivery(u64);

impl Recall for Redelivery {
    async fn recall(request: &ApiRequest, row: &IdempotencyRow, _: bool) -> Result<Option<Self>, Problem> {
        let (_, count) = request.endpoints().recall(row.subject, row.sequence).await?;
        Ok(Some(Self(count.ok_or(CommandError::NotFound)?)))
    }
}

pub(crate) async fn redeliver(request: &ApiRequest, to: Option<EndpointId>) -> Result<Redelivery, Problem> {
    let event = request.id("event")?;
    Ok(Redelivery(request.endpoints().by(&request.merchant, &request.command).redeliver(event, to).await?))
}

pub(crate) fn redelivered(request: &ApiRequest, done: &Redelivery) -> Result<Answer, Problem> {
    let to = request.read(input::redelivery)?;
    let all = || "/v1/webhook-endpoints".to_owned();
    let location = to.map_or_else(all, |id| format!("{}/deliveries", address(id)));
    Ok(Answer::ok(&json!({"endpoints": done.0}))?.accepted(location))
}

pub(crate) async fn replay(
    request: &ApiRequest,
    (from, to): (Timestamp, Timestamp),
) -> Result<Redelivery, Problem> {
    let (endpoints, id) = (request.endpoints(), request.id("endpoint")?);
    Ok(Redelivery(endpoints.by(&request.merchant, &request.command).replay(id, from, to).await?))
}

pub(crate) fn replayed(request: &ApiRequest, done: &Redelivery) -> Result<Answer, Problem> {
    let location = format!("{}/deliveries", address(request.id("endpoint")?));
    Ok(Answer::ok(&json!({"orders": done.0}))?.accepted(location))
}
