//! What happened, line by line: a running hash to compare two runs of a seed, and the lines if they are wanted.

use std::sync::Mutex;

use port::{Timestamp, sign};

use crate::world::held;

/// The trace of a run.
pub(crate) struct Trace {
    hash: Mutex<[u8; 32]>,
    shown: bool,
}

impl Trace {
    /// An empty one. `shown` prints every line.
    pub(crate) fn new(shown: bool) -> Self {
        Self { hash: Mutex::default(), shown }
    }

    /// Adds a line.
    pub(crate) fn log(&self, at: Timestamp, line: &str) {
        let mut hash = held(&self.hash);
        *hash = sign::sha256(&[&*hash, at.to_string().as_bytes(), line.as_bytes()]);
        if self.shown {
            println!("{at} {line}");
        }
    }

    /// The hash of every line so far.
    pub(crate) fn hash(&self) -> String {
        hex::encode(*held(&self.hash))
    }
}
