//! The few pages that a customer may see of the gateway itself: plain, self-contained, the same for every merchant.

use actix_web::http::StatusCode;
use actix_web::http::header::{CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, REFERRER_POLICY};
use actix_web::{HttpResponse, HttpResponseBuilder};

use crate::store::StoreError;

const STYLE: &str = "body{font:1.1rem/1.5 system-ui,sans-serif;margin:0;min-height:100vh;display:grid;\
place-content:center;text-align:center;padding:1rem;color:#222;background:#f6f6f4}\
h1{font-size:1.5rem;margin:0 0 .5rem}p{margin:0;max-width:32rem}";

/// A page of a heading and a sentence, both written in this program.
pub(super) fn page(status: StatusCode, title: &'static str, text: &'static str) -> HttpResponse {
    let body = format!(
        "<!doctype html><html lang=\"en\"><meta charset=\"utf-8\"><meta name=\"viewport\" \
         content=\"width=device-width\"><title>{title}</title><style>{STYLE}</style>\
         <main><h1>{title}</h1><p>{text}</p></main></html>\n"
    );
    private_page(status)
        .insert_header((CONTENT_TYPE, "text/html; charset=utf-8"))
        .insert_header((CONTENT_SECURITY_POLICY, "default-src 'none'; style-src 'unsafe-inline'"))
        .body(body)
}

/// What is said of an address that leads nowhere, or nowhere any more.
pub(super) fn not_found() -> HttpResponse {
    page(StatusCode::NOT_FOUND, "Page not found", "There is nothing at this address.")
}

/// What is said while the records cannot be read; why is for the log.
pub(super) fn unavailable(fault: &StoreError) -> HttpResponse {
    tracing::error!("what a customer asks for could not be looked up: {fault}");
    const TEXT: &str = "We cannot look this up right now. Please reload this page in a moment.";
    page(StatusCode::SERVICE_UNAVAILABLE, "One moment, please", TEXT)
}

/// The start of an answer that nobody keeps and that tells nobody where the customer was: the address is a secret.
pub(super) fn private_page(status: StatusCode) -> HttpResponseBuilder {
    let mut answer = HttpResponse::build(status);
    answer.insert_header((CACHE_CONTROL, "no-store")).insert_header((REFERRER_POLICY, "no-referrer"));
    answer
}
