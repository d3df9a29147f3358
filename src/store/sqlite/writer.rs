//! The one that writes: whatever waits goes into one transaction, each change in a savepoint of its own, so that
//! one that fails does not sink the others; one commit; then all are answered.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, sync_channel};
use std::thread;
use std::time::Instant;

use port::{EndpointId, OrderId, Timestamp};
use rusqlite::{Connection, TransactionBehavior};
use tokio::sync::{broadcast, oneshot};

use super::executor::Executor;
use super::{OpenError, jobs, rows};
use crate::metrics::Metrics;
use crate::store::{Change, Job, Lease, StoreError};

/// What the writer does.
pub(super) enum Task {
    /// Writes a change.
    Commit(Change),
    /// Leases what is due.
    Claim {
        /// Due by this moment.
        now: Timestamp,
        /// Until when.
        until: Lease,
        /// At most so many.
        limit: u16,
    },
    /// Leases deliveries that are due.
    ClaimDeliveries {
        /// Due by this moment.
        now: Timestamp,
        /// Until when.
        until: Lease,
        /// At most so many.
        limit: u16,
        /// And so many of each endpoint.
        wanted: Vec<(EndpointId, u16)>,
    },
}

/// What became of a task. A change finds nothing due.
type WriteResult = Result<Vec<Job>, StoreError>;

/// A task and whom to tell.
pub(super) struct QueuedTask {
    pub(super) task: Task,
    pub(super) answer: oneshot::Sender<WriteResult>,
}

/// The owner of the connection that writes.
pub(super) struct Writer {
    db: Connection,
    changes: broadcast::Sender<OrderId>,
    metrics: Arc<Metrics>,
}

impl Writer {
    pub(super) fn new(db: Connection, changes: broadcast::Sender<OrderId>, metrics: Arc<Metrics>) -> Self {
        Self { db, changes, metrics }
    }

    /// Goes to work on a thread of its own. If that panics, nobody knows what is in memory, so the process ends:
    /// starting again is the tested path.
    pub(super) fn start(
        mut self,
        capacity: usize,
        batch_max: usize,
    ) -> Result<Executor<QueuedTask>, OpenError> {
        let (queue, work) = sync_channel(capacity);
        let serve = move || {
            if catch_unwind(AssertUnwindSafe(|| self.serve(&work, batch_max))).is_err() {
                tracing::error!("the writer of the store has panicked; the process ends");
                std::process::abort();
            }
        };
        let thread = thread::Builder::new().name("store-writer".to_owned()).spawn(serve);
        Ok(Executor::threads(queue, vec![thread.map_err(OpenError::Thread)?]))
    }

    fn serve(&mut self, work: &Receiver<QueuedTask>, batch_max: usize) {
        let mut batch = Vec::with_capacity(batch_max);
        while let Ok(first) = work.recv() {
            batch.push(first);
            batch.extend(work.try_iter().take(batch_max.saturating_sub(1)));
            self.write(&mut batch);
        }
    }

    /// Writes a batch and tells everyone what became of theirs.
    pub(super) fn write(&mut self, batch: &mut Vec<QueuedTask>) {
        let outcomes = self.transact(batch).unwrap_or_else(|fault| vec![Err(fault); batch.len()]);
        for (job, outcome) in batch.drain(..).zip(outcomes) {
            match (&job.task, &outcome) {
                // Sending fails if nobody listens; that is no fault, here and below.
                (Task::Commit(change), Ok(_)) => {
                    let _ = change.order().map(|order| self.changes.send(order));
                }
                (_, Err(StoreError::Conflict)) => self.metrics.store_conflict(),
                _ => {}
            }
            let _ = job.answer.send(outcome);
        }
    }

    /// The error is everybody's: nothing of the batch is certain.
    #[expect(
        clippy::disallowed_methods,
        reason = "how long a commit takes is measured; nothing is decided by it"
    )]
    fn transact(&mut self, batch: &[QueuedTask]) -> Result<Vec<WriteResult>, StoreError> {
        let begun = Instant::now();
        let whole = self.db.transaction_with_behavior(TransactionBehavior::Immediate)?;
        let outcomes =
            batch.iter().map(|job| in_savepoint(&whole, &job.task)).collect::<Result<Vec<_>, _>>()?;
        whole.commit()?;
        let written = outcomes.iter().filter(|outcome| outcome.is_ok()).count();
        self.metrics.store_committed(u32::try_from(written).unwrap_or(u32::MAX), begun.elapsed());
        Ok(outcomes)
    }
}

