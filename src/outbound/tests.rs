//! Against servers on this machine that misbehave on purpose.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::thread::JoinHandle;
use std::time::Duration;

use port::{HttpRequest, HttpResponse, Method, Secret, Transport, TransportError};

use super::*;

const PATIENT: Options = Options {
    connect_timeout: Duration::from_secs(10),
    read_timeout: Duration::from_secs(10),
    timeout: Duration::from_secs(20),
    allow_private_addresses: true,
};

fn outbound(options: &Options) -> Outbound {
    Outbound::new(options).unwrap()
}

/// A server that does as `behaviour` says, and what it makes of it.
fn server<T: Send + 'static>(
    behaviour: impl FnOnce(TcpListener) -> T + Send + 'static,
) -> (String, JoinHandle<T>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = format!("http://{}", listener.local_addr().unwrap());
    (address, std::thread::spawn(move || behaviour(listener)))
}

/// What the server made of it. Waits on another thread, so that the client's connections can go on meanwhile.
async fn finished<T: Send + 'static>(server: JoinHandle<T>) -> T {
    tokio::task::spawn_blocking(|| server.join().unwrap()).await.unwrap()
}

fn accept(listener: &TcpListener) -> TcpStream {
    listener.accept().unwrap().0
}

/// One whole request as text; `None` if the client closed before it.
fn read_request(stream: &mut TcpStream) -> Option<String> {
    let mut text = Vec::new();
    let mut byte = [0];
    while !text.ends_with(b"\r\n\r\n") {
        match stream.read(&mut byte) {
            Ok(1) => text.push(byte[0]),
            _ => return None,
        }
    }
    let head = String::from_utf8(text).unwrap();
    let length =
        head.lines().find_map(|line| line.to_lowercase().strip_prefix("content-length: ")?.parse().ok());
    let mut body = vec![0; length.unwrap_or(0)];
    stream.read_exact(&mut body).unwrap();
    Some(head + &String::from_utf8(body).unwrap())
}

fn answer(stream: &mut TcpStream, text: &str) {
    stream.write_all(text.as_bytes()).unwrap();
}

const FINE: &str = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}";

/// Sends a write to a server that does as `behaviour` says.
async fn write_to(
    behaviour: impl FnOnce(TcpListener) + Send + 'static,
) -> Result<HttpResponse, TransportError> {
    let (address, server) = server(behaviour);
    let response =
        outbound(&PATIENT).send(&address, &HttpRequest::post("/pay").json_bytes(b"{}".to_vec())).await;
    finished(server).await;
    response
}

fn is_lost<T: std::fmt::Debug>(reply: &Result<T, TransportError>) -> bool {
    matches!(reply, Err(TransportError::Lost(_)))
}

fn is_not_sent<T: std::fmt::Debug>(reply: &Result<T, TransportError>) -> bool {
    matches!(reply, Err(TransportError::NotSent(_)))
}

#[tokio::test]
async fn a_call_arrives_as_it_was_written_and_its_answer_as_it_was_given() {
    let (address, server) = server(|listener| {
        let mut stream = accept(&listener);
        let request = read_request(&mut stream).unwrap();
        answer(&mut stream, "HTTP/1.1 429 Slow\r\nRetry-After: 7\r\nContent-Length: 4\r\n\r\nwait");
        request
    });
    let http_request = HttpRequest::new(Method::Patch, "/orders/1?full=yes".to_owned())
        .json_bytes(b"{\"a\": 1.10}".to_vec())
        .bearer(&Secret::from("s3cret"));
    let parent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01".to_owned();
    let (sender, base_url) = (outbound(&PATIENT), format!("{address}/api"));
    let response = trace::within(Some(parent), sender.send(&base_url, &http_request)).await.unwrap();
    assert_eq!((response.status, response.body.as_slice()), (429, b"wait".as_slice()));
    assert_eq!(response.retry_after, Some(Duration::from_secs(7)));
    let request = finished(server).await;
    assert!(request.starts_with("PATCH /api/orders/1?full=yes HTTP/1.1\r\n"), "{request}");
    assert!(request.ends_with("\r\n\r\n{\"a\": 1.10}"), "{request}");
    for header in [
        "content-type: application/json",
        "authorization: Bearer s3cret",
        "traceparent: 00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
        concat!("user-agent: paymux/", env!("CARGO_PKG_VERSION")),
    ] {
        assert!(request.contains(&format!("\r\n{header}\r\n")), "{header} is not in {request}");
    }
}

