//! nginx in front of the mock provider: what a reverse proxy costs that does nothing but pass on.

use std::fs;
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use crate::machine;

/// A running nginx.
pub(crate) struct Nginx {
    /// Host and port.
    pub(crate) address: String,
    folder: PathBuf,
    child: Child,
}

impl Nginx {
    /// Starts it in a folder of its own; `None` if it is not installed.
    pub(crate) fn start(folder: &Path, upstream: &str) -> Option<Self> {
        if !crate::generator::is_installed("nginx", "-v") {
            return None;
        }
        fs::create_dir_all(folder).unwrap();
        let address = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().to_string();
        fs::write(folder.join("nginx.conf"), config(&address, upstream)).unwrap();
        let mut command = command(folder);
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        let nginx = Self { address, folder: folder.to_owned(), child: command.spawn().unwrap() };
        let deadline = Instant::now() + Duration::from_secs(10);
        while TcpStream::connect(&nginx.address).is_err() {
            assert!(Instant::now() < deadline, "nginx does not listen on {}", nginx.address);
            sleep(Duration::from_millis(20));
        }
        Some(nginx)
    }

    /// The processes that serve.
    pub(crate) fn workers(&self) -> Vec<u32> {
        machine::children(self.child.id())
    }
}

impl Drop for Nginx {
    fn drop(&mut self) {
        // Killing it would leave its workers behind.
        let mut stop = command(&self.folder);
        let _ = stop.args(["-s", "stop"]).stderr(Stdio::null()).status();
        let _ = self.child.wait();
    }
}

fn command(folder: &Path) -> Command {
    let mut command = Command::new("nginx");
    command.arg("-p").arg(folder).args(["-c", "nginx.conf", "-e", "error.log"]);
    command
}

fn config(address: &str, upstream: &str) -> String {
    format!(
        "daemon off;
worker_processes 2;
pid nginx.pid;
error_log error.log;
events {{ worker_connections 4096; }}
http {{
    access_log off;
    keepalive_requests 100000000;
    client_body_temp_path body;
    proxy_temp_path proxy;
    fastcgi_temp_path fastcgi;
    uwsgi_temp_path uwsgi;
    scgi_temp_path scgi;
    upstream provider {{
        server {upstream};
        keepalive 512;
        keepalive_requests 100000000;
    }}
    server {{
        listen {address} backlog=1024;
        location / {{
            proxy_pass http://provider;
            proxy_http_version 1.1;
            proxy_set_header Connection \"\";
        }}
    }}
}}
"
    )
}
