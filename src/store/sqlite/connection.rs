//! Connections with their settings, and why there may be none.

use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use rusqlite::config::DbConfig;
use rusqlite::{Connection, ErrorCode, OpenFlags};

/// Why the store could not be opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// A running gateway, or another command, has the database open. The path is the canonical one.
    #[error("{} is in use by another gateway", .0.display())]
    InUse(PathBuf),
    /// There is no database at this absolute path, and none is to be made.
    #[error("there is no database at {}; `paymux serve` and `paymux keys create` make one", .0.display())]
    Missing(PathBuf),
    /// The database has newer tables than this release knows.
    #[error("the database was made by a newer release: it is at step {found}, this program knows {known}")]
    Newer {
        /// The last migration of the database.
        found: usize,
        /// The last migration of the program.
        known: usize,
    },
    /// The database has no tables and is only to be read.
    #[error("the database has no tables: it was never used, or the write-ahead log that had them is lost")]
    NoTables,
    /// The database lacks tables of this release and is only to be read.
    #[error("the database was made by an older release: start the gateway once, which brings it up to date")]
    Older,
    /// The database was created before the first release.
    #[error(
        "the database was made by a program from before the first release, and its tables cannot be read any more; \
         move the file away, or name another one in `store.path`"
    )]
    Prerelease,
    /// An I/O error of the database's file, a file beside it, or its folder.
    #[error("{}: {fault}", path.display())]
    File { path: PathBuf, fault: io::Error },
    /// Write-ahead logging is not possible, for example on a network file system.
    #[error("the database cannot keep a write-ahead log where it is")]
    NoLog,
    /// The write-ahead log holds changes, and nothing can be written where it is.
    #[error(
        "`{}` holds changes, and can only be read where files can be made beside it: copy the database with it to such a \
         folder",
        .0.display()
    )]
    UnreadableLog(PathBuf),
    #[error("the database could not be opened: {0}")]
    Database(#[from] rusqlite::Error),
    /// A thread could not be started.
    #[error("the store could not start a thread: {0}")]
    Thread(io::Error),
}

impl OpenError {
    /// Whether the file is of another kind, or of another release that this one cannot go on with: nobody but its owner
    /// can change that.
    pub fn is_foreign(&self) -> bool {
        match self {
            Self::Newer { .. } | Self::Prerelease => true,
            Self::Database(fault) => {
                matches!(
                    fault.sqlite_error_code(),
                    Some(ErrorCode::NotADatabase | ErrorCode::DatabaseCorrupt)
                )
            }
            _ => false,
        }
    }
}

/// How long a connection waits for a lock, for example of a tool that is used on the same file.
const BUSY_TIMEOUT: Duration = Duration::from_secs(5);

/// Page cache of a connection, KiB. SQLite looks through all of the writer's at the end of nearly every transaction, so a
/// larger one costs more than it saves.
const CACHE_KIB: i64 = 8 * 1024;

/// A change takes one to two KiB, of which smaller pages would leave more unused: an order takes 7 % less than at 4 KiB.
/// Decides for a new database only.
const PAGE_BYTES: i64 = 8 * 1024;

/// At how many pages the write-ahead log is copied into the database. The larger, the fewer times a page that changes
/// often is copied.
const LOG_PAGES: i64 = 2_000;

/// To what size the log shrinks after a burst, bytes.
const LOG_KEPT_BYTES: i64 = 64 * 1024 * 1024;

/// Statements that a connection keeps prepared: more than there are.
const STATEMENTS_KEPT: usize = 128;

pub(super) fn for_writing(database: &Path) -> Result<Connection, OpenError> {
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_CREATE;
    let db = open(database, flags)?;
    db.pragma_update(None, "page_size", PAGE_BYTES)?;
    let mode: String = db.pragma_update_and_check(None, "journal_mode", "wal", |row| row.get(0))?;
    if mode != "wal" {
        return Err(OpenError::NoLog);
    }
    db.pragma_update(None, "synchronous", "full")?;
    db.pragma_update(None, "foreign_keys", true)?;
    // Keeps savepoint journals in memory: a temporary file costs two fifths of the writer's time.
    db.pragma_update(None, "temp_store", "memory")?;
    // Deleted rows are overwritten: what was erased, or pruned with a notification, is not to be found in free pages.
    db.pragma_update_and_check(None, "secure_delete", true, |_| Ok(()))?;
    db.pragma_update_and_check(None, "wal_autocheckpoint", LOG_PAGES, |_| Ok(()))?;
    db.pragma_update_and_check(None, "journal_size_limit", LOG_KEPT_BYTES, |_| Ok(()))?;
    Ok(db)
}

