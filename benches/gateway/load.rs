//! Rows under load: checkouts and reads, the gateway beside nginx.
//!
//! Every shot at checkouts has a gateway with an empty database, so that none works beside what the one before it has
//! left open.

use std::time::Duration;

use crate::report::{Report, Unit, median};
use crate::rig::{Rig, Shot};

/// How long the slow provider takes for a new order.
const SLOW: Duration = Duration::from_millis(20);

/// Orders that are read in turns.
const READ: usize = 100;

/// One shot of each row, in turns.
struct Repetition {
    commit: Duration,
    nginx: Option<Shot>,
    at_64: Shot,
    at_256: Shot,
    at_1: Shot,
    slow_nginx: Option<Shot>,
    slow: Shot,
    read_nginx: Option<Shot>,
    read: Shot,
}

/// Measures all rows and puts them into the report.
pub(crate) fn measure(rig: &Rig, report: &mut Report) {
    let mut all = Vec::new();
    for number in 1..=rig.plan.repetitions {
        println!("repetition {number} of {}", rig.plan.repetitions);
        all.push(repetition(rig, report));
    }
    check(&all, report);
    checkouts(&all, report);
    reads(&all, report);
    alone(&all, report);
    memory(&all, report);
}

fn repetition(rig: &Rig, report: &mut Report) -> Repetition {
    let commit = rig.commit();
    let nginx = rig.shoot_nginx(false, 64);
    let (at_64, at_256, at_1) = (checkout(rig, 64), checkout(rig, 256), checkout(rig, 1));
    rig.mock.delay(SLOW);
    let (slow_nginx, slow) = (rig.shoot_nginx(false, 64), checkout(rig, 64));
    rig.mock.delay(Duration::ZERO);
    let read_nginx = rig.shoot_nginx(true, 64);
    let gateway = rig.gateway();
    let orders = gateway.read(&rig.orders(&gateway, READ));
    let read = rig.shoot_gateway(&gateway, &orders, 64);
    let repetition = Repetition { commit, nginx, at_64, at_256, at_1, slow_nginx, slow, read_nginx, read };
    repetition.shots().into_iter().for_each(|(what, shot)| report.shot(what, shot));
    repetition
}

/// A shot at checkouts.
fn checkout(rig: &Rig, connections: u64) -> Shot {
    let gateway = rig.gateway();
    rig.shoot_gateway(&gateway, &gateway.checkout(), connections)
}

impl Repetition {
    fn shots(&self) -> Vec<(&'static str, &Shot)> {
        let all = [
            ("checkout, 64 connections: nginx", self.nginx.as_ref()),
            ("checkout, 64 connections", Some(&self.at_64)),
            ("checkout, 256 connections", Some(&self.at_256)),
            ("checkout, 1 connection", Some(&self.at_1)),
            ("checkout, 20 ms provider: nginx", self.slow_nginx.as_ref()),
            ("checkout, 20 ms provider", Some(&self.slow)),
            ("read of an order: nginx", self.read_nginx.as_ref()),
            ("read of an order", Some(&self.read)),
        ];
        all.into_iter().filter_map(|(what, shot)| Some((what, shot?))).collect()
    }
}

/// What makes the run void: answers that were not 2xx, and an nginx that is not steady.
fn check(all: &[Repetition], report: &mut Report) {
    for (what, shot) in all.iter().flat_map(Repetition::shots) {
        report.failed(what, shot.failed);
    }
    for what in
        ["checkout, 64 connections: nginx", "checkout, 20 ms provider: nginx", "read of an order: nginx"]
    {
        let shots = all.iter().flat_map(Repetition::shots).filter(|(name, _)| *name == what);
        report.spread(what, &shots.map(|(_, shot)| shot.rate).collect::<Vec<_>>());
    }
}

/// The middle one of a figure of each repetition; `None` if any lacks it.
fn each(all: &[Repetition], figure: impl Fn(&Repetition) -> Option<f64>) -> Option<f64> {
    all.iter().map(figure).collect::<Option<Vec<_>>>().map(median)
}

