//! HTML pages that the gateway itself shows: to customers, to whoever opens its address, and one for each error code.

use std::fmt::Write as _;

use actix_web::http::StatusCode;
use actix_web::http::header::{
    CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, LOCATION, REFERRER_POLICY,
};
use actix_web::{HttpRequest, HttpResponse, HttpResponseBuilder};

use super::problem::{Code, Problem};
use super::request::{RawRequest, header};
use crate::store::StoreError;

const STYLE: &str = ":root{color-scheme:light dark}\
body{font:1.1rem/1.5 system-ui,sans-serif;margin:0;min-height:100vh;display:grid;\
place-content:center;text-align:center;color:#222;background:#f6f6f4}\
main{max-width:36rem;padding:1rem;overflow-wrap:anywhere}h1{font-size:1.5rem;margin:0 0 .5rem}\
p{margin:0 0 .75rem}dl,pre{text-align:left}dd{margin:0 0 .5rem}\
pre{padding:.75rem;border:1px solid #80808a;border-radius:.5rem;white-space:pre-wrap}a{color:#2456d6}\
@media(prefers-color-scheme:dark){body{color:#e8e8e4;background:#161614}a{color:#8ab4ff}}";

/// A page; `title` is a constant of this program, `content` HTML.
fn html(mut response: HttpResponseBuilder, title: &str, content: &str) -> HttpResponse {
    const POLICY: &str = "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'; \
                          frame-ancestors 'none'";
    let body = format!(
        "<!doctype html><html lang=\"en\"><meta charset=\"utf-8\"><meta name=\"viewport\" \
         content=\"width=device-width\"><title>{title}</title><style>{STYLE}</style>\
         <main><h1>{title}</h1>{content}</main></html>\n"
    );
    response
        .insert_header((CONTENT_TYPE, "text/html; charset=utf-8"))
        .insert_header((CONTENT_SECURITY_POLICY, POLICY))
        .body(body)
}

/// A page for customers. Both texts are constants of this program; `text` is HTML.
pub(super) fn page(status: StatusCode, title: &'static str, text: &'static str) -> HttpResponse {
    html(private_page(status), title, &format!("<p>{text}</p>"))
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

/// A page about this program, which is the same for everyone.
fn public_page() -> HttpResponseBuilder {
    let mut answer = HttpResponse::Ok();
    answer.insert_header((CACHE_CONTROL, "public, max-age=3600"));
    answer
}

/// `GET /`, which people open who see the gateway's address.
pub(super) async fn home(raw: RawRequest) -> Result<HttpResponse, Problem> {
    let url = escaped(&raw.state.settings().server.public_url);
    let content = format!(
        "<p>This is a payment gateway. Shops call it from their programs; customers pay on the page or link that a \
         shop gives them, and have nothing to do here.</p>\
         <p>The API begins at <code>/v1</code> and takes an API key:</p>\
         <pre><code>curl {url}/v1/orders -H 'Authorization: Bearer &lt;api key&gt;'</code></pre>\
         <p>Each error has a code, and each code a page that says what to do: \
         <a href=\"problems\">all error codes</a>.</p>"
    );
    Ok(html(public_page(), "paymux", &content))
}

/// `GET /problems`, the list of all codes.
pub(super) async fn problems(_: RawRequest) -> Result<HttpResponse, Problem> {
    let mut list = String::from("<dl>");
    for code in Code::ALL {
        let (name, status, title) = (code.as_str(), code.status(), marked(code.title()));
        let link = format!("<a href=\"problems/{name}\"><code>{name}</code></a>");
        let _ = write!(list, "<dt>{link} &middot; HTTP {status}</dt><dd>{title}</dd>");
    }
    list.push_str("</dl>");
    Ok(html(public_page(), "Error codes", &list))
}

/// `GET /problems/{code}`, which a problem's `type` links to.
pub(super) async fn problem(raw: RawRequest) -> Result<HttpResponse, Problem> {
    let Ok(code) = raw.segment("code").parse::<Code>() else {
        return if is_browser(&raw.request) { Ok(no_such_code()) } else { Err(Problem::not_found()) };
    };
    let (name, status, help) = (code.as_str(), code.status(), marked(code.help()));
    let content = format!(
        "<p><code>{name}</code> &middot; HTTP {status}</p><p>{help}</p>\
         <p><a href=\"../problems\">All error codes</a></p>"
    );
    Ok(html(public_page(), code.title(), &content))
}

fn no_such_code() -> HttpResponse {
    const TEXT: &str = "<p>The gateway answers with no such error code.</p><p><a href=\"../problems\">All error codes</a></p>";
    html(private_page(StatusCode::NOT_FOUND), "No such error code", TEXT)
}

/// `GET /problems/`: redirects to the list, whose address has no slash at its end.
pub(super) async fn to_problems(_: RawRequest) -> Result<HttpResponse, Problem> {
    Ok(HttpResponse::PermanentRedirect().insert_header((LOCATION, "../problems")).finish())
}

/// Whether a person looks at the answer.
pub(super) fn is_browser(request: &HttpRequest) -> bool {
    header(request, "Accept").is_some_and(|accepted| accepted.contains("text/html"))
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

/// A text as HTML, with code where it has backticks.
fn marked(text: &str) -> String {
    let mut html = String::new();
    for (index, part) in escaped(text).split('`').enumerate() {
        if index % 2 == 1 {
            let _ = write!(html, "<code>{part}</code>");
        } else {
            html.push_str(part);
        }
    }
    html
}
