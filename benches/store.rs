//! What group commit is worth: the same checkouts with it and with one commit for each change, in one run.
//!
//! Each order is created beforehand; measured are the two durable changes of its checkout, the intent before the
//! provider is called and what the provider answered. Absolute figures depend on the disk, the ratio on the code.
#![allow(clippy::unwrap_used, reason = "a measurement that fails says so by panicking")]
#![expect(clippy::disallowed_methods, reason = "a measurement reads the clock")]

#[allow(dead_code, unreachable_pub, reason = "shared with the tests")]
#[path = "../tests/it/store/fixtures.rs"]
mod fixtures;

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use fixtures::{MERCHANT, Shop};
use futures_util::future::join_all;
use paymux::domain::Subject as _;
use paymux::metrics::Metrics;
use paymux::store::sqlite::{Options, Sqlite};
use paymux::store::{Change, IdempotencyRow, Store, Write};
use port::{Env as _, OrderId};

const COMMITTERS: usize = 64;
const ORDERS: usize = COMMITTERS * 60;
/// Fewer where each waits for the disk twice.
const ORDERS_ONE_BY_ONE: usize = COMMITTERS * 8;
const ROUNDS: usize = 5;

/// The goal for the ratio at 64 committers.
const GOAL: f64 = 4.0;

fn open(folder: &Path, batch_max: usize) -> Arc<dyn Store> {
    let options = Options { batch_max, ..Options::at(folder.join("paymux.db")) };
    Arc::new(Sqlite::open(&options, Arc::new(Metrics::new())).unwrap())
}

/// Creates orders and makes the two changes of each one's checkout.
async fn checkouts(store: &dyn Store, shop: &Shop, orders: usize) -> Vec<(OrderId, [Change; 2])> {
    let (orders, created): (Vec<_>, Vec<_>) =
        (0..orders).map(|number| shop.order(Some(&format!("order {number}")))).unzip();
    for some in created.chunks(COMMITTERS) {
        for outcome in join_all(some.iter().map(|change| store.commit(change.clone()))).await {
            outcome.unwrap();
        }
    }
    let checkout = |mut order| {
        let intent = shop.checkout(&mut order, "main");
        let key = Write::IdempotencyKey(IdempotencyRow {
            merchant: MERCHANT.into(),
            key: format!("{}", shop.uuid()),
            fingerprint: order.head.hash.0,
            subject: order.uuid(),
            sequence: order.head.sequence,
            at: shop.now(),
            replaces: None,
        });
        let reference = format!("R-{}", order.id());
        (order.id(), [intent.with([key]), shop.created(&mut order, &reference)])
    };
    orders.into_iter().map(checkout).collect()
}

/// How long the checkouts take with so many committers, each one order at a time.
async fn commit_all(
    store: &Arc<dyn Store>,
    orders: Vec<(OrderId, [Change; 2])>,
    committers: usize,
) -> Duration {
    let mut shares: Vec<Vec<[Change; 2]>> = vec![Vec::new(); committers];
    for (place, (_, changes)) in orders.into_iter().enumerate() {
        shares[place % committers].push(changes);
    }
    let started = Instant::now();
    let tasks = shares.into_iter().map(|share| {
        let store = store.clone();
        tokio::spawn(async move {
            for change in share.into_iter().flatten() {
                store.commit(change).await.unwrap();
            }
        })
    });
    join_all(tasks).await.into_iter().for_each(Result::unwrap);
    started.elapsed()
}

/// Commits a second on a fresh database.
async fn commits_per_second(batch_max: usize, committers: usize, orders: usize) -> f64 {
    let folder = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    let store = open(folder.path(), batch_max);
    let orders = checkouts(&*store, &Shop::new(), orders).await;
    let commits = orders.len() as f64 * 2.0;
    commits / commit_all(&store, orders, committers).await.as_secs_f64()
}

/// Reads of whole orders a second that nothing holds at hand, by so many readers at once.
async fn reads_per_second(readers: usize) -> f64 {
    let folder = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    let store = open(folder.path(), 256);
    let orders = checkouts(&*store, &Shop::new(), ORDERS).await;
    let ids: Vec<OrderId> = orders.iter().map(|(id, _)| *id).collect();
    commit_all(&store, orders, COMMITTERS).await;
    drop(store);
    let store = open(folder.path(), 256);
    let started = Instant::now();
    let tasks = (0..readers).map(|reader| {
        let (store, share) =
            (store.clone(), ids.iter().copied().skip(reader).step_by(readers).collect::<Vec<_>>());
        tokio::spawn(async move {
            for id in share {
                store.order(id).await.unwrap().unwrap();
            }
        })
    });
    join_all(tasks).await.into_iter().for_each(Result::unwrap);
    ids.len() as f64 / started.elapsed().as_secs_f64()
}

fn median(mut figures: Vec<f64>) -> f64 {
    figures.sort_by(f64::total_cmp);
    figures[figures.len() / 2]
}

#[tokio::main(flavor = "multi_thread", worker_threads = 2)]
async fn main() {
    let (mut grouped, mut single) = (Vec::new(), Vec::new());
    for round in 1..=ROUNDS {
        grouped.push(commits_per_second(256, COMMITTERS, ORDERS).await);
        single.push(commits_per_second(1, COMMITTERS, ORDERS_ONE_BY_ONE).await);
        println!(
            "round {round}: {:8.0} commits/s grouped, {:8.0} one by one",
            grouped[round - 1],
            single[round - 1]
        );
    }
    let (grouped, single) = (median(grouped), median(single));
    println!(
        "{COMMITTERS} committers: {grouped:.0} commits/s ({:.0} checkouts/s) grouped, {single:.0} one by one",
        grouped / 2.0
    );
    println!("group commit is worth {:.1}x (goal {GOAL:.0}x)", grouped / single);
    println!("1 committer: {:.0} commits/s", commits_per_second(256, 1, ORDERS_ONE_BY_ONE).await);
    for readers in [1, COMMITTERS] {
        println!("{readers} readers: {:.0} orders/s", reads_per_second(readers).await);
    }
}
