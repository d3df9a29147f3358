//! The sandbox on a socket: acts out what [`Sandbox::answer`] says, time-outs and dropped connections included.

use std::any::Any;
use std::net::{Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream};
use std::os::fd::AsFd;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use actix_web::dev::{Extensions, ServerHandle};
use actix_web::http::StatusCode;
use actix_web::web::{Bytes, Data, PayloadConfig};
use actix_web::{App, HttpRequest, HttpResponse, HttpServer, web};
use tokio::task::JoinHandle;

use crate::http::{Outgoing, Request, Response};
use crate::journal::JournalError;
use crate::sandbox::Sandbox;

/// How the sandbox is served.
#[derive(Clone, Debug)]
pub struct Options {
    /// Port 0 takes a free one.
    pub listen: SocketAddr,
    /// Addresses other than loopback are refused unless this is set; the control API stays on loopback anyway.
    pub allow_remote: bool,
    /// The folder of the ledger; `None` for one in memory.
    pub directory: Option<PathBuf>,
    /// Scheme, host and port that a browser uses; `None` takes the bound address.
    pub public_url: Option<String>,
    /// Seed of the identifiers.
    pub seed: u64,
}

impl Default for Options {
    /// `127.0.0.1:8090`, in memory.
    fn default() -> Self {
        let listen = SocketAddr::from((Ipv4Addr::LOCALHOST, 8090));
        Self { listen, allow_remote: false, directory: None, public_url: None, seed: 0 }
    }
}

