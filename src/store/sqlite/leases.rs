//! Leases: which jobs and deliveries are being worked on.
//!
//! Only one gateway opens a database, so leases are kept in memory: claiming writes nothing, and a crash leaves no
//! lease behind.

use std::collections::HashMap;
use std::hash::Hash;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use port::{Timestamp, Uuid};

use crate::domain::Lane;
use crate::store::{Change, DeliveryStream, LeaseKey, StoreError, Write};

/// The leases on jobs and deliveries.
#[derive(Default)]
pub struct Leases {
    pub(super) jobs: Arc<Leased<(Lane, Uuid)>>,
    pub(super) deliveries: Arc<Leased<DeliveryStream>>,
}

impl Leases {
    /// Lets the lease of work that the store has failed end at `until`, so that it is not held up for its whole length.
    pub fn end_at(&self, key: &LeaseKey, until: Timestamp) {
        match key {
            LeaseKey::Job(lane, subject) => self.jobs.end_at(&(lane.clone(), *subject), until),
            LeaseKey::Delivery(stream) => self.deliveries.end_at(stream, until),
        }
    }

    /// Ends the leases on jobs and deliveries that a committed change has rescheduled.
    pub(super) fn end_of(&self, committed: &Change) {
        for write in &committed.writes {
            match write {
                Write::Reschedule(done) => self.jobs.end(&(done.job.lane.clone(), done.job.subject)),
                Write::Advance { delivery, .. } => self.deliveries.end(&delivery.stream),
                _ => {}
            }
        }
    }
}

/// What is leased, and until when.
pub(super) struct Leased<K>(Mutex<HashMap<K, Timestamp>>);

impl<K> Default for Leased<K> {
    fn default() -> Self {
        Self(Mutex::default())
    }
}

impl<K: Eq + Hash> Leased<K> {
    fn held(&self) -> MutexGuard<'_, HashMap<K, Timestamp>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Leases at most `limit` rows. `query` is called for `limit` rows plus as many as are leased, so that enough free
    /// ones are among them.
    pub(super) fn claim<T>(
        &self,
        now: Timestamp,
        lease: Duration,
        limit: u32,
        query: impl FnOnce(u32) -> Result<Vec<T>, StoreError>,
        key: impl Fn(&T) -> K,
    ) -> Result<Vec<T>, StoreError> {
        let mut held = self.held();
        // One that ends later than a new one is from before the clock was set back.
        held.retain(|_, until| *until > now && *until <= now.plus(lease));
        let most = limit.saturating_add(u32::try_from(held.len()).unwrap_or(u32::MAX));
        let mut free = query(most)?;
        free.retain(|found| !held.contains_key(&key(found)));
        free.truncate(limit as usize);
        held.extend(free.iter().map(|found| (key(found), now.plus(lease))));
        Ok(free)
    }

    /// The earliest time at which a row can be claimed: it is due and its lease has ended.
    pub(super) fn next<T>(
        &self,
        query: impl FnOnce(u32) -> Result<Vec<T>, StoreError>,
        key: impl Fn(&T) -> K,
        due_at: impl Fn(&T) -> Timestamp,
    ) -> Result<Option<Timestamp>, StoreError> {
        let held = self.held();
        let most = u32::try_from(held.len()).unwrap_or(u32::MAX).saturating_add(1);
        let free_at =
            |found: &T| held.get(&key(found)).map_or(due_at(found), |until| due_at(found).max(*until));
        Ok(query(most)?.iter().map(free_at).min())
    }

    pub(super) fn end(&self, key: &K) {
        self.held().remove(key);
    }

    /// Lets a lease end at `until`, if that is earlier.
    fn end_at(&self, key: &K, until: Timestamp) {
        if let Some(lease) = self.held().get_mut(key) {
            *lease = until.min(*lease);
        }
    }
}
