//! All metrics with their names, labels and help.
//!
//! Names are `paymux_<noun>_<unit>`. The values of a label are a closed set: constants of the code (`&'static str`) or
//! names that an operator has configured (accounts, rules, routes); never an id, an amount or anything a client sends.
//! Callers hold an `Arc<Metrics>` and call the method named after what happened.

use std::time::Duration;

use prometheus::core::Collector;
#[cfg(target_os = "linux")]
use prometheus::process_collector::ProcessCollector;
use prometheus::{
    Encoder, GaugeVec, Histogram, HistogramOpts, HistogramVec, IntCounter, IntCounterVec, Opts, Registry,
    TextEncoder,
};

/// Histogram bounds for requests and calls, seconds.
const CALL_SECONDS: [f64; 13] = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 20.0, 30.0];

/// Commits, seconds: from a fast disk to one in trouble.
const COMMIT_SECONDS: [f64; 10] = [0.0002, 0.0005, 0.001, 0.002, 0.005, 0.01, 0.025, 0.1, 0.5, 2.0];

const BATCH_CHANGES: [f64; 9] = [1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0, 128.0, 256.0];

/// Declares [`Metrics`] and makes each of its metrics, so that field, name, labels and help are in one place. Each
/// `counted` metric also gets a function with its labels as arguments.
macro_rules! catalogue {
    (
        counted { $($event:ident($($label:ident: $type:ty),*): $total:literal, $counts:literal;)* }
        measured { $($field:ident: $kind:ty = $make:ident($name:literal $(, $more:expr)*), $help:literal;)* }
    ) => {
        pub struct Metrics {
            registry: Registry,
            $($event: IntCounterVec,)*
            $($field: $kind,)*
        }

        impl Metrics {
            fn all(registry: Registry) -> Self {
                $(let $event = registered(&registry, counters($total, $counts, &[$(stringify!($label)),*]));)*
                $(let $field = registered(&registry, $make($name, $help $(, $more)*));)*
                Self { registry, $($event,)* $($field,)* }
            }

            $(#[doc = $counts]
            pub fn $event(&self, $($label: $type),*) {
                self.$event.with_label_values::<&str>(&[$($label.into()),*]).inc();
            })*
        }
    };
}

