//! The gateway below HTTP, put together as `app` does, and how it crashes and starts again.

use std::collections::{BTreeMap, BTreeSet};
use std::future::{Future, pending};
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::sync::{Arc, Mutex, OnceLock};
use std::time::Duration;

use arc_swap::ArcSwap;
use paymux::config;
use paymux::domain::AttentionCode;
use paymux::engine::Engine;
use paymux::inbox::NotificationReceiver;
use paymux::jobs::{JobContext, JobRunner, Recurring, adjust_to_clock};
use paymux::metrics::Metrics;
use paymux::orders::Orders;
use paymux::payments::{
    Account, Accounts, Payments, Providers, ReadLimiter, RefundPolicies, Returns, Routing,
};
use paymux::routing::Rules;
use paymux::store::{Store, StoreError, sqlite};
use paymux::webhooks::WebhookDispatcher;
use tempfile::TempDir;
use tokio::sync::{Notify, oneshot};
use tokio::task::JoinSet;
use tokio::time::sleep;

use crate::clock::MachineClock;
use crate::faulty_store::FaultyStore;
use crate::listener::Listener;
use crate::random::Random;
use crate::wire::Wire;
use crate::world::{SANDBOX_URL, World, held};

/// How long the gateway keeps notifications: shorter than a run, so that forgetting them is seen too.
const KEEP_NOTIFICATIONS: Duration = Duration::from_secs(20 * 24 * 3_600);

/// Rarer than in a real gateway, where a simulated day would be too long.
const CLOCK_INTERVAL: Duration = Duration::from_secs(60);

/// The machine that the gateway runs on. It outlives every crash.
pub(crate) struct Host {
    folder: TempDir,
    running: Mutex<Option<Running>>,
    /// How many awaits are left until the next crash; none is planned below zero.
    countdown: AtomicI64,
    /// No crash is planned any more.
    crash_free: AtomicBool,
    crashed: Notify,
    settings: Settings,
    pub(crate) clock: Arc<MachineClock>,
}

/// How the gateway is set up in a run.
pub(crate) struct Settings {
    /// The read limit of each account.
    pub(crate) reads_per_second: u32,
    /// The codes of attention that the refund policy refunds.
    pub(crate) refunds: BTreeSet<AttentionCode>,
    /// Whether a start of unknown outcome may be followed by one at another account.
    pub(crate) failover_after_unknown: bool,
}

impl Settings {
    pub(crate) fn draw(random: &Random) -> Self {
        let reasons = [
            AttentionCode::LatePayment,
            AttentionCode::DuplicatePayment,
            AttentionCode::AmountMismatch,
            AttentionCode::PaidNotSubmitted,
            AttentionCode::PaidNotFulfilled,
        ];
        let strict = random.percent(40);
        Self {
            reads_per_second: random.pick(&[1, 5, 100, 100]),
            refunds: reasons.into_iter().filter(|_| strict && random.percent(60)).collect(),
            failover_after_unknown: random.percent(80),
        }
    }
}

/// A gateway that runs.
struct Running {
    orders: Orders,
    receiver: Arc<NotificationReceiver>,
    tasks: JoinSet<()>,
}

/// The gateway is not there, or died before it answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Down;

impl Host {
    pub(crate) fn new(settings: Settings, clock: MachineClock) -> Self {
        let memory = std::path::Path::new("/dev/shm");
        let base = if memory.is_dir() { memory.to_owned() } else { std::env::temp_dir() };
        let folder = tempfile::Builder::new().prefix("paymux-simulation-").tempdir_in(base);
        Self {
            folder: folder.expect("a folder for the database"),
            running: Mutex::default(),
            countdown: AtomicI64::new(-1),
            crash_free: AtomicBool::new(false),
            crashed: Notify::new(),
            settings,
            clock: Arc::new(clock),
        }
    }

    fn account(&self, configured: &config::AccountConfig) -> Account {
        let adapter = (configured.about.build)(&configured.settings).expect("the settings are complete");
        let (name, base, test) = (configured.name.clone(), configured.base_url.clone(), configured.test);
        let account = Account::new(name, adapter, base, test, configured.notify_key.clone());
        let reads = ReadLimiter::new(self.settings.reads_per_second);
        Account { reads, ..account.expect("the tables are right") }
    }
}

