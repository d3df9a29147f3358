//! The programs under test, as processes.

use std::io::{BufRead as _, BufReader};
use std::net::{SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::mpsc;
use std::time::Duration;

use tokio::time::Instant;

/// A sandbox in a process of its own.
pub struct Sandbox {
    child: Child,
    pub url: String,
}

/// A gateway in a process of its own.
pub struct Gateway {
    child: Child,
    place: Place,
    pub url: String,
    pub ops_url: String,
}

/// What a gateway is started with, each time: the demo on addresses of its own, with the sandbox elsewhere.
#[derive(Clone)]
struct Place {
    folder: PathBuf,
    sandbox: String,
    routing: PathBuf,
    listen: SocketAddr,
    ops: SocketAddr,
}

/// How the last line of a gateway begins that is ready.
const READY: &str = "Test card";

/// How long a program may take to say where it listens.
const START: Duration = Duration::from_secs(60);

impl Sandbox {
    pub fn start(folder: &Path) -> Self {
        let mut command = quiet(env!("CARGO_BIN_EXE_paymux"));
        command.args(["sandbox", "--listen", "127.0.0.1:0", "--data-dir"]).arg(folder.join("sandbox"));
        let (child, line) = started(command, "sandbox ").expect("the sandbox says where it listens");
        Self { child, url: last_part(&line) }
    }
}

impl Gateway {
    /// The demo with the routing that is shipped.
    pub fn start(folder: &Path, sandbox: &Sandbox) -> Self {
        let place = Place::new(folder, sandbox);
        place.start(place.demo())
    }

    /// As [`Gateway::start`], with a routing of its own.
    pub fn start_routed(folder: &Path, sandbox: &Sandbox, routing: &Path) -> Self {
        let place = Place { routing: routing.to_owned(), ..Place::new(folder, sandbox) };
        place.start(place.demo())
    }

    /// As [`Gateway::start`], with variables in its environment. If it dies of them before it is ready, it is
    /// started again without.
    pub fn start_with(folder: &Path, sandbox: &Sandbox, variables: &[(&str, &str)]) -> Self {
        let place = Place::new(folder, sandbox);
        let mut command = place.demo();
        command.envs(variables.iter().copied());
        place.try_start(command).unwrap_or_else(|| place.start(place.demo()))
    }

    /// As [`Gateway::start`], with its log in a file or pipe.
    pub fn start_logging(folder: &Path, sandbox: &Sandbox, log: impl Into<Stdio>) -> Self {
        let place = Place::new(folder, sandbox);
        let mut command = place.demo();
        command.stderr(log);
        place.start(command)
    }

    /// As [`Gateway::start`], with at most so many files open.
    pub fn start_with_files(folder: &Path, sandbox: &Sandbox, files: usize) -> Self {
        let place = Place::new(folder, sandbox);
        let demo = place.demo();
        let mut command = quiet("sh");
        command.args(["-c", "ulimit -n \"$0\" && exec \"$@\"", &files.to_string()]);
        command.arg(demo.get_program()).args(demo.get_args());
        place.start(command)
    }

    /// `paymux serve` on the sandbox's accounts, with a further setting of its listeners.
    pub fn serve(folder: &Path, sandbox: &str, setting: &str) -> Self {
        let (listen, ops) = (free_address(), free_address());
        let config = Path::new(env!("CARGO_MANIFEST_DIR")).join("config");
        let text = format!(
            "[server]\nlisten = \"{listen}\"\nops_listen = \"{ops}\"\n{setting}\n\
             [store]\npath = {:?}\n[outbound]\nallow_private_addresses = true\n\
             [files]\naccounts = {:?}\nrouting = {:?}\n",
            folder.join("paymux.db"),
            config.join("sandbox.toml"),
            config.join("routing.toml"),
        );
        let settings = folder.join("paymux.toml");
        std::fs::write(&settings, text).unwrap();
        let mut command = quiet(env!("CARGO_BIN_EXE_paymux"));
        command.arg("serve").arg("--config").arg(settings).env("PAYMUX_SANDBOX_URL", sandbox);
        let (child, _) = started(command, "metrics ").expect("the gateway says where it listens");
        let (url, ops_url) = (format!("http://{listen}"), format!("http://{ops}"));
        let routing = config.join("routing.toml");
        let place = Place { folder: folder.to_owned(), sandbox: sandbox.to_owned(), routing, listen, ops };
        Gateway { child, place, url, ops_url }
    }

    /// Sends it a signal.
    pub fn signal(&self, name: &str) {
        let sent = Command::new("kill").args([&format!("-{name}"), &self.child.id().to_string()]).status();
        assert!(sent.unwrap().success(), "{name}");
    }

    /// How it ended, once it has.
    pub async fn ended(&mut self) -> ExitStatus {
        let deadline = Instant::now() + START;
        loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                return status;
            }
            assert!(Instant::now() < deadline, "it still runs");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    /// The same gateway again; `None` if it ends before it is ready.
    pub fn starts_again(&self) -> Option<Self> {
        self.place.try_start(self.place.demo())
    }

    /// Its resident memory, bytes.
    pub fn memory(&self) -> u64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id())).unwrap();
        let row = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
        row.split_whitespace().next().unwrap().parse::<u64>().unwrap() * 1024
    }

    /// How many files and connections it has open.
    pub fn files(&self) -> usize {
        std::fs::read_dir(format!("/proc/{}/fd", self.child.id())).unwrap().count()
    }

    /// `kill -9`.
    pub fn kill(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// The same gateway again, killed first if it still runs. What it was started with besides is gone.
    pub fn restart(self) -> Self {
        let place = self.place.clone();
        drop(self);
        place.start(place.demo())
    }
}

