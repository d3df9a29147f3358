//! Putting the rooms together from their settings.

use std::collections::BTreeSet;
use std::os::unix::fs::DirBuilderExt as _;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use port::sign;

use super::system_env::SystemEnv;
use crate::config::{self, ConfigErrors, Environment, PolicyAction, Providers, RefundPolicy, Settings};
use crate::domain::AttentionCode;
use crate::metrics::Metrics;
use crate::orders::Orders;
use crate::outbound::{self, Outbound};
use crate::payments::{Account, Accounts, Payments, RefundPolicies, Returns, Shared};
use crate::routing::Rules;
use crate::store::{Change, Store, StoreError, Write, sqlite};
use crate::webhooks::{DeliveryContext, WebhookDispatcher};

/// Everything that the files say, checked.
pub(super) struct Plan {
    /// The gateway's own settings.
    pub(super) settings: Settings,
    /// The provider accounts.
    pub(super) accounts: Vec<config::AccountConfig>,
    /// The routing.
    pub(super) rules: Rules,
}

/// Why the gateway could not be put together.
#[derive(Debug, thiserror::Error)]
pub(super) enum BuildError {
    /// The files are wrong.
    #[error("{0}")]
    Config(#[from] ConfigErrors),
    /// The database could not be opened.
    #[error(transparent)]
    Open(#[from] sqlite::OpenError),
    /// The database did not work.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// An adapter's own table cannot be read: a defect of this build.
    #[error(transparent)]
    Words(#[from] port::TableError),
    /// An account's settings do not make an adapter.
    #[error("account `{0}`: {1}")]
    Account(String, port::SettingsError),
    /// The HTTP client could not be made.
    #[error("the HTTP client could not be made: {0}")]
    Outbound(#[from] outbound::OutboundError),
    /// A listener could not be opened.
    #[error("{0} could not be opened: {1}")]
    Listen(std::net::SocketAddr, std::io::Error),
    /// The demo was to be reached from elsewhere.
    #[error(
        "the demo's API key is no secret, so it listens on loopback only, not on {0}; --allow-remote overrides"
    )]
    NotLoopback(std::net::SocketAddr),
    /// The sandbox of the demo does not answer.
    #[error("there is no sandbox at {0}")]
    NoSandbox(String),
    /// The sandbox could not be served.
    #[error(transparent)]
    Sandbox(#[from] paymux_sandbox::ServeError),
    /// Something else of the machine did not work.
    #[error(transparent)]
    Io(#[from] std::io::Error),
}

impl Plan {
    /// Reads settings, accounts and routing, and tells everything that is wrong with any of them.
    ///
    /// # Errors
    /// Every fault, with file and line.
    pub(super) fn read(
        file: &Path,
        environment: &Environment,
        flags: &[(&str, String)],
    ) -> Result<Self, ConfigErrors> {
        let mut faults = ConfigErrors::default();
        let read = faults.gather(Settings::load(Some(file), environment, flags));
        let settings = read.clone().unwrap_or_default();
        let folder = file.parent().unwrap_or(Path::new("."));
        let providers = Providers {
            known: paymux_providers::ALL,
            environment,
            allow_private_addresses: settings.outbound.allow_private_addresses,
        };
        let file = folder.join(&settings.files.accounts);
        let accounts = faults.gather(config::AccountConfig::load(&file, &providers));
        let routing = folder.join(&settings.files.routing);
        // A rule may name an account that has faults; if no account can be told, every rule would seem wrong.
        let rules = config::AccountConfig::names(&file).and_then(|names| {
            let names: Vec<&str> = names.iter().map(String::as_str).collect();
            faults.gather(Rules::load(&routing, &names))
        });
        match (accounts, rules) {
            (Some(accounts), Some(rules)) => faults.or(Self { settings, accounts, rules }),
            _ => Err(faults),
        }
    }
}

/// The names of the accounts, for the routing to choose from.
pub(super) fn names(accounts: &[config::AccountConfig]) -> Vec<&str> {
    accounts.iter().map(|account| account.name.as_str()).collect()
}

/// Opens the database, making its folder where there is none.
///
/// # Errors
/// [`BuildError::Io`], [`BuildError::Store`].
pub(super) fn open_store(
    settings: &config::Store,
    metrics: &Arc<Metrics>,
) -> Result<Arc<sqlite::Sqlite>, BuildError> {
    if let Some(folder) = settings.path.parent().filter(|folder| *folder != Path::new("")) {
        // It will hold personal data.
        std::fs::DirBuilder::new().recursive(true).mode(0o700).create(folder)?;
    }
    let limits = sqlite::Options::at(&settings.path);
    let options = sqlite::Options { queue: settings.queue, batch_max: settings.batch, ..limits };
    Ok(Arc::new(sqlite::Sqlite::open(&options, metrics.clone())?))
}

/// What all workers share.
///
/// # Errors
/// [`BuildError`].
pub(super) async fn share(
    plan: &Plan,
    store: Arc<dyn Store>,
    metrics: Arc<Metrics>,
) -> Result<Arc<Shared>, BuildError> {
    let accounts = plan.accounts.iter().map(adapter).collect::<Result<Vec<_>, _>>()?;
    let key = installation_key(&*store).await?;
    let returns = Returns::new(key, &plan.settings.server.public_url);
    let failover = plan.settings.checkout.failover_after_unknown;
    let rules = Arc::new(plan.rules.clone());
    let mut shared =
        Shared::new(Accounts::new(accounts), rules, store, Arc::new(SystemEnv), metrics, returns, failover);
    let days = u64::from(plan.settings.store.keep_notifications_days);
    shared.keep_notifications = Duration::from_secs(days * 24 * 3_600);
    shared.refund_policies.store(Arc::new(refund_policies(&plan.settings)));
    shared.endpoint_registry.refresh(&*shared.store).await?;
    Ok(Arc::new(shared))
}

fn adapter(account: &config::AccountConfig) -> Result<Account, BuildError> {
    let built = (account.about.build)(&account.settings);
    let adapter = built.map_err(|fault| BuildError::Account(account.name.clone(), fault))?;
    let (name, base_url) = (account.name.clone(), account.base_url.clone());
    let made = Account::new(name, adapter, base_url, account.test, account.notify_key.clone())?;
    Ok(made.reads_per_second(account.reads_per_second).poll_after_capture(account.poll_after_capture_days))
}

/// For which reasons money goes back at once, merchant by merchant.
fn refund_policies(settings: &Settings) -> RefundPolicies {
    let own = settings.merchants.iter().map(|(name, merchant)| (name.clone(), reasons(&merchant.policy)));
    RefundPolicies { common: reasons(&settings.policy), own: own.collect() }
}

fn reasons(policy: &RefundPolicy) -> BTreeSet<AttentionCode> {
    let remedies = [
        (AttentionCode::LatePayment, policy.late_payment),
        (AttentionCode::DuplicatePayment, policy.duplicate_payment),
        (AttentionCode::AmountMismatch, policy.amount_mismatch),
        (AttentionCode::PaidNotSubmitted, policy.paid_not_submitted),
        (AttentionCode::PaidNotFulfilled, policy.paid_not_fulfilled),
    ];
    let back = remedies.into_iter().filter(|(_, remedy)| *remedy == PolicyAction::Refund);
    back.map(|(code, _)| code).collect()
}

/// The secret that return addresses are derived from: made once, kept in the database.
async fn installation_key(store: &dyn Store) -> Result<[u8; 32], StoreError> {
    use port::Env as _;
    const NAME: &str = "installation_key";
    if store.setting(NAME).await?.is_none() {
        let value = sign::hex(&[SystemEnv.nonce(), SystemEnv.nonce()].concat());
        store.commit(Change::plain("installation key", vec![Write::Setting { name: NAME, value }])).await?;
    }
    let kept = store.setting(NAME).await?.unwrap_or_default();
    Ok(sign::sha256(&[kept.as_bytes()]))
}

/// The money use cases of one worker: its own way out, everything else shared.
///
/// # Errors
/// [`BuildError::Outbound`].
pub(super) fn orders(shared: &Arc<Shared>, settings: &config::Outbound) -> Result<Orders, BuildError> {
    let options = outbound::Options {
        connect_timeout: Duration::from_millis(settings.connect_timeout_ms),
        read_timeout: Duration::from_millis(settings.read_timeout_ms),
        timeout: Duration::from_millis(settings.timeout_ms),
        allow_private_addresses: settings.allow_private_addresses,
    };
    let transport = Arc::new(Outbound::new(&options)?);
    Ok(Orders { payments: Payments { shared: shared.clone(), transport } })
}

/// The one who tells merchants, with a way out of its own.
///
/// # Errors
/// [`BuildError::Outbound`].
pub(super) fn dispatcher(
    shared: &Arc<Shared>,
    settings: &config::Webhooks,
) -> Result<WebhookDispatcher, BuildError> {
    let timeout = Duration::from_millis(settings.timeout_ms);
    let options = outbound::Options {
        connect_timeout: timeout,
        read_timeout: timeout,
        timeout,
        allow_private_addresses: settings.allow_private_addresses,
    };
    let links = shared.clone();
    Ok(WebhookDispatcher::new(DeliveryContext {
        store: shared.store.clone(),
        endpoint_registry: shared.endpoint_registry.clone(),
        env: shared.env.clone(),
        metrics: shared.metrics.clone(),
        transport: Arc::new(Outbound::new(&options)?.status_only()),
        qr_url: Arc::new(move |attempt| links.returns.qr_url(attempt)),
    }))
}
