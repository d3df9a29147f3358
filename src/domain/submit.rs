//! Submits an order with its payment proof.

use port::{Money, PaymentId, ProfileId, ProfileSessionId, SessionId, Timestamp};

use super::Context;
use super::aggregate::OrderAggregate;
use super::erasable::Erasable;
use super::error::DomainError;
use super::event::Event;
use super::order::{ExternalPayment, OrderHeader, OrderState, PaymentProof, Requirement};
use super::payment::{AttentionCode, Payment};
use super::payment_proof::{ensure_met, submission, usable};
use super::payment_state::PaymentState;
use super::session::{Session, SessionStatus};

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Submission {
    pub external: Option<ExternalPayment>,
    pub session: Option<SessionId>,
    /// A payment profile to charge.
    pub profile: Option<ProfileId>,
    /// A completed session that stored a method.
    pub profile_session: Option<ProfileSessionId>,
}

impl Submission {
    /// How many payment proofs it has; more than one is rejected earlier.
    pub fn payment_proofs(&self) -> usize {
        let given = [self.external.is_some(), self.session.is_some(), self.profile.is_some()];
        given.into_iter().filter(|given| *given).count()
    }

    /// The payment proof that is stored with the order.
    pub fn payment_proof(&self) -> PaymentProof {
        if let Some(external) = &self.external {
            return PaymentProof::External(external.reference.clone());
        }
        match (self.session, self.profile, self.profile_session) {
            (Some(id), _, _) => PaymentProof::Session(id),
            (None, Some(id), _) => PaymentProof::Profile(id),
            (None, None, Some(id)) => PaymentProof::ProfileSession(id),
            (None, None, None) => PaymentProof::Nothing,
        }
    }
}

/// Submits the order. Submitting again with the same proof changes nothing. A charge of a payment profile is made
/// elsewhere, before the order is submitted.
pub fn submit(context: &mut Context<'_>, with: &Submission) -> Result<Vec<Event>, DomainError> {
    let order = context.order;
    let header = &order.header;
    if header.payment_proof.as_ref() == Some(&with.payment_proof()) {
        return Ok(Vec::new());
    }
    header.ensure("submitted", &[OrderState::Pending, OrderState::PendingPayment])?;
    let Some(requirements) = header.requirements else { return Err(DomainError::NotPriced) };
    if requirements.requires_payment == Requirement::NotRequired && with.payment_proofs() > 0 {
        return Err(DomainError::PaymentProofNotWanted);
    }
    let other_open = order.open_session().is_some_and(|open| with.session != Some(open.id));
    if other_open && with.payment_proofs() > 0 {
        return Err(DomainError::SessionOpen);
    }
    let session = with.session.map(|id| usable(order, id)).transpose()?;
    let pays = with.external.is_some() || session.is_some();
    ensure_met(header, session, with.profile_session.is_some(), pays)?;
    // No requirement is missing, but the open session could still be paid.
    if other_open {
        return Err(DomainError::SessionOpen);
    }
    let mut events = Vec::new();
    if let Some(external) = &with.external {
        let payment = Box::new(external_payment(header, context.payment_id(), context.now)?);
        let external = Erasable::new(external.clone(), context.salt());
        events.push(Event::ExternalPaymentRecorded { external, payment });
    }
    events.extend(submission(header, with.payment_proof(), with.profile_session));
    events.extend(duplicate_payments(context, with.session));
    Ok(events)
}

/// The methods stored for the customer of a paid session were read. If the order requires one, a usable one submits it
/// where it waited for nothing else, and none is a case for a person.
pub fn profiles_synced(context: &mut Context<'_>, session: SessionId, found: bool) -> Vec<Event> {
    let order = context.order;
    let unsynced = order.session(session).filter(|session| session.profile_found.is_none());
    let Some(session) = unsynced else { return Vec::new() };
    let mut events = vec![Event::ProfilesSynced { session: session.id, found }];
    let header = &order.header;
    if !header.requires_profile() || !header.state.is_unsubmitted() {
        return events;
    }
    let completed = session.status == SessionStatus::Completed;
    if !found && completed {
        let detail = "the order requires a payment profile, and its paid session has stored none";
        events.extend(context.raise(AttentionCode::ProfileMissing, session.payment, detail));
    }
    let is_last = order.sessions.last().is_some_and(|last| last.id == session.id);
    let waits = header.state == OrderState::PendingPayment && header.content.auto_submit && is_last;
    let shown = Session { profile_found: Some(found), ..session.clone() };
    if waits && usable(order, session.id).is_ok() && ensure_met(header, Some(&shown), false, true).is_ok() {
        events.extend(submission(header, PaymentProof::Session(session.id), None));
    }
    events
}

/// Raises DUPLICATE_PAYMENT if a completed session holds money and the order is submitted with another proof.
fn duplicate_payments(context: &mut Context<'_>, proof: Option<SessionId>) -> Vec<Event> {
    let order = context.order;
    let completed = |payment: &&Payment| {
        let session = order.session_of(payment).filter(|session| Some(session.id) != proof);
        session.is_some_and(|session| session.status == SessionStatus::Completed)
    };
    let others = order.payments.iter().filter(completed).filter(|payment| payment.state.holds_money());
    let detail = "the order was submitted with another proof, and this payment also holds money";
    others.filter_map(|other| context.raise(AttentionCode::DuplicatePayment, other.id, detail)).collect()
}

/// Whether a payment profile may be charged for the order now. False if the order was submitted with it already.
pub fn chargeable(order: &OrderAggregate, profile: ProfileId) -> Result<bool, DomainError> {
    let header = &order.header;
    if header.payment_proof == Some(PaymentProof::Profile(profile)) {
        return Ok(false);
    }
    header.ensure("submitted", &[OrderState::Pending, OrderState::PendingPayment])?;
    if header.requirements.is_none() {
        return Err(DomainError::NotPriced);
    }
    if order.open_session().is_some() {
        return Err(DomainError::SessionOpen);
    }
    ensure_met(header, None, true, true)?;
    Ok(true)
}

/// An external payment as a payment record: captured whole, without a provider.
fn external_payment(header: &OrderHeader, id: PaymentId, now: Timestamp) -> Result<Payment, DomainError> {
    let total = header.price.ok_or(DomainError::NotPriced)?.total;
    let payment = Payment::new(id, Money::new(total, header.currency), port::CaptureMode::Automatic, now);
    let state = PaymentState { captured: total, ..PaymentState::default() };
    Ok(Payment { state, reported_at: now, external: true, version: 1, ..payment })
}
