//! A successful JSON response.

use actix_web::HttpResponse;
use actix_web::http::StatusCode;
use actix_web::http::header::{CACHE_CONTROL, ETAG, HeaderValue, LOCATION};
use serde::Serialize;

use super::problem::{Problem, REPLAYED};

pub(super) struct Answer(HttpResponse);

impl Answer {
    /// 200 with a JSON body.
    pub(super) fn ok(body: &impl Serialize) -> Result<Self, Problem> {
        let body = serde_json::to_vec(body).map_err(Problem::internal)?;
        let mut response = HttpResponse::Ok();
        response.content_type("application/json").insert_header((CACHE_CONTROL, "no-store"));
        Ok(Self(response.body(body)))
    }

    /// 201 with the address of the created resource.
    pub(super) fn created(self, location: String) -> Self {
        self.at(StatusCode::CREATED, location)
    }

    /// 202 with the address where the outcome can be read.
    pub(super) fn accepted(self, location: String) -> Self {
        self.at(StatusCode::ACCEPTED, location)
    }

    fn at(mut self, status: StatusCode, location: String) -> Self {
        *self.0.status_mut() = status;
        let location = HeaderValue::try_from(location).expect("an address is visible ASCII");
        self.0.headers_mut().insert(LOCATION, location);
        self
    }

    /// With the version of the resource.
    pub(super) fn version(mut self, version: u64) -> Self {
        let tag = HeaderValue::try_from(format!("\"{version}\"")).expect("digits in quotes");
        self.0.headers_mut().insert(ETAG, tag);
        self
    }

    /// A repeat of an earlier answer to the same request.
    pub(super) fn replayed(mut self) -> Self {
        self.0.headers_mut().insert(REPLAYED, HeaderValue::from_static("true"));
        self
    }
}

impl From<Answer> for HttpResponse {
    fn from(answer: Answer) -> Self {
        answer.0
    }
}
