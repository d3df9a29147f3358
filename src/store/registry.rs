//! The enabled webhook endpoints, in memory, so that a change needs no query to find its receivers.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use arc_swap::ArcSwap;
use port::{EndpointId, OrderId, Timestamp};
use tokio::sync::{Mutex, MutexGuard};

use super::{Change, DeliveryStream, Store, StoreError, Write};
use crate::domain::WebhookEndpoint;

#[derive(Clone, Debug)]
pub struct Enabled {
    pub endpoint: Arc<WebhookEndpoint>,
    /// Since when no delivery has worked; none while they do.
    pub failing_since: Option<Timestamp>,
}

/// The endpoints that are enabled, as they were last read.
#[derive(Default)]
pub struct EndpointRegistry {
    known: ArcSwap<Known>,
    /// Held while they are read, so that an older result never replaces a newer one.
    reading: Mutex<()>,
    /// Held by whoever counts a merchant's endpoints and then adds one.
    adding: Mutex<()>,
    /// Whether they may have changed since they were read.
    stale: AtomicBool,
}

#[derive(Default)]
struct Known {
    by_id: HashMap<EndpointId, Enabled>,
    by_merchant: HashMap<String, Vec<EndpointId>>,
}

impl EndpointRegistry {
    /// Reads the endpoints again: at the start, and after each change of one.
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

    /// Keeps others from adding an endpoint until the guard is dropped: the count of a merchant's endpoints is no part of
    /// any subject, so no conflict of a commit would protect their limit. Only one process works on a database.
    pub async fn keep_from_adding(&self) -> MutexGuard<'_, ()> {
        self.adding.lock().await
    }

    /// Commits a change of an endpoint and reads the endpoints again, also after a failure whose effect is unknown.
    ///
    /// # Errors
    /// That of the commit, else that of the read.
    pub async fn commit(&self, store: &dyn Store, change: Change) -> Result<(), StoreError> {
        self.mark_stale();
        let written = store.commit(change).await;
        let read = self.refresh(store).await;
        written.and(read)
    }

    /// Reads them again if they may have changed, which is only after a failure of the store.
    ///
    /// # Errors
    /// [`StoreError`]; the receivers of events are then not known.
    pub async fn ensure_fresh(&self, store: &dyn Store) -> Result<(), StoreError> {
        if self.stale.load(Ordering::SeqCst) { self.refresh(store).await } else { Ok(()) }
    }

    fn mark_stale(&self) {
        self.stale.store(true, Ordering::SeqCst);
    }

    /// The deliveries of a change: a row for each of the merchant's endpoints that subscribes to one of its public
    /// events. `public` computes their sequences and types. The rows must be written in the same commit.
    pub fn deliveries(
        &self,
        merchant: &str,
        order: OrderId,
        public: impl FnOnce() -> Vec<(u64, String)>,
        now: Timestamp,
    ) -> Vec<Write> {
        let known = self.known.load();
        let Some(endpoints) = known.by_merchant.get(merchant) else { return Vec::new() };
        let public = public();
        let enabled = endpoints.iter().filter_map(|id| known.by_id.get(id));
        let writes = enabled.filter_map(|enabled| {
            let (first, _) = public.iter().find(|(_, kind)| enabled.endpoint.subscribes_to(kind))?;
            let stream = DeliveryStream { endpoint: enabled.endpoint.id, order, replay: false };
            Some(Write::Enqueue { stream, first: *first, last: None, at: now })
        });
        writes.collect()
    }

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
    for (id, failing_since) in store.endpoints(None).await? {
        let Some(endpoint) = store.load::<WebhookEndpoint>(id.uuid()).await? else { continue };
        if endpoint.disabled.is_none() {
            known.by_merchant.entry(endpoint.merchant.clone()).or_default().push(id);
            known.by_id.insert(id, Enabled { endpoint, failing_since });
        }
    }
    Ok(known)
}
