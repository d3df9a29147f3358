//! The endpoints that are enabled, in memory, so that a change finds out for nothing who is to be told.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use arc_swap::ArcSwap;
use port::{EndpointId, OrderId, Timestamp};
use tokio::sync::Mutex;

use super::{Change, DeliveryStream, Store, StoreError, Write};
use crate::domain::WebhookEndpoint;

/// An endpoint that is enabled.
#[derive(Clone, Debug)]
pub struct Enabled {
    /// The endpoint.
    pub endpoint: Arc<WebhookEndpoint>,
    /// Since when no delivery has worked; none while they do.
    pub failing_since: Option<Timestamp>,
}

/// The endpoints that are enabled, as they were last read.
#[derive(Default)]
pub struct EndpointRegistry {
    known: ArcSwap<Known>,
    /// Held while they are read, so that an older look never replaces a newer one.
    reading: Mutex<()>,
    /// They may have changed since they were read.
    stale: AtomicBool,
}

#[derive(Default)]
struct Known {
    by_id: HashMap<EndpointId, Enabled>,
    by_merchant: HashMap<String, Vec<EndpointId>>,
}

impl EndpointRegistry {
    /// Reads the endpoints anew: at the start, and after every change of one.
    ///
    /// # Errors
    /// [`StoreError`]; then it stays as it was, and is read before it is used next.
    pub async fn refresh(&self, store: &dyn Store) -> Result<(), StoreError> {
        let _reading = self.reading.lock().await;
        self.stale.store(false, Ordering::SeqCst);
        let known = read(store).await.inspect_err(|_| self.mark_stale())?;
        self.known.store(Arc::new(known));
        Ok(())
    }

    /// Commits a change of an endpoint and reads them anew, also if it is not known whether the change was written.
    ///
    /// # Errors
    /// That of the commit, else that of the read.
    pub async fn commit(&self, store: &dyn Store, change: Change) -> Result<(), StoreError> {
        self.mark_stale();
        let written = store.commit(change).await;
        let read = self.refresh(store).await;
        written.and(read)
    }

    /// Reads them anew if they may have changed. Costs nothing but after a failure of the store.
    ///
    /// # Errors
    /// [`StoreError`]; then it is not known who is to be told.
    pub async fn ensure_fresh(&self, store: &dyn Store) -> Result<(), StoreError> {
        if self.stale.load(Ordering::SeqCst) { self.refresh(store).await } else { Ok(()) }
    }

    fn mark_stale(&self) {
        self.stale.store(true, Ordering::SeqCst);
    }

    /// What has to be delivered of a change of an order: a row for each of the merchant's endpoints that takes one of
    /// its public events. `public` has their sequences and types. The rows belong into the same commit.
    pub fn deliveries(
        &self,
        merchant: &str,
        order: OrderId,
        public: &[(u64, String)],
        now: Timestamp,
    ) -> Vec<Write> {
        let known = self.known.load();
        let Some(endpoints) = known.by_merchant.get(merchant).filter(|_| !public.is_empty()) else {
            return Vec::new();
        };
        let enabled = endpoints.iter().filter_map(|id| known.by_id.get(id));
        let writes = enabled.filter_map(|enabled| {
            let (first, _) = public.iter().find(|(_, kind)| enabled.endpoint.takes(kind))?;
            let stream = DeliveryStream { endpoint: enabled.endpoint.id, order, replay: false };
            Some(Write::Enqueue { stream, first: *first, last: None, at: now })
        });
        writes.collect()
    }

    /// Whether a merchant has an endpoint that is enabled.
    pub fn has_endpoints(&self, merchant: &str) -> bool {
        self.known.load().by_merchant.contains_key(merchant)
    }

    /// Every endpoint that is enabled.
    pub fn enabled(&self) -> Vec<Enabled> {
        self.known.load().by_id.values().cloned().collect()
    }

    /// An endpoint, if it is enabled.
    pub fn get(&self, id: EndpointId) -> Option<Enabled> {
        self.known.load().by_id.get(&id).cloned()
    }
}

async fn read(store: &dyn Store) -> Result<Known, StoreError> {
    let mut known = Known::default();
    for (id, failing_since) in store.endpoints().await? {
        let Some(endpoint) = store.load::<WebhookEndpoint>(id.uuid()).await? else { continue };
        if endpoint.disabled.is_none() {
            known.by_merchant.entry(endpoint.merchant.clone()).or_default().push(id);
            known.by_id.insert(id, Enabled { endpoint, failing_since });
        }
    }
    Ok(known)
}
