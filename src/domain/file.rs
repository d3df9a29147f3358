//! The order file: an order and everything that hangs on it, changed by events and nothing else.

use std::sync::Arc;
use std::time::Duration;

use port::{
    AttemptId, AttentionId, EventId, OrderId, PaymentId, PaymentStatus, ProfileId, RefundId, SessionId,
    Timestamp,
};

use super::event::{Actor, Content, Event, Fact, Hash, Ids, Record, Stamp};
use super::order::Order;
use super::payment::{Attention, OperationKind, Payment, Refund, RefundStatus, Resolution};
use super::sealed::Slot;
use super::session::{AttemptRecord, AttemptState, Session, SessionStatus};
use super::standing::Heard;

/// An order and everything that hangs on it: the unit of consistency. Its parts stand in the order of their ids.
#[derive(Clone, Debug, PartialEq)]
pub struct OrderFile {
    /// The order.
    pub order: Order,
    /// Its sessions, oldest first.
    pub sessions: Vec<Session>,
    /// Its attempts, oldest first.
    pub attempts: Vec<AttemptRecord>,
    /// Its payments, oldest first.
    pub payments: Vec<Payment>,
    /// Its refunds, oldest first.
    pub refunds: Vec<Refund>,
    /// Why people should look, oldest first.
    pub attention: Vec<Attention>,
    /// How many events made it.
    pub sequence: u64,
    /// How many of them merchants are told of.
    pub notices: u64,
    /// The hash of the last one.
    pub head: Hash,
}

