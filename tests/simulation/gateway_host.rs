//! The gateway below HTTP, put together as `app` does, and how it crashes and starts again.

use std::collections::{BTreeMap, BTreeSet};
use std::future::{Future, pending};
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::sync::{Arc, Mutex, OnceLock};
use std::time::Duration;

use paymux::domain::AttentionCode;
use paymux::metrics::Metrics;
use paymux::orders::Orders;
use paymux::payments::{Account, Accounts, Payments, RefundPolicies, Returns, Shared};
use paymux::reconcile::{JobRunner, NotificationReceiver, Tick};
use paymux::routing::Rules;
use paymux::store::sqlite;
use paymux::store::{EndpointRegistry, JobKind};
use paymux::webhooks::{self, DeliveryContext, WebhookDispatcher};
use paymux::{config, store};
use port::{Env as _, Timestamp};
use tempfile::TempDir;
use tokio::sync::{Notify, oneshot, watch};
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};

use crate::clock::Clock;
use crate::faulty_store::FaultyStore;
use crate::listener::Listener;
use crate::rng::Rng;
use crate::wire::Wire;
use crate::world::{SANDBOX_URL, World, held};

/// Where the gateway lives.
pub(crate) struct GatewayHost {
    folder: TempDir,
    running: Mutex<Option<Running>>,
    /// How many awaits are left until the next crash; none is planned below zero.
    countdown: AtomicI64,
    /// No crash is planned any more.
    calm: AtomicBool,
    struck: Notify,
    /// Tells the agenda's loops that something was written.
    written: watch::Sender<()>,
    config: GatewayConfig,
}

/// How the gateway is set up in a run.
pub(crate) struct GatewayConfig {
    /// How many loops work the agenda off.
    runners: u64,
    /// How often each provider may be asked.
    reads_per_second: u32,
    /// For which reasons money goes back without asking a person.
    gives_back: BTreeSet<AttentionCode>,
}

impl GatewayConfig {
    pub(crate) fn draw(rng: &Rng) -> Self {
        let reasons = [
            AttentionCode::LatePayment,
            AttentionCode::DuplicatePayment,
            AttentionCode::AmountMismatch,
            AttentionCode::PaidNotSubmitted,
            AttentionCode::PaidNotFulfilled,
        ];
        let strict = rng.percent(40);
        Self {
            runners: rng.pick(&[1, 1, 2]),
            reads_per_second: rng.pick(&[1, 5, 100, 100]),
            gives_back: reasons.into_iter().filter(|_| strict && rng.percent(60)).collect(),
        }
    }
}

/// A gateway that runs.
struct Running {
    orders: Orders,
    intake: Arc<NotificationReceiver>,
    tasks: JoinSet<()>,
}

/// The gateway is not there, or died before it answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Down;

impl GatewayHost {
    pub(crate) fn new(config: GatewayConfig) -> Self {
        let memory = std::path::Path::new("/dev/shm");
        let base = if memory.is_dir() { memory.to_owned() } else { std::env::temp_dir() };
        let folder = tempfile::Builder::new().prefix("paymux-simulation-").tempdir_in(base);
        Self {
            folder: folder.expect("a folder for the database"),
            running: Mutex::default(),
            countdown: AtomicI64::new(-1),
            calm: AtomicBool::new(false),
            struck: Notify::new(),
            written: watch::Sender::new(()),
            config,
        }
    }

    fn account(&self, configured: &config::AccountConfig) -> Account {
        let adapter = (configured.about.build)(&configured.settings).expect("the settings are complete");
        let (name, base, test) = (configured.name.clone(), configured.base_url.clone(), configured.test);
        let made = Account::new(name, adapter, base, test, configured.notify_key.clone());
        made.expect("the tables are right").reads_per_second(self.config.reads_per_second)
    }
}

