//! What the API answers when it works.

use actix_web::http::StatusCode;
use actix_web::http::header::{CACHE_CONTROL, ETAG, LOCATION};
use actix_web::{HttpResponse, HttpResponseBuilder};
use serde::Serialize;

use super::problem::{Problem, REPLAYED};

/// A JSON answer.
#[derive(Debug)]
pub(super) struct Answer {
    status: StatusCode,
    version: Option<u64>,
    location: Option<String>,
    replayed: bool,
    body: Vec<u8>,
}

impl Answer {
    /// 200 with a body.
    ///
    /// # Errors
    /// `internal` if the body cannot be written as JSON.
    pub(super) fn ok(body: &impl Serialize) -> Result<Self, Problem> {
        let body = serde_json::to_vec(body).map_err(Problem::internal)?;
        Ok(Self { status: StatusCode::OK, version: None, location: None, replayed: false, body })
    }

    /// A resource that is at `location` was created.
    pub(super) fn created(self, location: String) -> Self {
        Self { status: StatusCode::CREATED, location: Some(location), ..self }
    }

    /// The outcome is not known yet; `location` will tell.
    pub(super) fn accepted(self, location: String) -> Self {
        Self { status: StatusCode::ACCEPTED, location: Some(location), ..self }
    }

    /// With the version of the resource.
    pub(super) fn version(self, version: u64) -> Self {
        Self { version: Some(version), ..self }
    }

    /// A repeat of an earlier answer to the same request.
    pub(super) fn replayed(self) -> Self {
        Self { replayed: true, ..self }
    }
}

impl From<Answer> for HttpResponse {
    fn from(answer: Answer) -> Self {
        let mut response = HttpResponseBuilder::new(answer.status);
        response.content_type("application/json").insert_header((CACHE_CONTROL, "no-store"));
        if let Some(version) = answer.version {
            response.insert_header((ETAG, format!("\"{version}\"")));
        }
        if let Some(location) = answer.location {
            response.insert_header((LOCATION, location));
        }
        if answer.replayed {
            response.insert_header(REPLAYED);
        }
        response.body(answer.body)
    }
}