/// Events that do not fit the file they were to change: a defect, never an input.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("an event does not fit its file: {0}")]
pub struct Misfit(pub &'static str);

impl OrderFile {
    /// The file that a first event makes. `None` if the fact is not that of a new order.
    pub fn open(fact: &Fact) -> Option<Self> {
        let Fact::OrderPlaced(order) = fact else { return None };
        Some(Self {
            order: (**order).clone(),
            sessions: Vec::new(),
            attempts: Vec::new(),
            payments: Vec::new(),
            refunds: Vec::new(),
            attention: Vec::new(),
            sequence: 0,
            notices: 0,
            head: Hash::default(),
        })
    }

    /// Turns facts into events in their places and applies them. The only way a file changes.
    ///
    /// # Errors
    /// [`Misfit`] if a fact names something that the file does not have.
    pub fn record(
        &mut self,
        facts: Vec<Fact>,
        stamp: &Stamp<'_>,
        ids: &mut Ids<'_>,
    ) -> Result<Vec<Event>, Misfit> {
        let last = facts.len().saturating_sub(1);
        let mut events = Vec::with_capacity(facts.len());
        for (index, fact) in facts.into_iter().enumerate() {
            let record = Record { at: stamp.at, cause: stamp.cause.clone(), more: index < last, fact };
            let text: Arc<str> =
                serde_json::to_string(&record).map_err(|_| Misfit("it cannot be written"))?.into();
            let event = Event {
                id: EventId::from_uuid(ids()),
                order: self.order.id,
                sequence: self.sequence + 1,
                notice: record.fact.notice().map(|_| self.notices + 1),
                hash: self.head.chain(&text),
                record,
                text,
            };
            self.apply(&event)?;
            events.push(event);
        }
        Ok(events)
    }

    /// Makes the file again from its events, oldest first.
    ///
    /// # Errors
    /// [`Misfit`] if they do not begin with a new order or do not follow each other.
    pub fn replay<'a>(events: impl IntoIterator<Item = &'a Event>) -> Result<Self, Misfit> {
        let mut events = events.into_iter().peekable();
        let first = events.peek().ok_or(Misfit("there are none"))?;
        let mut file = Self::open(&first.record.fact).ok_or(Misfit("the first is no new order"))?;
        for event in events {
            file.apply(event)?;
        }
        Ok(file)
    }

    /// Applies one event.
    ///
    /// # Errors
    /// [`Misfit`] if it is not the next one or names something unknown.
    pub fn apply(&mut self, event: &Event) -> Result<(), Misfit> {
        if event.sequence != self.sequence + 1 {
            return Err(Misfit("it is not the next one"));
        }
        self.sequence = event.sequence;
        self.notices = event.notice.unwrap_or(self.notices);
        self.head = event.hash;
        let at = event.record.at;
        self.order.updated_at = at;
        self.apply_fact(&event.record.fact, at)?;
        if event.record.cause.actor == Actor::Merchant && self.order.state.is_unsubmitted() {
            self.order.expires_at = at.plus(Duration::from_secs(self.order.idle_seconds));
        }
        Ok(())
    }

    fn apply_fact(&mut self, fact: &Fact, at: Timestamp) -> Result<(), Misfit> {
        match fact {
            Fact::OrderPlaced(_)
            | Fact::OrderEdited(_)
            | Fact::OrderPriced { .. }
            | Fact::OrderSigned(_)
            | Fact::PaidExternally { .. }
            | Fact::OrderMoved { .. }
            | Fact::FulfilmentTold(_)
            | Fact::ProofUsed(_) => self.apply_to_order(fact, at),
            Fact::SessionOpened { .. }
            | Fact::AttemptStarted(_)
            | Fact::AttemptKept { .. }
            | Fact::AttemptBegun { .. }
            | Fact::AttemptLeft { .. }
            | Fact::SessionMoved { .. }
            | Fact::HandedOver { .. } => self.apply_to_session(fact, at),
            Fact::PaymentObserved { .. }
            | Fact::PaymentNotStarted { .. }
            | Fact::PaymentFound(_)
            | Fact::OperationAsked { .. }
            | Fact::OperationEnded { .. }
            | Fact::RefundMade(_)
            | Fact::RefundMoved { .. }
            | Fact::DisputeMoved { .. } => self.apply_to_payment(fact, at),
            Fact::AttentionRaised(attention) => {
                put(&mut self.attention, attention.clone(), |attention| attention.id);
                self.touch_payment(attention.payment, at)
            }
            Fact::Erased => Ok(()),
            Fact::AttentionResolved { attention, decision, note } => {
                let found = self.attention.iter_mut().find(|open| open.id == *attention);
                let told = found.ok_or(Misfit("no such attention"))?;
                told.resolved_at = Some(at);
                told.resolution = Some(Resolution { decision: *decision, note: note.clone() });
                let payment = told.payment;
                self.touch_payment(payment, at)
            }
        }
    }

    fn apply_to_order(&mut self, fact: &Fact, at: Timestamp) -> Result<(), Misfit> {
        let order = &mut self.order;
        match fact {
            Fact::OrderPlaced(placed) => *order = (**placed).clone(),
            Fact::OrderEdited(content) => edit(order, content),
            Fact::OrderPriced { price, requirements } => {
                order.price = Some(*price);
                order.requirements = Some(*requirements);
            }
            Fact::OrderSigned(signature) => order.signature = Some(signature.clone()),
            Fact::PaidExternally { external, payment } => {
                order.external_payment = Some(external.clone());
                order.external_payment_id = Some(payment.id);
                put(&mut self.payments, (**payment).clone(), |payment| payment.id);
            }
            Fact::OrderMoved { to, .. } => {
                order.state = *to;
                match to {
                    super::OrderState::Submitted => order.submitted_at = Some(at),
                    super::OrderState::Completed => order.completed_at = Some(at),
                    _ => {}
                }
            }
            Fact::FulfilmentTold(detail) => order.fulfilment = Some(detail.clone()),
            Fact::ProofUsed(proof) => {
                order.proof = Some(proof.clone());
                let used = match proof {
                    super::Proof::Session(id) => Some(*id),
                    super::Proof::Profile(profile) => self.charge_of(*profile).map(|session| session.id),
                    _ => None,
                };
                if let Some(id) = used {
                    self.session_mut(id, at)?.used = true;
                }
            }
            _ => return Err(Misfit("it is not about the order")),
        }
        Ok(())
    }

    fn apply_to_session(&mut self, fact: &Fact, at: Timestamp) -> Result<(), Misfit> {
        match fact {
            Fact::SessionOpened { session, payment } => {
                put(&mut self.sessions, (**session).clone(), |session| session.id);
                put(&mut self.payments, (**payment).clone(), |payment| payment.id);
            }
            Fact::AttemptStarted(attempt) => self.start_attempt(attempt, at)?,
            Fact::AttemptKept { attempt, theirs } => {
                self.attempt_mut(*attempt)?.theirs = Some(theirs.clone());
            }
            Fact::AttemptBegun { attempt, reference, next, theirs } => {
                let record = self.attempt_mut(*attempt)?;
                record.state = AttemptState::Begun;
                record.reference = Some(reference.clone());
                record.next = Some(next.clone());
                record.theirs = theirs.clone().or_else(|| record.theirs.take());
                let (session, payment) = (record.session, record.payment);
                self.touch_session(session, at)?;
                self.payment_mut(payment, at)?;
            }
            Fact::AttemptLeft { attempt, orphaned, why } => {
                let record = self.attempt_mut(*attempt)?;
                record.state = if *orphaned { AttemptState::Orphaned } else { AttemptState::Ended };
                record.ended_by = Some(why.clone());
                self.note_tried(*attempt, why, at)?;
            }
            Fact::SessionMoved { session, to, failure, .. } => {
                let session = self.session_mut(*session, at)?;
                session.status = *to;
                session.failure = failure.clone();
                let (attempt, ended) = (session.attempt, *to == SessionStatus::Failed);
                let record = self.attempt_mut(attempt)?;
                if ended && record.state == AttemptState::Begun {
                    record.state = AttemptState::Ended;
                }
            }
            Fact::HandedOver { attempt } => self.attempt_mut(*attempt)?.handed_over = true,
            _ => return Err(Misfit("it is not about a session")),
        }
        Ok(())
    }

    fn start_attempt(&mut self, attempt: &AttemptRecord, at: Timestamp) -> Result<(), Misfit> {
        put(&mut self.attempts, attempt.clone(), |attempt| attempt.id);
        let payment = self.payment_mut(attempt.payment, at)?;
        payment.attempt = Some(attempt.id);
        payment.powers = attempt.powers;
        if let Some(id) = attempt.session {
            let session = self.session_mut(id, at)?;
            session.attempt = attempt.id;
            session.fallback.retain(|account| *account != attempt.account);
        }
        Ok(())
    }

    fn note_tried(&mut self, attempt: AttemptId, why: &str, at: Timestamp) -> Result<(), Misfit> {
        let record = self.attempt(attempt).ok_or(Misfit("no such attempt"))?;
        let (session, account) = (record.session, record.account.clone());
        if let Some(id) = session {
            let outcome = why.to_owned();
            self.session_mut(id, at)?.routing.tried.push(super::Tried { account, outcome });
        }
        Ok(())
    }

    fn apply_to_payment(&mut self, fact: &Fact, at: Timestamp) -> Result<(), Misfit> {
        match fact {
            Fact::PaymentObserved { payment, attempt, standing, word, detail, failure, seen_at, .. } => {
                let payment = self.payment_mut(*payment, at)?;
                payment.attempt = Some(*attempt);
                if standing.is_held() && !payment.standing.is_held() {
                    payment.authorization_expires_at = payment.powers.hold_ends(standing);
                }
                payment.standing = standing.clone();
                payment.word = Some(word.clone());
                payment.detail = *detail;
                payment.seen_at = *seen_at;
                payment.failure = failure.clone().or_else(|| payment.failure.take());
            }
            Fact::PaymentNotStarted { payment } => {
                let word = Heard { ended: true, place: at, status: PaymentStatus::Failed };
                self.payment_mut(*payment, at)?.standing.word = Some(word);
            }
            Fact::PaymentFound(payment) => put(&mut self.payments, (**payment).clone(), |payment| payment.id),
            Fact::OperationAsked { payment, operation, closing } => {
                let payment = self.payment_mut(*payment, at)?;
                payment.operation = Some(operation.clone());
                if operation.kind == OperationKind::Capture {
                    let asked = payment.standing.captured + operation.amount.unwrap_or(0);
                    payment.capture_asked = Some(asked);
                }
                if let Some(id) = payment.session {
                    let session = self.session_mut(id, at)?;
                    session.closing = closing.or(session.closing);
                }
            }
            Fact::OperationEnded { payment, operation, refused } => {
                let payment = self.payment_mut(*payment, at)?;
                payment.operation = None;
                if refused.is_some() && operation.kind == OperationKind::Capture {
                    payment.capture_asked =
                        (payment.standing.captured > 0).then_some(payment.standing.captured);
                }
                let session = payment.session;
                self.touch_session(session, at)?;
            }
            Fact::DisputeMoved { payment, .. } => {
                self.payment_mut(*payment, at)?;
            }
            // What is left to give back is the payment's, so it changes with its refunds.
            Fact::RefundMade(refund) => {
                self.payment_mut(refund.payment, at)?;
                put(&mut self.refunds, (**refund).clone(), |refund| refund.id);
            }
            Fact::RefundMoved { refund, to, failure } => {
                let found = self.refunds.iter_mut().find(|known| known.id == *refund);
                let refund = found.ok_or(Misfit("no such refund"))?;
                refund.status = *to;
                refund.failure = failure.clone();
                refund.updated_at = at;
                refund.version += 1;
                let payment = refund.payment;
                self.payment_mut(payment, at)?;
            }
            _ => return Err(Misfit("it is not about a payment")),
        }
        Ok(())
    }

    fn session_mut(&mut self, id: SessionId, at: Timestamp) -> Result<&mut Session, Misfit> {
        let session =
            self.sessions.iter_mut().find(|session| session.id == id).ok_or(Misfit("no such session"))?;
        session.updated_at = at;
        session.version += 1;
        Ok(session)
    }

    fn touch_session(&mut self, id: Option<SessionId>, at: Timestamp) -> Result<(), Misfit> {
        id.map_or(Ok(()), |id| self.session_mut(id, at).map(|_| ()))
    }

    fn payment_mut(&mut self, id: PaymentId, at: Timestamp) -> Result<&mut Payment, Misfit> {
        let payment =
            self.payments.iter_mut().find(|payment| payment.id == id).ok_or(Misfit("no such payment"))?;
        payment.updated_at = at;
        payment.version += 1;
        Ok(payment)
    }

    /// What is shown of it has changed elsewhere in the file.
    fn touch_payment(&mut self, id: Option<PaymentId>, at: Timestamp) -> Result<(), Misfit> {
        id.map_or(Ok(()), |id| self.payment_mut(id, at).map(drop))
    }

    fn attempt_mut(&mut self, id: AttemptId) -> Result<&mut AttemptRecord, Misfit> {
        self.attempts.iter_mut().find(|attempt| attempt.id == id).ok_or(Misfit("no such attempt"))
    }

    /// Every place that a stored body belongs into.
    pub fn slots(&mut self) -> Vec<&mut dyn Slot> {
        let mut slots: Vec<&mut dyn Slot> = vec![&mut self.order.personal];
        slots.extend(self.order.signature.as_mut().map(|slot| slot as &mut dyn Slot));
        slots.extend(self.order.external_payment.as_mut().map(|slot| slot as &mut dyn Slot));
        slots.extend(self.order.fulfilment.as_mut().map(|slot| slot as &mut dyn Slot));
        slots.extend(self.sessions.iter_mut().map(|session| &mut session.ask as &mut dyn Slot));
        for attempt in &mut self.attempts {
            slots.extend(attempt.theirs.as_mut().map(|slot| slot as &mut dyn Slot));
            slots.extend(attempt.next.as_mut().map(|slot| slot as &mut dyn Slot));
        }
        let reasons = self.refunds.iter_mut().filter_map(|refund| refund.reason.as_mut());
        slots.extend(reasons.map(|slot| slot as &mut dyn Slot));
        let notes = self.attention.iter_mut().filter_map(|told| told.resolution.as_mut()?.note.as_mut());
        slots.extend(notes.map(|slot| slot as &mut dyn Slot));
        slots
    }
}

