//! Subjects that were lately changed or read, so that what is already held is not read back.
//!
//! The writer puts in what it has committed, in the order of commits. A reader puts in what it has read only if nothing
//! was committed meanwhile, so the cache never holds an older version than the database.

use std::sync::atomic::{AtomicU64, Ordering};

use moka::ops::compute::Op;
use moka::sync::Cache;
use port::Uuid;

use crate::domain::AnySubject;

/// Subjects that are kept.
const MAX_SUBJECTS: u64 = 8_192;

/// Subjects by their id.
pub(super) struct SubjectCache {
    known: Cache<Uuid, AnySubject>,
    /// How many changes of subjects were committed.
    commits: AtomicU64,
}

impl Default for SubjectCache {
    fn default() -> Self {
        Self { known: Cache::new(MAX_SUBJECTS), commits: AtomicU64::new(0) }
    }
}

impl SubjectCache {
    pub(super) fn get(&self, id: Uuid) -> Option<AnySubject> {
        self.known.get(&id)
    }

    /// A subject was committed. Only the writer says so.
    pub(super) fn committed(&self, id: Uuid, subject: AnySubject) {
        self.commits.fetch_add(1, Ordering::SeqCst);
        // One key is computed by one thread at a time, so a reader's turn comes before or after.
        self.known.entry(id).and_compute_with(|_| Op::Put(subject));
    }

    /// To be asked before a read begins.
    pub(super) fn epoch(&self) -> u64 {
        self.commits.load(Ordering::SeqCst)
    }

    /// A subject was read, in a read that began at an epoch.
    pub(super) fn read(&self, id: Uuid, subject: &AnySubject, epoch: u64) {
        self.known.entry(id).and_compute_with(|known| {
            let fresh = self.epoch() == epoch && known.is_none();
            if fresh { Op::Put(subject.clone()) } else { Op::Nop }
        });
    }
}