#[tokio::test]
async fn an_address_may_be_whole_with_an_empty_path() {
    let (address, server) = server(|listener| {
        let mut stream = accept(&listener);
        let request = read_request(&mut stream).unwrap();
        answer(&mut stream, FINE);
        request
    });
    let response =
        outbound(&PATIENT).send(&format!("{address}/hook?shop=1"), &HttpRequest::post("")).await.unwrap();
    assert!(response.ok());
    assert!(finished(server).await.starts_with("POST /hook?shop=1 HTTP/1.1\r\n"));
}

#[tokio::test]
async fn a_refused_connection_and_an_unknown_name_are_not_sent() {
    let closed = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    for address in [format!("http://{closed}"), "http://nowhere.invalid".to_owned()] {
        let response = outbound(&PATIENT).send(&address, &HttpRequest::post("/pay/k3y")).await;
        assert!(is_not_sent(&response), "{address}: {response:?}");
    }
}

#[tokio::test]
async fn what_cannot_be_a_request_is_not_sent() {
    let client = outbound(&PATIENT);
    for address in ["", "nonsense", "ftp://127.0.0.1", "file:///etc/passwd", "http://"] {
        assert!(is_not_sent(&client.send(address, &HttpRequest::get("/x")).await), "{address}");
    }
    let http_request = HttpRequest::get("/x").header_secret("X-Key", &Secret::from("s3cret\r\nX-More: 1"));
    let response = client.send("http://127.0.0.1:1", &http_request).await;
    assert_eq!(response.unwrap_err(), TransportError::NotSent("a header's value is not allowed".to_owned()));
}

#[tokio::test]
async fn a_reset_is_lost_wherever_it_comes() {
    let before = write_to(|listener| {
        let stream = accept(&listener);
        stream.peek(&mut [0]).unwrap();
    });
    let after = write_to(|listener| {
        read_request(&mut accept(&listener)).unwrap();
    });
    let within = write_to(|listener| {
        let mut stream = accept(&listener);
        read_request(&mut stream).unwrap();
        answer(&mut stream, "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nabc");
    });
    let garbled = write_to(|listener| {
        let mut stream = accept(&listener);
        read_request(&mut stream).unwrap();
        answer(&mut stream, "this is not HTTP at all\r\n\r\n");
    });
    for response in [before.await, after.await, within.await, garbled.await] {
        assert!(is_lost(&response), "{response:?}");
    }
}

#[tokio::test]
async fn silence_is_lost_once_it_takes_too_long() {
    let quick = Duration::from_millis(200);
    for options in [Options { read_timeout: quick, ..PATIENT }, Options { timeout: quick, ..PATIENT }] {
        let (address, server) = server(|listener| {
            let mut stream = accept(&listener);
            while read_request(&mut stream).is_some() {}
        });
        let response = outbound(&options).send(&address, &HttpRequest::post("/pay")).await;
        assert_eq!(response.unwrap_err(), TransportError::Lost("it took too long".to_owned()));
        finished(server).await;
    }
}

