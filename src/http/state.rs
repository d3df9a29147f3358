//! What handlers share: [`State`], one for each worker, around what all workers share.

use std::sync::Arc;

use port::{AttemptId, Env, OrderId, Timestamp};
use tokio::sync::{Notify, broadcast};

use super::auth::Keys;
use super::closed_order_cache::ClosedOrderCache;
use super::in_flight::InFlightRequests;
use super::notifications::Inbox;
use super::rate::Buckets;
use super::stream::Streams;
use crate::config::Settings;
use crate::metrics::Metrics;
use crate::orders::Orders;
use crate::payments::{self, Payments};
use crate::store::Reads;

/// What all workers share in this room.
pub struct Common {
    /// The gateway's settings.
    pub settings: Arc<Settings>,
    /// Committed state: all that this room reads of the store.
    pub reads: Arc<dyn Reads>,
    /// API keys seen lately.
    pub(super) keys: Keys,
    /// Orders that have ended, seen lately.
    pub(super) finished: ClosedOrderCache,
    /// How much each API key has left.
    pub(super) buckets: Buckets,
    /// Requests with an idempotency key that are running.
    pub(super) running: InFlightRequests,
    /// What is known of notifications that came lately.
    pub(super) inbox: Inbox,
    /// Streams that are open.
    pub(super) streams: Streams,
}

impl Common {
    /// Around the settings and what the money use cases share.
    pub fn new(settings: Arc<Settings>, shared: &payments::Shared) -> Self {
        let reads: Arc<dyn Reads> = shared.store.clone();
        let keys = Keys::new(reads.clone(), shared.metrics.cache("api_keys"));
        let finished = ClosedOrderCache::new(shared.metrics.cache("finished_orders"));
        let limits = &settings.limits;
        let buckets = Buckets::new(limits.requests_per_second, limits.requests_burst);
        let inbox = Inbox::new(limits);
        let (running, streams) = (InFlightRequests::default(), Streams::default());
        Self { settings, reads, keys, finished, buckets, running, inbox, streams }
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
    orders: Orders,
}

impl State {
    /// For one worker, whose `orders` have a way out of their own.
    pub fn new(common: Arc<Common>, orders: Orders) -> Self {
        Self { common, orders }
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

    /// Committed state.
    pub fn reads(&self) -> &dyn Reads {
        &*self.common.reads
    }

    /// The gateway's settings.
    pub fn settings(&self) -> &Settings {
        &self.common.settings
    }

    /// How the outside reaches the gateway; no slash at the end.
    pub fn public_url(&self) -> &str {
        &self.common.settings.server.public_url
    }

    /// Counters.
    pub fn metrics(&self) -> &Metrics {
        &self.payments().shared.metrics
    }

    /// Time, ids and chance.
    pub fn env(&self) -> &dyn Env {
        &*self.payments().shared.env
    }

    /// The present moment.
    pub fn now(&self) -> Timestamp {
        self.payments().shared.now()
    }

    /// Wakes the agenda when something is due at once.
    pub fn wake(&self) -> &Notify {
        &self.payments().shared.wake
    }

    /// Tells of every order that a commit has changed.
    pub fn changes(&self) -> broadcast::Receiver<OrderId> {
        self.payments().shared.store.changes()
    }

    /// Where the gateway shows a link as a picture.
    pub fn qr_url(&self, attempt: AttemptId) -> String {
        self.payments().shared.returns.qr_url(attempt)
    }

    /// What is known of notifications that came lately.
    pub(super) fn inbox(&self) -> &Inbox {
        &self.common.inbox
    }

    /// Streams that are open.
    pub(super) fn streams(&self) -> &Streams {
        &self.common.streams
    }
}
