//! Rows at rest: idle open checkouts, one checkout beside them, and bytes on the disk.

use std::thread::sleep;
use std::time::{Duration, Instant};

use crate::gateway::Gateway;
use crate::generator::Until;
use crate::machine;
use crate::report::{Report, Unit, median};
use crate::rig::{Rig, Target};

/// How often the account of the open checkouts may be read, a second.
const READS: u32 = 5;

/// By when the first read of every open checkout has been due, with a margin.
const ALL_DUE: Duration = Duration::from_secs(9);

/// Connections that fill a database.
const FILLING: u64 = 64;

/// How long a gateway may take until it has nothing left to do.
const PATIENCE: Duration = Duration::from_secs(180);

/// Measures what idle open checkouts cost, and what one more costs beside them.
pub(crate) fn open(rig: &Rig, report: &mut Report) {
    let full = rig.gateway_that_reads(READS);
    let nothing = size_of_nothing(rig);
    fill(rig, &full, rig.plan.open, report);
    sleep(ALL_DUE);
    idle(rig, &full, report);
    let more = beside(rig, &full, report);
    let database = full.database.clone();
    drop(full);
    let each = (machine::size(&database) - nothing) / (rig.plan.open + more) as f64;
    report.plain("disk for an order with one open checkout", Some(each), Unit::Bytes);
}

fn fill(rig: &Rig, gateway: &Gateway, count: u64, report: &mut Report) {
    println!("opening {count} checkouts");
    let outcome = rig.generator.send(&gateway.checkout(), FILLING, Until::Count(count));
    report.failed("opening checkouts to leave them", outcome.failed);
}

fn idle(rig: &Rig, gateway: &Gateway, report: &mut Report) {
    let (target, reads) = (Target::gateway(gateway), rig.mock.reads());
    let (before, started_at) = (target.read(), Instant::now());
    sleep(rig.plan.idle);
    let used = target.read().since(&before);
    let seconds = started_at.elapsed().as_secs_f64();
    let reads = (rig.mock.reads() - reads) as f64 / seconds;
    let open = rig.plan.open;
    let share = used.cpu_us() / 1e6 / seconds;
    report.at_most(&format!("{open} open checkouts, of a core"), Some(share), Unit::Share, 0.01, 0.01);
    report.plain("the same, reads of the provider a second", Some(reads), Unit::Plain);
    // One to take it on and one for what came of it.
    let commits = used.commits.map(|commits| commits / seconds / reads);
    report.at_most("the same, commits for one read", commits, Unit::Plain, 2.0, 1.0);
    report.plain("the same, sent to the disk a second", Some(used.written / seconds), Unit::Bytes);
    report
        .threads("idle", &used.cpu.iter().map(|(name, us)| (name.clone(), us / seconds)).collect::<Vec<_>>());
}

/// One connection at the full database and at an empty one, in turns. Answers how many more are in the full one.
fn beside(rig: &Rig, full: &Gateway, report: &mut Report) -> u64 {
    let (mut cpu, mut p50, mut more) = (Vec::new(), Vec::new(), 0);
    for _ in 0..rig.plan.repetitions {
        let empty = &rig.gateway_that_reads(READS);
        let [empty, full] = [empty, full].map(|gateway| rig.shoot_gateway(gateway, &gateway.checkout(), 1));
        report.shot("one connection, empty database", &empty);
        report.shot("one connection, beside open checkouts", &full);
        report.failed("one connection beside open checkouts", full.failed + empty.failed);
        cpu.push(full.cpu_us / empty.cpu_us);
        p50.push(full.p50_ms / empty.p50_ms);
        more += full.requests;
    }
    let what = format!("checkout beside {} open ones, CPU of one beside none", rig.plan.open);
    report.at_most(&what, Some(median(cpu)), Unit::Times, 1.1, 1.0);
    report.at_most("the same, p50", Some(median(p50)), Unit::Times, 1.1, 1.0);
    more
}

/// Measures the bytes of an order with one paid checkout.
pub(crate) fn disk(rig: &Rig, report: &mut Report) {
    let nothing = size_of_nothing(rig);
    let gateway = rig.gateway();
    rig.mock.keep();
    fill(rig, &gateway, rig.plan.paid, report);
    let orders = rig.mock.kept();
    rig.mock.paid(true);
    println!("paying for them");
    let remarks = orders.iter().map(|order| crate::mock::notification(order)).collect::<Vec<_>>();
    let count = remarks.len() as u64;
    let outcome = rig.generator.send(&gateway.notify(remarks), FILLING, Until::Count(count));
    report.failed("notifications", outcome.failed);
    let quiet = until_quiet(&gateway);
    report.failed("orders that should be paid", if quiet { not_paid(rig, &gateway) } else { 1 });
    rig.mock.paid(false);
    let database = gateway.database.clone();
    drop(gateway);
    let each = (machine::size(&database) - nothing) / rig.plan.paid as f64;
    report.at_most("disk for an order with one paid checkout", Some(each), Unit::Bytes, 6_000.0, 4_000.0);
}

/// The size of a database without orders.
fn size_of_nothing(rig: &Rig) -> f64 {
    let gateway = rig.gateway();
    let database = gateway.database.clone();
    drop(gateway);
    machine::size(&database)
}

/// Waits until nothing is written any more; whether that came to be.
fn until_quiet(gateway: &Gateway) -> bool {
    const LITTLE: u64 = 100_000;
    let deadline = Instant::now() + PATIENCE;
    while Instant::now() < deadline {
        let before = machine::written(gateway.process());
        sleep(Duration::from_secs(2));
        if machine::written(gateway.process()) - before < LITTLE {
            return true;
        }
    }
    false
}

/// How many of the newest orders are not paid.
fn not_paid(rig: &Rig, gateway: &Gateway) -> u64 {
    let mut list = gateway.read(&[]);
    list.paths = vec!["/v1/orders?limit=100".to_owned()];
    let text = rig.generator.text(&list);
    let answer: serde_json::Value = serde_json::from_str(&text).unwrap();
    let orders = answer["data"].as_array().unwrap_or_else(|| panic!("no list of orders: {text}"));
    orders.iter().filter(|order| order["state"] != "PROCESSING").count() as u64
}
