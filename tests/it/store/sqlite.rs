//! What only SQLite has: its file, its threads, and whatever somebody does to it behind the store's back.

use std::fs;
use std::path::Path;
use std::sync::Arc;

use futures_util::future::join_all;
use paymux::audit;
use paymux::domain::{AnySubject, Hash, Lane, OrderAggregate, Subject as _, Urgency};
use paymux::metrics::Metrics;
use paymux::store::sqlite::{LastChange, OpenError, Options, Sqlite};
use paymux::store::{DeliveryStream, Due, IdempotencyRow, InboxRow, JobSubject, StoreError, Wake, Write};
use port::{Env as _, NotificationId, NotificationTarget};
use rusqlite::Connection;
use tempfile::TempDir;
use tokio::task::JoinSet;
use tokio::time::Instant;

use super::fixtures::{CUSTOMER, MERCHANT, Shop};
use super::records::{completed, engine};
use super::rows::key;
use super::subjects::{assert_reads_back, long_history, one_of_each};
use super::{Db, commit, write};
use crate::api::gateway::PATIENCE;

fn open(folder: &Path, threads: bool) -> Result<Db, OpenError> {
    let options = Options { threads, ..Options::at(folder.join("paymux.db")) };
    Ok(Arc::new(Sqlite::open(&options, Arc::new(Metrics::new()))?))
}

/// Opens it again. A process that another test starts shares all locks until it runs its program, so it may take a moment.
fn reopened(folder: &Path, threads: bool) -> Db {
    let started_at = Instant::now();
    loop {
        match open(folder, threads) {
            Err(OpenError::InUse(_)) if started_at.elapsed() < PATIENCE => std::thread::yield_now(),
            opened => return opened.unwrap(),
        }
    }
}

/// A look behind the store's back.
fn behind(folder: &Path) -> Connection {
    Connection::open(folder.join("paymux.db")).unwrap()
}

/// An empty store in a folder of its own.
pub fn fresh(threads: bool) -> (Db, TempDir) {
    let folder = tempfile::tempdir().unwrap();
    (open(folder.path(), threads).unwrap(), folder)
}

#[tokio::test]
async fn everything_is_there_again_after_reopening() {
    let (store, folder) = fresh(true);
    let shop = Shop::new();
    let mut subjects = one_of_each(&store, &shop).await;
    let order = long_history(&store, &shop).await;
    subjects.push(AnySubject::Order(order.clone()));
    let (row, now) = (key("k", &order), shop.now());
    let (lane, due) = (Lane::Account("reserve".into()), Due { at: now, urgency: Urgency::Notified });
    let (subject, kind) = (order.uuid(), JobSubject::Order);
    let AnySubject::WebhookEndpoint(endpoint) = &subjects[3] else { panic!("an endpoint") };
    let (endpoint, stream) =
        (endpoint.id, DeliveryStream { endpoint: endpoint.id, order: order.id(), replay: false });
    let writes = [
        Write::IdempotencyKey(row.clone()),
        Write::Wake(Wake { subject, kind, lane: lane.clone(), due, attempt: Some(3) }),
        Write::Enqueue { stream, first: 1, last: None, at: now },
    ];
    commit(&store, paymux::store::Change::plain("rows", writes.into())).await;
    let lease = std::time::Duration::from_secs(60);
    let jobs = store.claim(&lane, Urgency::Notified, now, lease, 9).await.unwrap();
    let deliveries = store.claim_deliveries(endpoint, now, lease, 9).await.unwrap();
    assert_eq!((jobs.len(), deliveries.len()), (1, 1));
    drop(store);
    for threads in [false, true] {
        let store = reopened(folder.path(), threads);
        for subject in &subjects {
            match subject {
                AnySubject::Order(subject) => assert_reads_back(&store, subject).await,
                AnySubject::ProfileSession(subject) => assert_reads_back(&store, subject).await,
                AnySubject::Profile(subject) => assert_reads_back(&store, subject).await,
                AnySubject::WebhookEndpoint(subject) => assert_reads_back(&store, subject).await,
            }
        }
        assert_eq!(store.idempotency(MERCHANT, "k").await, Ok(Some(row.clone())));
        // Whoever had leased them is gone.
        assert_eq!(store.claim(&lane, Urgency::Notified, now, lease, 9).await, Ok(jobs.clone()));
        assert_eq!(store.claim_deliveries(endpoint, now, lease, 9).await, Ok(deliveries.clone()));
    }
}

