//! Routes of payment profiles and profile sessions.

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
    async fn recall(
        request: &ApiRequest,
        row: &IdempotencyRow,
        starts: bool,
    ) -> Result<Option<Self>, Problem> {
        let mut session: Self = request.state().engine().existing(row.subject).await?;
        if starts {
            if session.had_no_effect() {
                return Ok(None);
            }
            let command = request.command.following();
            request.state().payments().resolve_profile_session(&mut session, &command).await?;
        }
        Ok(Some(session))
    }
}

type Session = WorkingCopy<ProfileSession>;

pub(crate) async fn create_session(request: &ApiRequest, new: NewProfileSession) -> Result<Session, Problem> {
    let payments = request.state().payments();
    match payments.create_profile_session(&request.merchant, &new, &request.command).await? {
        (_, StartOutcome::Down { retry_after }) => Err(Problem::down(retry_after)),
        (_, StartOutcome::CredentialsRefused) => Err(Problem::credentials_refused()),
        (session, StartOutcome::Created | StartOutcome::Unknown | StartOutcome::Ended) => Ok(session),
    }
}

pub(crate) fn created_session(_: &ApiRequest, session: &Session) -> Result<Answer, Problem> {
    let answer = session_answer(session)?;
    let location = address(session);
    Ok(if session.is_starting() { answer.accepted(location) } else { answer.created(location) })
}

pub(crate) async fn read_session(request: &ApiRequest, refresh: bool) -> Result<Answer, Problem> {
    let mut session = find_session(request).await?;
    if refresh {
        let payments = request.state().payments();
        match payments.refresh_profile_session(&mut session, false, &request.command).await {
            // If the provider cannot be read, the stored state is shown.
            Ok(()) | Err(PaymentError::Provider(_) | PaymentError::AccountNotConfigured { .. }) => {}
            Err(fault) => return Err(fault.into()),
        }
    }
    session_answer(&session)
}

pub(crate) async fn cancel_session(request: &ApiRequest) -> Result<Session, Problem> {
    let mut session = find_session(request).await?;
    request.state().payments().cancel_profile_session(&mut session, &request.command).await?;
    Ok(session)
}

pub(crate) fn cancelled_session(_: &ApiRequest, session: &Session) -> Result<Answer, Problem> {
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

pub(crate) async fn list_all(
    request: &ApiRequest,
    (filter, refresh): (ProfileFilter, bool),
) -> Result<Answer, Problem> {
    if refresh {
        let (payments, command) = (request.state().payments(), request.command.following());
        payments.refresh_profiles(&filter.merchant, &filter.customer_id, &command).await?;
    }
    let limit = filter.page.limit;
    let ids = request.state().store().profiles(&filter).await?;
    let profiles = request.load_all::<Profile>(ids.iter().map(|id| id.uuid())).await?;
    list(&profiles, limit, |profile| profile.id.to_string(), |profile| view::ProfileView(profile))
}

async fn find(request: &ApiRequest) -> Result<WorkingCopy<Profile>, Problem> {
    Ok(request.state().payments().profile(&request.merchant, request.id("profile")?).await?)
}

pub(crate) async fn read(request: &ApiRequest) -> Result<Answer, Problem> {
    let profile = find(request).await?;
    Ok(Answer::ok(&view::ProfileView(&profile))?.version(profile.version()))
}

pub(crate) async fn remove(request: &ApiRequest) -> Result<HttpResponse, Problem> {
    let mut profile = find(request).await?;
    request.state().payments().delete_profile(&mut profile, &request.command).await?;
    Ok(HttpResponse::NoContent().finish())
}
