//! `paymux verify`, `paymux erase` and `paymux inbox replay`.

use std::io::{IsTerminal as _, Write as _};
use std::process::ExitCode;

use port::Env as _;

use super::build::BuildError;
use super::system_env::SystemEnv;
use crate::reconcile::{audit, erase as erasing, inbox};
use crate::store::{InboxFilter, Store};

/// Cells of the progress bar.
const BAR: u64 = 40;

/// Checks the books and tells what does not fit.
///
/// # Errors
/// [`BuildError::Store`] if something cannot be read at all.
pub(super) async fn verify(store: &dyn Store) -> Result<ExitCode, BuildError> {
    let total = store.order_count().await?;
    let report = audit::verify(store, |done| progress(done, total)).await?;
    for fault in &report.faults {
        eprintln!("{fault}");
    }
    if report.more_faults > 0 {
        eprintln!("and {} more", report.more_faults);
    }
    let (orders, events, checkpoints) = (report.orders, report.events, report.checkpoints);
    println!("{orders} orders, {events} events and {checkpoints} checkpoints were checked");
    if report.is_fine() {
        println!("everything fits");
        return Ok(ExitCode::SUCCESS);
    }
    Ok(ExitCode::FAILURE)
}

/// A bar on a terminal; nothing where nobody would see it move.
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

/// Erases a customer and tells what is left.
///
/// # Errors
/// [`BuildError::Store`]; what was erased stays erased.
pub(super) async fn erase(store: &dyn Store, merchant: &str, customer: &str) -> Result<ExitCode, BuildError> {
    let erased = erasing::erase(store, &SystemEnv, merchant, customer).await?;
    println!("erased the personal data of {} orders", erased.orders);
    for order in &erased.still_open {
        println!("{order} has not ended and is left as it is; erase again when it has");
    }
    Ok(ExitCode::SUCCESS)
}

/// Makes stored notifications due again and tells how many.
///
/// # Errors
/// [`BuildError::Store`]; those that were told of stay due.
pub(super) async fn replay_inbox(store: &dyn Store, filter: &InboxFilter) -> Result<ExitCode, BuildError> {
    let count = inbox::replay(store, filter, SystemEnv.now(), |count| eprintln!("{count} so far")).await?;
    println!("{count} notifications are due again; the gateway acts on them when it runs");
    Ok(ExitCode::SUCCESS)
}
