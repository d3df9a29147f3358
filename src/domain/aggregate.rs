//! The order file: an order and everything that hangs on it, changed by events and nothing else.

use std::sync::Arc;
use std::time::Duration;

use port::{
    AttemptId, AttentionId, EventId, OrderId, PaymentId, PaymentStatus, ProfileId, RefundId, SessionId,
    Timestamp,
};

use super::erasable::ErasableSlot;
use super::event::{Actor, Content, Event, EventMeta, Hash, Ids, Record, RecordedEvent};
use super::order::OrderHeader;
use super::payment::{Attention, OperationKind, Payment, Refund, RefundStatus, Resolution};
use super::payment_state::ReportedStatus;
use super::session::{Attempt, AttemptState, Session, SessionStatus};

/// An order and everything that hangs on it: the unit of consistency. Its parts stand in the order of their ids.
#[derive(Clone, Debug, PartialEq)]
pub struct OrderAggregate {
    /// The order.
    pub header: OrderHeader,
    /// Its sessions, oldest first.
    pub sessions: Vec<Session>,
    /// Its attempts, oldest first.
    pub attempts: Vec<Attempt>,
    /// Its payments, oldest first.
    pub payments: Vec<Payment>,
    /// Its refunds, oldest first.
    pub refunds: Vec<Refund>,
    /// Why people should look, oldest first.
    pub attention: Vec<Attention>,
    /// How many events made it.
    pub sequence: u64,
    /// How many of them merchants are told of.
    pub public_sequence: u64,
    /// The hash of the last one.
    pub head: Hash,
}

