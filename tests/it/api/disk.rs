//! A disk that is full when a test wants it.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use async_trait::async_trait;
use paymux::domain::AnySubject;
use paymux::store::sqlite::{Leases, Query, Sqlite};
use paymux::store::{Change, Store, StoreError};
use port::Uuid;
use tokio::sync::broadcast;

/// A store whose disk may be full.
pub struct OnDisk {
    pub store: Sqlite,
    pub full: Arc<AtomicBool>,
}

#[async_trait]
impl Store for OnDisk {
    async fn commit(&self, change: Change) -> Result<(), StoreError> {
        if self.full.load(Ordering::Relaxed) {
            return Err(StoreError::Disk("database or disk is full".to_owned()));
        }
        self.store.commit(change).await
    }

    fn changes(&self) -> broadcast::Receiver<Uuid> {
        self.store.changes()
    }

    async fn subject(&self, id: Uuid, sequence: Option<u64>) -> Result<Option<AnySubject>, StoreError> {
        self.store.subject(id, sequence).await
    }

    async fn run(&self, query: Query) -> Result<(), StoreError> {
        self.store.run(query).await
    }

    fn leases(&self) -> &Leases {
        self.store.leases()
    }
}
