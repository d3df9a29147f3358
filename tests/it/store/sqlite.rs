//! What only the SQLite back-end has: its file.

use std::path::Path;
use std::sync::Arc;

use paymux::metrics::Metrics;
use paymux::store::sqlite::{OpenError, Options, Sqlite};
use paymux::store::{StoreError, Write};
use rusqlite::Connection;
use tempfile::TempDir;
use tokio::task::JoinSet;

use super::files::whole_life;
use super::fixtures::OrderFactory;
use super::{TestStore, commit, write};

fn open(folder: &Path, threads: bool) -> Result<TestStore, OpenError> {
    let options = Options { threads, ..Options::at(folder.join("paymux.db")) };
    Ok(Arc::new(Sqlite::open(&options, Arc::new(Metrics::new()))?))
}

/// A look behind the store's back.
fn behind(folder: &Path) -> Connection {
    Connection::open(folder.join("paymux.db")).unwrap()
}

/// An empty store in a folder of its own.
pub fn fresh(threads: bool) -> (TestStore, TempDir) {
    let folder = tempfile::tempdir().unwrap();
    (open(folder.path(), threads).unwrap(), folder)
}

#[tokio::test]
async fn everything_is_there_again_after_reopening() {
    let (store, folder) = fresh(true);
    let factory = OrderFactory::new();
    let order = whole_life(&store, &factory, Some("A-1")).await.pop().unwrap();
    let (events, due) = (store.events(order.id(), 0, 100).await, store.oldest_jobs().await);
    drop(store);
    for threads in [false, true] {
        let store = open(folder.path(), threads).unwrap();
        assert_eq!(store.order(order.id()).await, Ok(Some(order.clone())));
        assert_eq!(store.events(order.id(), 0, 100).await, events);
        assert_eq!(store.oldest_jobs().await, due);
    }
}

#[tokio::test]
async fn a_change_whose_caller_went_away_is_written_all_the_same() {
    let (store, folder) = fresh(true);
    let (order, placed) = OrderFactory::new().place(None);
    let mut commit = Box::pin(store.commit(placed));
    let _ = futures_util::poll!(&mut commit);
    drop(commit);
    drop(store);
    let store = open(folder.path(), true).unwrap();
    assert_eq!(store.order(order.id()).await, Ok(Some(order)));
}

#[tokio::test]
async fn a_second_gateway_on_the_same_file_is_refused() {
    let (store, folder) = fresh(true);
    let refused = open(folder.path(), false).err().unwrap();
    assert!(matches!(refused, OpenError::InUse(_)));
    assert!(refused.to_string().ends_with("paymux.db is in use by another gateway"), "{refused}");
    drop(store);
    assert!(open(folder.path(), false).is_ok());
}

#[tokio::test]
async fn migrations_run_once_and_a_newer_database_is_refused() {
    let (store, folder) = fresh(true);
    drop(store);
    drop(open(folder.path(), true).unwrap());
    let steps = || -> u32 {
        behind(folder.path()).query_row("SELECT count(*) FROM migrations", [], |row| row.get(0)).unwrap()
    };
    let known = steps();
    behind(folder.path()).execute("INSERT INTO migrations VALUES (?1, 'later')", [known + 1]).unwrap();
    let refused = open(folder.path(), true).err().unwrap();
    assert!(matches!(refused, OpenError::Newer { .. }));
    assert!(refused.to_string().starts_with("the database was made by a newer release"), "{refused}");
    assert_eq!(steps(), known + 1);
}

#[tokio::test]
async fn a_file_without_its_personal_data_can_be_read_and_changed() {
    let (store, folder) = fresh(true);
    let factory = OrderFactory::new();
    let (mut order, placed) = factory.place(None);
    commit(&store, placed).await;
    commit(&store, factory.checkout(&mut order, "main")).await;
    behind(folder.path()).execute("DELETE FROM sealed", []).unwrap();
    let mut erased = store.order(order.id()).await.unwrap().unwrap();
    assert_eq!(erased, order);
    assert!(erased.header.personal.value().is_none());
    assert!(erased.sessions[0].request.value().is_none());
    commit(&store, factory.begun(&mut erased, "R-1")).await;
    assert_eq!(store.order(order.id()).await, Ok(Some(erased)));
}

#[tokio::test]
async fn a_body_that_was_changed_is_no_personal_data() {
    let (store, folder) = fresh(true);
    let (order, placed) = OrderFactory::new().place(None);
    commit(&store, placed).await;
    behind(folder.path()).execute("UPDATE sealed SET body = replace(body, 'Ada', 'Eve')", []).unwrap();
    let read = store.order(order.id()).await.unwrap().unwrap();
    assert!(read.header.personal.value().is_none());
}

#[tokio::test]
async fn what_makes_no_sense_is_called_corrupt() {
    let (store, folder) = fresh(true);
    let factory = OrderFactory::new();
    let order = whole_life(&store, &factory, None).await.pop().unwrap();
    behind(folder.path())
        .execute_batch("UPDATE refunds SET body = '{'; UPDATE events SET text = '[]'")
        .unwrap();
    assert!(matches!(store.order(order.id()).await, Err(StoreError::Corrupt(_))));
    assert!(matches!(store.events(order.id(), 0, 1).await, Err(StoreError::Corrupt(_))));
}

#[tokio::test]
async fn a_full_queue_is_said_to_be_busy_and_what_waits_in_it_is_written() {
    const ALL: usize = 10;
    let folder = tempfile::tempdir().unwrap();
    let metrics = Arc::new(Metrics::new());
    // The writer takes one at a time, and so has at most one while the file is held.
    let options = Options { queue: 1, batch_max: 1, ..Options::at(folder.path().join("paymux.db")) };
    let store: TestStore = Arc::new(Sqlite::open(&options, metrics.clone()).unwrap());
    let held = behind(folder.path());
    held.execute_batch("BEGIN IMMEDIATE").unwrap();
    let mut commits = JoinSet::new();
    for _ in 0..ALL {
        let store = store.clone();
        let setting = Write::Setting { name: "a", value: "b".into() };
        commits.spawn(async move { write(&store, setting).await });
    }
    // One may be with the writer and one in the queue.
    for _ in 0..ALL - 2 {
        assert_eq!(commits.join_next().await.unwrap().unwrap(), Err(StoreError::Busy));
    }
    held.execute_batch("COMMIT").unwrap();
    let rest = commits.join_all().await;
    assert!(rest.contains(&Ok(())), "{rest:?}");
    let refused = ALL - rest.iter().filter(|outcome| outcome.is_ok()).count();
    assert!(metrics.render().contains(&format!("paymux_store_queue_full_total {refused}")));
    assert_eq!(store.setting("a").await, Ok(Some("b".into())));
}
