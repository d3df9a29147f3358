//! Notifications of providers: within the account's rate, and answered as soon as they are kept.

use actix_web::http::header::HeaderValue;
use actix_web::{HttpRequest, HttpResponse};
use port::Notification;

use super::problem::{Code, Problem};
use super::rate::Buckets;
use super::request::RawRequest;
use crate::config::Limits;
use crate::inbox::NotificationReceiver;
use crate::metrics::NotificationOutcome;
use crate::payments::PaymentError;

/// `POST /webhooks/{account}` and `POST /webhooks/{account}/{key}`
pub(super) async fn receive(raw: RawRequest) -> Result<HttpResponse, Problem> {
    let (payments, inbox, now) = (raw.state.payments(), &raw.state.common().inbox, raw.state.now());
    let account = payments.providers.accounts().get(raw.segment("account")).ok_or_else(Problem::not_found)?;
    let count = |outcome| raw.state.metrics().notification(&account.name, outcome);
    if let Some(wait) = inbox.buckets.take(&account.name.as_str().into(), now).wait {
        count(NotificationOutcome::Limited);
        let detail = "More notifications come to this account than are taken.";
        return Err(Problem::new(Code::RateLimited, detail).retry_after(wait));
    }
    let headers = headers_of(&raw.request);
    let notification =
        Notification { headers: &headers, body: &raw.body, received_at: now, address_key: false };
    let received = inbox.receiver.receive(payments, account, &notification, raw.segment("key")).await;
    let outcome = received.map_err(not_received)?;
    count(outcome);
    if outcome == NotificationOutcome::Unverified {
        let detail = "This does not prove that it comes from the provider.";
        return Err(Problem::new(Code::Unauthenticated, detail));
    }
    Ok(HttpResponse::Ok().finish())
}

/// Any fault is answered 503: then the provider sends it again.
fn not_received(fault: PaymentError) -> Problem {
    let detail = "The notification could not be taken. Send it again.";
    Problem::new(Code::Overloaded, detail).caused_by(fault)
}

/// Headers by their lower-case names. One that is not text proves nothing.
fn headers_of(request: &HttpRequest) -> Vec<(String, String)> {
    let text = |value: &HeaderValue| value.to_str().ok().map(str::to_owned);
    let headers = request.headers().iter();
    headers.filter_map(|(name, value)| Some((name.as_str().to_owned(), text(value)?))).collect()
}

/// What all workers share about notifications: how many may come, and who receives them.
pub(super) struct Inbox {
    buckets: Buckets,
    receiver: NotificationReceiver,
}

/// As many seconds' worth of notifications may come at once.
const BURST_S: u32 = 2;

impl Inbox {
    /// Within the operator's limits.
    pub(super) fn new(limits: &Limits) -> Self {
        let per_second = limits.notifications_per_second;
        let buckets = Buckets::new(per_second, per_second.saturating_mul(BURST_S));
        Self { buckets, receiver: NotificationReceiver::default() }
    }
}
