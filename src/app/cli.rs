//! The command line.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;

use clap::builder::{NonEmptyStringValueParser, PossibleValuesParser, TypedValueParser};
use clap::{Args, Parser, Subcommand};
use port::{OrderId, Timestamp};
use strum::VariantNames as _;

use super::admin::{self, AdminRequest};
use super::build::{BuildError, Plan, with_name};
use super::keys::Scope;
use super::{demo, logs, maintenance, output, serve};
use crate::audit::ErasureTarget;
use crate::config::{AccountConfig, Environment, LogFormat, LogLevel, Logs, Settings};
use crate::metrics::Metrics;
use crate::store::sqlite::{OpenError, Peek};

/// A payment gateway: one order-and-checkout API, many providers.
#[derive(Parser)]
#[command(
    name = "paymux",
    version,
    about,
    after_help = "Start with `paymux demo`: a running gateway with three \
    imitated providers, no account needed. `paymux help COMMAND` explains each command."
)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Runs the gateway with a sandbox of three imitated providers on this machine.
    ///
    /// Prints its addresses, a curl line that opens a checkout, and a payment link to click. It accepts the API key
    /// `pmx_test_demo`. Started again with the same folder, it continues with the same data.
    Demo(DemoArgs),
    /// Runs the gateway.
    ///
    /// Reads the settings file and, beside it, the accounts and the routing. Every setting can also come from the
    /// environment, as in PAYMUX__SERVER__LISTEN=0.0.0.0:8080.
    Serve(ConfigArgs),
    /// Runs the sandbox alone: the imitated servers of the providers.
    Sandbox(SandboxArgs),
    /// Checks settings, accounts and routing, and prints every error with its file and line.
    ///
    /// Exits with 1 if there is any, or if `serve` would refuse the database. Changes nothing and calls no provider. Warns
    /// of accounts that are no longer configured and at which something is open, if there is a database.
    Check(ConfigArgs),
    /// Checks the records: the hash chain of every order, profile session, payment profile and endpoint, the checkpoints
    /// over all of them, and whether the rows are what the events make.
    ///
    /// Exits with 1 if anything does not fit. Run it while the gateway is stopped, or on a copy of the database. It only
    /// reads, so the folder and the database may be read-only.
    Verify(ConfigArgs),
    /// Erases a customer's personal data from their finished orders. The events stay, and still verify.
    ///
    /// Prints the ids of what was erased, and of the orders that are not finished and are left as they are. What stays open
    /// at an account that is not configured any more can be given up: resolve its attention. A running gateway does it;
    /// without one the command does. Exits with 1 if nothing was found.
    Erase {
        #[command(flatten)]
        config: ConfigArgs,
        /// The merchant whose customer is erased.
        #[arg(long)]
        merchant: String,
        #[command(flatten)]
        target: TargetArgs,
    },
    /// Manages stored notifications of providers.
    Inbox {
        #[command(flatten)]
        config: ConfigArgs,
        #[command(subcommand)]
        action: InboxAction,
    },
    /// Creates, lists and revokes API keys. Only hashes are stored.
    ///
    /// A running gateway does it, and refuses a revoked key from then on; without one the command does.
    Keys {
        #[command(flatten)]
        config: ConfigArgs,
        #[command(subcommand)]
        action: KeysAction,
    },
}

#[derive(Args)]
struct ConfigArgs {
    /// The settings file.
    #[arg(long, default_value = "config/paymux.toml", value_name = "FILE")]
    config: PathBuf,
}

/// Whose personal data is erased.
#[derive(Args)]
#[group(required = true, multiple = false)]
struct TargetArgs {
    /// The merchant's own id of the customer, as in `customer.id`: their orders, and once none is open, their payment
    /// profiles.
    #[arg(long, value_name = "ID", value_parser = NonEmptyStringValueParser::new())]
    customer: Option<String>,
    /// The customer's e-mail address, as in `customer.email`: their orders.
    #[arg(long, value_name = "ADDRESS", value_parser = NonEmptyStringValueParser::new())]
    email: Option<String>,
    /// The id of one order.
    #[arg(long, value_name = "ID")]
    order: Option<OrderId>,
}

impl TargetArgs {
    fn target(self) -> Option<ErasureTarget> {
        let customer = self.customer.map(ErasureTarget::Customer);
        customer.or(self.email.map(ErasureTarget::Email)).or(self.order.map(ErasureTarget::Order))
    }
}

