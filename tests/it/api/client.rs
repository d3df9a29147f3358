//! A client that sends exactly the given bytes.

use std::fmt::Write as _;
use std::net::SocketAddr;

use serde_json::Value;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::timeout;

use super::gateway::{Gateway, PATIENCE};

/// A request that is being put together.
pub struct Request {
    to: SocketAddr,
    method: &'static str,
    path: String,
    headers: Vec<(String, String)>,
    body: Vec<u8>,
}

/// What came back.
#[derive(Clone, Debug)]
pub struct Reply {
    pub status: u16,
    pub headers: Vec<(String, String)>,
    pub body: Vec<u8>,
}

impl Gateway {
    pub fn request(&self, method: &'static str, path: &str) -> Request {
        Request::to(self.address, method, path)
            .header("Authorization", &format!("Bearer {}", super::gateway::API_KEY))
    }

    pub fn post(&self, path: &str) -> Request {
        self.request("POST", path)
    }

    pub async fn get(&self, path: &str) -> Reply {
        self.request("GET", path).await_it().await
    }
}

impl Request {
    /// A stranger's.
    pub fn to(to: SocketAddr, method: &'static str, path: &str) -> Self {
        Self { to, method, path: path.to_owned(), headers: Vec::new(), body: Vec::new() }
    }

    /// With a header, in place of one of the same name.
    pub fn header(mut self, name: &str, value: &str) -> Self {
        self.headers.retain(|(known, _)| !known.eq_ignore_ascii_case(name));
        self.headers.push((name.to_owned(), value.to_owned()));
        self
    }

    pub fn without(mut self, name: &str) -> Self {
        self.headers.retain(|(known, _)| !known.eq_ignore_ascii_case(name));
        self
    }

    pub fn key(self, key: &str) -> Self {
        self.header("Idempotency-Key", key)
    }

    /// Sends a JSON value.
    pub fn json(self, body: &Value) -> impl Future<Output = Reply> + use<> {
        self.text(&body.to_string())
    }

    /// Sends a text that is said to be JSON.
    pub fn text(self, body: &str) -> impl Future<Output = Reply> + use<> {
        self.header("Content-Type", "application/json").bytes(body.as_bytes())
    }

    /// Sends bytes as they are.
    pub fn bytes(mut self, body: &[u8]) -> impl Future<Output = Reply> + use<> {
        self.body = body.to_vec();
        self.await_it()
    }

    /// Sends what was put together, and reads the whole answer.
    pub async fn await_it(self) -> Reply {
        let mut stream = self.send().await;
        let mut answer = Vec::new();
        let whole = timeout(PATIENCE, stream.read_to_end(&mut answer)).await;
        whole.expect("the answer ends").unwrap();
        Reply::of(&answer)
    }

    /// Sends a JSON value, and leaves the answer to whoever has the connection.
    pub async fn send_json(mut self, body: &Value) -> TcpStream {
        self.body = body.to_string().into_bytes();
        self.header("Content-Type", "application/json").send().await
    }

    /// Sends it, and leaves the answer to whoever has the connection.
    pub async fn send(self) -> TcpStream {
        let mut head =
            format!("{} {} HTTP/1.1\r\nHost: gateway\r\nConnection: close\r\n", self.method, self.path);
        for (name, value) in &self.headers {
            write!(head, "{name}: {value}\r\n").unwrap();
        }
        write!(head, "Content-Length: {}\r\n\r\n", self.body.len()).unwrap();
        let mut stream = TcpStream::connect(self.to).await.unwrap();
        stream.write_all(head.as_bytes()).await.unwrap();
        stream.write_all(&self.body).await.unwrap();
        stream
    }
}

impl Reply {
    fn of(bytes: &[u8]) -> Self {
        let end = bytes.windows(4).position(|window| window == b"\r\n\r\n").expect("an answer has a head");
        let head = std::str::from_utf8(&bytes[..end]).unwrap();
        let mut lines = head.split("\r\n");
        let status = lines.next().unwrap().split(' ').nth(1).unwrap().parse().unwrap();
        let header = |line: &str| {
            let (name, value) = line.split_once(": ").unwrap();
            (name.to_ascii_lowercase(), value.to_owned())
        };
        Self { status, headers: lines.map(header).collect(), body: bytes[end + 4..].to_vec() }
    }

    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }

    pub fn text(&self) -> &str {
        std::str::from_utf8(&self.body).unwrap()
    }

    pub fn value(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|fault| panic!("{fault}: {}", self.text()))
    }

    /// The JSON of an answer with this status.
    pub fn expect(&self, status: u16) -> Value {
        assert_eq!(self.status, status, "{}", self.text());
        self.value()
    }

    /// A problem with this status and code.
    pub fn problem(&self, status: u16, code: &str) -> Value {
        let problem = self.expect(status);
        assert_eq!(self.header("content-type"), Some("application/problem+json"));
        assert_eq!(problem["code"], code, "{problem}");
        assert_eq!(problem["status"], status);
        assert_eq!(problem["requestId"].as_str(), self.header("x-request-id"));
        let page = format!("https://pay.test/problems/{code}");
        assert_eq!(problem["type"], page);
        problem
    }
}
