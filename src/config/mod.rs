//! Configuration: reads, layers and validates the settings and accounts.
//!
//! Three files: the gateway's own settings ([`Settings`], `config/paymux.toml`), the provider accounts
//! ([`AccountConfig`], `accounts.toml`) and the routing rules, whose text is read with the same [`document`] and
//! interpreted by `routing`. All errors are reported at once, each [`ConfigError`] with its file, line and key. Secrets
//! are given as `${NAME}` or `file:` and never shown.

mod accounts;
pub(crate) mod document;
mod environment;
mod error;
mod load;
mod setting;
mod settings;
#[cfg(test)]
mod tests;
mod variants;

pub use accounts::{AccountConfig, Providers};
pub use environment::Environment;
pub(crate) use error::did_you_mean;
pub use error::{ConfigError, ConfigErrors};
pub(crate) use load::is_name;
pub use setting::{Kind, Setting};
pub use settings::{
    Checkout, Files, Limits, LogFormat, LogLevel, Logs, Merchant, Orders, Outbound, PolicyAction,
    RefundPolicy, RequirementSetting, Server, Settings, Store, Webhooks,
};

pub(crate) use variants::variants_of;

/// The accounts of the sandbox: `config/sandbox.toml`, whose `${PAYMUX_SANDBOX_URL}` is where it listens.
pub const SANDBOX_ACCOUNTS: &str = include_str!("../../config/sandbox.toml");

/// The routing that the demo starts with: `config/routing.toml`.
pub const DEMO_ROUTING: &str = include_str!("../../config/routing.toml");
