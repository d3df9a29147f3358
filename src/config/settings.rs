//! The gateway's own settings: plain values with their defaults. `config/paymux.toml` says what each is for.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

/// Everything an operator can set, but for accounts and routing.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Settings {
    /// Where the gateway listens.
    pub server: Server,
    /// Where it keeps its records.
    pub store: Store,
    /// What it takes at most.
    pub limits: Limits,
    /// How payments are opened.
    pub checkout: Checkout,
    /// How long orders live.
    pub orders: Orders,
    /// What happens to money that no order goes on with.
    pub policy: RefundPolicy,
    /// What it writes about itself.
    pub logs: Logs,
    /// How providers are called.
    pub outbound: Outbound,
    /// How webhooks are delivered.
    pub webhooks: Webhooks,
    /// The other files.
    pub files: Files,
    /// What differs for one merchant, by name.
    pub merchants: BTreeMap<String, Merchant>,
}

impl Settings {
    /// What holds for a merchant: its own section, else the defaults.
    pub fn merchant(&self, name: &str) -> Merchant {
        let fallback = || Merchant { policy: self.policy, ..Merchant::default() };
        self.merchants.get(name).copied().unwrap_or_else(fallback)
    }
}

/// Listeners and the work behind them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Server {
    /// Address of the public listener.
    pub listen: SocketAddr,
    /// Address of the listener for metrics and health.
    pub ops_listen: SocketAddr,
    /// How the outside reaches the public listener; no slash at the end.
    pub public_url: String,
    /// Threads that serve requests; 0 for one per core.
    pub workers: usize,
    /// How long a client may take to send its request, seconds.
    pub request_timeout_s: u64,
    /// How long open requests may take to finish at shutdown, seconds.
    pub shutdown_s: u64,
}

impl Default for Server {
    fn default() -> Self {
        Self {
            listen: SocketAddr::from(([127, 0, 0, 1], 8080)),
            ops_listen: SocketAddr::from(([127, 0, 0, 1], 9464)),
            public_url: "http://127.0.0.1:8080".to_owned(),
            workers: 0,
            request_timeout_s: 10,
            shutdown_s: 30,
        }
    }
}

/// The database.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Store {
    /// The SQLite file, seen from the working directory.
    pub path: PathBuf,
    /// Changes that may wait to be written; beyond it the API answers 503.
    pub queue: usize,
    /// Changes in one transaction at most.
    pub batch: usize,
    /// Days for which providers' notifications are kept.
    pub keep_notifications_days: u32,
}

impl Default for Store {
    fn default() -> Self {
        let path = PathBuf::from("paymux-data/paymux.db");
        Self { path, queue: 4096, batch: 256, keep_notifications_days: 90 }
    }
}

/// Bounds of what comes in.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Limits {
    /// Largest body of an API request, bytes.
    pub body_bytes: usize,
    /// Largest body of a provider's notification, bytes.
    pub notification_bytes: usize,
    /// Requests a second for each API key, on average.
    pub requests_per_second: u32,
    /// Requests of one API key that may come at once.
    pub requests_burst: u32,
    /// Notifications a second for each account, on average.
    pub notifications_per_second: u32,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            body_bytes: 262_144,
            notification_bytes: 65_536,
            requests_per_second: 200,
            requests_burst: 400,
            notifications_per_second: 50,
        }
    }
}

/// Opening payments.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Checkout {
    /// Whether a hosted page whose start was never answered may be opened at another account.
    pub failover_after_unknown: bool,
    /// How long a page or widget lives, seconds.
    pub expires_in_s: u64,
    /// How long a link lives, seconds.
    pub link_expires_in_s: u64,
}

impl Default for Checkout {
    fn default() -> Self {
        Self { failover_after_unknown: true, expires_in_s: 3_600, link_expires_in_s: 604_800 }
    }
}

