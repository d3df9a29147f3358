//! The store with time in it: every access may take a while, be the gateway's last, or fail.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use paymux::domain::{AnySubject, Hash, Lane, Lookup, SubjectKind, Urgency};
use paymux::store::sqlite::Sqlite;
use paymux::store::{
    ApiKeyRow, AttentionFilter, Change, CheckpointRow, ClaimedDelivery, ClaimedJob, Cursor, DeliveryRow,
    DeliveryStream, Due, IdempotencyRow, InboxFilter, InboxRow, OrderFilter, Page, PaymentFilter,
    ProfileFilter, PublicFilter, Store, StoreError, StoredChange, SubjectRow,
};
use port::{EndpointId, NotificationId, OrderId, ProfileId, Timestamp, Uuid};
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
}

/// Reads that take their time before and after, or fail.
macro_rules! store {
    ($($name:ident($($argument:ident: $type:ty),*) -> $found:ty;)*) => {
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

            fn release(&self, lane: &Lane, subject: Uuid) {
                self.sqlite.release(lane, subject);
            }

            fn release_delivery(&self, stream: DeliveryStream) {
                self.sqlite.release_delivery(stream);
            }

            $(async fn $name(&self, $($argument: $type),*) -> Result<$found, StoreError> {
                self.moment().await;
                if self.fails() {
                    return Err(StoreError::Busy);
                }
                let found = self.sqlite.$name($($argument),*).await;
                self.moment().await;
                found
            })*
        }
    };
}

store! {
    claim(lane: &Lane, urgency: Urgency, now: Timestamp, lease: Duration, limit: u32) -> Vec<ClaimedJob>;
    next_due(lane: &Lane) -> Vec<Due>;
    claim_deliveries(endpoint: EndpointId, now: Timestamp, lease: Duration, limit: u32) -> Vec<ClaimedDelivery>;
    next_delivery(endpoint: EndpointId) -> Option<Timestamp>;
    subject(kind: SubjectKind, id: Uuid) -> Option<AnySubject>;
    subject_at(kind: SubjectKind, id: Uuid, sequence: u64) -> Option<AnySubject>;
    changes_of(id: Uuid, after: u64, limit: u32) -> Vec<StoredChange>;
    kind_of(id: Uuid) -> Option<SubjectKind>;
    with_provider_reference(account: &str, reference: &str) -> Vec<Uuid>;
    profile_with_reference(account: &str, reference: &str) -> Option<ProfileId>;
    orders(filter: &OrderFilter) -> Vec<OrderId>;
    payments(filter: &PaymentFilter) -> Vec<Cursor>;
    attention(filter: &AttentionFilter) -> Vec<Cursor>;
    profiles(filter: &ProfileFilter) -> Vec<ProfileId>;
    endpoints() -> Vec<(EndpointId, Option<Timestamp>)>;
    public_changes(filter: &PublicFilter) -> Vec<StoredChange>;
    position_of(id: Uuid, sequence: u64) -> Option<u64>;
    idempotency(merchant: &str, key: &str) -> Option<IdempotencyRow>;
    api_key(hash: &str) -> Option<ApiKeyRow>;
    api_keys() -> Vec<ApiKeyRow>;
    setting(name: &str) -> Option<String>;
    notifications(filter: &InboxFilter) -> Vec<(Timestamp, NotificationId, String)>;
    notification(id: NotificationId) -> Option<InboxRow>;
    deliveries(endpoint: EndpointId, page: &Page) -> Vec<DeliveryRow>;
    oldest_open_payment(account: &str) -> Option<Timestamp>;
    subjects_after(after: Option<Uuid>, limit: u32) -> Vec<SubjectRow>;
    subject_count() -> u64;
    missing_lookups(subject: Uuid, merchant: &str, lookups: Vec<Lookup>) -> Vec<Lookup>;
    lookup_count() -> u64;
    change_count() -> u64;
    snapshot(id: Uuid) -> Option<(u64, String)>;
    change_hashes(after: u64, limit: u32) -> Vec<(u64, Hash)>;
    checkpoints(after: u64, limit: u32) -> Vec<CheckpointRow>;
    last_checkpoint() -> Option<CheckpointRow>;
}
