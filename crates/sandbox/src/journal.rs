//! The ledger on disk: one JSON line for every changed thing, replayed and compacted when it is opened.
//!
//! Lines are handed to the system at every change but not synced: a killed process loses none, a power cut may.

use std::fs::{self, File};
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
    #[error("the ledger's journal could not be used: {0}")]
    Io(#[from] io::Error),
    /// A line, counted from 1, that is not the last is no record of ours.
    #[error("line {0} of the ledger's journal is not a record")]
    Broken(usize),
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
}

impl Journal {
    /// Every record in `directory`, oldest first. A torn last line is what a kill leaves, and is dropped.
    pub(crate) fn read(directory: &Path) -> Result<Vec<Record>, JournalError> {
        fs::create_dir_all(directory)?;
        let text = match fs::read_to_string(path(directory)) {
            Ok(text) => text,
            Err(absent) if absent.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            Err(fault) => return Err(fault.into()),
        };
        let whole = text.ends_with('\n');
        let lines: Vec<&str> = text.lines().collect();
        let mut records = Vec::with_capacity(lines.len());
        for (index, line) in lines.iter().enumerate() {
            match serde_json::from_str(line) {
                Ok(record) => records.push(record),
                Err(_) if index + 1 == lines.len() && !whole => break,
                Err(_) => return Err(JournalError::Broken(index + 1)),
            }
        }
        Ok(records)
    }

    /// Replaces the file by these records in one step and stays open behind them.
    pub(crate) fn rewrite(directory: &Path, records: &[Record]) -> Result<Self, JournalError> {
        let fresh = directory.join("ledger.jsonl.new");
        let mut journal = Self { file: File::create(&fresh)? };
        let mut text = String::new();
        for record in records {
            text.push_str(&doc::text(record));
            text.push('\n');
        }
        journal.file.write_all(text.as_bytes())?;
        fs::rename(&fresh, path(directory))?;
        Ok(journal)
    }

    /// Adds a record in one write.
    pub(crate) fn add(&mut self, record: &Record) -> io::Result<()> {
        let mut line = doc::text(record);
        line.push('\n');
        self.file.write_all(line.as_bytes())
    }
}

fn path(directory: &Path) -> PathBuf {
    directory.join("ledger.jsonl")
}
