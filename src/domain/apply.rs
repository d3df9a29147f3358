//! Applies an order's events: each changes what it names, and the version of every part whose view changes.

use port::{AttemptId, PaymentId, PaymentStatus, SessionId, Timestamp};

use super::aggregate::OrderAggregate;
use super::erasable::ErasableSlot;
use super::event::Event;
use super::order::{OrderState, PaymentProof};
use super::payment::{OperationKind, Payment, Resolution};
use super::payment_state::ReportedStatus;
use super::session::{Attempt, AttemptState, NewAttempt, RouteAttempt, Session, SessionStatus};
use super::subject::{ReplayError, Subject as _};

impl OrderAggregate {
    pub(super) fn apply(&mut self, event: &Event, at: Timestamp) -> Result<(), ReplayError> {
        let header = &mut self.header;
        match event {
            Event::OrderCreated(created) => *header = (**created).clone(),
            Event::OrderEdited { content, only_metadata } => {
                header.content = (**content).clone();
                if !only_metadata {
                    (header.price, header.requirements, header.signature) = (None, None, None);
                }
            }
            Event::OrderPriced { price, requirements } => {
                header.price = Some(*price);
                header.requirements = Some(*requirements);
            }
            Event::OrderSigned(signature) => header.signature = Some(signature.clone()),
            Event::ExternalPaymentRecorded { external, payment } => {
                header.external_payment = Some(external.clone());
                header.external_payment_id = Some(payment.id);
                self.payments.push((**payment).clone());
            }
            Event::OrderStateChanged { to, .. } => {
                header.state = *to;
                match to {
                    OrderState::Submitted => header.submitted_at = Some(at),
                    OrderState::Completed => header.completed_at = Some(at),
                    _ => {}
                }
            }
            Event::FulfilmentReported(detail) => header.fulfilment = Some(detail.clone()),
            Event::PaymentProofUsed { source, profile_session } => {
                header.payment_proof = Some(source.clone());
                header.profile_session = *profile_session;
                let used = match source {
                    PaymentProof::Session(id) => Some(*id),
                    PaymentProof::Profile(profile) => self.charge_of(*profile).map(|session| session.id),
                    _ => None,
                };
                if let Some(id) = used {
                    self.session_mut(id, at)?.used = true;
                }
            }
            other => return self.apply_to_session(other, at),
        }
        Ok(())
    }

    fn apply_to_session(&mut self, event: &Event, at: Timestamp) -> Result<(), ReplayError> {
        match event {
            Event::SessionCreated(session) => {
                self.sessions.push((**session).clone());
                let payment = Payment::new(session.payment, session.money, session.capture, at);
                self.payments.push(Payment { session: Some(session.id), ..payment });
            }
            Event::AttemptStarted { session, attempt } => self.start_attempt(*session, attempt, at)?,
            Event::ProfilesSynced { session, found } => {
                self.session_mut(*session, at)?.profile_found = Some(*found);
            }
            Event::AdapterStateSaved { attempt, adapter_state } => {
                self.attempt_mut(*attempt)?.adapter_state = Some(adapter_state.clone());
            }
            Event::AttemptCreated { attempt, reference, next, adapter_state } => {
                let attempt = self.attempt_mut(*attempt)?;
                attempt.state = AttemptState::Created;
                attempt.reference = Some(reference.clone());
                attempt.next = Some(next.clone());
                attempt.adapter_state = adapter_state.clone().or_else(|| attempt.adapter_state.take());
                let (session, payment) = (attempt.session, attempt.payment);
                self.session_mut(session, at)?;
                self.payment_mut(payment, at)?;
            }
            Event::StartUnknown { attempt } => self.attempt_mut(*attempt)?.unknown_since = Some(at),
            Event::AnswerUnreadable { attempt } => self.attempt_mut(*attempt)?.unreadable_since = Some(at),
            Event::AnswerReadable { attempt } => self.attempt_mut(*attempt)?.unreadable_since = None,
            Event::AttemptAbandoned { attempt, orphaned, failure } => {
                let attempt = self.attempt_mut(*attempt)?;
                attempt.state = if *orphaned { AttemptState::Orphaned } else { AttemptState::Ended };
                attempt.failure = Some(*failure);
                let (session, tried) = (attempt.session, RouteAttempt::failed(&attempt.account, *failure));
                self.session_mut(session, at)?.routing.tried.push(tried);
            }
            Event::SessionStatusChanged { session, to, failure, .. } => {
                let session = self.session_mut(*session, at)?;
                session.status = *to;
                session.failure = failure.clone();
                let (attempt, ended) = (session.attempt, *to == SessionStatus::Failed);
                let attempt = self.attempt_mut(attempt)?;
                if ended && attempt.state == AttemptState::Created {
                    attempt.state = AttemptState::Ended;
                }
            }
            Event::ProviderOrderSubmitted { attempt } => {
                self.attempt_mut(*attempt)?.provider_order_submitted = true;
            }
            other => return self.apply_to_payment(other, at),
        }
        Ok(())
    }