impl World {
    /// Starts the gateway on whatever is in its database.
    pub(crate) async fn start_gateway(self: &Arc<Self>) {
        let path = self.host.folder.path().join("paymux.db");
        let options = sqlite::Options { threads: false, ..sqlite::Options::at(path) };
        let sqlite = sqlite::Sqlite::open(&options, equipment().metrics.clone()).expect("the database opens");
        let faulty = Arc::new(FaultyStore::new(sqlite, self.clone()));
        let store = faulty.clone();
        let Equipment { accounts, rules, metrics } = equipment();
        let accounts = Accounts::new(accounts.iter().map(|account| self.host.account(account)));
        let returns = Returns::new([1; 32], "http://gateway.test");
        let (rules, metrics) = (rules.clone(), metrics.clone());
        let shared = Shared::new(accounts, rules, store, self.clock.clone(), metrics, returns, true);
        let own = BTreeMap::new();
        shared
            .refund_policies
            .store(Arc::new(RefundPolicies { common: self.host.config.gives_back.clone(), own }));
        let transport = Arc::new(Wire::new(self.clone()));
        let shared = Arc::new(shared);
        // A gateway that stumbles here does not start, and is started again.
        while shared.endpoint_registry.refresh(&*shared.store).await.is_err() {}
        let mut tasks = JoinSet::new();
        tasks.spawn(self.webhooks(&faulty, shared.endpoint_registry.clone()));
        let orders = Orders { payments: Payments { shared, transport } };
        for _ in 0..self.host.config.runners {
            let written = self.host.written.subscribe();
            tasks.spawn(work_off(JobRunner { orders: orders.clone() }, written));
        }
        *held(&self.host.running) = Some(Running { orders, intake: Arc::default(), tasks });
        self.note("the gateway starts");
    }

    /// Tells the merchant. Who does so looks on, with chance of its own: the day is the same without it.
    fn webhooks(
        self: &Arc<Self>,
        store: &FaultyStore,
        registry: Arc<EndpointRegistry>,
    ) -> impl Future<Output = ()> + use<> {
        let seed = self.clock.micros().unsigned_abs();
        let rng = Arc::new(Rng::new(seed));
        let store = Arc::new(store.beside(rng.clone()));
        let dispatcher = WebhookDispatcher::new(DeliveryContext {
            store: store.clone(),
            endpoint_registry: registry,
            env: Arc::new(self.clock.beside(seed)),
            metrics: equipment().metrics.clone(),
            transport: Arc::new(Listener::new(self.clone(), rng)),
            qr_url: Arc::new(|attempt| format!("http://gateway.test/qr/{attempt}")),
        });
        tell(dispatcher, store, self.clock.clone(), self.host.written.subscribe())
    }

    /// Has the gateway do something in a task of its own, which ends with the gateway and not with the caller.
    pub(crate) async fn gateway<T, F>(&self, act: impl FnOnce(Orders) -> F) -> Result<T, Down>
    where
        T: Send + 'static,
        F: Future<Output = T> + Send + 'static,
    {
        let (answer, answered) = oneshot::channel();
        {
            let mut running = held(&self.host.running);
            let Some(running) = running.as_mut() else { return Err(Down) };
            let acting = act(running.orders.clone());
            running.tasks.spawn(async move {
                // Nobody may be waiting any more.
                let _ = answer.send(acting.await);
            });
            while let Some(ended) = running.tasks.try_join_next() {
                self.ended(ended);
            }
        }
        answered.await.map_err(|_| Down)
    }

    /// What takes the notifications.
    pub(crate) fn intake(&self) -> Result<Arc<NotificationReceiver>, Down> {
        held(&self.host.running).as_ref().map(|running| running.intake.clone()).ok_or(Down)
    }

    fn ended(&self, task: Result<(), tokio::task::JoinError>) {
        if let Err(fault) = task
            && fault.is_panic()
        {
            self.fail(format!("the gateway panicked: {fault}"));
        }
    }

    /// Something was written to the gateway's store.
    pub(crate) fn written(&self) {
        self.host.written.send_replace(());
    }

    /// A moment at which the gateway waits for something: it may be its last.
    pub(crate) async fn moment(&self) {
        let left = self.host.countdown.load(Ordering::Relaxed);
        if left < 0 {
            return;
        }
        self.host.countdown.store(left - 1, Ordering::Relaxed);
        if left == 0 {
            self.host.struck.notify_one();
            pending::<()>().await;
        }
    }

    /// Plans a crash at the gateway's await number `after` from now, and lives through it.
    pub(crate) async fn crash_after(self: &Arc<Self>, after: i64) {
        if self.host.calm.load(Ordering::Relaxed) {
            return;
        }
        self.host.countdown.store(after, Ordering::Relaxed);
        self.host.struck.notified().await;
        self.stop_gateway().await;
        sleep(self.rng.millis(200, 20_000)).await;
        self.start_gateway().await;
    }

