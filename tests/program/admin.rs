//! `paymux serve`, and what an operator does beside it: keys, erasure, a second program on the same folder.

use std::net::SocketAddr;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::Duration;

use reqwest::Client;
use rusqlite::Connection;
use serde_json::json;
use tempfile::TempDir;
use tokio::time::{Instant, timeout};

use super::records::{fit, subject};
use super::running::{Sandbox, free_address, quiet, started};
use super::shop::Shop;

/// How long a command may take at most.
const PATIENCE: Duration = Duration::from_secs(60);

/// A folder with the settings of a gateway whose accounts are the sandbox's.
struct Installation {
    folder: TempDir,
    sandbox: Sandbox,
    listen: SocketAddr,
}

/// A gateway that runs until this is dropped.
struct Served(Child);

impl Drop for Served {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// How a program ends, and what it has said. One that goes on where it should end is ended after a while.
fn output(command: &mut Command) -> (Option<i32>, String, String) {
    let piped = command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let (mut child, started_at) = (piped.spawn().unwrap(), Instant::now());
    while child.try_wait().unwrap().is_none() && started_at.elapsed() < PATIENCE {
        std::thread::sleep(Duration::from_millis(5));
    }
    let _ = child.kill();
    let Output { status, stdout, stderr } = child.wait_with_output().unwrap();
    (status.code(), String::from_utf8(stdout).unwrap(), String::from_utf8(stderr).unwrap())
}

fn program() -> Command {
    Command::new(env!("CARGO_BIN_EXE_paymux"))
}

/// A demo on addresses of its own, whose output is read.
fn demo(folder: &Path) -> Command {
    let mut command = quiet(env!("CARGO_BIN_EXE_paymux"));
    command.arg("demo").arg("--data-dir").arg(folder).stderr(Stdio::piped());
    for address in ["--listen", "--ops-listen"] {
        command.args([address, &free_address().to_string()]);
    }
    command
}

impl Installation {
    fn new() -> Self {
        let _ = rustls::crypto::ring::default_provider().install_default();
        let folder = tempfile::tempdir().unwrap();
        let sandbox = Sandbox::start(folder.path());
        let installation = Self { folder, sandbox, listen: free_address() };
        installation.configure(
            &Path::new(env!("CARGO_MANIFEST_DIR")).join("config/sandbox.toml"),
            "config/routing.toml",
        );
        installation
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn configure(&self, accounts: &Path, routing: &str) {
        let routing = Path::new(env!("CARGO_MANIFEST_DIR")).join(routing);
        let settings = format!(
            "[server]\nlisten = \"{}\"\nops_listen = \"{}\"\n[store]\npath = {:?}\n\
             [outbound]\nallow_private_addresses = true\n[files]\naccounts = {accounts:?}\nrouting = {routing:?}\n",
            self.listen,
            free_address(),
            self.path("paymux.db"),
        );
        std::fs::write(self.path("gateway.toml"), settings).unwrap();
    }

    /// A command of the program with these settings.
    fn command(&self, mut program: Command, command: &[&str]) -> Command {
        program.arg(command[0]).arg("--config").arg(self.path("gateway.toml")).args(&command[1..]);
        program.env("PAYMUX_SANDBOX_URL", &self.sandbox.url);
        program
    }

    fn run(&self, command: &[&str]) -> (Option<i32>, String, String) {
        output(&mut self.command(program(), command))
    }

    fn serve(&self) -> Served {
        let command = self.command(quiet(env!("CARGO_BIN_EXE_paymux")), &["serve"]);
        Served(started(command, "metrics").expect("the gateway says where it listens").0)
    }

    /// A demo with the sandbox elsewhere.
    fn demo(&self, folder: &Path) -> Command {
        let mut command = demo(folder);
        command.args(["--sandbox", &self.sandbox.url]);
        command
    }

    fn create_key(&self) -> String {
        let (code, key, advice) = self.run(&["keys", "create", "--merchant", "shop"]);
        assert_eq!((code, key.lines().count()), (Some(0), 1), "{key}");
        assert!(advice.starts_with("Keep it now"), "{advice}");
        key.trim_end().to_owned()
    }

    fn shop(&self, key: String) -> Shop {
        Shop::new(&format!("http://{}", self.listen), &self.sandbox.url).of_another(key)
    }

    async fn get(&self, path: &str, key: &str) -> reqwest::Response {
        let client = Client::builder().timeout(Duration::from_secs(60)).build().unwrap();
        client.get(format!("http://{}{path}", self.listen)).bearer_auth(key).send().await.unwrap()
    }
}

#[tokio::test]
async fn keys_are_made_listed_and_revoked_beside_a_running_gateway_which_refuses_a_revoked_one_at_once() {
    let installation = Installation::new();
    let _served = installation.serve();
    let mode = std::fs::metadata(installation.path("paymux.db.sock")).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600, "only its owner may use the socket");
    let (key, other) = (installation.create_key(), installation.create_key());
    let sale = Shop::order(Some("decta-demo"), "EUR", 1999);
    let made = installation.shop(key.clone()).send("/v1/checkouts", "one", &sale).await.body();
    let events = format!("/v1/payment-sessions/{}/events", made["session"]["id"].as_str().unwrap());
    let mut stream = installation.get(&events, &key).await;
    assert_eq!(stream.status(), 200);

