//! The routes for providers' notifications, with a rate limit for each account: one for what is verified, and another for
//! what is not.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use actix_web::http::header::HeaderValue;
use actix_web::{HttpRequest, HttpResponse};
use port::{Notification, Timestamp};

use super::problem::{Code, Problem};
use super::request::RawRequest;
use crate::inbox;
use crate::metrics::NotificationOutcome;
use crate::payments::PaymentError;

/// `POST /webhooks/{account}` and `POST /webhooks/{account}/{key}`
pub(super) async fn receive(raw: RawRequest) -> Result<HttpResponse, Problem> {
    let (payments, common, now) = (raw.state.payments(), &raw.state.common, raw.state.now());
    let account = payments.providers.accounts().get(raw.segment("account")).ok_or_else(Problem::not_found)?;
    let count = |outcome| raw.state.metrics().notification(&account.name, outcome);
    let headers = headers_of(&raw.request);
    let notification =
        Notification { headers: &headers, body: &raw.body, received_at: now, address_key: false };
    let verified = inbox::verify(account, &notification, raw.segment("key"));
    // Anybody can send what nothing proves, so it takes nothing from the limit of what the provider sends.
    let limited = match &verified {
        Some(_) => account.name.as_str().into(),
        None => format!("{} unverified", account.name).into(),
    };
    if let Some(wait) = common.notification_limiter.take(&limited, now).wait {
        count(NotificationOutcome::Limited);
        let detail = "This account gets more notifications than its limit.";
        return Err(Problem::new(Code::RateLimited, detail).retry_after(wait));
    }
    let Some(verified) = verified else {
        count(NotificationOutcome::Unverified);
        common.refused_notifications.log(&account.name, now);
        let detail = "Nothing proves that this comes from the provider.";
        return Err(Problem::new(Code::Unauthenticated, detail));
    };
    let received = common.notification_receiver.receive(payments, account, &notification, verified).await;
    let outcome = received.map_err(not_received)?;
    count(outcome);
    if outcome == NotificationOutcome::Unreadable {
        let detail = "This notification names no object. Nothing was done; send it again.";
        return Err(Problem::new(Code::MalformedJson, detail));
    }
    Ok(HttpResponse::Ok().finish())
}

/// Logs refused notifications: anybody can send them, so one line a minute for each account.
#[derive(Default)]
pub(super) struct RefusedNotifications(Mutex<BTreeMap<String, Refused>>);

struct Refused {
    since_last_line: u64,
    next_line_at: Timestamp,
}

const LINE_INTERVAL: Duration = Duration::from_secs(60);

impl RefusedNotifications {
    fn log(&self, account: &str, now: Timestamp) {
        if let Some(count) = self.due(account, now) {
            tracing::warn!(
                account.name = account,
                "notifications refused: {count}; nothing proves that they come from the provider; is the secret of the account the one of the provider's portal?"
            );
        }
    }

    /// Counts one more. Returns how many to report if a line is due.
    fn due(&self, account: &str, now: Timestamp) -> Option<u64> {
        let mut accounts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let new = || Refused { since_last_line: 0, next_line_at: now };
        let refused = accounts.entry(account.to_owned()).or_insert_with(new);
        refused.since_last_line += 1;
        if now < refused.next_line_at {
            return None;
        }
        refused.next_line_at = now.plus(LINE_INTERVAL);
        Some(std::mem::take(&mut refused.since_last_line))
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn refused_notifications_are_reported_once_a_minute_with_their_number() {
        let (log, start) = (RefusedNotifications::default(), Timestamp::from_seconds(1_800_000_000));
        let at = |seconds| start.plus(Duration::from_secs(seconds));
        assert_eq!(log.due("one", at(0)), Some(1), "the first at once");
        let quiet = (1..60).filter_map(|second| log.due("one", at(second))).count();
        assert_eq!(quiet, 0);
        assert_eq!(log.due("two", at(30)), Some(1), "each account for itself");
        assert_eq!(log.due("one", at(60)), Some(60));
    }
}
