//! Where every provider sends the customer back to: ask for the truth, then on to the merchant.
//!
//! A browser proves nothing. The token says which attempt it is about; the provider's own query and body are not
//! even read. Nothing here changes anything, except by asking the provider.

use std::time::Duration;

use actix_web::HttpResponse;
use actix_web::http::StatusCode;
use actix_web::http::header::LOCATION;
use port::{OrderId, SessionId};
use url::Url;

use super::call::RawRequest;
use super::pages::{self, private_page};
use super::problem::Problem;
use super::serve::run_detached;
use crate::domain::{Actor, FailureCode, OrderAggregate, ReturnUrls, Session, SessionFailure, SessionStatus};
use crate::payments::{Redirect, attempt_of, read_token};
use crate::store::{Reads, StoreError};

/// How long the customer waits for the provider's answer.
const FETCH_TIMEOUT: Duration = Duration::from_secs(3);

/// `GET` and `POST /return/{token}`
pub(super) async fn handle_return(raw: RawRequest) -> Result<HttpResponse, Problem> {
    let (order, returned) = match find(raw.state.reads(), raw.segment("token")).await {
        Ok(Some(found)) => found,
        Ok(None) => {
            return Ok(handle_profile_return(&raw).await.unwrap_or_else(|fault| pages::unavailable(&fault)));
        }
        Err(fault) => return Ok(pages::unavailable(&fault)),
    };
    let order = fetch_status(&raw, order, returned.session).await;
    let session = order.session(returned.session);
    Ok(session.map_or_else(pages::not_found, |session| onward(order.id(), session, returned.redirect)))
}

/// The customer comes back from storing a method, if the token was made for that.
async fn handle_profile_return(raw: &RawRequest) -> Result<HttpResponse, StoreError> {
    let Some((hash, redirect)) = read_token(raw.segment("token")) else { return Ok(pages::not_found()) };
    let found = raw.state.reads().profile_session_of(&hash).await?;
    let Some(known) = found else { return Ok(pages::not_found()) };
    let (payments, mut session) = (raw.state.payments().clone(), known.clone());
    let asking = run_detached(async move {
        payments.refresh_profile_session(&mut session, true).await?;
        Ok(session)
    });
    let session = match tokio::time::timeout(FETCH_TIMEOUT, asking).await {
        Ok(Ok(newer)) => newer,
        Ok(Err(_)) | Err(_) => known,
    };
    let target = target(session.status, session.failure.as_ref(), redirect);
    let outcome =
        [("paymentProfileSessionId", session.id.to_string()), ("status", session.status.as_str().to_owned())];
    let url = address(&session.request.return_urls, target).and_then(|url| with_outcome(url, &outcome));
    Ok(url.map_or_else(|| own_page(target), |url| see_other(&url)))
}

/// What a token says.
#[derive(Clone, Copy)]
struct Returned {
    session: SessionId,
    redirect: Redirect,
}

async fn find(reads: &dyn Reads, token: &str) -> Result<Option<(OrderAggregate, Returned)>, StoreError> {
    let Some((hash, redirect)) = read_token(token) else { return Ok(None) };
    let Some((order, attempt)) = attempt_of(reads, hash).await? else { return Ok(None) };
    Ok(attempt.session.map(|session| (order, Returned { session, redirect })))
}

/// The file after asking the provider, or as it is known if that is of no use, takes too long or fails. What is
/// asked is worked in even when nobody waits for it any more.
async fn fetch_status(raw: &RawRequest, order: OrderAggregate, session: SessionId) -> OrderAggregate {
    let open = order.session(session).filter(|session| session.status.is_open());
    let Some(payment) = open.map(|session| session.payment) else { return order };
    let (payments, known) = (raw.state.payments().clone(), order.clone());
    let cause = raw.cause(Actor::Customer);
    let asking =
        run_detached(async move { Ok(payments.fetch_status_for_customer(known, payment, &cause).await?) });
    // A provider that does not answer was written down where it was called.
    match tokio::time::timeout(FETCH_TIMEOUT, asking).await {
        Ok(Ok(newer)) => newer,
        Ok(Err(_)) | Err(_) => order,
    }
}

/// On to the merchant, or to a page of our own where the merchant named none.
fn onward(order: OrderId, session: &Session, redirect: Redirect) -> HttpResponse {
    let target = target(session.status, session.failure.as_ref(), redirect);
    let urls = session.request.value().map(|request| &request.return_urls);
    let url = urls.and_then(|urls| address(urls, target));
    match url.and_then(|url| with_outcome(url, &outcome(order, session))) {
        Some(url) => see_other(&url),
        None => own_page(target),
    }
}

