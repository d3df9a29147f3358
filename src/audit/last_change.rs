//! Compares the newest change of a database with the one that the file beside it names.

use std::path::Path;

use crate::store::sqlite::LastChange;
use crate::store::{Store, StoreError};

/// How the newest change of a database compares with the one that the file beside it names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LastChangeCheck {
    /// The database has the change that the file names, or there is no file.
    Fits,
    /// Whether changes are missing cannot be told, and why.
    Unknown(String),
    /// What is missing.
    Missing(String),
}

/// Compares the newest change of a database with the one that the file beside it names.
///
/// # Errors
/// [`StoreError`] if the database cannot be read.
pub async fn check_last_change(store: &dyn Store, database: &Path) -> Result<LastChangeCheck, StoreError> {
    let newest = store.last_change().await?.map_or(0, |(position, _)| position);
    let LastChange { position, hash } = match LastChange::beside(database) {
        Ok(Some(last)) => last,
        // The file is empty until there is a change.
        Err(unreadable) if newest > 0 => return Ok(LastChangeCheck::Unknown(unreadable.to_string())),
        Ok(None) | Err(_) => return Ok(LastChangeCheck::Fits),
    };
    let found = store.change_hashes(position.saturating_sub(1), 1).await?.into_iter().next();
    Ok(match found {
        Some(found) if found == (position, hash) => LastChangeCheck::Fits,
        Some((at, _)) if at == position => LastChangeCheck::Missing(format!(
            "change {position} is another one than was written: it has another hash"
        )),
        _ => LastChangeCheck::Missing(missing_after(newest, position)),
    })
}

/// What is wrong with a database whose changes end at a position before the last one that was written.
pub fn missing_after(newest: u64, written: u64) -> String {
    format!("the newest changes are missing: they end at {newest}, and {written} was written")
}
