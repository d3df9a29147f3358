//! The state of handlers: [`State`] for each worker, around [`Common`], which all workers share.

use std::sync::Arc;

use port::{AttemptId, Timestamp};

use super::auth::ApiKeys;
use super::in_flight::InFlightRequests;
use super::notifications::RefusedNotifications;
use super::rate::RateLimiter;
use super::stream::Streams;
use crate::config::Settings;
use crate::engine::Engine;
use crate::inbox::NotificationReceiver;
use crate::metrics::Metrics;
use crate::orders::Orders;
use crate::payments::Payments;
use crate::store::Store;

/// The burst of notifications, in seconds of the average rate.
const NOTIFICATION_BURST_S: u32 = 2;

/// What all workers share.
pub struct Common {
    pub settings: Arc<Settings>,
    pub(super) api_keys: ApiKeys,
    pub(super) rate_limiter: RateLimiter,
    pub(super) in_flight: InFlightRequests,
    pub(super) notification_limiter: RateLimiter,
    pub(super) notification_receiver: NotificationReceiver,
    pub(super) refused_notifications: RefusedNotifications,
    pub(super) streams: Streams,
}

impl Common {
    pub fn new(settings: Arc<Settings>, engine: &Engine) -> Self {
        let limits = &settings.limits;
        let notifications = limits.notifications_per_second;
        Self {
            api_keys: ApiKeys::new(engine.store.clone(), engine.metrics.cache("api_keys")),
            rate_limiter: RateLimiter::new(limits.requests_per_second, limits.requests_burst),
            in_flight: InFlightRequests::default(),
            notification_limiter: RateLimiter::new(
                notifications,
                notifications.saturating_mul(NOTIFICATION_BURST_S),
            ),
            notification_receiver: NotificationReceiver::default(),
            refused_notifications: RefusedNotifications::default(),
            streams: Streams::default(),
            settings,
        }
    }

    /// Ends all open streams, and those that are opened later, so that the gateway can stop.
    pub fn end_streams(&self) {
        self.streams.end();
    }

    /// Looks API keys up again, since they have changed. Streams end, for they may be of a key that was revoked; a client
    /// whose key is valid reconnects.
    pub fn api_keys_changed(&self) {
        self.api_keys.forget();
        self.streams.interrupt();
    }
}

/// What a handler works with: the use cases of its worker, and what all workers share.
#[derive(Clone)]
pub struct State {
    pub(super) common: Arc<Common>,
    /// In an `Arc`, since each request clones the state.
    pub(super) orders: Arc<Orders>,
}

impl State {
    /// The state of one worker, whose `orders` have their own HTTP client.
    pub fn new(common: Arc<Common>, orders: Orders) -> Self {
        Self { common, orders: Arc::new(orders) }
    }

    pub(super) fn payments(&self) -> &Payments {
        &self.orders.payments
    }

    pub(super) fn engine(&self) -> &Engine {
        &self.payments().engine
    }

    pub(super) fn store(&self) -> &Arc<dyn Store> {
        &self.engine().store
    }

    pub(super) fn settings(&self) -> &Settings {
        &self.common.settings
    }

    pub(super) fn metrics(&self) -> &Metrics {
        &self.engine().metrics
    }

    pub(super) fn now(&self) -> Timestamp {
        self.engine().now()
    }

    /// The address of an attempt's QR code.
    pub(super) fn qr_url(&self, attempt: AttemptId) -> String {
        self.payments().providers.returns().qr_url(attempt)
    }
}
