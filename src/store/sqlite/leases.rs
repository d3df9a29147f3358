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
pub(super) struct Leased<K> {
    held: Mutex<HashMap<K, Timestamp>>,
    /// Held while somebody claims. Who ends a lease, as each commit may, does not wait for it.
    claiming: Mutex<()>,
}

impl<K> Default for Leased<K> {
    fn default() -> Self {
        Self { held: Mutex::default(), claiming: Mutex::default() }
    }
}

impl<K: Clone + Eq + Hash> Leased<K> {
    fn held(&self) -> MutexGuard<'_, HashMap<K, Timestamp>> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
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
        let _alone = self.claiming.lock().unwrap_or_else(PoisonError::into_inner);
        // A copy: a lease that ends while the query runs may be of a row that was found as it was before its job ran.
        let leased = {
            let mut held = self.held();
            // One that ends later than a new one is from before the clock was set back.
            held.retain(|_, until| *until > now && *until <= now.plus(lease));
            held.clone()
        };
        let most = limit.saturating_add(u32::try_from(leased.len()).unwrap_or(u32::MAX));
        let mut free = query(most)?;
        free.retain(|found| !leased.contains_key(&key(found)));
        free.truncate(limit as usize);
        self.held().extend(free.iter().map(|found| (key(found), now.plus(lease))));
        Ok(free)
    }

    /// The earliest time at which a row can be claimed: it is due and its lease has ended.
    pub(super) fn next<T>(
        &self,
        query: impl FnOnce(u32) -> Result<Vec<T>, StoreError>,
        key: impl Fn(&T) -> K,
        due_at: impl Fn(&T) -> Timestamp,
    ) -> Result<Option<Timestamp>, StoreError> {
        let held = self.held().clone();
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lease_can_end_while_somebody_queries_and_what_was_found_then_is_not_leased() {
        let (leased, now, lease) = (Leased::<u8>::default(), Timestamp::default(), Duration::from_secs(60));
        let claim = |found: Vec<u8>| leased.claim(now, lease, 9, |_| Ok(found), |row| *row);
        assert_eq!(claim(vec![1]), Ok(vec![1]));
        let meanwhile = |_| {
            leased.end(&1);
            Ok(vec![1, 2])
        };
        assert_eq!(leased.claim(now, lease, 9, meanwhile, |row| *row), Ok(vec![2]));
        assert_eq!(claim(vec![1, 2]), Ok(vec![1]));
        let ends = |_| {
            leased.end(&2);
            Ok(vec![2])
        };
        assert_eq!(leased.next(ends, |row| *row, |_| now), Ok(Some(now.plus(lease))));
    }
}
