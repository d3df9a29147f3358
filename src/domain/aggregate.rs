//! The order aggregate: an order and everything that hangs on it, changed by events and nothing else.

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

/// An order and everything that hangs on it: the unit of consistency. Its parts stand in the order they were made,
/// which is that of their ids.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct OrderAggregate {
    /// The order itself.
    pub header: OrderHeader,
    /// Its sessions, oldest first.
    pub sessions: Vec<Session>,
    /// Its attempts, oldest first.
    pub attempts: Vec<Attempt>,
    /// Its payments, oldest first.
    pub payments: Vec<Payment>,
    /// Its refunds, oldest first.
    pub refunds: Vec<Refund>,
    /// Its attention, oldest first.
    pub attention: Vec<Attention>,
    /// Where its history ends.
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
        let mut found: Vec<&mut dyn ErasableSlot> = vec![&mut header.personal];
        found.extend(slots(&mut header.signature));
        found.extend(slots(&mut header.external_payment));
        found.extend(slots(&mut header.fulfilment));
        found.extend(slots(self.sessions.iter_mut().map(|session| &mut session.request)));
        for attempt in &mut self.attempts {
            found.extend(slots(&mut attempt.adapter_state).chain(slots(&mut attempt.next)));
        }
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

/// Looking things up.
impl OrderAggregate {
    /// The order's id.
    pub fn id(&self) -> OrderId {
        self.header.id
    }

    /// A session by its id.
    pub fn session(&self, id: SessionId) -> Option<&Session> {
        self.sessions.iter().find(|session| session.id == id)
    }

    /// An attempt by its id.
    pub fn attempt(&self, id: AttemptId) -> Option<&Attempt> {
        self.attempts.iter().find(|attempt| attempt.id == id)
    }

    /// A payment by its id.
    pub fn payment(&self, id: PaymentId) -> Option<&Payment> {
        self.payments.iter().find(|payment| payment.id == id)
    }

    /// A refund by its id.
    pub fn refund(&self, id: RefundId) -> Option<&Refund> {
        self.refunds.iter().find(|refund| refund.id == id)
    }

    /// An attention by its id.
    pub fn attention(&self, id: AttentionId) -> Option<&Attention> {
        self.attention.iter().find(|attention| attention.id == id)
    }

    /// The version that the API shows.
    pub fn version(&self) -> u64 {
        self.head.sequence
    }

    /// The account that a payment is at.
    pub fn account_of_payment(&self, payment: &Payment) -> Option<&str> {
        Some(&self.attempt(payment.attempt?)?.account)
    }

    /// The account that an attention is about.
    pub fn account_of(&self, attention: &Attention) -> Option<&str> {
        self.account_of_payment(attention.payment.and_then(|id| self.payment(id))?)
    }

    /// The last charge on a stored method.
    pub fn charge_of(&self, profile: ProfileId) -> Option<&Session> {
        self.sessions.iter().rev().find(|session| session.charge == Some(profile))
    }

    /// The session that can still be paid. There is at most one.
    pub fn open_session(&self) -> Option<&Session> {
        self.sessions.iter().find(|session| session.status.is_open())
    }

    /// The payment an attempt stands for: its own, or the one found for it.
    pub fn payment_of(&self, attempt: &Attempt) -> Option<&Payment> {
        let own = self.payments.iter().find(|payment| payment.attempt == Some(attempt.id));
        own.or_else(|| self.payment(attempt.payment).filter(|payment| payment.attempt.is_none()))
    }

    /// What the pending refunds of a payment have reserved, minor units.
    pub fn reserved(&self, payment: PaymentId) -> i64 {
        let pending = self
            .refunds
            .iter()
            .filter(|refund| refund.payment == payment && refund.status == RefundStatus::Pending);
        pending.map(|refund| refund.money.minor).sum()
    }

    /// The oldest reason why a person should look.
    pub fn oldest_attention(&self) -> Option<&Attention> {
        self.attention.iter().find(|attention| attention.resolved_at.is_none())
    }

    /// Whether a payment of the order holds money, has it, or may.
    pub fn holds_money(&self) -> bool {
        self.payments.iter().any(|payment| {
            payment.state.holds_money()
                || payment.operation.is_some()
                || payment.status() == PaymentStatus::Processing
        }) || self.attempts.iter().any(|attempt| attempt.state == AttemptState::Started)
    }
}