#[tokio::test]
async fn a_read_that_meets_a_commit_keeps_nothing_old_at_hand() {
    let (mut store, folder) = fresh(true);
    let shop = Shop::new();
    let (mut order, created) = shop.order(None);
    commit(&store, created).await;
    commit(&store, shop.checkout(&mut order, "main")).await;
    for _ in 0..30 {
        drop(store);
        // Nothing is at hand now, so reads go to the rows while the change is written.
        store = reopened(folder.path(), true);
        let change = shop.fail_over(&mut order, "main");
        let reads = join_all((0..8).map(|_| store.order(order.id())));
        let (written, reads) = futures_util::future::join(store.commit(change), reads).await;
        assert_eq!(written, Ok(()));
        assert!(reads.iter().all(|read| read.as_ref().is_ok_and(Option::is_some)));
        assert_reads_back(&store, &order).await;
    }
}

#[tokio::test]
async fn a_change_whose_caller_went_away_is_written_all_the_same() {
    let (store, folder) = fresh(true);
    let (order, created) = Shop::new().order(None);
    let mut commit = Box::pin(store.commit(created));
    let _ = futures_util::poll!(&mut commit);
    drop(commit);
    drop(store);
    let store = reopened(folder.path(), true);
    assert_reads_back(&store, &order).await;
}

#[tokio::test]
async fn a_database_that_was_closed_is_one_file() {
    for threads in [false, true] {
        let (store, folder) = fresh(threads);
        let (order, created) = Shop::new().order(None);
        commit(&store, created).await;
        assert_reads_back(&store, &order).await;
        drop(store);
        let copy = tempfile::tempdir().unwrap();
        std::fs::copy(folder.path().join("paymux.db"), copy.path().join("paymux.db")).unwrap();
        assert_reads_back(&open(copy.path(), threads).unwrap(), &order).await;
    }
}

#[tokio::test]
async fn a_second_gateway_on_the_same_file_is_refused() {
    let (store, folder) = fresh(true);
    let refused = open(folder.path(), false).err().unwrap();
    assert!(matches!(refused, OpenError::InUse(_)));
    assert!(refused.to_string().ends_with("paymux.db is in use by another gateway"), "{refused}");
    let elsewhere = tempfile::tempdir().unwrap();
    std::os::unix::fs::symlink(folder.path().join("paymux.db"), elsewhere.path().join("paymux.db")).unwrap();
    assert!(matches!(open(elsewhere.path(), false), Err(OpenError::InUse(_))), "by a link to the file");
    let linked = tempfile::tempdir().unwrap();
    std::fs::hard_link(folder.path().join("paymux.db"), linked.path().join("paymux.db")).unwrap();
    assert!(matches!(open(linked.path(), false), Err(OpenError::InUse(_))), "by another name of the file");
    drop(store);
    reopened(folder.path(), false);
}

/// Whether SQLite's own locks on a database are held: without them another program could delete its log.
#[cfg(target_os = "linux")]
fn is_locked_by_sqlite(folder: &Path) -> bool {
    use std::os::unix::fs::MetadataExt as _;
    let inode = std::fs::metadata(folder.join("paymux.db")).unwrap().ino();
    let locks = std::fs::read_to_string("/proc/locks").unwrap();
    let of_inode = |line: &&str| line.split_whitespace().any(|part| part.ends_with(&format!(":{inode}")));
    locks.lines().filter(of_inode).any(|line| line.contains("POSIX"))
}

#[cfg(target_os = "linux")]
#[tokio::test]
async fn who_is_refused_leaves_the_locks_of_sqlite_as_they_are() {
    let (store, folder) = fresh(true);
    commit(&store, Shop::new().order(None).1).await;
    assert!(is_locked_by_sqlite(folder.path()));
    assert!(matches!(open(folder.path(), true), Err(OpenError::InUse(_))));
    assert!(is_locked_by_sqlite(folder.path()), "the locks went with the lock of the refused one");
    drop(store);
    assert!(!is_locked_by_sqlite(folder.path()));
}

#[tokio::test]
async fn schema_steps_run_once_and_a_newer_database_is_refused() {
    let (store, folder) = fresh(true);
    drop(store);
    drop(reopened(folder.path(), true));
    let steps = || -> u32 {
        behind(folder.path()).query_row("SELECT count(*) FROM schema_steps", [], |row| row.get(0)).unwrap()
    };
    let known = steps();
    behind(folder.path()).execute("INSERT INTO schema_steps VALUES (?1, 'later')", [known + 1]).unwrap();
    let refused = open(folder.path(), true).err().unwrap();
    assert!(matches!(refused, OpenError::Newer { .. }));
    assert!(refused.to_string().starts_with("the database was made by a newer release"), "{refused}");
    assert_eq!(steps(), known + 1);
}

