//! The listener on real sockets, spoken to in plain HTTP so that no TLS provider is needed for the client.

use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};

use crate::{Options, ServeError, serve};

fn options() -> Options {
    Options { listen: SocketAddr::from(([127, 0, 0, 1], 0)), ..Options::default() }
}

/// Whatever comes back until the connection closes.
fn exchange(address: SocketAddr, head: &str, body: &str) -> String {
    let mut stream = TcpStream::connect(address).unwrap();
    let length = body.len();
    let text = format!(
        "{head} HTTP/1.1\r\nhost: x\r\nauthorization: Bearer k\r\nconnection: close\r\ncontent-length: {length}\r\n\r\n{body}"
    );
    stream.write_all(text.as_bytes()).unwrap();
    let mut answer = String::new();
    let _ = stream.read_to_string(&mut answer);
    answer
}

/// Takes one POST, answers 200, and returns what came.
fn receive(listener: &TcpListener) -> String {
    let (mut stream, _) = listener.accept().unwrap();
    let mut text = String::new();
    let mut buffer = [0; 4096];
    while !text.contains("\"status_changes\"") {
        let read = stream.read(&mut buffer).unwrap();
        assert!(read > 0, "the notification ended early: {text}");
        text.push_str(std::str::from_utf8(&buffer[..read]).unwrap());
    }
    stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\nconnection: close\r\n\r\n").unwrap();
    let _ = stream.shutdown(Shutdown::Write);
    text
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn it_serves_notifies_drops_connections_and_stops() {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let running = serve(options()).await.unwrap();
    let address = running.address();
    let shop = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/in/key", shop.local_addr().unwrap());
    assert!(running.subscribe("decta", &url, "key") && !running.subscribe("other", &url, "key"));
    let order = r#"{"client":{"email":"a@b.test"},"products":[{"title":"x","price":3}]}"#;
    let work = tokio::task::spawn_blocking(move || {
        let created = exchange(address, "POST /decta/api/v0.6/orders/", order);
        assert!(created.starts_with("HTTP/1.1 201"), "{created}");
        assert!(created.contains(&format!("http://{address}/decta/pay/")), "{created}");
        let notification = receive(&shop);
        assert!(
            notification.starts_with("POST /in/key") && notification.contains("application/json"),
            "{notification}"
        );
        let fault = r#"{"operation":"any","fault":"reset_before","times":1}"#;
        let planned = exchange(address, "POST /control/faults", fault);
        assert!(planned.starts_with("HTTP/1.1 201"), "{planned}");
        assert_eq!(exchange(address, "GET /decta/api/v0.6/orders/", ""), "");
        assert!(exchange(address, "GET /decta/api/v0.6/orders/", "").starts_with("HTTP/1.1 200"));
    });
    work.await.unwrap();
    running.stop().await;
    assert!(TcpStream::connect(address).is_err());
}

#[tokio::test]
async fn it_stays_on_loopback_unless_told_otherwise() {
    let open = Options { listen: SocketAddr::from(([0, 0, 0, 0], 0)), ..Options::default() };
    assert!(matches!(serve(open).await, Err(ServeError::NotLoopback(_))));
}
