//! Logs: for people or for machines, on standard error.

use tracing_subscriber::EnvFilter;

use crate::config::{LogFormat, Logs};

/// Starts logging. A second start in the same process is ignored.
pub(super) fn start(logs: &Logs) {
    let own = logs.level.as_str();
    // What libraries say is of interest when something is wrong, and never worth a request's headers or bodies.
    // What strangers send that is not HTTP is nothing wrong here, and they must not fill the log with it.
    let filter = EnvFilter::new(format!("warn,actix_http::h1=off,paymux={own}"));
    let lines = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr);
    let started = match logs.format {
        LogFormat::Text => lines.with_target(false).try_init(),
        LogFormat::Json => lines.json().flatten_event(true).try_init(),
    };
    if started.is_err() {
        tracing::debug!("logging was started already");
    }
}