/// The life of orders.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Orders {
    /// Days without activity after which an unpaid order expires.
    pub expire_after_days: u32,
}

impl Default for Orders {
    fn default() -> Self {
        Self { expire_after_days: 7 }
    }
}

/// What to do with money that no order goes on with.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum PolicyAction {
    /// Keep it until a person decides.
    #[default]
    Hold,
    /// Refund it, or void the authorization.
    Refund,
}

/// What to do, for each reason.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct RefundPolicy {
    /// LATE_PAYMENT.
    pub late_payment: PolicyAction,
    /// DUPLICATE_PAYMENT.
    pub duplicate_payment: PolicyAction,
    /// AMOUNT_MISMATCH.
    pub amount_mismatch: PolicyAction,
    /// PAID_NOT_SUBMITTED.
    pub paid_not_submitted: PolicyAction,
    /// PAID_NOT_FULFILLED.
    pub paid_not_fulfilled: PolicyAction,
}

/// The shape of log lines.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LogFormat {
    /// For people.
    #[default]
    Text,
    /// One JSON object a line.
    Json,
}

/// The least important lines that are written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LogLevel {
    /// What failed.
    Error,
    /// What may need somebody.
    Warn,
    /// What happened.
    #[default]
    Info,
    /// How it happened.
    Debug,
    /// Everything.
    Trace,
}

impl LogLevel {
    /// As written in the settings.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Error => "error",
            Self::Warn => "warn",
            Self::Info => "info",
            Self::Debug => "debug",
            Self::Trace => "trace",
        }
    }
}

/// Logs.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Logs {
    /// For people or for machines.
    pub format: LogFormat,
    /// What is left out.
    pub level: LogLevel,
}

/// Calls to providers.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Outbound {
    /// Until a connection stands, name look-up and TLS included, milliseconds.
    pub connect_timeout_ms: u64,
    /// Longest silence while an answer is awaited or read, milliseconds.
    pub read_timeout_ms: u64,
    /// A whole call, milliseconds.
    pub timeout_ms: u64,
    /// Whether a provider may live at a private or loopback address.
    pub allow_private_addresses: bool,
}

impl Default for Outbound {
    fn default() -> Self {
        Self {
            connect_timeout_ms: 3_000,
            read_timeout_ms: 20_000,
            timeout_ms: 30_000,
            allow_private_addresses: false,
        }
    }
}

/// Calls to merchants.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Webhooks {
    /// A whole delivery, milliseconds.
    pub timeout_ms: u64,
    /// Whether an endpoint may live at a private or loopback address.
    pub allow_private_addresses: bool,
}

impl Default for Webhooks {
    fn default() -> Self {
        Self { timeout_ms: 20_000, allow_private_addresses: false }
    }
}

/// The other files, seen from the folder of this one.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Files {
    /// The provider accounts.
    pub accounts: PathBuf,
    /// The routing rules.
    pub routing: PathBuf,
}

impl Default for Files {
    fn default() -> Self {
        Self { accounts: PathBuf::from("accounts.toml"), routing: PathBuf::from("routing.toml") }
    }
}

/// Whether an order needs something, as the API spells it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum Need {
    /// Not at all.
    #[default]
    NotRequired,
    /// If it is there.
    Optional,
    /// Without it the order cannot be submitted.
    Required,
}

/// What holds for the orders of one merchant that do not say otherwise.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Merchant {
    /// Whether a submitted order waits for approval.
    pub requires_approval: bool,
    /// Whether an order must be signed.
    pub requires_signing: Need,
    /// Whether a completed payment submits its order.
    pub auto_submit: bool,
    /// Refund policy; what is not set here is as in the common one.
    pub policy: RefundPolicy,
}

impl Default for Merchant {
    fn default() -> Self {
        Self {
            requires_approval: false,
            requires_signing: Need::NotRequired,
            auto_submit: true,
            policy: RefundPolicy::default(),
        }
    }
}
