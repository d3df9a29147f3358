//! The command line.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::builder::NonEmptyStringValueParser;
use clap::{Args, Parser, Subcommand};
use port::Timestamp;

use super::build::{BuildError, Plan, open_engine};
use super::keys::{self, Scope};
use super::{demo, logs, maintenance, serve};
use crate::config::{Environment, LogFormat, Logs, Settings};
use crate::engine::Engine;
use crate::store::InboxFilter;

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
    /// Exits with 1 if there is any. Changes nothing and calls no provider.
    Check(ConfigArgs),
    /// Checks the records: the hash chain of every order, stored method and endpoint, the checkpoints over all of them,
    /// and whether the rows are what the events make.
    ///
    /// Exits with 1 if anything does not fit. Run it while the gateway is stopped, or on a copy of the database.
    Verify(ConfigArgs),
    /// Erases a customer's personal data from all their orders that have ended. The events stay, and still verify.
    ///
    /// Run it while the gateway is stopped.
    Erase {
        #[command(flatten)]
        config: ConfigArgs,
        /// The merchant whose customer is erased.
        #[arg(long)]
        merchant: String,
        /// The merchant's own id of the customer, as in `customer.id`.
        #[arg(long)]
        customer: String,
    },
    /// Manages stored notifications of providers.
    Inbox {
        #[command(flatten)]
        config: ConfigArgs,
        #[command(subcommand)]
        action: InboxAction,
    },
    /// Creates, lists and revokes API keys. Only hashes are stored.
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
    /// The folder of the database and the sandbox's ledger.
    #[arg(long, default_value = "./paymux-data", value_name = "FOLDER")]
    pub(super) data_dir: PathBuf,
    /// The routing; a built-in copy of the default if the file is not there.
    #[arg(long, default_value = "config/routing.toml", value_name = "FILE")]
    pub(super) routing: PathBuf,
    /// Listens on other addresses than loopback, although the API key is no secret.
    #[arg(long)]
    pub(super) allow_remote: bool,
    /// Writes logs as JSON.
    #[arg(long)]
    pub(super) json_logs: bool,
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
    /// Run it while the gateway is stopped; the next start processes them.
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

async fn run(command: Command) -> Result<ExitCode, BuildError> {
    match command {
        Command::Demo(args) => {
            let format = if args.json_logs { LogFormat::Json } else { LogFormat::Text };
            logs::start(&Logs { format, ..Logs::default() });
            demo::run(&args).await
        }
        Command::Serve(args) => {
            let plan = Plan::read(&args.config, &Environment::of_process(), &[])?;
            logs::start(&plan.settings.logs);
            serve::run(plan).await
        }
        Command::Sandbox(args) => sandbox(args).await,
        Command::Check(args) => Ok(check(&args)),
        Command::Verify(args) => maintenance::verify(&open(&args)?).await,
        Command::Erase { config, merchant, customer } => {
            maintenance::erase(&open(&config)?, &merchant, &customer).await
        }
        Command::Inbox { config, action: InboxAction::Replay { from, to, account } } => {
            let filter = InboxFilter { from, to, account, after: None, limit: u32::MAX };
            maintenance::replay_inbox(&open(&config)?, &filter).await
        }
        Command::Keys { config, action } => manage_keys(&config, action).await,
    }
}

async fn sandbox(args: SandboxArgs) -> Result<ExitCode, BuildError> {
    logs::start(&Logs::default());
    let options = paymux_sandbox::Options {
        listen: args.listen,
        directory: args.data_dir,
        ..paymux_sandbox::Options::default()
    };
    let running = paymux_sandbox::serve(options).await?;
    println!("sandbox   http://{}", running.address());
    serve::stop_requested().await;
    running.stop().await;
    Ok(ExitCode::SUCCESS)
}

fn check(args: &ConfigArgs) -> ExitCode {
    match Plan::read(&args.config, &Environment::of_process(), &[]) {
        Ok(plan) => {
            let (accounts, rules) = (plan.accounts.len(), plan.rules.rules.len());
            println!("{}: fine, with {accounts} accounts and {rules} routing rules", args.config.display());
            ExitCode::SUCCESS
        }
        Err(errors) => {
            eprintln!("{errors}");
            ExitCode::FAILURE
        }
    }
}

/// The database that a settings file names.
fn open(args: &ConfigArgs) -> Result<Engine, BuildError> {
    let settings = Settings::load(Some(&args.config), &Environment::of_process(), &[])?;
    open_engine(&settings.store)
}

async fn manage_keys(args: &ConfigArgs, action: KeysAction) -> Result<ExitCode, BuildError> {
    let engine = open(args)?;
    match action {
        KeysAction::Create { merchant, scopes, test } => {
            let text = keys::create(&engine, &merchant, &scopes, test).await?;
            println!("{text}\nKeep it now: only its hash is stored, and it cannot be shown again.");
        }
        KeysAction::List => print!("{}", keys::list(&engine).await?),
        KeysAction::Revoke { key } => {
            if !keys::revoke(&engine, &key).await? {
                eprintln!("there is no such key, or more than one starts with this text");
                return Ok(ExitCode::FAILURE);
            }
            println!("revoked; the gateway refuses it within seconds");
        }
    }
    Ok(ExitCode::SUCCESS)
}
