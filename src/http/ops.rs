//! The listener for operators: metrics and health. It needs no API key, so it must not be public.
//!
//! Health is about this program only: a provider's outage would affect any other instance as well.

use std::io;
use std::net::TcpListener;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use actix_web::dev::Server;
use actix_web::http::StatusCode;
use actix_web::http::header::{CACHE_CONTROL, CONTENT_TYPE};
use actix_web::web::{self, Data};
use actix_web::{App, FromRequest, Handler, HttpRequest, HttpResponse, HttpServer, Resource, Responder};
use port::Timestamp;

use crate::domain::Lane;
use crate::loops::Supervisor;
use crate::payments::Payments;
use crate::store::{Change, StoreError, Write};

/// The timeout of a database query.
const QUERY_TIMEOUT: Duration = Duration::from_secs(2);

#[derive(Clone)]
pub struct Ops {
    pub payments: Payments,
    /// Set when the gateway is stopping, so that load balancers send no more requests.
    pub draining: Arc<AtomicBool>,
    pub supervisor: Arc<Supervisor>,
}

/// Serves metrics and health, on a thread of its own.
pub fn serve(ops: Ops, listener: TcpListener) -> io::Result<Server> {
    let app = move || {
        App::new()
            .app_data(Data::new(ops.clone()))
            .service(read("/metrics", metrics))
            .service(read("/livez", alive))
            .service(read("/readyz", ready))
            .service(read("/healthz", ready))
    };
    Ok(HttpServer::new(app).workers(1).disable_signals().listen(listener)?.run())
}

/// An address that is only read: by GET, and by HEAD without the body.
fn read<F, Args>(path: &str, handler: F) -> Resource
where
    F: Handler<Args>,
    Args: FromRequest + 'static,
    F::Output: Responder + 'static,
{
    web::resource(path).route(web::get().to(handler.clone())).route(web::head().to(handler))
}

/// All metrics. Gauges are updated from the database first.
async fn metrics(ops: Data<Ops>) -> HttpResponse {
    if let Err(fault) = update_gauges(&ops.payments).await {
        tracing::warn!("the gauges of jobs and payments could not be updated: {fault}");
    }
    let metrics = &ops.payments.engine.metrics;
    HttpResponse::Ok().insert_header((CONTENT_TYPE, metrics.content_type())).body(metrics.render())
}

/// For how long the oldest job of each lane has been due, and the age of each account's oldest open payment; zero if
/// there is none.
async fn update_gauges(payments: &Payments) -> Result<(), StoreError> {
    let (store, metrics, now) = (&payments.engine.store, &payments.engine.metrics, payments.engine.now());
    let age = |at: Option<Timestamp>| at.map_or(Duration::ZERO, |at| now.since(at));
    metrics.job_oldest_due("general", "", age(oldest_due(payments, &Lane::General).await?));
    metrics.job_oldest_due("webhooks", "", age(oldest_delivery(payments).await?));
    for account in payments.providers.accounts().iter() {
        let lane = Lane::Account(account.name.clone());
        metrics.job_oldest_due("account", &account.name, age(oldest_due(payments, &lane).await?));
        let oldest = in_time(store.oldest_open_payment(&account.name)).await?;
        metrics.oldest_open_payment(&account.name, age(oldest));
    }
    Ok(())
}

/// Since when the oldest job of a lane has been due, or will be.
async fn oldest_due(payments: &Payments, lane: &Lane) -> Result<Option<Timestamp>, StoreError> {
    let due = in_time(payments.engine.store.next_due(lane)).await?;
    Ok(due.into_iter().map(|due| due.at).min())
}

/// Since when the oldest delivery to an endpoint has been due, or will be.
async fn oldest_delivery(payments: &Payments) -> Result<Option<Timestamp>, StoreError> {
    let engine = &payments.engine;
    let mut oldest = None;
    for enabled in engine.endpoints.enabled() {
        let next = in_time(engine.store.next_delivery(enabled.endpoint.id)).await?;
        oldest = oldest.into_iter().chain(next).min();
    }
    Ok(oldest)
}

async fn in_time<T>(query: impl Future<Output = Result<T, StoreError>>) -> Result<T, StoreError> {
    let late = || StoreError::Failed(format!("no answer within {} s", QUERY_TIMEOUT.as_secs()));
    tokio::time::timeout(QUERY_TIMEOUT, query).await.unwrap_or_else(|_| Err(late()))
}

async fn alive() -> HttpResponse {
    plain(StatusCode::OK, "ok\n".to_owned())
}

/// Whether requests can be sent here. `?verbose` lists each check.
async fn ready(ops: Data<Ops>, request: HttpRequest) -> HttpResponse {
    let database = oldest_due(&ops.payments, &Lane::General).await;
    let database = database.map(drop).map_err(|fault| fault.to_string());
    let probe = Change::plain("probe", vec![Write::Probe]);
    let writing = in_time(ops.payments.engine.store.commit(probe)).await.map_err(|fault| fault.to_string());
    let background = match ops.supervisor.down().join(", ") {
        none if none.is_empty() => Ok(()),
        down => Err(format!("{down} failed and will be started again")),
    };
    let serving = if ops.draining.load(Ordering::Relaxed) { Err("about to stop".to_owned()) } else { Ok(()) };
    let checks =
        [("database", database), ("writing", writing), ("background", background), ("serving", serving)];
    let ready = checks.iter().all(|(_, found)| found.is_ok());
    let mut text = String::new();
    if request.query_string().split('&').any(|part| part.split('=').next() == Some("verbose")) {
        text.extend(checks.iter().map(|(name, found)| match found {
            Ok(()) => format!("ok   {name}\n"),
            Err(why) => format!("FAIL {name}: {why}\n"),
        }));
        let accounts = ops.payments.providers.accounts().iter().count();
        text.push_str(&format!("     accounts configured: {accounts}\n"));
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