/// Events that do not fit the file they were to change: a defect, never an input.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("an event does not fit its file: {0}")]
pub struct ReplayError(pub &'static str);

impl OrderAggregate {
    /// The file that a first event makes. `None` if the fact is not that of a new order.
    pub fn create(event: &Event) -> Option<Self> {
        let Event::OrderCreated(header) = event else { return None };
        Some(Self {
            header: (**header).clone(),
            sessions: Vec::new(),
            attempts: Vec::new(),
            payments: Vec::new(),
            refunds: Vec::new(),
            attention: Vec::new(),
            sequence: 0,
            public_sequence: 0,
            head: Hash::default(),
        })
    }

    /// Turns facts into events in their places and applies them. The only way a file changes.
    ///
    /// # Errors
    /// [`ReplayError`] if a fact names something that the file does not have.
    pub fn record(
        &mut self,
        events: Vec<Event>,
        meta: &EventMeta<'_>,
        ids: &mut Ids<'_>,
    ) -> Result<Vec<RecordedEvent>, ReplayError> {
        let last = events.len().saturating_sub(1);
        let mut recorded = Vec::with_capacity(events.len());
        for (index, event) in events.into_iter().enumerate() {
            let record = Record { at: meta.at, cause: meta.cause.clone(), continues: index < last, event };
            let text: Arc<str> =
                serde_json::to_string(&record).map_err(|_| ReplayError("it cannot be written"))?.into();
            let next = RecordedEvent {
                id: EventId::from_uuid(ids()),
                order: self.header.id,
                sequence: self.sequence + 1,
                public_sequence: record.event.public_event().map(|_| self.public_sequence + 1),
                hash: self.head.chain(&text),
                record,
                text,
            };
            self.apply(&next)?;
            recorded.push(next);
        }
        Ok(recorded)
    }

    /// Makes the file again from its events, oldest first.
    ///
    /// # Errors
    /// [`ReplayError`] if they do not begin with a new order or do not follow each other.
    pub fn replay<'a>(events: impl IntoIterator<Item = &'a RecordedEvent>) -> Result<Self, ReplayError> {
        let mut events = events.into_iter().peekable();
        let first = events.peek().ok_or(ReplayError("there are none"))?;
        let mut order = Self::create(&first.record.event).ok_or(ReplayError("the first is no new order"))?;
        for event in events {
            order.apply(event)?;
        }
        Ok(order)
    }

    /// Applies one event.
    ///
    /// # Errors
    /// [`ReplayError`] if it is not the next one or names something unknown.
    pub fn apply(&mut self, event: &RecordedEvent) -> Result<(), ReplayError> {
        if event.sequence != self.sequence + 1 {
            return Err(ReplayError("it is not the next one"));
        }
        self.sequence = event.sequence;
        self.public_sequence = event.public_sequence.unwrap_or(self.public_sequence);
        self.head = event.hash;
        let at = event.record.at;
        self.header.updated_at = at;
        self.apply_event(&event.record.event, at)?;
        if event.record.cause.actor == Actor::Merchant && self.header.state.is_unsubmitted() {
            self.header.expires_at = at.plus(Duration::from_secs(self.header.idle_seconds));
        }
        Ok(())
    }

    fn apply_event(&mut self, event: &Event, at: Timestamp) -> Result<(), ReplayError> {
        match event {
            Event::OrderCreated(_)
            | Event::OrderEdited(_)
            | Event::OrderPriced { .. }
            | Event::OrderSigned(_)
            | Event::ExternalPaymentRecorded { .. }
            | Event::OrderStateChanged { .. }
            | Event::FulfilmentReported(_)
            | Event::PaymentSourceUsed(_) => self.apply_to_order(event, at),
            Event::SessionCreated { .. }
            | Event::AttemptStarted(_)
            | Event::AdapterStateSaved { .. }
            | Event::AttemptCreated { .. }
            | Event::AttemptAbandoned { .. }
            | Event::SessionStatusChanged { .. }
            | Event::ProviderOrderSubmitted { .. } => self.apply_to_session(event, at),
            Event::PaymentUpdated { .. }
            | Event::PaymentNotStarted { .. }
            | Event::LatePaymentFound(_)
            | Event::OperationRequested { .. }
            | Event::OperationFinished { .. }
            | Event::RefundCreated(_)
            | Event::RefundStatusChanged { .. }
            | Event::DisputeUpdated { .. } => self.apply_to_payment(event, at),
            Event::AttentionRaised(attention) => {
                put(&mut self.attention, attention.clone(), |attention| attention.id);
                self.touch_payment(attention.payment, at)
            }
            Event::PersonalDataErased => Ok(()),
            Event::AttentionResolved { attention, decision, note } => {
                let found = self.attention.iter_mut().find(|open| open.id == *attention);
                let attention = found.ok_or(ReplayError("no such attention"))?;
                attention.resolved_at = Some(at);
                attention.resolution = Some(Resolution { decision: *decision, note: note.clone() });
                let payment = attention.payment;
                self.touch_payment(payment, at)
            }
        }
    }

    fn apply_to_order(&mut self, event: &Event, at: Timestamp) -> Result<(), ReplayError> {
        let header = &mut self.header;
        match event {
            Event::OrderCreated(placed) => *header = (**placed).clone(),
            Event::OrderEdited(content) => edit(header, content),
            Event::OrderPriced { price, requirements } => {
                header.price = Some(*price);
                header.requirements = Some(*requirements);
            }
            Event::OrderSigned(signature) => header.signature = Some(signature.clone()),
            Event::ExternalPaymentRecorded { external, payment } => {
                header.external_payment = Some(external.clone());
                header.external_payment_id = Some(payment.id);
                put(&mut self.payments, (**payment).clone(), |payment| payment.id);
            }
            Event::OrderStateChanged { to, .. } => {
                header.state = *to;
                match to {
                    super::OrderState::Submitted => header.submitted_at = Some(at),
                    super::OrderState::Completed => header.completed_at = Some(at),
                    _ => {}
                }
            }
            Event::FulfilmentReported(detail) => header.fulfilment = Some(detail.clone()),
            Event::PaymentSourceUsed(source) => {
                header.payment_source = Some(source.clone());
                let used = match source {
                    super::PaymentSource::Session(id) => Some(*id),
                    super::PaymentSource::Profile(profile) => {
                        self.charge_of(*profile).map(|session| session.id)
                    }
                    _ => None,
                };
                if let Some(id) = used {
                    self.session_mut(id, at)?.used = true;
                }
            }
            _ => return Err(ReplayError("it is not about the order")),
        }
        Ok(())
    }

    fn apply_to_session(&mut self, event: &Event, at: Timestamp) -> Result<(), ReplayError> {
        match event {
            Event::SessionCreated { session, payment } => {
                put(&mut self.sessions, (**session).clone(), |session| session.id);
                put(&mut self.payments, (**payment).clone(), |payment| payment.id);
            }
            Event::AttemptStarted(attempt) => self.start_attempt(attempt, at)?,
            Event::AdapterStateSaved { attempt, adapter_state } => {
                self.attempt_mut(*attempt)?.adapter_state = Some(adapter_state.clone());
            }
            Event::AttemptCreated { attempt, reference, next, adapter_state } => {
                let record = self.attempt_mut(*attempt)?;
                record.state = AttemptState::Created;
                record.reference = Some(reference.clone());
                record.next = Some(next.clone());
                record.adapter_state = adapter_state.clone().or_else(|| record.adapter_state.take());
                let (session, payment) = (record.session, record.payment);
                self.touch_session(session, at)?;
                self.payment_mut(payment, at)?;
            }
            Event::AttemptAbandoned { attempt, orphaned, why } => {
                let record = self.attempt_mut(*attempt)?;
                record.state = if *orphaned { AttemptState::Orphaned } else { AttemptState::Ended };
                record.start_failure = Some(why.clone());
                self.record_route_attempt(*attempt, why, at)?;
            }
            Event::SessionStatusChanged { session, to, failure, .. } => {
                let session = self.session_mut(*session, at)?;
                session.status = *to;
                session.failure = failure.clone();
                let (attempt, ended) = (session.attempt, *to == SessionStatus::Failed);
                let record = self.attempt_mut(attempt)?;
                if ended && record.state == AttemptState::Created {
                    record.state = AttemptState::Ended;
                }
            }
            Event::ProviderOrderSubmitted { attempt } => {
                self.attempt_mut(*attempt)?.provider_order_submitted = true
            }
            _ => return Err(ReplayError("it is not about a session")),
        }
        Ok(())
    }

    fn start_attempt(&mut self, attempt: &Attempt, at: Timestamp) -> Result<(), ReplayError> {
        put(&mut self.attempts, attempt.clone(), |attempt| attempt.id);
        let payment = self.payment_mut(attempt.payment, at)?;
        payment.attempt = Some(attempt.id);
        payment.capabilities = attempt.capabilities;
        if let Some(id) = attempt.session {
            let session = self.session_mut(id, at)?;
            session.attempt = attempt.id;
            session.fallback.retain(|account| *account != attempt.account);
        }
        Ok(())
    }

    fn record_route_attempt(
        &mut self,
        attempt: AttemptId,
        why: &str,
        at: Timestamp,
    ) -> Result<(), ReplayError> {
        let record = self.attempt(attempt).ok_or(ReplayError("no such attempt"))?;
        let (session, account) = (record.session, record.account.clone());
        if let Some(id) = session {
            let outcome = why.to_owned();
            self.session_mut(id, at)?.routing.tried.push(super::RouteAttempt { account, outcome });
        }
        Ok(())
    }

    fn apply_to_payment(&mut self, event: &Event, at: Timestamp) -> Result<(), ReplayError> {
        match event {
            Event::PaymentUpdated {
                payment,
                attempt,
                state,
                provider_status,
                detail,
                failure,
                reported_at: seen_at,
                ..
            } => {
                let payment = self.payment_mut(*payment, at)?;
                payment.attempt = Some(*attempt);
                if state.is_held() && !payment.state.is_held() {
                    payment.authorization_expires_at = payment.capabilities.authorization_expires_at(state);
                }
                payment.state = state.clone();
                payment.provider_status = Some(provider_status.clone());
                payment.detail = *detail;
                payment.reported_at = *seen_at;
                payment.failure = failure.clone().or_else(|| payment.failure.take());
            }
            Event::PaymentNotStarted { payment } => {
                let word = ReportedStatus { terminal: true, as_of: at, status: PaymentStatus::Failed };
                self.payment_mut(*payment, at)?.state.reported_status = Some(word);
            }
            Event::LatePaymentFound(payment) => {
                put(&mut self.payments, (**payment).clone(), |payment| payment.id)
            }
            Event::OperationRequested { payment, operation, closing } => {
                let payment = self.payment_mut(*payment, at)?;
                payment.operation = Some(operation.clone());
                if operation.kind == OperationKind::Capture {
                    let asked = payment.state.captured + operation.amount.unwrap_or(0);
                    payment.capture_requested = Some(asked);
                }
                if let Some(id) = payment.session {
                    let session = self.session_mut(id, at)?;
                    session.closing = closing.or(session.closing);
                }
            }
            Event::OperationFinished { payment, operation, refused } => {
                let payment = self.payment_mut(*payment, at)?;
                payment.operation = None;
                if refused.is_some() && operation.kind == OperationKind::Capture {
                    payment.capture_requested =
                        (payment.state.captured > 0).then_some(payment.state.captured);
                }
                let session = payment.session;
                self.touch_session(session, at)?;
            }
            Event::DisputeUpdated { payment, .. } => {
                self.payment_mut(*payment, at)?;
            }
            // What is left to give back is the payment's, so it changes with its refunds.
            Event::RefundCreated(refund) => {
                self.payment_mut(refund.payment, at)?;
                put(&mut self.refunds, (**refund).clone(), |refund| refund.id);
            }
            Event::RefundStatusChanged { refund, to, failure } => {
                let found = self.refunds.iter_mut().find(|known| known.id == *refund);
                let refund = found.ok_or(ReplayError("no such refund"))?;
                refund.status = *to;
                refund.failure = failure.clone();
                refund.updated_at = at;
                refund.version += 1;
                let payment = refund.payment;
                self.payment_mut(payment, at)?;
            }
            _ => return Err(ReplayError("it is not about a payment")),
        }
        Ok(())
    }

    fn session_mut(&mut self, id: SessionId, at: Timestamp) -> Result<&mut Session, ReplayError> {
        let session = self
            .sessions
            .iter_mut()
            .find(|session| session.id == id)
            .ok_or(ReplayError("no such session"))?;
        session.updated_at = at;
        session.version += 1;
        Ok(session)
    }

    fn touch_session(&mut self, id: Option<SessionId>, at: Timestamp) -> Result<(), ReplayError> {
        id.map_or(Ok(()), |id| self.session_mut(id, at).map(|_| ()))
    }

    fn payment_mut(&mut self, id: PaymentId, at: Timestamp) -> Result<&mut Payment, ReplayError> {
        let payment = self
            .payments
            .iter_mut()
            .find(|payment| payment.id == id)
            .ok_or(ReplayError("no such payment"))?;
        payment.updated_at = at;
        payment.version += 1;
        Ok(payment)
    }

    /// What is shown of it has changed elsewhere in the file.
    fn touch_payment(&mut self, id: Option<PaymentId>, at: Timestamp) -> Result<(), ReplayError> {
        id.map_or(Ok(()), |id| self.payment_mut(id, at).map(drop))
    }

    fn attempt_mut(&mut self, id: AttemptId) -> Result<&mut Attempt, ReplayError> {
        self.attempts.iter_mut().find(|attempt| attempt.id == id).ok_or(ReplayError("no such attempt"))
    }

    /// Every place that a stored body belongs into.
    pub fn slots(&mut self) -> Vec<&mut dyn ErasableSlot> {
        let mut slots: Vec<&mut dyn ErasableSlot> = vec![&mut self.header.personal];
        slots.extend(self.header.signature.as_mut().map(|slot| slot as &mut dyn ErasableSlot));
        slots.extend(self.header.external_payment.as_mut().map(|slot| slot as &mut dyn ErasableSlot));
        slots.extend(self.header.fulfilment.as_mut().map(|slot| slot as &mut dyn ErasableSlot));
        slots.extend(self.sessions.iter_mut().map(|session| &mut session.request as &mut dyn ErasableSlot));
        for attempt in &mut self.attempts {
            slots.extend(attempt.adapter_state.as_mut().map(|slot| slot as &mut dyn ErasableSlot));
            slots.extend(attempt.next.as_mut().map(|slot| slot as &mut dyn ErasableSlot));
        }
        let reasons = self.refunds.iter_mut().filter_map(|refund| refund.reason.as_mut());
        slots.extend(reasons.map(|slot| slot as &mut dyn ErasableSlot));
        let notes =
            self.attention.iter_mut().filter_map(|attention| attention.resolution.as_mut()?.note.as_mut());
        slots.extend(notes.map(|slot| slot as &mut dyn ErasableSlot));
        slots
    }
}

