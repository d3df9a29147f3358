//! Receiving notifications.
//!
//! A notification that proves itself (a signature, a shared key) is stored raw. One that is proven by the secret part
//! of its address alone says nothing about its content: it leaves no trace but a read of the provider that was allowed
//! anyway, so a flood of forged ones costs neither disk nor the provider's patience.

use std::collections::BTreeMap;

use port::{Notification, NotificationError, NotificationId, NotificationTarget, PaymentId, Timestamp, sign};

use super::MAX_TARGETS;
use crate::domain::{Lane, Urgency};
use crate::metrics::NotificationOutcome;
use crate::payments::{Account, PaymentError, Payments};
use crate::store::{Change, Due, InboxRow, JobSubject, StoreError, Unique, Wake, Write};

/// Receives notifications, and remembers which need not be looked up again.
pub struct NotificationReceiver {
    planned: moka::sync::Cache<(String, String), Planned>,
}

/// The read that is planned about a reference of ours. Until then, another notification about it adds nothing, unless
/// that read has begun earlier.
#[derive(Clone, Copy)]
struct Planned {
    payment: PaymentId,
    at: Timestamp,
}

/// References that are remembered.
const MAX_PLANNED: u64 = 50_000;

impl Default for NotificationReceiver {
    fn default() -> Self {
        Self { planned: moka::sync::Cache::new(MAX_PLANNED) }
    }
}

/// What shows that a notification comes from the provider.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Authenticity {
    /// Something in it: a signature, or a key that was agreed on.
    Own,
    /// Only the address that it came to.
    Address,
}

impl NotificationReceiver {
    /// Receives a notification that came to an account at an address with this secret part. `notification` does not
    /// vouch for the address; the same notification again is nothing new.
    ///
    /// # Errors
    /// [`PaymentError`]; then the provider shall send it again.
    pub async fn receive(
        &self,
        payments: &Payments,
        account: &Account,
        notification: &Notification<'_>,
        key: &str,
    ) -> Result<NotificationOutcome, PaymentError> {
        let Some((authenticity, targets)) = read(account, notification, key) else {
            return Ok(NotificationOutcome::Unverified);
        };
        match (authenticity, targets) {
            (Authenticity::Own, targets) => keep(payments, account, notification, targets).await,
            (Authenticity::Address, None) => Ok(NotificationOutcome::Unreadable),
            (Authenticity::Address, Some(targets)) => {
                self.follow(payments, account, targets, notification.received_at).await
            }
        }
    }

    /// Has the provider asked about what an unsigned notification points at.
    async fn follow(
        &self,
        payments: &Payments,
        account: &Account,
        targets: Vec<NotificationTarget>,
        now: Timestamp,
    ) -> Result<NotificationOutcome, PaymentError> {
        let mut outcome = NotificationOutcome::Unmatched;
        for reference in targets.into_iter().filter_map(|target| target.reference).take(MAX_TARGETS) {
            let name = (account.name.clone(), reference);
            if !self.adds_nothing(payments, &name, now) {
                let scheduled = payments.schedule_notified_fetch(&name.0, &name.1).await?;
                let Some((payment, at)) = scheduled else { continue };
                self.planned.insert(name, Planned { payment, at });
            }
            outcome = NotificationOutcome::Accepted;
        }
        Ok(outcome)
    }

    /// Whether a read is planned that will answer a notification about this reference too.
    fn adds_nothing(&self, payments: &Payments, name: &(String, String), now: Timestamp) -> bool {
        let planned = self.planned.get(name);
        planned.is_some_and(|planned| now < planned.at && payments.awaits_fetch(planned.payment))
    }
}

/// What a notification points at, `None` where it is not understood, and how it proved itself, if it did. Whether a
/// proof of its own is needed, and there, only the adapter knows, so it is asked without the address first.
fn read(
    account: &Account,
    notification: &Notification<'_>,
    key: &str,
) -> Option<(Authenticity, Option<Vec<NotificationTarget>>)> {
    let address_key = account.notify_key.as_ref().is_some_and(|held| sign::same_secret(held, key.as_bytes()));
    let ways = [(Authenticity::Own, false), (Authenticity::Address, true)];
    for (authenticity, address_key) in ways.into_iter().filter(|(_, needs_key)| !needs_key || address_key) {
        match account.adapter.read_notification(&Notification { address_key, ..*notification }) {
            Ok(targets) => return Some((authenticity, Some(targets))),
            Err(NotificationError::Unreadable) => return Some((authenticity, None)),
            Err(NotificationError::Unverified) => {}
        }
    }
    None
}

/// Stores a verified notification, and makes it due if it points at anything.
async fn keep(
    payments: &Payments,
    account: &Account,
    notification: &Notification<'_>,
    targets: Option<Vec<NotificationTarget>>,
) -> Result<NotificationOutcome, PaymentError> {
    let engine = &payments.engine;
    let outcome = match targets {
        Some(_) => NotificationOutcome::Accepted,
        None => NotificationOutcome::Unreadable,
    };
    let targets = targets.unwrap_or_default();
    let row = InboxRow {
        id: NotificationId::from_uuid(engine.env.uuid()),
        account: account.name.clone(),
        identity: identity(notification, &targets),
        headers: kept_headers(notification.headers),
        body: notification.body.to_vec(),
        targets: serde_json::to_string(&targets).expect("plain data is always JSON"),
        received_at: notification.received_at,
    };
    let wake = wake(row.id, &account.name, notification.received_at);
    let wake = (!targets.is_empty()).then_some(Write::Wake(wake));
    let writes = [Write::Notification(row)].into_iter().chain(wake).collect();
    match engine.commit(Change::plain("notification", writes)).await {
        Ok(()) | Err(StoreError::Taken(Unique::Notification)) => Ok(outcome),
        Err(fault) => Err(fault.into()),
    }
}

/// Makes a stored notification due, in the lane of its account.
pub(super) fn wake(id: NotificationId, account: &str, at: Timestamp) -> Wake {
    Wake {
        subject: id.uuid(),
        kind: JobSubject::Notification,
        lane: Lane::Account(account.to_owned()),
        due: Due { at, urgency: Urgency::Notified },
        attempt: None,
    }
}

/// What makes a notification the same as another one.
fn identity(notification: &Notification<'_>, targets: &[NotificationTarget]) -> String {
    let event = targets.iter().find_map(|target| target.event.as_ref());
    event.map_or_else(|| hex::encode(sign::sha256(&[notification.body])), |event| format!("event {event}"))
}

/// The headers that are stored. A list of what is harmless: where a provider puts its secrets is its own affair.
const KEPT_HEADERS: [&str; 6] =
    ["content-type", "user-agent", "message-id", "message-timestamp", "webhook-id", "webhook-timestamp"];

fn kept_headers(headers: &[(String, String)]) -> String {
    let kept = headers.iter().filter(|(name, _)| KEPT_HEADERS.contains(&name.as_str()));
    let kept: BTreeMap<_, _> = kept.map(|(name, value)| (name.as_str(), value.as_str())).collect();
    serde_json::to_string(&kept).expect("text is always JSON")
}
