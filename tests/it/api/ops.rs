//! Metrics and health, for operators.

use std::net::TcpListener;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use paymux::http::ops::{Ops, serve};
use paymux::loops::Supervisor;
use serde_json::json;

use super::Gateway;
use super::client::{Reply, Request};

/// The listener for operators, beside a gateway.
struct Operators {
    gateway: Gateway,
    address: std::net::SocketAddr,
    draining: Arc<AtomicBool>,
    supervisor: Arc<Supervisor>,
    server: actix_web::dev::ServerHandle,
}

impl Operators {
    async fn open() -> Self {
        let gateway = Gateway::start().await;
        let draining = Arc::new(AtomicBool::new(false));
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let payments = gateway.orders.payments.clone();
        let supervisor = Arc::new(Supervisor::new(payments.engine.metrics.clone()));
        let ops = Ops { payments, draining: draining.clone(), supervisor: supervisor.clone() };
        let running = serve(ops, listener).unwrap();
        let server = running.handle();
        tokio::spawn(running);
        Self { gateway, address, draining, supervisor, server }
    }

    async fn get(&self, path: &str) -> Reply {
        Request::to(self.address, "GET", path).await_it().await
    }
}

impl Drop for Operators {
    fn drop(&mut self) {
        drop(self.server.stop(false));
    }
}

#[tokio::test]
async fn health_is_told_in_a_word_and_in_detail_to_those_who_ask() {
    let operators = Operators::open().await;
    for path in ["/livez", "/readyz", "/healthz"] {
        let reply = operators.get(path).await;
        assert_eq!((reply.status, reply.header("cache-control")), (200, Some("no-store")), "{path}");
    }
    assert_eq!(operators.get("/readyz").await.text(), "ready\n");
    let verbose = operators.get("/readyz?verbose").await;
    let checks = "ok   database\nok   writing\nok   background\nok   serving\n";
    assert_eq!(verbose.text(), format!("{checks}     accounts configured: 2\nready\n"));
    assert_eq!(operators.get("/v1/orders").await.status, 404, "the API is not here");
    assert_eq!(operators.gateway.get("/metrics").await.status, 404, "and this is not there");
}

#[tokio::test]
async fn health_answers_head_and_refuses_other_methods() {
    let operators = Operators::open().await;
    for path in ["/livez", "/readyz", "/healthz", "/metrics"] {
        let head = Request::to(operators.address, "HEAD", path).await_it().await;
        let get = operators.get(path).await;
        assert_eq!((head.status, head.header("content-type")), (200, get.header("content-type")), "{path}");
        assert!(head.body.is_empty(), "{path}");
        assert_eq!(Request::to(operators.address, "POST", path).await_it().await.status, 405, "{path}");
    }
}

#[tokio::test]
async fn a_gateway_that_is_about_to_stop_lives_and_is_not_ready() {
    let operators = Operators::open().await;
    operators.draining.store(true, Ordering::Relaxed);
    let reply = operators.get("/readyz?verbose").await;
    assert_eq!(reply.status, 503);
    assert!(reply.text().contains("FAIL serving: about to stop\n"), "{}", reply.text());
    assert_eq!(operators.get("/livez").await.status, 200);
}

#[tokio::test]
async fn a_gateway_whose_background_work_is_down_is_not_ready() {
    let operators = Operators::open().await;
    let running = tokio::spawn(operators.supervisor.clone().keep_running("jobs", || async {}));
    while operators.supervisor.down().is_empty() {
        tokio::task::yield_now().await;
    }
    let reply = operators.get("/readyz?verbose").await;
    assert_eq!(reply.status, 503);
    let why = "FAIL background: jobs failed and will be started again\n";
    assert!(reply.text().contains(why), "{}", reply.text());
    running.abort();
}

#[tokio::test]
async fn while_the_disk_is_full_nothing_is_taken_and_it_is_not_ready() {
    let operators = Operators::open().await;
    let gateway = &operators.gateway;
    let order = json!({"currency": "EUR"});
    gateway.disk_full.store(true, Ordering::Relaxed);
    let reply = gateway.post("/v1/orders").json(&order).await;
    reply.problem(503, "overloaded");
    assert_eq!(reply.header("retry-after"), Some("30"));
    let reply = operators.get("/readyz?verbose").await;
    assert_eq!(reply.status, 503);
    assert!(reply.text().contains("FAIL writing: the disk of the database failed"), "{}", reply.text());
    gateway.disk_full.store(false, Ordering::Relaxed);
    assert_eq!(gateway.post("/v1/orders").json(&order).await.status, 201);
    assert_eq!(operators.get("/readyz").await.status, 200);
}

#[tokio::test]
async fn metrics_tell_for_how_long_something_has_been_due() {
    let operators = Operators::open().await;
    operators.gateway.session().await;
    operators.gateway.clock.pass(Duration::from_secs(60));
    let metrics = operators.get("/metrics").await;
    assert_eq!(metrics.status, 200);
    let due = |account: &str, lane: &str| {
        let name = format!("paymux_job_oldest_due_seconds{{account=\"{account}\",lane=\"{lane}\"}} ");
        let line = metrics.text().lines().find_map(|line| line.strip_prefix(&name));
        line.unwrap_or_else(|| panic!("{account} {lane}")).parse::<f64>().unwrap()
    };
    assert!(due("one", "account") > 40.0, "the payment was to be read after some seconds");
    assert!(due("two", "account") == 0.0, "nothing is due at this account");
    assert!(due("", "webhooks") == 0.0, "nothing is to be delivered");
    assert!(
        metrics
            .text()
            .contains("paymux_http_requests_total{method=\"POST\",route=\"/v1/orders\",status=\"2xx\"} 1")
    );
}

#[tokio::test]
async fn metrics_tell_how_old_the_oldest_payment_is_that_somebody_waits_for() {
    let operators = Operators::open().await;
    let age = async |account: &str| {
        let metrics = operators.get("/metrics").await;
        let name = format!("paymux_oldest_open_payment_seconds{{account=\"{account}\"}} ");
        let line = metrics.text().lines().find_map(|line| line.strip_prefix(&name));
        line.unwrap_or_else(|| panic!("{account}")).to_owned()
    };
    let session = operators.gateway.session().await;
    operators.gateway.clock.pass(Duration::from_secs(60));
    operators.gateway.session().await;
    assert_eq!((age("one").await, age("two").await), ("60".to_owned(), "0".to_owned()));
    let path = format!("/v1/payment-sessions/{}/cancel", session["id"].as_str().unwrap());
    operators.gateway.post(&path).await_it().await.expect(200);
    assert_eq!(age("one").await, "0", "nobody waits for a session that has ended");
}
