//! A hundred thousand forged notices to an account whose provider does not sign: they cost neither disk nor memory
//! nor the provider's patience, and everybody else is served.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use futures_util::future::join_all;
use rusqlite::{Connection, OpenFlags};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::{Instant, timeout};

use super::demo::{Demo, MAX_GROWTH};
use super::records;
use super::running::Gateway;
use super::sale::Sale;
use super::shop::{PATIENCE, Shop, eventually};
use super::wire::connect;

/// Notices of each of the two floods.
const NOTIFICATIONS: usize = 50_000;

/// Connections that they come on, and how many go ahead of the answers on each.
const CONNECTIONS: usize = 16;
const AHEAD: usize = 50;

/// The secret part of the demo's address: whoever forges has learned it.
const ADDRESS: &str = "/webhooks/decta-demo/sandbox-decta-notify-key";

/// Paid orders that the second flood is about.
const PAID: usize = 10;

/// Two reads of a payment are at least so far apart.
const APART: Duration = Duration::from_secs(5);

/// Statuses of answers, with how many there were of each.
type Answers = BTreeMap<u16, usize>;

/// Sends notices with these references on many connections, and answers what came back.
async fn flood(url: &str, references: &[String]) -> Answers {
    let share = references.len() / CONNECTIONS;
    let parts = join_all(references.chunks(share).map(|part| flood_one(url, part))).await;
    parts.into_iter().fold(Answers::new(), |mut all, part| {
        part.into_iter().for_each(|(status, count)| *all.entry(status).or_default() += count);
        all
    })
}

async fn flood_one(url: &str, references: &[String]) -> Answers {
    let mut stream = connect(url).await;
    let mut answers = Answers::new();
    let mut answered = Vec::new();
    for ahead in references.chunks(AHEAD) {
        let bytes: Vec<u8> = ahead.iter().flat_map(|reference| notification(reference)).collect();
        timeout(PATIENCE, stream.write_all(&bytes)).await.expect("the gateway listens").unwrap();
        for _ in ahead {
            let status = timeout(PATIENCE, answer(&mut stream, &mut answered))
                .await
                .expect("every notice is answered");
            *answers.entry(status).or_default() += 1;
        }
    }
    answers
}

/// A notice that claims that an order was charged back.
fn notification(reference: &str) -> Vec<u8> {
    let body = json!({"type": "order", "id": reference, "number": null, "status": "chargeback"}).to_string();
    let head = format!("POST {ADDRESS} HTTP/1.1\r\nHost: gateway\r\nContent-Length: {}\r\n\r\n", body.len());
    [head.into_bytes(), body.into_bytes()].concat()
}

/// The status of the next answer on a connection; what came after it stays in `received`.
async fn answer(stream: &mut TcpStream, answered: &mut Vec<u8>) -> u16 {
    loop {
        let end = answered.windows(4).position(|window| window == b"\r\n\r\n");
        if let Some(end) = end {
            let head = String::from_utf8_lossy(&answered[..end]).to_ascii_lowercase();
            let length = head.lines().find_map(|line| line.strip_prefix("content-length: ")).unwrap();
            let whole = end + 4 + length.parse::<usize>().unwrap();
            if answered.len() >= whole {
                answered.drain(..whole);
                return head[9..12].parse().unwrap();
            }
        }
        let read = stream.read_buf(answered).await.unwrap();
        assert!(read > 0, "the gateway hung up");
    }
}

/// Another merchant sells meanwhile, at other accounts.
async fn sells_meanwhile(neighbour: &Shop, prefix: &str) {
    for turn in 0..5 {
        for (account, currency) in [("telness-demo", "EUR"), ("paymennt-demo", "AED")] {
            let body = Shop::order(Some(account), currency, 1999);
            Sale::paid(neighbour, &format!("{prefix}-{account}-{turn}"), &body).await;
        }
    }
}

/// What the demo's merchant sold, with its files on disk.
struct Sold(Vec<Sale>);

impl Sold {
    async fn by(shop: &Shop) -> Self {
        let mut sold = Vec::new();
        for number in 0..PAID {
            let body = Shop::order(Some("decta-demo"), "EUR", 1999);
            sold.push(Sale::paid(shop, &format!("sold-{number}"), &body).await);
        }
        Self(sold)
    }

