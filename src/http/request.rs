//! A request as handlers see it.

use std::str::FromStr;
use std::sync::Arc;

use actix_web::HttpRequest;
use actix_web::http::header::{EntityTag, Header as _, IF_MATCH, IfMatch};
use actix_web::web::Bytes;
use port::{OrderId, Uuid};

use super::problem::{Code, FieldError, Problem};
use super::state::State;
use crate::domain::{Actor, Cause, OrderAggregate, subject_of};
use crate::engine::Command;
use crate::orders::OrderCommand;

/// A request, not authenticated.
#[derive(Clone)]
pub struct RawRequest {
    pub state: State,
    pub request: HttpRequest,
    /// The request's id, as echoed and logged.
    pub id: Arc<str>,
    /// The exact bytes; empty until they are read.
    pub body: Bytes,
}

impl RawRequest {
    /// A part of the path by its name in the table of routes, decoded; empty if the table has no such name.
    pub fn segment(&self, name: &str) -> &str {
        self.request.match_info().get(name).unwrap_or_default()
    }

    /// A command caused by this request.
    pub fn command(&self, actor: Actor) -> Command {
        Command { cause: Cause { actor, request: Some(self.id.to_string()) }, key: None, if_match: None }
    }
}

/// A header's value, if it occurs once and is visible ASCII.
pub(super) fn header<'r>(request: &'r HttpRequest, name: &str) -> Option<&'r str> {
    let mut values = request.headers().get_all(name);
    let value = values.next().filter(|_| values.next().is_none())?;
    value.to_str().ok()
}

/// A merchant's request.
pub struct ApiRequest {
    pub raw: RawRequest,
    pub merchant: Arc<str>,
    /// What the use cases need of it: its cause, its idempotency key and `If-Match`.
    pub command: Command,
}

impl ApiRequest {
    pub fn state(&self) -> &State {
        &self.raw.state
    }

    /// An id in the path; `not_found` if it is invalid.
    pub fn id<T: FromStr>(&self, name: &str) -> Result<T, Problem> {
        self.raw.segment(name).parse().map_err(|_| Problem::not_found())
    }

    /// The merchant's order; `not_found` also for another merchant's.
    pub async fn order(&self, id: OrderId) -> Result<Arc<OrderAggregate>, Problem> {
        Ok(self.state().orders.order(&self.merchant, id).await?.current().clone())
    }

    /// The merchant's order with this payment, session, refund or attention.
    pub async fn order_of(&self, part: Uuid) -> Result<Arc<OrderAggregate>, Problem> {
        self.order(order_id_of(part)).await
    }

    /// The request's command about one of the merchant's orders.
    pub fn on(&self, order: OrderId) -> OrderCommand<'_> {
        self.state().orders.on(&self.merchant, &self.command, order)
    }
}

/// The id of the order with this payment, session, refund or attention.
pub(super) fn order_id_of(part: Uuid) -> OrderId {
    OrderId::from_uuid(subject_of(part))
}

/// The version in `If-Match`; `None` for `*` and without the header.
///
/// # Errors
/// `invalid_value` for a list of tags, `version_mismatch` for a tag that is not a version.
pub(super) fn if_match(request: &HttpRequest) -> Result<Option<u64>, Problem> {
    if !request.headers().contains_key(IF_MATCH) {
        return Ok(None);
    }
    let tags = match IfMatch::parse(request) {
        Ok(IfMatch::Any) => return Ok(None),
        Ok(IfMatch::Items(tags)) => tags,
        Err(_) => Vec::new(),
    };
    if tags.len() > 1 {
        let detail = "If-Match takes one entity tag, as the ETag header gave it.";
        let fault = FieldError::new("header:If-Match", Code::InvalidValue, detail);
        return Err(Problem::faulty(vec![fault]));
    }
    let text = tags.first().filter(|tag| !tag.weak).map(EntityTag::tag);
    let digits = text.filter(|text| text.bytes().all(|byte| byte.is_ascii_digit()));
    match digits.and_then(|digits| digits.parse().ok()) {
        Some(version) => Ok(Some(version)),
        None => Err(Problem::new(Code::VersionMismatch, "If-Match does not name a version.")),
    }
}
