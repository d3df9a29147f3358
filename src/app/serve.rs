//! The running gateway: listeners, background work and an orderly shutdown.

use std::net::{SocketAddr, TcpListener};
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use actix_web::dev::ServerHandle;
use tokio::task::JoinHandle;

use super::admin::{self, AdminSocket};
use super::build::{BuildError, Plan, Shared, open_engine, provider_transport, warn_of_retired_accounts};
use super::demo;
use crate::config::Settings;
use crate::engine::Engine;
use crate::http::{self, ops};
use crate::jobs::{JobContext, JobRunner, Recurring};
use crate::orders::Orders;

/// A running gateway.
pub(super) struct Gateway {
    listen: SocketAddr,
    ops_listen: SocketAddr,
    orders: Orders,
    common: Arc<http::Common>,
    draining: Arc<AtomicBool>,
    handles: Vec<ServerHandle>,
    servers: Vec<JoinHandle<std::io::Result<()>>>,
    background: Vec<JoinHandle<()>>,
    _socket: AdminSocket,
}

/// Runs the gateway until a stop signal.
pub(super) async fn run(plan: Plan) -> Result<ExitCode, BuildError> {
    let engine = open_engine(&plan.settings.store)?;
    if demo::owns(&engine).await? {
        let path = plan.settings.store.path.display();
        return Err(format!(
            "{path} is the database of `paymux demo`, whose API key is public; name another file in `store.path`"
        )
        .into());
    }
    warn_of_retired_accounts(&plan, &engine).await?;
    let gateway = start(plan, engine).await?;
    println!("API       {}\nmetrics   {}/metrics", gateway.url(), gateway.ops_url());
    gateway.until_stopped().await;
    Ok(ExitCode::SUCCESS)
}

/// Opens the listeners on an open database, and starts the jobs. After an error nothing runs.
pub(super) async fn start(plan: Plan, engine: Engine) -> Result<Gateway, BuildError> {
    let shared = Shared::new(&plan, engine).await?;
    let (listener, listen) = bind(plan.settings.server.listen)?;
    let (ops_listener, ops_listen) = bind(plan.settings.server.ops_listen)?;
    tracing::info!("listening on {listen}, for operators on {ops_listen}");
    let settings = Arc::new(plan.settings);
    let transport = provider_transport(&settings.outbound)?;
    let orders = shared.orders(transport.clone());
    let common = Arc::new(http::Common::new(settings.clone(), &shared.engine));
    let draining = Arc::new(AtomicBool::new(false));
    let for_workers = {
        let (shared, outbound) = (shared.clone(), settings.outbound.clone());
        // Building the same client twice cannot fail where it has just worked; if it does, one is shared.
        move || shared.orders(provider_transport(&outbound).unwrap_or_else(|_| transport.clone()))
    };
    let public = http::serve(listener, common.clone(), for_workers)?;
    let operators = ops::Ops { payments: orders.payments.clone(), draining: draining.clone() };
    let operators = ops::serve(operators, ops_listener)?;
    let (admin, socket) = admin::serve(&settings.store.path, shared.engine.clone(), common.clone())?;
    let handles = vec![public.handle(), operators.handle(), admin.handle()];
    let servers = [public, operators, admin].map(tokio::spawn).into();
    let background = start_jobs(&shared, orders.clone(), &settings)?;
    Ok(Gateway {
        listen,
        ops_listen,
        orders,
        common,
        draining,
        handles,
        servers,
        background,
        _socket: socket,
    })
}

/// Starts the job runner, which also delivers webhooks, and the recurring work.
fn start_jobs(
    shared: &Shared,
    orders: Orders,
    settings: &Settings,
) -> Result<Vec<JoinHandle<()>>, BuildError> {
    let context = JobContext { orders, webhooks: shared.dispatcher(&settings.webhooks)? };
    let days = u64::from(settings.store.keep_notifications_days);
    let recurring = Recurring::new(shared.engine.clone(), Duration::from_secs(days * 24 * 3_600));
    Ok(vec![tokio::spawn(JobRunner::new(context).run()), tokio::spawn(recurring.run())])
}

fn bind(address: SocketAddr) -> Result<(TcpListener, SocketAddr), BuildError> {
    let listener =
        TcpListener::bind(address).map_err(|why| format!("{address} could not be opened: {why}"))?;
    let bound = listener.local_addr()?;
    Ok((listener, bound))
}

impl Gateway {
    /// Where the API is.
    pub(super) fn url(&self) -> String {
        format!("http://{}", self.listen)
    }

    /// Where metrics and health are.
    pub(super) fn ops_url(&self) -> String {
        format!("http://{}", self.ops_listen)
    }

    pub(super) fn orders(&self) -> &Orders {
        &self.orders
    }

    /// Serves until a stop signal, then lets open requests finish.
    pub(super) async fn until_stopped(self) {
        stop_requested().await;
        tracing::info!("stopping: open requests may finish");
        self.draining.store(true, Ordering::Relaxed);
        self.common.end_streams();
        for handle in &self.handles {
            handle.stop(true).await;
        }
        for server in self.servers {
            if let Ok(Err(fault)) = server.await {
                tracing::error!("a listener failed: {fault}");
            }
        }
        // Work that they leave unfinished is still due and runs after the next start.
        self.background.iter().for_each(JoinHandle::abort);
    }
}

/// Waits for Ctrl-C or a termination signal.
pub(super) async fn stop_requested() {
    use tokio::signal::unix::{SignalKind, signal};
    let Ok(mut terminated) = signal(SignalKind::terminate()) else {
        let _ = tokio::signal::ctrl_c().await;
        return;
    };
    tokio::select! {
        _ = tokio::signal::ctrl_c() => {}
        _ = terminated.recv() => {}
    }
}
