//! The return address: fetches the status from the provider, then redirects the customer to the merchant.
//!
//! The token identifies the attempt; the query and body that the provider adds are ignored, since a browser proves
//! nothing. Only the fetched status changes anything.

use std::sync::Arc;
use std::time::Duration;

use actix_web::HttpResponse;
use actix_web::http::StatusCode;
use actix_web::http::header::LOCATION;
use port::AttemptId;
use url::Url;

use super::pages::{self, private_page};
use super::problem::Problem;
use super::request::RawRequest;
use super::serve::run_detached;
use crate::domain::{
    Actor, AnySubject, FailureCode, OrderAggregate, ProfileSession, ReturnUrls, SessionFailure,
    SessionStatus, subject_of,
};
use crate::engine::WorkingCopy;
use crate::payments::{Redirect, ReturnToken};

/// How long the customer waits for the provider's answer.
const FETCH_TIMEOUT: Duration = Duration::from_secs(3);

/// `GET` and `POST /return/{token}`
pub(super) async fn handle_return(raw: RawRequest) -> Result<HttpResponse, Problem> {
    let token = raw.state.payments().providers.returns().read(raw.segment("token"));
    let Some(ReturnToken { attempt, redirect }) = token else { return Ok(pages::not_found()) };
    Ok(match raw.state.store().subject(subject_of(attempt.uuid()), None).await {
        Ok(Some(AnySubject::Order(order))) => {
            let fetched = fetch_order(&raw, order.clone(), attempt, redirect).await;
            let (order, is_current) = (fetched.as_ref().unwrap_or(&order), fetched.is_some());
            let session = of_order(order, attempt, is_current);
            session.map_or_else(pages::not_found, |session| session.answer(redirect))
        }
        Ok(Some(AnySubject::ProfileSession(session))) => {
            let fetched = fetch_profile_session(&raw, session.clone()).await;
            let is_current = fetched.is_some();
            of_profile_session(&fetched.unwrap_or(session), is_current).answer(redirect)
        }
        Ok(_) => pages::not_found(),
        Err(fault) => pages::unavailable(&fault),
    })
}

/// The order after a fetch; `None` if its session has ended, or the fetch fails or takes too long. Of a session that has
/// ended, the redirect can still say why.
async fn fetch_order(
    raw: &RawRequest,
    order: Arc<OrderAggregate>,
    attempt: AttemptId,
    redirect: Redirect,
) -> Option<Arc<OrderAggregate>> {
    let session = order.session(order.attempt(attempt)?.session)?;
    let (payment, is_open, id) = (session.payment, session.status.is_open(), session.id);
    let (payments, command) = (raw.state.payments().clone(), raw.command(Actor::Customer));
    if !is_open {
        let left =
            redirect == Redirect::Cancel && session.failure.as_ref().is_some_and(SessionFailure::may_be_left);
        let record = async move { Ok(payments.record_customer_left(order.id(), id, &command).await?) };
        return if left { in_time(record).await } else { None };
    }
    payments.customer_returned(payment, redirect);
    let wait = payments.reserve_customer_fetch(payment, FETCH_TIMEOUT)?;
    let fetch = async move {
        tokio::time::sleep(wait).await;
        Ok(payments.fetch_status_for_customer(order, payment, &command).await?)
    };
    in_time(fetch).await
}

/// The same for a profile session.
async fn fetch_profile_session(
    raw: &RawRequest,
    session: Arc<ProfileSession>,
) -> Option<Arc<ProfileSession>> {
    let (payments, command) = (raw.state.payments().clone(), raw.command(Actor::Customer));
    let mut known = WorkingCopy::of(session);
    let fetch = async move {
        payments.refresh_profile_session(&mut known, true, &command).await?;
        Ok(known.current().clone())
    };
    in_time(fetch).await
}

/// The result of a fetch, if it comes in time. The fetch continues and is applied even after the timeout; an error of
/// the provider is logged where it is called.
async fn in_time<T: 'static>(fetch: impl Future<Output = Result<T, Problem>> + 'static) -> Option<T> {
    tokio::time::timeout(FETCH_TIMEOUT, run_detached(fetch)).await.ok()?.ok()
}

/// A session's status and the merchant's return URLs.
struct ReturnedSession<'a> {
    status: SessionStatus,
    failure: Option<&'a SessionFailure>,
    /// Whether the provider was read because of this return. A customer who may have paid since an older read is not
    /// told that it failed.
    is_current: bool,
    /// `None` after erasure.
    urls: Option<&'a ReturnUrls>,
    /// The ids that the merchant's URL gets.
    ids: Vec<(&'static str, String)>,
}