/// Why the sandbox could not be served.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    /// The address is not loopback, and that is not allowed.
    #[error("the sandbox listens on loopback only unless told otherwise, not on {0}")]
    NotLoopback(SocketAddr),
    /// The address could not be bound.
    #[error("the sandbox could not listen on {0}: {1}")]
    Listen(SocketAddr, std::io::Error),
    /// The ledger could not be opened.
    #[error(transparent)]
    Journal(#[from] JournalError),
    /// The client for notifications could not be made; the process has installed no TLS provider.
    #[error("the sandbox could not make its client for notifications: {0}")]
    Client(#[from] reqwest::Error),
}

/// A sandbox that is being served. Dropping it leaves the server running; see [`Running::stop`].
pub struct Running {
    address: SocketAddr,
    sandbox: Arc<Mutex<Sandbox>>,
    server: ServerHandle,
    ticking: JoinHandle<()>,
}

impl Running {
    /// The bound address.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// See [`Sandbox::subscribe`].
    pub fn subscribe(&self, provider: &str, url: &str, secret: &str) -> bool {
        lock(&self.sandbox).subscribe(provider, url, secret)
    }

    /// Stops listening at once; connections in progress are dropped.
    pub async fn stop(self) {
        self.ticking.abort();
        self.server.stop(false).await;
    }
}

/// Larger request bodies are refused.
const MAX_BODY: usize = 1024 * 1024;

/// How often a notification is tried.
const TRIES: u32 = 5;

/// How often time is let pass without a request.
const TICK: Duration = Duration::from_millis(500);

/// Serves a sandbox on the present tokio runtime.
///
/// # Errors
/// [`ServeError`]; nothing is left running then.
pub async fn serve(options: Options) -> Result<Running, ServeError> {
    if !options.allow_remote && !options.listen.ip().is_loopback() {
        return Err(ServeError::NotLoopback(options.listen));
    }
    let cannot_listen = |fault| ServeError::Listen(options.listen, fault);
    let listener = TcpListener::bind(options.listen).map_err(cannot_listen)?;
    let address = listener.local_addr().map_err(cannot_listen)?;
    let base_url = options.public_url.unwrap_or_else(|| format!("http://{address}"));
    let sandbox = match &options.directory {
        Some(directory) => Sandbox::open(directory, &base_url, options.seed)?,
        None => Sandbox::in_memory(&base_url, options.seed),
    };
    let sandbox = Arc::new(Mutex::new(sandbox));
    let client = reqwest::Client::builder()
        .redirect(reqwest::redirect::Policy::none())
        .connect_timeout(Duration::from_secs(5))
        .timeout(Duration::from_secs(15))
        .build()?;
    let context = Data::new(HandlerState { sandbox: sandbox.clone(), client: client.clone() });
    let server = HttpServer::new(move || {
        let body_limit = PayloadConfig::new(MAX_BODY);
        App::new().app_data(context.clone()).app_data(body_limit).default_service(web::to(take))
    })
    .workers(1)
    .disable_signals()
    .on_connect(keep_connection)
    .listen(listener)
    .map_err(cannot_listen)?
    .run();
    let handle = server.handle();
    tokio::spawn(server);
    let ticking = tokio::spawn(tick(sandbox.clone(), client));
    Ok(Running { address, sandbox, server: handle, ticking })
}

/// What a handler needs.
struct HandlerState {
    sandbox: Arc<Mutex<Sandbox>>,
    client: reqwest::Client,
}

/// A second handle on the connection, to close it without an answer.
struct ConnectionHandle(TcpStream);

fn keep_connection(connection: &dyn Any, extensions: &mut Extensions) {
    let stream = connection.downcast_ref::<tokio::net::TcpStream>();
    if let Some(second) = stream.and_then(|stream| stream.as_fd().try_clone_to_owned().ok()) {
        extensions.insert(ConnectionHandle(TcpStream::from(second)));
    }
}

async fn take(http: HttpRequest, body: Bytes, state: Data<HandlerState>) -> HttpResponse {
    let local = http.peer_addr().is_some_and(|peer| peer.ip().is_loopback());
    if http.path().starts_with("/control") && !local {
        return HttpResponse::Forbidden().finish();
    }
    let request = Request {
        method: http.method().as_str().to_owned(),
        path: http.path().to_owned(),
        query: http.query_string().to_owned(),
        headers: http
            .headers()
            .iter()
            .map(|(name, value)| {
                (name.as_str().to_owned(), String::from_utf8_lossy(value.as_bytes()).into_owned())
            })
            .collect(),
        body: body.to_vec(),
    };
    let answer = lock(&state.sandbox).answer(&request, now());
    deliver_all(&state.client, answer.notifications);
    if answer.delay_ms > 0 {
        tokio::time::sleep(Duration::from_millis(answer.delay_ms)).await;
    }
    match answer.response {
        Some(response) => shown(response),
        None => hung_up(&http),
    }
}

fn shown(response: Response) -> HttpResponse {
    let status = StatusCode::from_u16(response.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let mut builder = HttpResponse::build(status);
    for (name, value) in response.headers {
        builder.insert_header((name, value));
    }
    builder.body(response.body)
}

/// Closes the connection, so that the empty answer that is returned is not sent.
fn hung_up(http: &HttpRequest) -> HttpResponse {
    let shut = http.conn_data::<ConnectionHandle>().map(|connection| connection.0.shutdown(Shutdown::Both));
    if !matches!(shut, Some(Ok(()))) {
        tracing::debug!("the connection was closed before the sandbox could drop it");
    }
    HttpResponse::InternalServerError().force_close().finish()
}

async fn tick(sandbox: Arc<Mutex<Sandbox>>, client: reqwest::Client) {
    loop {
        tokio::time::sleep(TICK).await;
        let due = lock(&sandbox).tick(now());
        deliver_all(&client, due);
    }
}

/// Sends notifications, those without a delay one behind the other so that their order holds.
fn deliver_all(client: &reqwest::Client, notifications: Vec<Outgoing>) {
    let (prompt, late): (Vec<_>, Vec<_>) = notifications.into_iter().partition(|sent| sent.delay_ms == 0);
    for outgoing in late {
        let client = client.clone();
        tokio::spawn(async move {
            tokio::time::sleep(Duration::from_millis(outgoing.delay_ms)).await;
            deliver(&client, &outgoing, 1).await;
        });
    }
    if !prompt.is_empty() {
        let client = client.clone();
        tokio::spawn(async move {
            for outgoing in prompt {
                if !try_once(&client, &outgoing).await {
                    let client = client.clone();
                    tokio::spawn(async move { deliver(&client, &outgoing, 2).await });
                }
            }
        });
    }
}

/// Tries from number `first` on, with growing pauses, until one succeeds or none is left.
async fn deliver(client: &reqwest::Client, outgoing: &Outgoing, first: u32) {
    for number in first..=TRIES {
        if number > 1 {
            tokio::time::sleep(Duration::from_millis(500 << number)).await;
        }
        if try_once(client, outgoing).await {
            return;
        }
    }
    tracing::warn!("the sandbox dropped a notification after {TRIES} tries");
}

async fn try_once(client: &reqwest::Client, outgoing: &Outgoing) -> bool {
    let mut request = client.post(&outgoing.url).body(outgoing.body.clone());
    for (name, value) in &outgoing.headers {
        request = request.header(name, value);
    }
    request.send().await.is_ok_and(|response| response.status().is_success())
}

/// Unix microseconds.
#[expect(clippy::disallowed_methods, reason = "this is where the sandbox's time comes from")]
fn now() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_micros()).unwrap_or(i64::MAX)
}

/// A panic in one request must not silence the rest: the ledger is changed one whole record at a time.
fn lock(sandbox: &Mutex<Sandbox>) -> std::sync::MutexGuard<'_, Sandbox> {
    sandbox.lock().unwrap_or_else(PoisonError::into_inner)
}
