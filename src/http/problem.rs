//! Error responses: [`Problem`] (RFC 9457) and the catalogue of error codes.
//!
//! A problem has two texts: `detail` for the client and the cause for the log. Both come with the request's id.

mod catalogue;
mod from;

pub use catalogue::Code;

use std::time::Duration;

use actix_web::http::StatusCode;
use actix_web::http::header::{ALLOW, CACHE_CONTROL, HeaderName, RETRY_AFTER, WWW_AUTHENTICATE};
use actix_web::{HttpResponse, HttpResponseBuilder};
use serde::Serialize;
use serde_json::{Map, Value};

/// Marks a repeat of an earlier answer.
pub(super) const REPLAYED: HeaderName = HeaderName::from_static("idempotent-replayed");

/// An error in a request.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct FieldError {
    /// A JSON pointer into the body, `?name` for a query parameter, `header:Name` for a header.
    pub pointer: String,
    pub code: Code,
    /// A description, without the value itself.
    pub detail: String,
}

impl FieldError {
    pub fn new(pointer: impl Into<String>, code: Code, detail: impl Into<String>) -> Self {
        Self { pointer: pointer.into(), code, detail: detail.into() }
    }
}

/// A request that is answered with an error.
#[derive(Clone, Debug)]
pub struct Problem(Box<Parts>);

#[derive(Clone, Debug)]
struct Parts {
    code: Code,
    detail: String,
    faults: Vec<FieldError>,
    more: Map<String, Value>,
    headers: Vec<(HeaderName, String)>,
    cause: Option<String>,
}

impl Problem {
    pub fn new(code: Code, detail: impl Into<String>) -> Self {
        let (faults, more, headers) = (Vec::new(), Map::new(), Vec::new());
        Self(Box::new(Parts { code, detail: detail.into(), faults, more, headers, cause: None }))
    }

    pub fn not_found() -> Self {
        Self::new(Code::NotFound, "Nothing is at this address, or it belongs to another merchant.")
    }

    /// An internal error. The cause is only logged.
    pub fn internal(cause: impl std::fmt::Display) -> Self {
        let detail = "Something went wrong in the gateway; it was recorded under this request's id.";
        Self::new(Code::Internal, detail).caused_by(cause)
    }

    /// A method that the address does not take; `allow` lists those it takes.
    pub fn method_not_allowed(allow: String) -> Self {
        Self::new(Code::MethodNotAllowed, format!("This address takes {allow}.")).header(ALLOW, allow)
    }

    /// A request with these errors. A single one gives its code.
    pub fn faulty(faults: Vec<FieldError>) -> Self {
        match faults.as_slice() {
            [only] => Self::new(only.code, only.detail.clone()),
            many if many.iter().all(|fault| fault.code == Code::CardDataRefused) => {
                Self::new(Code::CardDataRefused, "The request contains card numbers.")
            }
            many => Self::new(Code::ValidationFailed, format!("The request has {} errors.", many.len())),
        }
        .with_faults(faults)
    }

    #[must_use]
    pub fn with_faults(mut self, faults: Vec<FieldError>) -> Self {
        self.0.faults = faults;
        self
    }

    #[must_use]
    pub fn with(mut self, name: &str, value: impl Into<Value>) -> Self {
        self.0.more.insert(name.to_owned(), value.into());
        self
    }

    /// With `Retry-After`, in whole seconds.
    #[must_use]
    pub fn retry_after(self, wait: Duration) -> Self {
        self.header(RETRY_AFTER, seconds_up(wait).to_string())
    }

    /// With a text for the log only.
    #[must_use]
    pub fn caused_by(mut self, cause: impl std::fmt::Display) -> Self {
        self.0.cause = Some(cause.to_string());
        self
    }

    /// A repeat of an earlier answer to the same request.
    #[must_use]
    pub fn replayed(self) -> Self {
        self.header(REPLAYED, "true".to_owned())
    }

    fn header(mut self, name: HeaderName, value: String) -> Self {
        self.0.headers.push((name, value));
        self
    }

    pub fn code(&self) -> Code {
        self.0.code
    }

