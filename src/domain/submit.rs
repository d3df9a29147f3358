//! Submitting an order: what proves that it may be.

use port::{Money, PaymentId, ProfileId, ProfileSessionId, SessionId, Timestamp};

use super::aggregate::OrderAggregate;
use super::attention::raise;
use super::erasable::Erasable;
use super::error::DomainError;
use super::event::Event;
use super::guard::ensure;
use super::ids::NewIds;
use super::order::{ExternalPayment, OrderHeader, OrderState, PaymentSource, Requirement};
use super::payment::{AttentionCode, Payment};
use super::payment_proof::{submission, unmet, usable};
use super::payment_state::PaymentState;
use super::session::SessionStatus;

/// What a merchant submits an order with.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Submission {
    /// The merchant's own collection.
    pub external: Option<ExternalPayment>,
    /// A completed session.
    pub session: Option<SessionId>,
    /// A stored method to charge.
    pub profile: Option<ProfileId>,
    /// A completed session that stored a method.
    pub profile_session: Option<ProfileSessionId>,
}

impl Submission {
    /// How many payment proofs it carries; more than one is the request's fault.
    pub fn payment_sources(&self) -> usize {
        usize::from(self.external.is_some())
            + usize::from(self.session.is_some())
            + usize::from(self.profile.is_some())
    }

    /// What the order will remember of it.
    pub fn payment_source(&self) -> PaymentSource {
        if let Some(external) = &self.external {
            return PaymentSource::External(external.reference.clone());
        }
        match (self.session, self.profile, self.profile_session) {
            (Some(id), _, _) => PaymentSource::Session(id),
            (None, Some(id), _) => PaymentSource::Profile(id),
            (None, None, Some(id)) => PaymentSource::ProfileSession(id),
            (None, None, None) => PaymentSource::Nothing,
        }
    }
}

/// Submits the order. Submitting it again with the same proof changes nothing. A charge on a stored method is
/// not decided here: its money moves first.
///
/// # Errors
/// Any [`DomainError`] that names a state, a requirement or the session.
pub fn submit(
    order: &OrderAggregate,
    with: &Submission,
    now: Timestamp,
    ids: &mut NewIds,
) -> Result<Vec<Event>, DomainError> {
    let header = &order.header;
    if header.payment_source.as_ref() == Some(&with.payment_source()) {
        return Ok(Vec::new());
    }
    ensure(header, "submitted", &[OrderState::Pending, OrderState::PendingPayment])?;
    let Some(requirements) = header.requirements else { return Err(DomainError::NotPriced) };
    if requirements.requires_payment == Requirement::NotRequired && with.payment_sources() > 0 {
        return Err(DomainError::PaymentSourceNotWanted);
    }
    let beside = order.open_session().is_some_and(|open| with.session != Some(open.id));
    if beside && with.payment_sources() > 0 {
        return Err(DomainError::SessionOpen);
    }
    let session = with.session.map(|id| usable(order, id)).transpose()?;
    let pays = with.external.is_some() || session.is_some();
    let missing = unmet(header, session, with.profile_session.is_some(), pays);
    if !missing.is_empty() {
        return Err(DomainError::RequirementUnmet(missing));
    }
    // Nothing is missing, and yet its page could still be paid.
    if beside {
        return Err(DomainError::SessionOpen);
    }
    let mut events = Vec::new();
    if let Some(external) = &with.external {
        let payment = Box::new(external_payment(header, ids.payment(), now)?);
        events.push(Event::ExternalPaymentRecorded {
            external: Erasable::new(external.clone(), ids.salt()),
            payment,
        });
    }
    events.extend(submission(header, with.payment_source(), with.profile_session));
    events.extend(paid_beside(order, with.session, now, ids));
    Ok(events)
}

/// The order goes on with another proof than a completed session: what that session took or holds is one payment too
/// many, and a person is told.
fn paid_beside(
    order: &OrderAggregate,
    proof: Option<SessionId>,
    now: Timestamp,
    ids: &mut NewIds,
) -> Vec<Event> {
    let completed = |payment: &&Payment| {
        let session = payment.session.filter(|id| Some(*id) != proof).and_then(|id| order.session(id));
        session.is_some_and(|session| session.status == SessionStatus::Completed)
    };
    let beside = order.payments.iter().filter(completed).filter(|payment| payment.state.holds_money());
    let detail = "the order was submitted with another proof, and this payment of it holds money";
    let code = AttentionCode::DuplicatePayment;
    beside.flat_map(|of| raise(order, code, Some(of.id), detail.to_owned(), None, now, ids)).collect()
}

/// Whether a stored method may be charged for the order now. False if it was submitted with this method already.
///
/// # Errors
/// Any [`DomainError`] that names a state or a requirement.
pub fn chargeable(order: &OrderAggregate, profile: ProfileId) -> Result<bool, DomainError> {
    let header = &order.header;
    if header.payment_source == Some(PaymentSource::Profile(profile)) {
        return Ok(false);
    }
    ensure(header, "submitted", &[OrderState::Pending, OrderState::PendingPayment])?;
    if header.requirements.is_none() {
        return Err(DomainError::NotPriced);
    }
    if order.open_session().is_some() {
        return Err(DomainError::SessionOpen);
    }
    let missing = unmet(header, None, true, true);
    if missing.is_empty() { Ok(true) } else { Err(DomainError::RequirementUnmet(missing)) }
}

/// The merchant's own collection as a payment: taken whole, at no provider of ours.
fn external_payment(header: &OrderHeader, id: PaymentId, now: Timestamp) -> Result<Payment, DomainError> {
    let total = header.price.ok_or(DomainError::NotPriced)?.total;
    let payment = Payment::new(id, Money::new(total, header.currency), port::CaptureMode::Automatic, now);
    let state = PaymentState { captured: total, ..PaymentState::default() };
    Ok(Payment { state, reported_at: now, external: true, version: 1, ..payment })
}
