//! The listener for operators: metrics and health. It has no keys, so it belongs on an address that only they reach.
//!
//! Health says whether this program can do its work. A provider in trouble is no reason to take it out: it would be
//! in as much trouble with the next one.

use std::io;
use std::net::TcpListener;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use actix_web::dev::Server;
use actix_web::http::StatusCode;
use actix_web::http::header::{CACHE_CONTROL, CONTENT_TYPE};
use actix_web::web::{self, Data};
use actix_web::{App, HttpRequest, HttpResponse, HttpServer};

use crate::domain::JobKind;
use crate::payments::Shared;
use crate::store::StoreError;

/// How long a look at the database may take before it counts as not readable.
const READ_TIMEOUT: Duration = Duration::from_secs(2);

/// What the listener for operators looks at.
#[derive(Clone)]
pub struct Ops {
    /// Everything that the gateway works with.
    pub shared: Arc<Shared>,
    /// Set when the gateway is about to stop, so that nobody sends it anything new.
    pub draining: Arc<AtomicBool>,
}

/// Serves metrics and health, on a thread of its own.
///
/// # Errors
/// If the listener cannot be used.
pub fn serve(ops: Ops, listener: TcpListener) -> io::Result<Server> {
    let app = move || {
        App::new()
            .app_data(Data::new(ops.clone()))
            .route("/metrics", web::get().to(metrics))
            .route("/livez", web::get().to(alive))
            .route("/readyz", web::get().to(ready))
            .route("/healthz", web::get().to(ready))
    };
    Ok(HttpServer::new(app).workers(1).disable_signals().listen(listener)?.run())
}

/// All metrics. Those that nobody counts while it happens are looked up first.
async fn metrics(ops: Data<Ops>) -> HttpResponse {
    let metrics = &ops.shared.metrics;
    match overdue(&ops.shared).await {
        Ok(overdue) => overdue.into_iter().for_each(|(kind, since)| metrics.job_oldest_due(kind, since)),
        Err(fault) => tracing::warn!("the agenda could not be looked at for the metrics: {fault}"),
    }
    for account in ops.shared.accounts.iter() {
        match oldest_open_payment(&ops.shared, &account.name).await {
            Ok(age) => metrics.oldest_open_payment(&account.name, age),
            Err(fault) => tracing::warn!("payments could not be looked at for the metrics: {fault}"),
        }
    }
    HttpResponse::Ok().insert_header((CONTENT_TYPE, metrics.content_type())).body(metrics.render())
}

/// How long the oldest entry of each kind has been due; zero if nothing is.
async fn overdue(shared: &Shared) -> Result<Vec<(&'static str, Duration)>, StoreError> {
    let (oldest, now) = (readable(shared).await?, shared.now());
    let since =
        |kind| oldest.iter().find(|(of, _)| *of == kind).map_or(Duration::ZERO, |(_, at)| now.since(*at));
    Ok(JobKind::ALL.into_iter().map(|kind| (kind.as_str(), since(kind))).collect())
}

/// How old the oldest payment of an account is that somebody still waits for; zero if there is none.
async fn oldest_open_payment(shared: &Shared, account: &str) -> Result<Duration, StoreError> {
    let oldest = in_time(shared.store.oldest_open_payment(account)).await?;
    Ok(oldest.map_or(Duration::ZERO, |at| shared.now().since(at)))
}

async fn readable(shared: &Shared) -> Result<Vec<(JobKind, port::Timestamp)>, StoreError> {
    in_time(shared.store.oldest_jobs()).await
}

async fn in_time<T>(look: impl Future<Output = Result<T, StoreError>>) -> Result<T, StoreError> {
    let late = || StoreError::Failed(format!("no answer within {} s", READ_TIMEOUT.as_secs()));
    tokio::time::timeout(READ_TIMEOUT, look).await.unwrap_or_else(|_| Err(late()))
}

/// The program runs and answers: there is nothing to look at.
async fn alive() -> HttpResponse {
    plain(StatusCode::OK, "ok\n".to_owned())
}

/// Whether it is of use to send requests here. `?verbose` names each check.
async fn ready(ops: Data<Ops>, request: HttpRequest) -> HttpResponse {
    let database = readable(&ops.shared).await.map(|_| ()).map_err(|fault| fault.to_string());
    let serving = if ops.draining.load(Ordering::Relaxed) { Err("about to stop".to_owned()) } else { Ok(()) };
    let checks = [("database", database), ("serving", serving)];
    let ready = checks.iter().all(|(_, found)| found.is_ok());
    let mut text = String::new();
    if request.query_string().split('&').any(|part| part.split('=').next() == Some("verbose")) {
        text.extend(checks.iter().map(|(name, found)| match found {
            Ok(()) => format!("ok   {name}\n"),
            Err(why) => format!("FAIL {name}: {why}\n"),
        }));
        text.push_str(&format!("     {} accounts are configured\n", ops.shared.accounts.iter().count()));
    }
    text.push_str(if ready { "ready\n" } else { "not ready\n" });
    plain(if ready { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE }, text)
}

fn plain(status: StatusCode, text: String) -> HttpResponse {
    HttpResponse::build(status)
        .insert_header((CONTENT_TYPE, "text/plain; charset=utf-8"))
        .insert_header((CACHE_CONTROL, "no-store"))
        .body(text)
}
