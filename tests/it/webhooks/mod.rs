//! Telling merchants: real HTTP to a receiver on this machine, real rows, and a clock that the test sets.

mod delivering;
mod guarded;
mod keeping;
mod laws;
mod receiver;

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use paymux::domain::OrderAggregate;
use paymux::metrics::Metrics;
use paymux::outbound::{Options, Outbound};
use paymux::store::sqlite::{self, Sqlite};
use paymux::store::{Change, DeliveryRow, EndpointRegistry, EndpointRow, Page, Store};
use paymux::webhooks::{DeliveryContext, Draft, Endpoints, Tick, WebhookDispatcher};
use port::{EndpointId, Env, Timestamp, Transport, Uuid};
use tempfile::TempDir;

use crate::store::fixtures::{self, MERCHANT, OrderFactory};

/// Longer than anything here takes, on any machine.
const PATIENCE: Duration = Duration::from_secs(60);

const SECOND: Duration = Duration::from_secs(1);
const MINUTE: Duration = Duration::from_secs(60);
const DAY: Duration = Duration::from_secs(24 * 3_600);

/// A clock that stands still until it is set; ids and chance as the shop counts them.
struct Clock {
    micros: AtomicI64,
    shop: OrderFactory,
}

impl Clock {
    fn pass(&self, span: Duration) {
        self.micros.fetch_add(i64::try_from(span.as_micros()).unwrap(), Ordering::SeqCst);
    }
}

impl Env for Clock {
    fn now(&self) -> Timestamp {
        Timestamp::from_micros(self.micros.load(Ordering::SeqCst))
    }

    fn uuid(&self) -> Uuid {
        self.shop.uuid()
    }

    fn nonce(&self) -> [u8; 16] {
        self.shop.uuid().into_bytes()
    }
}

/// Everything but HTTP on the inside.
struct TestHost {
    clock: Arc<Clock>,
    store: Arc<dyn Store>,
    registry: Arc<EndpointRegistry>,
    endpoints: Endpoints,
    metrics: Arc<Metrics>,
    folder: TempDir,
}

impl TestHost {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let metrics = Arc::new(Metrics::new());
        let options =
            sqlite::Options { threads: false, ..sqlite::Options::at(folder.path().join("paymux.db")) };
        let store: Arc<dyn Store> = Arc::new(Sqlite::open(&options, metrics.clone()).unwrap());
        let real = time::OffsetDateTime::now_utc().unix_timestamp() * 1_000_000;
        let clock = Arc::new(Clock { micros: AtomicI64::new(real), shop: OrderFactory::new() });
        let registry = Arc::new(EndpointRegistry::default());
        let endpoints = Endpoints { store: store.clone(), registry: registry.clone(), env: clock.clone() };
        Self { clock, store, registry, endpoints, metrics, folder }
    }

    fn shop(&self) -> &OrderFactory {
        &self.clock.shop
    }

    /// One who delivers over HTTP, to this machine too.
    fn courier(&self) -> WebhookDispatcher {
        self.courier_over(outbound(true))
    }

    fn courier_over(&self, transport: Arc<dyn Transport>) -> WebhookDispatcher {
        WebhookDispatcher::new(DeliveryContext {
            store: self.store.clone(),
            endpoint_registry: self.registry.clone(),
            env: self.clock.clone(),
            metrics: self.metrics.clone(),
            transport,
            qr_url: Arc::new(|attempt| format!("https://pay.example/qr/{attempt}")),
        })
    }

    async fn endpoint(&self, url: &str) -> EndpointRow {
        self.endpoint_for(url, &[]).await
    }

    async fn endpoint_for(&self, url: &str, types: &[&str]) -> EndpointRow {
        let types = types.iter().map(|kind| (*kind).to_owned()).collect();
        let draft = Draft { url: url.to_owned(), types, description: None };
        self.endpoints.create(MERCHANT, draft, None).await.unwrap()
    }

    async fn known(&self, id: EndpointId) -> EndpointRow {
        self.store.endpoint(id).await.unwrap().unwrap()
    }

    /// Commits as the use cases do: with what the change makes owed.
    async fn commit(&self, mut change: Change) {
        change.writes.extend(self.registry.enqueue(MERCHANT, &change, self.clock.now()));
        self.store.commit(change).await.unwrap();
        self.registry.wake();
    }

    async fn place(&self) -> OrderAggregate {
        let (order, placed) = self.shop().place(None);
        self.commit(placed).await;
        order
    }

    /// Three changes more, with five events that merchants are told of.
    async fn pay(&self, order: &mut OrderAggregate) {
        for step in [
            |shop: &OrderFactory, order: &mut OrderAggregate| shop.checkout(order, "main"),
            OrderFactory::paid,
        ] {
            let change = step(self.shop(), order);
            self.commit(change).await;
        }
    }

    async fn tries(&self, endpoint: EndpointId) -> Vec<DeliveryRow> {
        let mut tries = self.store.deliveries(endpoint, &Page { before: None, limit: 200 }).await.unwrap();
        tries.reverse();
        tries
    }
}

fn outbound(allow_private_addresses: bool) -> Arc<dyn Transport> {
    let options = Options {
        connect_timeout: PATIENCE,
        read_timeout: PATIENCE,
        timeout: PATIENCE,
        allow_private_addresses,
    };
    Arc::new(Outbound::new(&options).unwrap().status_only())
}

/// Delivers until nothing is due and nothing under way.
async fn until_idle(dispatcher: &mut WebhookDispatcher) {
    let work = async { while dispatcher.run_once().await.unwrap() == Tick::Did {} };
    tokio::time::timeout(PATIENCE, work).await.expect("deliveries end");
}

/// Delivers until something is so.
async fn until(dispatcher: &mut WebhookDispatcher, done: impl Fn() -> bool) {
    let work = async {
        while !done() {
            dispatcher.run_once().await.unwrap();
        }
    };
    tokio::time::timeout(PATIENCE, work).await.expect("it comes to that");
}
