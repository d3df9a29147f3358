//! Acting again on notifications that are stored: after a defect, or when a provider's answers were wrong for a
//! while. Each leads to a question to the provider, as it did when it came, and never to more. And forgetting them
//! in time: everything that they led to stands in the events.

use port::{NotificationId, Timestamp};

use crate::domain::JobKind;
use crate::store::{Change, InboxFilter, Store, StoreError, Write};

/// Notifications in one commit.
const PAGE: u32 = 200;

/// Makes the notifications of a range of time due again, oldest first. `told` hears how many there are so far.
/// Answers how many there were.
///
/// # Errors
/// [`StoreError`]; those that were told of stay due.
pub async fn replay(
    store: &dyn Store,
    filter: &InboxFilter,
    now: Timestamp,
    mut told: impl FnMut(u64),
) -> Result<u64, StoreError> {
    let mut count = 0;
    let mut after: Option<(Timestamp, NotificationId)> = None;
    loop {
        let page = store.notifications(filter, after, PAGE).await?;
        let Some(last) = page.last() else { return Ok(count) };
        after = Some(*last);
        count += u64::try_from(page.len()).unwrap_or(u64::MAX);
        let job = |(_, id): &(Timestamp, NotificationId)| Write::Job {
            kind: JobKind::ProcessNotification,
            subject: id.to_string(),
            order: None,
            at: Some(now),
        };
        store.commit(Change::plain("replay", page.iter().map(job).collect())).await?;
        told(count);
    }
}

/// Deletes some of the notifications that came before a moment, oldest first. Whether there may be more.
///
/// # Errors
/// [`StoreError`]; then none of them is deleted.
pub(super) async fn prune(store: &dyn Store, before: Timestamp) -> Result<bool, StoreError> {
    let all = InboxFilter { from: Timestamp::default(), to: before, account: None };
    let page = store.notifications(&all, None, PAGE).await?;
    if page.is_empty() {
        return Ok(false);
    }
    let forget = page.iter().map(|(_, id)| Write::PruneNotification(*id)).collect();
    store.commit(Change::plain("clear", forget)).await?;
    Ok(page.len() == PAGE as usize)
}
