//! Stored payment methods, and the sessions that store them.

use actix_web::HttpResponse;
use port::ProfileSessionId;

use super::list;
use crate::domain::{Profile, ProfileSession, SessionStatus, view};
use crate::engine::WorkingCopy;
use crate::http::answer::Answer;
use crate::http::idempotency::Recall;
use crate::http::problem::{Code, Problem};
use crate::http::request::ApiRequest;
use crate::payments::{NewProfileSession, PaymentError, StartOutcome};
use crate::store::{IdempotencyRow, ProfileFilter};

impl Recall for WorkingCopy<ProfileSession> {
    /// The session as it is.
    async fn recall(
        request: &ApiRequest,
        row: &IdempotencyRow,
        creates_session: bool,
    ) -> Result<Option<Self>, Problem> {
        let mut session: Self = request.state().engine().existing(row.subject).await?;
        if creates_session {
            if session.reached_no_provider() {
                return Ok(None);
            }
            let command = request.command().following();
            request.state().payments().resolve_profile_session(&mut session, &command).await?;
        }
        Ok(Some(session))
    }
}

type Session = WorkingCopy<ProfileSession>;

pub(in crate::http) async fn create_session(
    request: &ApiRequest,
    new: NewProfileSession,
) -> Result<Session, Problem> {
    let payments = request.state().payments();
    match payments.create_profile_session(&request.merchant, &new, &request.command()).await? {
        (_, StartOutcome::Down { retry_after }) => Err(Problem::down(retry_after)),
        (session, StartOutcome::Created | StartOutcome::Unknown | StartOutcome::Ended) => Ok(session),
    }
}

pub(in crate::http) fn created_session(_: &ApiRequest, session: &Session) -> Result<Answer, Problem> {
    let answer = session_answer(session)?;
    let location = address(session);
    Ok(if session.is_starting() { answer.accepted(location) } else { answer.created(location) })
}

pub(in crate::http) async fn read_session(request: &ApiRequest, refresh: bool) -> Result<Answer, Problem> {
    let mut session = find_session(request).await?;
    if refresh {
        let payments = request.state().payments();
        match payments.refresh_profile_session(&mut session, false, &request.command()).await {
            // A provider that cannot be asked is no reason to hide what is known.
            Ok(()) | Err(PaymentError::Provider(_)) => {}
            Err(fault) => return Err(fault.into()),
        }
    }
    session_answer(&session)
}

pub(in crate::http) async fn cancel_session(request: &ApiRequest) -> Result<Session, Problem> {
    let mut session = find_session(request).await?;
    request.state().payments().cancel_profile_session(&mut session, &request.command()).await?;
    Ok(session)
}

pub(in crate::http) fn cancelled_session(_: &ApiRequest, session: &Session) -> Result<Answer, Problem> {
    match session.status {
        SessionStatus::Failed => session_answer(session),
        SessionStatus::Completed => {
            Err(Problem::new(Code::InvalidState, "The session is COMPLETED; the method is stored."))
        }
        SessionStatus::Pending | SessionStatus::RequiresAction => {
            Ok(session_answer(session)?.accepted(address(session)))
        }
    }
}

async fn find_session(request: &ApiRequest) -> Result<Session, Problem> {
    let id: ProfileSessionId = request.id("session")?;
    Ok(request.state().payments().profile_session(&request.merchant, id).await?)
}

fn session_answer(session: &ProfileSession) -> Result<Answer, Problem> {
    Ok(Answer::ok(&view::ProfileSessionView(session))?.version(session.version()))
}

fn address(session: &ProfileSession) -> String {
    format!("/v1/payment-profiles/sessions/{}", session.id)
}

pub(in crate::http) async fn list_all(
    request: &ApiRequest,
    mut filter: ProfileFilter,
) -> Result<Answer, Problem> {
    let limit = filter.page.limit;
    filter.page.limit += 1;
    let ids = request.state().store().profiles(&filter).await?;
    let profiles = request.load_all::<Profile>(ids.iter().map(|id| id.uuid())).await?;
    list(&profiles, limit, |profile| profile.id.to_string(), |profile| view::ProfileView(profile))
}

async fn find(request: &ApiRequest) -> Result<WorkingCopy<Profile>, Problem> {
    Ok(request.state().payments().profile(&request.merchant, request.id("profile")?).await?)
}

pub(in crate::http) async fn read(request: &ApiRequest) -> Result<Answer, Problem> {
    let profile = find(request).await?;
    Ok(Answer::ok(&view::ProfileView(&profile))?.version(profile.version()))
}

pub(in crate::http) async fn remove(request: &ApiRequest) -> Result<HttpResponse, Problem> {
    let mut profile = find(request).await?;
    request.state().payments().delete_profile(&mut profile, &request.command()).await?;
    Ok(HttpResponse::NoContent().finish())
}