    let (_, listed, _) = installation.run(&["keys", "list"]);
    assert_eq!(listed.matches("active").count(), 2, "{listed}");
    assert_eq!(installation.run(&["keys", "revoke", "pmx_live_"]).0, Some(1), "both start so");
    assert_eq!(installation.run(&["keys", "revoke", &key]).0, Some(0));
    assert_eq!(installation.get("/v1/orders", &key).await.status(), 401);
    assert_eq!(installation.get("/v1/orders", &other).await.status(), 200);
    let to_its_end = async { while stream.chunk().await.unwrap().is_some() {} };
    let limit = Duration::from_secs(10);
    assert!(timeout(limit, to_its_end).await.is_ok(), "the stream of the revoked key goes on");
    assert!(installation.run(&["keys", "list"]).1.contains("  revoked "));
}

#[test]
fn a_replay_of_nothing_that_could_be_meant_is_a_fault() {
    let installation = Installation::new();
    let _served = installation.serve();
    let replay = |from: &str, to: &str, account: &[&str]| {
        installation.run(&[&["inbox", "replay", "--from", from, "--to", to], account].concat())
    };
    let (first, second) = ("2026-01-01T00:00:00Z", "2026-01-02T00:00:00Z");
    for account in [&[][..], &["--account", "decta-demo"]] {
        let (code, out, said) = replay(first, second, account);
        assert!(code == Some(0) && out.starts_with("0 notifications are due again"), "{said}");
    }
    for from in [first, second] {
        let (code, out, said) = replay(from, first, &[]);
        assert!(
            said.contains(&format!("--from {}", &from[..19])) && said.contains("is not before"),
            "{said}"
        );
        assert_eq!((code, &*out), (Some(1), ""));
    }
    let (code, out, said) = replay(first, second, &["--account", "nope"]);
    assert!(said.contains("no account `nope`; known are: decta-demo, paymennt-demo, telness-demo"), "{said}");
    assert_eq!((code, &*out), (Some(1), ""));
}

#[tokio::test]
async fn a_customer_is_erased_beside_a_running_gateway_by_id_by_email_and_by_order() {
    let installation = Installation::new();
    let served = installation.serve();
    let shop = installation.shop(installation.create_key());
    let mut orders = Vec::new();
    for (id, email) in
        [(Some("c-1"), "One@example.test"), (None, "two@example.test"), (None, "three@example.test")]
    {
        let mut order = Shop::order(None, "EUR", 1999)["order"].take();
        order["customer"] = json!({"id": id, "email": email, "lastName": "Planted"});
        if id.is_none() {
            order["customer"].as_object_mut().unwrap().remove("id");
        }
        let (status, made) = shop.post("/v1/orders", &order).await;
        assert_eq!(status, 201, "{made}");
        orders.push(made["id"].as_str().unwrap().to_owned());
    }
    let erase = |by: &str, value: &str| installation.run(&["erase", "--merchant", "shop", by, value]);
    let (code, open, _) = erase("--email", "ONE@example.test");
    assert!(
        code == Some(0)
            && open.contains("1 order is not finished: something of it is still open")
            && open.contains(&orders[0]),
        "{open}"
    );
    for order in &orders {
        assert_eq!(shop.post(&format!("/v1/orders/{order}/cancel"), &json!({})).await.0, 200);
    }
    for (by, value, order) in [
        ("--customer", "c-1", &orders[0]),
        ("--email", "TWO@example.test", &orders[1]),
        ("--order", &orders[2], &orders[2]),
    ] {
        let (code, erased, fault) = erase(by, value);
        assert!(code == Some(0) && erased.contains("of 1 order,"), "{by}: {erased}{fault}");
        assert!(erased.lines().any(|line| line == order), "{by}: {erased}");
        // Also from what the gateway holds in memory.
        let shown = shop.get(&format!("/v1/orders/{order}")).await.to_string();
        assert!(!shown.contains("example.test") && !shown.contains("Planted"), "{by}: {shown}");
    }
    assert_eq!(erase("--customer", "nobody").0, Some(1), "nothing was found");
    assert_eq!(erase("--order", "ord_nonsense").0, Some(2));
    drop(served);
    let database = Connection::open(installation.path("paymux.db")).unwrap();
    for order in &orders {
        let sql = "SELECT count(*) FROM personal JOIN changes USING (position) WHERE subject = ?1";
        assert_eq!(database.query_row(sql, [subject(order)], |row| row.get::<_, i64>(0)), Ok(0));
    }
    drop(database);
    assert!(fit(installation.folder.path()));
}

#[test]
fn a_socket_that_a_killed_gateway_left_is_named_and_replaced_by_the_next() {
    let installation = Installation::new();
    drop(installation.serve());
    assert!(installation.path("paymux.db.sock").exists());
    let (code, listed, said) = installation.run(&["keys", "list"]);
    assert_eq!((code, &*listed), (Some(0), ""));
    assert!(said.contains("paymux.db.sock is left from a gateway that was killed"), "{said}");
    let _served = installation.serve();
    assert_eq!(installation.run(&["keys", "list"]).2, "");
}

#[test]
fn a_second_gateway_on_a_database_does_not_listen_whatever_the_path_to_it() {
    let installation = Installation::new();
    let _served = installation.serve();
    let elsewhere = tempfile::tempdir().unwrap();
    let [link, hard_link] = ["link.db", "hard.db"].map(|name| elsewhere.path().join(name));
    std::os::unix::fs::symlink(installation.path("paymux.db"), &link).unwrap();
    std::fs::hard_link(installation.path("paymux.db"), &hard_link).unwrap();
    for (path, named) in [(&link, "paymux.db"), (&hard_link, "hard.db")] {
        let mut second = installation.command(program(), &["serve"]);
        second.env("PAYMUX__STORE__PATH", path);
        second.env("PAYMUX__SERVER__LISTEN", free_address().to_string());
        let (code, out, said) = output(second.env("PAYMUX__SERVER__OPS_LISTEN", free_address().to_string()));
        assert!(code == Some(1) && said.contains(&format!("{named} is in use by another gateway")), "{said}");
        assert!(!out.contains("API") && !said.contains("listening"), "{out}{said}");
    }
    let keys = |path: &Path| {
        let mut command = installation.command(program(), &["keys", "list"]);
        output(command.env("PAYMUX__STORE__PATH", path))
    };
    assert_eq!(keys(&link).0, Some(0), "the running gateway is found by the link too");
    let (code, _, said) = keys(&hard_link);
    assert!(code == Some(1) && said.contains("no gateway answers on"), "{said}");
}

#[test]
fn the_lock_of_a_database_cannot_be_deleted_beside_it() {
    let installation = Installation::new();
    let _served = installation.serve();
    for entry in std::fs::read_dir(installation.folder.path()).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_str().unwrap();
        // Without its log the gateway ends, and without its socket no command reaches it.
        if name.starts_with("paymux.db.") && !name.ends_with(".sock") {
            std::fs::remove_file(path).unwrap();
        }
    }
    let mut second = installation.command(program(), &["serve"]);
    second.env("PAYMUX__SERVER__LISTEN", free_address().to_string());
    let (code, _, said) = output(second.env("PAYMUX__SERVER__OPS_LISTEN", free_address().to_string()));
    assert!(code == Some(1) && said.contains("paymux.db is in use by another gateway"), "{said}");
    let (code, _, said) = installation.run(&["keys", "list"]);
    assert_eq!((code, &*said), (Some(0), ""), "the running gateway lists them");
}

