//! HTML pages that the gateway itself shows: to customers, and one for each error code.

use actix_web::http::StatusCode;
use actix_web::http::header::{CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, REFERRER_POLICY};
use actix_web::{HttpResponse, HttpResponseBuilder};

use super::problem::{Code, Problem};
use super::request::RawRequest;
use crate::store::StoreError;

const STYLE: &str = "body{font:1.1rem/1.5 system-ui,sans-serif;margin:0;min-height:100vh;display:grid;\
place-content:center;text-align:center;padding:1rem;color:#222;background:#f6f6f4}\
h1{font-size:1.5rem;margin:0 0 .5rem}p{margin:0;max-width:32rem}";

/// A page with a heading and a text. All three are constants of this program; `text` is HTML.
fn html(mut response: HttpResponseBuilder, title: &str, heading: &str, text: &str) -> HttpResponse {
    let body = format!(
        "<!doctype html><html lang=\"en\"><meta charset=\"utf-8\"><meta name=\"viewport\" \
         content=\"width=device-width\"><title>{title}</title><style>{STYLE}</style>\
         <main><h1>{heading}</h1><p>{text}</p></main></html>\n"
    );
    response
        .insert_header((CONTENT_TYPE, "text/html; charset=utf-8"))
        .insert_header((CONTENT_SECURITY_POLICY, "default-src 'none'; style-src 'unsafe-inline'"))
        .body(body)
}

pub(super) fn page(status: StatusCode, title: &'static str, text: &'static str) -> HttpResponse {
    html(private_page(status), title, title, text)
}

/// The page for an unknown or expired address.
pub(super) fn not_found() -> HttpResponse {
    page(StatusCode::NOT_FOUND, "Page not found", "There is nothing at this address.")
}

/// The page for a failure of the database, which is logged.
pub(super) fn unavailable(fault: &StoreError) -> HttpResponse {
    tracing::error!("a customer's page could not be read from the store: {fault}");
    const TEXT: &str = "We cannot look this up right now. Please reload this page in a moment.";
    page(StatusCode::SERVICE_UNAVAILABLE, "One moment, please", TEXT)
}

/// A response that is not cached and sends no referrer, since its address is a secret.
pub(super) fn private_page(status: StatusCode) -> HttpResponseBuilder {
    let mut answer = HttpResponse::build(status);
    answer.insert_header((CACHE_CONTROL, "no-store")).insert_header((REFERRER_POLICY, "no-referrer"));
    answer
}

/// `GET /problems/{code}`, which a problem's `type` links to.
pub(super) async fn problem(raw: RawRequest) -> Result<HttpResponse, Problem> {
    let code: Code = raw.segment("code").parse().map_err(|_| Problem::not_found())?;
    let escaped = |text: &str| text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;");
    let (name, status, help) = (code.as_str(), code.status(), escaped(code.help()));
    let text = format!("<code>{name}</code> &middot; HTTP {status}</p>\n<p>{help}");
    let mut response = HttpResponse::Ok();
    response.insert_header((CACHE_CONTROL, "public, max-age=3600"));
    Ok(html(response, name, &escaped(code.title()), &text))
}
