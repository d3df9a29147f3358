//! The gateway under test: the real program with a configuration, a database and an API key of its own.

use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc;
use std::{fs, thread};

use serde_json::json;

use crate::generator::Work;
use crate::mock;

/// What every order comes to, in euros.
pub(crate) const TOTAL: &str = "25.00";

/// The provider account, and the last part of the address of its notifications.
const ACCOUNT: &str = "bench";
const NOTIFY_KEY: &str = "bench-notification-key";

/// A running gateway.
pub(crate) struct Gateway {
    /// Host and port.
    pub(crate) address: String,
    /// The SQLite file.
    pub(crate) database: PathBuf,
    key: String,
    child: Child,
}

impl Gateway {
    /// Starts a program in a folder of its own, with the mock at `provider`.
    pub(crate) fn start(binary: &Path, folder: &Path, provider: &str, reads_per_second: u32) -> Self {
        fs::create_dir_all(folder).unwrap();
        let database = folder.join("paymux.db");
        let config = folder.join("paymux.toml");
        fs::write(&config, settings(&database)).unwrap();
        fs::write(folder.join("accounts.toml"), accounts(provider, reads_per_second)).unwrap();
        fs::write(
            folder.join("routing.toml"),
            format!("[[rules]]\nname = \"all\"\naccounts = [\"{ACCOUNT}\"]\n"),
        )
        .unwrap();
        let key = api_key(binary, &config);
        let mut command = Command::new(binary);
        command.args(["serve", "--config"]).arg(&config);
        let log = fs::File::create(folder.join("log")).unwrap();
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(log);
        let mut child = command.spawn().unwrap();
        let address = listening(&mut child, folder);
        Self { address, database, key, child }
    }

    /// The process that serves.
    pub(crate) fn process(&self) -> u32 {
        self.child.id()
    }

    /// Opens a checkout for a new order: the order of the README's first minute.
    pub(crate) fn checkout(&self) -> Work {
        let body = json!({
            "order": {
                "currency": "EUR",
                "customer": {"email": "ann@example.test", "firstName": "Ann", "lastName": "Berg"},
                "billingAddress": {"name": "Ann Berg", "line1": "Brivibas 1", "city": "Riga", "country": "LV"},
                "items": [{"title": "Mug", "quantity": 2, "unitPrice": 1250, "taxRate": "21"}],
                "taxIncluded": true,
            },
            "checkout": {
                "approach": "HOSTED",
                "returnUrls": {
                    "success": "http://localhost:3000/thanks",
                    "inProgress": "http://localhost:3000/wait",
                    "failure": "http://localhost:3000/sorry",
                },
            },
        });
        self.work("POST", vec!["/v1/checkouts".to_owned()], vec![body.to_string()])
    }

    /// Reads orders by their ids.
    pub(crate) fn read(&self, ids: &[String]) -> Work {
        self.work("GET", ids.iter().map(|id| format!("/v1/orders/{id}")).collect(), Vec::new())
    }

    /// Notifies of orders, as the provider would.
    pub(crate) fn notify(&self, bodies: Vec<String>) -> Work {
        let work = self.work("POST", vec![format!("/webhooks/{ACCOUNT}/{NOTIFY_KEY}")], bodies);
        Work { key: None, ..work }
    }

    fn work(&self, method: &'static str, paths: Vec<String>, bodies: Vec<String>) -> Work {
        Work { address: self.address.clone(), method, paths, key: Some(self.key.clone()), bodies }
    }
}

impl Drop for Gateway {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Every default, but for limits that would stop one client from sending all it can.
fn settings(database: &Path) -> String {
    format!(
        "[server]
listen = \"127.0.0.1:0\"
ops_listen = \"127.0.0.1:0\"
[store]
path = {database:?}
[limits]
requests_per_second = 100000
requests_burst = 100000
notifications_per_second = 10000
[outbound]
allow_private_addresses = true
"
    )
}

fn accounts(provider: &str, reads_per_second: u32) -> String {
    format!(
        "[accounts.{ACCOUNT}]
provider = \"decta\"
base_url = \"http://{provider}{}\"
test = true
sandbox = true
secret_key = \"bench-secret-key\"
notify_key = \"{NOTIFY_KEY}\"
reads_per_second = {reads_per_second}
",
        mock::BASE
    )
}

/// Makes an API key: the first line of what the program says.
fn api_key(binary: &Path, config: &Path) -> String {
    let mut command = Command::new(binary);
    command.args(["keys", "--config"]).arg(config).args(["create", "--merchant", "bench", "--test"]);
    let output = command.output().unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "no API key: {}", String::from_utf8_lossy(&output.stderr));
    said.lines().next().unwrap().to_owned()
}

/// Waits until the program says where it listens, and goes on taking what it says.
fn listening(child: &mut Child, folder: &Path) -> String {
    let lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let (sender, said) = mpsc::channel();
    thread::spawn(move || lines.map_while(Result::ok).for_each(|line| drop(sender.send(line))));
    let line = said.iter().find(|line| line.starts_with("API "));
    let log = || fs::read_to_string(folder.join("log")).unwrap_or_default();
    let line = line.unwrap_or_else(|| panic!("the gateway does not start: {}", log()));
    line.split("http://").nth(1).unwrap().trim().to_owned()
}