#[tokio::test]
async fn a_database_from_before_the_first_release_is_refused_and_left_as_it_is() {
    let folder = tempfile::tempdir().unwrap();
    let old = "CREATE TABLE migrations (number INTEGER PRIMARY KEY, name TEXT NOT NULL);
        INSERT INTO migrations VALUES (1, 'start');";
    behind(folder.path()).execute_batch(old).unwrap();
    for _ in 0..2 {
        let refused = open(folder.path(), true).err().unwrap();
        assert!(matches!(refused, OpenError::Prerelease));
        assert!(refused.to_string().contains("from before the first release"), "{refused}");
    }
    let tables: u32 = behind(folder.path())
        .query_row("SELECT count(*) FROM sqlite_schema WHERE type = 'table'", [], |row| row.get(0))
        .unwrap();
    assert_eq!(tables, 1);
}

#[tokio::test]
async fn a_subject_without_its_personal_data_can_be_read_and_changed() {
    let (store, folder) = fresh(true);
    let shop = Shop::new();
    let (mut order, created) = shop.order(None);
    commit(&store, created).await;
    commit(&store, shop.checkout(&mut order, "main")).await;
    drop(store);
    // The one value is gone, the other is not what its digest says.
    let edits = "DELETE FROM personal WHERE position > 1;
        UPDATE personal SET body = replace(body, 'Ada', 'Eve');";
    behind(folder.path()).execute_batch(edits).unwrap();
    let store = reopened(folder.path(), true);
    let mut read = store.order(order.id()).await.unwrap().unwrap();
    assert_eq!(read, order);
    assert!(read.header.content.personal.value().is_none());
    assert!(read.sessions[0].request.value().is_none());
    commit(&store, shop.created(&mut read, "R-1")).await;
    assert_reads_back(&store, &read).await;
}

/// Whether the file of a database or its log has a text anywhere, be it in a page that is free.
fn has_bytes(folder: &Path, text: &str) -> bool {
    ["paymux.db", "paymux.db-wal"].into_iter().any(|name| {
        let bytes = fs::read(folder.join(name)).unwrap_or_default();
        bytes.windows(text.len()).any(|part| part == text.as_bytes())
    })
}

