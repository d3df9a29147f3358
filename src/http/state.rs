//! What handlers share: [`State`], one for each worker, around what all workers share.

use std::sync::Arc;

use port::{AttemptId, Env, Timestamp};

use super::auth::ApiKeys;
use super::in_flight::InFlightRequests;
use super::notifications::Inbox;
use super::rate::Buckets;
use super::stream::Streams;
use crate::config::Settings;
use crate::engine::Engine;
use crate::metrics::Metrics;
use crate::orders::Orders;
use crate::payments::Payments;
use crate::store::Store;

/// What all workers share in this room.
pub struct Common {
    /// The gateway's settings.
    pub settings: Arc<Settings>,
    /// API keys seen lately.
    pub(super) api_keys: ApiKeys,
    /// How much each API key has left.
    pub(super) buckets: Buckets,
    /// Requests with an idempotency key that are running.
    pub(super) in_flight: InFlightRequests,
    /// What is known of notifications that came lately.
    pub(super) inbox: Inbox,
    /// Streams that are open.
    pub(super) streams: Streams,
}

impl Common {
    /// With these settings, on an engine.
    pub fn new(settings: Arc<Settings>, engine: &Engine) -> Self {
        let limits = &settings.limits;
        Self {
            api_keys: ApiKeys::new(engine.store.clone(), engine.metrics.cache("api_keys")),
            buckets: Buckets::new(limits.requests_per_second, limits.requests_burst),
            in_flight: InFlightRequests::default(),
            inbox: Inbox::new(limits),
            streams: Streams::default(),
            settings,
        }
    }

    /// Ends the streams that are open: the gateway is about to stop, and they would not end by themselves.
    pub fn end_streams(&self) {
        self.streams.end();
    }
}

/// What a handler works with: the use cases of its worker, and what all workers share.
#[derive(Clone)]
pub struct State {
    common: Arc<Common>,
    /// Behind a pointer of the worker's own: each request takes a copy of it.
    orders: Arc<Orders>,
}

impl State {
    /// For one worker, whose `orders` have a way out of their own.
    pub fn new(common: Arc<Common>, orders: Orders) -> Self {
        Self { common, orders: Arc::new(orders) }
    }

    /// What all workers share.
    pub(super) fn common(&self) -> &Common {
        &self.common
    }

    /// The use cases of orders.
    pub fn orders(&self) -> &Orders {
        &self.orders
    }

    /// The use cases of money.
    pub fn payments(&self) -> &Payments {
        &self.orders.payments
    }

    /// How subjects change.
    pub fn engine(&self) -> &Engine {
        &self.payments().engine
    }

    /// Committed state.
    pub fn store(&self) -> &Arc<dyn Store> {
        &self.engine().store
    }

    /// The gateway's settings.
    pub fn settings(&self) -> &Settings {
        &self.common.settings
    }

    /// How the outside reaches the gateway; no slash at the end.
    pub fn public_url(&self) -> &str {
        &self.settings().server.public_url
    }

    /// Counters.
    pub fn metrics(&self) -> &Metrics {
        &self.engine().metrics
    }

    /// Time, ids and chance.
    pub fn env(&self) -> &dyn Env {
        &*self.engine().env
    }

    /// The present moment.
    pub fn now(&self) -> Timestamp {
        self.engine().now()
    }

    /// Where the gateway shows a link as a picture.
    pub fn qr_url(&self, attempt: AttemptId) -> String {
        self.payments().providers.returns().qr_url(attempt)
    }
}
