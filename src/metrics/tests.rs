use std::collections::BTreeMap;

use super::*;

const EACH: Duration = Duration::from_millis(30);

/// Touches every metric with the values that one small installation would use.
fn touched() -> Metrics {
    let metrics = Metrics::new();
    metrics.route("POST", "/v1/orders").answered(201, EACH);
    metrics.provider_call("decta", "create", CALL_OK, EACH);
    metrics.provider_call("decta", "create", "busy", EACH);
    metrics.provider_call("decta", "fetch", "unavailable", EACH);
    metrics.routed("the-rest", "decta-demo");
    metrics.payment_changed("decta", "PAID");
    metrics.attempt_created("decta-demo");
    metrics.attempt_failed_over("decta-demo");
    metrics.cache("api_keys").hit();
    metrics.cache("api_keys").miss();
    metrics.notification("decta-demo", NotificationOutcome::Accepted);
    metrics.unknown_status("decta");
    metrics.store_committed(3, EACH);
    metrics.store_conflict();
    metrics.store_queue_full();
    metrics.store_failed();
    metrics.log_lines_dropped(1);
    metrics.background_restarted("jobs");
    metrics.job_oldest_due("account", "decta-demo", EACH);
    metrics.oldest_open_payment("decta-demo", EACH);
    metrics.job_run("fetch_status", "done");
    metrics.attention_raised("LATE_PAYMENT");
    metrics.webhook_delivery(DeliveryOutcome::Failed);
    metrics
}

/// A list on purpose: renaming a metric breaks somebody's dashboard, so it is seen here.
#[test]
fn every_metric_has_its_published_name_and_type() {
    let text = touched().render();
    let types = text.lines().filter_map(|line| line.strip_prefix("# TYPE paymux_"));
    let expected = "attempts_created_total counter, attempts_failed_over_total counter, \
                    attention_raised_total counter, background_restarts_total counter, build_info gauge, cache_lookups_total counter, \
                    http_request_duration_seconds histogram, http_requests_total counter, \
                    job_oldest_due_seconds gauge, job_runs_total counter, log_lines_dropped_total counter, notifications_total counter, \
                    oldest_open_payment_seconds gauge, payment_status_changes_total counter, \
                    provider_call_duration_seconds histogram, provider_calls_total counter, \
                    routing_decisions_total counter, store_batch_changes histogram, store_changes_total counter, \
                    store_commit_duration_seconds histogram, store_conflicts_total counter, store_failed_changes_total counter, \
                    store_queue_full_total counter, unknown_provider_statuses_total counter, \
                    webhook_deliveries_total counter";
    assert_eq!(types.collect::<Vec<_>>().join(", "), expected);
}

#[test]
fn names_end_with_their_unit_and_helps_are_sentences() {
    for family in touched().registry.gather() {
        let (name, help) = (family.name(), family.help());
        if name.starts_with("process_") {
            continue;
        }
        let units = match family.get_field_type() {
            prometheus::proto::MetricType::COUNTER => vec!["_total"],
            prometheus::proto::MetricType::HISTOGRAM => vec!["_seconds", "_changes"],
            _ => vec!["_seconds", "_info"],
        };
        assert!(units.iter().any(|unit| name.ends_with(unit)), "{name}");
        assert!(help.ends_with('.') && help.chars().next().is_some_and(char::is_uppercase), "{name}: {help}");
        for label in family.get_metric().iter().flat_map(|metric| metric.get_label()) {
            let label = label.name();
            assert!(label != "id" && !label.ends_with("_id"), "{name}: {label}");
        }
    }
}

#[test]
fn what_happened_is_counted_where_it_belongs() {
    let text = touched().render();
    for line in [
        "paymux_http_requests_total{method=\"POST\",route=\"/v1/orders\",status=\"2xx\"} 1",
        "paymux_http_requests_total{method=\"POST\",route=\"/v1/orders\",status=\"5xx\"} 0",
        "paymux_provider_calls_total{operation=\"create\",outcome=\"ok\",provider=\"decta\"} 1",
        "paymux_provider_calls_total{operation=\"create\",outcome=\"busy\",provider=\"decta\"} 1",
        "paymux_provider_call_duration_seconds_count{operation=\"create\",provider=\"decta\"} 2",
        "paymux_cache_lookups_total{cache=\"api_keys\",result=\"hit\"} 1",
        "paymux_notifications_total{account=\"decta-demo\",outcome=\"accepted\"} 1",
        "paymux_store_changes_total 3",
        "paymux_job_oldest_due_seconds{account=\"decta-demo\",lane=\"account\"} 0.03",
        "paymux_job_runs_total{kind=\"fetch_status\",outcome=\"done\"} 1",
    ] {
        assert!(text.lines().any(|found| found == line), "{line} is not in\n{text}");
    }
}

#[test]
fn an_odd_status_is_counted_in_the_nearest_class() {
    let metrics = Metrics::new();
    let route = metrics.route("GET", "/v1/orders");
    [0, 99, 599, 999].into_iter().for_each(|status| route.answered(status, EACH));
    let text = metrics.render();
    assert!(text.contains("status=\"1xx\"} 2") && text.contains("status=\"5xx\"} 2"), "{text}");
}

/// Everything at its largest: three providers, ten accounts, twenty rules, sixty routes.
#[test]
fn the_series_of_a_large_installation_stay_within_bounds() {
    let metrics = Metrics::new();
    let (providers, operations) =
        (["a", "b", "c"], ["create", "fetch", "find", "capture", "cancel", "refund"]);
    let outcomes = ["ok", "not_sent", "busy", "unavailable", "declined", "rejected", "not_found", "unknown"];
    for provider in providers {
        for operation in operations {
            outcomes.iter().for_each(|outcome| metrics.provider_call(provider, operation, outcome, EACH));
        }
    }
    for account in 0..10 {
        let account = format!("account-{account}");
        (0..20).for_each(|rule| metrics.routed(&format!("rule-{rule}"), &account));
        metrics.attempt_created(&account);
        metrics.job_oldest_due("account", &account, EACH);
        metrics.notification(&account, NotificationOutcome::Limited);
    }
    (0..60).for_each(|route| metrics.route("GET", &format!("/v1/{route}")).answered(200, EACH));
    let mut lines = BTreeMap::new();
    for line in metrics.render().lines().filter(|line| !line.starts_with('#')) {
        let name = line.split(['{', ' ']).next().unwrap_or_default().to_owned();
        *lines.entry(name).or_insert(0) += 1;
    }
    let total: i32 = lines.values().sum();
    assert!(total < 2_500, "{total}: {lines:#?}");
}
