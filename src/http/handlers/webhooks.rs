//! Webhooks out: endpoints, what was delivered to them, and the events themselves.

use actix_web::HttpResponse;
use port::{EndpointId, EventId, ExposeSecret as _, OrderId, Timestamp};
use serde::Serialize;
use serde_json::json;

use super::list;
use crate::domain::{OrderAggregate, RecordedEvent, view};
use crate::http::answer::Answer;
use crate::http::call::ApiRequest;
use crate::http::input::{self, Query};
use crate::http::problem::Problem;
use crate::store::{
    CommandResult, DeliveryRow, DisabledReason, EndpointRow, OutboundEventFilter, OutboundEventRow, Page,
    Reads, StoreError,
};
use crate::webhooks::{Endpoints, Key};

/// An endpoint. Its secret is shown by the requests that make one, and never again.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct EndpointView<'a> {
    id: EndpointId,
    url: &'a str,
    events: Option<&'a [String]>,
    description: Option<&'a str>,
    enabled: bool,
    disabled_at: Option<Timestamp>,
    disabled_reason: Option<&'static str>,
    failing_since: Option<Timestamp>,
    secret: Option<&'a str>,
    previous_secret_expires_at: Option<Timestamp>,
    created_at: Timestamp,
    updated_at: Timestamp,
    version: u64,
}

fn endpoint(row: &EndpointRow) -> EndpointView<'_> {
    EndpointView {
        id: row.id,
        url: &row.url,
        events: Some(&*row.types).filter(|types| !types.is_empty()),
        description: row.description.as_deref(),
        enabled: row.disabled.is_none(),
        disabled_at: row.disabled.map(|off| off.at),
        disabled_reason: row.disabled.map(|off| DisabledReason::as_str(off.reason)),
        failing_since: row.failing_since,
        secret: None,
        previous_secret_expires_at: row.old_secret.as_ref().map(|old| old.until),
        created_at: row.created_at,
        updated_at: row.updated_at,
        version: row.version,
    }
}

fn shown(row: &EndpointRow) -> Result<Answer, Problem> {
    Ok(Answer::ok(&endpoint(row))?.version(row.version))
}

fn shown_with_secret(row: &EndpointRow) -> Result<Answer, Problem> {
    let with_secret = EndpointView { secret: Some(row.secret.expose_secret()), ..endpoint(row) };
    Ok(Answer::ok(&with_secret)?.version(row.version))
}

fn address(endpoint: EndpointId) -> String {
    format!("/v1/webhook-endpoints/{endpoint}")
}

/// One try to deliver an event.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct DeliveryView<'a> {
    event_id: EventId,
    #[serde(rename = "type")]
    kind: &'a str,
    order_id: OrderId,
    sequence: u64,
    attempt: u32,
    status: &'static str,
    response_code: Option<u16>,
    error: Option<&'a str>,
    duration_ms: u64,
    attempted_at: Timestamp,
}

fn delivery(row: &DeliveryRow) -> DeliveryView<'_> {
    DeliveryView {
        event_id: row.event,
        kind: &row.event_type,
        order_id: row.order,
        sequence: row.public_sequence,
        attempt: row.attempt,
        status: if row.delivered { "SUCCEEDED" } else { "FAILED" },
        response_code: row.response_code,
        error: row.error.as_deref(),
        duration_ms: row.duration_ms,
        attempted_at: row.at,
    }
}

impl ApiRequest {
    fn endpoints(&self) -> Endpoints {
        let shared = &self.state().payments().shared;
        Endpoints {
            store: shared.store.clone(),
            registry: shared.endpoint_registry.clone(),
            env: shared.env.clone(),
        }
    }

    fn endpoint_id(&self) -> Result<EndpointId, Problem> {
        self.id("endpoint")
    }

    fn endpoint_key(&self) -> Option<Key> {
        let key = self.in_flight.as_ref().map(|in_flight| &in_flight.key)?;
        Some(Key { text: key.text.clone(), fingerprint: key.fingerprint.clone() })
    }

    /// What a request with the same key came to.
    async fn made_before(&self) -> Result<Option<CommandResult>, Problem> {
        let Some(key) = self.endpoint_key() else { return Ok(None) };
        Ok(self.endpoints().made_by(&self.merchant, &key.text).await?.map(|row| row.result))
    }

    /// What a request with the same key was answered: the endpoint, as it is now.
    async fn answered_before(&self) -> Result<Option<EndpointRow>, Problem> {
        let Some(CommandResult::Endpoint(id)) = self.made_before().await? else { return Ok(None) };
        Ok(Some(self.endpoints().get(&self.merchant, id).await?))
    }

    /// What a request with the same key was answered: how many are told again.
    async fn told_before(&self) -> Result<Option<u64>, Problem> {
        Ok(match self.made_before().await? {
            Some(CommandResult::Queued(count)) => Some(count),
            Some(CommandResult::Endpoint(_)) | None => None,
        })
    }
}