/// Does a task in a savepoint. The outer error is that of the whole transaction, which a full disk, say, has
/// ended: then there is no savepoint left to go back to.
fn in_savepoint(db: &Connection, task: &Task) -> Result<WriteResult, StoreError> {
    rows::run(db, "SAVEPOINT task", [])?;
    let outcome = match task {
        Task::Commit(change) => {
            change.writes.iter().try_for_each(|write| rows::write(db, write)).map(|()| Vec::new())
        }
        Task::Claim { now, until, limit } => jobs::claim(db, *now, *until, *limit),
        Task::ClaimDeliveries { now, until, limit, wanted } => {
            jobs::claim_deliveries(db, *now, *until, *limit, wanted)
        }
    };
    if outcome.is_err() {
        rows::run(db, "ROLLBACK TO task", [])?;
    }
    rows::run(db, "RELEASE task", [])?;
    Ok(outcome)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::sqlite::migrations;
    use crate::store::{KeyRow, Unique, Write};

    fn writer() -> Writer {
        let mut db = Connection::open_in_memory().expect("memory is there");
        migrations::run(&mut db).expect("the tables can be made");
        Writer::new(db, broadcast::channel(1).0, Arc::new(Metrics::new()))
    }

    fn setting(name: &'static str) -> Write {
        Write::Setting { name, value: String::new() }
    }

    fn key(text: &str) -> Write {
        Write::Key(KeyRow {
            merchant: "acme".to_owned(),
            key: text.to_owned(),
            fingerprint: String::new(),
            order: OrderId::from_uuid(port::Uuid::nil()),
            sequence: 1,
            at: Timestamp::default(),
            replaces: None,
        })
    }

    /// What becomes of changes that wait together.
    fn outcomes(writer: &mut Writer, changes: Vec<Vec<Write>>) -> Vec<Result<(), StoreError>> {
        let (mut batch, answers): (Vec<_>, Vec<_>) = changes
            .into_iter()
            .map(|writes| {
                let (answer, answered) = oneshot::channel();
                (QueuedTask { task: Task::Commit(Change::plain("test", writes)), answer }, answered)
            })
            .unzip();
        writer.write(&mut batch);
        let answers = answers.into_iter().map(|mut answer| answer.try_recv().expect("all are answered"));
        answers.map(|outcome| outcome.map(drop)).collect()
    }

    fn settings(writer: &Writer) -> Vec<String> {
        let sql = "SELECT name FROM settings ORDER BY name";
        crate::store::sqlite::reads::all(&writer.db, sql, [], |row| Ok(row.get(0)?)).expect("a list")
    }

    #[test]
    fn one_that_fails_in_a_batch_is_undone_alone() {
        let mut writer = writer();
        let batch = vec![
            vec![setting("a"), key("k")],
            vec![setting("b"), key("k"), setting("c")],
            vec![setting("d"), key("l")],
        ];
        let taken = Err(StoreError::Taken(Unique::Key));
        assert_eq!(outcomes(&mut writer, batch), [Ok(()), taken, Ok(())]);
        assert_eq!(settings(&writer), ["a", "d"]);
    }

    #[test]
    fn a_commit_that_fails_is_everybodys_failure_and_nobodys_row() {
        let mut writer = writer();
        let poison = "CREATE TABLE poison (name TEXT REFERENCES settings DEFERRABLE INITIALLY DEFERRED);
            CREATE TRIGGER poison AFTER INSERT ON settings WHEN new.name = 'poison'
            BEGIN INSERT INTO poison VALUES ('nobody'); END;";
        writer.db.execute_batch(poison).expect("tables can be added");
        let batch = vec![vec![setting("a")], vec![setting("poison")], vec![setting("b")]];
        for outcome in outcomes(&mut writer, batch) {
            assert!(matches!(outcome, Err(StoreError::Failed(_))), "{outcome:?}");
        }
        assert_eq!(settings(&writer), [""; 0]);
        assert_eq!(outcomes(&mut writer, vec![vec![setting("a")]]), [Ok(())]);
    }

    #[test]
    fn an_end_of_the_whole_transaction_is_everybodys_failure() {
        let mut writer = writer();
        let full = "CREATE TRIGGER full AFTER INSERT ON settings WHEN new.name = 'full'
            BEGIN SELECT raise(ROLLBACK, 'no room'); END;";
        writer.db.execute_batch(full).expect("a trigger can be added");
        let batch = vec![vec![setting("a")], vec![setting("full")], vec![setting("b")]];
        for outcome in outcomes(&mut writer, batch) {
            assert!(matches!(outcome, Err(StoreError::Failed(_))), "{outcome:?}");
        }
        assert_eq!(outcomes(&mut writer, vec![vec![setting("b")]]), [Ok(())]);
        assert_eq!(settings(&writer), ["b"]);
    }
}