#[test]
fn the_database_of_the_demo_is_refused_by_serve_and_that_of_a_gateway_by_the_demo() {
    let installation = Installation::new();
    drop(Served(started(installation.demo(installation.folder.path()), "Test card").unwrap().0));
    let revoked = installation.run(&["keys", "revoke", "pmx_test_demo"]);
    assert_eq!(revoked.0, Some(0), "{revoked:?}");
    for command in [&["serve"][..], &["check"], &["keys", "create", "--merchant", "shop"]] {
        let (code, out, said) = installation.run(command);
        let refused = said.contains("paymux.db is the database of `paymux demo`");
        assert!(code == Some(1) && out.is_empty() && refused, "{command:?}: {said}");
    }

    let real = tempfile::tempdir().unwrap();
    let database = real.path().join("paymux.db");
    let mut keys = installation.command(program(), &["keys", "create", "--merchant", "shop"]);
    assert!(keys.env("PAYMUX__STORE__PATH", &database).output().unwrap().status.success());
    let (code, _, said) = output(&mut installation.demo(real.path()));
    assert!(code == Some(1) && said.contains("paymux.db is not a demo's database"), "{said}");
    let mut keys = installation.command(program(), &["keys", "list"]);
    let listed = output(keys.env("PAYMUX__STORE__PATH", &database)).1;
    assert_eq!(listed.lines().count(), 1, "the demo's key was not added: {listed}");
}