    fn start_attempt(
        &mut self,
        session: SessionId,
        attempt: &NewAttempt,
        at: Timestamp,
    ) -> Result<(), ReplayError> {
        let session = self.session_mut(session, at)?;
        session.attempt = attempt.attempt;
        session.fallback.retain(|account| *account != attempt.account);
        let attempt = attempt.started(session, at);
        let payment = self.payment_mut(attempt.payment, at)?;
        payment.attempt = Some(attempt.id);
        payment.capabilities = attempt.capabilities;
        self.attempts.push(attempt);
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
                method,
                reported_at,
                ..
            } => {
                let payment = self.payment_mut(*payment, at)?;
                payment.attempt = Some(*attempt);
                if state.is_authorized() && !payment.state.is_authorized() {
                    payment.authorization_expires_at = payment.capabilities.authorization_expires_at(state);
                }
                payment.state = state.clone();
                payment.provider_status = Some(provider_status.clone());
                payment.detail = *detail;
                payment.reported_at = *reported_at;
                payment.failure = failure.clone().or_else(|| payment.failure.take());
                payment.method = method.clone().or_else(|| payment.method.take());
            }
            Event::PaymentNotStarted { payment } => {
                let reported = ReportedStatus { terminal: true, as_of: at, status: PaymentStatus::Failed };
                self.payment_mut(*payment, at)?.state.reported_status = Some(reported);
            }
            Event::LatePaymentFound(payment) => self.payments.push((**payment).clone()),
            Event::OperationRequested { payment, operation, closing } => {
                let payment = self.payment_mut(*payment, at)?;
                payment.operation = Some(operation.clone());
                if operation.kind == OperationKind::Capture {
                    let requested = payment.state.captured + operation.amount.unwrap_or(0);
                    payment.capture_requested = Some(requested);
                }
                if let Some(id) = payment.session {
                    let session = self.session_mut(id, at)?;
                    session.closing = closing.or(session.closing);
                }
            }
            Event::OperationUnanswered { payment, unsent } => {
                if let Some(operation) = &mut self.payment_mut(*payment, at)?.operation {
                    operation.unanswered_since.get_or_insert(at);
                    operation.unsent = *unsent;
                }
            }
            Event::OperationFinished { payment, operation, declined } => {
                let payment = self.payment_mut(*payment, at)?;
                payment.operation = None;
                if declined.is_some() && operation.kind == OperationKind::Capture {
                    payment.capture_requested =
                        (payment.state.captured > 0).then_some(payment.state.captured);
                }
                if let Some(id) = payment.session {
                    self.session_mut(id, at)?;
                }
            }
            Event::DisputeUpdated { payment, .. } => {
                self.payment_mut(*payment, at)?;
            }
            // A payment shows what can still be refunded, so its version changes with its refunds.
            Event::RefundCreated(refund) => {
                self.payment_mut(refund.payment, at)?;
                self.refunds.push((**refund).clone());
            }
            Event::RefundStatusChanged { refund, to, failure } => {
                let refund = find(&mut self.refunds, "refund", |known| known.id == *refund)?;
                refund.status = *to;
                refund.failure = failure.clone();
                refund.updated_at = at;
                refund.version += 1;
                let payment = refund.payment;
                self.payment_mut(payment, at)?;
            }
            other => return self.apply_to_attention(other, at),
        }
        Ok(())
    }

    fn apply_to_attention(&mut self, event: &Event, at: Timestamp) -> Result<(), ReplayError> {
        match event {
            Event::AttentionRaised(attention) => {
                self.attention.push(attention.clone());
                self.payment_mut(attention.payment, at)?;
            }
            Event::PersonalDataErased => {
                self.erasables().into_iter().for_each(ErasableSlot::erase);
                // Their views change, so their versions do too.
                for session in &mut self.sessions {
                    (session.updated_at, session.version) = (at, session.version + 1);
                }
                for payment in self.payments.iter_mut().filter(|payment| payment.method.is_some()) {
                    (payment.updated_at, payment.version) = (at, payment.version + 1);
                }
                for refund in self.refunds.iter_mut().filter(|refund| refund.reason.is_some()) {
                    (refund.updated_at, refund.version) = (at, refund.version + 1);
                }
            }
            Event::AttentionResolved { attention, decision, note } => {
                let attention = find(&mut self.attention, "attention", |open| open.id == *attention)?;
                attention.resolved_at = Some(at);
                attention.resolution = Some(Resolution { decision: *decision, note: note.clone() });
                let payment = attention.payment;
                self.payment_mut(payment, at)?;
            }
            _ => return Err(ReplayError::from("this event changes nothing in an order")),
        }
        Ok(())
    }

    fn session_mut(&mut self, id: SessionId, at: Timestamp) -> Result<&mut Session, ReplayError> {
        let session = find(&mut self.sessions, "session", |session| session.id == id)?;
        session.updated_at = at;
        session.version += 1;
        Ok(session)
    }

    fn payment_mut(&mut self, id: PaymentId, at: Timestamp) -> Result<&mut Payment, ReplayError> {
        let payment = find(&mut self.payments, "payment", |payment| payment.id == id)?;
        payment.updated_at = at;
        payment.version += 1;
        Ok(payment)
    }

    fn attempt_mut(&mut self, id: AttemptId) -> Result<&mut Attempt, ReplayError> {
        find(&mut self.attempts, "attempt", |attempt| attempt.id == id)
    }
}

fn find<'a, T>(parts: &'a mut [T], what: &str, named: impl Fn(&T) -> bool) -> Result<&'a mut T, ReplayError> {
    parts.iter_mut().find(|part| named(part)).ok_or_else(|| ReplayError(format!("no such {what}")))
}
