//! Replays stored notifications, for example after a defect, and prunes old ones. What they caused is in the history of
//! the orders.

use port::Timestamp;

use super::receive::wake;
use crate::engine::Engine;
use crate::store::{Change, InboxFilter, Store, StoreError, Write};

const PAGE: u32 = 200;

/// Makes the notifications of a range of time due again, oldest first, also beside a running gateway. Returns their number.
///
/// # Errors
/// [`StoreError`]; those before it stay due.
pub async fn replay(engine: &Engine, filter: &InboxFilter) -> Result<u64, StoreError> {
    let now = engine.now();
    let mut count = 0;
    let mut filter = InboxFilter { after: None, limit: PAGE, ..filter.clone() };
    loop {
        let page = engine.store.notifications(&filter).await?;
        let Some((at, id, _)) = page.last() else { return Ok(count) };
        filter.after = Some((*at, *id));
        count += page.len() as u64;
        let wakes = page.iter().map(|(_, id, account)| Write::Wake(wake(*id, account, now)));
        engine.commit(Change::plain("replay", wakes.collect())).await?;
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
