//! Sends exact bytes to a gateway, and reads until it closes the connection.

use std::io::Write as _;
use std::time::Duration;

use serde_json::Value;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::timeout;

use super::shop::PATIENCE;

/// What every request of the merchant needs.
pub const HOST: &str = "Host: gateway\r\n";
pub const KEY: &str = "Authorization: Bearer pmx_test_demo\r\n";
pub const JSON: &str = "Content-Type: application/json\r\n";

/// Everything that came back on a connection.
#[derive(Debug)]
pub struct Received(Vec<u8>);

impl Received {
    /// How many answers.
    pub fn answers(&self) -> usize {
        let whole = |part: &[u8]| part.starts_with(b"HTTP/1.") && part.get(8) == Some(&b' ');
        (0..self.0.len()).filter(|start| whole(&self.0[*start..])).count()
    }

    /// The status of the first answer; 0 if there is none.
    pub fn status(&self) -> u16 {
        let text = String::from_utf8_lossy(self.0.get(9..12).unwrap_or_default());
        text.parse().unwrap_or(0)
    }

    /// The code of the problem in the first answer; empty if it has no body.
    pub fn code(&self) -> String {
        let end = self.0.windows(4).position(|window| window == b"\r\n\r\n").expect("an answer has a head");
        let head = String::from_utf8_lossy(&self.0[..end]).to_ascii_lowercase();
        let length = head.lines().find_map(|line| line.strip_prefix("content-length: "));
        let length: usize = length.map_or(0, |length| length.parse().unwrap());
        let body = &self.0[end + 4..][..length];
        if body.is_empty() {
            return String::new();
        }
        assert!(head.contains("content-type: application/problem+json"), "{head}");
        let problem: Value = serde_json::from_slice(body).unwrap();
        problem["code"].as_str().unwrap().to_owned()
    }
}

/// A connection to a gateway.
pub async fn connect(url: &str) -> TcpStream {
    timeout(PATIENCE, TcpStream::connect(url.trim_start_matches("http://"))).await.unwrap().unwrap()
}

/// Sends bytes, as many as are taken.
pub async fn exchange(url: &str, bytes: &[u8]) -> Received {
    let mut stream = connect(url).await;
    // Whoever is refused early is not listened to any more.
    let _ = timeout(PATIENCE, stream.write_all(bytes))
        .await
        .expect("the gateway neither reads nor closes the connection");
    hear(&mut stream).await
}

/// Reads until the gateway closes the connection, in any way.
pub async fn hear(stream: &mut (impl AsyncRead + Unpin)) -> Received {
    let mut received = Vec::new();
    let _ = timeout(PATIENCE, stream.read_to_end(&mut received))
        .await
        .expect("the gateway never closes the connection");
    Received(received)
}

/// Reads as far as the status of an answer.
pub async fn hear_status(stream: &mut TcpStream) -> u16 {
    let mut begin = vec![0; 12];
    timeout(PATIENCE, stream.read_exact(&mut begin)).await.expect("the gateway never answers").unwrap();
    Received(begin).status()
}

/// Sends the first bytes, and then another piece again and again until the gateway closes the connection.
pub async fn dribble(url: &str, first: &[u8], piece: &'static [u8]) -> Received {
    let mut stream = connect(url).await;
    stream.write_all(first).await.unwrap();
    let (mut reader, mut writer) = stream.into_split();
    let dribbling = tokio::spawn(async move {
        while writer.write_all(piece).await.is_ok() {
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    });
    let received = hear(&mut reader).await;
    dribbling.abort();
    received
}

/// A request with a body, whose length is declared, on a connection that is not kept.
pub fn post(path: &str, headers: &str, body: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::new();
    let length = body.len();
    write!(
        bytes,
        "POST {path} HTTP/1.1\r\n{HOST}{headers}Connection: close\r\nContent-Length: {length}\r\n\r\n"
    )
    .unwrap();
    bytes.extend_from_slice(body);
    bytes
}
