//! Starts the HTTP server with its limits; used by the program and by tests.

use std::io;
use std::net::TcpListener;
use std::sync::Arc;
use std::time::Duration;

use actix_web::web::ServiceConfig;
use actix_web::{App, HttpServer};
use socket2::SockRef;

use super::connections::{Connections, max_per_worker};
use super::routes::configure;
use super::state::{Common, State};
use crate::config::Settings;
use crate::orders::Orders;

/// A running listener: it serves while it is awaited, and its handle stops it.
pub type Server = actix_web::dev::Server;

/// How long a connection may be idle between two requests.
const KEEP_ALIVE: Duration = Duration::from_secs(75);

/// The most connections that wait to be accepted.
const MAX_UNACCEPTED: i32 = 1_024;

/// How long a client may take nothing of what it is sent. Only the system can see this: the server hands an answer over
/// and is never told that nobody takes it, so such a client would hold its connection for ever.
#[cfg(target_os = "linux")]
const UNTAKEN: Duration = Duration::from_secs(30);

/// Serves the API on a listener. `orders` makes the use cases of one worker, with their own HTTP client.
pub fn serve(
    listener: TcpListener,
    common: Arc<Common>,
    orders: impl Fn() -> Orders + Send + Clone + 'static,
) -> io::Result<Server> {
    let settings = common.settings.clone();
    listen(listener, &settings, move |cfg| configure(cfg, &State::new(common.clone(), orders())))
}

/// Serves the routes that `configure` adds, for each worker. The caller handles signals.
pub fn listen(
    listener: TcpListener,
    settings: &Settings,
    configure: impl Fn(&mut ServiceConfig) + Send + Clone + 'static,
) -> io::Result<Server> {
    let server = &settings.server;
    let workers = match server.workers {
        0 => std::thread::available_parallelism().map_or(1, usize::from),
        some => some,
    };
    let most = max_per_worker(workers);
    tracing::info!("accepting at most {} connections at a time", workers * most);
    let connections = Connections::new(workers, most);
    let app = HttpServer::new(move || App::new().configure(|cfg| configure(cfg)))
        .workers(workers)
        .on_connect(move |_, extensions| {
            extensions.insert(connections.open());
        })
        .client_request_timeout(Duration::from_secs(server.request_timeout_s))
        .keep_alive(KEEP_ALIVE)
        .max_connections(most)
        .shutdown_timeout(server.shutdown_s)
        .disable_signals();
    let socket = SockRef::from(&listener);
    socket.listen(MAX_UNACCEPTED)?;
    // Inherited by each connection that is accepted.
    #[cfg(target_os = "linux")]
    socket.set_tcp_user_timeout(Some(UNTAKEN))?;
    Ok(app.listen(listener)?.run())
}
