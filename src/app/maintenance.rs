//! `paymux verify`.

use std::io::{IsTerminal as _, Write as _};
use std::path::Path;
use std::process::ExitCode;

use port::Env as _;

use super::build::{BuildError, with_name};
use super::output::show;
use super::system_env::SystemEnv;
use crate::audit::{self, LastChangeCheck};
use crate::store::Store;
use crate::store::sqlite::{LastChange, OpenError, Sqlite};

/// Width of the progress bar in characters.
const BAR: u64 = 40;

/// Checks the records and prints what is wrong with them. Only reads.
///
/// # Errors
/// Why they cannot be read, or the result not shown.
pub(super) async fn verify(database: &Path) -> Result<ExitCode, BuildError> {
    let opened =
        Sqlite::open_for_reading(database).map_err(|fault| match (fault, LastChange::beside(database)) {
            (OpenError::InUse(path), _) => {
                format!("{} is in use by a running gateway: stop it, or verify a copy", path.display()).into()
            }
            (fault @ OpenError::NoTables, Ok(Some(last))) => {
                format!("{}; {}", with_name(fault, database), audit::missing_after(0, last.position)).into()
            }
            (other, _) => with_name(other, database),
        });
    let store: &dyn Store = &opened?;
    let total = store.subject_count().await?;
    let now = SystemEnv::default().now();
    let report = audit::verify(store, now, |done| progress(done, total)).await?;
    let missing = match audit::check_last_change(store, database).await? {
        LastChangeCheck::Fits => None,
        LastChangeCheck::Unknown(why) | LastChangeCheck::Missing(why) => Some(why),
    };
    for fault in report.faults.iter().chain(&missing) {
        eprintln!("{fault}");
    }
    if report.more_faults > 0 {
        eprintln!("and {} more", report.more_faults);
    }
    let (subjects, events, checkpoints) = (report.subjects, report.events, report.checkpoints);
    let is_fine = report.is_fine() && missing.is_none();
    show(&format!(
        "checked: orders, profile sessions, payment profiles and endpoints: {subjects}; events: {events}; \
         checkpoints: {checkpoints}\n{}",
        if is_fine { "no errors found\n" } else { "" }
    ))?;
    Ok(if is_fine { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Draws a bar on a terminal; nothing where the output goes elsewhere.
fn progress(done: u64, total: u64) {
    let mut terminal = std::io::stderr();
    if !terminal.is_terminal() || total == 0 {
        return;
    }
    let filled = usize::try_from(done.min(total) * BAR / total).unwrap_or_default();
    let empty = usize::try_from(BAR).unwrap_or_default() - filled;
    let end = if done >= total { "\n" } else { "" };
    // A bar that cannot be drawn is no reason to stop.
    let _ = write!(terminal, "\r[{}{}] {done} of {total}{end}", "#".repeat(filled), " ".repeat(empty));
}
