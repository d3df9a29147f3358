//! What a client gets when something does not work: [`Problem`], RFC 9457, and the catalogue of its codes.
//!
//! The only place that knows which fault has which status. A problem has two texts: `detail` is for the client;
//! the cause is for the log, and the two meet by the request's id.

mod catalogue;
mod from;
mod page;

pub use catalogue::Code;
pub(super) use page::page;

use std::time::Duration;

use actix_web::http::StatusCode;
use actix_web::http::header::{ALLOW, CACHE_CONTROL, RETRY_AFTER, WWW_AUTHENTICATE};
use actix_web::{HttpResponse, HttpResponseBuilder};
use serde::Serialize;
use serde_json::{Map, Value};

/// Marks an answer that repeats an earlier one.
pub(super) const REPLAYED: (&str, &str) = ("Idempotent-Replayed", "true");

/// One thing that is wrong in a request.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct FieldError {
    /// Where: a JSON pointer into the body, `?name` for a query parameter, `header:Name` for a header.
    pub pointer: String,
    /// What.
    pub code: Code,
    /// In words, without the value itself.
    pub detail: String,
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
    retry_after: Option<Duration>,
    allow: Option<String>,
    replayed: bool,
    cause: Option<String>,
}

impl Problem {
    /// A problem with a text for the client.
    pub fn new(code: Code, detail: impl Into<String>) -> Self {
        Self(Box::new(Parts {
            code,
            detail: detail.into(),
            faults: Vec::new(),
            more: Map::new(),
            retry_after: None,
            allow: None,
            replayed: false,
            cause: None,
        }))
    }

    /// There is no such thing, or it is another merchant's.
    pub fn not_found() -> Self {
        Self::new(Code::NotFound, "There is no such thing, or it is not yours.")
    }

    /// A fault of ours. The cause goes to the log only.
    pub fn internal(cause: impl std::fmt::Display) -> Self {
        let detail = "Something went wrong in the gateway; it was recorded under this request's id.";
        Self::new(Code::Internal, detail).caused_by(cause)
    }

    /// A method that the address does not take; `allow` lists those it takes.
    pub fn method_not_allowed(allow: String) -> Self {
        let mut problem = Self::new(Code::MethodNotAllowed, format!("This address takes {allow}."));
        problem.0.allow = Some(allow);
        problem
    }

    /// A request with faults, all of them; the only one gives its code.
    pub fn faulty(faults: Vec<FieldError>) -> Self {
        match faults.as_slice() {
            [only] => Self::new(only.code, only.detail.clone()),
            many if many.iter().all(|fault| fault.code == Code::CardDataRefused) => {
                Self::new(Code::CardDataRefused, "The request holds card numbers.")
            }
            many => Self::new(Code::ValidationFailed, format!("The request has {} faults.", many.len())),
        }
        .with_faults(faults)
    }

    /// With the places that are at fault.
    #[must_use]
    pub fn with_faults(mut self, faults: Vec<FieldError>) -> Self {
        self.0.faults = faults;
        self
    }

    /// With one more member.
    #[must_use]
    pub fn with(mut self, name: &str, value: impl Into<Value>) -> Self {
        self.0.more.insert(name.to_owned(), value.into());
        self
    }

    /// With the time after which a repeat makes sense; rounded up to whole seconds, at least one.
    #[must_use]
    pub fn retry_after(mut self, wait: Duration) -> Self {
        self.0.retry_after = Some(wait);
        self
    }

    /// With what the log should say and the client should not read.
    #[must_use]
    pub fn caused_by(mut self, cause: impl std::fmt::Display) -> Self {
        self.0.cause = Some(cause.to_string());
        self
    }

    /// A repeat of an earlier answer to the same request.
    #[must_use]
    pub fn replayed(mut self) -> Self {
        self.0.replayed = true;
        self
    }

    /// Its code.
    pub fn code(&self) -> Code {
        self.0.code
    }

    /// Writes the cause down, once: a fault of ours as an error, anything else that has a cause as a warning.
    pub fn log(&self) {
        let (code, cause) = (self.0.code.as_str(), self.0.cause.as_deref());
        match (self.0.code.status() >= 500, cause) {
            (true, cause) => tracing::error!(code, "request failed: {}", cause.unwrap_or(&self.0.detail)),
            (false, Some(cause)) => tracing::warn!(code, "request refused: {cause}"),
            (false, None) => {}
        }
    }

    /// The answer. `public_url` is where the pages of codes are, `instance` the path of the request.
    pub fn respond(self, public_url: &str, instance: Option<&str>, request_id: &str) -> HttpResponse {
        let Parts { code, detail, faults, more, retry_after, allow, replayed, cause: _ } = *self.0;
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
        if let Some(wait) = retry_after {
            answer.insert_header((RETRY_AFTER, seconds_up(wait)));
        }
        if let Some(allow) = allow {
            answer.insert_header((ALLOW, allow));
        }
        if replayed {
            answer.insert_header(REPLAYED);
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
    fn every_code_has_a_word_of_its_own_a_status_of_a_fault_and_a_page() {
        let mut codes: Vec<_> = Code::ALL.iter().map(|code| code.as_str()).collect();
        codes.sort_unstable();
        codes.dedup();
        assert_eq!(codes.len(), Code::ALL.len());
        for code in Code::ALL {
            let name = code.as_str();
            assert!(name.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_'), "{name}");
            assert!((400..600).contains(&code.status()), "{name}");
            assert!(StatusCode::from_u16(code.status()).is_ok(), "{name}");
            assert_eq!(Code::from_text(name), Some(*code));
            assert!(page(*code).contains(name));
        }
    }

    #[test]
    fn what_went_wrong_inside_is_for_the_log_only() {
        let shown = body(Problem::internal("the password is swordfish"));
        assert!(!shown.to_string().contains("swordfish"), "{shown}");
        assert_eq!(shown["status"], 500);
        assert_eq!(shown["requestId"], "r-1");
        let shown = body(crate::store::StoreError::Failed("/var/lib/paymux.db is full".to_owned()).into());
        assert_eq!((&shown["code"], shown.to_string().contains("/var")), (&Value::from("internal"), false));
    }

    #[test]
    fn one_fault_gives_its_code_and_several_give_validation_failed() {
        let fault = |code| FieldError { pointer: "/a".to_owned(), code, detail: "no".to_owned() };
        assert_eq!(body(Problem::faulty(vec![fault(Code::TooLong)]))["code"], "too_long");
        let two = body(Problem::faulty(vec![fault(Code::TooLong), fault(Code::WrongType)]));
        assert_eq!(two["code"], "validation_failed");
        assert_eq!(two["errors"][1]["code"], "wrong_type");
        let cards = vec![fault(Code::CardDataRefused), fault(Code::CardDataRefused)];
        assert_eq!(body(Problem::faulty(cards))["status"], 422);
    }
}