impl Place {
    fn new(folder: &Path, sandbox: &Sandbox) -> Self {
        let (folder, sandbox) = (folder.to_owned(), sandbox.url.clone());
        let routing = PathBuf::from("config/routing.toml");
        Self { folder, sandbox, routing, listen: free_address(), ops: free_address() }
    }

    fn demo(&self) -> Command {
        let mut command = quiet(env!("CARGO_BIN_EXE_paymux"));
        command.args(["demo", "--listen", &self.listen.to_string(), "--ops-listen", &self.ops.to_string()]);
        command.args(["--sandbox", &self.sandbox]).arg("--data-dir").arg(&self.folder);
        command.arg("--routing").arg(&self.routing);
        command
    }

    fn start(&self, command: Command) -> Gateway {
        self.try_start(command).expect("the gateway says where it listens")
    }

    fn try_start(&self, command: Command) -> Option<Gateway> {
        let (child, _) = started(command, READY)?;
        let (url, ops_url) = (format!("http://{}", self.listen), format!("http://{}", self.ops));
        Some(Gateway { child, place: self.clone(), url, ops_url })
    }
}

impl Drop for Sandbox {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Drop for Gateway {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A program of which only the output is read.
pub fn quiet(program: &str) -> Command {
    let mut command = Command::new(program);
    command.stdout(Stdio::piped()).stderr(Stdio::null()).stdin(Stdio::null());
    command
}

/// Starts a program and waits for the line that says it is ready. `None` if it ends or stays silent.
pub fn started(mut command: Command, ready: &str) -> Option<(Child, String)> {
    let mut child = command.spawn().unwrap();
    let lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let (report, reported) = mpsc::channel();
    let ready = ready.to_owned();
    std::thread::spawn(move || {
        for line in lines.map_while(Result::ok) {
            if line.trim_start().starts_with(&ready) && report.send(line).is_err() {
                break;
            }
        }
    });
    match reported.recv_timeout(START) {
        Ok(line) => Some((child, line)),
        Err(_) => {
            let _ = child.kill();
            child.wait().unwrap();
            None
        }
    }
}

fn last_part(line: &str) -> String {
    line.split_whitespace().last().unwrap().to_owned()
}

/// An address that nobody listens at, given once. Its port is below those that the system gives to connections, so that
/// no connection takes it before a program listens there.
pub fn free_address() -> SocketAddr {
    const FIRST: u32 = 10_000;
    const COUNT: u32 = 20_000;
    static GIVEN: AtomicU32 = AtomicU32::new(0);
    // Another run of the tests begins elsewhere.
    let begin = std::process::id().wrapping_mul(97);
    loop {
        let number = begin.wrapping_add(GIVEN.fetch_add(1, Ordering::Relaxed)) % COUNT;
        let address = SocketAddr::from(([127, 0, 0, 1], u16::try_from(FIRST + number).unwrap()));
        if TcpListener::bind(address).is_ok() {
            return address;
        }
    }
}
