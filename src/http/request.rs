//! A request as handlers see it.

use std::str::FromStr;
use std::sync::Arc;

use actix_web::HttpRequest;
use actix_web::http::header::{EntityTag, Header as _, IF_MATCH, IfMatch};
use actix_web::web::Bytes;
use port::{OrderId, Uuid};

use super::idempotency::InFlightKey;
use super::problem::{Code, FieldError, Problem};
use super::state::State;
use crate::domain::{Actor, Cause, OrderAggregate, subject_of};
use crate::engine::Command;

/// A request that arrived whole. Nobody knows whose it is.
pub struct RawRequest {
    /// What handlers share.
    pub state: State,
    /// Method, address and headers.
    pub request: HttpRequest,
    /// The request's id, as echoed and logged.
    pub id: Arc<str>,
    /// The body's exact bytes.
    pub body: Bytes,
}

impl RawRequest {
    /// A part of the path by its name in the table of routes, decoded; empty if the table has no such name.
    pub fn segment(&self, name: &str) -> &str {
        self.request.match_info().get(name).unwrap_or_default()
    }

    /// A header's value, if it is there once and is visible ASCII.
    pub fn header(&self, name: &str) -> Option<&str> {
        header(&self.request, name)
    }

    /// What somebody makes happen with this request.
    pub fn command(&self, actor: Actor) -> Command {
        Command { cause: Cause { actor, request: Some(self.id.to_string()) }, key: None, if_match: None }
    }
}

/// A header's value, if it is there once and is visible ASCII.
pub(super) fn header<'r>(request: &'r HttpRequest, name: &str) -> Option<&'r str> {
    let mut values = request.headers().get_all(name);
    let value = values.next().filter(|_| values.next().is_none())?;
    value.to_str().ok()
}

/// A merchant's request.
pub struct ApiRequest {
    /// The request itself.
    pub raw: RawRequest,
    /// Whose it is.
    pub merchant: Arc<str>,
    /// The version that the resource must still have.
    pub(super) if_match: Option<u64>,
    /// Its idempotency key, if it has one.
    pub(super) in_flight: Option<InFlightKey>,
}

impl ApiRequest {
    /// What handlers share.
    pub fn state(&self) -> &State {
        &self.raw.state
    }

    /// What it asks for, to the use cases.
    pub fn command(&self) -> Command {
        self.command_of(Actor::Merchant)
    }

    /// The same on behalf of somebody else.
    pub fn command_of(&self, actor: Actor) -> Command {
        let key = self.in_flight.as_ref().map(|in_flight| in_flight.key.clone());
        Command { key, if_match: self.if_match, ..self.raw.command(actor) }
    }

    /// The id in the path.
    ///
    /// # Errors
    /// `not_found` if it is none: no such thing can exist.
    pub fn id<T: FromStr>(&self, name: &str) -> Result<T, Problem> {
        self.raw.segment(name).parse().map_err(|_| Problem::not_found())
    }

    /// The merchant's order.
    ///
    /// # Errors
    /// `not_found`, also for another merchant's.
    pub async fn order(&self, id: OrderId) -> Result<Arc<OrderAggregate>, Problem> {
        Ok(self.state().orders().order(&self.merchant, id).await?.current().clone())
    }

    /// The merchant's order that a payment, session, refund or attention belongs to.
    ///
    /// # Errors
    /// `not_found`, also for another merchant's.
    pub async fn order_of(&self, part: Uuid) -> Result<Arc<OrderAggregate>, Problem> {
        self.order(order_id_of(part)).await
    }
}

/// The id of the order that a payment, session, refund or attention belongs to.
pub(super) fn order_id_of(part: Uuid) -> OrderId {
    OrderId::from_uuid(subject_of(part))
}

/// The version that `If-Match` asks for. `*` and no header ask for none.
///
/// # Errors
/// `invalid_value` for a list of tags, `version_mismatch` for a tag that no version of ours can have.
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
        let detail = "If-Match takes one entity tag, as the ETag header gave it.".to_owned();
        let pointer = "header:If-Match".to_owned();
        return Err(Problem::faulty(vec![FieldError { pointer, code: Code::InvalidValue, detail }]));
    }
    let text = tags.first().filter(|tag| !tag.weak).map(EntityTag::tag);
    let digits = text.filter(|text| text.bytes().all(|byte| byte.is_ascii_digit()));
    match digits.and_then(|digits| digits.parse().ok()) {
        Some(version) => Ok(Some(version)),
        None => Err(Problem::new(Code::VersionMismatch, "If-Match names a version that there never was.")),
    }
}
