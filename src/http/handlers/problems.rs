//! What a problem's `type` leads to.

use actix_web::HttpResponse;
use actix_web::http::header::CACHE_CONTROL;

use crate::http::problem::{Code, Problem, page as text};
use crate::http::request::RawRequest;

pub(in crate::http) async fn page(raw: RawRequest) -> Result<HttpResponse, Problem> {
    let code = Code::from_text(raw.segment("code")).ok_or_else(Problem::not_found)?;
    let mut response = HttpResponse::Ok();
    response.content_type("text/html; charset=utf-8").insert_header((CACHE_CONTROL, "public, max-age=3600"));
    response.insert_header(("Content-Security-Policy", "default-src 'none'; style-src 'unsafe-inline'"));
    Ok(response.body(text(code)))
}
