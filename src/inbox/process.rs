//! Processes a stored notification: fetches each payment that it names.
//!
//! A notification that names an unknown object waits: it may have arrived before the answer to our start.

use std::sync::Arc;
use std::time::Duration;

use port::{AttemptId, NotificationId, NotificationTarget};

use super::MAX_TARGETS;
use crate::domain::{Attempt, AttemptState, Job, OrderAggregate, read_of, subject_of};
use crate::engine::{Command, CommandError};
use crate::metrics::NotificationOutcome;
use crate::payments::{PaymentError, Payments, ReadPass};
use crate::store::{ClaimedJob, InboxRow, StoreError};

/// How long a notification waits until its object is known and its provider answers.
const MAX_WAIT: Duration = Duration::from_secs(3 * 24 * 3_600);

/// How often it is tried at least; with the backoff about a quarter of a day.
const MIN_TRIES: u32 = 12;

/// Fetches each payment that a stored notification names. True if a target has to wait.
///
/// # Errors
/// [`StoreError`]; after any other error the target waits.
pub async fn process(
    payments: &Payments,
    job: &ClaimedJob,
    command: &Command,
    pass: &ReadPass,
) -> Result<bool, StoreError> {
    let (engine, id) = (&payments.engine, NotificationId::from_uuid(job.subject));
    let Some(row) = engine.store.notification(id).await? else { return Ok(false) };
    let targets: Vec<NotificationTarget> = serde_json::from_str(&row.targets)
        .map_err(|fault| StoreError::Corrupt(format!("the targets of {id}: {fault}")))?;
    let mut waits = None;
    for target in targets.iter().take(MAX_TARGETS) {
        // What is not found says more than what cannot be read.
        waits = waits.max(follow(payments, &row, target, command, pass).await?);
    }
    let Some(wait) = waits else { return Ok(false) };
    // A replayed notification is old, but gets its tries all the same.
    if job.tries < MIN_TRIES || engine.now().since(row.received_at) <= MAX_WAIT {
        return Ok(true);
    }
    let (outcome, why) = match wait {
        Wait::Unread => (NotificationOutcome::GivenUp, "its payment could not be read"),
        Wait::NotFound => (NotificationOutcome::Unmatched, "its target was not found"),
    };
    engine.metrics.notification(&row.account, outcome);
    tracing::warn!(notification.id = %row.id, account.name = %row.account, "a notification was given up: {why}");
    Ok(false)
}

/// Why a target has to wait.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Wait {
    /// Its payment is known, and has still to be read.
    Unread,
    /// Nothing that is known is called so.
    NotFound,
}

/// Fetches what one target names. Says why if it has to wait.
async fn follow(
    payments: &Payments,
    row: &InboxRow,
    target: &NotificationTarget,
    command: &Command,
    pass: &ReadPass,
) -> Result<Option<Wait>, StoreError> {
    let Some((order, attempt)) = find(payments, &row.account, target).await? else {
        return Ok(Some(Wait::NotFound));
    };
    let id = order.id();
    let followed = match read_of(&order, &attempt) {
        // Its start is running; wait for the answer, which says more than a read would.
        _ if attempt.state == AttemptState::Started => return Ok(Some(Wait::Unread)),
        // A read that is running may have been answered before the notified change.
        Some(Job::FetchStatus(payment)) if payments.fetched_lately(payment) => return Ok(Some(Wait::Unread)),
        Some(Job::FetchStatus(payment)) => {
            let fetched = payments.fetch_status(id, payment, command, pass).await;
            // The shared read may have started before the notification.
            fetched.map(|_| payments.fetched_before(payment, row.received_at))
        }
        // One that the provider does not know yet may still arrive there.
        Some(Job::CloseOrphan(attempt)) => payments
            .close_orphan(id, attempt, command, pass)
            .await
            .map(|order| order.attempt(attempt).is_some_and(|attempt| attempt.reference.is_none())),
        _ => return Ok(None),
    };
    match followed {
        Ok(waits) => Ok(waits.then_some(Wait::Unread)),
        Err(PaymentError::Command(CommandError::Store(fault))) => Err(fault),
        Err(fault) => {
            tracing::info!(notification.id = %row.id, account.name = %row.account, order.id = %id,
                "a notification could not be followed up: {fault}");
            Ok(Some(Wait::Unread))
        }
    }
}

/// The attempt that a target names, by the provider's reference or by its own id.
async fn find(
    payments: &Payments,
    account: &str,
    target: &NotificationTarget,
) -> Result<Option<(Arc<OrderAggregate>, Attempt)>, StoreError> {
    let store = &payments.engine.store;
    let mut subjects = match &target.reference {
        Some(reference) => store.with_provider_reference(account, reference).await?,
        None => Vec::new(),
    };
    let own_id = target.merchant_reference.as_deref();
    let own_id = own_id.and_then(|text| text.to_ascii_lowercase().parse::<AttemptId>().ok());
    subjects.extend(own_id.map(|attempt| subject_of(attempt.uuid())));
    for subject in subjects {
        let Some(order) = store.load::<OrderAggregate>(subject).await? else { continue };
        let named = |attempt: &&Attempt| {
            attempt.account == account
                && (Some(attempt.id) == own_id
                    || target.reference.as_deref().is_some_and(|reference| attempt.is_called(reference)))
        };
        if let Some(attempt) = order.attempts.iter().rev().find(named).cloned() {
            return Ok(Some((order, attempt)));
        }
    }
    Ok(None)
}