/// Copies the log into the database and empties it. False if somebody still reads from it after `patience`.
pub(super) fn empty_log(db: &Connection, patience: Duration) -> rusqlite::Result<bool> {
    db.busy_timeout(patience)?;
    let is_read = db.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |row| row.get::<_, bool>(0));
    db.busy_timeout(BUSY_TIMEOUT)?;
    is_read.map(|is_read| !is_read)
}

pub(super) fn for_reading(database: &Path) -> Result<Connection, OpenError> {
    Ok(open(database, OpenFlags::SQLITE_OPEN_READ_ONLY)?)
}

/// A connection to a database that nobody has open. Nothing is made beside it and nothing has to be writable, unless its
/// log holds changes.
pub(super) fn for_reading_alone(database: &Path) -> Result<Connection, OpenError> {
    let beside = |suffix: &str| {
        let mut path = database.as_os_str().to_owned();
        path.push(suffix);
        PathBuf::from(path)
    };
    let holds_changes = |path: &PathBuf| std::fs::metadata(path).is_ok_and(|file| file.len() > 0);
    let Some(log) = [beside("-wal"), beside("-journal")].into_iter().find(holds_changes) else {
        return Ok(immutable(database)?);
    };
    match for_reading(database) {
        Err(OpenError::Database(fault))
            if matches!(fault.sqlite_error_code(), Some(ErrorCode::CannotOpen | ErrorCode::ReadOnly)) =>
        {
            Err(OpenError::UnreadableLog(log))
        }
        opened => opened,
    }
}

/// A connection to a database that nobody changes meanwhile, without its log.
fn immutable(database: &Path) -> rusqlite::Result<Connection> {
    let mut address =
        url::Url::from_file_path(database).map_err(|()| rusqlite::Error::InvalidPath(database.to_owned()))?;
    address.set_query(Some("immutable=1"));
    open(Path::new(address.as_str()), OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_URI)
}

fn open(database: &Path, flags: OpenFlags) -> rusqlite::Result<Connection> {
    // Each connection belongs to one thread.
    let db = Connection::open_with_flags(database, flags | OpenFlags::SQLITE_OPEN_NO_MUTEX)?;
    db.busy_timeout(BUSY_TIMEOUT)?;
    db.pragma_update(None, "cache_size", -CACHE_KIB)?;
    // Query plans must not depend on bound values, or cached statements would be prepared again for each use.
    db.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_QPSG, true)?;
    db.set_prepared_statement_cache_capacity(STATEMENTS_KEPT);
    Ok(db)
}

#[cfg(test)]
mod tests {
    use rusqlite::StatementStatus;

    use super::*;
    use crate::store::sqlite::migrations;
    use crate::store::sqlite::statement::all;

    fn pragma(db: &Connection, name: &str) -> i64 {
        db.pragma_query_value(None, name, |row| row.get(0)).expect("it has a value")
    }

    #[test]
    fn what_is_committed_is_on_the_disk() {
        let folder = tempfile::tempdir().expect("a folder");
        let db = for_writing(&folder.path().join("db")).expect("a database");
        const FULL: i64 = 2;
        assert_eq!(pragma(&db, "synchronous"), FULL);
        assert_eq!(pragma(&db, "foreign_keys"), 1);
    }

    #[test]
    fn a_cached_statement_is_planned_once() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("db");
        migrations::run(&mut for_writing(&path).expect("a database")).expect("tables");
        let db = for_reading(&path).expect("a reader");
        let sql = "SELECT id FROM names WHERE name = ?1";
        for order in ["a", "b", "c"] {
            assert_eq!(all(&db, sql, [order], |_| Ok(())), Ok(Vec::new()));
        }
        let statement = db.prepare_cached(sql).expect("it is cached");
        assert_eq!(statement.get_status(StatementStatus::RePrepare), 0);
    }
}
