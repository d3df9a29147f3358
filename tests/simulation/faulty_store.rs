//! The store with time in it: every access may take a while, be the gateway's last, or fail.

use std::sync::Arc;

use async_trait::async_trait;
use paymux::domain::AnySubject;
use paymux::store::sqlite::{Leases, Query, Sqlite};
use paymux::store::{Change, Store, StoreError};
use port::Uuid;
use tokio::sync::broadcast;
use tokio::time::sleep;

use crate::world::{World, held};

/// The database behind drawn delays.
pub(crate) struct FaultyStore {
    sqlite: Sqlite,
    world: Arc<World>,
}

impl FaultyStore {
    pub(crate) fn new(sqlite: Sqlite, world: Arc<World>) -> Self {
        Self { sqlite, world }
    }

    /// Time passes and others get a turn, or the gateway dies. Never a mere yield: the caches wake their own tasks by
    /// the real clock now and then, which a sleep survives and a yield does not.
    async fn moment(&self) {
        let random = &self.world.random;
        self.world.moment().await;
        if random.percent(35) {
            let longest = random.pick(&[1, 1, 3, 30]);
            sleep(random.millis(1, longest)).await;
        }
    }

    fn fails(&self) -> bool {
        held(&self.world.conditions).store_fails(&self.world.random, self.world.now())
    }

    /// A read that takes its time before and after, or fails.
    async fn read<T>(&self, read: impl Future<Output = Result<T, StoreError>>) -> Result<T, StoreError> {
        self.moment().await;
        if self.fails() {
            return Err(StoreError::Busy);
        }
        let found = read.await;
        self.moment().await;
        found
    }
}

#[async_trait]
impl Store for FaultyStore {
    async fn commit(&self, change: Change) -> Result<(), StoreError> {
        let name = change.name;
        self.moment().await;
        if self.fails() {
            return Err(StoreError::Busy);
        }
        let done = self.sqlite.commit(change).await;
        self.world.log(&format!("commit {name} {done:?}"));
        self.moment().await;
        if done.is_ok() && self.fails() {
            return Err(StoreError::Failed("whether it was written is not known".to_owned()));
        }
        done
    }

    fn changes(&self) -> broadcast::Receiver<Uuid> {
        self.sqlite.changes()
    }

    async fn subject(&self, id: Uuid, sequence: Option<u64>) -> Result<Option<AnySubject>, StoreError> {
        self.read(self.sqlite.subject(id, sequence)).await
    }

    async fn run(&self, query: Query) -> Result<(), StoreError> {
        self.read(self.sqlite.run(query)).await
    }

    fn leases(&self) -> &Leases {
        self.sqlite.leases()
    }
}
