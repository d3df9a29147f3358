//! Metrics and health, for operators.

use std::net::TcpListener;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use paymux::http::ops::{Ops, serve};

use super::Gateway;
use super::client::{Ask, Reply};

/// The listener for operators, beside a gateway.
struct OpsServer {
    gateway: Gateway,
    address: std::net::SocketAddr,
    draining: Arc<AtomicBool>,
    server: actix_web::dev::ServerHandle,
}

impl OpsServer {
    async fn open() -> Self {
        let gateway = Gateway::start().await;
        let draining = Arc::new(AtomicBool::new(false));
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let ops = Ops { shared: gateway.orders.payments.shared.clone(), draining: draining.clone() };
        let running = serve(ops, listener).unwrap();
        let server = running.handle();
        tokio::spawn(running);
        Self { gateway, address, draining, server }
    }

    async fn get(&self, path: &str) -> Reply {
        Ask::to(self.address, "GET", path).await_it().await
    }
}

impl Drop for OpsServer {
    fn drop(&mut self) {
        drop(self.server.stop(false));
    }
}

#[tokio::test]
async fn health_is_told_in_a_word_and_in_detail_to_those_who_ask() {
    let ops = OpsServer::open().await;
    for path in ["/livez", "/readyz", "/healthz"] {
        let reply = ops.get(path).await;
        assert_eq!((reply.status, reply.header("cache-control")), (200, Some("no-store")), "{path}");
    }
    assert_eq!(ops.get("/readyz").await.text(), "ready\n");
    let told = ops.get("/readyz?verbose").await;
    assert_eq!(told.text(), "ok   database\nok   serving\n     2 accounts are configured\nready\n");
    assert_eq!(ops.get("/v1/orders").await.status, 404, "the API is not here");
    assert_eq!(ops.gateway.get("/metrics").await.status, 404, "and this is not there");
}

#[tokio::test]
async fn a_gateway_that_is_about_to_stop_lives_and_is_not_ready() {
    let ops = OpsServer::open().await;
    ops.draining.store(true, Ordering::Relaxed);
    let reply = ops.get("/readyz?verbose").await;
    assert_eq!(reply.status, 503);
    assert!(reply.text().contains("FAIL serving: about to stop\n"), "{}", reply.text());
    assert_eq!(ops.get("/livez").await.status, 200);
}

#[tokio::test]
async fn metrics_tell_for_how_long_something_has_been_due() {
    let ops = OpsServer::open().await;
    ops.gateway.session().await;
    ops.gateway.clock.pass(Duration::from_secs(60));
    let metrics = ops.get("/metrics").await;
    assert_eq!(metrics.status, 200);
    let due = |kind: &str| {
        let name = format!("paymux_agenda_oldest_due_seconds{{kind=\"{kind}\"}} ");
        let line = metrics.text().lines().find_map(|line| line.strip_prefix(&name));
        line.unwrap_or_else(|| panic!("{kind}")).parse::<f64>().unwrap()
    };
    assert!(due("fetch_status") > 40.0, "the provider was to be asked after some seconds");
    assert!(due("process_notification") == 0.0, "nothing of this kind is due");
    assert!(
        metrics
            .text()
            .contains("paymux_http_requests_total{method=\"POST\",route=\"/v1/orders\",status=\"2xx\"} 1")
    );
}

#[tokio::test]
async fn metrics_tell_how_old_the_oldest_payment_is_that_somebody_waits_for() {
    let ops = OpsServer::open().await;
    let age = async |account: &str| {
        let metrics = ops.get("/metrics").await;
        let name = format!("paymux_oldest_open_payment_seconds{{account=\"{account}\"}} ");
        let line = metrics.text().lines().find_map(|line| line.strip_prefix(&name));
        line.unwrap_or_else(|| panic!("{account}")).to_owned()
    };
    let session = ops.gateway.session().await;
    ops.gateway.clock.pass(Duration::from_secs(60));
    ops.gateway.session().await;
    assert_eq!((age("one").await, age("two").await), ("60".to_owned(), "0".to_owned()));
    let path = format!("/v1/payment-sessions/{}/cancel", session["id"].as_str().unwrap());
    ops.gateway.post(&path).await_it().await.expect(200);
    assert_eq!(age("one").await, "0", "nobody waits for a session that has ended");
}
