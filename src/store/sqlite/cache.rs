//! A cache of recently changed or read subjects.
//!
//! The writer puts in what it has committed, in the order of commits. A reader puts in what it has read only if nothing
//! was committed since it began, so the cache never holds an older version than the database.

use std::collections::HashMap;
use std::mem;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use port::Uuid;

use crate::domain::AnySubject;

/// The number of parts with a lock of their own, so that threads rarely wait for each other.
const SHARDS: usize = 16;

/// Subjects of one generation in a shard: the cache holds up to 8,192, and about the 4,096 that were used last.
const GENERATION: usize = 256;

#[derive(Default)]
pub(super) struct SubjectCache {
    shards: [Mutex<Shard>; SHARDS],
    /// How many changes of subjects were committed.
    commits: AtomicU64,
}

/// Two generations: subjects used since the last rotation, and those used in the one before. Older ones are dropped.
#[derive(Default)]
struct Shard {
    young: HashMap<Uuid, AnySubject>,
    old: HashMap<Uuid, AnySubject>,
}

impl Shard {
    fn get(&mut self, id: Uuid) -> Option<AnySubject> {
        if let Some(known) = self.young.get(&id) {
            return Some(known.clone());
        }
        let known = self.old.remove(&id)?;
        self.put(id, known.clone());
        Some(known)
    }

    fn put(&mut self, id: Uuid, subject: AnySubject) {
        if self.young.len() >= GENERATION {
            self.old = mem::replace(&mut self.young, HashMap::with_capacity(GENERATION));
        }
        self.young.insert(id, subject);
    }
}

impl SubjectCache {
    pub(super) fn get(&self, id: Uuid) -> Option<AnySubject> {
        self.shard(id).get(id)
    }

    /// Puts in a committed subject. Called by the writer only.
    pub(super) fn committed(&self, id: Uuid, subject: AnySubject) {
        self.commits.fetch_add(1, Ordering::SeqCst);
        self.shard(id).put(id, subject);
    }

    /// The number of commits so far; to be taken before a read begins.
    pub(super) fn epoch(&self) -> u64 {
        self.commits.load(Ordering::SeqCst)
    }

    /// Puts in a subject that was read, unless something was committed since `epoch`.
    pub(super) fn read(&self, id: Uuid, subject: &AnySubject, epoch: u64) {
        let mut shard = self.shard(id);
        // Checked under the lock: a commit after this check waits for the lock and then puts in the newer subject.
        if self.epoch() == epoch && !shard.young.contains_key(&id) && !shard.old.contains_key(&id) {
            shard.put(id, subject.clone());
        }
    }

    fn shard(&self, id: Uuid) -> MutexGuard<'_, Shard> {
        // The last of a subject's random bytes: those behind it number its parts.
        let [.., random, _, _, _] = id.into_bytes();
        let shard = &self.shards[usize::from(random) % SHARDS];
        shard.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::{Erasable, Head, Profile, ProfileDetails};
    use std::sync::Arc;

    fn version(sequence: u64) -> AnySubject {
        let details = ProfileDetails {
            customer_id: "c-1".to_owned(),
            reference: "p-1".to_owned(),
            kind: "CARD".to_owned(),
            display_name: None,
            expires_at: None,
            metadata: Default::default(),
        };
        AnySubject::Profile(Arc::new(Profile {
            id: port::ProfileId::from_uuid(Uuid::nil()),
            merchant: "acme".to_owned(),
            account: "decta".to_owned(),
            provider: "decta".to_owned(),
            status: port::ProfileStatus::Active,
            details: Erasable::new(details, [0; 16]),
            deleted: false,
            detached: false,
            created_at: port::Timestamp::default(),
            updated_at: port::Timestamp::default(),
            head: Head { sequence, ..Head::default() },
        }))
    }

    fn held(cache: &SubjectCache, id: Uuid) -> Option<u64> {
        cache.get(id).map(|subject| subject.head().sequence)
    }

    #[test]
    fn what_was_read_before_a_commit_never_takes_its_place() {
        let (cache, id) = (SubjectCache::default(), Uuid::nil());
        let epoch = cache.epoch();
        cache.committed(id, version(2));
        cache.read(id, &version(1), epoch);
        assert_eq!(held(&cache, id), Some(2));
        let other = Uuid::from_u128(1 << 64);
        cache.read(other, &version(1), epoch);
        assert_eq!(held(&cache, other), None);
        cache.read(other, &version(1), cache.epoch());
        assert_eq!(held(&cache, other), Some(1));
    }

    #[test]
    fn what_is_used_stays_and_the_rest_is_forgotten() {
        let (cache, used, unused) = (SubjectCache::default(), Uuid::nil(), Uuid::from_u128(1 << 64));
        cache.committed(used, version(1));
        cache.committed(unused, version(1));
        for number in 2..3 * GENERATION {
            cache.committed(Uuid::from_u128((number as u128) << 64), version(1));
            assert_eq!(held(&cache, used), Some(1));
        }
        assert_eq!(held(&cache, unused), None);
        let shard = cache.shard(used);
        assert!(shard.young.len() + shard.old.len() <= 2 * GENERATION);
    }
}
