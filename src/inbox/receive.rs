//! Receives notifications: verifies them, then stores them or schedules a read.
//!
//! A notification with a signature or shared key is stored as it arrived. One that is verified only by the secret in
//! its address is not stored: it only schedules a read within the read limit, so a flood of forged ones costs neither
//! disk nor extra reads.
//!
//! One that cannot be read has no effect and is refused, so that the provider sends it again.

use std::collections::BTreeMap;
use std::time::Duration;

use port::{
    Notification, NotificationError, NotificationId, NotificationTarget, PaymentId, Secret, Timestamp, sign,
};

use super::MAX_TARGETS;
use crate::domain::{Lane, Urgency};
use crate::metrics::NotificationOutcome;
use crate::payments::{Account, PaymentError, Payments};
use crate::store::{Change, Due, InboxRow, JobSubject, StoreError, Unique, Wake, Write};

/// Receives notifications, and remembers for which references a read is already scheduled.
pub struct NotificationReceiver {
    /// The payment and time of the read that is scheduled for an account's reference. Until it begins, further
    /// notifications add nothing.
    scheduled: moka::sync::Cache<(String, String), (PaymentId, Timestamp)>,
    /// When an account's unreadable notification was last logged.
    logged_unreadable: moka::sync::Cache<String, Timestamp>,
}

const MAX_SCHEDULED: u64 = 50_000;

/// The most accounts that are remembered.
const MAX_LOGGED: u64 = 1_000;

/// The shortest time between two log lines about unreadable notifications of an account.
const LOG_INTERVAL: Duration = Duration::from_secs(60);

impl Default for NotificationReceiver {
    fn default() -> Self {
        Self {
            scheduled: moka::sync::Cache::new(MAX_SCHEDULED),
            logged_unreadable: moka::sync::Cache::new(MAX_LOGGED),
        }
    }
}

impl NotificationReceiver {
    /// Acts on a notification that was [verified](verify). The same notification again changes nothing.
    ///
    /// # Errors
    /// [`PaymentError`]; the provider should then send it again.
    pub async fn receive(
        &self,
        payments: &Payments,
        account: &Account,
        notification: &Notification<'_>,
        verified: Verified,
    ) -> Result<NotificationOutcome, PaymentError> {
        match verified {
            Verified::Signed(targets) => store(payments, account, notification, &targets).await,
            Verified::Addressed(targets) => {
                self.schedule_reads(payments, account, targets, notification.received_at).await
            }
            Verified::Unreadable => Ok(self.unreadable(account, notification)),
        }
    }

    /// Logs that a notification cannot be read; of an account at most once in `LOG_INTERVAL`.
    fn unreadable(&self, account: &Account, notification: &Notification<'_>) -> NotificationOutcome {
        let now = notification.received_at;
        let logged = self.logged_unreadable.get(&account.name);
        if logged.is_none_or(|last| last.plus(LOG_INTERVAL) <= now) {
            self.logged_unreadable.insert(account.name.clone(), now);
            let bytes = notification.body.len();
            tracing::warn!(account.name = %account.name, notification.bytes = bytes,
                "a notification cannot be read and was refused; what it is about is found by polling, or not at all \
                 once it is paid");
        }
        NotificationOutcome::Unreadable
    }

    /// Schedules reads of what an unsigned notification names.
    async fn schedule_reads(
        &self,
        payments: &Payments,
        account: &Account,
        targets: Vec<NotificationTarget>,
        now: Timestamp,
    ) -> Result<NotificationOutcome, PaymentError> {
        let mut outcome = NotificationOutcome::Unmatched;
        let named = |target: NotificationTarget| Some((target.reference?, target.status));
        for (reference, status) in targets.into_iter().filter_map(named).take(MAX_TARGETS) {
            let name = (account.name.clone(), reference.to_ascii_lowercase());
            let scheduled = self.scheduled.get(&name);
            if !scheduled.is_some_and(|(payment, at)| now < at && payments.awaits_fetch(payment)) {
                let scheduled =
                    payments.schedule_notified_fetch(account, &reference, status.as_ref()).await?;
                let Some(scheduled) = scheduled else { continue };
                self.scheduled.insert(name, scheduled);
            }
            outcome = NotificationOutcome::Accepted;
        }
        Ok(outcome)
    }
}

/// What a notification names, and how it was verified.
pub enum Verified {
    /// By a signature or a shared key.
    Signed(Vec<NotificationTarget>),
    /// By the secret part of the address that it came to, and by nothing else.
    Addressed(Vec<NotificationTarget>),
    /// In either way, but what it says cannot be read.
    Unreadable,
}

/// Verifies a notification that came to an account at an address with this secret part; `notification.address_key` is
/// set here. `None`: nothing proves that it comes from the provider. Pure.
pub fn verify(account: &Account, notification: &Notification<'_>, key: &str) -> Option<Verified> {
    let read =
        |address_key| account.adapter.read_notification(&Notification { address_key, ..*notification });
    // Only the adapter knows whether a signature is required, so it is called without the address key first.
    match read(false) {
        Ok(targets) => return Some(Verified::Signed(targets)),
        Err(NotificationError::Unreadable) => return Some(Verified::Unreadable),
        Err(NotificationError::Unverified) => {}
    }
    let known = |held: &Secret| sign::same_secret(held, key.as_bytes());
    account.notify_key.as_ref().filter(|held| known(held))?;
    match read(true) {
        Ok(targets) => Some(Verified::Addressed(targets)),
        Err(NotificationError::Unreadable) => Some(Verified::Unreadable),
        Err(NotificationError::Unverified) => None,
    }
}

/// Stores a verified notification, and makes it due if it has targets.
async fn store(
    payments: &Payments,
    account: &Account,
    notification: &Notification<'_>,
    targets: &[NotificationTarget],
) -> Result<NotificationOutcome, PaymentError> {
    let engine = &payments.engine;
    let id = NotificationId::from_uuid(engine.env.uuid());
    let row = InboxRow {
        id,
        account: account.name.clone(),
        identity: identity(notification, targets),
        headers: stored_headers(notification.headers),
        body: notification.body.to_vec(),
        targets: serde_json::to_string(targets).expect("plain data is always JSON"),
        received_at: notification.received_at,
    };
    let wake = wake(id, &account.name, notification.received_at);
    let wake = (!targets.is_empty()).then_some(Write::Wake(wake));
    let writes = [Write::Notification(row)].into_iter().chain(wake).collect();
    match engine.commit(Change::plain("notification", writes)).await {
        Ok(()) => {
            tracing::info!(notification.id = %id, account.name = %account.name, "a notification has come");
            Ok(NotificationOutcome::Accepted)
        }
        Err(StoreError::Taken(Unique::Notification)) => Ok(NotificationOutcome::Accepted),
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
const STORED_HEADERS: [&str; 6] =
    ["content-type", "user-agent", "message-id", "message-timestamp", "webhook-id", "webhook-timestamp"];

fn stored_headers(headers: &[(String, String)]) -> String {
    let kept = headers.iter().filter(|(name, _)| STORED_HEADERS.contains(&name.as_str()));
    let kept: BTreeMap<_, _> = kept.map(|(name, value)| (name.as_str(), value.as_str())).collect();
    serde_json::to_string(&kept).expect("text is always JSON")
}
