//! The ledger on disk: one JSON line for every changed thing, replayed and compacted when it is opened.
//!
//! Lines are handed to the system at every change but not synced: a killed process loses none, a power cut may.

use std::fs::{self, File, TryLockError};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::dialect::telness;
use crate::doc;
use crate::ledger::{Card, Remembered, Subscription};
use crate::object::Object;

/// Why a journal could not be opened.
#[derive(Debug, thiserror::Error)]
pub enum JournalError {
    /// The directory or the file could not be read or written.
    #[error("the ledger's journal {} could not be used: {fault}", path.display())]
    Io {
        /// The journal.
        path: PathBuf,
        /// What the system says of it.
        fault: io::Error,
    },
    /// Another sandbox writes it.
    #[error("the ledger's journal {} is in use by another sandbox", .0.display())]
    InUse(PathBuf),
    /// A line, counted from 1, that is not the last is no record of ours.
    #[error("{}:{line}: the line is not a record of the ledger's journal", path.display())]
    Broken {
        /// The journal.
        path: PathBuf,
        /// The line.
        line: usize,
    },
}

/// The newest state of one thing.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Record {
    Object(Box<Object>),
    Order(Box<telness::Order>),
    Card(Card),
    /// The token of a card that was deleted.
    CardGone(String),
    Subscription(Subscription),
    Remembered(Box<Remembered>),
    /// A one-time card token that was used.
    Spent(String),
}

/// The open file, at its end.
pub(crate) struct Journal {
    file: File,
    _lock: Lock,
}

/// A directory that no other sandbox uses while this is held.
pub(crate) struct Lock {
    journal: PathBuf,
    _file: File,
}

impl Lock {
    /// Takes a directory, before anything in it is read or written.
    pub(crate) fn take(directory: &Path) -> Result<Self, JournalError> {
        let journal = directory.join("ledger.jsonl");
        let fault = |fault| JournalError::Io { path: journal.clone(), fault };
        fs::create_dir_all(directory).map_err(fault)?;
        let path = directory.join("ledger.jsonl.lock");
        let file = File::options().create(true).append(true).open(path).map_err(fault)?;
        match file.try_lock() {
            Ok(()) => Ok(Self { journal, _file: file }),
            Err(TryLockError::WouldBlock) => Err(JournalError::InUse(journal)),
            Err(TryLockError::Error(error)) => Err(fault(error)),
        }
    }

    fn fault(&self, fault: io::Error) -> JournalError {
        JournalError::Io { path: self.journal.clone(), fault }
    }
}

impl Journal {
    /// Every record, oldest first. A torn last line is what a kill leaves, and is dropped.
    pub(crate) fn read(lock: &Lock) -> Result<Vec<Record>, JournalError> {
        let text = match fs::read_to_string(&lock.journal) {
            Ok(text) => text,
            Err(absent) if absent.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            Err(fault) => return Err(lock.fault(fault)),
        };
        let whole = text.ends_with('\n');
        let lines: Vec<&str> = text.lines().collect();
        let mut records = Vec::with_capacity(lines.len());
        for (index, line) in lines.iter().enumerate() {
            match serde_json::from_str(line) {
                Ok(record) => records.push(record),
                Err(_) if index + 1 == lines.len() && !whole => break,
                Err(_) => {
                    return Err(JournalError::Broken { path: lock.journal.clone(), line: index + 1 });
                }
            }
        }
        Ok(records)
    }

    /// Replaces the file by these records in one step and stays open behind them.
    pub(crate) fn rewrite(lock: Lock, records: &[Record]) -> Result<Self, JournalError> {
        let fresh = lock.journal.with_extension("jsonl.new");
        let mut file = File::create(&fresh).map_err(|fault| lock.fault(fault))?;
        let mut text = String::new();
        for record in records {
            text.push_str(&doc::text(record));
            text.push('\n');
        }
        let written = file.write_all(text.as_bytes()).and_then(|()| fs::rename(&fresh, &lock.journal));
        written.map_err(|fault| lock.fault(fault))?;
        Ok(Self { file, _lock: lock })
    }

    /// Adds a record in one write.
    pub(crate) fn add(&mut self, record: &Record) -> io::Result<()> {
        let mut line = doc::text(record);
        line.push('\n');
        self.file.write_all(line.as_bytes())
    }
}
