//! Builds the parts of the gateway (store, engine, accounts, use cases) from the settings.

use std::collections::BTreeSet;
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use port::{Transport, sign};

use super::output::counted;
use super::system_env::SystemEnv;
use crate::config::{self, ConfigErrors, Environment, PolicyAction, Providers, RefundPolicy, Settings};
use crate::domain::AttentionCode;
use crate::engine::Engine;
use crate::jobs;
use crate::metrics::Metrics;
use crate::orders::Orders;
use crate::outbound::{self, Outbound};
use crate::payments::{
    self, Account, Accounts, FetchLog, Payments, ReadLimiter, RefundPolicies, Returns, Routing,
};
use crate::routing::Rules;
use crate::store::sqlite::OpenError;
use crate::store::{Change, OpenWork, StoreError, Write, sqlite};
use crate::webhooks::WebhookDispatcher;

/// The three configuration files, read and checked.
pub(super) struct Plan {
    pub(super) settings: Settings,
    pub(super) accounts: Vec<config::AccountConfig>,
    pub(super) rules: Rules,
}

/// Why the program could not start, as an operator reads it.
pub(super) type BuildError = Box<dyn std::error::Error + Send + Sync>;

impl Plan {
    /// Reads settings, accounts and routing.
    ///
    /// # Errors
    /// Everything that is wrong with any of them, with file and line.
    pub(super) fn read(file: &Path, environment: &Environment) -> Result<Self, ConfigErrors> {
        let (settings, mut errors) = Settings::load_partly(Some(file), environment)?;
        let providers = Providers {
            known: paymux_providers::ALL,
            environment,
            // With an error in the settings it may be meant to be allowed: then nothing is said against it.
            allow_private_addresses: settings.outbound.allow_private_addresses || !errors.0.is_empty(),
        };
        let routing = file.parent().unwrap_or(Path::new(".")).join(&settings.files.routing);
        let file = Self::accounts_file(file, &settings);
        let accounts = errors.gather(config::AccountConfig::load(&file, &providers));
        // A rule may name an account that has errors. If the names cannot be read at all, the rules are not checked,
        // since every one would be reported.
        let rules = config::AccountConfig::names(&file).and_then(|names| {
            let names: Vec<&str> = names.iter().map(String::as_str).collect();
            errors.gather(Rules::load(&routing, &names))
        });
        match (accounts, rules) {
            (Some(accounts), Some(rules)) => errors.or(Self { settings, accounts, rules }),
            _ => Err(errors),
        }
    }

    /// The path of the accounts, by the path of the settings that name it.
    pub(super) fn accounts_file(file: &Path, settings: &Settings) -> PathBuf {
        file.parent().unwrap_or(Path::new(".")).join(&settings.files.accounts)
    }
}

impl Plan {
    /// What to know of accounts that are not configured, by what is still open at each.
    pub(super) fn retired_accounts(&self, open: Vec<OpenWork>) -> Vec<String> {
        let configured = names(&self.accounts);
        let retired = open.into_iter().filter(|open| !configured.contains(&open.account.as_str()));
        retired.map(|open| retired_account(&open)).collect()
    }
}

fn retired_account(open: &OpenWork) -> String {
    let parts = [
        ("unpaid payment", open.unpaid),
        ("AUTHORIZED payment", open.authorized),
        ("DISPUTED payment", open.disputed),
        ("waiting job", open.waiting),
    ];
    let parts = parts.into_iter().filter(|(_, count)| *count > 0);
    let parts: Vec<_> = parts.map(|(what, count)| counted(count, what)).collect();
    format!(
        "the account {} is not configured and has {}; nothing of it can be fetched, captured, voided or refunded until \
         it is",
        open.account,
        parts.join(", ")
    )
}

/// The names of the accounts, for the routing to choose from.
pub(super) fn names(accounts: &[config::AccountConfig]) -> Vec<&str> {
    accounts.iter().map(|account| account.name.as_str()).collect()
}

/// Opens the database, and makes it where there is none.
pub(super) fn open_engine(settings: &config::Store, metrics: Arc<Metrics>) -> Result<Engine, BuildError> {
    if let Some(folder) = settings.path.parent().filter(|folder| *folder != Path::new("")) {
        // The database holds personal data, so only its owner may read the folder.
        let made = std::fs::DirBuilder::new().recursive(true).mode(0o700).create(folder);
        made.map_err(|why| format!("the folder {} could not be made: {why}", folder.display()))?;
    }
    open_with(settings, true, metrics)
}

/// Opens a database that is there.
pub(super) fn open_existing(settings: &config::Store, metrics: Arc<Metrics>) -> Result<Engine, BuildError> {
    open_with(settings, false, metrics)
}

fn open_with(settings: &config::Store, create: bool, metrics: Arc<Metrics>) -> Result<Engine, BuildError> {
    let limits = sqlite::Options::at(&settings.path);
    let options = sqlite::Options { create, queue: settings.queue, batch_max: settings.batch, ..limits };
    let store =
        sqlite::Sqlite::open(&options, metrics.clone()).map_err(|fault| with_name(fault, &settings.path))?;
    let env = SystemEnv::after(store.newest_subject());
    Ok(Engine::new(Arc::new(store), Arc::new(env), metrics))
}

/// Why a database could not be opened, with its path.
pub(super) fn with_name(fault: OpenError, database: &Path) -> BuildError {
    match fault {
        OpenError::InUse(_) | OpenError::File { .. } | OpenError::Missing(_) => fault.into(),
        unnamed => format!("{}: {unnamed}", database.display()).into(),
    }
}

#[derive(Clone)]
pub(super) struct Shared {
    pub(super) engine: Engine,
    accounts: Arc<Accounts>,
    returns: Arc<Returns>,
    routing: Arc<Routing>,
    fetches: Arc<FetchLog>,
    refund_policies: Arc<ArcSwap<RefundPolicies>>,
}

