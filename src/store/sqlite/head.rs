//! The head of the books: the position and hash of the newest change, in a small file beside the database.
//!
//! A database that loses its newest changes, for example since its log was deleted, fits in itself. Only a witness
//! outside can tell. It is written after the commit, and never goes back.

use std::fs::File;
use std::os::unix::fs::{FileExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::{fs, io};

use serde::{Deserialize, Serialize};

use super::OpenError;
use crate::domain::Hash;

/// Where all changes end.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Head {
    pub position: u64,
    pub hash: Hash,
}

/// The head that is kept beside a database cannot be read, as after a power cut.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{}` cannot be read, so it is not known whether the newest changes are there", .0.display())]
pub struct UnreadableHead(pub PathBuf);

impl Head {
    /// The head that is kept beside a database; `None` if there is none.
    ///
    /// # Errors
    /// [`UnreadableHead`]; also for an empty file, as there is beside a database without changes.
    pub fn beside(database: &Path) -> Result<Option<Self>, UnreadableHead> {
        let path = path(database);
        let text = match fs::read(&path) {
            Err(absent) if absent.kind() == io::ErrorKind::NotFound => return Ok(None),
            read => read.unwrap_or_default(),
        };
        serde_json::from_slice(&text).map(Some).map_err(|_| UnreadableHead(path))
    }
}

/// The file of a database's head, the same whatever path leads to the database.
pub(super) fn path(database: &Path) -> PathBuf {
    let database = fs::canonicalize(database).unwrap_or_else(|_| database.to_owned());
    let mut path = database.into_os_string();
    path.push(".head");
    path.into()
}

pub(super) struct HeadFile {
    file: File,
    /// The position that the file has.
    position: u64,
}

impl HeadFile {
    /// Opens the file of a database. One that is not there is made and gets the head that the database has; one that
    /// cannot be read stays as it is until the next change.
    pub(super) fn open(database: &Path, newest: Option<Head>) -> Result<Self, OpenError> {
        let (path, kept) = (path(database), Head::beside(database));
        let opened = File::options().create(true).truncate(false).write(true).mode(0o600).open(&path);
        let file = opened.map_err(|fault| OpenError::File { path: path.clone(), fault })?;
        let mut opened = Self { file, position: 0 };
        match (kept, newest) {
            (Ok(Some(kept)), _) => opened.position = kept.position,
            (Ok(None), Some(newest)) => {
                opened.advance(newest).map_err(|fault| OpenError::File { path, fault })?;
            }
            (Ok(None), None) | (Err(_), _) => {}
        }
        Ok(opened)
    }

    /// Writes a head that is newer than the one in the file. It has no flush of its own, so a power cut may leave an older
    /// one.
    pub(super) fn advance(&mut self, head: Head) -> io::Result<()> {
        if head.position <= self.position {
            return Ok(());
        }
        let mut text = serde_json::to_vec(&head)?;
        text.push(b'\n');
        if self.position == 0 {
            // Whatever else was in it.
            self.file.set_len(0)?;
        }
        // In one piece over the old text, which is never longer, so that a kill leaves one of the two.
        self.file.write_all_at(&text, 0)?;
        self.position = head.position;
        Ok(())
    }
}