fn see_other(url: &Url) -> HttpResponse {
    private_page(StatusCode::SEE_OTHER).insert_header((LOCATION, url.as_str())).finish()
}

/// Which of the merchant's pages the customer is sent to.
fn target(status: SessionStatus, failure: Option<&SessionFailure>, came_by: Redirect) -> Redirect {
    match status {
        SessionStatus::Completed => Redirect::Success,
        SessionStatus::Failed => match failure.map(|failure| failure.code) {
            Some(FailureCode::CancelledByCustomer | FailureCode::Cancelled) => Redirect::Cancel,
            _ => Redirect::Failure,
        },
        SessionStatus::Pending | SessionStatus::RequiresAction => match came_by {
            Redirect::Cancel => Redirect::Cancel,
            _ if failure.is_some_and(|failure| failure.retryable) => Redirect::Failure,
            _ => Redirect::InProgress,
        },
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

/// The merchant's address with the outcome behind whatever query it has, before its fragment. `None` if it is no
/// address after all.
fn with_outcome(url: &str, outcome: &[(&str, String)]) -> Option<Url> {
    let mut url = Url::parse(url).ok()?;
    url.query_pairs_mut().extend_pairs(outcome);
    Some(url)
}

fn outcome(order: OrderId, session: &Session) -> [(&'static str, String); 3] {
    [
        ("orderId", order.to_string()),
        ("paymentSessionId", session.id.to_string()),
        ("status", session.status.as_str().to_owned()),
    ]
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
    use crate::domain::{Erasable, FailureCode, Metadata, Routing, SessionRequest};
    use port::{Approach, AttemptId, CaptureMode, Currency, LinkDelivery, Money, PaymentId, Timestamp, Uuid};

    fn session(
        status: SessionStatus,
        failure: Option<(FailureCode, bool)>,
        return_urls: ReturnUrls,
    ) -> Session {
        let failure = failure.map(|(code, retryable)| SessionFailure {
            code,
            message: None,
            provider_code: None,
            retryable,
        });
        let request = SessionRequest {
            return_urls,
            link_delivery: LinkDelivery::default(),
            language: None,
            save_payment_profile: false,
            payment_profile_id: None,
            profile_reference: None,
            metadata: Metadata::new(),
        };
        Session {
            id: SessionId::from_uuid(Uuid::from_u128(2)),
            payment: PaymentId::from_uuid(Uuid::from_u128(3)),
            attempt: AttemptId::from_uuid(Uuid::from_u128(4)),
            approach: Approach::Hosted,
            capture: CaptureMode::Automatic,
            money: Money::new(100, "EUR".parse::<Currency>().unwrap()),
            status,
            failure,
            routing: Routing::default(),
            fallback: Vec::new(),
            charge: None,
            request: Erasable::new(request, [0; 16]),
            closing: None,
            used: false,
            created_at: Timestamp::default(),
            updated_at: Timestamp::default(),
            expires_at: Timestamp::default(),
            version: 1,
        }
    }

    #[test]
    fn the_customer_is_sent_where_the_session_stands_and_not_where_the_redirect_says() {
        use FailureCode as Code;
        use Redirect::{Cancel, Failure, InProgress, Success};
        use SessionStatus::{Completed, Failed, Pending, RequiresAction};
        for (status, failure, came_by, expected) in [
            (Completed, None, Success, Success),
            (Completed, None, Cancel, Success),
            (Completed, Some((Code::Declined, true)), Failure, Success),
            (Failed, Some((Code::Declined, false)), Success, Failure),
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
            let session = session(status, failure, ReturnUrls::default());
            assert_eq!(
                target(session.status, session.failure.as_ref(), came_by),
                expected,
                "{status:?} {failure:?} by {came_by:?}"
            );
        }
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
        let order = OrderId::from_uuid(Uuid::from_u128(1));
        let session = session(SessionStatus::Completed, None, ReturnUrls::default());
        let expected_outcome = format!("orderId={order}&paymentSessionId={}&status=COMPLETED", session.id);
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
            let url = with_outcome(given, &outcome(order, &session)).unwrap();
            assert_eq!(url.as_str(), expected.replace("{}", &expected_outcome), "{given}");
        }
        assert_eq!(with_outcome("not an address", &outcome(order, &session)), None);
    }

    #[test]
    fn who_has_no_address_of_the_merchant_sees_a_page_that_names_nobody() {
        let order = OrderId::from_uuid(Uuid::from_u128(1));
        let session = session(SessionStatus::Completed, None, ReturnUrls::default());
        let answer = onward(order, &session, Redirect::Success);
        assert_eq!(answer.status(), StatusCode::OK);
        assert!(answer.headers().get(LOCATION).is_none());
    }
}
