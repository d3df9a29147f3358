//! Handing an order over for fulfilment: what proves that it may be.

use port::{Money, PaymentId, PaymentStatus, ProfileId, ProfileSessionId, SessionId, Timestamp};

use super::cart::ensure;
use super::event::{Fact, Ids};
use super::file::OrderFile;
use super::observe::raise;
use super::operate::is_given_back;
use super::order::{ExternalPayment, Order, OrderState, Proof, Requirement};
use super::payment::{AttentionCode, Payment, Powers};
use super::refusal::Refusal;
use super::sealed::Sealed;
use super::session::{Session, SessionStatus};
use super::standing::Standing;

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
    pub fn payment_proofs(&self) -> usize {
        usize::from(self.external.is_some())
            + usize::from(self.session.is_some())
            + usize::from(self.profile.is_some())
    }

    /// What the order will remember of it.
    pub fn proof(&self) -> Proof {
        if let Some(external) = &self.external {
            return Proof::External(external.reference.clone());
        }
        match (self.session, self.profile, self.profile_session) {
            (Some(id), _, _) => Proof::Session(id),
            (None, Some(id), _) => Proof::Profile(id),
            (None, None, Some(id)) => Proof::ProfileSession(id),
            (None, None, None) => Proof::Nothing,
        }
    }
}

/// Submits the order. Submitting it again with the same proof changes nothing. A charge on a stored method is
/// not decided here: its money moves first. `salt` is for what the merchant tells of its own collection.
///
/// # Errors
/// Any [`Refusal`] that names a state, a requirement or the session.
pub fn submit(
    file: &OrderFile,
    with: &Submission,
    payment: PaymentId,
    salt: [u8; 16],
    now: Timestamp,
    ids: &mut Ids<'_>,
) -> Result<Vec<Fact>, Refusal> {
    let order = &file.order;
    if order.proof.as_ref() == Some(&with.proof()) {
        return Ok(Vec::new());
    }
    ensure(order, "submitted", &[OrderState::Pending, OrderState::PendingPayment])?;
    let Some(requirements) = order.requirements else { return Err(Refusal::NotPriced) };
    if requirements.requires_payment == Requirement::NotRequired && with.payment_proofs() > 0 {
        return Err(Refusal::ProofNotWanted);
    }
    let beside = file.open_session().is_some_and(|open| with.session != Some(open.id));
    if beside && with.payment_proofs() > 0 {
        return Err(Refusal::SessionOpen);
    }
    let session = with.session.map(|id| usable(file, id)).transpose()?;
    let pays = with.external.is_some() || session.is_some();
    let missing = unmet(order, session, with.profile_session.is_some(), pays);
    if !missing.is_empty() {
        return Err(Refusal::RequirementUnmet(missing));
    }
    // Nothing is missing, and yet its page could still be paid.
    if beside {
        return Err(Refusal::SessionOpen);
    }
    let mut facts = Vec::new();
    if let Some(external) = &with.external {
        let payment = Box::new(outside(order, payment, now)?);
        facts.push(Fact::PaidExternally { external: Sealed::new(external.clone(), salt), payment });
    }
    facts.extend(submission(order, with.proof()));
    facts.extend(paid_beside(file, with.session, now, ids));
    Ok(facts)
}

/// The order goes on with another proof than a completed session: what that session took or holds is one payment too
/// many, and a person is told.
fn paid_beside(file: &OrderFile, proof: Option<SessionId>, now: Timestamp, ids: &mut Ids<'_>) -> Vec<Fact> {
    let completed = |payment: &&Payment| {
        let session = payment.session.filter(|id| Some(*id) != proof).and_then(|id| file.session(id));
        session.is_some_and(|session| session.status == SessionStatus::Completed)
    };
    let beside = file.payments.iter().filter(completed).filter(|payment| payment.standing.holds_money());
    let detail = "the order was submitted with another proof, and this payment of it holds money";
    let code = AttentionCode::DuplicatePayment;
    beside.flat_map(|of| raise(file, code, Some(of.id), detail.to_owned(), None, now, ids)).collect()
}

