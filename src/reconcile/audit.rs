//! Checking the books: the chain of each order, the checkpoints over all of them, and whether the rows are what
//! the events make.

use std::time::Duration;

use port::Timestamp;

use crate::domain::{Hash, OrderAggregate};
use crate::store::{Change, CheckpointRow, Store, StoreError, Write};

/// How far apart checkpoints are.
pub(super) const CHECKPOINT_INTERVAL: Duration = Duration::from_secs(3_600);

/// Events or orders read at a time.
const PAGE: u32 = 1_000;

/// Faults that are told one by one; more are counted.
const MAX_TOLD: usize = 100;

/// Chains every event since the last checkpoint into a new one. Nothing if there are none.
///
/// # Errors
/// [`StoreError`].
pub async fn checkpoint(store: &dyn Store, now: Timestamp) -> Result<(), StoreError> {
    let last = store.last_checkpoint().await?.unwrap_or(before_the_first());
    let mut next = CheckpointRow { number: last.number + 1, at: now, ..last };
    loop {
        let page = store.event_hashes(next.position, PAGE).await?;
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

fn before_the_first() -> CheckpointRow {
    CheckpointRow { number: 0, at: Timestamp::default(), position: 0, events: 0, hash: Hash::default() }
}

fn chained(so_far: CheckpointRow, position: u64, hash: Hash) -> CheckpointRow {
    CheckpointRow {
        position,
        events: so_far.events + 1,
        hash: so_far.hash.chain(&format!("{position} {hash}")),
        ..so_far
    }
}

/// What a check of the books came to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AuditReport {
    /// Orders that were checked.
    pub orders: u64,
    /// Events that were checked.
    pub events: u64,
    /// Checkpoints that were checked.
    pub checkpoints: u64,
    /// What is wrong, in words; at most 100.
    pub faults: Vec<String>,
    /// How much more is wrong.
    pub more_faults: u64,
}

impl AuditReport {
    /// Whether everything fits.
    pub fn is_fine(&self) -> bool {
        self.faults.is_empty()
    }

    fn fault(&mut self, what: String) {
        if self.faults.len() < MAX_TOLD {
            self.faults.push(what);
        } else {
            self.more_faults += 1;
        }
    }
}

/// Checks every order's chain, makes its rows again from its events, and checks the checkpoints. `progress` is
/// told how many orders are done.
///
/// # Errors
/// [`StoreError`] if something cannot be read at all; what is read and wrong is in the verdict.
pub async fn verify(store: &dyn Store, mut progress: impl FnMut(u64)) -> Result<AuditReport, StoreError> {
    let mut report = AuditReport::default();
    let mut last = None;
    loop {
        let page = store.order_ids(last, PAGE).await?;
        for order in &page {
            verify_order(store, *order, &mut report).await?;
            report.orders += 1;
            progress(report.orders);
        }
        last = page.last().copied();
        if page.len() < PAGE as usize {
            break;
        }
    }
    verify_checkpoints(store, &mut report).await?;
    Ok(report)
}

async fn verify_order(
    store: &dyn Store,
    order: port::OrderId,
    report: &mut AuditReport,
) -> Result<(), StoreError> {
    let mut events = Vec::new();
    let read = loop {
        let after = events.last().map_or(0, |event: &crate::domain::RecordedEvent| event.sequence);
        match store.events(order, after, PAGE).await {
            Ok(page) => {
                let all = page.len() < PAGE as usize;
                events.extend(page);
                if all {
                    break Ok(());
                }
            }
            Err(fault) => break Err(fault),
        }
    };
    if let Err(StoreError::Corrupt(why)) = &read {
        report.fault(format!("{order}: an event cannot be read: {why}"));
        return Ok(());
    }
    read?;
    report.events += events.len() as u64;
    let mut head = Hash::default();
    for event in &events {
        head = head.chain(&event.text);
        if head != event.hash {
            report.fault(format!("{order}: the chain breaks at event {}", event.sequence));
            return Ok(());
        }
    }
    let made = OrderAggregate::replay(&events);
    match (made, store.order(order).await?) {
        (Err(error), _) => report.fault(format!("{order}: {error}")),
        (Ok(_), None) => report.fault(format!("{order}: it has events and no rows")),
        (Ok(made), Some(stored)) if made != stored => {
            report.fault(format!("{order}: its rows are not what its {} events make", events.len()));
        }
        (Ok(_), Some(_)) => {}
    }
    Ok(())
}

async fn verify_checkpoints(store: &dyn Store, report: &mut AuditReport) -> Result<(), StoreError> {
    let mut made = before_the_first();
    let mut hashes = Vec::new().into_iter();
    loop {
        let Some(stored) = store.checkpoints(made.number, 1).await?.into_iter().next() else { return Ok(()) };
        report.checkpoints += 1;
        while made.position < stored.position {
            let next = match hashes.next() {
                Some(next) => next,
                None => {
                    hashes = store.event_hashes(made.position, PAGE).await?.into_iter();
                    let Some(next) = hashes.next() else { break };
                    next
                }
            };
            made = chained(made, next.0, next.1);
        }
        made.number += 1;
        let fits = made.hash == stored.hash && made.number == stored.number && made.events == stored.events;
        if !fits {
            let number = stored.number;
            report.fault(format!("checkpoint {number}: events before it are missing or were changed"));
            return Ok(());
        }
    }
}
