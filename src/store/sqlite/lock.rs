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
    _descriptor: Option<File>,
}

impl Lock {
    /// Takes the lock of a database. One that is not there is made first, with its folder, if `create` says so.
    ///
    /// # Errors
    /// [`OpenError::InUse`], [`OpenError::Missing`], [`OpenError::File`].
    pub(super) fn take(database: &Path, create: bool) -> Result<Self, OpenError> {
        let database = if create { made(database)? } else { existing(database)? };
        let path = locked_path(&database);
        let opened = File::options().create(path != database).append(true).open(&path);
        Self::of(database, opened.map(Some).map_err(|fault| OpenError::File { path, fault })?)
    }

    /// Takes the lock of a database that is only read: nothing has to be writable for it.
    ///
    /// # Errors
    /// [`OpenError::InUse`], [`OpenError::Missing`], [`OpenError::File`].
    pub(super) fn take_for_reading(database: &Path) -> Result<Self, OpenError> {
        let database = existing(database)?;
        let path = locked_path(&database);
        match File::open(&path) {
            Ok(file) => Self::of(database, Some(file)),
            // A file beside the database that is not there is held by nobody.
            Err(absent) if absent.kind() == io::ErrorKind::NotFound && path != database => {
                Self::of(database, None)
            }
            Err(fault) => Err(OpenError::File { path, fault }),
        }
    }

    fn of(database: PathBuf, descriptor: Option<File>) -> Result<Self, OpenError> {
        match descriptor.as_ref().map_or(Ok(()), File::try_lock) {
            Ok(()) => Ok(Self { database, _descriptor: descriptor }),
            Err(TryLockError::WouldBlock) => {
                // Who has the lock may be this process, and closing the descriptor would release the locks of its SQLite.
                std::mem::forget(descriptor);
                Err(OpenError::InUse(database))
            }
            Err(TryLockError::Error(fault)) => Err(OpenError::File { path: locked_path(&database), fault }),
        }
    }
}

/// The file that is locked for a database. Elsewhere than on Linux a lock on the database would keep SQLite out too, so
/// there it is a file beside it.
fn locked_path(database: &Path) -> PathBuf {
    let mut path = database.as_os_str().to_owned();
    if !cfg!(target_os = "linux") {
        path.push(".lock");
    }
    path.into()
}

/// The path without symbolic links. A database that is not there is made first, since a link may point at nothing yet.
fn made(database: &Path) -> Result<PathBuf, OpenError> {
    let make = || {
        if let Some(folder) = database.parent() {
            fs::create_dir_all(folder)?;
        }
        File::options().create(true).append(true).mode(0o600).open(database)?;
        fs::canonicalize(database)
    };
    let path = match fs::canonicalize(database) {
        Err(absent) if absent.kind() == io::ErrorKind::NotFound => make(),
        found => found,
    };
    path.map_err(|fault| OpenError::File { path: database.to_owned(), fault })
}

/// The same of a database that is there. An empty file is none: SQLite writes a header first.
fn existing(database: &Path) -> Result<PathBuf, OpenError> {
    let found = fs::canonicalize(database).and_then(|path| Ok((fs::metadata(&path)?.len(), path)));
    match found {
        Ok((1.., path)) => Ok(path),
        Err(fault) if fault.kind() != io::ErrorKind::NotFound => {
            Err(OpenError::File { path: database.to_owned(), fault })
        }
        _ => Err(OpenError::Missing(std::path::absolute(database).unwrap_or_else(|_| database.to_owned()))),
    }
}