    /// No more crashes.
    pub(crate) fn no_more_crashes(&self) {
        self.host.calm.store(true, Ordering::Relaxed);
        self.host.countdown.store(-1, Ordering::Relaxed);
    }

    /// Drops every task of the gateway where it stands.
    pub(crate) async fn stop_gateway(&self) {
        self.note("the gateway dies");
        let running = held(&self.host.running).take();
        let Some(Running { orders, mut tasks, .. }) = running else { return };
        tasks.abort_all();
        while let Some(ended) = tasks.join_next().await {
            self.ended(ended);
        }
        drop(orders);
    }
}

/// The loop that `app` keeps: does what is due, and rests until it is woken. Where `app` looks again every quarter of
/// a second, this looks when the earliest moment has come, or a quarter of a second after something was written.
async fn work_off(reconcile: JobRunner, mut written: watch::Receiver<()>) {
    let shared = reconcile.orders.payments.shared.clone();
    loop {
        written.mark_unchanged();
        if !matches!(reconcile.run_once().await, Ok(Tick::Did(_))) {
            rest(&*shared.store, shared.now(), &mut written, |kind| kind != JobKind::Deliver).await;
        }
    }
}

/// Tells the merchant likewise.
async fn tell(
    mut dispatcher: WebhookDispatcher,
    store: Arc<FaultyStore>,
    clock: Arc<Clock>,
    mut written: watch::Receiver<()>,
) {
    loop {
        written.mark_unchanged();
        if !matches!(dispatcher.run_once().await, Ok(webhooks::Tick::Did)) {
            rest(&*store, clock.now(), &mut written, |kind| kind == JobKind::Deliver).await;
        }
    }
}

/// Waits for the earliest moment of these kinds, and for what is written.
async fn rest(
    store: &dyn store::Store,
    now: Timestamp,
    written: &mut watch::Receiver<()>,
    of: impl Fn(JobKind) -> bool,
) {
    const MAX: Duration = Duration::from_secs(6 * 3_600);
    const REST: Duration = Duration::from_millis(250);
    let next = store
        .oldest_jobs()
        .await
        .map(|due| due.into_iter().filter(|(kind, _)| of(*kind)).map(|(_, at)| at).min());
    let wait = next.map_or(REST, |next| next.map_or(MAX, |at| at.since(now)).clamp(REST, MAX));
    // Whatever ends the rest, the loop looks again.
    if timeout(wait, written.changed()).await.is_ok() {
        sleep(REST).await;
    }
}

/// What is the same for every gateway of every run.
struct Equipment {
    accounts: Vec<config::AccountConfig>,
    rules: Arc<Rules>,
    metrics: Arc<Metrics>,
}

fn equipment() -> &'static Equipment {
    static EQUIPMENT: OnceLock<Equipment> = OnceLock::new();
    EQUIPMENT.get_or_init(|| {
        let environment = config::Environment::default().with("PAYMUX_SANDBOX_URL", SANDBOX_URL);
        let known = paymux_providers::ALL;
        let providers = config::Providers { known, environment: &environment, allow_private_addresses: true };
        let parsed = config::AccountConfig::parse("sandbox.toml", config::SANDBOX_ACCOUNTS, &providers);
        let accounts = parsed.map_err(|faults| faults.to_string()).expect("the demo accounts are right");
        let names: Vec<&str> = accounts.iter().map(|account| account.name.as_str()).collect();
        let rules = Rules::parse("routing.toml", config::DEMO_ROUTING, &names);
        let rules = rules.map_err(|faults| faults.to_string()).expect("the demo routing is right");
        Equipment { accounts, rules: Arc::new(rules), metrics: Arc::new(Metrics::new()) }
    })
}

/// Reads from the gateway's store, once it runs.
pub(crate) async fn read<T, F>(
    world: &World,
    query: impl FnOnce(Arc<dyn store::Store>) -> F,
) -> Result<T, Down>
where
    T: Send + 'static,
    F: Future<Output = Result<T, store::StoreError>> + Send + 'static,
{
    let found = world.gateway(|orders| query(orders.payments.shared.store.clone())).await?;
    found.map_err(|_| Down)
}
