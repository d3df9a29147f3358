//! What a stored notification leads to: the provider is asked about the payment that it points at.
//!
//! A notification is a hint and never a fact. One that points at nothing of ours yet waits: it may have overtaken
//! the answer to our own start.

use std::time::Duration;

use port::{AttemptId, NotificationTarget, PaymentId};

use crate::domain::{Attempt, AttemptState, Cause, OrderAggregate};
use crate::metrics::NotificationOutcome;
use crate::payments::{PaymentError, Payments};
use crate::store::{InboxRow, Job, OrderLocator, StoreError};

/// How long a notification waits for an object of ours, or for its provider to answer.
const MAX_WAIT: Duration = Duration::from_secs(3 * 24 * 3_600);

/// How often it is tried at least: about a quarter of a day.
const MIN_TRIES: u32 = 12;

/// More objects than this are not looked at in one notification. The providers name one, or a few.
pub(super) const MAX_HINTS: usize = 20;

/// Asks the provider about each payment that a stored notification points at. True if something of it has to wait.
///
/// # Errors
/// [`PaymentError::Store`]; whatever else goes wrong waits.
pub(super) async fn process_notification(
    payments: &Payments,
    job: &Job,
    cause: &Cause,
) -> Result<bool, PaymentError> {
    let (shared, note) = (&payments.shared, &job.subject);
    let Some(row) = shared.store.notification(note).await? else { return Ok(false) };
    let targets: Vec<NotificationTarget> = serde_json::from_str(&row.targets)
        .map_err(|fault| StoreError::Corrupt(format!("the hints of {note}: {fault}")))?;
    let mut waits = false;
    for target in targets.iter().take(MAX_HINTS) {
        waits |= follow(payments, &row, target, cause).await?;
    }
    // One that is acted on again is old, and has its tries before it all the same.
    if waits && job.tries >= MIN_TRIES && shared.now().since(row.received_at) > MAX_WAIT {
        shared.metrics.notification(&row.account, NotificationOutcome::Unmatched);
        tracing::warn!(notification.id = %row.id, account.name = %row.account, "a notification has waited in vain");
        return Ok(false);
    }
    Ok(waits)
}

/// Asks about what one hint points at. True if it has to wait.
async fn follow(
    payments: &Payments,
    row: &InboxRow,
    target: &NotificationTarget,
    cause: &Cause,
) -> Result<bool, PaymentError> {
    let Some((order, attempt)) = find(payments, &row.account, target).await? else { return Ok(true) };
    let id = order.id();
    let asked = match step(&order, &attempt) {
        Step::Wait => return Ok(true),
        Step::Nothing => return Ok(false),
        // A read that has begun may have been answered before what the notification tells of.
        Step::FetchStatus(payment) if payments.fetched_lately(payment) => return Ok(true),
        Step::FetchStatus(payment) => {
            let asked = payments.fetch_status(id, payment, cause).await;
            // One that was under way and answered us too may be such a read.
            asked.map(|_| payments.fetched_before(payment, row.received_at))
        }
        // One that its provider does not know yet may be on its way.
        Step::Close => payments
            .close_orphan(id, attempt.id, cause)
            .await
            .map(|order| order.attempt(attempt.id).is_some_and(|attempt| attempt.reference.is_none())),
    };
    match asked {
        Ok(waits) => Ok(waits),
        Err(PaymentError::Store(fault)) => Err(fault.into()),
        Err(fault) => {
            tracing::info!(notification.id = %row.id, account.name = %row.account,
                "a notification could not be followed up: {fault}");
            Ok(true)
        }
    }
}

/// What a hint at an attempt leads to.
enum Step {
    /// Its start is under way, and the answer to it says more than a look would.
    Wait,
    /// It was given up, and no payment stands on it.
    Nothing,
    /// A look at the provider.
    FetchStatus(PaymentId),
    /// It was given up and exists all the same.
    Close,
}

fn step(order: &OrderAggregate, attempt: &Attempt) -> Step {
    match attempt.state {
        AttemptState::Started => Step::Wait,
        AttemptState::Orphaned => Step::Close,
        AttemptState::Ended if attempt.reference.is_none() => Step::Close,
        AttemptState::Created | AttemptState::Ended => {
            order.payment_of(attempt).map_or(Step::Nothing, |payment| Step::FetchStatus(payment.id))
        }
    }
}

/// The attempt of ours at this account that a hint points at, by the provider's id or else by our own.
async fn find(
    payments: &Payments,
    account: &str,
    target: &NotificationTarget,
) -> Result<Option<(OrderAggregate, Attempt)>, StoreError> {
    let theirs = target.reference.as_ref().map(|reference| OrderLocator::Reference {
        account: account.to_owned(),
        reference: reference.clone(),
    });
    let ours = target.merchant_reference.as_deref().and_then(|text| text.parse::<AttemptId>().ok());
    for locator in theirs.into_iter().chain(ours.map(OrderLocator::Attempt)) {
        let Some(order) = payments.shared.store.order_of(&locator).await? else { continue };
        let Some(order) = payments.shared.store.order(order).await? else { continue };
        let named = |attempt: &&Attempt| {
            attempt.account == account
                && (Some(attempt.id) == ours
                    || attempt.reference.is_some() && attempt.reference == target.reference)
        };
        if let Some(attempt) = order.attempts.iter().rev().find(named).cloned() {
            return Ok(Some((order, attempt)));
        }
    }
    Ok(None)
}
