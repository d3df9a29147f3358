//! What commands print. Unlike the gateway's own lines, a result that cannot be written is an error.

use std::fs::{self, File};
use std::io::{self, Write as _};
use std::os::fd::AsFd as _;
use std::os::unix::fs::MetadataExt as _;

use super::build::BuildError;

/// Writes a result to standard output, at once.
///
/// # Errors
/// Why not all of it was written.
pub(super) fn show(text: &str) -> Result<(), BuildError> {
    let written = descriptor().and_then(|mut output| output.write_all(text.as_bytes()));
    written.map_err(|why| format!("standard output cannot be written: {why}").into())
}

/// A number with its noun: `1 order`, `2 orders`.
pub(super) fn counted(number: u64, noun: &str) -> String {
    format!("{number} {noun}{}", if number == 1 { "" } else { "s" })
}

/// Whether what is written to standard output is thrown away: it is `/dev/null`, which also takes the place of one that
/// is closed.
pub(super) fn is_thrown_away() -> bool {
    let device = |found: io::Result<fs::Metadata>| found.ok().map(|found| found.rdev());
    let null = device(fs::metadata("/dev/null"));
    null.is_some() && device(descriptor().and_then(|output| output.metadata())) == null
}

/// Standard output without its buffer, which would leave faults of the last line unseen.
fn descriptor() -> io::Result<File> {
    Ok(io::stdout().as_fd().try_clone_to_owned()?.into())
}
