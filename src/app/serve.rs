//! The running gateway: listeners, the agenda's loop, and stopping in good order.

use std::net::{SocketAddr, TcpListener};
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use actix_web::dev::ServerHandle;
use tokio::task::JoinHandle;

use super::build::{BuildError, Plan, dispatcher, open_store, orders, share};
use crate::domain::JobKind;
use crate::http::{self, ops};
use crate::metrics::Metrics;
use crate::payments::Shared;
use crate::reconcile::{JobRunner, Tick};
use crate::store::{Change, StoreError, Write};
use crate::webhooks::{self, WebhookDispatcher};

/// How long the agenda rests when nothing was due and nobody wakes it.
const IDLE_SLEEP: Duration = Duration::from_millis(250);

/// A gateway that serves.
pub(super) struct Gateway {
    listen: SocketAddr,
    ops_listen: SocketAddr,
    shared: Arc<Shared>,
    common: Arc<http::Common>,
    draining: Arc<AtomicBool>,
    handles: Vec<ServerHandle>,
    servers: Vec<JoinHandle<std::io::Result<()>>>,
    agenda: JoinHandle<()>,
    courier: JoinHandle<()>,
}

/// Runs the gateway until it is told to stop.
///
/// # Errors
/// [`BuildError`].
pub(super) async fn run(plan: Plan) -> Result<ExitCode, BuildError> {
    let gateway = start(plan).await?;
    println!("API       {}\nmetrics   {}/metrics", gateway.url(), gateway.ops_url());
    gateway.until_stopped().await;
    Ok(ExitCode::SUCCESS)
}

/// Opens the database and the listeners, and starts the agenda.
///
/// # Errors
/// [`BuildError`]; then nothing runs.
pub(super) async fn start(plan: Plan) -> Result<Gateway, BuildError> {
    let (listener, listen) = bind(plan.settings.server.listen)?;
    let (ops_listener, ops_listen) = bind(plan.settings.server.ops_listen)?;
    tracing::info!("listening on {listen}, for operators on {ops_listen}");
    let metrics = Arc::new(Metrics::new());
    let store = open_store(&plan.settings.store, &metrics)?;
    let shared = share(&plan, store, metrics).await?;
    schedule_recurring_jobs(&shared).await?;
    let settings = Arc::new(plan.settings);
    let common = Arc::new(http::Common::new(settings.clone(), &shared));
    let draining = Arc::new(AtomicBool::new(false));

    let own = orders(&shared, &settings.outbound)?;
    let for_workers = {
        let (shared, outbound, own) = (shared.clone(), settings.outbound.clone(), own.clone());
        // Building the same client twice cannot fail where it has just worked; if it does, one is shared.
        move || orders(&shared, &outbound).unwrap_or_else(|_| own.clone())
    };
    let public = http::serve(listener, common.clone(), for_workers)?;
    let operators = ops::Ops { shared: shared.clone(), draining: draining.clone() };
    let operators = ops::serve(operators, ops_listener)?;
    let handles = vec![public.handle(), operators.handle()];
    let servers = [public, operators].map(tokio::spawn).into();
    let agenda = tokio::spawn(run_jobs(JobRunner { orders: own }, shared.clone()));
    let courier = tokio::spawn(dispatch_webhooks(dispatcher(&shared, &settings.webhooks)?));
    Ok(Gateway { listen, ops_listen, shared, common, draining, handles, servers, agenda, courier })
}

/// The first checkpoint of this run is due at once, and so is a look for old notifications; each makes the next.
async fn schedule_recurring_jobs(shared: &Shared) -> Result<(), StoreError> {
    let chores = [(JobKind::Checkpoint, "events"), (JobKind::PruneInbox, "inbox")];
    let due = chores.map(|(kind, subject)| Write::Job {
        kind,
        subject: subject.to_owned(),
        order: None,
        at: Some(shared.now()),
    });
    shared.store.commit(Change::plain("plan chores", due.into())).await
}

fn bind(address: SocketAddr) -> Result<(TcpListener, SocketAddr), BuildError> {
    let listener = TcpListener::bind(address).map_err(|why| BuildError::Listen(address, why))?;
    let bound = listener.local_addr().map_err(|why| BuildError::Listen(address, why))?;
    Ok((listener, bound))
}

/// Does what is due, for ever.
async fn run_jobs(reconcile: JobRunner, shared: Arc<Shared>) {
    loop {
        match reconcile.run_once().await {
            Ok(Tick::Did(_)) => continue,
            Ok(Tick::Idle) => {}
            Err(fault) => tracing::error!("the agenda could not be read: {fault}"),
        }
        tokio::select! {
            () = shared.wake.notified() => {}
            () = tokio::time::sleep(IDLE_SLEEP) => {}
        }
    }
}

/// Tells merchants what is owed to them, for ever.
async fn dispatch_webhooks(mut dispatcher: WebhookDispatcher) {
    loop {
        match dispatcher.run_once().await {
            Ok(webhooks::Tick::Did) => continue,
            Ok(webhooks::Tick::Idle) => {}
            Err(fault) => tracing::error!("deliveries could not be claimed: {fault}"),
        }
        dispatcher.wait().await;
    }
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

    /// What its workers share.
    pub(super) fn shared(&self) -> Arc<Shared> {
        self.shared.clone()
    }

    /// Serves until the process is told to stop, then lets open requests finish.
    pub(super) async fn until_stopped(self) {
        until_told_to_stop().await;
        tracing::info!("stopping: open requests may finish");
        self.draining.store(true, Ordering::Relaxed);
        self.common.end_streams();
        for handle in &self.handles {
            handle.stop(true).await;
        }
        for server in self.servers {
            if let Ok(Err(fault)) = server.await {
                tracing::error!("a listener ended badly: {fault}");
            }
        }
        // What it leaves undone is leased, and is taken up by the next start.
        self.agenda.abort();
        self.courier.abort();
    }
}

/// Waits for Ctrl-C or a termination signal.
pub(super) async fn until_told_to_stop() {
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