impl World {
    /// Starts the gateway on whatever is in its database.
    pub(crate) async fn start_gateway(self: &Arc<Self>) {
        let path = self.host.folder.path().join("paymux.db");
        let options = sqlite::Options { threads: false, ..sqlite::Options::at(path) };
        let metrics = equipment().metrics.clone();
        let sqlite = sqlite::Sqlite::open(&options, metrics.clone()).expect("the database opens");
        let store = Arc::new(FaultyStore::new(sqlite, self.clone()));
        let engine = Engine::new(store, self.host.clock.clone(), metrics);
        // A gateway that fails here does not start, and is started again.
        while engine.endpoints.refresh(&*engine.store).await.is_err() {}
        while adjust_to_clock(&engine).await.is_err() {}
        let orders = self.orders(&engine);
        let returns = orders.payments.providers.clone();
        let webhooks = WebhookDispatcher {
            engine: engine.clone(),
            transport: Arc::new(Listener::new(self.clone())),
            qr_url: Arc::new(move |attempt| returns.returns().qr_url(attempt)),
        };
        let mut tasks = JoinSet::new();
        tasks.spawn(JobRunner::new(JobContext { orders: orders.clone(), webhooks }).run());
        tasks.spawn(Recurring::new(engine, KEEP_NOTIFICATIONS, CLOCK_INTERVAL).run());
        *held(&self.host.running) = Some(Running { orders, receiver: Arc::default(), tasks });
        self.log("the gateway starts");
    }

    /// The use cases on an engine.
    fn orders(self: &Arc<Self>, engine: &Engine) -> Orders {
        let Equipment { accounts, rules, .. } = equipment();
        let settings = &self.host.settings;
        let accounts = Accounts::new(accounts.iter().map(|account| self.host.account(account)));
        let returns = Arc::new(Returns::new([1; 32], "http://gateway.test"));
        let transport = Arc::new(Wire::new(self.clone()));
        let routing = Routing {
            rules: ArcSwap::new(rules.clone()),
            failover_after_unknown: settings.failover_after_unknown,
        };
        let payments = Payments {
            engine: engine.clone(),
            providers: Providers::new(Arc::new(accounts), transport, returns, engine),
            routing: Arc::new(routing),
            fetches: Arc::default(),
        };
        let policies = RefundPolicies { common: settings.refunds.clone(), own: BTreeMap::new() };
        Orders { payments, refund_policies: Arc::new(ArcSwap::from_pointee(policies)) }
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

    /// What receives the notifications.
    pub(crate) fn receiver(&self) -> Result<Arc<NotificationReceiver>, Down> {
        held(&self.host.running).as_ref().map(|running| running.receiver.clone()).ok_or(Down)
    }

    fn ended(&self, task: Result<(), tokio::task::JoinError>) {
        if let Err(fault) = task
            && fault.is_panic()
        {
            self.fail(format!("the gateway panicked: {fault}"));
        }
    }

    /// A moment at which the gateway waits for something: it may be its last.
    pub(crate) async fn moment(&self) {
        let left = self.host.countdown.load(Ordering::Relaxed);
        if left < 0 {
            return;
        }
        self.host.countdown.store(left - 1, Ordering::Relaxed);
        if left == 0 {
            self.host.crashed.notify_one();
            pending::<()>().await;
        }
    }

    /// Plans a crash at the gateway's await number `after` from now, and lives through it.
    pub(crate) async fn crash_after(self: &Arc<Self>, after: i64) {
        if self.host.crash_free.load(Ordering::Relaxed) {
            return;
        }
        self.host.countdown.store(after, Ordering::Relaxed);
        self.host.crashed.notified().await;
        self.stop_gateway().await;
        sleep(self.random.millis(200, 20_000)).await;
        self.start_gateway().await;
    }

    /// No more crashes.
    pub(crate) fn no_more_crashes(&self) {
        self.host.crash_free.store(true, Ordering::Relaxed);
        self.host.countdown.store(-1, Ordering::Relaxed);
    }

    /// Drops every task of the gateway, wherever it is.
    pub(crate) async fn stop_gateway(&self) {
        self.log("the gateway dies");
        let running = held(&self.host.running).take();
        let Some(Running { orders, mut tasks, .. }) = running else { return };
        tasks.abort_all();
        while let Some(ended) = tasks.join_next().await {
            self.ended(ended);
        }
        drop(orders);
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
pub(crate) async fn read<T, F>(world: &World, query: impl FnOnce(Arc<dyn Store>) -> F) -> Result<T, Down>
where
    T: Send + 'static,
    F: Future<Output = Result<T, StoreError>> + Send + 'static,
{
    let found = world.gateway(|orders| query(orders.payments.engine.store.clone())).await?;
    found.map_err(|_| Down)
}
