//! A payment link as a picture.

use qrcode::{Color, QrCode};
use serde_json::{Value, json};

use super::client::Reply;
use super::{Gateway, id};

/// The path of a link's picture.
fn picture(session: &Value) -> &str {
    session["qrCodeUrl"].as_str().unwrap().strip_prefix("https://pay.test").unwrap()
}

impl Gateway {
    async fn scan(&self, path: &str) -> Reply {
        self.request("GET", path).without("Authorization").await_it().await
    }
}

#[tokio::test]
async fn a_link_is_shown_as_a_picture_that_says_the_link() {
    let gateway = Gateway::start().await;
    let session = gateway.session_of(&json!({"approach": "LINK"})).await;
    let reply = gateway.scan(picture(&session)).await;
    assert_eq!((reply.status, reply.header("content-type")), (200, Some("image/png")));
    assert_eq!(reply.header("cache-control"), Some("no-store"));

    let mut decoder = png::Decoder::new(std::io::Cursor::new(&reply.body));
    decoder.set_transformations(png::Transformations::EXPAND);
    let mut reader = decoder.read_info().unwrap();
    let mut pixels = vec![0; reader.output_buffer_size().unwrap()];
    let info = reader.next_frame(&mut pixels).unwrap();
    let code = QrCode::new(session["checkoutUrl"].as_str().unwrap()).unwrap();
    let width = info.width as usize;
    let squares = code.width() + 8;
    assert_eq!((width, info.height as usize), (squares * 8, squares * 8));
    for (at, pixel) in pixels.iter().enumerate() {
        let (x, y) = (at % width / 8, at / width / 8);
        let inside = (4..squares - 4).contains(&x) && (4..squares - 4).contains(&y);
        let dark = inside && code[(x - 4, y - 4)] == Color::Dark;
        assert_eq!(*pixel, if dark { 0 } else { 255 }, "at {x}, {y}");
    }
}

#[tokio::test]
async fn a_link_that_is_over_and_one_that_never_was_have_no_picture() {
    let gateway = Gateway::start().await;
    let session = gateway.session_of(&json!({"approach": "LINK"})).await;
    gateway.post(&format!("/v1/payment-sessions/{}/cancel", id(&session))).await_it().await.expect(200);
    for path in [picture(&session), "/qr/x", "/qr/0123456789abcdef0123456789abcdefp"] {
        let reply = gateway.scan(path).await;
        assert_eq!(
            (reply.status, reply.header("content-type")),
            (404, Some("text/html; charset=utf-8")),
            "{path}"
        );
    }
}
