//! `paymux verify`.

use std::io::{IsTerminal as _, Write as _};
use std::path::Path;
use std::process::ExitCode;

use super::build::BuildError;
use crate::audit;
use crate::engine::Engine;
use crate::store::sqlite::Head;

/// Width of the progress bar in characters.
const BAR: u64 = 40;

/// Checks the records and prints what is wrong with them.
pub(super) async fn verify(engine: &Engine, database: &Path) -> Result<ExitCode, BuildError> {
    let total = engine.store.subject_count().await?;
    let report = audit::verify(&*engine.store, engine.now(), |done| progress(done, total)).await?;
    let head = Head::beside(database);
    let missing = match head {
        Some(head) => audit::missing_tail(&*engine.store, head).await?,
        None => None,
    };
    for fault in report.faults.iter().chain(&missing) {
        eprintln!("{fault}");
    }
    if report.more_faults > 0 {
        eprintln!("and {} more", report.more_faults);
    }
    let (subjects, events, checkpoints) = (report.subjects, report.events, report.checkpoints);
    println!(
        "{subjects} orders, stored methods and endpoints with {events} events, and {checkpoints} checkpoints were \
         checked"
    );
    if report.is_fine() && missing.is_none() {
        println!("no errors found");
        return Ok(ExitCode::SUCCESS);
    }
    Ok(ExitCode::FAILURE)
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
