//! Clients who mean harm: while they try, an ordinary customer pays an order; afterwards the gateway is as well as
//! before.

use std::path::Path;
use std::process::Command;
use std::sync::atomic::{AtomicUsize, Ordering};

use futures_util::future::join_all;
use futures_util::{StreamExt as _, stream};
use tokio::io::AsyncWriteExt as _;
use tokio::net::{TcpSocket, TcpStream};
use tokio::sync::Mutex;

use super::demo::{Demo, MAX_GROWTH};
use super::running::{Gateway, Sandbox};
use super::sale::Sale;
use super::shop::{Shop, eventually};
use super::wire::{HOST, JSON, KEY, connect, dribble, exchange, hear, hear_status, post};

/// A gateway under attack.
struct Target {
    demo: Demo,
    /// Its memory before, bytes.
    before: u64,
}

impl Target {
    fn start() -> Self {
        Self::of(Gateway::start)
    }

    fn of(start: impl FnOnce(&Path, &Sandbox) -> Gateway) -> Self {
        let demo = Demo::of(start);
        let before = demo.gateway.memory();
        Self { demo, before }
    }

    fn url(&self) -> &str {
        &self.demo.gateway.url
    }

    /// An ordinary customer pays an ordinary order, which goes on.
    async fn serves(&self, key: &str) {
        let shop = &self.demo.shop;
        let sale = Sale::opened(shop, key, &Shop::order(Some("decta-demo"), "EUR", 1999)).await;
        // Under load the provider's answer may come after the customer, who then gets the waiting page.
        let landed = shop.pay(&sale.page).await.unwrap();
        let pages = ["http://localhost:3000/thanks?", "http://localhost:3000/wait?"];
        assert!(pages.iter().any(|page| landed.starts_with(page)), "{landed}");
        shop.until(&sale.order, |order| order["state"] == "PROCESSING").await;
    }

    /// Serves while the attack goes on.
    async fn bears<T>(&self, attack: impl Future<Output = T>) -> T {
        tokio::join!(attack, self.serves("meanwhile")).0
    }

    /// It is ready, has not grown, serves, and its records fit.
    async fn stays_well(self, most_growth: u64) {
        let ready = reqwest::get(format!("{}/readyz", self.demo.gateway.ops_url)).await.unwrap();
        assert_eq!(ready.status(), 200);
        self.serves("afterwards").await;
        let (before, after) = (self.before, self.demo.gateway.memory());
        assert!(after < before + most_growth, "from {before} to {after} bytes");
        self.demo.ends();
    }
}

/// What must not be answered: a request hidden in the body of another.
const HIDDEN: &str =
    "GET /v1/orders HTTP/1.1\r\nHost: gateway\r\nAuthorization: Bearer pmx_test_demo\r\n\r\n";

