//! A request as handlers see it.

use std::str::FromStr;
use std::sync::Arc;

use actix_web::HttpRequest;
use actix_web::web::Bytes;
use port::OrderId;

use super::idempotency::InFlightKey;
use super::problem::{Code, FieldError, Problem};
use super::state::State;
use crate::domain::{Actor, Cause, OrderAggregate};
use crate::orders::CommandContext;
use crate::store::OrderLocator;

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

    /// Who makes something happen with this request.
    pub fn cause(&self, actor: Actor) -> Cause {
        Cause { actor, request: Some(self.id.to_string()) }
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
    pub(super) expects: Option<u64>,
    /// Its idempotency key, if it has one.
    pub(super) in_flight: Option<InFlightKey>,
}

impl ApiRequest {
    /// What handlers share.
    pub fn state(&self) -> &State {
        &self.raw.state
    }

    /// Who makes something happen with this request.
    pub fn cause(&self) -> Cause {
        self.raw.cause(Actor::Merchant)
    }

    /// The id in the path.
    ///
    /// # Errors
    /// `not_found` if it is none: no such thing can exist.
    pub fn id<T: FromStr>(&self, name: &str) -> Result<T, Problem> {
        self.raw.segment(name).parse().map_err(|_| Problem::not_found())
    }

    /// What a use case has to know of the request.
    pub fn command_context(&self) -> CommandContext {
        CommandContext {
            merchant: self.merchant.clone(),
            cause: self.cause(),
            key: self.in_flight.as_ref().map(|in_flight| in_flight.key.clone()),
            expects: self.expects,
        }
    }

    /// The merchant's order.
    ///
    /// # Errors
    /// `not_found`, also for another merchant's.
    pub async fn order(&self, order: OrderId) -> Result<OrderAggregate, Problem> {
        let found = self.state().reads().order(order).await?;
        found.filter(|order| *order.header.merchant == *self.merchant).ok_or_else(Problem::not_found)
    }

    /// The merchant's order, to be shown: one that has ended may be a little old.
    ///
    /// # Errors
    /// `not_found`, also for another merchant's.
    pub async fn shown(&self, order: OrderId) -> Result<Arc<OrderAggregate>, Problem> {
        let state = self.state();
        let found = state.common().finished.order(state.reads(), order).await?;
        found.filter(|order| *order.header.merchant == *self.merchant).ok_or_else(Problem::not_found)
    }

    /// The merchant's order that something belongs to.
    ///
    /// # Errors
    /// `not_found`, also for another merchant's.
    pub async fn order_of(&self, locator: OrderLocator) -> Result<OrderAggregate, Problem> {
        let order = self.state().reads().order_of(&locator).await?;
        self.order(order.ok_or_else(Problem::not_found)?).await
    }
}

/// The version that `If-Match` asks for. `*` and no header ask for none.
///
/// # Errors
/// `invalid_value` for a list of tags, `version_mismatch` for a tag that no version of ours can have.
pub(super) fn expected_version(request: &HttpRequest) -> Result<Option<u64>, Problem> {
    let Some(given) = request.headers().get("If-Match") else { return Ok(None) };
    let text = header(request, "If-Match").unwrap_or_default().trim();
    if text == "*" {
        return Ok(None);
    }
    if given.is_empty() || text.contains(',') {
        let detail = "If-Match takes one entity tag, as the ETag header gave it.".to_owned();
        let pointer = "header:If-Match".to_owned();
        return Err(Problem::faulty(vec![FieldError { pointer, code: Code::InvalidValue, detail }]));
    }
    let bare = text.strip_prefix('"').and_then(|rest| rest.strip_suffix('"'));
    let version = bare.filter(|digits| digits.bytes().all(|byte| byte.is_ascii_digit()));
    match version.and_then(|digits| digits.parse().ok()) {
        Some(version) => Ok(Some(version)),
        None => Err(Problem::new(Code::VersionMismatch, "If-Match names a version that there never was.")),
    }
}
