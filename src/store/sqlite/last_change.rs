//! The newest change: its position and hash, in a small file beside the database.
//!
//! A database that loses its newest changes, for example since its write-ahead log was deleted, is still consistent in
//! itself; only a copy of their position outside it shows the loss. The file is written after the commit, and its
//! position never goes back.

use std::fs::File;
use std::os::unix::fs::{FileExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::{fs, io};

use serde::{Deserialize, Serialize};

use super::OpenError;
use crate::domain::Hash;

/// The newest change of a database.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LastChange {
    pub position: u64,
    pub hash: Hash,
}

/// The file beside a database cannot be read, as after a power cut.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{}` cannot be read, so it is not known whether the newest changes are there", .0.display())]
pub struct UnreadableLastChange(pub PathBuf);

impl LastChange {
    /// What the file beside a database names; `None` if there is no file.
    ///
    /// # Errors
    /// [`UnreadableLastChange`]; also for an empty file, as there is beside a database without changes.
    pub fn beside(database: &Path) -> Result<Option<Self>, UnreadableLastChange> {
        let path = path(database);
        let text = match fs::read(&path) {
            Err(absent) if absent.kind() == io::ErrorKind::NotFound => return Ok(None),
            read => read.unwrap_or_default(),
        };
        serde_json::from_slice(&text).map(Some).map_err(|_| UnreadableLastChange(path))
    }
}

/// The file beside a database, the same whatever path leads to the database.
pub(super) fn path(database: &Path) -> PathBuf {
    let database = fs::canonicalize(database).unwrap_or_else(|_| database.to_owned());
    let mut path = database.into_os_string();
    path.push(".head");
    path.into()
}

pub(super) struct LastChangeFile {
    file: File,
    /// The position that the file has.
    position: u64,
}

impl LastChangeFile {
    /// Opens the file of a database. One that is not there is made and gets the newest change that the database has;
    /// one that cannot be read stays as it is until the next change.
    pub(super) fn open(database: &Path, newest: Option<LastChange>) -> Result<Self, OpenError> {
        let (path, kept) = (path(database), LastChange::beside(database));
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

    /// Writes a change that is newer than the one in the file. It has no flush of its own, so a power cut may leave an
    /// older one.
    pub(super) fn advance(&mut self, last: LastChange) -> io::Result<()> {
        if last.position <= self.position {
            return Ok(());
        }
        let mut text = serde_json::to_vec(&last)?;
        text.push(b'\n');
        if self.position == 0 {
            // Whatever else was in it.
            self.file.set_len(0)?;
        }
        // In one piece over the old text, which is never longer, so that a kill leaves one of the two.
        self.file.write_all_at(&text, 0)?;
        self.position = last.position;
        Ok(())
    }
}