#[test]
fn a_second_demo_on_a_folder_changes_nothing_in_it() {
    let folder = tempfile::tempdir().unwrap();
    let on_own_sandbox = || {
        let mut command = demo(folder.path());
        command.args(["--sandbox-listen", &free_address().to_string()]);
        command
    };
    let _first = Served(started(on_own_sandbox(), "Test card").unwrap().0);
    let ledger = folder.path().join("sandbox/ledger.jsonl");
    let inode = |path: &Path| std::os::unix::fs::MetadataExt::ino(&std::fs::metadata(path).unwrap());
    let before = inode(&ledger);
    let (code, _, said) = output(&mut on_own_sandbox());
    assert!(code == Some(1) && said.contains("paymux.db is in use by another gateway"), "{said}");
    assert_eq!(inode(&ledger), before, "the ledger was written anew");
    let mut sandbox = program();
    sandbox.args(["sandbox", "--listen", "127.0.0.1:0", "--data-dir"]).arg(folder.path().join("sandbox"));
    let (code, _, said) = output(&mut sandbox);
    assert!(code == Some(1) && said.contains("sandbox/ledger.jsonl is in use by another sandbox"), "{said}");
    assert_eq!(inode(&ledger), before, "the ledger was written anew");
}

#[test]
fn what_cannot_be_used_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let deep = folder.path().join("d".repeat(110)).display().to_string();
    let listen =
        ["--listen", "127.0.0.1:0", "--ops-listen", "127.0.0.1:0", "--sandbox", "http://127.0.0.1:1"];
    for (arguments, named) in [
        ([&["demo", "--data-dir", &deep], &listen[..]].concat(), "a folder with a shorter path"),
        (vec!["sandbox", "--listen", &address], &*address),
        (vec!["sandbox", "--listen", "127.0.0.1:0", "--data-dir", "/proc/nope"], "/proc/nope"),
        (vec!["demo", "--data-dir", "/proc/nope"], "/proc/nope"),
        (vec!["demo", "--listen", "0.0.0.0:0"], "so it listens on loopback only"),
        (vec!["demo", "--ops-listen", "0.0.0.0:0"], "so it listens on loopback only"),
        (vec!["demo", "--sandbox", "http://127.0.0.1:1", "--routing", "/nope.toml"], "/nope.toml"),
    ] {
        let (code, _, said) = output(program().args(&arguments).current_dir(folder.path()));
        assert!(code == Some(1) && said.contains(named), "{arguments:?}: {said}");
    }
}

#[tokio::test]
async fn an_account_that_is_not_configured_any_more_and_has_open_payments_is_named() {
    let installation = Installation::new();
    let served = installation.serve();
    let shop = installation.shop(installation.create_key());
    for (key, account) in [("one", "decta-demo"), ("two", "telness-demo")] {
        let sale = Shop::order(Some(account), "EUR", 1999);
        assert_eq!(shop.send("/v1/checkouts", key, &sale).await.status, 201);
    }
    let (code, _, said) = installation.run(&["check"]);
    assert_eq!((code, &*said), (Some(0), ""), "beside the running gateway");
    drop(served);

    let text =
        std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("config/sandbox.toml")).unwrap();
    let without = &text[..text.find("[accounts.decta-demo]").unwrap()];
    std::fs::write(installation.path("accounts.toml"), without).unwrap();
    let routing = installation.path("routing.toml");
    std::fs::write(&routing, "[[rules]]\nname = \"all\"\naccounts = [\"telness-demo\"]\n").unwrap();
    installation.configure(&installation.path("accounts.toml"), routing.to_str().unwrap());
    let warning = "the account decta-demo is not configured and has 1 unpaid payment";
    let (code, _, said) = installation.run(&["check"]);
    assert!(code == Some(0) && said.contains(warning) && !said.contains("telness"), "{said}");
    let log = installation.path("log");
    let mut serve = installation.command(quiet(env!("CARGO_BIN_EXE_paymux")), &["serve"]);
    serve.stderr(std::fs::File::create(&log).unwrap());
    drop(Served(started(serve, "metrics").unwrap().0));
    assert!(std::fs::read_to_string(&log).unwrap().contains(warning));
}
