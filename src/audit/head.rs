//! Compares the end of the books with the head that is kept beside the database.

use crate::store::sqlite::Head;
use crate::store::{Store, StoreError};

/// What is wrong with the end of the books; `None` if they hold the change that the head names.
pub async fn missing_tail(store: &dyn Store, head: Head) -> Result<Option<String>, StoreError> {
    let Head { position, hash } = head;
    let found = store.change_hashes(position.saturating_sub(1), 1).await?.into_iter().next();
    Ok(match found {
        Some(found) if found == (position, hash) => None,
        Some((at, _)) if at == position => {
            Some(format!("change {position} is another one than was written: it has another hash"))
        }
        _ => {
            let last = store.last_change().await?.map_or(0, |(position, _)| position);
            Some(missing_after(last, head))
        }
    })
}

/// What is wrong with books that end at a position before their head.
pub fn missing_after(last: u64, head: Head) -> String {
    format!("the newest changes are missing: they end at {last}, and {} was written", head.position)
}
