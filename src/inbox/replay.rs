//! Replays stored notifications, for example after a defect, and prunes old ones. What they caused is in the history of
//! the orders.

use port::Timestamp;

use super::receive::wake;
use crate::store::{Change, InboxFilter, Store, StoreError, Write};

const PAGE: u32 = 200;

/// Makes the notifications of a range of time due again, oldest first. `progress` is called with the number so far.
/// Returns the number.
///
/// # Errors
/// [`StoreError`]; those reported to `progress` stay due.
pub async fn replay(
    store: &dyn Store,
    filter: &InboxFilter,
    now: Timestamp,
    mut progress: impl FnMut(u64),
) -> Result<u64, StoreError> {
    let mut count = 0;
    let mut filter = InboxFilter { after: None, limit: PAGE, ..filter.clone() };
    loop {
        let page = store.notifications(&filter).await?;
        let Some((at, id, _)) = page.last() else { return Ok(count) };
        filter.after = Some((*at, *id));
        count += page.len() as u64;
        let wakes = page.iter().map(|(_, id, account)| Write::Wake(wake(*id, account, now)));
        store.commit(Change::plain("replay", wakes.collect())).await?;
        progress(count);
    }
}

/// Deletes a page of notifications older than `before`. True if there may be more.
///
/// # Errors
/// [`StoreError`]; then none of them is deleted.
pub async fn prune(store: &dyn Store, before: Timestamp) -> Result<bool, StoreError> {
    let all = InboxFilter { from: Timestamp::default(), to: before, account: None, after: None, limit: PAGE };
    let page = store.notifications(&all).await?;
    if page.is_empty() {
        return Ok(false);
    }
    let deletions = page.iter().map(|(_, id, _)| Write::DeleteNotification(*id)).collect();
    store.commit(Change::plain("prune", deletions)).await?;
    Ok(page.len() == PAGE as usize)
}
