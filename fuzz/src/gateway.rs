//! A whole gateway in one thread without a socket: its HTTP surface on one side, the imitated providers on the other.

use std::rc::Rc;
use std::sync::{Arc, Mutex, PoisonError};

use actix_web::http::header::CONTENT_TYPE;
use actix_web::rt::Runtime;
use actix_web::test::{TestRequest, call_service, init_service, read_body};
use actix_web::{App, web::Bytes};
use async_trait::async_trait;
use futures_util::future::{FutureExt as _, LocalBoxFuture};
use paymux::config::{self, DEMO_ROUTING, Environment, Providers, SANDBOX_ACCOUNTS, Settings};
use paymux::engine::Engine;
use paymux::http;
use paymux::metrics::Metrics;
use paymux::orders::Orders;
use paymux::payments::{Account, Accounts, Payments, Providers as PaymentProviders, Returns, Routing};
use paymux::routing::Rules;
use paymux::store::sqlite::{Options, Sqlite};
use paymux::store::{ApiKeyRow, Change, Store, Write};
use paymux_sandbox::{Request, Sandbox};
use paymux_testkit::{ALL, FixedSource};
use port::{Env, HttpRequest, HttpResponse, Timestamp, Transport, TransportError, sign};
use serde_json::{Value, json};
use tempfile::TempDir;

const PROVIDERS_URL: &str = "https://sandbox.test";
const API_KEY: &str = "pk_test_shop";
const NOW_S: i64 = 1_767_225_600;

/// What came back of a request.
pub(super) struct Answered {
    pub(super) status: u16,
    pub(super) kind: String,
    pub(super) request_id: String,
    /// Empty for a stream, which has no end.
    pub(super) body: Bytes,
}

type Service = Box<dyn Fn(TestRequest) -> LocalBoxFuture<'static, Answered>>;

/// The gateway, with an order, a session, payments and an endpoint to talk about.
pub(super) struct Gateway {
    service: Service,
    runtime: Runtime,
    providers: Arc<Imitated>,
    /// What stands for what in a request: `{order}` and its id, and so on.
    pub(super) places: Vec<(&'static str, String)>,
    /// How many requests it has served.
    pub(super) served: usize,
}

/// The providers, a function call away.
struct Imitated(Mutex<Sandbox>);

impl Imitated {
    fn answer(&self, request: &Request) -> Option<HttpResponse> {
        let mut sandbox = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let response = sandbox.answer(request, NOW_S * 1_000_000).response?;
        Some(HttpResponse { status: response.status, retry_after: None, body: response.body.into_bytes() })
    }
}

#[async_trait]
impl Transport for Imitated {
    async fn send(&self, base_url: &str, http_request: &HttpRequest) -> Result<HttpResponse, TransportError> {
        let base = base_url.strip_prefix(PROVIDERS_URL).unwrap_or_default();
        let request = Request::new(http_request.method.as_str(), &format!("{base}{}", http_request.path))
            .body(http_request.body.clone());
        let headers = http_request.headers.iter();
        let request = headers.fold(request, |request, (name, value)| request.header(name, value.expose()));
        self.answer(&request).ok_or_else(|| TransportError::Lost("no answer".to_owned()))
    }
}

impl Gateway {
    /// A new one, where everything that a request can name is there once.
    pub(super) fn new() -> Self {
        let folder = tempfile::tempdir().expect("there is room for a database");
        let runtime = Runtime::new().expect("a runtime of one thread");
        let providers = Arc::new(Imitated(Mutex::new(Sandbox::in_memory(PROVIDERS_URL, 7))));
        let service = runtime.block_on(service(&folder, providers.clone()));
        let mut gateway = Self { service, runtime, providers, places: Vec::new(), served: 0 };
        gateway.furnish();
        // Its files stay open, and are gone with the process however that ends.
        drop(folder);
        gateway
    }

    /// Serves a request; without a key of its own it carries the merchant's.
    pub(super) fn serve(&mut self, request: TestRequest, has_key: bool) -> Answered {
        let key = ("Authorization", format!("Bearer {API_KEY}"));
        let request = if has_key { request } else { request.insert_header(key) };
        self.served += 1;
        self.runtime.block_on((self.service)(request))
    }

    fn call(&mut self, method: &str, path: &str, body: &Value) -> Value {
        let number = format!("first-{}", self.served);
        let request = TestRequest::with_uri(path).method(method.parse().expect("a method"));
        let request = request.insert_header((CONTENT_TYPE, "application/json")).set_payload(body.to_string());
        let answered = self.serve(request.insert_header(("Idempotency-Key", number)), false);
        let shown = String::from_utf8_lossy(&answered.body);
        assert!(answered.status < 300, "{method} {path}: {shown}");
        serde_json::from_str(&shown).expect("an answer is JSON")
    }

    fn furnish(&mut self) {
        let endpoint = json!({"url": "https://shop.test/events"});
        let endpoint = self.call("POST", "/v1/webhook-endpoints", &endpoint);
        self.put("{endpoint}", &endpoint["id"]);
        let open = self.call("POST", "/v1/orders", &order());
        self.put("{order}", &open["id"]);
        self.put("{item}", &open["items"][0]["id"]);
        let priced = self.call("POST", "/v1/orders", &order());
        self.call("POST", &format!("/v1/orders/{}/price", text(&priced["id"])), &json!({}));
        self.put("{priced}", &priced["id"]);
        let session = self.call("POST", "/v1/checkouts", &checkout("AUTOMATIC"));
        self.put("{session}", &session["session"]["id"]);
        self.put("{sold}", &session["order"]["id"]);
        let paid = self.paid_session("AUTOMATIC", "paid");
        self.put("{payment}", &paid["paymentId"]);
        let held = self.paid_session("MANUAL", "hold");
        self.put("{hold}", &held["paymentId"]);
        let path = format!("/v1/payments/{}/refunds", text(&paid["paymentId"]));
        let refund = self.call("POST", &path, &json!({"amount": 1}));
        self.put("{refund}", &refund["id"]);
        let events = self.call("GET", "/v1/events?limit=1", &json!({}));
        self.put("{event}", &events["data"][0]["id"]);
        self.put("{cursor}", &events["nextCursor"]);
        let stored = json!({"approach": "EMBEDDED", "customer": {"id": "c-1"}, "account": "telness-demo"});
        let stored = self.call("POST", "/v1/payment-profiles/sessions", &stored);
        self.put("{storing}", &stored["id"]);
    }

