//! Webhooks out: endpoints, what was delivered to them, and the events themselves.

use actix_web::HttpResponse;
use port::{EndpointId, EventId, ExposeSecret as _, OrderId, Timestamp};
use serde::Serialize;
use serde_json::json;

use super::list;
use crate::domain::{OrderAggregate, RecordedEvent, view};
use crate::http::answer::Answer;
use crate::http::call::Call;
use crate::http::input::{self, Query};
use crate::http::problem::Problem;
use crate::store::{
    DeliveryRow, EndpointRow, Made, NoticeFilter, NoticeRow, OffBecause, Page, Reads, StoreError,
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
        enabled: row.off.is_none(),
        disabled_at: row.off.map(|off| off.since),
        disabled_reason: row.off.map(|off| OffBecause::as_str(off.because)),
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
        sequence: row.notice,
        attempt: row.attempt,
        status: if row.delivered { "SUCCEEDED" } else { "FAILED" },
        response_code: row.response_code,
        error: row.error.as_deref(),
        duration_ms: row.duration_ms,
        attempted_at: row.at,
    }
}

impl Call {
    fn endpoints(&self) -> Endpoints {
        let shared = &self.state().payments().shared;
        Endpoints {
            store: shared.store.clone(),
            outbox: shared.outbox.clone(),
            source: shared.source.clone(),
        }
    }

    fn endpoint_id(&self) -> Result<EndpointId, Problem> {
        self.id("endpoint")
    }

    fn endpoint_key(&self) -> Option<Key> {
        let key = self.turn.as_ref().map(|turn| &turn.key)?;
        Some(Key { text: key.text.clone(), fingerprint: key.fingerprint.clone() })
    }

    /// What a request with the same key came to.
    async fn made_before(&self) -> Result<Option<Made>, Problem> {
        let Some(key) = self.endpoint_key() else { return Ok(None) };
        Ok(self.endpoints().made_by(&self.merchant, &key.text).await?.map(|row| row.made))
    }

    /// What a request with the same key was answered: the endpoint, as it is now.
    async fn answered_before(&self) -> Result<Option<EndpointRow>, Problem> {
        let Some(Made::Endpoint(id)) = self.made_before().await? else { return Ok(None) };
        Ok(Some(self.endpoints().get(&self.merchant, id).await?))
    }

    /// What a request with the same key was answered: how many are told again.
    async fn told_before(&self) -> Result<Option<u64>, Problem> {
        Ok(match self.made_before().await? {
            Some(Made::Told(count)) => Some(count),
            Some(Made::Endpoint(_)) | None => None,
        })
    }
}

pub(in crate::http) async fn create(call: Call) -> Result<Answer, Problem> {
    if let Some(row) = call.answered_before().await? {
        return Ok(shown_with_secret(&row)?.created(address(row.id)).replayed());
    }
    let draft = call.read(input::endpoint)?;
    let row = call.endpoints().create(&call.merchant, draft, call.endpoint_key().as_ref()).await?;
    Ok(shown_with_secret(&row)?.created(address(row.id)))
}

pub(in crate::http) async fn list_all(call: Call) -> Result<Answer, Problem> {
    let query = Query::of(call.incoming.request.query_string());
    let page = query.page();
    let page = query.finish(page)?;
    let mut rows = call.endpoints().list(&call.merchant).await?;
    if let Some(before) = page.before {
        rows.retain(|row| row.id.to_string() < before);
    }
    list(&rows, page.limit, |row| row.id.to_string(), endpoint)
}

pub(in crate::http) async fn read(call: Call) -> Result<Answer, Problem> {
    Query::none(call.incoming.request.query_string())?;
    shown(&call.endpoints().get(&call.merchant, call.endpoint_id()?).await?)
}

pub(in crate::http) async fn change(call: Call) -> Result<Answer, Problem> {
    let edit = call.read(input::endpoint_changes)?;
    shown(&call.endpoints().edit(&call.merchant, call.endpoint_id()?, call.expects, &edit).await?)
}

