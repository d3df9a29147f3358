//! The writer: all waiting changes are written in one transaction, committed once, then answered.
//!
//! Nearly always every change of a batch can be written, so they are written one after the other. If one fails, the
//! transaction is rolled back and the batch is written again with a savepoint for each change, so that one failure does
//! not affect the others. A repeat, whose idempotency key is in use, is simply skipped: it has written nothing.

use std::io::Write as _;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, sync_channel};
use std::thread;
use std::time::{Duration, Instant};

use port::Uuid;
use rusqlite::{Connection, TransactionBehavior};
use tokio::sync::{broadcast, oneshot};

use super::cache::SubjectCache;
use super::executor::Executor;
use super::names::Names;
use super::{LastChange, LastChangeFile, OpenError, audit, connection, rows, statement};
use crate::metrics::Metrics;
use crate::store::{Change, StoreError, Unique, Write};

/// How long an erasure waits for those who read from the log. Every change waits with it.
const READERS_TIME: Duration = Duration::from_millis(100);

/// A waiting change with the channel for its result. The change is sent back, since freeing its memory is cheaper on
/// the thread that allocated it.
pub(super) struct Waiting {
    pub(super) change: Change,
    pub(super) answer: oneshot::Sender<(Change, Result<(), StoreError>)>,
}

/// The result of each change of a batch.
type Results = Vec<Result<(), StoreError>>;

/// The owner of the connection that writes.
pub(super) struct Writer {
    db: Connection,
    names: Names,
    last_change: LastChangeFile,
    cache: Arc<SubjectCache>,
    changes: broadcast::Sender<Uuid>,
    metrics: Arc<Metrics>,
    /// Whether the log may still hold what was erased.
    log_holds_erased: bool,
}

impl Writer {
    pub(super) fn new(
        db: Connection,
        last_change: LastChangeFile,
        cache: Arc<SubjectCache>,
        changes: broadcast::Sender<Uuid>,
        metrics: Arc<Metrics>,
    ) -> Self {
        let names = Names::default();
        Self { db, names, last_change, cache, changes, metrics, log_holds_erased: false }
    }

    /// Runs on a thread of its own. If it panics, its memory may be inconsistent, so the process aborts; recovery after
    /// a crash is tested.
    pub(super) fn start(mut self, capacity: usize, batch_max: usize) -> Result<Executor<Waiting>, OpenError> {
        let (queue, work) = sync_channel(capacity);
        let serve = move || {
            if catch_unwind(AssertUnwindSafe(|| self.serve(&work, batch_max))).is_err() {
                // Not a log line: the process ends before the log's thread could write it.
                let _ = writeln!(std::io::stderr(), "the writer of the store has panicked; the process ends");
                std::process::abort();
            }
        };
        let thread = thread::Builder::new().name("store-writer".to_owned()).spawn(serve);
        Ok(Executor::threads(queue, vec![thread.map_err(OpenError::Thread)?]))
    }

    fn serve(&mut self, work: &Receiver<Waiting>, batch_max: usize) {
        let mut batch = Vec::with_capacity(batch_max);
        let mut crowded = false;
        while let Ok(first) = work.recv() {
            if crowded {
                // Yields, so that callers answered by the last commit can submit their next change to this batch.
                thread::yield_now();
            }
            batch.push(first);
            batch.extend(work.try_iter().take(batch_max.saturating_sub(1)));
            crowded = batch.len() > 1;
            self.write(&mut batch);
        }
    }

