//! Notifications: addressed and signed as the provider would, and spoiled as a fault wants.

use crate::context::PendingNotification;
use crate::dialect;
use crate::faults::{ActiveFault, Fault, Operation, Switchboard};
use crate::http::Outgoing;
use crate::ledger::Ledger;
use crate::object::Provider;

/// How a notification is sent when it is sent otherwise than as usual.
pub(crate) struct SendOptions {
    pub copies: usize,
    pub delay_ms: u64,
    pub forged: bool,
}

/// As usual.
const ONCE: SendOptions = SendOptions { copies: 1, delay_ms: 0, forged: false };

impl SendOptions {
    /// The notifications of providers that have a subscription, in their order, each as often as wanted.
    pub(crate) fn send(
        &self,
        notifications: &[PendingNotification],
        ledger: &Ledger,
        now: i64,
    ) -> Vec<Outgoing> {
        let addressed =
            notifications.iter().filter_map(|notification| self.address(notification, ledger, now));
        addressed.flat_map(|outgoing| std::iter::repeat_n(outgoing, self.copies)).collect()
    }

    fn address(&self, notification: &PendingNotification, ledger: &Ledger, now: i64) -> Option<Outgoing> {
        let to = ledger.subscription(notification.provider)?;
        let late = i64::try_from(self.delay_ms / 1000).unwrap_or(0);
        let sent_at = now.div_euclid(1_000_000).saturating_add(late);
        let dialect = dialect::of(notification.provider);
        let signed = dialect.sign(to, &notification.event_id, sent_at, &notification.body, self.forged);
        let mut headers = vec![("content-type".to_owned(), "application/json".to_owned())];
        headers.extend(signed.headers);
        Some(Outgoing { url: signed.url, headers, body: notification.body.clone(), delay_ms: self.delay_ms })
    }
}

/// Sends notifications, and delays those that a fault reorders.
#[derive(Default)]
pub(crate) struct NotificationSender {
    held_back: Vec<(Provider, Outgoing)>,
}

impl NotificationSender {
    pub(crate) fn send(
        &mut self,
        notifications: Vec<PendingNotification>,
        ledger: &Ledger,
        switchboard: &mut Switchboard,
        now: i64,
    ) -> Vec<Outgoing> {
        let mut sent = Vec::new();
        for notification in notifications
            .into_iter()
            .filter(|notification| ledger.subscription(notification.provider).is_some())
        {
            let provider = notification.provider;
            let options = match switchboard.take(provider, Operation::Notify) {
                Some(ActiveFault { fault: Fault::Lose, .. }) => continue,
                Some(ActiveFault { fault: Fault::Reorder, .. }) => {
                    let late = ONCE.send(&[notification], ledger, now);
                    self.held_back.extend(late.into_iter().map(|outgoing| (provider, outgoing)));
                    continue;
                }
                Some(ActiveFault { fault: Fault::Duplicate, .. }) => SendOptions { copies: 2, ..ONCE },
                Some(ActiveFault { fault: Fault::Delay, delay_ms }) => SendOptions { delay_ms, ..ONCE },
                Some(ActiveFault { fault: Fault::BadSignature, .. }) => SendOptions { forged: true, ..ONCE },
                _ => ONCE,
            };
            sent.append(&mut options.send(&[notification], ledger, now));
            let overtaken = self.held_back.extract_if(.., |(held, _)| *held == provider);
            sent.extend(overtaken.map(|(_, outgoing)| outgoing));
        }
        sent
    }
}
