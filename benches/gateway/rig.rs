//! What is measured together, and one shot at it.

use std::cell::Cell;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde_json::Value;

use crate::gateway::Gateway;
use crate::generator::{Generator, Work};
use crate::machine::{self, Reading};
use crate::mock::{self, Mock};
use crate::nginx::Nginx;
use crate::report::Report;

/// How much is measured.
pub(crate) struct Plan {
    /// How often each row under load is measured.
    pub(crate) repetitions: usize,
    /// How long before each shot the same is done unmeasured.
    pub(crate) warm: Duration,
    /// A shot.
    pub(crate) shot: Duration,
    /// Checkouts that lie open.
    pub(crate) open: u64,
    /// For how long they are watched.
    pub(crate) idle: Duration,
    /// Orders that are paid for the size on the disk.
    pub(crate) paid: u64,
    /// Commits of the raw probe.
    pub(crate) commits: usize,
}

impl Plan {
    /// The measure of record. A shot and its warming up are over before the first read of a checkout, which is
    /// 6.3 s after it was opened.
    pub(crate) fn full() -> Self {
        let (warm, shot, idle) = (Duration::from_secs(1), Duration::from_secs(5), Duration::from_secs(15));
        Self { repetitions: 3, warm, shot, open: 20_000, idle, paid: 10_000, commits: 1_000 }
    }

    /// Whether it works at all.
    pub(crate) fn quick() -> Self {
        let (second, idle) = (Duration::from_secs(1), Duration::from_secs(3));
        Self { repetitions: 1, warm: second, shot: second, open: 1_000, idle, paid: 500, commits: 100 }
    }
}

/// Everything that runs.
pub(crate) struct Rig {
    pub(crate) plan: Plan,
    pub(crate) mock: Mock,
    pub(crate) nginx: Option<Nginx>,
    pub(crate) generator: Generator,
    /// What the gateway sends to the provider for one checkout; nginx is sent the same.
    new_order: String,
    binary: PathBuf,
    folder: PathBuf,
    gateways: Cell<u32>,
}

/// What is shot at.
pub(crate) struct Target<'a> {
    processes: Vec<u32>,
    database: Option<&'a Path>,
}

/// What one shot found. CPU, commits and bytes are for one request.
pub(crate) struct Shot {
    /// Requests in all, those unmeasured too.
    pub(crate) requests: u64,
    /// Requests a second.
    pub(crate) rate: f64,
    /// Milliseconds that half of the requests took at most.
    pub(crate) p50_ms: f64,
    /// Microseconds on a core.
    pub(crate) cpu_us: f64,
    /// The same by the threads' names.
    pub(crate) threads: Vec<(String, f64)>,
    /// Transactions, where they are known.
    pub(crate) commits: Option<f64>,
    /// Bytes sent to the disk.
    pub(crate) written: f64,
    /// Resident memory afterwards, bytes.
    pub(crate) resident: f64,
    /// Requests that were not answered with 2xx.
    pub(crate) failed: u64,
}

/// How often an account may be read, where that shall not matter.
const MANY_READS: u32 = 1_000;

impl Rig {
    /// Starts what serves all measurements, and says loudly what is not there.
    pub(crate) fn start(binary: PathBuf, folder: PathBuf, plan: Plan, report: &mut Report) -> Self {
        let mock = Mock::start();
        let nginx = Nginx::start(&folder.join("nginx"), &mock.address);
        if nginx.is_none() {
            report.missing("nginx is not installed: every row that is a ratio to it is skipped");
        }
        let generator = Generator::new(&folder);
        if !generator.has_wrk() {
            report.missing(
                "wrk is not installed: a built-in generator sends the requests; it takes more of the machine, \
                 so rates and ratios are too low",
            );
        }
        let gateways = Cell::new(0);
        let mut rig =
            Self { plan, mock, nginx, generator, new_order: String::new(), binary, folder, gateways };
        rig.new_order = rig.seen_by_the_provider();
        rig
    }

