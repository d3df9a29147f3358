//! The gateway's own settings, each declared once. `config/paymux.toml` shows them with the same texts.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::setting::{Declared, Described, Setting, described, settings};

settings! {
    /// Everything an operator can set, but for accounts and routing.
    pub struct Settings {
        /// Listeners and the work behind them.
        server: Server;
        /// The database.
        store: Store;
        /// Limits of requests and notifications.
        limits: Limits;
        /// Starting payments.
        checkout: Checkout;
        /// Expiry of orders.
        orders: Orders;
        /// The refund policy for money that no order needs.
        policy: RefundPolicy;
        /// What the gateway writes about itself.
        logs: Logs;
        /// How providers are called.
        outbound: Outbound;
        /// Webhooks: events sent to merchants.
        webhooks: Webhooks;
        /// The other files.
        files: Files;
        /// What differs for one merchant, by name.
        merchants: BTreeMap<String, Merchant>;
    }

    /// Listeners and the work behind them.
    pub struct Server {
        /// The public listener: API, return pages, provider notifications.
        listen: SocketAddr = SocketAddr::from(([127, 0, 0, 1], 8080));
        /// Metrics and health; keep it off the public network.
        ops_listen: SocketAddr = SocketAddr::from(([127, 0, 0, 1], 9464));
        /// How customers and providers reach the public listener; no slash at the end.
        public_url: String = "http://127.0.0.1:8080".to_owned();
        /// Threads that serve requests; 0 = one per core.
        workers: usize = 0, 0..=256;
        /// How long a client may take to send its request, seconds.
        request_timeout_s: u64 = 10, 1..=300;
        /// How long requests are still accepted at shutdown after `/readyz` has turned 503, seconds.
        drain_s: u64 = 5, 0..=300;
        /// How long open requests may take to finish at shutdown, seconds.
        shutdown_s: u64 = 30, 1..=300;
    }

    /// The database.
    pub struct Store {
        /// The SQLite file, seen from the working directory; not that of `paymux demo`.
        path: PathBuf = "paymux-data/paymux.db".into();
        /// Changes that may wait to be written; beyond it the answer is 503.
        queue: usize = 4096, 1..=65_536;
        /// Changes in one transaction at most; 1 commits each by itself.
        batch: usize = 256, 1..=1_024;
        /// For how long providers' signed notifications are kept, to act on them again, days.
        keep_notifications_days: u32 = 90, 7..=3_650;
    }

    /// Bounds of what comes in.
    pub struct Limits {
        /// Largest body of an API request, bytes.
        body_bytes: usize = 262_144, 1_024..=1_048_576;
        /// Largest body of a provider's notification, bytes.
        notification_bytes: usize = 65_536, 1_024..=65_536;
        /// Requests for each API key, on average.
        requests_per_second: u32 = 200, 1..=100_000;
        /// Requests for each API key, at once.
        requests_burst: u32 = 400, 1..=100_000;
        /// Notifications for each provider account, on average.
        notifications_per_second: u32 = 50, 1..=10_000;
    }

    /// Starting payments.
    pub struct Checkout {
        /// A HOSTED or EMBEDDED checkout whose start was never answered may be started at another account.
        failover_after_unknown: bool = true;
        /// Default lifetime of a page or widget, seconds.
        expires_in_s: u64 = 3_600, 300..=604_800;
        /// Default lifetime of a link, seconds.
        link_expires_in_s: u64 = 604_800, 300..=604_800;
    }

    /// The life of orders.
    pub struct Orders {
        /// An unpaid order without activity expires after this, days.
        expire_after_days: u32 = 7, 1..=365;
    }

    /// The refund policy for money that no order needs.
    #[derive(Copy)]
    pub struct RefundPolicy {
        /// Paid after the order was cancelled, expired or a cart again.
        late_payment: PolicyAction;
        /// Paid although another payment of the order holds money.
        duplicate_payment: PolicyAction;
        /// Paid with another amount or currency than requested.
        amount_mismatch: PolicyAction;
        /// Paid a day ago and the order was never submitted.
        paid_not_submitted: PolicyAction;
        /// Paid and the fulfilment failed.
        paid_not_fulfilled: PolicyAction;
    }

    /// What the gateway writes about itself.
    pub struct Logs {
        /// Lines for people, or JSON for machines.
        format: LogFormat;
        /// The least important lines that are written.
        level: LogLevel;
    }

    /// How providers are called.
    pub struct Outbound {
        /// Until a connection is established, name look-up and TLS included, milliseconds.
        connect_timeout_ms: u64 = 3_000, 100..=30_000;
        /// Longest silence while an answer is awaited or read, milliseconds.
        read_timeout_ms: u64 = 20_000, 100..=40_000;
        /// A whole call, of the 40 s that an operation with all its calls may take, milliseconds.
        timeout_ms: u64 = 30_000, 100..=40_000;
        /// Whether a provider may have a private or loopback address.
        allow_private_addresses: bool;
    }

    /// Webhooks: events sent to merchants.
    pub struct Webhooks {
        /// A whole delivery, milliseconds.
        timeout_ms: u64 = 20_000, 1_000..=30_000;
        /// Whether an endpoint may have a private or loopback address.
        allow_private_addresses: bool;
    }

    /// The other files, seen from the folder of this one.
    pub struct Files {
        /// Provider accounts.
        accounts: PathBuf = "accounts.toml".into();
        /// Who gets which checkout.
        routing: PathBuf = "routing.toml".into();
    }

    /// Defaults for the orders of one merchant.
    #[derive(Copy)]
    pub struct Merchant {
        /// Whether a submitted order waits for approval.
        requires_approval: bool;
        /// Whether an order must be signed.
        requires_signing: RequirementSetting;
        /// Whether a completed payment submits its order.
        auto_submit: bool = true;
        /// Whether an order may be submitted unpaid, such as on invoice, if it says `requiresPayment` OPTIONAL.
        unpaid_orders: bool;
        /// Its own refund policy; what is not set here is as in `policy`.
        policy: RefundPolicy;
    }
}

impl Settings {
    /// Every setting of `paymux.toml`.
    pub fn described() -> Vec<Setting> {
        described::<Self>("")
    }

    /// The settings of a merchant: its own section, else the defaults.
    pub fn merchant(&self, name: &str) -> Merchant {
        let fallback = || Merchant { policy: self.policy, ..Merchant::default() };
        self.merchants.get(name).copied().unwrap_or_else(fallback)
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
#[derive(
    Clone,
    Copy,
    Debug,
    Default,
    PartialEq,
    Eq,
    Serialize,
    Deserialize,
    strum::IntoStaticStr,
    strum::EnumString,
    strum::VariantNames,
)]
#[serde(rename_all = "lowercase")]
#[strum(serialize_all = "lowercase")]
pub enum LogLevel {
    /// What failed.
    Error,
    /// What an operator should know.
    Warn,
    /// What happened.
    #[default]
    Info,
    /// How it happened.
    Debug,
    /// Everything.
    Trace,
}

/// Whether an order needs something, as the API spells it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum RequirementSetting {
    /// Not at all.
    #[default]
    NotRequired,
    /// Used if it is given.
    Optional,
    /// Without it the order cannot be submitted.
    Required,
}
