//! The running gateway: listeners, background work and an orderly shutdown.

use std::net::{SocketAddr, TcpListener};
use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use actix_web::dev::ServerHandle;
use futures_util::future::select_all;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::task::JoinHandle;

use super::admin::{self, AdminSocket};
use super::build::{BuildError, Plan, Shared, open_engine, provider_transport, warn_of_retired_accounts};
use super::database_file::DatabaseFiles;
use super::demo;
use crate::audit::{self, LastChangeCheck};
use crate::config::Settings;
use crate::engine::Engine;
use crate::http::{self, ops};
use crate::jobs::{JobContext, JobRunner, Recurring};
use crate::loops::Supervisor;
use crate::metrics::Metrics;
use crate::orders::Orders;

/// How often it is seen whether the machine's clock was set.
const CLOCK_INTERVAL: Duration = Duration::from_secs(2);

/// A running gateway.
pub(super) struct Gateway {
    listen: SocketAddr,
    ops_listen: SocketAddr,
    orders: Orders,
    common: Arc<http::Common>,
    signals: Signals,
    database: DatabaseFiles,
    draining: Arc<AtomicBool>,
    drain: Duration,
    handles: Vec<ServerHandle>,
    servers: Vec<JoinHandle<std::io::Result<()>>>,
    background: Vec<JoinHandle<()>>,
    _socket: AdminSocket,
}

/// Runs the gateway until a stop signal.
pub(super) async fn run(plan: Plan, metrics: Arc<Metrics>) -> Result<ExitCode, BuildError> {
    let engine = open_engine(&plan.settings.store, metrics)?;
    if demo::owns(&engine).await? {
        return Err(demo::refusal(&plan.settings.store.path).into());
    }
    warn_of_retired_accounts(&plan, &engine).await?;
    let gateway = start(plan, engine).await?;
    println!("API       {}\nmetrics   {}/metrics", gateway.url(), gateway.ops_url());
    gateway.until_stopped().await?;
    Ok(ExitCode::SUCCESS)
}

/// Opens the listeners on an open database, and starts the jobs. After an error nothing runs.
pub(super) async fn start(plan: Plan, engine: Engine) -> Result<Gateway, BuildError> {
    let signals = Signals::take()?;
    refuse_missing_changes(&engine, &plan.settings.store.path).await?;
    let database = DatabaseFiles::of(&plan.settings.store.path);
    let metrics = engine.metrics.clone();
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
    let supervisor = Arc::new(Supervisor::new(metrics));
    let operators = ops::Ops {
        payments: orders.payments.clone(),
        draining: draining.clone(),
        supervisor: supervisor.clone(),
    };
    let operators = ops::serve(operators, ops_listener)?;
    let (admin, socket) = admin::serve(&settings.store.path, shared.engine.clone(), common.clone())?;
    let handles = vec![public.handle(), operators.handle(), admin.handle()];
    let servers = [public, operators, admin].map(tokio::spawn).into();
    let background = start_background(&shared, orders.clone(), &settings, &supervisor)?;
    let drain = Duration::from_secs(settings.server.drain_s);
    Ok(Gateway {
        signals,
        listen,
        ops_listen,
        orders,
        common,
        database,
        draining,
        drain,
        handles,
        servers,
        background,
        _socket: socket,
    })
}

/// Refuses a database without its newest changes: they would be written over, and nobody would know.
async fn refuse_missing_changes(engine: &Engine, database: &Path) -> Result<(), BuildError> {
    let missing = match audit::check_last_change(&*engine.store, database).await? {
        LastChangeCheck::Fits => return Ok(()),
        LastChangeCheck::Unknown(why) => {
            tracing::warn!("{why}; a power cut may have left it so, and the next change writes it anew");
            return Ok(());
        }
        LastChangeCheck::Missing(what) => what,
    };
    let file = database.display();
    Err(format!(
        "{file}: {missing}. Bring back the file and its write-ahead log `{file}-wal`, or a newer back-up; to go on with \
         what is there, move `{file}.head` away, and compare the payments with the providers'"
    )
    .into())
}

/// Starts the job runner, which also delivers webhooks, and the recurring work.
fn start_background(
    shared: &Shared,
    orders: Orders,
    settings: &Settings,
    supervisor: &Arc<Supervisor>,
) -> Result<Vec<JoinHandle<()>>, BuildError> {
    let context = Arc::new(JobContext { orders, webhooks: shared.dispatcher(&settings.webhooks)? });
    let jobs = move || JobRunner::new(context.clone()).run();
    let days = u64::from(settings.store.keep_notifications_days);
    let (engine, keep) = (shared.engine.clone(), Duration::from_secs(days * 24 * 3_600));
    let recurring = move || Recurring::new(engine.clone(), keep, CLOCK_INTERVAL).run();
    Ok(vec![
        tokio::spawn(supervisor.clone().keep_running("jobs", jobs)),
        tokio::spawn(supervisor.clone().keep_running("recurring work", recurring)),
    ])
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
    ///
    /// # Errors
    /// If the database's files are gone or a listener has failed; then it stops at once, since it could keep no promise.
    pub(super) async fn until_stopped(mut self) -> Result<(), BuildError> {
        tokio::select! {
            () = self.signals.stop_requested() => {}
            lost = self.database.lost() => {
                return Err(format!("{} was deleted or replaced while the gateway ran, so it has stopped; bring \
                                    the file back and start it again", lost.display()).into());
            }
            (ended, ..) = select_all(&mut self.servers) => {
                return Err(format!("a listener has failed, so the gateway has stopped: {ended:?}").into());
            }
        }
        self.draining.store(true, Ordering::Relaxed);
        if !self.drain.is_zero() {
            let seconds = self.drain.as_secs();
            tracing::info!("stopping: `/readyz` says so, and requests are accepted for {seconds} s more");
            // A second signal cuts it short.
            let _ = tokio::time::timeout(self.drain, self.signals.stop_requested()).await;
        }
        tracing::info!("stopping: open requests may finish");
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
        Ok(())
    }
}

/// The signals that the program takes, from the moment that this is made.
pub(super) struct Signals {
    interrupted: Signal,
    terminated: Signal,
    hung_up: Signal,
    user_defined: [Signal; 2],
}

impl Signals {
    pub(super) fn take() -> std::io::Result<Self> {
        Ok(Self {
            interrupted: signal(SignalKind::interrupt())?,
            terminated: signal(SignalKind::terminate())?,
            hung_up: signal(SignalKind::hangup())?,
            user_defined: [signal(SignalKind::user_defined1())?, signal(SignalKind::user_defined2())?],
        })
    }

    /// Waits for Ctrl-C or a termination signal. A hang-up, which a closed terminal or a service manager's reload sends,
    /// and the user-defined signals, which some log rotations send, are logged and nothing else.
    pub(super) async fn stop_requested(&mut self) {
        let [first, second] = &mut self.user_defined;
        loop {
            let ignored = tokio::select! {
                _ = self.interrupted.recv() => return,
                _ = self.terminated.recv() => return,
                _ = self.hung_up.recv() => "a hang-up",
                _ = first.recv() => "a USR1",
                _ = second.recv() => "a USR2",
            };
            tracing::info!("{ignored} signal came: nothing is reloaded; a restart applies changed settings");
        }
    }
}
