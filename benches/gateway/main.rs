//! What the gateway costs, measured from outside on the real program: `cargo bench --bench gateway`.
//!
//! It starts a mock provider, an nginx in front of it, and `paymux serve` on SQLite. wrk drives nginx and the gateway
//! in turns, so that a busy machine slows both. What counts are ratios of one run; `docs/performance.md` has the goals
//! and the rules by which a run is void.
//!
//! | file | what it holds |
//! |---|---|
//! | `main.rs` | options, and the order in which things are measured |
//! | `load.rs` | rows under load: rate, CPU, p50, beside nginx |
//! | `rest.rs` | rows at rest: idle open checkouts, bytes on the disk |
//! | `report.rs` | the table, the goals, and what makes a run void |
//! | `rig.rs` | what is measured together, and one shot at it |
//! | `generator.rs` | wrk, and the small generator for where there is none |
//! | `gateway.rs`, `nginx.rs`, `mock.rs` | the programs that are started |
//! | `machine.rs` | what Linux shows in `/proc` about processes, and the probe of the disk |
#![allow(clippy::unwrap_used, reason = "a measurement that fails says so by panicking")]
#![expect(clippy::disallowed_methods, reason = "a measurement reads the clock")]

mod gateway;
mod generator;
mod load;
mod machine;
mod mock;
mod nginx;
mod report;
mod rest;
mod rig;

use std::path::PathBuf;
use std::time::{Duration, Instant};

use clap::Parser;

use report::Report;
use rig::{Plan, Rig};

/// Measures `paymux serve` beside nginx.
#[derive(Parser)]
#[command(name = "cargo bench --bench gateway --")]
struct Args {
    /// Short shots and few orders: shows in less than a minute that everything works. Not a measure of record.
    #[arg(long)]
    quick: bool,
    /// What to measure; more than one with commas between them.
    #[arg(long, value_delimiter = ',', default_values = ["load", "open", "disk"])]
    only: Vec<Part>,
    /// The program to measure, instead of the one that was just built.
    #[arg(long, value_name = "FILE", default_value = env!("CARGO_BIN_EXE_paymux"), value_parser = program)]
    binary: PathBuf,
    /// The folder below which databases are made: it decides which disk is measured.
    #[arg(long, value_name = "FOLDER", default_value = env!("CARGO_TARGET_TMPDIR"), value_parser = folder)]
    dir: PathBuf,
    /// Given by `cargo bench`.
    #[arg(long, hide = true)]
    bench: bool,
}

/// A part of the measurement.
#[derive(Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum Part {
    /// Checkouts and reads under load, beside nginx.
    Load,
    /// Idle open checkouts, and one checkout beside them.
    Open,
    /// Bytes on the disk for an order with one paid checkout.
    Disk,
}

fn program(path: &str) -> Result<PathBuf, String> {
    let path = PathBuf::from(path);
    if path.is_file() {
        Ok(path)
    } else {
        Err("there is no such program; build it, or name another".to_owned())
    }
}

fn folder(path: &str) -> Result<PathBuf, String> {
    let path = PathBuf::from(path);
    if path.is_dir() {
        Ok(path)
    } else {
        Err("there is no such folder; create it, or name another".to_owned())
    }
}

fn main() {
    // `cargo test --benches` runs this too: a test run must not start a load.
    if !std::env::args().any(|arg| arg == "--bench") {
        println!("nothing measured: use `cargo bench --bench gateway`");
        return;
    }
    let args = Args::parse();
    let started_at = Instant::now();
    let _ = rustls::crypto::ring::default_provider().install_default();
    let folder = tempfile::tempdir_in(&args.dir).unwrap();
    let plan = if args.quick { Plan::quick() } else { Plan::full() };
    let mut report = Report::new(args.quick);
    let rig = Rig::start(args.binary, folder.path().to_owned(), plan, &mut report);

    report.others(machine::others(Duration::from_secs(1)));
    let commit_before = rig.commit();
    if args.only.contains(&Part::Load) {
        load::measure(&rig, &mut report);
    }
    if args.only.contains(&Part::Open) {
        rest::open(&rig, &mut report);
    }
    if args.only.contains(&Part::Disk) {
        rest::disk(&rig, &mut report);
    }
    report.others(machine::others(Duration::from_secs(1)));
    report.commits(commit_before, rig.commit());
    report.print(started_at.elapsed());
}