#[tokio::test]
async fn an_answer_that_is_too_large_is_lost() {
    let announced = write_to(|listener| {
        let mut stream = accept(&listener);
        read_request(&mut stream).unwrap();
        answer(&mut stream, "HTTP/1.1 200 OK\r\nContent-Length: 1048577\r\n\r\n");
    });
    let endless = write_to(|listener| {
        let mut stream = accept(&listener);
        read_request(&mut stream).unwrap();
        answer(&mut stream, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n");
        let chunk = format!("10000\r\n{}\r\n", "x".repeat(0x10000));
        while stream.write_all(chunk.as_bytes()).is_ok() {}
    });
    let limit = TransportError::Lost("the answer is larger than 1048576 bytes".to_owned());
    assert_eq!(announced.await.unwrap_err(), limit);
    assert_eq!(endless.await.unwrap_err(), limit);
    let largest = write_to(|listener| {
        let mut stream = accept(&listener);
        read_request(&mut stream).unwrap();
        answer(&mut stream, "HTTP/1.1 200 OK\r\nContent-Length: 1048576\r\n\r\n");
        answer(&mut stream, &"x".repeat(1024 * 1024));
    });
    assert_eq!(largest.await.unwrap().body.len(), 1024 * 1024);
}

#[tokio::test]
async fn a_redirect_is_an_answer_and_is_not_followed() {
    let elsewhere = TcpListener::bind("127.0.0.1:0").unwrap();
    let target = elsewhere.local_addr().unwrap();
    let response = write_to(move |listener| {
        let mut stream = accept(&listener);
        read_request(&mut stream).unwrap();
        let head = format!("HTTP/1.1 307 Moved\r\nLocation: http://{target}/\r\nContent-Length: 0\r\n\r\n");
        answer(&mut stream, &head);
    });
    assert_eq!(response.await.unwrap().status, 307);
    elsewhere.set_nonblocking(true).unwrap();
    assert!(elsewhere.accept().is_err(), "nobody went there");
}

#[tokio::test]
async fn a_connection_is_used_again() {
    let (address, server) = server(|listener| {
        let mut stream = accept(&listener);
        for _ in 0..3 {
            read_request(&mut stream).unwrap();
            answer(&mut stream, FINE);
        }
    });
    let client = outbound(&PATIENT);
    for _ in 0..3 {
        assert!(client.send(&address, &HttpRequest::get("/x")).await.unwrap().ok());
    }
    finished(server).await;
}

/// The server takes the second write on the kept connection and closes without an answer. A client that repeats by
/// itself would now connect anew and send it again.
#[tokio::test]
async fn a_write_that_was_taken_on_a_kept_connection_is_lost_and_never_sent_again() {
    let (address, server) = server(|listener| {
        let mut stream = accept(&listener);
        read_request(&mut stream).unwrap();
        answer(&mut stream, FINE);
        read_request(&mut stream).unwrap();
        drop(stream);
        listener
    });
    let client = outbound(&PATIENT);
    let write = HttpRequest::post("/pay").json_bytes(b"{}".to_vec());
    assert!(client.send(&address, &write).await.unwrap().ok());
    assert!(is_lost(&client.send(&address, &write).await));
    let listener = finished(server).await;
    listener.set_nonblocking(true).unwrap();
    assert!(listener.accept().is_err(), "nobody came again");
}

/// The server closes right after its answer. Whether the client has noticed when the next write starts is chance; either
/// way the write arrives at most once, and is answered if it arrived.
#[tokio::test]
async fn a_write_after_a_closed_connection_arrives_at_most_once() {
    let (address, server) = server(|listener| {
        let mut seen = Vec::new();
        while !seen.contains(&"end".to_owned()) {
            let mut stream = accept(&listener);
            if let Some(request) = read_request(&mut stream) {
                answer(&mut stream, FINE);
                seen.push(request.rsplit("\r\n\r\n").next().unwrap_or_default().to_owned());
            }
        }
        seen
    });
    let client = outbound(&PATIENT);
    let mut answered = Vec::new();
    for number in 0..50 {
        let body = format!("{number:03}");
        let response =
            client.send(&address, &HttpRequest::post("/pay").json_bytes(body.clone().into_bytes())).await;
        if response.is_ok() {
            answered.push(body);
        }
    }
    let end = outbound(&PATIENT).send(&address, &HttpRequest::post("/pay").json_bytes(b"end".to_vec())).await;
    assert!(end.unwrap().ok());
    let mut seen = finished(server).await;
    seen.retain(|body| body != "end");
    let mut once = seen.clone();
    once.dedup();
    assert_eq!(seen, once);
    assert_eq!(seen, answered);
}

#[tokio::test]
async fn a_guarded_client_connects_to_no_private_address() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let guarded = outbound(&Options { allow_private_addresses: false, ..PATIENT });
    for host in ["127.0.0.1", "127.1", "2130706433", "0177.0.0.1", "[::ffff:127.0.0.1]", "localhost"] {
        let response = guarded.send(&format!("http://{host}:{port}"), &HttpRequest::post("/hook")).await;
        assert_eq!(
            response.unwrap_err(),
            TransportError::NotSent("the address is private".to_owned()),
            "{host}"
        );
    }
    listener.set_nonblocking(true).unwrap();
    assert!(listener.accept().is_err(), "nobody connected");
}

#[tokio::test]
async fn errors_repeat_neither_address_nor_header_nor_body() {
    let closed = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let http_request = HttpRequest::post("/hook/k3y-of-the-path?token=k3y")
        .json_bytes(b"k3y".to_vec())
        .header_secret("X-Key", &Secret::from("k3y"));
    let refused = outbound(&PATIENT).send(&format!("http://{closed}"), &http_request).await;
    let (address, server) = server(|listener| {
        let mut stream = accept(&listener);
        read_request(&mut stream).unwrap();
        answer(&mut stream, "HTTP/9.9 k3y\r\n\r\n");
    });
    let garbled = outbound(&PATIENT).send(&address, &http_request).await;
    finished(server).await;
    for error in [refused.unwrap_err(), garbled.unwrap_err()] {
        let chain = format!("{error} {error:?}");
        assert!(!chain.contains("k3y") && !chain.contains("127.0.0.1"), "{chain}");
    }
}
