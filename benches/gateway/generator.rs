//! What sends the requests: wrk, and a small generator for where there is none and for exact numbers of requests.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use futures_util::future::join_all;
use reqwest::{Client, Method};
use tokio::runtime::Runtime;

/// Requests of one kind.
#[derive(Clone)]
pub(crate) struct Work {
    /// Host and port.
    pub(crate) address: String,
    /// GET or POST.
    pub(crate) method: &'static str,
    /// Where they go, in turns.
    pub(crate) paths: Vec<String>,
    /// The API key, if one is wanted.
    pub(crate) key: Option<String>,
    /// What they carry, in turns; nothing if there is none.
    pub(crate) bodies: Vec<String>,
}

impl Work {
    /// The path and the body of a request by its number.
    fn request(&self, number: u64) -> (&str, &str) {
        let turn = |list: &[String]| (number % list.len().max(1) as u64) as usize;
        (&self.paths[turn(&self.paths)], self.bodies.get(turn(&self.bodies)).map_or("", String::as_str))
    }
}

/// What became of the requests.
pub(crate) struct Outcome {
    /// Answered.
    pub(crate) requests: u64,
    /// Answered with anything but 2xx, or not at all.
    pub(crate) failed: u64,
    /// For how long.
    pub(crate) time: Duration,
    /// The time that half of them took at most.
    pub(crate) p50: Duration,
}

/// How long requests are sent.
#[derive(Clone, Copy)]
pub(crate) enum Until {
    /// As many as can be in this time.
    Time(Duration),
    /// Exactly so many.
    Count(u64),
}

/// Sends requests.
pub(crate) struct Generator {
    /// Where its script is, if wrk is installed.
    wrk: Option<PathBuf>,
    runtime: Runtime,
    client: Client,
    /// Tells runs apart, so that no idempotency key comes twice.
    runs: AtomicU64,
}

/// Whether a program can be started.
pub(crate) fn is_installed(program: &str, flag: &str) -> bool {
    let mut command = Command::new(program);
    command.arg(flag).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).status().is_ok()
}

impl Generator {
    /// With wrk, if it is installed.
    pub(crate) fn new(folder: &Path) -> Self {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build();
        let client = Client::builder().no_proxy().timeout(Duration::from_secs(30)).build();
        Self {
            wrk: is_installed("wrk", "-v").then(|| folder.join("wrk.lua")),
            runtime: runtime.unwrap(),
            client: client.unwrap(),
            runs: AtomicU64::new(0),
        }
    }

    /// Whether wrk is there.
    pub(crate) fn has_wrk(&self) -> bool {
        self.wrk.is_some()
    }

    /// Sends as many requests as can be, each connection one at a time.
    pub(crate) fn shoot(&self, work: &Work, connections: u64, time: Duration) -> Outcome {
        match &self.wrk {
            Some(script) => self.wrk(script, work, connections, time),
            None => self.send(work, connections, Until::Time(time)),
        }
    }

    fn tag(&self) -> String {
        format!("{}-{}-", std::process::id(), self.runs.fetch_add(1, Ordering::Relaxed))
    }

    fn wrk(&self, script: &Path, work: &Work, connections: u64, time: Duration) -> Outcome {
        fs::write(script, lua(work, &self.tag())).unwrap();
        // It counts in whole seconds only; its own clock says how long it really was.
        let seconds = time.as_secs_f64().ceil() as u64;
        let mut command = Command::new("wrk");
        command.args(["--threads", "1", "--timeout", "30s"]).arg("--script").arg(script);
        command.args(["--connections", &connections.to_string(), "--duration", &format!("{seconds}s")]);
        let output = command.arg(format!("http://{}", work.address)).output().unwrap();
        let text = String::from_utf8_lossy(&output.stdout);
        let figures = text.lines().find_map(|line| line.strip_prefix("RESULT ")).expect(&text);
        let figures: Vec<u64> = figures.split(' ').map(|figure| figure.parse().unwrap()).collect();
        Outcome {
            requests: figures[0],
            failed: figures[1],
            time: Duration::from_micros(figures[2]),
            p50: Duration::from_micros(figures[3]),
        }
    }