fn of_order(order: &OrderAggregate, attempt: AttemptId, is_current: bool) -> Option<ReturnedSession<'_>> {
    let session = order.session(order.attempt(attempt)?.session)?;
    Some(ReturnedSession {
        status: session.status,
        failure: session.failure.as_ref(),
        is_current,
        urls: session.request.value().map(|request| &request.return_urls),
        ids: vec![("orderId", order.id().to_string()), ("paymentSessionId", session.id.to_string())],
    })
}

fn of_profile_session(session: &ProfileSession, is_current: bool) -> ReturnedSession<'_> {
    ReturnedSession {
        status: session.status,
        failure: session.failure.as_ref(),
        is_current,
        urls: session.request.value().map(|request| &request.return_urls),
        ids: vec![("paymentProfileSessionId", session.id.to_string())],
    }
}

impl ReturnedSession<'_> {
    /// Redirects to the merchant, or shows a page if the merchant gave no URL.
    fn answer(&self, redirect: Redirect) -> HttpResponse {
        let target = self.target(redirect);
        let url = self.urls.and_then(|urls| address(urls, target));
        match url.and_then(|url| self.with_outcome(url)) {
            Some(url) => private_page(StatusCode::SEE_OTHER).insert_header((LOCATION, url.as_str())).finish(),
            None => own_page(target),
        }
    }

    /// The merchant's page that the customer is sent to.
    fn target(&self, redirect: Redirect) -> Redirect {
        match self.status {
            SessionStatus::Completed => Redirect::Success,
            SessionStatus::Failed => match self.failure.map(|failure| failure.code) {
                Some(FailureCode::CancelledByCustomer | FailureCode::Cancelled) => Redirect::Cancel,
                // The provider has one status for both, and the customer may come after it was read.
                _ if redirect == Redirect::Cancel
                    && self.failure.is_some_and(SessionFailure::may_be_left) =>
                {
                    Redirect::Cancel
                }
                _ => Redirect::Failure,
            },
            SessionStatus::Pending | SessionStatus::RequiresAction => match redirect {
                // Without a page of its own, whoever cancels is shown that it failed.
                Redirect::Cancel if self.is_current || self.has_cancel_page() => Redirect::Cancel,
                _ if self.is_current && self.failure.is_some_and(|failure| failure.retryable) => {
                    Redirect::Failure
                }
                _ => Redirect::InProgress,
            },
        }
    }

    fn has_cancel_page(&self) -> bool {
        self.urls.is_some_and(|urls| urls.cancel.is_some())
    }

    /// The merchant's URL with the outcome added to its query. `None` if it is not a valid URL.
    fn with_outcome(&self, url: &str) -> Option<Url> {
        let mut url = Url::parse(url).ok()?;
        url.query_pairs_mut().extend_pairs(&self.ids).append_pair("status", self.status.as_str());
        Some(url)
    }
}

fn address(urls: &ReturnUrls, target: Redirect) -> Option<&str> {
    match target {
        Redirect::Success => urls.success.as_deref(),
        Redirect::InProgress => urls.in_progress.as_deref(),
        Redirect::Failure => urls.failure.as_deref(),
        Redirect::Cancel => urls.cancel.as_deref().or(urls.failure.as_deref()),
    }
}

