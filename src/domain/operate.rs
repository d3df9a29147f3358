//! Operations on money: what may be asked, with the amount reserved in the same change; one at a time.

use port::{Failure, Money, PaymentId, PaymentStatus, RefundId, SessionId, Timestamp};

use super::event::{Fact, Ids};
use super::file::OrderFile;
use super::observe::raise;
use super::open::end;
use super::order::OrderState;
use super::payment::{AttentionCode, Operation, OperationKind, Payment, Refund, RefundOrigin, RefundStatus};
use super::refusal::Refusal;
use super::sealed::Sealed;
use super::session::{FailureCode, SessionFailure, SessionStatus};

/// Asks to close an open session: at its time, by the merchant, or because its order ends.
///
/// # Errors
/// [`Refusal::TooLate`] for a session that has ended.
pub fn close(
    file: &OrderFile,
    session: SessionId,
    code: FailureCode,
    now: Timestamp,
) -> Result<Vec<Fact>, Refusal> {
    let found = file.session(session).ok_or(Refusal::TooLate("there is no such session"))?;
    match found.status {
        SessionStatus::Completed => return Err(Refusal::TooLate("the session is COMPLETED; it was paid")),
        SessionStatus::Failed => return Ok(Vec::new()),
        SessionStatus::Pending | SessionStatus::RequiresAction => {}
    }
    let payment = file.payment(found.payment).ok_or(Refusal::Damaged(file.id()))?;
    if payment.operation.is_some() {
        return Ok(Vec::new());
    }
    let operation = Operation::new(OperationKind::Close, None, 0, now);
    Ok(vec![Fact::OperationAsked { payment: payment.id, operation, closing: Some(code) }])
}

/// Asks to take what is held, or a part of it.
///
/// # Errors
/// A [`Refusal`] that names the state, the amount or the capability.
pub fn capture(
    file: &OrderFile,
    payment: PaymentId,
    amount: Option<i64>,
    now: Timestamp,
) -> Result<Vec<Fact>, Refusal> {
    let payment = operable(file, payment)?;
    let left = payment.standing.capturable();
    if left == 0 {
        return Err(Refusal::TooLate("the payment has nothing to capture"));
    }
    let amount = amount.unwrap_or(left);
    if amount <= 0 {
        return Err(Refusal::NotPositive);
    }
    if amount > left {
        return Err(Refusal::ExceedsAuthorized { remaining: left });
    }
    let operation = Operation::new(OperationKind::Capture, Some(amount), payment.standing.captured, now);
    Ok(vec![Fact::OperationAsked { payment: payment.id, operation, closing: None }])
}

/// Asks to release what is held.
///
/// # Errors
/// As [`capture`].
pub fn void(file: &OrderFile, payment: PaymentId, now: Timestamp) -> Result<Vec<Fact>, Refusal> {
    let payment = operable(file, payment)?;
    if payment.standing.capturable() == 0 {
        return Err(Refusal::TooLate("the payment holds nothing that could be released"));
    }
    if !payment.powers.voids {
        return Err(Refusal::Unsupported("void"));
    }
    let operation = Operation::new(OperationKind::Void, None, payment.standing.captured, now);
    // A session that is still open ends with the hold that nobody asked for.
    let session = file.open_session().filter(|session| session.payment == payment.id);
    let closing = session.map(|_| FailureCode::Cancelled);
    Ok(vec![Fact::OperationAsked { payment: payment.id, operation, closing }])
}

/// The payment, if an operation on it may be sent now.
pub(super) fn operable(file: &OrderFile, payment: PaymentId) -> Result<&Payment, Refusal> {
    let payment = file.payment(payment).ok_or(Refusal::TooLate("there is no such payment"))?;
    if payment.is_outside() {
        return Err(Refusal::ExternalPayment);
    }
    if payment.operation.is_some() {
        return Err(Refusal::OperationPending);
    }
    Ok(payment)
}

/// A refund that is asked for.
#[derive(Clone, Debug)]
pub struct Refunding {
    /// The new refund's id.
    pub id: RefundId,
    /// How much, minor units; all that is left if absent.
    pub amount: Option<i64>,
    /// Why, in the merchant's words.
    pub reason: Option<Sealed<String>>,
    /// The merchant's reference.
    pub reference: Option<String>,
    /// Who wants it.
    pub origin: RefundOrigin,
}

