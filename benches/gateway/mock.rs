//! The mock provider: as much of DECTA's API as one checkout needs, and as little work as possible.
//!
//! A new order is answered with what was sent, and with what a page needs. Nothing is remembered: an order's id holds
//! our number for it, and all orders are paid or none is.

use std::net::TcpListener;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use actix_web::web::{self, Bytes, Data, Path};
use actix_web::{App, HttpResponse, HttpServer, rt};
use serde::Deserialize;
use serde_json::json;

/// Where the API begins.
pub(crate) const BASE: &str = "/api/v0.6";

/// What an order's id has before our number.
const ID: &str = "mock-";

/// A running mock.
pub(crate) struct Mock {
    /// Host and port.
    pub(crate) address: String,
    state: Arc<State>,
}

#[derive(Default)]
struct State {
    delay_ms: AtomicU64,
    paid: AtomicBool,
    reads: AtomicU64,
    keeps: AtomicBool,
    kept: Mutex<Vec<Bytes>>,
}

/// All that the mock wants to know of an order.
#[derive(Deserialize)]
struct NewOrder {
    number: String,
}

impl Mock {
    /// Serves on a thread of its own until the process ends.
    pub(crate) fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let state = Arc::new(State::default());
        let data = Data::from(state.clone());
        std::thread::spawn(move || serve(listener, data));
        Self { address, state }
    }

    /// How long a new order takes.
    pub(crate) fn delay(&self, delay: Duration) {
        self.state.delay_ms.store(delay.as_millis().try_into().unwrap(), Ordering::Relaxed);
    }

    /// Whether customers have paid.
    pub(crate) fn paid(&self, paid: bool) {
        self.state.paid.store(paid, Ordering::Relaxed);
    }

    /// How often an order was read.
    pub(crate) fn reads(&self) -> u64 {
        self.state.reads.load(Ordering::Relaxed)
    }

    /// From now on the bodies of new orders are kept.
    pub(crate) fn keep(&self) {
        self.state.keeps.store(true, Ordering::Relaxed);
    }

    /// The bodies that were kept; no more are.
    pub(crate) fn kept(&self) -> Vec<Bytes> {
        self.state.keeps.store(false, Ordering::Relaxed);
        std::mem::take(&mut self.state.kept.lock().unwrap())
    }
}

fn serve(listener: TcpListener, state: Data<State>) -> std::io::Result<()> {
    let app = move || {
        App::new()
            .app_data(state.clone())
            .route(&format!("{BASE}/orders/"), web::post().to(create))
            .route(&format!("{BASE}/orders/{{id}}/"), web::get().to(read))
    };
    rt::System::new().block_on(async {
        let server = HttpServer::new(app).workers(1).disable_signals().keep_alive(Duration::from_secs(75));
        server.listen(listener)?.run().await
    })
}

/// What the provider would notify of an order: only where to look.
pub(crate) fn notification(new_order: &[u8]) -> String {
    let NewOrder { number } = serde_json::from_slice(new_order).unwrap();
    json!({"id": format!("{ID}{number}"), "number": number}).to_string()
}

/// Where an order is read.
pub(crate) fn path_of(new_order: &[u8]) -> String {
    let NewOrder { number } = serde_json::from_slice(new_order).unwrap();
    format!("{BASE}/orders/{ID}{number}/")
}

async fn create(state: Data<State>, body: Bytes) -> HttpResponse {
    let delay = state.delay_ms.load(Ordering::Relaxed);
    if delay > 0 {
        rt::time::sleep(Duration::from_millis(delay)).await;
    }
    let (Ok(NewOrder { number }), Some(sent)) = (serde_json::from_slice(&body), body.strip_prefix(b"{"))
    else {
        return HttpResponse::BadRequest().finish();
    };
    if state.keeps.load(Ordering::Relaxed) {
        state.kept.lock().unwrap().push(body.clone());
    }
    let mut answer = Vec::with_capacity(body.len() + 256);
    answer.extend_from_slice(head(&number, "issued").as_bytes());
    answer.push(b',');
    answer.extend_from_slice(sent);
    HttpResponse::Created().content_type("application/json").body(answer)
}

async fn read(state: Data<State>, id: Path<String>) -> HttpResponse {
    state.reads.fetch_add(1, Ordering::Relaxed);
    let Some(number) = id.strip_prefix(ID) else { return HttpResponse::NotFound().finish() };
    let status = if state.paid.load(Ordering::Relaxed) { "paid" } else { "issued" };
    let rest = format!(r#","number":"{number}","currency":"EUR"}}"#);
    HttpResponse::Ok().content_type("application/json").body(head(number, status) + &rest)
}

/// What the provider adds to an order, up to the last brace.
fn head(number: &str, status: &str) -> String {
    let total = crate::gateway::TOTAL;
    format!(
        r#"{{"type":"order","id":"{ID}{number}","status":"{status}","total":{total},"is_test":true,"full_page_checkout":"https://pay.example.test/{number}""#
    )
}