    fn seen_by_the_provider(&self) -> String {
        let gateway = self.gateway();
        self.mock.keep();
        let answer = self.generator.text(&gateway.checkout());
        let kept = self.mock.kept();
        let new_order = kept.first().unwrap_or_else(|| panic!("no checkout can be opened: {answer}"));
        String::from_utf8(new_order.to_vec()).unwrap()
    }

    /// A gateway with an empty database.
    pub(crate) fn gateway(&self) -> Gateway {
        self.gateway_that_reads(MANY_READS)
    }

    /// The same, with a budget of reads a second.
    pub(crate) fn gateway_that_reads(&self, reads_per_second: u32) -> Gateway {
        let number = self.gateways.replace(self.gateways.get() + 1);
        let folder = self.folder.join(format!("gateway-{number}"));
        Gateway::start(&self.binary, &folder, &self.mock.address, reads_per_second)
    }

    /// How long a raw commit takes now.
    pub(crate) fn commit(&self) -> Duration {
        machine::probe(&self.folder, self.plan.commits)
    }

    /// Opens checkouts, one after the other, and answers the ids of the orders.
    pub(crate) fn orders(&self, gateway: &Gateway, count: usize) -> Vec<String> {
        let id = |_| {
            let text = self.generator.text(&gateway.checkout());
            let answer: Value = serde_json::from_str(&text).unwrap();
            answer["order"]["id"].as_str().unwrap_or_else(|| panic!("no order: {text}")).to_owned()
        };
        (0..count).map(id).collect()
    }

    /// One unmeasured shot and one that counts.
    pub(crate) fn shoot(&self, target: &Target<'_>, work: &Work, connections: u64) -> Shot {
        let warm = self.generator.shoot(work, connections, self.plan.warm);
        let before = target.read();
        let outcome = self.generator.shoot(work, connections, self.plan.shot);
        let used = target.read().since(&before);
        let each = |all: f64| all / outcome.requests.max(1) as f64;
        Shot {
            requests: warm.requests + outcome.requests,
            rate: outcome.requests as f64 / outcome.time.as_secs_f64(),
            p50_ms: outcome.p50.as_secs_f64() * 1e3,
            cpu_us: each(used.cpu_us()),
            commits: used.commits.map(each),
            written: each(used.written),
            threads: used.cpu.into_iter().map(|(name, us)| (name, each(us))).collect(),
            resident: target.processes.iter().map(|process| machine::resident(*process)).sum(),
            failed: warm.failed + outcome.failed,
        }
    }

    /// A shot at the gateway.
    pub(crate) fn shoot_gateway(&self, gateway: &Gateway, work: &Work, connections: u64) -> Shot {
        self.shoot(&Target::gateway(gateway), work, connections)
    }

    /// A shot at nginx, with what the gateway would send to the provider.
    pub(crate) fn shoot_nginx(&self, reads: bool, connections: u64) -> Option<Shot> {
        let nginx = self.nginx.as_ref()?;
        let target = Target { processes: nginx.workers(), database: None };
        let new_order = self.new_order.as_bytes();
        let (method, path, bodies) = match reads {
            true => ("GET", mock::path_of(new_order), Vec::new()),
            false => {
                ("POST", format!("{}/orders/?response_type=full", mock::BASE), vec![self.new_order.clone()])
            }
        };
        let work = Work { address: nginx.address.clone(), method, paths: vec![path], key: None, bodies };
        Some(self.shoot(&target, &work, connections))
    }
}

impl<'a> Target<'a> {
    /// The gateway and its database.
    pub(crate) fn gateway(gateway: &'a Gateway) -> Self {
        Self { processes: vec![gateway.process()], database: Some(&gateway.database) }
    }

    /// What it has used so far.
    pub(crate) fn read(&self) -> Reading {
        Reading::of(&self.processes, self.database)
    }
}