fn own_page(target: Redirect) -> HttpResponse {
    let (title, text) = match target {
        Redirect::Success => ("Thank you", "Your payment has arrived. You can close this page."),
        Redirect::InProgress => (
            "Payment in progress",
            "Your payment is not complete yet. If you have just paid, nothing more is needed from you.",
        ),
        Redirect::Failure => (
            "The payment did not go through",
            "You can try again with the link that you received, or ask the shop for a new one.",
        ),
        Redirect::Cancel => (
            "The payment was not made",
            "You left before paying. The link that you received may still work; else ask the shop for a new one.",
        ),
    };
    pages::page(StatusCode::OK, title, text)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn session(status: SessionStatus, urls: Option<&ReturnUrls>) -> ReturnedSession<'_> {
        let ids = vec![("orderId", "1".to_owned())];
        ReturnedSession { status, failure: None, is_current: true, urls, ids }
    }

    #[test]
    fn the_customer_is_sent_by_the_status_of_the_session_and_not_by_the_redirect() {
        use FailureCode as Code;
        use Redirect::{Cancel, Failure, InProgress, Success};
        use SessionStatus::{Completed, Failed, Pending, RequiresAction};
        for (status, failure, redirect, expected) in [
            (Completed, None, Success, Success),
            (Completed, None, Cancel, Success),
            (Completed, Some((Code::Declined, true)), Failure, Success),
            (Failed, Some((Code::Declined, false)), Success, Failure),
            (Failed, Some((Code::Declined, false)), Cancel, Cancel),
            (Failed, Some((Code::Rejected, false)), Cancel, Failure),
            (Failed, Some((Code::Expired, false)), InProgress, Failure),
            (Failed, Some((Code::ProviderError, false)), Success, Failure),
            (Failed, Some((Code::Cancelled, false)), Success, Cancel),
            (Failed, Some((Code::CancelledByCustomer, false)), Failure, Cancel),
            (Failed, None, Success, Failure),
            (Pending, None, Success, InProgress),
            (Pending, None, Failure, InProgress),
            (Pending, None, InProgress, InProgress),
            (Pending, None, Cancel, Cancel),
            (Pending, Some((Code::Declined, true)), Success, Failure),
            (Pending, Some((Code::Declined, true)), Cancel, Cancel),
            (Pending, Some((Code::Declined, false)), Success, InProgress),
            (RequiresAction, None, Success, InProgress),
        ] {
            let failure = failure.map(|(code, retryable)| SessionFailure {
                code,
                message: None,
                provider_code: None,
                retryable,
            });
            let urls =
                ReturnUrls { cancel: Some("https://shop.example/cart".to_owned()), ..ReturnUrls::default() };
            let session = ReturnedSession { failure: failure.as_ref(), ..session(status, Some(&urls)) };
            assert_eq!(session.target(redirect), expected, "{status:?} {failure:?} by {redirect:?}");
            let older = ReturnedSession { is_current: false, ..session };
            let says_failed = expected == Failure && status != Failed;
            let expected = if says_failed { InProgress } else { expected };
            assert_eq!(older.target(redirect), expected, "an older {status:?} {failure:?} by {redirect:?}");
        }
    }

    #[test]
    fn without_a_cancel_page_nobody_is_shown_a_failure_that_no_new_read_has_shown() {
        let none = ReturnUrls::default();
        for urls in [Some(&none), None] {
            let current = session(SessionStatus::Pending, urls);
            assert_eq!(current.target(Redirect::Cancel), Redirect::Cancel);
            let older = ReturnedSession { is_current: false, ..current };
            assert_eq!(older.target(Redirect::Cancel), Redirect::InProgress);
        }
        let ended = ReturnedSession { is_current: false, ..session(SessionStatus::Failed, Some(&none)) };
        assert_eq!(ended.target(Redirect::Failure), Redirect::Failure);
    }

    #[test]
    fn a_decline_that_the_provider_has_stated_is_shown_as_failure_whoever_says_cancelled() {
        let failure = SessionFailure {
            code: FailureCode::Declined,
            message: None,
            provider_code: Some("51".to_owned()),
            retryable: false,
        };
        let session = ReturnedSession { failure: Some(&failure), ..session(SessionStatus::Failed, None) };
        assert_eq!(session.target(Redirect::Cancel), Redirect::Failure);
    }

    #[test]
    fn cancel_falls_back_to_failure_and_nothing_else_falls_back() {
        let named = |name: &str| Some(format!("https://shop.example/{name}"));
        let urls = ReturnUrls { failure: named("failure"), ..ReturnUrls::default() };
        assert_eq!(address(&urls, Redirect::Cancel), Some("https://shop.example/failure"));
        assert_eq!(address(&urls, Redirect::Success), None);
        assert_eq!(address(&urls, Redirect::InProgress), None);
        let urls = ReturnUrls { cancel: named("cancel"), ..urls };
        assert_eq!(address(&urls, Redirect::Cancel), Some("https://shop.example/cancel"));
    }

    #[test]
    fn the_outcome_goes_behind_a_query_and_before_a_fragment() {
        let session = session(SessionStatus::Completed, None);
        for (given, expected) in [
            ("https://shop.example", "https://shop.example/?{}"),
            ("https://shop.example/done", "https://shop.example/done?{}"),
            ("https://shop.example/done?", "https://shop.example/done?{}"),
            ("https://shop.example/done?a=b", "https://shop.example/done?a=b&{}"),
            ("https://shop.example/done?a=b%20c&d", "https://shop.example/done?a=b%20c&d&{}"),
            ("https://shop.example/done?status=mine", "https://shop.example/done?status=mine&{}"),
            ("https://shop.example/#/done", "https://shop.example/?{}#/done"),
            ("https://shop.example/done?a=b#part?c=d", "https://shop.example/done?a=b&{}#part?c=d"),
            ("http://127.0.0.1:3000/p%C3%A4y", "http://127.0.0.1:3000/p%C3%A4y?{}"),
        ] {
            let url = session.with_outcome(given).unwrap();
            assert_eq!(url.as_str(), expected.replace("{}", "orderId=1&status=COMPLETED"), "{given}");
        }
        assert_eq!(session.with_outcome("not an address"), None);
    }

    #[test]
    fn without_a_url_of_the_merchant_the_customer_sees_a_page() {
        let urls = ReturnUrls::default();
        let answer = session(SessionStatus::Completed, Some(&urls)).answer(Redirect::Success);
        assert_eq!(answer.status(), StatusCode::OK);
        assert!(answer.headers().get(LOCATION).is_none());
    }
}
