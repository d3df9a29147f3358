//! Who is to be told of what happens: the endpoints that are on, in memory, so that a change finds out for nothing.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use arc_swap::ArcSwap;
use port::{EndpointId, Timestamp};
use tokio::sync::{Mutex, Notify};

use super::{Change, EndpointRow, Lane, Store, StoreError, Telling, Told, Write};
use crate::domain::view::event_type;

/// The endpoints that are on, as they were last read.
#[derive(Default)]
pub struct Outbox {
    known: ArcSwap<Known>,
    /// Held while they are read, so that an older look never replaces a newer one.
    reading: Mutex<()>,
    /// They may have changed since they were read.
    doubted: AtomicBool,
    owed: Notify,
}

#[derive(Default)]
struct Known {
    by_id: HashMap<EndpointId, Arc<EndpointRow>>,
    by_merchant: HashMap<String, Vec<Arc<EndpointRow>>>,
}

impl Outbox {
    /// Reads the endpoints anew: at the start, and after every change of one.
    ///
    /// # Errors
    /// [`StoreError`]; then it stays as it was, and is read before it is used next.
    pub async fn refresh(&self, store: &(impl Told + ?Sized)) -> Result<(), StoreError> {
        let _reading = self.reading.lock().await;
        self.doubted.store(false, Ordering::SeqCst);
        let rows = store.endpoints().await.inspect_err(|_| self.doubt())?;
        let mut known = Known::default();
        for row in rows.into_iter().filter(|row| row.off.is_none()) {
            let row = Arc::new(row);
            known.by_merchant.entry(row.merchant.clone()).or_default().push(row.clone());
            known.by_id.insert(row.id, row);
        }
        self.known.store(Arc::new(known));
        self.owed.notify_one();
        Ok(())
    }

    /// Commits a change of endpoints and reads them anew, also if it is not known whether the change was written.
    ///
    /// # Errors
    /// That of the commit, else that of the read.
    pub async fn change(&self, store: &dyn Store, change: Change) -> Result<(), StoreError> {
        self.doubt();
        let written = store.commit(change).await;
        let read = self.refresh(store).await;
        written.and(read)
    }

    /// Sees to it that what is in memory is what is in the store. Costs nothing but after a stumble of the store.
    ///
    /// # Errors
    /// [`StoreError`]; then nobody knows who is to be told.
    pub async fn make_sure(&self, store: &(impl Told + ?Sized)) -> Result<(), StoreError> {
        if self.doubted.load(Ordering::SeqCst) { self.refresh(store).await } else { Ok(()) }
    }

    fn doubt(&self) {
        self.doubted.store(true, Ordering::SeqCst);
    }

    /// What a change of a merchant's order makes owed: a row for each endpoint that takes one of its events. They
    /// belong into the same commit.
    pub fn owed(&self, merchant: &str, change: &Change, now: Timestamp) -> Vec<Write> {
        let known = self.known.load();
        let Some(endpoints) = known.by_merchant.get(merchant) else { return Vec::new() };
        let told: Vec<_> = change
            .events()
            .filter_map(|event| Some((event, event_type(event.record.event.public_event()?))))
            .collect();
        let owed = endpoints.iter().filter_map(|endpoint| {
            let (first, _) = told.iter().find(|(_, kind)| endpoint.takes(kind))?;
            let lane = Lane { endpoint: endpoint.id, order: first.order, again: false };
            Some(Write::Telling(Telling::Owed { lane, first: first.sequence, last: None, at: now }))
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
        self.owed.notify_one();
    }

    /// Waits until something is owed, for one who waits.
    pub async fn woken(&self) {
        self.owed.notified().await;
    }
}
