//! Stored payment methods, and the sessions that store them.
//!
//! Neither has events: a request that is sent again is answered from the row as it is now.

use actix_web::HttpResponse;
use port::ProfileSessionId;

use super::checkout::lifetimes;
use super::list;
use crate::domain::{AttemptState, ProfileSession, SessionStatus, view};
use crate::http::answer::Answer;
use crate::http::call::ApiRequest;
use crate::http::idempotency::reached_nobody;
use crate::http::input::{self, MAX_CUSTOMER, Query};
use crate::http::problem::{Code, FieldError, Problem};
use crate::payments::{PaymentError, ProfileKey, StartOutcome};
use crate::store::{Page, ProfileFilter};

pub(in crate::http) async fn open(request: ApiRequest) -> Result<Answer, Problem> {
    let session = request.read(|body| input::profile_session(body, lifetimes(&request)))?;
    let mut key = key(&request);
    if let Some(mut made) = made_before(&request).await? {
        if !reached_nobody(&made) {
            request.state().payments().resolve_profile_session(&mut made).await?;
            return Ok(opened(&made)?.replayed());
        }
        if let Some(key) = &mut key {
            key.replaces = Some(made.id);
        }
    }
    let opened_now =
        request.state().payments().open_profile_session(&request.merchant, &session, key.as_ref()).await?;
    match opened_now {
        (_, StartOutcome::Down { retry_after }) => Err(Problem::down(retry_after)),
        (session, StartOutcome::Ready | StartOutcome::Unknown | StartOutcome::Ended) => opened(&session),
    }
}

fn key(request: &ApiRequest) -> Option<ProfileKey> {
    let key = &request.in_flight.as_ref()?.key;
    Some(ProfileKey { text: key.text.clone(), fingerprint: key.fingerprint.clone(), replaces: None })
}

/// What a request with the same key has made.
async fn made_before(request: &ApiRequest) -> Result<Option<ProfileSession>, Problem> {
    let Some(key) = key(request) else { return Ok(None) };
    let Some(row) = request.state().reads().profile_key(&request.merchant, &key.text).await? else {
        return Ok(None);
    };
    Ok(request.state().reads().profile_session(row.session).await?)
}

fn opened(session: &ProfileSession) -> Result<Answer, Problem> {
    let started = session.status.is_open() && session.start.state == AttemptState::Started;
    Ok(if started {
        shown(session)?.accepted(address(session))
    } else {
        shown(session)?.created(address(session))
    })
}

fn shown(session: &ProfileSession) -> Result<Answer, Problem> {
    Ok(Answer::ok(&view::profile_session(session))?.version(session.version))
}

fn address(session: &ProfileSession) -> String {
    format!("/v1/payment-profiles/sessions/{}", session.id)
}

async fn find(request: &ApiRequest) -> Result<ProfileSession, Problem> {
    let id: ProfileSessionId = request.id("session")?;
    let found = request.state().payments().profile_session(&request.merchant, id).await?;
    found.ok_or_else(Problem::not_found)
}

pub(in crate::http) async fn read_session(request: ApiRequest) -> Result<Answer, Problem> {
    let query = Query::of(request.raw.request.query_string());
    let refresh = query.parsed("refresh", "true or false").unwrap_or(false);
    query.finish(())?;
    let mut session = find(&request).await?;
    if refresh {
        match request.state().payments().refresh_profile_session(&mut session, false).await {
            // A provider that cannot be asked is no reason to hide what is known.
            Ok(()) | Err(PaymentError::Provider(_)) => {}
            Err(fault) => return Err(fault.into()),
        }
    }
    shown(&session)
}

pub(in crate::http) async fn cancel(request: ApiRequest) -> Result<Answer, Problem> {
    request.read_nothing()?;
    if let Some(made) = made_before(&request).await? {
        return Ok(cancelled(&made)?.replayed());
    }
    let mut session = find(&request).await?;
    let key = key(&request);
    request.state().payments().cancel_profile_session(&mut session, request.expects, key.as_ref()).await?;
    cancelled(&session)
}

fn cancelled(session: &ProfileSession) -> Result<Answer, Problem> {
    match session.status {
        SessionStatus::Failed => shown(session),
        SessionStatus::Completed => {
            Err(Problem::new(Code::InvalidState, "The session is COMPLETED; the method is stored."))
        }
        SessionStatus::Pending | SessionStatus::RequiresAction => {
            Ok(shown(session)?.accepted(address(session)))
        }
    }
}

pub(in crate::http) async fn list_all(request: ApiRequest) -> Result<Answer, Problem> {
    let query = Query::of(request.raw.request.query_string());
    let customer_id = query.text("customerId").filter(|id| (1..=MAX_CUSTOMER).contains(&id.chars().count()));
    let customer_id = customer_id.map(ToOwned::to_owned);
    let Page { before, limit } = query.page();
    query.finish(())?;
    let Some(customer_id) = customer_id else {
        let detail = "`customerId` says whose stored payment methods to list.".to_owned();
        let pointer = "?customerId".to_owned();
        return Err(Problem::faulty(vec![FieldError { pointer, code: Code::FieldMissing, detail }]));
    };
    let page = Page { before, limit: limit + 1 };
    let filter = ProfileFilter { merchant: request.merchant.to_string(), customer_id, page };
    let profiles = request.state().reads().profiles(&filter).await?;
    list(&profiles, limit, |profile| profile.id.to_string(), view::profile)
}

pub(in crate::http) async fn read(request: ApiRequest) -> Result<Answer, Problem> {
    Query::none(request.raw.request.query_string())?;
    let found = request.state().payments().profile(&request.merchant, request.id("profile")?).await?;
    let profile = found.ok_or_else(Problem::not_found)?;
    Ok(Answer::ok(&view::profile(&profile))?.version(profile.version))
}

pub(in crate::http) async fn remove(request: ApiRequest) -> Result<HttpResponse, Problem> {
    let found = request.state().payments().profile(&request.merchant, request.id("profile")?).await?;
    let profile = found.ok_or_else(Problem::not_found)?;
    request.state().payments().delete_profile(&profile, request.expects).await?;
    Ok(HttpResponse::NoContent().finish())
}