    /// Sends requests without wrk.
    pub(crate) fn send(&self, work: &Work, connections: u64, until: Until) -> Outcome {
        let started_at = Instant::now();
        let next = Arc::new(AtomicU64::new(0));
        let (work, tag) = (Arc::new(work.clone()), self.tag());
        let connection = |_| {
            let (client, work, tag, next) = (self.client.clone(), work.clone(), tag.clone(), next.clone());
            tokio::spawn(async move {
                let mut took = Vec::new();
                loop {
                    let number = next.fetch_add(1, Ordering::Relaxed);
                    let over = match until {
                        Until::Time(time) => started_at.elapsed() >= time,
                        Until::Count(count) => number >= count,
                    };
                    if over {
                        return took;
                    }
                    let sent = Instant::now();
                    let fine = one(&client, &work, &format!("{tag}{number}"), number).await;
                    took.push((sent.elapsed(), fine));
                }
            })
        };
        let all = self.runtime.block_on(async { join_all((0..connections).map(connection)).await });
        let mut took: Vec<_> = all.into_iter().flat_map(Result::unwrap).collect();
        took.sort();
        Outcome {
            requests: took.len() as u64,
            failed: took.iter().filter(|(_, fine)| !fine).count() as u64,
            time: started_at.elapsed(),
            p50: took.get(took.len() / 2).map_or(Duration::ZERO, |(took, _)| *took),
        }
    }

    /// What one request is answered.
    pub(crate) fn text(&self, work: &Work) -> String {
        let request = request(&self.client, work, &self.tag(), 0);
        self.runtime.block_on(async { request.send().await.unwrap().text().await.unwrap() })
    }
}

fn request(client: &Client, work: &Work, idempotency: &str, number: u64) -> reqwest::RequestBuilder {
    let (path, body) = work.request(number);
    let method = Method::from_bytes(work.method.as_bytes()).unwrap();
    let mut request = client.request(method, format!("http://{}{path}", work.address));
    if let Some(key) = &work.key {
        request = request.bearer_auth(key);
    }
    if !body.is_empty() {
        request = request.header("Content-Type", "application/json").body(body.to_owned());
        request = request.header("Idempotency-Key", idempotency);
    }
    request
}

/// Sends one request; whether it was answered with 2xx.
async fn one(client: &Client, work: &Work, idempotency: &str, number: u64) -> bool {
    let Ok(answer) = request(client, work, idempotency, number).send().await else { return false };
    answer.status().is_success() && answer.bytes().await.is_ok()
}

/// The script of wrk. Requests are put together beforehand but for the number in the idempotency key, for nginx as for
/// the gateway, so that wrk itself costs both the same.
fn lua(work: &Work, tag: &str) -> String {
    let address = &work.address;
    let key = work.key.iter().map(|key| format!("Authorization: Bearer {key}\r\n")).collect::<String>();
    let body = work.bodies.first().map_or("", String::as_str);
    assert!(work.bodies.len() < 2, "wrk sends the same body each time");
    let carries = match body.len() {
        0 => String::new(),
        length => {
            format!("Content-Type: application/json\r\nContent-Length: {length}\r\nIdempotency-Key: {tag}")
        }
    };
    let head = |path| format!("{} {path} HTTP/1.1\r\nHost: {address}\r\n{key}{carries}", work.method);
    let heads: Vec<String> = work.paths.iter().map(|path| quoted(&head(path))).collect();
    let (number, tail) =
        if body.is_empty() { ("\"\"", "\r\n".to_owned()) } else { ("number", format!("\r\n\r\n{body}")) };
    format!(
        "local heads = {{ {} }}
local tail = {}
local number = 0
request = function()
  number = number + 1
  return heads[number % #heads + 1] .. {number} .. tail
end
done = function(summary, latency, requests)
  local e = summary.errors
  local failed = e.connect + e.read + e.write + e.status + e.timeout
  io.write(string.format('\\nRESULT %d %d %d %d\\n', summary.requests, failed, summary.duration, latency:percentile(50)))
end
",
        heads.join(", "),
        quoted(&tail)
    )
}

/// A text in Lua: as in JSON, where it has nothing but plain letters.
fn quoted(text: &str) -> String {
    assert!(text.is_ascii(), "wrk is given plain letters only");
    serde_json::Value::from(text).to_string()
}