    /// Logs the cause: of a defect as an error, of anything else as a warning. What has no other cause than the limit
    /// that the client has reached is not logged.
    pub fn log(&self) {
        let (code, cause) = (self.0.code.as_str(), self.0.cause.as_deref());
        match (self.0.code, cause) {
            (Code::Internal, cause) => {
                tracing::error!(code, "request failed: {}", cause.unwrap_or(&self.0.detail));
            }
            (_, Some(cause)) => tracing::warn!(code, "request refused: {cause}"),
            (_, None) => {}
        }
    }

    /// The answer. `public_url` is where the pages of codes are, `instance` the path of the request.
    pub fn respond(self, public_url: &str, instance: Option<&str>, request_id: &str) -> HttpResponse {
        let Parts { code, detail, faults, more, headers, cause: _ } = *self.0;
        let status = code.status();
        let body = Body {
            kind: format!("{public_url}/problems/{}", code.as_str()),
            title: code.title(),
            status,
            detail: &detail,
            instance,
            code,
            request_id,
            errors: &faults,
            more: &more,
        };
        let text = serde_json::to_string(&body).unwrap_or_else(|_| String::from("{}"));
        let known = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let mut answer = HttpResponseBuilder::new(known);
        answer.content_type("application/problem+json").insert_header((CACHE_CONTROL, "no-store"));
        for header in headers {
            answer.insert_header(header);
        }
        if code == Code::Unauthenticated {
            answer.insert_header((WWW_AUTHENTICATE, "Bearer realm=\"paymux\""));
        }
        answer.body(text)
    }
}

/// Whole seconds, rounded up, at least one.
pub(super) fn seconds_up(wait: Duration) -> u64 {
    (wait.as_secs() + u64::from(wait.subsec_nanos() > 0)).max(1)
}

/// The document of RFC 9457.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Body<'a> {
    #[serde(rename = "type")]
    kind: String,
    title: &'static str,
    status: u16,
    detail: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    instance: Option<&'a str>,
    code: Code,
    request_id: &'a str,
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    errors: &'a [FieldError],
    #[serde(flatten)]
    more: &'a Map<String, Value>,
}

#[cfg(test)]
mod tests {
    use super::*;
    use actix_web::body::MessageBody as _;

    fn body(problem: Problem) -> Value {
        let response = problem.respond("https://pay.test", Some("/v1/orders"), "r-1");
        let bytes = response.into_body().try_into_bytes().ok().unwrap();
        serde_json::from_slice(&bytes).unwrap()
    }

    #[test]
    fn every_code_has_a_text_of_its_own_and_the_status_of_an_error() {
        let mut codes: Vec<_> = Code::ALL.iter().map(|code| code.as_str()).collect();
        codes.sort_unstable();
        codes.dedup();
        assert_eq!(codes.len(), Code::ALL.len());
        for code in Code::ALL {
            let name = code.as_str();
            assert!(name.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_'), "{name}");
            assert!((400..600).contains(&code.status()), "{name}");
            assert!(StatusCode::from_u16(code.status()).is_ok(), "{name}");
            assert_eq!(name.parse(), Ok(*code));
        }
    }

    #[test]
    fn the_cause_of_an_internal_error_is_only_logged() {
        let shown = body(Problem::internal("the password is swordfish"));
        assert!(!shown.to_string().contains("swordfish"), "{shown}");
        assert_eq!(shown["status"], 500);
        assert_eq!(shown["requestId"], "r-1");
        let shown = body(crate::store::StoreError::Failed("/var/lib/paymux.db is full".to_owned()).into());
        assert_eq!((&shown["code"], shown.to_string().contains("/var")), (&Value::from("internal"), false));
    }

    #[test]
    fn one_fault_gives_its_code_and_several_give_validation_failed() {
        let fault = |code| FieldError::new("/a", code, "no");
        assert_eq!(body(Problem::faulty(vec![fault(Code::TooLong)]))["code"], "too_long");
        let two = body(Problem::faulty(vec![fault(Code::TooLong), fault(Code::WrongType)]));
        assert_eq!(two["code"], "validation_failed");
        assert_eq!(two["errors"][1]["code"], "wrong_type");
        let cards = vec![fault(Code::CardDataRefused), fault(Code::CardDataRefused)];
        assert_eq!(body(Problem::faulty(cards))["status"], 422);
    }
}