/// Bytes that are not one HTTP request, or not clearly one.
fn not_http() -> Vec<(&'static str, Vec<u8>)> {
    let chunked = "Transfer-Encoding: chunked\r\n";
    let head = |line: &str, headers: &str, body: &str| {
        format!("{line}\r\n{HOST}{KEY}{JSON}{headers}\r\n{body}{HIDDEN}").into_bytes()
    };
    let post = |headers: &str, body: &str| head("POST /v1/orders HTTP/1.1", headers, body);
    let get = |headers: &str| head("GET /v1/orders HTTP/1.1", headers, "");
    let many: String = (0..200).map(|index| format!("X-{index}: a\r\n")).collect();
    vec![
        ("both lengths", post(&format!("Content-Length: 5\r\n{chunked}"), "0\r\n\r\n")),
        ("both lengths, turned", post(&format!("{chunked}Content-Length: 5\r\n"), "0\r\n\r\n")),
        ("two lengths", post("Content-Length: 2\r\nContent-Length: 3\r\n", "{}")),
        ("two equal lengths", post("Content-Length: 2\r\nContent-Length: 2\r\n", "{}")),
        ("a list of lengths", post("Content-Length: 2, 2\r\n", "{}")),
        ("a signed length", post("Content-Length: +2\r\n", "{}")),
        ("a negative length", post("Content-Length: -2\r\n", "{}")),
        ("a hexadecimal length", post("Content-Length: 0x2\r\n", "{}")),
        ("a length past 64 bits", post("Content-Length: 18446744073709551618\r\n", "{}")),
        ("a blank before the colon", post("Content-Length : 2\r\n", "{}")),
        ("two codings", post(&format!("{chunked}{chunked}"), "0\r\n\r\n")),
        ("a coding that is not last", post("Transfer-Encoding: chunked, identity\r\n", "0\r\n\r\n")),
        ("a coding before chunked", post("Transfer-Encoding: gzip, chunked\r\n", "0\r\n\r\n")),
        ("an unknown coding", post("Transfer-Encoding: xchunked\r\n", "0\r\n\r\n")),
        ("a folded header", get("X-Long: a\r\n b\r\n")),
        ("a header without a name", get(": a\r\n")),
        ("a header without a colon", get("X-Long\r\n")),
        ("a control character", get("X-Long: a\0b\r\n")),
        ("bare carriage returns", get("").iter().copied().filter(|byte| *byte != b'\n').collect()),
        ("two hosts", get("Host: elsewhere\r\n")),
        ("no host", format!("GET /v1/orders HTTP/1.1\r\n{KEY}\r\n").into_bytes()),
        ("too many headers", get(&many)),
        ("a header without end", get(&format!("X-Long: {}\r\n", "a".repeat(300_000)))),
        ("an address without end", head(&format!("GET /{} HTTP/1.1", "a".repeat(300_000)), "", "")),
        (
            "an address that is no UTF-8",
            b"GET /v1/orders/\xff\xfe HTTP/1.1\r\nHost: gateway\r\n\r\n".to_vec(),
        ),
        ("a query that is no UTF-8", b"GET /v1/orders?state=\xff HTTP/1.1\r\nHost: gateway\r\n\r\n".to_vec()),
        ("another version", head("GET /v1/orders HTTP/3.0", "", "")),
        ("the preface of HTTP/2", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_vec()),
        ("the start of TLS", b"\x16\x03\x01\x02\0\x01\0\x01\xfc\x03\x03\r\n\r\n".to_vec()),
        ("an old POST without a length", head("POST /v1/orders HTTP/1.0", "", "")),
        ("an old POST in chunks", head("POST /v1/orders HTTP/1.0", chunked, "0\r\n\r\n")),
    ]
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_not_clearly_http_is_refused_hides_nothing_and_fills_no_log() {
    let log = tempfile::NamedTempFile::new().unwrap();
    let target = Target::of(|folder, sandbox| Gateway::start_logging(folder, sandbox, log.reopen().unwrap()));
    let url = target.url();
    let attack = async {
        for (name, bytes) in not_http() {
            let received = exchange(url, &bytes).await;
            assert!(received.answers() <= 1, "{name}: {received:?}");
            assert!(matches!(received.status(), 0 | 400 | 431), "{name}: {received:?}");
        }
    };
    target.bears(attack).await;
    let said = std::fs::read_to_string(log.path()).unwrap();
    // The customer who pays meanwhile has lines of their own.
    let others = said.lines().filter(|line| !line.contains("order.id="));
    assert!(others.count() < 10, "{said}");
    target.stays_well(MAX_GROWTH).await;
}

/// Requests that are HTTP and make no sense, with what they are answered.
fn odd() -> Vec<(&'static str, Vec<u8>, u16, &'static str)> {
    let get = |target: &str, version: &str, headers: &str| {
        format!("GET {target} HTTP/{version}\r\n{HOST}{KEY}{headers}Connection: close\r\n\r\n").into_bytes()
    };
    let chunks = |chunks: &str| {
        let head = format!("POST /v1/orders HTTP/1.1\r\n{HOST}{KEY}{JSON}Transfer-Encoding: chunked\r\n\r\n");
        format!("{head}{chunks}{HIDDEN}").into_bytes()
    };
    let with_key = |key: &[u8]| {
        let head = format!("POST /v1/orders HTTP/1.1\r\n{HOST}{KEY}{JSON}Idempotency-Key: ");
        let rest = b"\r\nContent-Length: 2\r\nConnection: close\r\n\r\n{}";
        [head.as_bytes(), key, rest].concat()
    };
    let merchant = format!("{KEY}{JSON}");
    // As much as is read of a body that is too large; what is announced beyond it is not waited for.
    let endless = {
        let head = format!("POST /v1/orders HTTP/1.1\r\n{HOST}{merchant}Content-Length: 9000000\r\n\r\n");
        [head.as_bytes(), &[b' '; 4 * 1024 * 1024 + 1]].concat()
    };
    vec![
        ("a body far past the limit", endless, 413, "body_too_large"),
        ("an old client", get("/v1/orders", "1.0", ""), 200, ""),
        ("the whole address", get("http://elsewhere.test/v1/orders", "1.1", ""), 200, ""),
        ("encoded bytes that are no UTF-8", get("/v1/orders/%ff%fe", "1.1", ""), 404, "not_found"),
        ("an encoded zero", get("/v1/orders/%00", "1.1", ""), 404, "not_found"),
        ("dots", get("/v1/../../etc/passwd", "1.1", ""), 404, "not_found"),
        ("a query that is no UTF-8", get("/v1/orders?state=%ff", "1.1", ""), 400, "invalid_value"),
        ("a query of names", get(&format!("/v1/orders?{}", "a&".repeat(5_000)), "1.1", ""), 400, "*"),
        ("another protocol", get("/v1/orders", "1.1", "Upgrade: h2c\r\n"), 200, ""),
        (
            "no target",
            b"OPTIONS * HTTP/1.1\r\nHost: gateway\r\nConnection: close\r\n\r\n".to_vec(),
            404,
            "not_found",
        ),
        (
            "a tunnel",
            b"CONNECT elsewhere.test:443 HTTP/1.1\r\nHost: gateway\r\n\r\n".to_vec(),
            404,
            "not_found",
        ),
        ("a key that is no text", with_key(b"\xff\xfe"), 400, "idempotency_key_invalid"),
        ("a length that is no number", chunks("zz\r\n{}\r\n0\r\n\r\n"), 400, "malformed_json"),
        ("a length without end", chunks(&"f".repeat(20)), 400, "malformed_json"),
        ("a chunk longer than it says", chunks("1\r\n{}\r\n0\r\n\r\n"), 400, "malformed_json"),
        ("a body past the limit", post("/v1/orders", &merchant, &[b' '; 300_000]), 413, "body_too_large"),
        (
            "a body that is no UTF-8",
            post("/v1/orders", &merchant, b"{\"a\":\"\xff\xfe\"}"),
            400,
            "malformed_json",
        ),
        (
            "a coded body",
            post("/v1/orders", &format!("{merchant}Content-Encoding: gzip\r\n"), b"{}"),
            415,
            "*",
        ),
    ]
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_http_and_makes_no_sense_is_answered_with_a_problem() {
    let target = Target::start();
    let url = target.url();
    let attack = async {
        for (name, bytes, status, code) in odd() {
            let received = exchange(url, &bytes).await;
            assert_eq!((received.answers(), received.status()), (1, status), "{name}: {received:?}");
            if status >= 400 {
                let answer = received.code();
                assert!(answer == code || code == "*" && !answer.is_empty(), "{name}: {answer}");
            }
        }
        // What follows a body is the next request, and is none.
        let [first, after] = [post("/v1/orders", KEY, b""), b"JUNK\r\n\r\n".to_vec()];
        let kept = String::from_utf8([first, after].concat()).unwrap().replace("Connection: close\r\n", "");
        let received = exchange(url, kept.as_bytes()).await;
        assert_eq!((received.answers(), received.status()), (2, 400), "{received:?}");
    };
    target.bears(attack).await;
    target.stays_well(MAX_GROWTH).await;
}

/// Bodies within the limit that cost a careless reader much.
fn bombs() -> Vec<(&'static str, Vec<u8>)> {
    let many = |piece: &str| piece.repeat(250_000 / piece.len());
    let object = |inside: &str| format!("{{{}}}", inside.trim_end_matches(',')).into_bytes();
    let order = |inside: &str| format!(r#"{{"currency":"EUR",{inside}}}"#).into_bytes();
    let names: String = (0..22_000).map(|name| format!("\"{name:x}\":1,")).collect();
    vec![
        ("lists in lists", many("[").into_bytes()),
        ("objects in objects", many(r#"{"a":"#).into_bytes()),
        ("closed lists in lists", format!("{}{}", "[".repeat(120_000), "]".repeat(120_000)).into_bytes()),
        ("one name again and again", object(&many(r#""a":1,"#))),
        ("one known name again and again", object(&many(r#""currency":"EUR","#))),
        ("many unknown names", object(&names)),
        ("many metadata", order(&format!(r#""metadata":{{{}}}"#, names.trim_end_matches(',')))),
        ("many empty items", order(&format!(r#""items":[{}{{}}]"#, "{},".repeat(80_000)))),
        ("a number without end", order(&format!(r#""shipping":{}"#, "9".repeat(250_000)))),
        ("a fraction without end", order(&format!(r#""shipping":0.{}"#, "1".repeat(250_000)))),
        ("a power without end", order(r#""shipping":1e999999999"#)),
        ("a rate without end", order(&format!(r#""items":[{{"taxRate":"{}"}}]"#, "9".repeat(250_000)))),
        ("half a character", order(r#""reference":"\ud800""#)),
        ("digits that may be cards", order(&format!(r#""reference":"{}""#, "4 ".repeat(120_000)))),
        ("nothing but zeros", vec![0; 250_000]),
    ]
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn bodies_that_are_bombs_are_faults_like_any_other() {
    let target = Target::start();
    let url = target.url();
    let attack = async {
        for (name, body) in bombs() {
            let received = exchange(url, &post("/v1/orders", &format!("{KEY}{JSON}"), &body)).await;
            assert!(matches!(received.status(), 400 | 422), "{name}: {}", received.status());
            assert!(!received.code().is_empty(), "{name}");
            let body = &body[..body.len().min(60_000)];
            let strange = exchange(url, &post("/webhooks/telness-demo", JSON, body)).await;
            assert_eq!((strange.status(), strange.code().as_str()), (401, "unauthenticated"), "{name}");
        }
    };
    target.bears(attack).await;
    target.stays_well(MAX_GROWTH).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_dribbles_is_cut_off() {
    let target = Target::start();
    let url = target.url();
    let chunked = "Transfer-Encoding: chunked\r\n\r\n";
    let body = format!("POST /v1/orders HTTP/1.1\r\n{HOST}{KEY}{JSON}Content-Length: 100000\r\n\r\n");
    let chunks = format!("POST /v1/orders HTTP/1.1\r\n{HOST}{KEY}{JSON}{chunked}");
    let unknown = format!("POST /v1/orders HTTP/1.1\r\n{HOST}{JSON}{chunked}");
    let nowhere = format!("POST /nowhere HTTP/1.1\r\n{HOST}{chunked}");
    let trailers = format!("POST /v1/orders HTTP/1.1\r\n{HOST}{KEY}{JSON}{chunked}0\r\n");
    let attacks: [(&str, &'static [u8], u16, &str); 7] = [
        ("", b"", 408, ""),
        ("GET /v1/orders HTTP/1.1\r\nX: ", b"a", 408, ""),
        (&body, b"a", 408, "request_timeout"),
        (&chunks, b"1\r\n \r\n", 408, "request_timeout"),
        (&trailers, b"X: a\r\n", 408, "request_timeout"),
        (&unknown, b"1\r\na\r\n", 401, "unauthenticated"),
        (&nowhere, b"1\r\na\r\n", 404, "not_found"),
    ];
    let attack = join_all(attacks.iter().flat_map(|attack| [attack; 30]).map(
        |(first, piece, status, code)| async move {
            let received = dribble(url, first.as_bytes(), piece).await;
            assert_eq!(
                (received.status(), received.code().as_str()),
                (*status, *code),
                "{first}: {received:?}"
            );
        },
    ));
    target.bears(attack).await;
    target.stays_well(MAX_GROWTH).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_body_that_stays_away_changes_nothing() {
    let target = Target::start();
    let url = target.url();
    let order = Shop::order(None, "EUR", 1999)["order"].to_string();
    let head = format!("{KEY}{JSON}Idempotency-Key: half\r\n");
    let whole = post("/v1/orders", &head, order.as_bytes());
    let attack = async {
        for index in 0..200 {
            let mut stream = connect(url).await;
            stream.write_all(&whole[..whole.len() - 1 - index % order.len()]).await.unwrap();
            if index % 2 == 0 {
                stream.shutdown().await.unwrap();
                let received = hear(&mut stream).await;
                assert_eq!(
                    (received.status(), received.code().as_str()),
                    (400, "malformed_json"),
                    "{received:?}"
                );
            }
        }
    };
    target.bears(attack).await;
    let before = target.demo.shop.get("/v1/orders?limit=200").await["data"].as_array().unwrap().len();
    assert_eq!(exchange(url, &whole).await.status(), 201);
    let after = target.demo.shop.get("/v1/orders?limit=200").await["data"].as_array().unwrap().len();
    assert_eq!(after, before + 1, "the half ones made nothing, and did not take the key");
    target.stays_well(MAX_GROWTH).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_asks_and_asks_on_one_connection_is_answered_and_who_does_not_listen_is_not_waited_for() {
    const REQUESTS: usize = 5_000;
    let target = Target::start();
    let url = target.url();
    let request = format!("GET /problems/not_found HTTP/1.1\r\n{HOST}\r\n");
    let last = request.replace("\r\n\r\n", "\r\nConnection: close\r\n\r\n");
    let attack = async {
        let (mut reader, mut writer) = connect(url).await.into_split();
        let requesting = {
            let bytes = format!("{}{last}", request.repeat(REQUESTS - 1));
            tokio::spawn(async move { writer.write_all(bytes.as_bytes()).await })
        };
        let received = hear(&mut reader).await;
        requesting.await.unwrap().unwrap();
        assert_eq!((received.answers(), received.status()), (REQUESTS, 200));
    };
    let deaf: Vec<TcpStream> = join_all((0..50).map(|_| connect(url))).await;
    let deaf = deaf.into_iter().map(|mut stream| {
        // What is answered to requests on one connection is kept until it is taken.
        let bytes = request.repeat(REQUESTS / 2);
        // It is never done: nothing is read, so at some time nothing is taken.
        tokio::spawn(async move { stream.write_all(bytes.as_bytes()).await.map(|()| stream) })
    });
    let deaf = deaf.collect::<Vec<_>>();
    target.bears(attack).await;
    deaf.iter().for_each(tokio::task::JoinHandle::abort);
    target.stays_well(4 * MAX_GROWTH).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_takes_no_answer_and_is_to_be_hung_up_on_is_cut_off() {
    /// Their answers are more than both systems keep for a connection.
    const REQUESTS: usize = 10_000;
    let target = Target::start();
    let socket = TcpSocket::new_v4().unwrap();
    socket.set_recv_buffer_size(4096).unwrap();
    let address = target.url().trim_start_matches("http://").parse().unwrap();
    let mut deaf = socket.connect(address).await.unwrap();
    let request = format!("GET /problems/not_found HTTP/1.1\r\n{HOST}\r\n");
    let last = request.replace("\r\n\r\n", "\r\nConnection: close\r\n\r\n");
    let bytes = format!("{}{last}", request.repeat(REQUESTS - 1));
    deaf.write_all(bytes.as_bytes()).await.unwrap();
    // A connection that is gone takes nothing any more.
    let deaf = Mutex::new(deaf);
    eventually(|| async {
        let taken = deaf.lock().await.write_all(b"x").await;
        taken.err().map(drop).ok_or_else(|| "the connection is kept".to_owned())
    })
    .await;
    target.stays_well(4 * MAX_GROWTH).await;
}

/// The most connections that this process and a gateway of its own may have, ten thousand if possible. Raises this
/// process's own limit of open files as far as it may.
fn most_connections() -> (usize, usize) {
    let limits = std::fs::read_to_string("/proc/self/limits").unwrap();
    let row = limits.lines().find_map(|line| line.strip_prefix("Max open files")).unwrap();
    let hard = row.split_whitespace().nth(1).unwrap().parse().unwrap_or(1_000_000).min(65_536);
    let raise = ["--pid", &std::process::id().to_string(), &format!("--nofile={hard}:")].map(str::to_owned);
    let raised = Command::new("prlimit").args(raise).status().is_ok_and(|status| status.success());
    let files = if raised { hard } else { row.split_whitespace().next().unwrap().parse().unwrap() };
    // Other tests run in this process, and the gateway keeps a quarter for itself.
    (hard, 10_000.min(files.saturating_sub(2_000)).min(hard / 4 * 3))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ten_thousand_idle_connections_keep_nobody_out() {
    /// What a connection costs at most, bytes.
    const COST: u64 = 16 * 1024;
    let (files, count) = most_connections();
    if count < 10_000 {
        eprintln!("ONLY {count} IDLE CONNECTIONS: the limit of open files is {files}");
    }
    let target = Target::of(|folder, sandbox| Gateway::start_with_files(folder, sandbox, files));
    let url = target.url();
    let mut idle: Vec<TcpStream> =
        stream::iter(0..count).map(|_| connect(url)).buffer_unordered(100).collect().await;
    target.serves("meanwhile").await;
    let last = idle.last_mut().unwrap();
    assert_eq!(hear(last).await.status(), 408, "one that asks for nothing is not kept");
    drop(idle);
    target.stays_well(MAX_GROWTH + count as u64 * COST).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_holds_connections_for_ever_leaves_room_for_others() {
    const FILES: usize = 256;
    let target = Target::of(|folder, sandbox| Gateway::start_with_files(folder, sandbox, FILES));
    let url = target.url();
    let request = format!("GET /problems/not_found HTTP/1.1\r\n{HOST}\r\n");
    let mut held = Vec::new();
    // Each is answered, and then begins a request that it never ends.
    for _ in 0..2 * FILES {
        let mut stream = connect(url).await;
        stream.write_all(request.as_bytes()).await.unwrap();
        assert_eq!(hear_status(&mut stream).await, 200);
        // A closed connection does not accept this any more.
        let _ = stream.write_all(b"GET /v1/").await;
        held.push(stream);
    }
    target.serves("meanwhile").await;
    drop(held);
    target.stays_well(MAX_GROWTH).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn however_many_connect_it_still_reaches_its_providers() {
    const FILES: usize = 256;
    let target = Target::of(|folder, sandbox| Gateway::start_with_files(folder, sandbox, FILES));
    let shop = &target.demo.shop;
    // This customer was there before, so theirs is a connection that is kept.
    shop.get("/v1/orders").await;
    let idle = join_all((0..2 * FILES).map(|_| connect(target.url()))).await;
    let open = AtomicUsize::new(0);
    eventually(|| async {
        let now = target.demo.gateway.files();
        let before = open.swap(now, Ordering::Relaxed);
        if now > FILES / 2 && now == before {
            Ok(())
        } else {
            Err(format!("{now} open files, {before} before"))
        }
    })
    .await;
    let answer = shop.send("/v1/checkouts", "meanwhile", &Shop::order(Some("decta-demo"), "EUR", 1999)).await;
    assert_eq!(answer.status, 201, "{}", answer.text);
    drop(idle);
    target.stays_well(MAX_GROWTH).await;
}
