//! The order aggregate: an order with its sessions, attempts, payments, refunds and attention. Only events change it.

use std::time::Duration;

use port::{
    AttemptId, AttentionId, OrderId, PaymentId, PaymentStatus, ProfileId, RefundId, SessionId, Timestamp,
};
use serde::{Deserialize, Serialize};

use super::erasable::{ErasableSlot, slots};
use super::event::{Actor, Event};
use super::jobs::{DueJob, due};
use super::lookup::Lookup;
use super::order::OrderHeader;
use super::payment::{Attention, Payment, Refund, RefundStatus};
use super::schedule::is_open;
use super::session::{Attempt, AttemptState, Session};
use super::subject::{ChangeMeta, Head, ReplayError, Subject, any_subject};

/// An order with its sessions, attempts, payments, refunds and attention, changed together. Each list is in order of
/// creation, which is the order of ids.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct OrderAggregate {
    pub header: OrderHeader,
    pub sessions: Vec<Session>,
    pub attempts: Vec<Attempt>,
    pub payments: Vec<Payment>,
    pub refunds: Vec<Refund>,
    pub attention: Vec<Attention>,
    /// Its latest sequence numbers and hash.
    pub head: Head,
}

impl Subject for OrderAggregate {
    type Event = Event;

    any_subject!(Order, |order| order.header);

    fn open(first: &Event, _: &ChangeMeta) -> Option<Self> {
        let Event::OrderCreated(header) = first else { return None };
        Some(Self {
            header: (**header).clone(),
            sessions: Vec::new(),
            attempts: Vec::new(),
            payments: Vec::new(),
            refunds: Vec::new(),
            attention: Vec::new(),
            head: Head::default(),
        })
    }

    fn apply_event(&mut self, event: &Event, meta: &ChangeMeta) -> Result<(), ReplayError> {
        let at = meta.at;
        self.header.updated_at = at;
        self.apply(event, at)?;
        if meta.cause.actor == Actor::Merchant && self.header.state.is_unsubmitted() {
            self.header.expires_at = at.plus(Duration::from_secs(self.header.idle_seconds));
        }
        Ok(())
    }

    fn list_state(&self) -> &'static str {
        self.header.state.as_str()
    }

    fn erasables(&mut self) -> Vec<&mut dyn ErasableSlot> {
        let header = &mut self.header;
        let mut found: Vec<&mut dyn ErasableSlot> = vec![&mut header.content.personal];
        found.extend(slots(&mut header.signature));
        found.extend(slots(&mut header.external_payment));
        found.extend(slots(&mut header.fulfilment));
        found.extend(slots(self.sessions.iter_mut().map(|session| &mut session.request)));
        for attempt in &mut self.attempts {
            found.extend(slots(&mut attempt.adapter_state).chain(slots(&mut attempt.next)));
        }
        found.extend(slots(self.payments.iter_mut().filter_map(|payment| payment.method.as_mut())));
        found.extend(slots(self.refunds.iter_mut().filter_map(|refund| refund.reason.as_mut())));
        let resolutions = self.attention.iter_mut().filter_map(|raised| raised.resolution.as_mut());
        found.extend(slots(resolutions.filter_map(|resolution| resolution.note.as_mut())));
        found
    }

    fn lookups(&self) -> Vec<Lookup> {
        let mut lookups: Vec<_> =
            self.header.reference.clone().map(Lookup::OrderReference).into_iter().collect();
        lookups.extend(self.header.profile_session.map(Lookup::ProfileSessionUsed));
        let references = self.attempts.iter().filter_map(|attempt| {
            let (account, reference) = (attempt.account.clone(), attempt.reference.clone()?);
            Some(Lookup::ProviderReference { account, reference })
        });
        lookups.extend(references);
        lookups.extend(self.payments.iter().map(|payment| Lookup::Payment {
            id: payment.id,
            account: self.account_of_payment(payment).unwrap_or_default().to_owned(),
            status: payment.status(),
            open: is_open(self, payment),
            created_at: payment.created_at,
        }));
        lookups.extend(self.attention.iter().map(|raised| Lookup::Attention {
            id: raised.id,
            account: self.account_of(raised).unwrap_or_default().to_owned(),
            code: raised.code,
            open: raised.resolved_at.is_none(),
            raised_at: raised.raised_at,
        }));
        lookups
    }

    fn due(&self, now: Timestamp, draw: u64) -> Vec<DueJob> {
        due(self, now, draw)
    }
}

impl OrderAggregate {
    pub fn id(&self) -> OrderId {
        self.header.id
    }

    pub fn session(&self, id: SessionId) -> Option<&Session> {
        self.sessions.iter().find(|session| session.id == id)
    }

    pub fn attempt(&self, id: AttemptId) -> Option<&Attempt> {
        self.attempts.iter().find(|attempt| attempt.id == id)
    }

    pub fn payment(&self, id: PaymentId) -> Option<&Payment> {
        self.payments.iter().find(|payment| payment.id == id)
    }

    pub fn refund(&self, id: RefundId) -> Option<&Refund> {
        self.refunds.iter().find(|refund| refund.id == id)
    }

    pub fn attention(&self, id: AttentionId) -> Option<&Attention> {
        self.attention.iter().find(|attention| attention.id == id)
    }

    /// As the API shows it.
    pub fn version(&self) -> u64 {
        self.head.sequence
    }

    pub fn account_of_payment(&self, payment: &Payment) -> Option<&str> {
        Some(&self.attempt(payment.attempt?)?.account)
    }

    pub fn account_of(&self, attention: &Attention) -> Option<&str> {
        self.account_of_payment(self.payment(attention.payment)?)
    }

    pub fn session_of(&self, payment: &Payment) -> Option<&Session> {
        self.session(payment.session?)
    }

    /// The last charge on a payment profile.
    pub fn charge_of(&self, profile: ProfileId) -> Option<&Session> {
        self.sessions.iter().rev().find(|session| session.charge == Some(profile))
    }

    /// The session that can still be paid. There is at most one.
    pub fn open_session(&self) -> Option<&Session> {
        self.sessions.iter().find(|session| session.status.is_open())
    }

    /// The payment of an attempt: the one that names it, else the one it was started for, if that names no attempt
    /// yet.
    pub fn payment_of(&self, attempt: &Attempt) -> Option<&Payment> {
        let own = self.payments.iter().find(|payment| payment.attempt == Some(attempt.id));
        own.or_else(|| self.payment(attempt.payment).filter(|payment| payment.attempt.is_none()))
    }

    /// The sum of a payment's pending refunds, minor units.
    pub fn reserved(&self, payment: PaymentId) -> i64 {
        let pending = self
            .refunds
            .iter()
            .filter(|refund| refund.payment == payment && refund.status == RefundStatus::Pending);
        pending.map(|refund| refund.money.minor).sum()
    }

    /// The oldest open attention.
    pub fn oldest_attention(&self) -> Option<&Attention> {
        self.attention.iter().find(|attention| attention.resolved_at.is_none())
    }

    /// Whether a payment of the order has, or may have, authorized or captured money.
    pub fn holds_money(&self) -> bool {
        self.payments.iter().any(|payment| {
            payment.state.holds_money()
                || payment.operation.is_some()
                || payment.status() == PaymentStatus::Processing
        }) || self.attempts.iter().any(|attempt| attempt.state == AttemptState::Started)
    }
}
