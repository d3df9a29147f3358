//! The QR code of a session's payment link.

use actix_web::HttpResponse;
use actix_web::http::StatusCode;
use actix_web::http::header::CONTENT_TYPE;
use port::{AttemptId, Next};
use qrcode::{Color, QrCode};

use super::pages::{self, private_page};
use super::problem::Problem;
use super::request::RawRequest;
use crate::domain::{AnySubject, Erasable, OrderAggregate, subject_of};

/// The longest link; longer ones give a QR code that is too fine for a phone's camera. Providers' links have some
/// hundred characters.
const MAX_LINK: usize = 1_200;

/// The width of a square of the code, in pixels: a byte of a row.
const SQUARE: usize = 8;

/// The white frame that the standard requires, in squares.
const FRAME: usize = 4;

/// `GET /qr/{token}`
pub(super) async fn picture(raw: RawRequest) -> Result<HttpResponse, Problem> {
    let token = raw.state.payments().providers.returns().read(raw.segment("token"));
    let Some(attempt) = token.map(|token| token.attempt) else { return Ok(pages::not_found()) };
    let png = match raw.state.store().subject(subject_of(attempt.uuid()), None).await {
        Ok(Some(AnySubject::Order(order))) => link(&order, attempt).and_then(png_of),
        Ok(_) => None,
        Err(fault) => return Ok(pages::unavailable(&fault)),
    };
    let shown = |png| private_page(StatusCode::OK).insert_header((CONTENT_TYPE, "image/png")).body(png);
    Ok(png.map_or_else(pages::not_found, shown))
}

/// The current link of the attempt's session, which may be that of a newer attempt. `None` once the session has ended.
fn link(order: &OrderAggregate, attempt: AttemptId) -> Option<&str> {
    let session = order.session(order.attempt(attempt)?.session)?;
    let current = order.attempt(session.attempt).filter(|_| session.status.is_open())?;
    match current.next.as_ref().and_then(Erasable::value)? {
        Next::Page(url) => Some(url.as_str()),
        Next::Widget(_) | Next::Nothing => None,
    }
}

/// Black and white, one bit a pixel: at most some kilobytes.
fn png_of(link: &str) -> Option<Vec<u8>> {
    let code = QrCode::new(Some(link).filter(|link| link.len() <= MAX_LINK)?).ok()?;
    let squares = code.width() + 2 * FRAME;
    let width = u32::try_from(squares * SQUARE).ok()?;
    let mut png = Vec::new();
    let mut encoder = png::Encoder::new(&mut png, width, width);
    encoder.set_color(png::ColorType::Grayscale);
    encoder.set_depth(png::BitDepth::One);
    encoder.write_header().ok()?.write_image_data(&pixels(&code, squares)).ok()?;
    Some(png)
}

/// Rows of pixels, a bit each, 1 for white.
fn pixels(code: &QrCode, squares: usize) -> Vec<u8> {
    let inside = FRAME..squares - FRAME;
    let dark = |x: usize, y: usize| {
        inside.contains(&x) && inside.contains(&y) && code[(x - FRAME, y - FRAME)] == Color::Dark
    };
    let row = |y| (0..squares).map(move |x| if dark(x, y) { 0x00 } else { 0xff });
    (0..squares).flat_map(|y| std::iter::repeat_n(row(y), SQUARE).flatten()).collect()
}