#[tokio::test]
async fn what_was_erased_is_in_no_byte_of_the_database_or_its_log() {
    let (store, folder) = fresh(true);
    let shop = Arc::new(Shop::new());
    for number in 0..40 {
        let reference = format!("R-{number}");
        completed(&store, &shop, &reference).await;
        let target = NotificationTarget { reference: Some(reference.clone()), ..Default::default() };
        let row = InboxRow {
            id: NotificationId::from_uuid(shop.uuid()),
            account: "main".into(),
            identity: reference,
            headers: "{}".into(),
            body: b"from ada@example.test".repeat(number),
            targets: serde_json::to_string(&[target]).unwrap(),
            received_at: shop.now(),
        };
        write(&store, Write::Notification(row)).await.unwrap();
    }
    let texts = [CUSTOMER, r#""firstName":"Ada""#, "ada@example.test"];
    for text in texts {
        assert!(has_bytes(folder.path(), text), "{text}");
    }
    let everything = audit::ErasureTarget::Customer(CUSTOMER.to_owned());
    let erased = audit::erase(&engine(&store, &shop), MERCHANT, &everything, None).await.unwrap();
    assert_eq!(erased.orders.len(), 40);
    for text in texts {
        assert!(!has_bytes(folder.path(), text), "{text}");
    }
}

#[tokio::test]
async fn what_was_erased_while_somebody_read_leaves_the_log_with_a_later_change() {
    let (store, folder) = fresh(true);
    let shop = Arc::new(Shop::new());
    let order = completed(&store, &shop, "R-1").await;
    let reader = behind(folder.path());
    reader.execute_batch("BEGIN; SELECT count(*) FROM personal").unwrap();
    let target = audit::ErasureTarget::Order(order.id());
    audit::erase(&engine(&store, &shop), MERCHANT, &target, None).await.unwrap();
    assert!(has_bytes(folder.path(), CUSTOMER), "it is still read");
    reader.execute_batch("ROLLBACK").unwrap();
    write(&store, Write::Probe).await.unwrap();
    assert!(!has_bytes(folder.path(), CUSTOMER));
}

/// A copy of a database in another folder, in which rows are edited.
fn alter_copy(folder: &Path, copy: &Path, edit: &str) {
    let path = copy.join("paymux.db");
    behind(folder).execute("VACUUM INTO ?1", [path.to_str()]).unwrap();
    behind(copy).execute_batch(edit).unwrap();
}

/// One fault of each kind that can be made in the rows, and what the check of the records says of it.
const FAULTS: [(&str, &str); 37] = [
    ("UPDATE changes SET record = replace(record, 'Tea', 'Tee')", "the chain breaks at"),
    ("UPDATE changes SET record = '[]' WHERE sequence = 1", "cannot be read"),
    ("UPDATE changes SET hash = randomblob(32) WHERE position = 2", "the chain breaks at event 2"),
    ("DELETE FROM changes WHERE position = 2", "the chain breaks at"),
    ("DELETE FROM changes WHERE position = (SELECT max(position) FROM changes)", "checkpoint 1"),
    (
        "DELETE FROM changes WHERE subject IN (SELECT id FROM subjects WHERE kind = 4);
         DELETE FROM subjects WHERE kind = 4",
        "checkpoint 1",
    ),
    ("DELETE FROM subjects WHERE kind = 4", "those of the subjects"),
    (
        "DELETE FROM checkpoints;
         DELETE FROM personal WHERE position IN (SELECT position FROM changes JOIN subjects ON id = subject WHERE kind = 4);
         DELETE FROM changes WHERE subject IN (SELECT id FROM subjects WHERE kind = 4);
         DELETE FROM subjects WHERE kind = 4",
        "the newest is at position",
    ),
    ("UPDATE checkpoints SET hash = randomblob(32)", "checkpoint 1"),
    ("UPDATE checkpoints SET number = 2", "checkpoint 2"),
    ("UPDATE checkpoints SET changes = changes + 1", "checkpoint 1"),
    ("UPDATE subjects SET state = 'FAILED' WHERE kind = 1", "its row does not match"),
    ("UPDATE subjects SET created_at = 1 WHERE kind = 2", "its row does not match"),
    (
        "INSERT INTO names (name) VALUES ('stranger');
         UPDATE subjects SET merchant = (SELECT id FROM names WHERE name = 'stranger') WHERE kind = 4",
        "its row does not match",
    ),
    ("UPDATE snapshots SET body = replace(body, 'Tea', 'Tee')", "snapshot does not match"),
    ("DELETE FROM order_references", "the lookup row OrderReference"),
    ("DELETE FROM provider_references", "the lookup row ProviderReference"),
    ("DELETE FROM profile_references", "the lookup row ProfileReference"),
    ("UPDATE payments SET status = 'FAILED'", "the lookup row Payment"),
    ("UPDATE payments SET open = 1 - open", "the lookup row Payment"),
    ("DELETE FROM jobs WHERE lane = 0", "it has work due in General"),
    ("DELETE FROM jobs WHERE lane <> 0", "it has work due in Account"),
    ("UPDATE attention SET open = 1", "the lookup row Attention"),
    ("UPDATE order_references SET subject = randomblob(16)", "the lookup row OrderReference"),
    (
        "INSERT INTO used_profile_sessions SELECT randomblob(16), id FROM subjects WHERE kind = 2",
        "lookup rows: ",
    ),
    ("UPDATE changes SET at = at + 1 WHERE position = 3", "the columns of change"),
    ("UPDATE changes SET events = events + 1 WHERE position = 3", "the columns of change"),
    ("UPDATE changes SET public = public + 1 WHERE position = 3", "the columns of change"),
    ("UPDATE changes SET public_before = public_before + 1 WHERE position > 2", "the columns of change"),
    ("UPDATE changes SET merchant = merchant + 1 WHERE position = 3", "the columns of change"),
    ("DELETE FROM personal WHERE position = 1", "personal values that are missing and were not erased: 1"),
    ("UPDATE personal SET body = replace(body, 'Ada', 'Eve')", "personal values that are missing and were not erased: 1"),
    (
        "INSERT INTO personal SELECT position, '{}' FROM changes LEFT JOIN personal USING (position)
         WHERE body IS NULL LIMIT 1",
        "not its own, or were erased: 1",
    ),
    ("INSERT INTO personal VALUES (4000, '{}')", "personal values of changes that are not stored: 1"),
    ("UPDATE idempotency SET sequence = 99", "the idempotency key \"k\" names no change"),
    ("UPDATE idempotency SET at = at + 1", "the idempotency key \"k\" names no change"),
    ("UPDATE idempotency SET merchant = merchant + 1", "the idempotency key \"k\" names no change"),
];

#[tokio::test]
async fn whatever_was_done_to_the_rows_is_found() {
    let (store, folder) = fresh(true);
    let shop = Shop::new();
    long_history(&store, &shop).await;
    one_of_each(&store, &shop).await;
    let (order, created) = shop.order(None);
    let row = IdempotencyRow { at: created.subject.as_ref().unwrap().at, ..key("k", &order) };
    commit(&store, created.with([Write::IdempotencyKey(row)])).await;
    audit::checkpoint(&*store, shop.now()).await.unwrap();
    let report = audit::verify(&*store, shop.now(), |_| ()).await.unwrap();
    assert!(report.is_fine(), "{report:?}");
    drop(store);
    for (edit, wanted) in FAULTS {
        let copy = tempfile::tempdir().unwrap();
        alter_copy(folder.path(), copy.path(), edit);
        let store = open(copy.path(), true).unwrap();
        let report = audit::verify(&*store, shop.now(), |_| ()).await.unwrap();
        assert!(report.faults.iter().any(|fault| fault.contains(wanted)), "{edit}: {report:?}");
    }
}

#[tokio::test]
async fn an_end_of_the_records_is_the_one_that_was_written_or_it_is_missed() {
    let (store, _folder) = fresh(true);
    let shop = Shop::new();
    commit(&store, shop.order(None).1).await;
    let (position, hash) = store.last_change().await.unwrap().unwrap();
    let elsewhere = tempfile::tempdir().unwrap();
    let check_with = async |last: LastChange| {
        fs::write(elsewhere.path().join("copy.head"), serde_json::to_string(&last).unwrap()).unwrap();
        audit::check_last_change(&*store, &elsewhere.path().join("copy")).await.unwrap()
    };
    assert_eq!(check_with(LastChange { position, hash }).await, audit::LastChangeCheck::Fits);
    for (last, says) in [
        (LastChange { position, hash: Hash::default() }, "is another one than was written"),
        (LastChange { position: position + 1, hash }, "the newest changes are missing"),
    ] {
        let audit::LastChangeCheck::Missing(missing) = check_with(last).await else { panic!("{last:?}") };
        assert!(missing.contains(says), "{missing}");
    }
}

#[tokio::test]
async fn a_change_that_was_written_anew_with_its_hash_is_found_by_the_checkpoint() {
    let (store, folder) = fresh(true);
    let shop = Shop::new();
    let (order, created) = shop.order(None);
    commit(&store, created).await;
    audit::checkpoint(&*store, shop.now()).await.unwrap();
    drop(store);
    let text: String =
        behind(folder.path()).query_row("SELECT record FROM changes", [], |row| row.get(0)).unwrap();
    let forged = text.replace("Tea", "Tee");
    let hash = paymux::domain::Hash::default().chain(forged.as_bytes());
    behind(folder.path()).execute("UPDATE changes SET record = ?1, hash = ?2", (forged, hash.0)).unwrap();
    let store = reopened(folder.path(), true);
    let read = store.order(order.id()).await.unwrap().unwrap();
    assert_eq!(read.header.content.items[0].title, "Tee");
    let report = audit::verify(&*store, shop.now(), |_| ()).await.unwrap();
    assert_eq!(report.faults, ["checkpoint 1: changes before it are missing or were altered"]);
}

#[tokio::test]
async fn what_makes_no_sense_is_called_corrupt() {
    let edits = [
        "UPDATE changes SET record = '[]'",
        "UPDATE changes SET record = replace(record, '\"v\":1', '\"v\":2')",
        "UPDATE changes SET record = replace(record, 'order.created', 'order.invented')",
        "UPDATE changes SET record = replace(record, 'Tea', 'Tee')",
        "UPDATE snapshots SET body = '{'",
        "UPDATE snapshots SET sequence = sequence - 1",
    ];
    let (store, folder) = fresh(true);
    let order = long_history(&store, &Shop::new()).await;
    drop(store);
    for edit in edits {
        let copy = tempfile::tempdir().unwrap();
        alter_copy(folder.path(), copy.path(), edit);
        let store = open(copy.path(), true).unwrap();
        let first = store.load_at::<OrderAggregate>(order.uuid(), 1).await;
        let last = store.order(order.id()).await;
        assert!([first, last].iter().any(|read| matches!(read, Err(StoreError::Corrupt(_)))), "{edit}");
    }
}

#[tokio::test]
async fn a_full_queue_is_said_to_be_busy_and_what_waits_in_it_is_written() {
    const ALL: usize = 10;
    let folder = tempfile::tempdir().unwrap();
    let metrics = Arc::new(Metrics::new());
    // The writer takes one at a time, and so has at most one while the file is held.
    let options = Options { queue: 1, batch_max: 1, ..Options::at(folder.path().join("paymux.db")) };
    let store: Db = Arc::new(Sqlite::open(&options, metrics.clone()).unwrap());
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