    /// Writes a batch and answers all of it.
    #[expect(
        clippy::disallowed_methods,
        reason = "how long a commit takes is measured; nothing is decided by it"
    )]
    pub(super) fn write(&mut self, batch: &mut Vec<Waiting>) {
        let started = Instant::now();
        let results = self.results(batch).unwrap_or_else(|fault| vec![Err(fault); batch.len()]);
        let written = results.iter().filter(|result| result.is_ok()).count();
        if written > 0 {
            self.metrics.store_committed(u32::try_from(written).unwrap_or(u32::MAX), started.elapsed());
            self.advance_last_change();
            self.forget_erased(batch);
        }
        for (Waiting { change, answer }, result) in batch.drain(..).zip(results) {
            match (&result, &change.subject) {
                (Ok(()), Some(subject)) => {
                    // In the order of commits, so that the cache never goes back.
                    self.cache.committed(subject.id, subject.after.clone());
                    // Sending fails if nobody listens; that is fine here and below.
                    let _ = self.changes.send(subject.id);
                }
                (Err(StoreError::Conflict), _) => self.metrics.store_conflict(),
                (Err(StoreError::Disk(_) | StoreError::Failed(_)), _) => self.metrics.store_failed(),
                _ => {}
            }
            let _ = answer.send((change, result));
        }
    }

    /// Before any change is answered. A file that could not be written is behind until the next change, so it says less,
    /// but nothing wrong.
    fn advance_last_change(&mut self) {
        if let Ok(Some((position, hash))) = audit::last_change(&self.db) {
            let _ = self.last_change.advance(LastChange { position, hash });
        }
    }

    /// The log keeps each page as it was, so it is emptied after an erasure, before that is answered. Where a reader is in
    /// the way, it is tried again with each batch, which then does not wait.
    fn forget_erased(&mut self, batch: &[Waiting]) {
        let erases = |write: &Write| matches!(write, Write::ErasePersonal { .. });
        let erased = batch.iter().any(|waiting| waiting.change.writes.iter().any(erases));
        if erased || self.log_holds_erased {
            let patience = if erased { READERS_TIME } else { Duration::ZERO };
            self.log_holds_erased = !connection::empty_log(&self.db, patience).unwrap_or(false);
        }
    }

    fn results(&mut self, batch: &[Waiting]) -> Result<Results, StoreError> {
        match self.transact(batch, at_once)? {
            Err(_) if batch.len() > 1 => self.transact(batch, in_savepoint)?,
            results => results,
        }
    }

    /// Writes all changes in one transaction, each by `write`, and commits it. The outer error is that of the transaction
    /// and concerns the whole batch; the inner one is that of a change and has rolled all of them back.
    fn transact(
        &mut self,
        batch: &[Waiting],
        write: impl Fn(&Connection, &Names, &Change) -> Result<Result<(), StoreError>, StoreError>,
    ) -> Result<Result<Results, StoreError>, StoreError> {
        let Self { db, names, .. } = self;
        let transaction = db.transaction_with_behavior(TransactionBehavior::Immediate)?;
        let written = batch.iter().map(|waiting| {
            names.ensure(&transaction, &waiting.change)?;
            write(&transaction, names, &waiting.change)
        });
        let results = match written.collect::<Result<Results, _>>() {
            Ok(results) => transaction.commit().map(|()| Ok(results)),
            // The transaction is rolled back when it is dropped, if a full disk has not ended it already.
            Err(fault) => Ok(Err(fault)),
        };
        names.end(matches!(results, Ok(Ok(_))));
        Ok(results?)
    }
}

/// A repeat, whose idempotency key is in use, is skipped: it has written nothing.
fn at_once(db: &Connection, names: &Names, change: &Change) -> Result<Result<(), StoreError>, StoreError> {
    match rows::write_change(db, names, change) {
        Err(repeat @ StoreError::Taken(Unique::IdempotencyKey)) => Ok(Err(repeat)),
        written => written.map(Ok),
    }
}

/// The outer error is that of the transaction, which a full disk, say, has ended: then there is no savepoint left to go
/// back to.
fn in_savepoint(
    db: &Connection,
    names: &Names,
    change: &Change,
) -> Result<Result<(), StoreError>, StoreError> {
    statement::run(db, "SAVEPOINT change", [])?;
    let result = rows::write_change(db, names, change);
    if let Err(fault) = &result {
        // Where there is no savepoint left, what has ended the transaction is the error, not that.
        statement::run(db, "ROLLBACK TO change", []).map_err(|_| fault.clone())?;
    }
    statement::run(db, "RELEASE change", [])?;
    Ok(result)
}

#[cfg(test)]
mod tests {
    use port::Timestamp;

    use super::*;
    use crate::store::IdempotencyRow;
    use crate::store::sqlite::migrations;

    fn writer() -> Writer {
        let folder = tempfile::tempdir().expect("a folder");
        let mut db = Connection::open_in_memory().expect("memory is there");
        migrations::run(&mut db).expect("the tables can be made");
        let last_change = LastChangeFile::open(&folder.path().join("db"), None).expect("a file");
        Writer::new(db, last_change, Arc::default(), broadcast::channel(1).0, Arc::new(Metrics::new()))
    }

    fn setting(name: &'static str) -> Write {
        Write::Setting { name, value: String::new() }
    }

    fn key(merchant: &str, text: &str) -> Write {
        Write::IdempotencyKey(IdempotencyRow {
            merchant: merchant.to_owned(),
            key: text.to_owned(),
            fingerprint: [0; 32],
            subject: Uuid::nil(),
            sequence: 1,
            at: Timestamp::default(),
            replaces: None,
        })
    }

