//! Notices that the database's files were deleted or replaced while the gateway runs. It would go on writing into files
//! that nobody can reach any more, and lose all of it at its end.

use std::io::ErrorKind;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

const INTERVAL: Duration = Duration::from_secs(1);

/// The files of an open database: itself and its write-ahead log.
pub(super) struct DatabaseFiles([DatabaseFile; 2]);

struct DatabaseFile {
    path: PathBuf,
    /// Its device and number, once it was there.
    known: Option<(u64, u64)>,
}

impl DatabaseFiles {
    /// Those of a database that is open.
    pub(super) fn of(database: &Path) -> Self {
        let mut log = database.as_os_str().to_owned();
        log.push("-wal");
        Self(
            [database.to_owned(), log.into()].map(|path| DatabaseFile { known: identity(&path, None), path }),
        )
    }

    /// Waits until one was deleted or replaced. Returns its path.
    pub(super) async fn lost(mut self) -> PathBuf {
        loop {
            tokio::time::sleep(INTERVAL).await;
            if let Some(lost) = self.0.iter_mut().find_map(DatabaseFile::lost) {
                return lost;
            }
        }
    }
}

impl DatabaseFile {
    fn lost(&mut self) -> Option<PathBuf> {
        let found = identity(&self.path, self.known);
        let lost = self.known.is_some() && found != self.known;
        self.known = found;
        lost.then(|| self.path.clone())
    }
}

/// The file at a path; `otherwise` if that cannot be told.
fn identity(path: &Path, otherwise: Option<(u64, u64)>) -> Option<(u64, u64)> {
    match std::fs::metadata(path) {
        Ok(file) => Some((file.dev(), file.ino())),
        Err(fault) if fault.kind() == ErrorKind::NotFound => None,
        Err(_) => otherwise,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_file_that_is_deleted_or_replaced_is_lost_and_one_that_is_written_is_not() {
        let folder = tempfile::tempdir().unwrap();
        let [database, log] = ["db", "db-wal"].map(|name| folder.path().join(name));
        let write = |path: &Path| std::fs::write(path, "text").unwrap();
        for (path, replaced) in [(&database, false), (&database, true), (&log, false), (&log, true)] {
            write(&database);
            write(&log);
            let lost = tokio::spawn(DatabaseFiles::of(&database).lost());
            tokio::time::sleep(10 * INTERVAL).await;
            write(path);
            tokio::time::sleep(10 * INTERVAL).await;
            assert!(!lost.is_finished());
            let kept = folder.path().join("kept");
            std::fs::rename(path, &kept).unwrap();
            if replaced {
                write(path);
            }
            let lost = tokio::time::timeout(10 * INTERVAL, lost).await.expect("it is noticed");
            assert_eq!(lost.unwrap(), *path);
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_log_that_is_not_there_yet_is_not_lost() {
        let folder = tempfile::tempdir().unwrap();
        let database = folder.path().join("db");
        std::fs::write(&database, "text").unwrap();
        let lost = tokio::spawn(DatabaseFiles::of(&database).lost());
        tokio::time::sleep(10 * INTERVAL).await;
        std::fs::write(folder.path().join("db-wal"), "text").unwrap();
        tokio::time::sleep(10 * INTERVAL).await;
        assert!(!lost.is_finished());
    }
}
