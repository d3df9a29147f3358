//! The README's commands work as they are printed, one after the other in one shell. Only the program, its addresses and
//! its folder are the test's own.

use std::fs;
use std::io::{BufRead as _, BufReader, Write as _};
use std::path::Path;
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

use serde_json::Value;
use tempfile::TempDir;

use super::running::free_address;

/// How long a command may be silent.
const SILENCE: Duration = Duration::from_secs(60);

/// What the shell writes where a block has ended, and where a command has failed.
const END: &str = "== end of block";
const FAILED: &str = "== failed: ";

/// The form of the test card.
const CARD: &str = "number=4242+4242+4242+4242&expiry=12/25&cvv=100&name=TEST+USER&terms=yes";

/// What the demo's last line begins with.
const READY: &str = "Test card";

/// A person's terminals: a shell, and the server that was started last.
struct Reader {
    shell: Child,
    input: ChildStdin,
    output: Receiver<String>,
    folder: TempDir,
    /// The addresses of the README, each with the one that the test has in its place.
    addresses: [(&'static str, String); 3],
}

impl Reader {
    fn new() -> Self {
        let _ = rustls::crypto::ring::default_provider().install_default();
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir(folder.path().join("config")).unwrap();
        for name in ["paymux.toml", "accounts.toml", "routing.toml"] {
            let own = Path::new(env!("CARGO_MANIFEST_DIR")).join("config").join(name);
            fs::copy(own, folder.path().join("config").join(name)).unwrap();
        }
        let addresses = ["127.0.0.1:8080", "127.0.0.1:8090", "127.0.0.1:9464"]
            .map(|address| (address, free_address().to_string()));
        let mut command = Command::new("bash");
        command.current_dir(folder.path()).stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut shell = command.spawn().unwrap();
        let lines = BufReader::new(shell.stdout.take().unwrap()).lines();
        let (send, output) = channel();
        std::thread::spawn(move || lines.map_while(Result::ok).try_for_each(|line| send.send(line)));
        let input = shell.stdin.take().unwrap();
        let mut reader = Self { shell, input, output, folder, addresses };
        reader.run(&format!("exec 2>&1; set -E -o pipefail; trap 'echo \"{FAILED}$BASH_COMMAND\"' ERR"));
        let [(_, api), _, (_, ops)] = reader.addresses.clone();
        reader.run(&format!("export PAYMUX__SERVER__LISTEN={api} PAYMUX__SERVER__OPS_LISTEN={ops}"));
        reader
    }

    /// Runs commands to their end, none of which may fail. Returns what they wrote.
    fn run(&mut self, commands: &str) -> String {
        writeln!(self.input, "{commands}\necho; echo '{END}'").unwrap();
        let mut text = String::new();
        loop {
            let line = self
                .output
                .recv_timeout(SILENCE)
                .unwrap_or_else(|_| panic!("{commands}\nis silent:\n{text}"));
            if line == END {
                break;
            }
            text.push_str(&line);
            text.push('\n');
        }
        assert!(!text.contains(FAILED) && !text.contains("/problems/"), "{commands}\n{text}\n{}", self.log());
        text
    }

    /// A line of the README, for the test's own program and addresses.
    fn own(&self, line: &str) -> String {
        let program = env!("CARGO_BIN_EXE_paymux");
        let mut line =
            line.replace("cargo run --release --", program).replace("./target/release/paymux", program);
        for (address, own) in &self.addresses {
            line = line.replace(address, own);
        }
        if line == "cargo build --release" {
            return ":".to_owned();
        }
        let flags = match line.strip_prefix(program).and_then(|rest| rest.split_whitespace().next()) {
            Some("demo") => {
                let [(_, api), (_, sandbox), (_, ops)] = &self.addresses;
                format!(" --listen {api} --ops-listen {ops} --sandbox-listen {sandbox}")
            }
            Some("serve") => String::new(),
            _ => return line,
        };
        format!("{line}{flags} > server.log 2>&1 &\nSERVER=$!")
    }

    fn log(&self) -> String {
        fs::read_to_string(self.folder.path().join("server.log")).unwrap_or_default()
    }

    /// Waits until the server that was started is ready.
    async fn wait_for_server(&self, is_demo: bool) {
        let url = format!("http://{}/readyz", self.addresses[2].1);
        let ready = async {
            let is_ready = async || reqwest::get(&url).await.is_ok_and(|reply| reply.status().is_success());
            while !is_ready().await || is_demo && !self.log().contains(READY) {
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        };
        let waited = tokio::time::timeout(SILENCE, ready).await;
        assert!(waited.is_ok(), "the server is not ready:\n{}", self.log());
    }

    /// Pays the checkout in an answer. The customer ends up on a page that is there and names the order.
    async fn pay(&self, checkout: &str) {
        let answer: Value =
            serde_json::from_str(checkout).unwrap_or_else(|fault| panic!("{fault}: {checkout}"));
        let page = answer["session"]["checkoutUrl"].as_str().unwrap();
        let client = reqwest::Client::builder().timeout(SILENCE).build().unwrap();
        let form = client.post(page).body(CARD);
        let form = form.header("Content-Type", "application/x-www-form-urlencoded");
        let shown = form.send().await.unwrap();
        let url = shown.url().clone();
        assert!(shown.status().is_success() && url.path() == "/demo/thanks", "{url}");
        assert!(shown.text().await.unwrap().contains(answer["order"]["id"].as_str().unwrap()), "{url}");
    }
}

impl Drop for Reader {
    fn drop(&mut self) {
        let _ = writeln!(self.input, "kill -9 $SERVER; exit");
        let _ = self.shell.wait();
    }
}

/// The shell blocks of the README, each with the text before it.
fn blocks(readme: &str) -> Vec<(&str, &str)> {
    let mut blocks = Vec::new();
    let mut rest = readme;
    while let Some((text, after)) = rest.split_once("```sh\n") {
        let (block, after) = after.split_once("```\n").expect("a block ends");
        blocks.push((text, block));
        rest = after;
    }
    blocks
}

#[tokio::test]
async fn the_readmes_commands_work_as_they_are_printed() {
    let readme = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("README.md")).unwrap();
    let mut reader = Reader::new();
    let mut written = String::new();
    for (text, block) in blocks(&readme).into_iter().filter(|(_, block)| !block.contains("cargo test")) {
        if text.contains("test card") {
            reader.pay(&fs::read_to_string(reader.folder.path().join("checkout.json")).unwrap()).await;
        }
        if text.contains("Ctrl-C") {
            reader.run("kill $SERVER; wait $SERVER");
        }
        let commands: Vec<String> = block.lines().map(|line| reader.own(line)).collect();
        let commands = commands.join("\n");
        written += &reader.run(&commands);
        if commands.contains("SERVER=") {
            reader.wait_for_server(block.contains(" demo")).await;
        }
    }
    for part in
        ["\"PENDING_PAYMENT\"", "\"PROCESSING\"", "\"COMPLETED\"", "\"SUCCEEDED\"", "order.state_changed"]
    {
        assert!(written.contains(part), "{part} in {written}");
    }
}

#[tokio::test]
async fn the_curl_line_that_the_demo_prints_opens_a_checkout_that_ends_on_a_page() {
    let mut reader = Reader::new();
    let demo = reader.own("cargo run --release -- demo");
    reader.run(&demo);
    reader.wait_for_server(true).await;
    let banner = reader.log();
    let curl = &banner[banner.find("curl -s").unwrap()..];
    let answer = reader.run(&curl[..curl.find("\n\n").unwrap()]);
    reader.pay(answer.trim()).await;
}
