//! The programs under test, as processes.

use std::io::{BufRead as _, BufReader};
use std::net::{SocketAddr, TcpListener};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc;
use std::time::Duration;

/// A sandbox in a process of its own.
pub struct Sandbox {
    child: Child,
    pub url: String,
}

/// A gateway in a process of its own.
pub struct Gateway {
    child: Child,
    pub url: String,
    pub ops_url: String,
}

/// How the last line of a gateway begins that is ready.
const READY: &str = "Test card";

/// How long a program may take to say where it listens.
const START: Duration = Duration::from_secs(60);

impl Sandbox {
    pub fn start(folder: &Path) -> Self {
        let mut command = program();
        command.args(["sandbox", "--listen", "127.0.0.1:0", "--data-dir"]).arg(folder.join("sandbox"));
        let (child, line) = started(command, "sandbox ").expect("the sandbox says where it listens");
        Self { child, url: last_word(&line) }
    }
}

impl Gateway {
    /// The demo on addresses of its own, with the sandbox elsewhere.
    pub fn start(folder: &Path, sandbox: &Sandbox, routing: &Path) -> Self {
        Self::start_at(folder, sandbox, routing, free_address(), free_address(), Stdio::null())
    }

    /// As [`Gateway::start`], with variables in its environment. If it dies of them before it is ready, it is
    /// started again without.
    pub fn start_with(folder: &Path, sandbox: &Sandbox, routing: &Path, variables: &[(&str, &str)]) -> Self {
        let (listen, ops) = (free_address(), free_address());
        let mut command = demo(folder, sandbox, routing, listen, ops);
        command.envs(variables.iter().copied());
        let again = || demo(folder, sandbox, routing, listen, ops);
        let (child, _) = started(command, READY).or_else(|| started(again(), READY)).unwrap();
        Self { child, url: format!("http://{listen}"), ops_url: format!("http://{ops}") }
    }

    /// As [`Gateway::start`], with its log in a file.
    pub fn start_logging(folder: &Path, sandbox: &Sandbox, routing: &Path, log: &Path) -> Self {
        let log = std::fs::File::create(log).unwrap();
        Self::start_at(folder, sandbox, routing, free_address(), free_address(), log.into())
    }

    /// As [`Gateway::start`], with at most so many files open.
    pub fn start_with_files(folder: &Path, sandbox: &Sandbox, routing: &Path, files: usize) -> Self {
        let (listen, ops) = (free_address(), free_address());
        let demo = demo(folder, sandbox, routing, listen, ops);
        let mut command = Command::new("sh");
        command.args(["-c", "ulimit -n \"$0\" && exec \"$@\"", &files.to_string()]);
        command.arg(demo.get_program()).args(demo.get_args());
        command.stdout(Stdio::piped()).stderr(Stdio::null()).stdin(Stdio::null());
        Self::started(command, listen, ops)
    }

    /// Its resident memory, bytes.
    pub fn memory(&self) -> u64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id())).unwrap();
        let row = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
        row.split_whitespace().next().unwrap().parse::<u64>().unwrap() * 1024
    }

    /// The same gateway again, after it was killed.
    pub fn restart(self, folder: &Path, sandbox: &Sandbox, routing: &Path) -> Self {
        let (listen, ops) = (address(&self.url), address(&self.ops_url));
        drop(self);
        Self::start_at(folder, sandbox, routing, listen, ops, Stdio::null())
    }

    fn start_at(
        folder: &Path,
        sandbox: &Sandbox,
        routing: &Path,
        listen: SocketAddr,
        ops: SocketAddr,
        log: Stdio,
    ) -> Self {
        let mut command = demo(folder, sandbox, routing, listen, ops);
        command.stderr(log);
        Self::started(command, listen, ops)
    }

    fn started(command: Command, listen: SocketAddr, ops: SocketAddr) -> Self {
        let (child, _) = started(command, READY).expect("the gateway says where it listens");
        Self { child, url: format!("http://{listen}"), ops_url: format!("http://{ops}") }
    }

    /// `kill -9`.
    pub fn kill(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
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

fn demo(folder: &Path, sandbox: &Sandbox, routing: &Path, listen: SocketAddr, ops: SocketAddr) -> Command {
    let mut command = program();
    command.arg("demo").args(["--listen", &listen.to_string()]).args(["--ops-listen", &ops.to_string()]);
    command.args(["--sandbox", &sandbox.url]).arg("--data-dir").arg(folder).arg("--routing").arg(routing);
    command
}

fn program() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_paymux"));
    command.stdout(Stdio::piped()).stderr(Stdio::null()).stdin(Stdio::null());
    command
}

/// Starts a program and waits for the line that says it is ready. `None` if it ends or stays silent.
fn started(mut command: Command, ready: &str) -> Option<(Child, String)> {
    let mut child = command.spawn().unwrap();
    let lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let (tell, told) = mpsc::channel();
    let ready = ready.to_owned();
    std::thread::spawn(move || {
        for line in lines.map_while(Result::ok) {
            if line.trim_start().starts_with(&ready) && tell.send(line).is_err() {
                break;
            }
        }
    });
    match told.recv_timeout(START) {
        Ok(line) => Some((child, line)),
        Err(_) => {
            let _ = child.kill();
            child.wait().unwrap();
            None
        }
    }
}

fn last_word(line: &str) -> String {
    line.split_whitespace().last().unwrap().to_owned()
}

fn address(url: &str) -> SocketAddr {
    url.trim_start_matches("http://").parse().unwrap()
}

fn free_address() -> SocketAddr {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap()
}