#[derive(Args)]
pub(super) struct DemoArgs {
    /// Where the API listens.
    #[arg(long, default_value = "127.0.0.1:8080", value_name = "ADDRESS")]
    pub(super) listen: SocketAddr,
    /// Where metrics and health are served.
    #[arg(long, default_value = "127.0.0.1:9464", value_name = "ADDRESS")]
    pub(super) ops_listen: SocketAddr,
    /// Where the sandbox listens.
    #[arg(long, default_value = "127.0.0.1:8090", value_name = "ADDRESS", conflicts_with = "sandbox")]
    pub(super) sandbox_listen: SocketAddr,
    /// A sandbox that already runs elsewhere, instead of one in this process.
    #[arg(long, value_name = "URL")]
    pub(super) sandbox: Option<String>,
    /// The folder of the database and the sandbox's ledger. `paymux serve` refuses that database.
    #[arg(long, default_value = "./paymux-demo", value_name = "FOLDER")]
    pub(super) data_dir: PathBuf,
    /// The routing; without it `config/routing.toml`, or a built-in copy if that is not there.
    #[arg(long, value_name = "FILE")]
    pub(super) routing: Option<PathBuf>,
    /// Listens on other addresses than loopback, although the API key is no secret.
    #[arg(long)]
    pub(super) allow_remote: bool,
    /// Writes logs as JSON.
    #[arg(long)]
    pub(super) json_logs: bool,
    /// The least important log lines that are written.
    #[arg(long, default_value = "info", value_name = "LEVEL", value_parser = log_level())]
    pub(super) log_level: LogLevel,
}

#[derive(Args)]
struct SandboxArgs {
    /// Where it listens.
    #[arg(long, default_value = "127.0.0.1:8090", value_name = "ADDRESS")]
    listen: SocketAddr,
    /// The folder of its ledger; in memory if absent.
    #[arg(long, value_name = "FOLDER")]
    data_dir: Option<PathBuf>,
}

#[derive(Subcommand)]
enum InboxAction {
    /// Processes stored notifications again: what each points at is fetched from its provider.
    ///
    /// A running gateway does it; without one the next to start does.
    Replay {
        /// Those that came at or after this time, such as 2026-01-31T00:00:00Z.
        #[arg(long, value_name = "TIME")]
        from: Timestamp,
        /// Those that came before this time.
        #[arg(long, value_name = "TIME")]
        to: Timestamp,
        /// Only those to this account.
        #[arg(long, value_name = "NAME")]
        account: Option<String>,
    },
}

#[derive(Subcommand)]
enum KeysAction {
    /// Creates a key and shows it, once.
    Create {
        /// The merchant that the key belongs to, as named in the settings.
        #[arg(long, value_parser = NonEmptyStringValueParser::new())]
        merchant: String,
        /// The scopes of the key, separated by commas.
        #[arg(long, value_delimiter = ',', default_value = "payments")]
        scopes: Vec<Scope>,
        /// Marks it as a key for tests.
        #[arg(long)]
        test: bool,
    },
    /// Lists every key by its first letters.
    List,
    /// Revokes a key, given as its text or its first letters.
    Revoke {
        /// The key: its text, or its first letters as they are listed.
        key: String,
    },
}

/// Runs the program.
pub fn main() -> ExitCode {
    let cli = Cli::parse();
    // The one TLS provider of this program; a second installation in the same process would be a no-op.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let done = actix_web::rt::System::new().block_on(run(cli.command));
    match done {
        Ok(code) => code,
        Err(fault) => {
            eprintln!("paymux: {fault}");
            ExitCode::FAILURE
        }
    }
}

/// Reads a log level by its name in the settings.
fn log_level() -> impl TypedValueParser<Value = LogLevel> {
    PossibleValuesParser::new(LogLevel::VARIANTS).try_map(|name| name.parse::<LogLevel>())
}

