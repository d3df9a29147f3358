//! Checkpoints: a hash over all changes up to a position, so that a deleted subject is detected.

use std::time::Duration;

use port::Timestamp;

use crate::domain::Hash;
use crate::store::{Change, CheckpointRow, Store, StoreError, Write};

/// How far apart checkpoints are.
pub const CHECKPOINT_INTERVAL: Duration = Duration::from_secs(3_600);

/// Changes read at a time.
pub(super) const PAGE: u32 = 1_000;

/// Chains every change since the last checkpoint into a new one. Nothing if there are none.
pub async fn checkpoint(store: &dyn Store, now: Timestamp) -> Result<(), StoreError> {
    let last = store.last_checkpoint().await?.unwrap_or_default();
    let mut next = CheckpointRow { number: last.number + 1, at: now, ..last };
    loop {
        let page = store.change_hashes(next.position, PAGE).await?;
        for (position, hash) in &page {
            next = chained(next, *position, *hash);
        }
        if page.len() < PAGE as usize {
            break;
        }
    }
    if next.position == last.position {
        return Ok(());
    }
    store.commit(Change::plain("checkpoint", vec![Write::Checkpoint(next)])).await
}

pub(super) fn chained(so_far: CheckpointRow, position: u64, hash: Hash) -> CheckpointRow {
    CheckpointRow {
        position,
        changes: so_far.changes + 1,
        hash: so_far.hash.chain(format!("{position} {hash}").as_bytes()),
        ..so_far
    }
}