pub(in crate::http) async fn create(request: ApiRequest) -> Result<Answer, Problem> {
    if let Some(row) = request.answered_before().await? {
        return Ok(shown_with_secret(&row)?.created(address(row.id)).replayed());
    }
    let draft = request.read(input::endpoint)?;
    let row = request.endpoints().create(&request.merchant, draft, request.endpoint_key().as_ref()).await?;
    Ok(shown_with_secret(&row)?.created(address(row.id)))
}

pub(in crate::http) async fn list_all(request: ApiRequest) -> Result<Answer, Problem> {
    let query = Query::of(request.raw.request.query_string());
    let page = query.page();
    let page = query.finish(page)?;
    let mut rows = request.endpoints().list(&request.merchant).await?;
    if let Some(before) = page.before {
        rows.retain(|row| row.id.to_string() < before);
    }
    list(&rows, page.limit, |row| row.id.to_string(), endpoint)
}

pub(in crate::http) async fn read(request: ApiRequest) -> Result<Answer, Problem> {
    Query::none(request.raw.request.query_string())?;
    shown(&request.endpoints().get(&request.merchant, request.endpoint_id()?).await?)
}

pub(in crate::http) async fn change(request: ApiRequest) -> Result<Answer, Problem> {
    let edit = request.read(input::endpoint_changes)?;
    shown(&request.endpoints().edit(&request.merchant, request.endpoint_id()?, request.expects, &edit).await?)
}

pub(in crate::http) async fn remove(request: ApiRequest) -> Result<HttpResponse, Problem> {
    request.endpoints().delete(&request.merchant, request.endpoint_id()?, request.expects).await?;
    Ok(HttpResponse::NoContent().finish())
}

pub(in crate::http) async fn rotate(request: ApiRequest) -> Result<Answer, Problem> {
    if let Some(row) = request.answered_before().await? {
        return Ok(shown_with_secret(&row)?.replayed());
    }
    request.read_nothing()?;
    let (id, key) = (request.endpoint_id()?, request.endpoint_key());
    shown_with_secret(
        &request.endpoints().rotate(&request.merchant, id, request.expects, key.as_ref()).await?,
    )
}

pub(in crate::http) async fn deliveries(request: ApiRequest) -> Result<Answer, Problem> {
    let query = Query::of(request.raw.request.query_string());
    let page = query.page();
    let Page { before, limit } = query.finish(page)?;
    let endpoint = request.endpoints().get(&request.merchant, request.endpoint_id()?).await?;
    let rows = request.state().reads().deliveries(endpoint.id, &Page { before, limit: limit + 1 }).await?;
    list(&rows, limit, |row| row.position.to_string(), delivery)
}

pub(in crate::http) async fn events(request: ApiRequest) -> Result<Answer, Problem> {
    let query = Query::of(request.raw.request.query_string());
    let page = query.page();
    let Page { before, limit } = query.finish(page)?;
    let page = Page { before, limit: limit + 1 };
    let filter = OutboundEventFilter { merchant: request.merchant.to_string(), from: None, to: None, page };
    let reads = request.state().reads();
    let mut told = Vec::new();
    for row in reads.outbound_events(&filter).await? {
        told.push(as_it_was(reads, &row).await?);
    }
    let qr_url = |attempt| request.state().qr_url(attempt);
    list(&told, limit, |(_, event)| event.id.to_string(), |(order, event)| view::event(order, event, &qr_url))
}

/// An event, with its order as it was then.
async fn as_it_was(
    reads: &dyn Reads,
    row: &OutboundEventRow,
) -> Result<(OrderAggregate, RecordedEvent), StoreError> {
    let order = reads.order_at(row.order, row.sequence).await?;
    let event = reads.events(row.order, row.sequence - 1, 1).await?.pop();
    order.zip(event).ok_or_else(|| StoreError::Corrupt(format!("event {} is gone", row.event)))
}

pub(in crate::http) async fn redeliver(request: ApiRequest) -> Result<Answer, Problem> {
    let to = request.read(input::redelivery)?;
    let told = |count: u64| -> Result<Answer, Problem> {
        let all = || "/v1/webhook-endpoints".to_owned();
        let location = to.map_or_else(all, |id| format!("{}/deliveries", address(id)));
        Ok(Answer::ok(&json!({"endpoints": count}))?.accepted(location))
    };
    if let Some(count) = request.told_before().await? {
        return Ok(told(count)?.replayed());
    }
    let (event, key) = (request.id("event")?, request.endpoint_key());
    told(request.endpoints().redeliver(&request.merchant, event, to, key.as_ref()).await?)
}

pub(in crate::http) async fn replay(request: ApiRequest) -> Result<Answer, Problem> {
    let now = request.state().now();
    let (from, to) = request.read(|body| input::range(body, now))?;
    let (id, key) = (request.endpoint_id()?, request.endpoint_key());
    let told = |count: u64| -> Result<Answer, Problem> {
        Ok(Answer::ok(&json!({"orders": count}))?.accepted(format!("{}/deliveries", address(id))))
    };
    if let Some(count) = request.told_before().await? {
        return Ok(told(count)?.replayed());
    }
    told(request.endpoints().replay(&request.merchant, id, from, to, key.as_ref()).await?)
}
