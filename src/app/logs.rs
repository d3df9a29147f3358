//! Starts logging to standard error, as text or as JSON.

use tracing_subscriber::filter::{LevelFilter, Targets};
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;
use tracing_subscriber::{Layer as _, fmt};

use crate::config::{LogFormat, Logs};

/// Starts logging. A second start in the same process is ignored.
pub(super) fn start(logs: &Logs) {
    // Libraries log warnings and errors only, so that headers and bodies of requests never appear in the log. Input
    // that is not HTTP can come from anybody, so it is not logged: nobody may fill the log with it.
    let level = <&str>::from(logs.level).parse().unwrap_or(LevelFilter::INFO);
    let filter = Targets::new()
        .with_default(LevelFilter::WARN)
        .with_target("actix_http::h1", LevelFilter::OFF)
        .with_target("paymux", level);
    let lines = fmt::layer().with_writer(std::io::stderr);
    let lines = match logs.format {
        LogFormat::Text => lines.with_target(false).boxed(),
        LogFormat::Json => lines.json().flatten_event(true).boxed(),
    };
    let started = tracing_subscriber::registry().with(lines).with(filter).try_init();
    if started.is_err() {
        tracing::debug!("logging was started already");
    }
}