catalogue! {
    counted {
        routed(rule: &str, account: &str): "paymux_routing_decisions_total",
            "Checkouts routed, by the rule that decided and the account that was first.";
        payment_changed(provider: &str, status: &'static str): "paymux_payment_status_changes_total",
            "Changes of payment statuses, by the new status.";
        attempt_created(account: &str): "paymux_attempts_created_total",
            "Attempts that an account's provider has created.";
        attempt_failed_over(account: &str): "paymux_attempts_failed_over_total",
            "Attempts at an account that were abandoned for another account.";
        notification(account: &str, outcome: NotificationOutcome): "paymux_notifications_total",
            "Notifications from providers, by what became of them.";
        unknown_status(provider: &'static str): "paymux_unknown_provider_statuses_total",
            "Provider statuses that no status table has; nothing followed from them.";
        job_run(kind: &'static str, outcome: &'static str): "paymux_job_runs_total",
            "Jobs that were run.";
        attention_raised(code: &'static str): "paymux_attention_raised_total",
            "Attention raised, by code.";
        webhook_delivery(outcome: DeliveryOutcome): "paymux_webhook_deliveries_total",
            "Deliveries of events to merchants' endpoints, by outcome.";
        background_restarted(name: &'static str): "paymux_background_restarts_total",
            "Background loops that had panicked or ended and were started again.";
    }
    measured {
        build_info: GaugeVec = gauges("paymux_build_info", &["version"]),
            "The version that runs; always 1.";
        http_requests: IntCounterVec = counters("paymux_http_requests_total", &["method", "route", "status"]),
            "Requests answered, by route and class of status.";
        http_seconds: HistogramVec = histograms("paymux_http_request_duration_seconds", &["method", "route"], &CALL_SECONDS),
            "From a request's arrival to its answer.";
        provider_calls: IntCounterVec = counters("paymux_provider_calls_total", &["provider", "operation", "outcome"]),
            "Operations at a provider that have ended; the outcome says what may be done next.";
        provider_seconds: HistogramVec = histograms("paymux_provider_call_duration_seconds", &["provider", "operation"], &CALL_SECONDS),
            "How long an operation at a provider took, with all its calls.";
        cache_lookups: IntCounterVec = counters("paymux_cache_lookups_total", &["cache", "result"]),
            "Lookups in a cache, by their result.";
        store_changes: IntCounter = counter("paymux_store_changes_total"),
            "Changes written.";
        store_batch: Histogram = histogram("paymux_store_batch_changes", &BATCH_CHANGES),
            "Changes in one transaction.";
        store_commit_seconds: Histogram = histogram("paymux_store_commit_duration_seconds", &COMMIT_SECONDS),
            "How long a transaction took until it was durable.";
        store_conflicts: IntCounter = counter("paymux_store_conflicts_total"),
            "Changes refused because another change of the same subject was faster.";
        store_queue_full: IntCounter = counter("paymux_store_queue_full_total"),
            "Changes refused because too many were waiting.";
        store_failed_changes: IntCounter = counter("paymux_store_failed_changes_total"),
            "Changes that the database failed to write, for example because the disk is full.";
        log_lines_dropped: IntCounter = counter("paymux_log_lines_dropped_total"),
            "Log lines that could not be written.";
        job_oldest_due: GaugeVec = gauges("paymux_job_oldest_due_seconds", &["lane", "account"]),
            "For how long the longest overdue job of a lane has been due.";
        oldest_open_payment: GaugeVec = gauges("paymux_oldest_open_payment_seconds", &["account"]),
            "The age of an account's oldest payment whose outcome is awaited.";
    }
}

/// The outcome label of a successful operation at a provider. Any other outcome is the label of its
/// [`ProviderError`](port::ProviderError::label).
pub const CALL_OK: &str = "ok";

/// Counts the lookups in a cache.
#[derive(Clone)]
pub struct CacheMetrics {
    hits: IntCounter,
    misses: IntCounter,
}

impl CacheMetrics {
    pub fn hit(&self) {
        self.hits.inc();
    }

    pub fn miss(&self) {
        self.misses.inc();
    }
}

/// One route of the API, looked up once so that a request costs no search for its labels.
#[derive(Clone)]
pub struct RouteMetrics {
    /// By class of the status: 1xx to 5xx.
    answered: [IntCounter; 5],
    seconds: Histogram,
}

impl RouteMetrics {
    /// A request was answered with `status` after `took`.
    pub fn answered(&self, status: u16, took: Duration) {
        let class = usize::from(status / 100).clamp(1, self.answered.len());
        self.answered[class - 1].inc();
        self.seconds.observe(took.as_secs_f64());
    }
}

/// The outcome of a provider's notification.
#[derive(Clone, Copy, Debug, PartialEq, Eq, strum::IntoStaticStr)]
#[strum(serialize_all = "snake_case")]
pub enum NotificationOutcome {
    Accepted,
    /// It does not prove where it comes from.
    Unverified,
    /// Not understood.
    Unreadable,
    /// It names no known object.
    Unmatched,
    /// What it names is known, and could not be read for days.
    GivenUp,
    Limited,
}

/// The outcome of a delivery to a merchant.
#[derive(Clone, Copy, Debug, PartialEq, Eq, strum::IntoStaticStr)]
#[strum(serialize_all = "snake_case")]
pub enum DeliveryOutcome {
    /// Answered 2xx.
    Delivered,
    /// It failed and will be retried.
    Failed,
    /// It failed and the endpoint was disabled.
    GivenUp,
}

impl Default for Metrics {
    fn default() -> Self {
        Self::new()
    }
}

impl Metrics {
    /// Creates all metrics and those of the process in a new registry.
    pub fn new() -> Self {
        let registry = Registry::new();
        #[cfg(target_os = "linux")]
        registry.register(Box::new(ProcessCollector::for_self())).expect("no other metric has its names");
        let metrics = Self::all(registry);
        metrics.build_info.with_label_values(&[env!("CARGO_PKG_VERSION")]).set(1.0);
        metrics
    }

    /// All of them in Prometheus' text format.
    pub fn render(&self) -> String {
        let mut text = Vec::new();
        TextEncoder::new().encode(&self.registry.gather(), &mut text).expect("memory takes every write");
        String::from_utf8(text).expect("names, labels and numbers are text")
    }

    /// The `Content-Type` of [`Metrics::render`].
    pub fn content_type(&self) -> &'static str {
        prometheus::TEXT_FORMAT
    }

    /// The metrics of a route; `route` is its pattern, never the path of a request.
    pub fn route(&self, method: &str, route: &str) -> RouteMetrics {
        RouteMetrics {
            answered: ["1xx", "2xx", "3xx", "4xx", "5xx"]
                .map(|class| self.http_requests.with_label_values(&[method, route, class])),
            seconds: self.http_seconds.with_label_values(&[method, route]),
        }
    }

    /// An operation at a provider ended after `took`, with [`CALL_OK`] or the label of its error.
    pub fn provider_call(
        &self,
        provider: &'static str,
        operation: &'static str,
        outcome: &'static str,
        took: Duration,
    ) {
        self.provider_calls.with_label_values(&[provider, operation, outcome]).inc();
        self.provider_seconds.with_label_values(&[provider, operation]).observe(took.as_secs_f64());
    }

    /// The metrics of a cache.
    pub fn cache(&self, cache: &'static str) -> CacheMetrics {
        let lookups = |result| self.cache_lookups.with_label_values(&[cache, result]);
        CacheMetrics { hits: lookups("hit"), misses: lookups("miss") }
    }

    /// A transaction with so many changes was durable after `took`.
    pub fn store_committed(&self, changes: u32, took: Duration) {
        self.store_changes.inc_by(u64::from(changes));
        self.store_batch.observe(f64::from(changes));
        self.store_commit_seconds.observe(took.as_secs_f64());
    }

    /// A change lost against a faster one.
    pub fn store_conflict(&self) {
        self.store_conflicts.inc();
    }

    /// A change was refused because the queue was full.
    pub fn store_queue_full(&self) {
        self.store_queue_full.inc();
    }

    /// A change could not be written.
    pub fn store_failed(&self) {
        self.store_failed_changes.inc();
    }

    pub fn log_lines_dropped(&self, count: u64) {
        self.log_lines_dropped.inc_by(count);
    }

    /// For how long the longest overdue job of a lane has been due; zero if none is. `account` is that of an account's
    /// lane, and empty for other lanes.
    pub fn job_oldest_due(&self, lane: &'static str, account: &str, overdue: Duration) {
        self.job_oldest_due.with_label_values(&[lane, account]).set(overdue.as_secs_f64());
    }

    /// The age of an account's oldest payment whose outcome is awaited; zero if there is none.
    pub fn oldest_open_payment(&self, account: &str, age: Duration) {
        self.oldest_open_payment.with_label_values(&[account]).set(age.as_secs_f64());
    }
}

fn counter(name: &str, help: &str) -> prometheus::Result<IntCounter> {
    IntCounter::new(name, help)
}

fn counters(name: &str, help: &str, labels: &[&str]) -> prometheus::Result<IntCounterVec> {
    IntCounterVec::new(Opts::new(name, help), labels)
}

fn gauges(name: &str, help: &str, labels: &[&str]) -> prometheus::Result<GaugeVec> {
    GaugeVec::new(Opts::new(name, help), labels)
}

fn histogram(name: &str, help: &str, bounds: &[f64]) -> prometheus::Result<Histogram> {
    Histogram::with_opts(HistogramOpts::new(name, help).buckets(bounds.to_vec()))
}

fn histograms(name: &str, help: &str, labels: &[&str], bounds: &[f64]) -> prometheus::Result<HistogramVec> {
    HistogramVec::new(HistogramOpts::new(name, help).buckets(bounds.to_vec()), labels)
}

fn registered<M: Collector + Clone + 'static>(registry: &Registry, made: prometheus::Result<M>) -> M {
    let metric = made.expect("names and labels are written in this file and a test makes them all");
    registry.register(Box::new(metric.clone())).expect("each name is declared once");
    metric
}

#[cfg(test)]
mod tests;
