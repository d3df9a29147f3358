//! Compares the end of the books with the head that is kept beside the database.

use std::path::Path;

use crate::store::sqlite::Head;
use crate::store::{Store, StoreError};

/// How the end of the books compares with the head that is kept beside the database.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Tail {
    /// They hold the change that the head names, or there is no head.
    Fits,
    /// Whether changes are missing cannot be told, and why.
    Unknown(String),
    /// What is missing.
    Missing(String),
}

/// Compares the end of the books with the head beside their database.
///
/// # Errors
/// [`StoreError`] if the books cannot be read.
pub async fn tail(store: &dyn Store, database: &Path) -> Result<Tail, StoreError> {
    let last = store.last_change().await?.map_or(0, |(position, _)| position);
    let Head { position, hash } = match Head::beside(database) {
        Ok(Some(head)) => head,
        // The file is empty until there is a change.
        Err(unreadable) if last > 0 => return Ok(Tail::Unknown(unreadable.to_string())),
        Ok(None) | Err(_) => return Ok(Tail::Fits),
    };
    let found = store.change_hashes(position.saturating_sub(1), 1).await?.into_iter().next();
    Ok(match found {
        Some(found) if found == (position, hash) => Tail::Fits,
        Some((at, _)) if at == position => {
            Tail::Missing(format!("change {position} is another one than was written: it has another hash"))
        }
        _ => Tail::Missing(missing_after(last, position)),
    })
}

/// What is wrong with books that end at a position before their head's.
pub fn missing_after(last: u64, head: u64) -> String {
    format!("the newest changes are missing: they end at {last}, and {head} was written")
}