    /// How often these were fetched from the provider.
    async fn reads(&self, shop: &Shop) -> usize {
        let about_these = |call: &&Value| {
            let path = call["path"].as_str().unwrap();
            call["method"] == "GET" && self.0.iter().any(|sale| path.contains(&sale.object))
        };
        shop.calls("decta").await.iter().filter(about_these).count()
    }

    /// Waits until nothing is planned about any of them any more.
    async fn resolved(&self, folder: &Path) {
        eventually(|| async {
            let sql = "SELECT count(*) FROM jobs WHERE subject = ?1";
            let planned = self.count(folder, sql);
            if planned > 0 { Err(format!("{planned} reads planned")) } else { Ok(()) }
        })
        .await;
    }

    /// The sum of a count over the orders.
    fn count(&self, folder: &Path, sql: &str) -> i64 {
        let database = database(folder);
        let counts = self.0.iter().map(|sale| {
            database.query_row(sql, [records::subject(&sale.order)], |row| row.get::<_, i64>(0)).unwrap()
        });
        counts.sum()
    }

    fn events(&self, folder: &Path) -> i64 {
        self.count(folder, "SELECT coalesce(sum(events), 0) FROM changes WHERE subject = ?1")
    }
}

fn database(folder: &Path) -> Connection {
    Connection::open_with_flags(folder.join("paymux.db"), OpenFlags::SQLITE_OPEN_READ_ONLY).unwrap()
}

/// Notices of the flooded account that are stored.
fn stored(folder: &Path) -> i64 {
    let sql = "SELECT count(*) FROM inbox WHERE account = 'decta-demo'";
    database(folder).query_row(sql, [], |row| row.get(0)).unwrap()
}

fn made_key(folder: &Path) -> String {
    let done = records::run(folder, &["keys", "create", "--merchant", "neighbour", "--test"]);
    let said = String::from_utf8(done.stdout).unwrap();
    said.split_whitespace().find(|word| word.starts_with("pmx_")).unwrap().to_owned()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_flood_of_forged_notices_costs_no_disk_no_memory_and_not_the_providers_patience() {
    let demo = Demo::of(Gateway::start);
    let (shop, folder, url) = (&demo.shop, demo.folder.path(), &demo.gateway.url);
    let neighbour = shop.of_another(made_key(folder));
    let sold = Sold::by(shop).await;
    sold.resolved(folder).await;
    let (reads, events, memory) = (sold.reads(shop).await, sold.events(folder), demo.gateway.memory());

    // About unknown orders.
    let unknown: Vec<String> =
        (0..NOTIFICATIONS).map(|number| format!("00000000-0000-4000-8000-{number:012}")).collect();
    let (answers, ()) = tokio::join!(flood(url, &unknown), sells_meanwhile(&neighbour, "unknown"));
    assert_eq!(answers.values().sum::<usize>(), NOTIFICATIONS);
    assert!(answers.keys().all(|status| matches!(status, 200 | 429)), "{answers:?}");
    assert_eq!(sold.reads(shop).await, reads, "unmatched notifications cause no read");

    // About orders that are there, and paid: none of it is believed, and all of it is one question now and then.
    let known: Vec<String> = (0..NOTIFICATIONS).map(|number| sold.0[number % PAID].object.clone()).collect();
    let started = Instant::now();
    let flooded = async {
        let answers = flood(url, &known).await;
        sold.resolved(folder).await;
        (answers, started.elapsed())
    };
    let meanwhile = async {
        sells_meanwhile(&neighbour, "known").await;
        // At the flooded account too: reads find what its refused notifications were about.
        Sale::paid(&neighbour, "flooded", &Shop::order(Some("decta-demo"), "EUR", 1999)).await;
    };
    let ((answers, took), ()) = tokio::join!(flooded, meanwhile);
    assert!(answers.keys().all(|status| matches!(status, 200 | 429)), "{answers:?}");
    let requested = sold.reads(shop).await - reads;
    let turns = usize::try_from(took.as_secs() / APART.as_secs()).unwrap() + 2;
    assert!(0 < requested && requested <= PAID * turns, "{requested} reads in {took:?}");

    assert_eq!((stored(folder), sold.events(folder)), (0, events));
    for sale in &sold.0 {
        assert_eq!(shop.get(&format!("/v1/payments/{}", sale.payment)).await["status"], "PAID");
    }
    let grown = demo.gateway.memory();
    assert!(grown < memory + MAX_GROWTH, "from {memory} to {grown} bytes");
    demo.ends();
}