/// Adds a part in the order of ids, which is how the store reads them back: of two that are made at the same
/// moment, the one with the later id may be written first.
fn put<T, Id: Ord>(parts: &mut Vec<T>, part: T, id: impl Fn(&T) -> Id) {
    let place = parts.partition_point(|other| id(other) <= id(&part));
    parts.insert(place, part);
}

fn edit(header: &mut OrderHeader, content: &Content) {
    header.items.clone_from(&content.items);
    header.shipping = content.shipping;
    header.tax_included = content.tax_included;
    header.requires_signing = content.requires_signing;
    header.requires_approval = content.requires_approval;
    header.auto_submit = content.auto_submit;
    header.personal = content.personal.clone();
    if !content.only_metadata {
        header.price = None;
        header.requirements = None;
        header.signature = None;
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

    /// The account that an attention is about.
    pub fn account_of(&self, attention: &Attention) -> Option<&str> {
        let payment = attention.payment.and_then(|id| self.payment(id))?;
        Some(&self.attempt(payment.attempt?)?.account)
    }

    /// The last charge on a stored method.
    pub fn charge_of(&self, profile: ProfileId) -> Option<&Session> {
        self.sessions.iter().rev().find(|session| session.charge == Some(profile))
    }

    /// The session that can still be paid. There is at most one.
    pub fn open_session(&self) -> Option<&Session> {
        self.sessions.iter().find(|session| session.status.is_open())
    }

    /// The attempt that an open session stands on, while it may still be paid. There is at most one.
    pub fn open_attempt(&self) -> Option<&Attempt> {
        let session = self.open_session()?;
        self.attempt(session.attempt).filter(|attempt| attempt.state != AttemptState::Ended)
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
