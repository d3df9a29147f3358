//! Who is to be told of what happens: the endpoints that are on, in memory, so that a change finds out for nothing.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use arc_swap::ArcSwap;
use port::{EndpointId, Timestamp};
use tokio::sync::{Mutex, Notify};

use super::{Change, DeliveryStream, EndpointRow, Store, StoreError, WebhookReads, WebhookWrite, Write};
use crate::domain::view::event_type;

/// The endpoints that are on, as they were last read.
#[derive(Default)]
pub struct EndpointRegistry {
    known: ArcSwap<Known>,
    /// Held while they are read, so that an older look never replaces a newer one.
    reading: Mutex<()>,
    /// They may have changed since they were read.
    stale: AtomicBool,
    work: Notify,
}

#[derive(Default)]
struct Known {
    by_id: HashMap<EndpointId, Arc<EndpointRow>>,
    by_merchant: HashMap<String, Vec<Arc<EndpointRow>>>,
}

impl EndpointRegistry {
    /// Reads the endpoints anew: at the start, and after every change of one.
    ///
    /// # Errors
    /// [`StoreError`]; then it stays as it was, and is read before it is used next.
    pub async fn refresh(&self, store: &(impl WebhookReads + ?Sized)) -> Result<(), StoreError> {
        let _reading = self.reading.lock().await;
        self.stale.store(false, Ordering::SeqCst);
        let rows = store.endpoints().await.inspect_err(|_| self.invalidate())?;
        let mut known = Known::default();
        for row in rows.into_iter().filter(|row| row.disabled.is_none()) {
            let row = Arc::new(row);
            known.by_merchant.entry(row.merchant.clone()).or_default().push(row.clone());
            known.by_id.insert(row.id, row);
        }
        self.known.store(Arc::new(known));
        self.work.notify_one();
        Ok(())
    }

    /// Commits a change of endpoints and reads them anew, also if it is not known whether the change was written.
    ///
    /// # Errors
    /// That of the commit, else that of the read.
    pub async fn change(&self, store: &dyn Store, change: Change) -> Result<(), StoreError> {
        self.invalidate();
        let written = store.commit(change).await;
        let read = self.refresh(store).await;
        written.and(read)
    }

    /// Sees to it that what is in memory is what is in the store. Costs nothing but after a stumble of the store.
    ///
    /// # Errors
    /// [`StoreError`]; then nobody knows who is to be told.
    pub async fn ensure_fresh(&self, store: &(impl WebhookReads + ?Sized)) -> Result<(), StoreError> {
        if self.stale.load(Ordering::SeqCst) { self.refresh(store).await } else { Ok(()) }
    }

    fn invalidate(&self) {
        self.stale.store(true, Ordering::SeqCst);
    }

    /// What a change of a merchant's order makes owed: a row for each endpoint that takes one of its events. They
    /// belong into the same commit.
    pub fn enqueue(&self, merchant: &str, change: &Change, now: Timestamp) -> Vec<Write> {
        let known = self.known.load();
        let Some(endpoints) = known.by_merchant.get(merchant) else { return Vec::new() };
        let told: Vec<_> = change
            .events()
            .filter_map(|event| Some((event, event_type(event.record.event.public_event()?))))
            .collect();
        let owed = endpoints.iter().filter_map(|endpoint| {
            let (first, _) = told.iter().find(|(_, kind)| endpoint.takes(kind))?;
            let stream = DeliveryStream { endpoint: endpoint.id, order: first.order, replay: false };
            Some(Write::Webhook(WebhookWrite::Enqueue { stream, first: first.sequence, last: None, at: now }))
        });
        owed.collect()
    }

    /// Every endpoint that is on.
    pub fn endpoints(&self) -> Vec<Arc<EndpointRow>> {
        self.known.load().by_id.values().cloned().collect()
    }

    /// An endpoint that is on.
    pub fn endpoint(&self, id: EndpointId) -> Option<Arc<EndpointRow>> {
        self.known.load().by_id.get(&id).cloned()
    }

    /// Says that something was committed that is owed.
    pub fn wake(&self) {
        self.work.notify_one();
    }

    /// Waits until something is owed, for one who waits.
    pub async fn wait(&self) {
        self.work.notified().await;
    }
}