pub(in crate::http) async fn remove(call: Call) -> Result<HttpResponse, Problem> {
    call.endpoints().delete(&call.merchant, call.endpoint_id()?, call.expects).await?;
    Ok(HttpResponse::NoContent().finish())
}

pub(in crate::http) async fn rotate(call: Call) -> Result<Answer, Problem> {
    if let Some(row) = call.answered_before().await? {
        return Ok(shown_with_secret(&row)?.replayed());
    }
    call.read_nothing()?;
    let (id, key) = (call.endpoint_id()?, call.endpoint_key());
    shown_with_secret(&call.endpoints().rotate(&call.merchant, id, call.expects, key.as_ref()).await?)
}

pub(in crate::http) async fn deliveries(call: Call) -> Result<Answer, Problem> {
    let query = Query::of(call.incoming.request.query_string());
    let page = query.page();
    let Page { before, limit } = query.finish(page)?;
    let endpoint = call.endpoints().get(&call.merchant, call.endpoint_id()?).await?;
    let rows = call.state().reads().deliveries(endpoint.id, &Page { before, limit: limit + 1 }).await?;
    list(&rows, limit, |row| row.position.to_string(), delivery)
}

pub(in crate::http) async fn events(call: Call) -> Result<Answer, Problem> {
    let query = Query::of(call.incoming.request.query_string());
    let page = query.page();
    let Page { before, limit } = query.finish(page)?;
    let page = Page { before, limit: limit + 1 };
    let filter = NoticeFilter { merchant: call.merchant.to_string(), from: None, to: None, page };
    let reads = call.state().reads();
    let mut told = Vec::new();
    for notice in reads.notices(&filter).await? {
        told.push(as_it_was(reads, &notice).await?);
    }
    let qr_url = |attempt| call.state().qr_url(attempt);
    list(&told, limit, |(_, event)| event.id.to_string(), |(order, event)| view::event(order, event, &qr_url))
}

/// An event, with its order as it was then.
async fn as_it_was(
    reads: &dyn Reads,
    notice: &NoticeRow,
) -> Result<(OrderAggregate, RecordedEvent), StoreError> {
    let order = reads.order_at(notice.order, notice.sequence).await?;
    let event = reads.events(notice.order, notice.sequence - 1, 1).await?.pop();
    order.zip(event).ok_or_else(|| StoreError::Corrupt(format!("event {} is gone", notice.event)))
}

pub(in crate::http) async fn redeliver(call: Call) -> Result<Answer, Problem> {
    let to = call.read(input::redelivery)?;
    let told = |count: u64| -> Result<Answer, Problem> {
        let all = || "/v1/webhook-endpoints".to_owned();
        let location = to.map_or_else(all, |id| format!("{}/deliveries", address(id)));
        Ok(Answer::ok(&json!({"endpoints": count}))?.accepted(location))
    };
    if let Some(count) = call.told_before().await? {
        return Ok(told(count)?.replayed());
    }
    let (event, key) = (call.id("event")?, call.endpoint_key());
    told(call.endpoints().redeliver(&call.merchant, event, to, key.as_ref()).await?)
}

pub(in crate::http) async fn replay(call: Call) -> Result<Answer, Problem> {
    let now = call.state().now();
    let (from, to) = call.read(|body| input::range(body, now))?;
    let (id, key) = (call.endpoint_id()?, call.endpoint_key());
    let told = |count: u64| -> Result<Answer, Problem> {
        Ok(Answer::ok(&json!({"orders": count}))?.accepted(format!("{}/deliveries", address(id))))
    };
    if let Some(count) = call.told_before().await? {
        return Ok(told(count)?.replayed());
    }
    told(call.endpoints().replay(&call.merchant, id, from, to, key.as_ref()).await?)
}
