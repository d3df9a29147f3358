//! The whole gateway below HTTP in one thread, with time that leaps and chance from a seed.
//!
//! A run is a day of merchants, customers, portals and operators against the imitated providers, with faults,
//! outages, lost and forged notifications, and crashes of the gateway; then quiet until no job is
//! left; then the sandbox's ledger and the gateway's own rules are held against what the gateway believes.
//! The same seed gives the same run.
//!
//! ```text
//! cargo test --test simulation -- --seeds 2000 --start 1     so many seeds from the first one on
//! cargo test --test simulation -- --seed 17 --trace          one seed, twice, printed
//! cargo test --test simulation -- --minutes 8                more seeds for as long as this
//! cargo test --test simulation -- --race refund-refund       only this race
//! cargo test --test simulation -- --races --seeds 1000       every race over so many seeds
//! ```

mod answers;
mod cart;
mod checks;
mod clock;
mod conditions;
mod crowd;
mod customer;
mod day;
mod faulty_store;
mod host;
mod ledger;
mod listener;
mod merchant;
mod options;
mod portal;
mod post;
mod races;
mod random;
mod shop;
mod trace;
mod wire;
mod world;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::process::ExitCode;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;

use day::{Outcome, Plan};
use options::Options;
use races::RACES;
use tokio::time::Instant;
use world::held;

fn main() -> ExitCode {
    let options = match Options::read(std::env::args().skip(1)) {
        Ok(Some(options)) => options,
        Ok(None) => return ExitCode::SUCCESS,
        Err(fault) => {
            eprintln!("{fault}");
            return ExitCode::from(2);
        }
    };
    let failed = match options.seed {
        Some(seed) => repeat(&options, seed),
        None if options.races => {
            RACES.iter().map(|race| run_all(&options.with_seeds_for(race), Some(race))).sum()
        }
        None => run_all(&options, options.race),
    };
    if failed == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// Runs one seed twice: the second run shows whether it can be reproduced.
fn repeat(options: &Options, seed: u64) -> u64 {
    let plan = Plan { seed, race: options.race, shown: options.trace };
    let first = run(plan);
    let second = run(Plan { shown: false, ..plan });
    report(plan, &first);
    if first.trace != second.trace {
        println!("seed {seed}: two runs differ: {} and {}", first.trace, second.trace);
        return 1;
    }
    println!("seed {seed}: trace {}, {} faults", first.trace, first.faults.len());
    u64::from(!first.faults.is_empty())
}

/// Runs every seed, on as many threads as wanted; each run stays in one.
fn run_all(options: &Options, race: Option<&'static str>) -> u64 {
    let (next, failed) = (AtomicU64::new(options.start), AtomicU64::new(0));
    let printing = Mutex::new(());
    let last = options.start + options.seeds;
    let until = Instant::now() + options.at_least;
    thread::scope(|scope| {
        for _ in 0..options.jobs {
            scope.spawn(|| {
                loop {
                    let seed = next.fetch_add(1, Ordering::Relaxed);
                    if seed >= last && Instant::now() >= until {
                        return;
                    }
                    let plan = Plan { seed, race, shown: false };
                    let outcome = run(plan);
                    if options.trace {
                        println!("seed {seed}: trace {}", outcome.trace);
                    }
                    if !outcome.faults.is_empty() {
                        failed.fetch_add(1, Ordering::Relaxed);
                        let _one_at_a_time = held(&printing);
                        report(plan, &outcome);
                    }
                }
            });
        }
    });
    let (failed, ran) = (failed.into_inner(), next.into_inner() - options.start - options.jobs as u64);
    let what = race.map(|race| format!(" of {race}")).unwrap_or_default();
    println!("simulation: {ran} seeds{what} from {}, {failed} failed", options.start);
    failed
}

fn run(plan: Plan) -> Outcome {
    catch_unwind(AssertUnwindSafe(|| day::run(plan))).unwrap_or_else(|panic| {
        let why = panic.downcast_ref::<String>().map(String::as_str);
        let why = why.or_else(|| panic.downcast_ref::<&str>().copied()).unwrap_or("a panic");
        Outcome { trace: String::new(), faults: vec![format!("the run panicked: {why}")] }
    })
}

fn report(plan: Plan, outcome: &Outcome) {
    for fault in &outcome.faults {
        println!("seed {}: {fault}", plan.seed);
    }
    if !outcome.faults.is_empty() {
        let race = plan.race.map(|race| format!(" --race {race}")).unwrap_or_default();
        println!("  again: cargo test --test simulation -- --seed {}{race} --trace", plan.seed);
    }
}
