//! A gateway to talk to.

use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU64, Ordering};
use std::time::Duration;

use paymux::config::Settings;
use paymux::engine::Engine;
use paymux::http;
use paymux::jobs::{JobContext, JobRunner};
use paymux::metrics::Metrics;
use paymux::orders::Orders;
use paymux::payments::{Account, Accounts, Payments, Providers, ReadLimiter, Returns, Routing};
use paymux::routing::Rules;
use paymux::store::sqlite::{Options, Sqlite};
use paymux::store::{ApiKeyRow, Change, JobSubject, Store, Write};
use paymux::webhooks::WebhookDispatcher;
use paymux_testkit::Script;
use port::{Env, Secret, Timestamp, Transport, Uuid, sign};
use tempfile::TempDir;

use super::disk::OnDisk;
use super::fake_provider::{self, FakeProvider};

/// A key of the merchant `shop` that may do everything.
pub const API_KEY: &str = "pk_test_shop";

/// A key of another merchant.
pub const OTHER_KEY: &str = "pk_test_other";

/// A key that may not touch payments.
pub const FINANCE_KEY: &str = "pk_test_finance";

/// A key that was withdrawn.
pub const REVOKED_KEY: &str = "pk_test_revoked";

/// The secret part of the address that the account `two` is notified at.
pub const NOTIFY_KEY: &str = "teller-knocks-twice";

const ROUTING: &str = "pins = true\n[[rules]]\nname = \"all\"\naccounts = [\"one\"]\n";

/// The whole gateway, but for its jobs, which are run when a test wants it.
pub struct Gateway {
    pub address: SocketAddr,
    pub clock: Arc<Clock>,
    pub provider: Arc<FakeProvider>,
    pub store: Arc<dyn Store>,
    pub disk_full: Arc<AtomicBool>,
    pub orders: Orders,
    pub common: Arc<http::Common>,
    server: actix_web::dev::ServerHandle,
    folder: TempDir,
}

/// How long anything here may take at most.
pub const PATIENCE: Duration = Duration::from_secs(60);

impl Gateway {
    pub async fn start() -> Self {
        Self::with(|_| {}).await
    }

    /// Whose accounts are watched for so many days.
    pub async fn watching(days: u32) -> Self {
        Self::of(|_| {}, |account| Account { poll_after_capture_days: days, ..account }).await
    }

    /// Whose accounts are read so often at most.
    pub async fn reading(reads_per_second: u32) -> Self {
        Self::of(|_| {}, |account| Account { reads: ReadLimiter::new(reads_per_second), ..account }).await
    }

    /// With other settings than the usual ones.
    pub async fn with(change: impl FnOnce(&mut Settings)) -> Self {
        Self::of(change, |account| account).await
    }

    async fn of(change: impl FnOnce(&mut Settings), set_up: impl Fn(Account) -> Account) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let metrics = Arc::new(Metrics::new());
        let options = Options::at(folder.path().join("paymux.db"));
        let (store, disk_full) = (Sqlite::open(&options, metrics.clone()).unwrap(), Arc::default());
        let store: Arc<dyn Store> = Arc::new(OnDisk { store, full: Arc::clone(&disk_full) });
        let clock = Arc::new(Clock::default());
        let engine = Engine::new(store.clone(), clock.clone(), metrics);
        let provider = Arc::new(FakeProvider::default());
        let mut settings = Settings::default();
        settings.server.public_url = "https://pay.test".to_owned();
        settings.server.workers = 2;
        // The clock stands still, so nothing would fill a bucket again while a test waits for something.
        settings.limits.requests_burst = 1_000_000;
        change(&mut settings);
        let account = |name: &str, notify_key: Option<&str>| {
            let notify_key = notify_key.map(Secret::from);
            let adapter = fake_provider::adapter(&provider, name);
            let made = Account::new(name.to_owned(), adapter, String::new(), false, notify_key);
            set_up(made.unwrap())
        };
        let accounts = Accounts::new([account("one", None), account("two", Some(NOTIFY_KEY))]);
        let orders = orders(&engine, accounts, &settings.server.public_url);
        keys(&*store, clock.now()).await;
        let common = Arc::new(http::Common::new(Arc::new(settings), &engine));
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let worker = orders.clone();
        let running = http::serve(listener, common.clone(), move || worker.clone()).unwrap();
        let server = running.handle();
        tokio::spawn(running);
        Self { address, clock, provider, store, disk_full, orders, common, server, folder }
    }

    /// A job runner on what the gateway shares.
    pub fn job_runner(&self) -> JobRunner {
        self.job_runner_over(Arc::new(Script::new(Vec::new())))
    }

    /// The same, that delivers to merchants by this way.
    pub fn job_runner_over(&self, transport: Arc<dyn Transport>) -> JobRunner {
        let providers = self.orders.payments.providers.clone();
        let webhooks = WebhookDispatcher {
            engine: self.orders.payments.engine.clone(),
            transport,
            qr_url: Arc::new(move |attempt| providers.returns().qr_url(attempt)),
        };
        JobRunner::new(JobContext { orders: self.orders.clone(), webhooks })
    }

    /// Does all that is due by now.
    pub async fn run_jobs(&self) {
        let mut runner = self.job_runner();
        tokio::time::timeout(PATIENCE, runner.run_due()).await.expect("the jobs end").unwrap();
    }

    /// How many jobs there are of a kind of subject.
    pub fn jobs_of(&self, kind: JobSubject) -> u32 {
        let db = rusqlite::Connection::open(self.folder.path().join("paymux.db")).unwrap();
        let sql = "SELECT count(*) FROM jobs WHERE kind = ?1";
        db.query_row(sql, [kind as u8], |row| row.get(0)).unwrap()
    }
}