/// Adds a part in the order of ids, which is how the store reads them back: of two that are made at the same
/// moment, the one with the later id may be written first.
fn put<T, Id: Ord>(parts: &mut Vec<T>, part: T, id: impl Fn(&T) -> Id) {
    let place = parts.partition_point(|other| id(other) <= id(&part));
    parts.insert(place, part);
}

fn edit(order: &mut Order, content: &Content) {
    order.items.clone_from(&content.items);
    order.shipping = content.shipping;
    order.tax_included = content.tax_included;
    order.requires_signing = content.requires_signing;
    order.requires_approval = content.requires_approval;
    order.auto_submit = content.auto_submit;
    order.personal = content.personal.clone();
    if !content.only_metadata {
        order.price = None;
        order.requirements = None;
        order.signature = None;
    }
}

/// Looking things up.
impl OrderFile {
    /// The order's id.
    pub fn id(&self) -> OrderId {
        self.order.id
    }

    /// A session by its id.
    pub fn session(&self, id: SessionId) -> Option<&Session> {
        self.sessions.iter().find(|session| session.id == id)
    }

    /// An attempt by its id.
    pub fn attempt(&self, id: AttemptId) -> Option<&AttemptRecord> {
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
    pub fn open_attempt(&self) -> Option<&AttemptRecord> {
        let session = self.open_session()?;
        self.attempt(session.attempt).filter(|attempt| attempt.state != AttemptState::Ended)
    }

    /// The payment an attempt stands for: its own, or the one found for it.
    pub fn payment_of(&self, attempt: &AttemptRecord) -> Option<&Payment> {
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
            payment.standing.holds_money()
                || payment.operation.is_some()
                || payment.status() == PaymentStatus::Processing
        }) || self.attempts.iter().any(|attempt| attempt.state == AttemptState::Started)
    }
}