async fn run(command: Command) -> Result<ExitCode, BuildError> {
    match command {
        Command::Demo(args) => {
            let format = if args.json_logs { LogFormat::Json } else { LogFormat::Text };
            let metrics = Arc::new(Metrics::new());
            let _log = logs::start(&Logs { format, level: args.log_level }, metrics.clone())?;
            demo::run(&args, metrics).await
        }
        Command::Serve(args) => {
            let plan = Plan::read(&args.config, &Environment::of_process())?;
            let metrics = Arc::new(Metrics::new());
            let _log = logs::start(&plan.settings.logs, metrics.clone())?;
            serve::run(plan, metrics).await
        }
        Command::Sandbox(args) => sandbox(args).await,
        Command::Check(args) => check(&args),
        Command::Verify(args) => maintenance::verify(&settings(&args)?.store.path).await,
        Command::Erase { config, merchant, target } => {
            let target = target.target().ok_or("name a customer, an e-mail address or an order")?;
            let settings = settings(&config)?;
            let accounts = AccountConfig::names(&Plan::accounts_file(&config.config, &settings));
            admin::run(&settings.store, &AdminRequest::Erase { merchant, target, accounts }).await
        }
        Command::Inbox { config, action: InboxAction::Replay { from, to, account } } => {
            if from >= to {
                return Err(format!("--from {from} is not before --to {to}").into());
            }
            let settings = settings(&config)?;
            let accounts = AccountConfig::names(&Plan::accounts_file(&config.config, &settings));
            let configured = accounts.unwrap_or_default();
            let request = AdminRequest::ReplayInbox { from, to, account, configured };
            admin::run(&settings.store, &request).await
        }
        Command::Keys { config, action } => {
            admin::run(&settings(&config)?.store, &AdminRequest::from(action)).await
        }
    }
}

async fn sandbox(args: SandboxArgs) -> Result<ExitCode, BuildError> {
    let _log = logs::start(&Logs::default(), Arc::default())?;
    let options = paymux_sandbox::Options {
        listen: args.listen,
        directory: args.data_dir,
        ..paymux_sandbox::Options::default()
    };
    let mut signals = serve::Signals::take()?;
    let running = paymux_sandbox::serve(options).await?;
    println!("sandbox   http://{}", running.address());
    signals.stop_requested().await;
    running.stop().await;
    Ok(ExitCode::SUCCESS)
}

fn check(args: &ConfigArgs) -> Result<ExitCode, BuildError> {
    let plan = match Plan::read(&args.config, &Environment::of_process()) {
        Ok(plan) => plan,
        Err(errors) => {
            eprintln!("{errors}");
            return Ok(ExitCode::FAILURE);
        }
    };
    let warnings = check_database(&plan)?;
    let accounts = output::counted(plan.accounts.len() as u64, "account");
    let rules = output::counted(plan.rules.rules.len() as u64, "routing rule");
    output::show(&format!("{}: fine, with {accounts} and {rules}\n", args.config.display()))?;
    eprint!("{warnings}");
    Ok(ExitCode::SUCCESS)
}

/// A warning of each account that is no longer configured and has open work; nothing where there is no database.
///
/// # Errors
/// Why `serve` would refuse the database.
fn check_database(plan: &Plan) -> Result<String, BuildError> {
    let path = &plan.settings.store.path;
    if !path.exists() {
        return Ok(String::new());
    }
    let unread = |fault: &dyn std::error::Error| {
        format!("warning: {} was not looked at for open work: {fault}\n", path.display())
    };
    let database = match Peek::open(path) {
        // It gets what it lacks at the start.
        Err(OpenError::NoTables | OpenError::Older) => return Ok(String::new()),
        Err(fault) if fault.is_foreign() => return Err(with_name(fault, path)),
        Err(fault) => return Ok(unread(&fault)),
        Ok(database) => database,
    };
    match (database.has_api_key(&demo::key_hash()), database.open_work()) {
        (Ok(true), _) => Err(demo::refusal(path).into()),
        (Err(fault), _) | (_, Err(fault)) => Ok(unread(&fault)),
        (Ok(false), Ok(open)) => {
            Ok(plan.retired_accounts(open).iter().map(|why| format!("warning: {why}\n")).collect())
        }
    }
}

fn settings(args: &ConfigArgs) -> Result<Settings, BuildError> {
    Ok(Settings::load(Some(&args.config), &Environment::of_process())?)
}

impl From<KeysAction> for AdminRequest {
    fn from(action: KeysAction) -> Self {
        match action {
            KeysAction::Create { merchant, scopes, test } => Self::CreateKey { merchant, scopes, test },
            KeysAction::List => Self::ListKeys,
            KeysAction::Revoke { key } => Self::RevokeKey { key },
        }
    }
}
