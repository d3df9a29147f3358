//! Receives notifications: verifies them, then stores them or schedules a read.
//!
//! A notification with a signature or shared key is stored as it arrived. One that is verified only by the secret in
//! its address is not stored: it only schedules a read within the read limit, so a flood of forged ones costs neither
//! disk nor extra reads.

use std::collections::BTreeMap;

use port::{Notification, NotificationError, NotificationId, NotificationTarget, PaymentId, Timestamp, sign};

use super::MAX_TARGETS;
use crate::domain::{Lane, Urgency};
use crate::metrics::NotificationOutcome;
use crate::payments::{Account, PaymentError, Payments};
use crate::store::{Change, Due, InboxRow, JobSubject, StoreError, Unique, Wake, Write};

/// Receives notifications, and remembers for which references a read is already scheduled.
pub struct NotificationReceiver {
    planned: moka::sync::Cache<(String, String), Planned>,
}

/// The read that is scheduled for a reference. Until it begins, further notifications add nothing.
#[derive(Clone, Copy)]
struct Planned {
    payment: PaymentId,
    at: Timestamp,
}

const MAX_PLANNED: u64 = 50_000;

impl Default for NotificationReceiver {
    fn default() -> Self {
        Self { planned: moka::sync::Cache::new(MAX_PLANNED) }
    }
}

/// How a notification was verified.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Authenticity {
    /// A signature or shared key in the notification.
    Own,
    /// Only the secret in the address.
    Address,
}

impl NotificationReceiver {
    /// Receives a notification that came to an account at an address with this secret part. `notification.address_key`
    /// is set here; the same notification again changes nothing.
    ///
    /// # Errors
    /// [`PaymentError`]; the provider should then send it again.
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

    /// Schedules reads of what an unsigned notification names.
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

    /// Whether a scheduled read already covers this reference.
    fn adds_nothing(&self, payments: &Payments, name: &(String, String), now: Timestamp) -> bool {
        let planned = self.planned.get(name);
        planned.is_some_and(|planned| now < planned.at && payments.awaits_fetch(planned.payment))
    }
}

/// How a notification was verified and its targets (`None` if unreadable); `None` if it is not verified. Only the
/// adapter knows whether a signature is required, so it is called without the address key first.
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

/// Stores a verified notification, and makes it due if it has targets.
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

/// The identity of a notification, for deduplication.
fn identity(notification: &Notification<'_>, targets: &[NotificationTarget]) -> String {
    let event = targets.iter().find_map(|target| target.event.as_ref());
    event.map_or_else(|| hex::encode(sign::sha256(&[notification.body])), |event| format!("event {event}"))
}

/// The headers that are stored. An allow list, since any other header may contain a secret.
const KEPT_HEADERS: [&str; 6] =
    ["content-type", "user-agent", "message-id", "message-timestamp", "webhook-id", "webhook-timestamp"];

fn kept_headers(headers: &[(String, String)]) -> String {
    let kept = headers.iter().filter(|(name, _)| KEPT_HEADERS.contains(&name.as_str()));
    let kept: BTreeMap<_, _> = kept.map(|(name, value)| (name.as_str(), value.as_str())).collect();
    serde_json::to_string(&kept).expect("text is always JSON")
}