    /// What becomes of changes that wait together.
    fn results(writer: &mut Writer, changes: Vec<Vec<Write>>) -> Vec<Result<(), StoreError>> {
        let (mut batch, answers): (Vec<_>, Vec<_>) = changes
            .into_iter()
            .map(|writes| {
                let (answer, answered) = oneshot::channel();
                (Waiting { change: Change::plain("test", writes), answer }, answered)
            })
            .unzip();
        writer.write(&mut batch);
        answers.into_iter().map(|mut answer| answer.try_recv().expect("all are answered").1).collect()
    }

    fn settings(writer: &Writer) -> Vec<String> {
        let sql = "SELECT name FROM settings ORDER BY name";
        statement::all(&writer.db, sql, [], |row| Ok(row.get(0)?)).expect("a list")
    }

    #[test]
    fn one_that_fails_in_a_batch_is_undone_alone() {
        let mut writer = writer();
        let batch = vec![
            vec![setting("a"), key("acme", "k")],
            vec![setting("b"), key("acme", "k"), setting("c")],
            vec![setting("d"), key("new", "l")],
        ];
        let taken = Err(StoreError::Taken(Unique::IdempotencyKey));
        assert_eq!(results(&mut writer, batch), [Ok(()), taken.clone(), Ok(())]);
        assert_eq!(settings(&writer), ["a", "d"]);
        // The name that was new in that batch is known, and known right.
        assert_eq!(results(&mut writer, vec![vec![key("new", "l")]]), [taken]);
    }

    #[test]
    fn a_commit_that_fails_is_everybodys_failure_and_nobodys_row() {
        let mut writer = writer();
        let poison = "CREATE TABLE poison (name TEXT REFERENCES settings DEFERRABLE INITIALLY DEFERRED);
            CREATE TRIGGER poison AFTER INSERT ON settings WHEN new.name = 'poison'
            BEGIN INSERT INTO poison VALUES ('nobody'); END;";
        writer.db.execute_batch(poison).expect("tables can be added");
        let batch = vec![vec![setting("a"), key("acme", "k")], vec![setting("poison")], vec![setting("b")]];
        for result in results(&mut writer, batch) {
            assert!(matches!(result, Err(StoreError::Failed(_))), "{result:?}");
        }
        assert_eq!(settings(&writer), [""; 0]);
        assert_eq!(results(&mut writer, vec![vec![setting("a"), key("acme", "k")]]), [Ok(())]);
    }

    #[test]
    fn a_full_disk_fails_what_waits_and_is_noticed_by_a_probe_until_there_is_room_again() {
        let mut writer = writer();
        let limit = |writer: &Writer, pages: i64| {
            let set = writer.db.pragma_update_and_check(None, "max_page_count", pages, |_| Ok(()));
            set.expect("a limit can be set");
        };
        let (probe, large) = (vec![Write::Probe], Write::Setting { name: "a", value: "x".repeat(100_000) });
        assert_eq!(results(&mut writer, vec![probe.clone()]), [Ok(())]);
        writer.db.execute_batch("VACUUM").expect("pages that are free can go");
        // A limit below what there is means that no page can be added.
        limit(&writer, 1);
        for waiting in [vec![probe.clone()], vec![probe.clone(), vec![large.clone()]]] {
            for result in results(&mut writer, waiting) {
                assert!(matches!(result, Err(StoreError::Disk(_))), "{result:?}");
            }
        }
        let metrics = writer.metrics.render();
        assert!(metrics.contains("paymux_store_failed_changes_total 3\n"), "{metrics}");
        limit(&writer, 1_000_000);
        assert_eq!(results(&mut writer, vec![probe, vec![large]]), [Ok(()), Ok(())]);
    }

    #[test]
    fn an_end_of_the_whole_transaction_is_everybodys_failure() {
        let mut writer = writer();
        let full = "CREATE TRIGGER full AFTER INSERT ON settings WHEN new.name = 'full'
            BEGIN SELECT raise(ROLLBACK, 'no room'); END;";
        writer.db.execute_batch(full).expect("a trigger can be added");
        let batch = vec![vec![setting("a")], vec![setting("full")], vec![setting("b")]];
        for result in results(&mut writer, batch) {
            assert!(matches!(result, Err(StoreError::Failed(_))), "{result:?}");
        }
        assert_eq!(results(&mut writer, vec![vec![setting("b")]]), [Ok(())]);
        assert_eq!(settings(&writer), ["b"]);
    }
}