/// Whether a stored method may be charged for the order now. False if it was submitted with this method already.
///
/// # Errors
/// Any [`Refusal`] that names a state or a requirement.
pub fn chargeable(file: &OrderFile, profile: ProfileId) -> Result<bool, Refusal> {
    let order = &file.order;
    if order.proof == Some(Proof::Profile(profile)) {
        return Ok(false);
    }
    ensure(order, "submitted", &[OrderState::Pending, OrderState::PendingPayment])?;
    if order.requirements.is_none() {
        return Err(Refusal::NotPriced);
    }
    if file.open_session().is_some() {
        return Err(Refusal::SessionOpen);
    }
    let missing = unmet(order, None, true, true);
    if missing.is_empty() { Ok(true) } else { Err(Refusal::RequirementUnmet(missing)) }
}

/// The session, if it is this order's, completed, not used, and its money still stands and is enough.
pub(super) fn usable(file: &OrderFile, id: SessionId) -> Result<&Session, Refusal> {
    let session = file.session(id).ok_or(Refusal::SessionUnusable("it is not of this order"))?;
    if session.status != SessionStatus::Completed {
        return Err(Refusal::SessionUnusable("it is not COMPLETED"));
    }
    if session.used {
        return Err(Refusal::SessionUnusable("it was used already"));
    }
    if file.order.price.is_none_or(|price| Money::new(price.total, price.currency) != session.money) {
        return Err(Refusal::SessionUnusable("it is for another amount"));
    }
    let stands = |payment: &Payment| proves(payment.status()) && !is_given_back(file, payment);
    if file.payment(session.payment).is_some_and(stands) {
        Ok(session)
    } else {
        Err(Refusal::SessionUnusable("its money was given back, lost or is contested"))
    }
}

/// Whether a payment in this status pays for an order.
pub(super) fn proves(status: PaymentStatus) -> bool {
    matches!(status, PaymentStatus::Authorized | PaymentStatus::Paid | PaymentStatus::PartiallyRefunded)
}

/// The requirements that are not met, by their names. `pays` says whether a payment proof is given.
pub(super) fn unmet(
    order: &Order,
    session: Option<&Session>,
    profile: bool,
    pays: bool,
) -> Vec<&'static str> {
    let Some(needs) = order.requirements else { return vec!["requiresPayment"] };
    let saved = session.and_then(|session| session.ask.value()).is_some_and(|ask| ask.save_payment_profile);
    let mut missing = Vec::new();
    if needs.requires_payment == Requirement::Required && !pays {
        missing.push("requiresPayment");
    }
    if needs.requires_payment_profile == Requirement::Required && !saved && !profile {
        missing.push("requiresPaymentProfile");
    }
    if needs.requires_signing == Requirement::Required && order.signature.is_none() {
        missing.push("requiresSigning");
    }
    missing
}

/// The order is handed over, and waits for a person if it should.
pub(super) fn submission(order: &Order, proof: Proof) -> Vec<Fact> {
    let next = if order.requires_approval { OrderState::PendingApproval } else { OrderState::Processing };
    vec![
        Fact::ProofUsed(proof),
        Fact::OrderMoved { from: order.state, to: OrderState::Submitted, why: None },
        Fact::OrderMoved { from: OrderState::Submitted, to: next, why: None },
    ]
}

/// The merchant's own collection as a payment: taken whole, at no provider of ours.
fn outside(order: &Order, id: PaymentId, now: Timestamp) -> Result<Payment, Refusal> {
    let total = order.price.ok_or(Refusal::NotPriced)?.total;
    Ok(Payment {
        id,
        session: None,
        attempt: None,
        money: Money::new(total, order.currency),
        capture: port::CaptureMode::Automatic,
        powers: Powers::default(),
        authorization_expires_at: None,
        standing: Standing { captured: total, ..Standing::default() },
        word: None,
        detail: None,
        failure: None,
        seen_at: now,
        capture_asked: None,
        operation: None,
        external: true,
        created_at: now,
        updated_at: now,
        version: 1,
    })
}
