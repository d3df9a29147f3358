//! The lock that makes a database one gateway's.
//!
//! It is `flock(2)` on the database's own file: it belongs to the file and not to its name, so that it holds for every
//! path and hard link, cannot be deleted beside the database, and ends with its process. On Linux it has nothing to do
//! with the `fcntl(2)` locks that SQLite takes on the same file, but for one thing: a process that closes any descriptor
//! of the file loses those. So the descriptor is opened before SQLite opens the file, and closed after SQLite has closed it.

use std::fs::{self, File, TryLockError};
use std::io;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use super::OpenError;

/// A database that no other gateway or command opens while this is held.
pub(super) struct Lock {
    /// The canonical path of the database.
    pub(super) database: PathBuf,
    _file: File,
}

impl Lock {
    /// Takes the lock of a database. One that is not there is made first, with its folder.
    pub(super) fn take(database: &Path) -> Result<Self, OpenError> {
        let database =
            canonical(database).map_err(|fault| OpenError::File { path: database.to_owned(), fault })?;
        let path = locked_file(&database);
        let fault = |fault| OpenError::File { path: path.clone(), fault };
        let file = File::options().create(true).append(true).open(&path).map_err(fault)?;
        match file.try_lock() {
            Ok(()) => Ok(Self { database, _file: file }),
            Err(TryLockError::WouldBlock) => {
                // Who has the lock may be this process, and closing the file would release the locks of its SQLite.
                std::mem::forget(file);
                Err(OpenError::InUse(database))
            }
            Err(TryLockError::Error(error)) => Err(fault(error)),
        }
    }
}

/// The file that is locked for a database. Elsewhere than on Linux a lock on the database would keep SQLite out too, so
/// there it is a file beside it.
fn locked_file(database: &Path) -> PathBuf {
    let mut path = database.as_os_str().to_owned();
    if !cfg!(target_os = "linux") {
        path.push(".lock");
    }
    path.into()
}

/// The path without symbolic links. A database that is not there is made first, since a link may point at nothing yet.
fn canonical(database: &Path) -> io::Result<PathBuf> {
    match fs::canonicalize(database) {
        Err(absent) if absent.kind() == io::ErrorKind::NotFound => {
            if let Some(folder) = database.parent() {
                fs::create_dir_all(folder)?;
            }
            File::options().create(true).append(true).mode(0o600).open(database)?;
            fs::canonicalize(database)
        }
        found => found,
    }
}
