//! Telling merchants: real HTTP to a receiver on this machine, real rows, and a clock that the test sets.

mod delivering;
mod guarded;
mod keeping;
mod laws;
mod receiver;

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use paymux::domain::{
    Actor, EndpointSettings, OrderAggregate, Recorded, SubjectEvent as _, WebhookEndpoint, view,
};
use paymux::engine::{Command, Engine};
use paymux::jobs::{JobContext, JobRunner};
use paymux::metrics::Metrics;
use paymux::outbound::{Options, Outbound};
use paymux::payments::Accounts;
use paymux::store::sqlite::{self, Sqlite};
use paymux::store::{Change, DeliveryRow, Page, Store, Write};
use paymux::webhooks::{Endpoints, WebhookDispatcher};
use port::{EndpointId, Env, OrderId, Timestamp, Transport, Uuid};
use tempfile::TempDir;

use crate::api::gateway;
use crate::store::fixtures::{self, MERCHANT, Shop};

/// Longer than anything here takes, on any machine.
const PATIENCE: Duration = Duration::from_secs(60);

const SECOND: Duration = Duration::from_secs(1);
const MINUTE: Duration = Duration::from_secs(60);
const DAY: Duration = Duration::from_secs(24 * 3_600);

/// A clock that stands still until it is set; ids and random numbers are counted.
struct Clock {
    micros: AtomicI64,
    shop: Shop,
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
struct Host {
    clock: Arc<Clock>,
    store: Arc<dyn Store>,
    engine: Engine,
    endpoints: Endpoints,
    folder: TempDir,
}

impl Host {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let metrics = Arc::new(Metrics::new());
        let options =
            sqlite::Options { threads: false, ..sqlite::Options::at(folder.path().join("paymux.db")) };
        let store: Arc<dyn Store> = Arc::new(Sqlite::open(&options, metrics.clone()).unwrap());
        let real = time::OffsetDateTime::now_utc().unix_timestamp() * 1_000_000;
        let clock = Arc::new(Clock { micros: AtomicI64::new(real), shop: Shop::new() });
        let engine = Engine::new(store.clone(), clock.clone(), metrics);
        let endpoints = Endpoints { engine: engine.clone() };
        Self { clock, store, engine, endpoints, folder }
    }

    fn shop(&self) -> &Shop {
        &self.clock.shop
    }

    fn now(&self) -> Timestamp {
        self.clock.now()
    }

    /// A runner that delivers over HTTP, to this machine too.
    fn runner(&self) -> JobRunner {
        self.runner_over(outbound(true))
    }

    fn dispatcher(&self, transport: Arc<dyn Transport>) -> WebhookDispatcher {
        WebhookDispatcher {
            engine: self.engine.clone(),
            transport,
            qr_url: Arc::new(|attempt| format!("https://pay.example/qr/{attempt}")),
        }
    }

    fn runner_over(&self, transport: Arc<dyn Transport>) -> JobRunner {
        let webhooks = self.dispatcher(transport);
        let orders = gateway::orders(&self.engine, Accounts::default(), "https://pay.example");
        JobRunner::new(JobContext { orders, webhooks })
    }

    async fn endpoint(&self, url: &str) -> Arc<WebhookEndpoint> {
        self.endpoint_for(url, &[]).await
    }

    async fn endpoint_for(&self, url: &str, types: &[&str]) -> Arc<WebhookEndpoint> {
        let types = types.iter().map(|kind| (*kind).to_owned()).collect();
        let new = EndpointSettings { url: url.to_owned(), types, description: None };
        self.endpoints.by(MERCHANT, &merchant()).create(new).await.unwrap()
    }

    async fn known(&self, id: EndpointId) -> Arc<WebhookEndpoint> {
        self.store.load::<WebhookEndpoint>(id.uuid()).await.unwrap().unwrap()
    }

    /// What a change of a merchant's order has to have delivered.
    fn deliveries(&self, merchant: &str, change: &Change) -> Vec<Write> {
        let subject = change.subject.as_ref().unwrap();
        let (id, first, before) = (subject.id, subject.first, subject.public_before);
        let read: Recorded<paymux::domain::Event> =
            Recorded::read(id, first, before, subject.text.clone(), subject.hash).unwrap();
        let public = read.events.iter().zip(first..);
        let public = public.filter_map(|(event, at)| Some((at, view::event_type(event.public()?))));
        let public = || public.collect();
        self.engine.endpoints.deliveries(merchant, OrderId::from_uuid(id), public, self.now())
    }

    /// Commits as the engine does, with what the change has to have delivered. The orders have no other jobs.
    async fn commit(&self, mut change: Change) {
        let deliveries = self.deliveries(MERCHANT, &change);
        change.subject.as_mut().unwrap().schedule.clear();
        self.engine.commit(change.with(deliveries)).await.unwrap();
    }

    async fn create(&self) -> Arc<OrderAggregate> {
        let (order, created) = self.shop().order(None);
        self.commit(created).await;
        order
    }

    /// Two changes more, with five public events.
    async fn pay(&self, order: &mut Arc<OrderAggregate>) {
        for step in [|shop: &Shop, order: &mut _| shop.checkout(order, "main"), Shop::paid] {
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

/// A merchant's command.
fn merchant() -> Command {
    Command::of(Actor::Merchant)
}

/// The newest secret of an endpoint.
fn secret(endpoint: &WebhookEndpoint) -> &str {
    endpoint.secret.value().unwrap().expose()
}

/// Delivers until nothing is due and nothing under way.
async fn until_idle(runner: &mut JobRunner) {
    tokio::time::timeout(PATIENCE, runner.run_due()).await.expect("deliveries end").unwrap();
}

/// Delivers until something is so.
async fn until(runner: &mut JobRunner, done: impl Fn() -> bool) {
    let work = async {
        while !done() {
            // A delivery that hangs ends no turn.
            let turn = tokio::time::timeout(Duration::from_millis(20), runner.run_once());
            turn.await.ok().transpose().unwrap();
        }
    };
    tokio::time::timeout(PATIENCE, work).await.expect("it comes to that");
}
