//! A merchant's receiver on this machine.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Condvar, Mutex};

use paymux::domain::WebhookEndpoint;
use reqwest::header::{HeaderMap, HeaderName, HeaderValue};
use serde_json::Value;
use standardwebhooks::Webhook;

/// A request as it came.
#[derive(Clone, Debug)]
pub struct Received {
    pub path: String,
    pub headers: HeaderMap,
    pub body: Vec<u8>,
}

impl Received {
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap()
    }

    pub fn header(&self, name: &str) -> &str {
        self.headers[name].to_str().unwrap()
    }

    /// The type of the event and its place.
    pub fn event(&self) -> (String, u64) {
        let body = self.json();
        (body["type"].as_str().unwrap().to_owned(), body["sequence"].as_u64().unwrap())
    }

    pub fn order(&self) -> String {
        self.json()["orderId"].as_str().unwrap().to_owned()
    }

    /// Whether one of its signatures is by this secret, verified with the library of the standard.
    pub fn is_signed_by(&self, secret: &str) -> bool {
        let at = self.header("webhook-timestamp").parse().unwrap();
        let expected = Webhook::new(secret).unwrap().sign(self.header("webhook-id"), at, &self.body).unwrap();
        self.header("webhook-signature").split(' ').any(|signature| signature == expected)
    }

    /// As a merchant would check it: signature and age.
    pub fn verify(&self, endpoint: &WebhookEndpoint) {
        let secret = endpoint.secret.value().unwrap().expose();
        Webhook::new(secret).unwrap().verify(&self.body, &self.headers).unwrap();
    }
}

/// What it answers: a status, and more lines of the head.
type Answer = (u16, String);

/// A gate that is shut or open.
#[derive(Clone, Default)]
pub struct Gate(Arc<(Mutex<bool>, Condvar)>);

impl Gate {
    pub fn open(&self) {
        *self.0.0.lock().unwrap() = true;
        self.0.1.notify_all();
    }

    pub fn pass(&self) {
        let shut = |open: &mut bool| !*open;
        drop(self.0.1.wait_while(self.0.0.lock().unwrap(), shut).unwrap());
    }
}

/// A receiver that stores deliveries and answers as the test wants.
pub struct Receiver {
    pub url: String,
    seen: Arc<Mutex<Vec<Received>>>,
}

impl Receiver {
    /// Answers with what `answer` makes of a request and of how many came before it.
    pub fn start(answer: impl Fn(&Received, usize) -> Answer + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}/hook", listener.local_addr().unwrap());
        let (seen, answer) = (Arc::new(Mutex::new(Vec::new())), Arc::new(answer));
        let kept = seen.clone();
        std::thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                let (kept, answer) = (kept.clone(), answer.clone());
                std::thread::spawn(move || serve(stream, &kept, &*answer));
            }
        });
        Self { url, seen }
    }

    /// Takes everything.
    pub fn taking() -> Self {
        Self::answering(200)
    }

    pub fn answering(status: u16) -> Self {
        Self::start(move |_, _| (status, String::new()))
    }

    /// What came so far, oldest first.
    pub fn seen(&self) -> Vec<Received> {
        self.seen.lock().unwrap().clone()
    }

    pub fn count(&self) -> usize {
        self.seen.lock().unwrap().len()
    }

    /// The types of what came, oldest first.
    pub fn types(&self) -> Vec<String> {
        self.seen().iter().map(|received| received.event().0).collect()
    }

    /// The places of what came, oldest first.
    pub fn places(&self) -> Vec<u64> {
        self.seen().iter().map(|received| received.event().1).collect()
    }
}

fn serve(
    mut stream: TcpStream,
    kept: &Mutex<Vec<Received>>,
    answer: &(impl Fn(&Received, usize) -> Answer + ?Sized),
) {
    let Some(received) = read(&mut stream) else { return };
    let before = {
        let mut kept = kept.lock().unwrap();
        kept.push(received.clone());
        kept.len() - 1
    };
    let (status, head) = answer(&received, before);
    let text = format!("HTTP/1.1 {status} So\r\nConnection: close\r\nContent-Length: 2\r\n{head}\r\nok");
    // Whoever went away does not want to know.
    let _ = stream.write_all(text.as_bytes());
}

/// The next request, whole; `None` if the client went away.
pub fn read(stream: &mut TcpStream) -> Option<Received> {
    let (mut head, mut byte) = (Vec::new(), [0]);
    while !head.ends_with(b"\r\n\r\n") {
        stream.read_exact(&mut byte).ok()?;
        head.push(byte[0]);
    }
    let head = String::from_utf8(head).unwrap();
    let mut lines = head.lines();
    let path = lines.next()?.split(' ').nth(1)?.to_owned();
    let mut headers = HeaderMap::new();
    for (name, value) in lines.filter_map(|line| line.split_once(": ")) {
        headers.insert(name.parse::<HeaderName>().unwrap(), HeaderValue::from_str(value).unwrap());
    }
    let length = headers.get("content-length")?.to_str().unwrap().parse().unwrap();
    let mut body = vec![0; length];
    stream.read_exact(&mut body).ok()?;
    Some(Received { path, headers, body })
}
