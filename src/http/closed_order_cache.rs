//! Orders that have ended, as they were lately read: they are asked for often and hardly ever change.

use std::sync::Arc;
use std::time::Duration;

use moka::future::Cache;
use port::OrderId;

use crate::domain::OrderAggregate;
use crate::metrics::CacheMetrics;
use crate::store::{Reads, StoreError};

/// How long an ended order is shown as it was: a refund or a dispute shows this much later at most.
const CACHE_TTL: Duration = Duration::from_secs(2);

/// Ended orders that are remembered.
const MAX_ORDERS: u64 = 10_000;

/// Ended orders, for reading alone: whoever decides something looks at the store.
pub(super) struct ClosedOrderCache {
    known: Cache<OrderId, Arc<OrderAggregate>>,
    metrics: CacheMetrics,
}

impl ClosedOrderCache {
    pub(super) fn new(metrics: CacheMetrics) -> Self {
        let known = Cache::builder().max_capacity(MAX_ORDERS).time_to_live(CACHE_TTL).build();
        Self { known, metrics }
    }

    /// An order: as it was lately if it has ended, else as it is.
    ///
    /// # Errors
    /// [`StoreError`].
    pub(super) async fn order(
        &self,
        reads: &dyn Reads,
        id: OrderId,
    ) -> Result<Option<Arc<OrderAggregate>>, StoreError> {
        if let Some(order) = self.known.get(&id).await {
            self.metrics.hit();
            return Ok(Some(order));
        }
        self.metrics.miss();
        let Some(order) = reads.order(id).await?.map(Arc::new) else { return Ok(None) };
        if order.header.state.is_final() {
            self.known.insert(id, order.clone()).await;
        }
        Ok(Some(order))
    }
}
