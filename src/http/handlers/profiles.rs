//! Stored payment methods, and the sessions that store them.

use actix_web::HttpResponse;
use port::ProfileSessionId;

use super::checkout::lifetimes;
use super::list;
use crate::domain::{Profile, ProfileSession, SessionStatus, view};
use crate::engine::WorkingCopy;
use crate::http::answer::Answer;
use crate::http::idempotency::Recall;
use crate::http::input::{self, MAX_CUSTOMER};
use crate::http::problem::{Code, FieldError, Problem};
use crate::http::request::ApiRequest;
use crate::payments::{PaymentError, StartOutcome};
use crate::store::{IdempotencyRow, Page, ProfileFilter};

impl Recall for WorkingCopy<ProfileSession> {
    /// The session as it is.
    async fn recall(
        request: &ApiRequest,
        row: &IdempotencyRow,
        creates_session: bool,
    ) -> Result<Option<Self>, Problem> {
        let mut session: Self = request.state().engine().existing(row.subject).await?;
        if creates_session {
            if session.reached_nobody() {
                return Ok(None);
            }
            let command = request.command().following();
            request.state().payments().resolve_profile_session(&mut session, &command).await?;
        }
        Ok(Some(session))
    }
}

type Session = WorkingCopy<ProfileSession>;

pub(in crate::http) async fn create_session(request: &ApiRequest) -> Result<Session, Problem> {
    let new = request.read(|body| input::profile_session(body, lifetimes(request)))?;
    let payments = request.state().payments();
    match payments.create_profile_session(&request.merchant, &new, &request.command()).await? {
        (_, StartOutcome::Down { retry_after }) => Err(Problem::down(retry_after)),
        (session, StartOutcome::Ready | StartOutcome::Unknown | StartOutcome::Ended) => Ok(session),
    }
}

pub(in crate::http) fn created_session(_: &ApiRequest, session: &Session) -> Result<Answer, Problem> {
    let answer = session_answer(session)?;
    let location = address(session);
    Ok(if session.is_starting() { answer.accepted(location) } else { answer.created(location) })
}

pub(in crate::http) async fn read_session(request: ApiRequest) -> Result<Answer, Problem> {
    let query = request.query();
    let refresh = query.parsed("refresh", "true or false").unwrap_or(false);
    query.finish(())?;
    let mut session = find_session(&request).await?;
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
    request.read_nothing()?;
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
    Ok(Answer::ok(&view::profile_session(session))?.version(session.version()))
}

fn address(session: &ProfileSession) -> String {
    format!("/v1/payment-profiles/sessions/{}", session.id)
}

pub(in crate::http) async fn list_all(request: ApiRequest) -> Result<Answer, Problem> {
    let query = request.query();
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
    let ids = request.state().store().profiles(&filter).await?;
    let profiles = request.load_all::<Profile>(ids.iter().map(|id| id.uuid())).await?;
    list(&profiles, limit, |profile| profile.id.to_string(), |profile| view::profile(profile))
}

async fn find(request: &ApiRequest) -> Result<WorkingCopy<Profile>, Problem> {
    Ok(request.state().payments().profile(&request.merchant, request.id("profile")?).await?)
}

pub(in crate::http) async fn read(request: ApiRequest) -> Result<Answer, Problem> {
    request.no_query()?;
    let profile = find(&request).await?;
    Ok(Answer::ok(&view::profile(&profile))?.version(profile.version()))
}

pub(in crate::http) async fn remove(request: ApiRequest) -> Result<HttpResponse, Problem> {
    let mut profile = find(&request).await?;
    request.state().payments().delete_profile(&mut profile, &request.command()).await?;
    Ok(HttpResponse::NoContent().finish())
}