    fn put(&mut self, place: &'static str, value: &Value) {
        assert!(value.is_string(), "nothing for {place}");
        self.places.push((place, text(value)));
    }

    /// A session whose customer has done what they were to do.
    fn paid_session(&mut self, capture: &str, outcome: &str) -> Value {
        let session = &self.call("POST", "/v1/checkouts", &checkout(capture))["session"];
        let pays = json!({"provider": "decta", "id": session["providerReference"], "outcome": outcome});
        let done = self.providers.answer(&Request::new("POST", "/control/pay").body(pays.to_string()));
        assert!(done.is_some_and(|response| response.ok()), "{outcome} at the provider");
        let path = format!("/v1/payment-sessions/{}?refresh=true", text(&session["id"]));
        self.call("GET", &path, &json!({}))
    }
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}

fn order() -> Value {
    let customer = json!({"id": "c-1", "email": "ann@example.test", "firstName": "Ann", "lastName": "Berg"});
    let items = json!([{"title": "Coffee beans", "quantity": 2, "unitPrice": 400, "taxRate": "25"}]);
    json!({"currency": "EUR", "items": items, "shipping": 50, "customer": customer})
}

fn checkout(capture: &str) -> Value {
    let back = "https://shop.test/back";
    let urls = json!({"success": back, "inProgress": back, "failure": back});
    let request =
        json!({"approach": "HOSTED", "captureMode": capture, "account": "decta-demo", "returnUrls": urls});
    json!({"order": order(), "checkout": request})
}

/// The HTTP surface over a fresh store and the imitated providers.
async fn service(folder: &TempDir, providers: Arc<Imitated>) -> Service {
    let metrics = Arc::new(Metrics::new());
    let options = Options { threads: false, ..Options::at(folder.path().join("paymux.db")) };
    let store: Arc<dyn Store> = Arc::new(Sqlite::open(&options, metrics.clone()).expect("a fresh database"));
    let env = Arc::new(FixedSource::new(Timestamp::from_seconds(NOW_S)));
    store
        .commit(Change::plain("keys", vec![Write::ApiKey(api_key(env.now()))]))
        .await
        .expect("a key is kept");
    let settings = settings();
    let accounts = accounts();
    let names: Vec<String> = accounts.iter().map(|account| account.name.clone()).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let rules = Rules::parse("routing.toml", DEMO_ROUTING, &names).expect("the demo's routing");
    let returns = Arc::new(Returns::new([7; 32], &settings.server.public_url));
    let engine = Engine::new(store, env, metrics);
    let common = Arc::new(http::Common::new(Arc::new(settings), &engine));
    let payments = Payments {
        providers: PaymentProviders::new(Arc::new(accounts), providers, returns, &engine),
        routing: Arc::new(Routing::new(rules, true)),
        fetches: Arc::default(),
        engine,
    };
    let orders = Orders { payments, refund_policies: Arc::default() };
    let state = http::State::new(common, orders);
    let app = Rc::new(init_service(App::new().configure(|cfg| http::configure(cfg, &state))).await);
    Box::new(move |request| {
        let app = app.clone();
        async move {
            let response = call_service(&*app, request.to_request()).await;
            let header = |name: &str| {
                let value = response.headers().get(name).and_then(|value| value.to_str().ok());
                value.unwrap_or_default().to_owned()
            };
            let (status, kind) = (response.status().as_u16(), header("content-type"));
            let request_id = header("x-request-id");
            let body = if kind == "text/event-stream" { Bytes::new() } else { read_body(response).await };
            Answered { status, kind, request_id, body }
        }
        .boxed_local()
    })
}

/// Without the limits that only time would lift: the clock stands still.
fn settings() -> Settings {
    let mut settings = Settings::default();
    settings.server.public_url = "https://pay.test".to_owned();
    settings.limits.requests_burst = 100_000;
    settings.limits.notifications_per_second = 10_000;
    settings
}

fn accounts() -> Accounts {
    let environment = Environment::default().with("PAYMUX_SANDBOX_URL", PROVIDERS_URL);
    let providers = Providers { known: ALL, environment: &environment, allow_private_addresses: true };
    let read = config::AccountConfig::parse("sandbox.toml", SANDBOX_ACCOUNTS, &providers)
        .expect("the demo's accounts");
    Accounts::new(read.into_iter().map(|account| {
        let adapter =
            (account.about.build)(&account.settings).expect("the demo's accounts have their settings");
        Account::new(account.name, adapter, account.base_url, account.test, account.notify_key)
            .expect("an adapter's own table can be read")
    }))
}

fn api_key(now: Timestamp) -> ApiKeyRow {
    ApiKeyRow {
        hash: hex::encode(sign::sha256(&[API_KEY.as_bytes()])),
        hint: "pk".to_owned(),
        merchant: "shop".to_owned(),
        scopes: ["payments", "ops"].map(str::to_owned).into(),
        created_at: now,
        revoked_at: None,
    }
}