/// The gateway's figure over nginx's.
fn ratio(gateway: &Shot, nginx: &Option<Shot>, figure: impl Fn(&Shot) -> f64) -> Option<f64> {
    nginx.as_ref().map(|nginx| figure(gateway) / figure(nginx))
}

fn checkouts(all: &[Repetition], report: &mut Report) {
    let rate = each(all, |one| ratio(&one.at_64, &one.nginx, |shot| shot.rate));
    report.at_least("checkout, 64 connections, of nginx's rate", rate, Unit::Times, 0.15, 0.30);
    let cpu = each(all, |one| ratio(&one.at_64, &one.nginx, |shot| shot.cpu_us));
    report.at_most("the same, of nginx's CPU", cpu, Unit::Times, 12.0, 5.0);
    let writer = each(all, |one| Some(writer(&one.at_64)));
    report.at_most("the same, CPU of the writer for one", writer, Unit::Micros, 80.0, 45.0);
    report.plain("the same, CPU for one", each(all, |one| Some(one.at_64.cpu_us)), Unit::Micros);
    report.plain("the same, commits for one", each(all, |one| one.at_64.commits), Unit::Plain);
    report.plain("the same, sent to the disk for one", each(all, |one| Some(one.at_64.written)), Unit::Bytes);
    let rate = each(all, |one| ratio(&one.slow, &one.slow_nginx, |shot| shot.rate));
    report.at_least("checkout, 20 ms provider, of nginx's rate", rate, Unit::Times, 0.90, 0.92);
    let p50 = each(all, |one| Some(one.slow.p50_ms - one.slow_nginx.as_ref()?.p50_ms));
    report.at_most("the same, p50 above nginx's", p50, Unit::Millis, 3.0, 2.0);
    let more = each(all, |one| Some(one.at_256.rate / one.at_64.rate));
    report.at_least("checkout, 256 connections, of the rate at 64", more, Unit::Times, 0.95, 1.0);
}

fn reads(all: &[Repetition], report: &mut Report) {
    let rate = each(all, |one| ratio(&one.read, &one.read_nginx, |shot| shot.rate));
    report.at_least("read of an order, of nginx's rate", rate, Unit::Times, 0.6, 0.8);
    let cpu = each(all, |one| ratio(&one.read, &one.read_nginx, |shot| shot.cpu_us));
    report.at_most("the same, of nginx's CPU", cpu, Unit::Times, 3.0, 3.0);
    report.plain("the same, CPU for one", each(all, |one| Some(one.read.cpu_us)), Unit::Micros);
}

fn alone(all: &[Repetition], report: &mut Report) {
    report.plain("checkout, 1 connection, p50", each(all, |one| Some(one.at_1.p50_ms)), Unit::Millis);
    let of_commits = |one: &Repetition| one.at_1.p50_ms / (2e3 * one.commit.as_secs_f64());
    report.plain("the same, of two raw commits", each(all, |one| Some(of_commits(one))), Unit::Times);
    report.plain("the same, CPU for one", each(all, |one| Some(one.at_1.cpu_us)), Unit::Micros);
}

fn memory(all: &[Repetition], report: &mut Report) {
    let resident = |shot: &Shot| shot.resident;
    report.plain(
        "resident memory after 64 connections",
        each(all, |one| Some(one.at_64.resident)),
        Unit::Bytes,
    );
    let times = each(all, |one| ratio(&one.at_64, &one.nginx, resident));
    report.plain("the same, of nginx's workers", times, Unit::Times);
    report.plain(
        "resident memory after 256 connections",
        each(all, |one| Some(one.at_256.resident)),
        Unit::Bytes,
    );
}

/// Microseconds of the thread that writes the database.
fn writer(shot: &Shot) -> f64 {
    shot.threads.iter().filter(|(name, _)| name.contains("writer")).map(|(_, us)| us).sum()
}