/// Reserves a refund; it is sent at once if nothing else is under way, else in its turn.
///
/// # Errors
/// A [`Refusal`] that names the state, the amount or the capability.
pub fn refund(
    file: &OrderFile,
    payment: PaymentId,
    ask: Refunding,
    now: Timestamp,
) -> Result<Vec<Fact>, Refusal> {
    let payment = file.payment(payment).ok_or(Refusal::TooLate("there is no such payment"))?;
    if payment.is_outside() {
        return Err(Refusal::ExternalPayment);
    }
    if is_contested(payment) {
        return Err(Refusal::Disputed);
    }
    if payment.standing.captured == 0 {
        return Err(Refusal::TooLate("the payment has taken no money that could be refunded"));
    }
    if !payment.powers.refunds {
        return Err(Refusal::Unsupported("refund"));
    }
    let left = refundable(file, payment);
    let amount = ask.amount.unwrap_or(left);
    if ask.amount.is_some_and(|amount| amount <= 0) {
        return Err(Refusal::NotPositive);
    }
    if amount > left || left == 0 {
        return Err(Refusal::ExceedsCaptured { remaining: left });
    }
    if amount < payment.standing.captured && !payment.powers.partial_refunds {
        return Err(Refusal::Unsupported("refund a part"));
    }
    let refund = Refund {
        id: ask.id,
        payment: payment.id,
        money: Money::new(amount, payment.money.currency),
        status: RefundStatus::Pending,
        reason: ask.reason,
        reference: ask.reference,
        origin: ask.origin,
        failure: None,
        created_at: now,
        updated_at: now,
        version: 1,
    };
    let send = payment.operation.is_none().then(|| send_refund(payment, &refund, now));
    Ok(std::iter::once(Fact::RefundMade(Box::new(refund))).chain(send).collect())
}

/// Whether the bank has taken the money back, so that a refund could pay it twice.
pub(crate) fn is_contested(payment: &Payment) -> bool {
    payment.standing.open_dispute().is_some_and(|word| !word.stage.only_asks())
}

/// The next refund in the queue, if nothing is under way. One that no longer fits, because money went back in the
/// provider's portal meanwhile, fails without being sent; if an ended order counted on it, a person is told.
pub fn next_refund(file: &OrderFile, payment: PaymentId, now: Timestamp, ids: &mut Ids<'_>) -> Vec<Fact> {
    let Some(payment) = file.payment(payment) else { return Vec::new() };
    let left = payment.standing.captured - payment.standing.refunded();
    let fits = |refund: &&Refund| refund.money.minor <= left;
    let failed: Vec<&Refund> = waiting_refunds(file, payment).take_while(|refund| !fits(refund)).collect();
    let sent = waiting_refunds(file, payment).find(fits);
    let mut facts: Vec<Fact> = failed.iter().map(|refund| too_late(refund)).collect();
    facts.extend(sent.map(|refund| send_refund(payment, refund, now)));
    let still: i64 = waiting_refunds(file, payment).skip(failed.len()).map(|refund| refund.money.minor).sum();
    if !failed.is_empty() && still < left && file.order.state.gives_back() {
        let detail = "the order has ended, and a refund that was to give its money back no longer fits";
        let payment = Some(payment.id);
        facts.extend(raise(file, AttentionCode::RefundNeeded, payment, detail.to_owned(), None, now, ids));
    }
    facts
}

fn too_late(refund: &Refund) -> Fact {
    let text = Some("less than this is left to give back".to_owned());
    let failure = Some(Failure { code: None, text });
    Fact::RefundMoved { refund: refund.id, to: RefundStatus::Failed, failure }
}

/// The refunds that are not sent and may be, oldest first: nothing is under way, and the money is not contested.
pub(super) fn waiting_refunds<'a>(
    file: &'a OrderFile,
    payment: &Payment,
) -> impl Iterator<Item = &'a Refund> + use<'a> {
    let (id, free) = (payment.id, payment.operation.is_none() && !is_contested(payment));
    let waits =
        move |refund: &&Refund| free && refund.payment == id && refund.status == RefundStatus::Pending;
    file.refunds.iter().filter(waits)
}

fn send_refund(payment: &Payment, refund: &Refund, now: Timestamp) -> Fact {
    let (amount, before) = (Some(refund.money.minor), payment.standing.refunded());
    let operation = Operation::new(OperationKind::Refund, amount, before, now);
    let operation = Operation { refund: Some(refund.id), ..operation };
    Fact::OperationAsked { payment: payment.id, operation, closing: None }
}

/// What can still be refunded, less what pending refunds have reserved.
pub fn refundable(file: &OrderFile, payment: &Payment) -> i64 {
    if payment.is_outside() || !payment.powers.refunds {
        return 0;
    }
    (payment.standing.captured - payment.standing.refunded() - file.reserved(payment.id)).max(0)
}

/// What can still be captured, nothing while an operation is under way.
pub fn capturable(payment: &Payment) -> i64 {
    if payment.operation.is_some() || payment.is_outside() { 0 } else { payment.standing.capturable() }
}

