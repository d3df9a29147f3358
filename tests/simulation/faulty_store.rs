//! The store with time in it: every access may take a while, be the gateway's last, or stumble.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use paymux::domain::{Hash, OrderAggregate, Profile, ProfileSession};
use paymux::store::sqlite::Sqlite;
use paymux::store::{
    ApiKeyRow, AttentionFilter, AuditReads, Change, CheckpointRow, Cursor, DeliveryRow, DeliveryStream,
    EndpointKeyRow, EndpointRow, InboxFilter, InboxRow, Job, JobKind, KeyUse, OrderFilter, OrderLocator,
    OutboundEventFilter, OutboundEventRow, Page, PaymentFilter, ProfileFilter, ProfileKeyRow, Reads, Store,
    StoreError, StoredEvent, VaultReads, WebhookReads,
};
use port::{
    AttentionId, EndpointId, EventId, NotificationId, OrderId, PaymentId, ProfileId, ProfileSessionId,
    Timestamp,
};
use tokio::sync::broadcast;
use tokio::time::sleep;

use crate::rng::Rng;
use crate::world::{World, held};

/// The database behind drawn delays.
pub(crate) struct FaultyStore {
    sqlite: Arc<Sqlite>,
    world: Arc<World>,
    /// Chance of its own, where its draws shall not shift everybody else's.
    own: Option<Arc<Rng>>,
}

impl FaultyStore {
    pub(crate) fn new(sqlite: Sqlite, world: Arc<World>) -> Self {
        Self { sqlite: Arc::new(sqlite), world, own: None }
    }

    /// The same store for one who only looks on: with chance of its own, it brings no crash about, and nobody is
    /// told of what it writes.
    pub(crate) fn beside(&self, rng: Arc<Rng>) -> Self {
        Self { sqlite: self.sqlite.clone(), world: self.world.clone(), own: Some(rng) }
    }

    fn dice(&self) -> &Rng {
        self.own.as_deref().unwrap_or(&self.world.rng)
    }

    /// Time passes and others get a turn, or the gateway dies. Never a mere yield: the cache in front of reads wakes
    /// its own task by the real clock now and then, which a sleep survives and a yield does not.
    async fn moment(&self) {
        if self.own.is_none() {
            self.world.moment().await;
        }
        if self.dice().percent(35) {
            let longest = self.dice().pick(&[1, 1, 3, 30]);
            sleep(self.dice().millis(1, longest)).await;
        }
    }

    fn stumbles(&self) -> bool {
        held(&self.world.fault_plan).store_fails(self.dice(), self.world.now())
    }
}

#[async_trait]
impl Store for FaultyStore {
    async fn commit(&self, change: Change) -> Result<(), StoreError> {
        let name = change.name;
        self.moment().await;
        if self.stumbles() {
            return Err(StoreError::Busy);
        }
        let done = self.sqlite.commit(change).await;
        if self.own.is_none() {
            self.world.note(&format!("commit {name} {done:?}"));
            self.world.written();
        }
        self.moment().await;
        if done.is_ok() && self.stumbles() {
            return Err(StoreError::Failed("whether it was written is not known".to_owned()));
        }
        done
    }

    async fn claim(&self, now: Timestamp, lease: Duration, limit: u16) -> Result<Vec<Job>, StoreError> {
        self.moment().await;
        self.sqlite.claim(now, lease, limit).await
    }

    async fn claim_deliveries(
        &self,
        now: Timestamp,
        lease: Duration,
        limit: u16,
        slots: Vec<(EndpointId, u16)>,
    ) -> Result<Vec<Job>, StoreError> {
        self.moment().await;
        self.sqlite.claim_deliveries(now, lease, limit, slots).await
    }

    fn changes(&self) -> broadcast::Receiver<OrderId> {
        self.sqlite.changes()
    }
}

/// Reads that take their time before and after, or stumble.
macro_rules! reads {
    ($($kind:ident { $($name:ident($($argument:ident: $type:ty),*) -> $found:ty;)* })*) => {$(
        #[async_trait]
        impl $kind for FaultyStore {
            $(async fn $name(&self, $($argument: $type),*) -> Result<$found, StoreError> {
                self.moment().await;
                if self.stumbles() {
                    return Err(StoreError::Busy);
                }
                let found = self.sqlite.$name($($argument),*).await;
                self.moment().await;
                found
            })*
        }
    )*};
}

reads! {
    Reads {
        order(id: OrderId) -> Option<OrderAggregate>;
        order_at(id: OrderId, sequence: u64) -> Option<OrderAggregate>;
        order_of(locator: &OrderLocator) -> Option<OrderId>;
        orders(filter: &OrderFilter) -> Vec<OrderAggregate>;
        payments(filter: &PaymentFilter) -> Vec<(PaymentId, OrderAggregate)>;
        attention(filter: &AttentionFilter) -> Vec<(AttentionId, OrderAggregate)>;
        events(order: OrderId, after: u64, limit: u32) -> Vec<StoredEvent>;
        key(merchant: &str, key: &str) -> Option<KeyUse>;
        api_key(hash: &str) -> Option<ApiKeyRow>;
        api_keys() -> Vec<ApiKeyRow>;
        setting(name: &str) -> Option<String>;
        notification(id: &str) -> Option<InboxRow>;
        notifications(filter: &InboxFilter, after: Option<(Timestamp, NotificationId)>, limit: u32) -> Vec<(Timestamp, NotificationId)>;
        oldest_open_payment(account: &str) -> Option<Timestamp>;
        oldest_jobs() -> Vec<(JobKind, Timestamp)>;
    }
    WebhookReads {
        endpoints() -> Vec<EndpointRow>;
        endpoint(id: EndpointId) -> Option<EndpointRow>;
        endpoint_key(merchant: &str, key: &str) -> Option<EndpointKeyRow>;
        cursor(stream: DeliveryStream) -> Option<Cursor>;
        deliveries(endpoint: EndpointId, page: &Page) -> Vec<DeliveryRow>;
        outbound_events(filter: &OutboundEventFilter) -> Vec<OutboundEventRow>;
        outbound_event(merchant: &str, event: EventId) -> Option<OutboundEventRow>;
    }
    VaultReads {
        profile_session(id: ProfileSessionId) -> Option<ProfileSession>;
        profile_session_of(return_hash: &str) -> Option<ProfileSession>;
        profile(id: ProfileId) -> Option<Profile>;
        profile_at(account: &str, reference: &str) -> Option<Profile>;
        profiles(filter: &ProfileFilter) -> Vec<Profile>;
        profile_key(merchant: &str, key: &str) -> Option<ProfileKeyRow>;
    }
    AuditReads {
        order_ids(after: Option<OrderId>, limit: u32) -> Vec<OrderId>;
        order_count() -> u64;
        event_hashes(after: u64, limit: u32) -> Vec<(u64, Hash)>;
        checkpoints(after: u64, limit: u32) -> Vec<CheckpointRow>;
        last_checkpoint() -> Option<CheckpointRow>;
    }
}
