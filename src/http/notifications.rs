//! The routes for providers' notifications, with a rate limit for each account.

use actix_web::http::header::HeaderValue;
use actix_web::{HttpRequest, HttpResponse};
use port::Notification;

use super::problem::{Code, Problem};
use super::request::RawRequest;
use crate::metrics::NotificationOutcome;
use crate::payments::PaymentError;

/// `POST /webhooks/{account}` and `POST /webhooks/{account}/{key}`
pub(super) async fn receive(raw: RawRequest) -> Result<HttpResponse, Problem> {
    let (payments, common, now) = (raw.state.payments(), &raw.state.common, raw.state.now());
    let account = payments.providers.accounts().get(raw.segment("account")).ok_or_else(Problem::not_found)?;
    let count = |outcome| raw.state.metrics().notification(&account.name, outcome);
    if let Some(wait) = common.notification_limiter.take(&account.name.as_str().into(), now).wait {
        count(NotificationOutcome::Limited);
        let detail = "This account gets more notifications than its limit.";
        return Err(Problem::new(Code::RateLimited, detail).retry_after(wait));
    }
    let headers = headers_of(&raw.request);
    let notification =
        Notification { headers: &headers, body: &raw.body, received_at: now, address_key: false };
    let received =
        common.notification_receiver.receive(payments, account, &notification, raw.segment("key")).await;
    let outcome = received.map_err(not_received)?;
    count(outcome);
    match outcome {
        NotificationOutcome::Unverified => {
            let detail = "Nothing proves that this comes from the provider.";
            Err(Problem::new(Code::Unauthenticated, detail))
        }
        NotificationOutcome::Unreadable => {
            let detail = "This notification names no object. Nothing was done; send it again.";
            Err(Problem::new(Code::MalformedJson, detail))
        }
        _ => Ok(HttpResponse::Ok().finish()),
    }
}

/// Any error is answered with 503, so that the provider sends the notification again.
fn not_received(fault: PaymentError) -> Problem {
    let detail = "The notification could not be stored. Send it again.";
    Problem::new(Code::Overloaded, detail).caused_by(fault)
}

/// Headers by their lower-case names. One that is not text is ignored.
fn headers_of(request: &HttpRequest) -> Vec<(String, String)> {
    let text = |value: &HeaderValue| value.to_str().ok().map(str::to_owned);
    let headers = request.headers().iter();
    headers.filter_map(|(name, value)| Some((name.as_str().to_owned(), text(value)?))).collect()
}