/// The provider refused the operation under way, provably without effect.
pub fn refused(file: &OrderFile, payment: PaymentId, failure: Failure) -> Vec<Fact> {
    let Some((payment, operation)) = pending(file, payment) else { return Vec::new() };
    let refund = operation.refund.map(|refund| Fact::RefundMoved {
        refund,
        to: RefundStatus::Failed,
        failure: Some(failure.clone()),
    });
    let ended = Fact::OperationEnded { payment: payment.id, operation, refused: Some(failure) };
    std::iter::once(ended).chain(refund).collect()
}

/// Notes of an operation that is still under way whether its last try provably reached nobody.
pub fn mark_unsent(file: &OrderFile, payment: PaymentId, tried: &Operation, unsent: bool) -> Option<Fact> {
    let (payment, operation) = pending(file, payment)?;
    let news = operation.is_same(tried) && operation.unsent != unsent;
    let operation = Operation { unsent, ..operation };
    news.then_some(Fact::OperationAsked { payment: payment.id, operation, closing: None })
}

/// A provider that cannot close was asked and says that nothing was taken: the session ends on our own word.
pub fn closed_by_us(file: &OrderFile, payment: PaymentId) -> Vec<Fact> {
    let Some((payment, operation)) = pending(file, payment) else { return Vec::new() };
    let session = payment.session.and_then(|id| file.session(id));
    let code = session.and_then(|session| session.closing);
    match (operation.kind, session, code) {
        (OperationKind::Close, Some(session), Some(code)) if !payment.standing.holds_money() => {
            let last = session.failure.clone();
            let failure = SessionFailure {
                code,
                message: last.as_ref().and_then(|last| last.message.clone()),
                provider_code: last.and_then(|last| last.provider_code),
                retryable: false,
            };
            end(file, session, failure)
        }
        _ => Vec::new(),
    }
}

fn pending(file: &OrderFile, payment: PaymentId) -> Option<(&Payment, Operation)> {
    let payment = file.payment(payment)?;
    Some((payment, payment.operation.clone()?))
}

/// What gives back all that an ended order holds: its open session closed, holds voided, the rest refunded;
/// a person where the provider has no such call.
pub(super) fn give_back(file: &OrderFile, now: Timestamp, ids: &mut Ids<'_>) -> Vec<Fact> {
    let mut facts = Vec::new();
    let holding = |payment: &&Payment| payment.standing.holds_money();
    if let Some(session) =
        file.open_session().filter(|open| file.payment(open.payment).filter(holding).is_none())
    {
        facts.extend(close(file, session.id, FailureCode::Cancelled, now).unwrap_or_default());
    }
    for payment in file.payments.iter().filter(holding).filter(|payment| !is_given_back(file, payment)) {
        match give_back_payment(file, payment, "the order was cancelled", now, ids) {
            Ok(more) => facts.extend(more),
            Err(refusal) => {
                let detail = format!("the order was cancelled and its money is not given back: {refusal}");
                let payment = Some(payment.id);
                facts.extend(raise(file, AttentionCode::RefundNeeded, payment, detail, None, now, ids));
            }
        }
    }
    facts
}

/// What gives back all that a payment holds: the hold released, what was taken refunded.
///
/// # Errors
/// As [`void`] and [`refund`].
pub(super) fn give_back_payment(
    file: &OrderFile,
    payment: &Payment,
    reason: &str,
    now: Timestamp,
    ids: &mut Ids<'_>,
) -> Result<Vec<Fact>, Refusal> {
    let asking = Refunding {
        id: RefundId::from_uuid(ids()),
        amount: None,
        reason: Some(Sealed::new(reason.to_owned(), ids().into_bytes())),
        reference: None,
        origin: RefundOrigin::Policy,
    };
    if payment.standing.is_held() {
        void(file, payment.id, now)
    } else {
        refund(file, payment.id, asking, now)
    }
}

/// Whether a void or refunds that are under way already give all of it back.
pub(super) fn is_given_back(file: &OrderFile, payment: &Payment) -> bool {
    let voided = payment.operation.as_ref().is_some_and(|operation| operation.kind == OperationKind::Void);
    let taken = payment.standing.captured - payment.standing.refunded();
    voided || (taken > 0 && taken <= file.reserved(payment.id))
}

/// Whether the order's money is a reason not to let it expire.
pub(super) fn blocks_expiry(file: &OrderFile) -> bool {
    file.holds_money() || file.payments.iter().any(|payment| payment.status() == PaymentStatus::Disputed)
}

/// Whether an order in this state may still be cancelled.
pub(super) const CANCELLABLE: &[OrderState] =
    &[OrderState::Pending, OrderState::PendingPayment, OrderState::Submitted, OrderState::PendingApproval];