impl Shared {
    /// Builds the accounts and reads the installation key and the webhook endpoints from the database.
    pub(super) async fn new(plan: &Plan, engine: Engine) -> Result<Self, BuildError> {
        let settings = &plan.settings;
        let accounts = plan.accounts.iter().map(account).collect::<Result<Vec<_>, _>>()?;
        let key = installation_key(&engine).await?;
        engine.endpoints.refresh(&*engine.store).await?;
        jobs::adjust_to_clock(&engine).await?;
        let routing = Routing::new(plan.rules.clone(), settings.checkout.failover_after_unknown);
        Ok(Self {
            engine,
            accounts: Arc::new(Accounts::new(accounts)),
            returns: Arc::new(Returns::new(key, &settings.server.public_url)),
            routing: Arc::new(routing),
            fetches: Arc::default(),
            refund_policies: Arc::new(ArcSwap::from_pointee(refund_policies(settings))),
        })
    }

    /// The use cases for one worker thread, with its own HTTP client.
    pub(super) fn orders(&self, transport: Arc<dyn Transport>) -> Orders {
        let (accounts, returns) = (self.accounts.clone(), self.returns.clone());
        let payments = Payments {
            engine: self.engine.clone(),
            providers: payments::Providers::new(accounts, transport, returns, &self.engine),
            routing: self.routing.clone(),
            fetches: self.fetches.clone(),
        };
        Orders { payments, refund_policies: self.refund_policies.clone() }
    }

    /// The webhook dispatcher, with its own HTTP client.
    pub(super) fn dispatcher(&self, settings: &config::Webhooks) -> Result<WebhookDispatcher, BuildError> {
        let timeout = Duration::from_millis(settings.timeout_ms);
        let options = outbound::Options {
            connect_timeout: timeout,
            read_timeout: timeout,
            timeout,
            allow_private_addresses: settings.allow_private_addresses,
        };
        let returns = self.returns.clone();
        Ok(WebhookDispatcher {
            engine: self.engine.clone(),
            transport: Arc::new(Outbound::new(&options)?.status_only()),
            qr_url: Arc::new(move |attempt| returns.qr_url(attempt)),
        })
    }
}

/// A client for calls to providers.
pub(super) fn provider_transport(settings: &config::Outbound) -> Result<Arc<dyn Transport>, BuildError> {
    let options = outbound::Options {
        connect_timeout: Duration::from_millis(settings.connect_timeout_ms),
        read_timeout: Duration::from_millis(settings.read_timeout_ms),
        timeout: Duration::from_millis(settings.timeout_ms),
        allow_private_addresses: settings.allow_private_addresses,
    };
    Ok(Arc::new(Outbound::new(&options)?))
}

fn account(config: &config::AccountConfig) -> Result<Account, BuildError> {
    let built = (config.about.build)(&config.settings);
    let adapter = built.map_err(|why| format!("account `{}`: {why}", config.name))?;
    let (name, base_url) = (config.name.clone(), config.base_url.clone());
    let account = Account::new(name, adapter, base_url, config.test, config.notify_key.clone())?;
    let reads = ReadLimiter::new(config.reads_per_second);
    Ok(Account { reads, poll_after_capture_days: config.poll_after_capture_days, ..account })
}

/// The refund policy of each merchant.
fn refund_policies(settings: &Settings) -> RefundPolicies {
    let own = settings.merchants.iter().map(|(name, merchant)| (name.clone(), reasons(&merchant.policy)));
    RefundPolicies { common: reasons(&settings.policy), own: own.collect() }
}

fn reasons(policy: &RefundPolicy) -> BTreeSet<AttentionCode> {
    let actions = [
        (AttentionCode::LatePayment, policy.late_payment),
        (AttentionCode::DuplicatePayment, policy.duplicate_payment),
        (AttentionCode::AmountMismatch, policy.amount_mismatch),
        (AttentionCode::PaidNotSubmitted, policy.paid_not_submitted),
        (AttentionCode::PaidNotFulfilled, policy.paid_not_fulfilled),
    ];
    let refunds = actions.into_iter().filter(|(_, action)| *action == PolicyAction::Refund);
    refunds.map(|(code, _)| code).collect()
}

/// Logs each account that is no longer configured and at which something is still open.
pub(super) async fn warn_of_retired_accounts(plan: &Plan, engine: &Engine) -> Result<(), StoreError> {
    for warning in plan.retired_accounts(engine.store.open_work().await?) {
        tracing::warn!("{warning}");
    }
    Ok(())
}

/// The name of the installation key in the database.
const INSTALLATION_KEY: &str = "installation_key";

/// Whether nothing was ever served from a database, nor an API key made in it.
pub(super) async fn is_new(engine: &Engine) -> Result<bool, StoreError> {
    let store = &engine.store;
    Ok(store.setting(INSTALLATION_KEY).await?.is_none() && store.api_keys().await?.is_empty())
}

/// The secret that return addresses are derived from: created once, stored in the database.
async fn installation_key(engine: &Engine) -> Result<[u8; 32], StoreError> {
    const NAME: &str = INSTALLATION_KEY;
    if engine.store.setting(NAME).await?.is_none() {
        let value = hex::encode([engine.env.nonce(), engine.env.nonce()].concat());
        engine.commit(Change::plain("installation key", vec![Write::Setting { name: NAME, value }])).await?;
    }
    let stored = engine.store.setting(NAME).await?;
    let stored = stored.ok_or_else(|| StoreError::Corrupt("the installation has no key".to_owned()))?;
    Ok(sign::sha256(&[stored.as_bytes()]))
}