/// The use cases, with a provider that the test controls.
pub fn orders(engine: &Engine, accounts: Accounts, public_url: &str) -> Orders {
    let transport = Arc::new(Script::new(Vec::new()));
    let rules = Rules::parse("routing.toml", ROUTING, &["one", "two"]).unwrap();
    orders_over(transport, rules, engine, accounts, public_url)
}

/// The same over other answers of the providers, and by other rules.
pub fn orders_over(
    transport: Arc<dyn Transport>,
    rules: Rules,
    engine: &Engine,
    accounts: Accounts,
    public_url: &str,
) -> Orders {
    let returns = Arc::new(Returns::new([7; 32], public_url));
    let payments = Payments {
        engine: engine.clone(),
        providers: Providers::new(Arc::new(accounts), transport, returns, engine),
        routing: Arc::new(Routing::new(rules, true)),
        fetches: Arc::default(),
    };
    Orders { payments, refund_policies: Arc::default() }
}

impl Drop for Gateway {
    fn drop(&mut self) {
        // The command is sent at once, without waiting.
        drop(self.server.stop(false));
    }
}

async fn keys(store: &dyn Store, now: Timestamp) {
    let rows = [
        (API_KEY, "shop", ["payments", "finance", "ops"].as_slice(), None),
        (OTHER_KEY, "other", &["payments"], None),
        (FINANCE_KEY, "shop", &["finance"], None),
        (REVOKED_KEY, "shop", &["payments"], Some(now)),
    ];
    let rows = rows.map(|(text, merchant, scopes, revoked_at)| {
        Write::ApiKey(ApiKeyRow {
            hash: hex::encode(sign::sha256(&[text.as_bytes()])),
            hint: text[..5].to_owned(),
            merchant: merchant.to_owned(),
            scopes: scopes.iter().map(|scope| (*scope).to_owned()).collect(),
            created_at: now,
            revoked_at,
        })
    });
    store.commit(Change::plain("keys", rows.into())).await.unwrap();
}

/// A clock that stands still until the test moves it; ids are later than any before.
pub struct Clock {
    micros: AtomicI64,
    drawn: AtomicU64,
}

impl Default for Clock {
    fn default() -> Self {
        Self { micros: AtomicI64::new(1_767_225_600_000_000), drawn: AtomicU64::new(1) }
    }
}

impl Clock {
    pub fn pass(&self, span: Duration) {
        self.micros.fetch_add(i64::try_from(span.as_micros()).unwrap(), Ordering::SeqCst);
    }

    pub fn set_back(&self, span: Duration) {
        self.micros.fetch_sub(i64::try_from(span.as_micros()).unwrap(), Ordering::SeqCst);
    }

    fn draw(&self) -> u128 {
        self.drawn.fetch_add(1, Ordering::SeqCst).into()
    }
}

impl Env for Clock {
    fn now(&self) -> Timestamp {
        Timestamp::from_micros(self.micros.load(Ordering::SeqCst))
    }

    fn uuid(&self) -> Uuid {
        let millis = u128::try_from(self.now().micros() / 1_000).unwrap();
        Uuid::from_u128(millis << 80 | 0x7 << 76 | 0b10 << 62 | self.draw() << 24)
    }

    fn nonce(&self) -> [u8; 16] {
        (self.draw() << 3 ^ 0x9e37_79b9_7f4a_7c15).to_be_bytes()
    }
}
