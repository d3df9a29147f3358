//! Operations on money: what may be asked, with the amount reserved in the same change; one at a time.

use port::{Failure, PaymentId, PaymentStatus, RefundId, SessionId, Timestamp};

use super::aggregate::OrderAggregate;
use super::attention::raise;
use super::erasable::Erasable;
use super::error::DomainError;
use super::event::Event;
use super::ids::NewIds;
use super::order::OrderState;
use super::payment::{AttentionCode, Operation, OperationKind, Payment, Refund, RefundOrigin, RefundStatus};
use super::payment_proof::is_refunded_or_voided;
use super::session::{FailureCode, SessionStatus};
use super::session_end::pending;

/// Asks to close an open session: at its time, by the merchant, or because its order ends.
///
/// # Errors
/// [`DomainError::TooLate`] for a session that has ended.
pub fn close(
    order: &OrderAggregate,
    session: SessionId,
    code: FailureCode,
    now: Timestamp,
) -> Result<Vec<Event>, DomainError> {
    let found = order.session(session).ok_or(DomainError::TooLate("there is no such session"))?;
    match found.status {
        SessionStatus::Completed => {
            return Err(DomainError::TooLate("the session is COMPLETED; it was paid"));
        }
        SessionStatus::Failed => return Ok(Vec::new()),
        SessionStatus::Pending | SessionStatus::RequiresAction => {}
    }
    let payment = order.payment(found.payment).ok_or(DomainError::Damaged(order.id()))?;
    if payment.operation.is_some() {
        return Ok(Vec::new());
    }
    let operation = Operation::new(OperationKind::Close, None, 0, now);
    Ok(vec![Event::OperationRequested { payment: payment.id, operation, closing: Some(code) }])
}

/// Asks to take what is held, or a part of it.
///
/// # Errors
/// A [`DomainError`] that names the state, the amount or the capability.
pub fn capture(
    order: &OrderAggregate,
    payment: PaymentId,
    amount: Option<i64>,
    now: Timestamp,
) -> Result<Vec<Event>, DomainError> {
    let payment = operable(order, payment)?;
    let left = payment.state.capturable();
    if left == 0 {
        return Err(DomainError::TooLate("the payment has nothing to capture"));
    }
    let amount = amount.unwrap_or(left);
    if amount <= 0 {
        return Err(DomainError::NotPositive);
    }
    if amount > left {
        return Err(DomainError::ExceedsAuthorized { remaining: left });
    }
    let operation = Operation::new(OperationKind::Capture, Some(amount), payment.state.captured, now);
    Ok(vec![Event::OperationRequested { payment: payment.id, operation, closing: None }])
}

/// Asks to release what is held.
///
/// # Errors
/// As [`capture`].
pub fn void(order: &OrderAggregate, payment: PaymentId, now: Timestamp) -> Result<Vec<Event>, DomainError> {
    let payment = operable(order, payment)?;
    if payment.state.capturable() == 0 {
        return Err(DomainError::TooLate("the payment holds nothing that could be released"));
    }
    if !payment.capabilities.voids {
        return Err(DomainError::Unsupported("void"));
    }
    let operation = Operation::new(OperationKind::Void, None, payment.state.captured, now);
    // A session that is still open ends with the hold that nobody asked for.
    let session = order.open_session().filter(|session| session.payment == payment.id);
    let closing = session.map(|_| FailureCode::Cancelled);
    Ok(vec![Event::OperationRequested { payment: payment.id, operation, closing }])
}

/// The payment, if an operation on it may be sent now.
pub(super) fn operable(order: &OrderAggregate, payment: PaymentId) -> Result<&Payment, DomainError> {
    let payment = order.payment(payment).ok_or(DomainError::TooLate("there is no such payment"))?;
    if payment.is_external() {
        return Err(DomainError::ExternalPayment);
    }
    if payment.operation.is_some() {
        return Err(DomainError::OperationPending);
    }
    Ok(payment)
}

/// A refund that is asked for.
#[derive(Clone, Debug)]
pub struct NewRefund {
    /// The new refund's id.
    pub id: RefundId,
    /// How much, minor units; all that is left if absent.
    pub amount: Option<i64>,
    /// Why, in the merchant's words.
    pub reason: Option<Erasable<String>>,
    /// The merchant's reference.
    pub reference: Option<String>,
    /// Who wants it.
    pub origin: RefundOrigin,
}

/// Reserves a refund; it is sent at once if nothing else is under way, else in its turn.
///
/// # Errors
/// A [`DomainError`] that names the state, the amount or the capability.
pub fn refund(
    order: &OrderAggregate,
    payment: PaymentId,
    new_refund: NewRefund,
    now: Timestamp,
) -> Result<Vec<Event>, DomainError> {
    let payment = order.payment(payment).ok_or(DomainError::TooLate("there is no such payment"))?;
    if payment.is_external() {
        return Err(DomainError::ExternalPayment);
    }
    if is_contested(payment) {
        return Err(DomainError::Disputed);
    }
    if payment.state.captured == 0 {
        return Err(DomainError::TooLate("the payment has taken no money that could be refunded"));
    }
    if !payment.capabilities.refunds {
        return Err(DomainError::Unsupported("refund"));
    }
    let left = refundable(order, payment);
    let amount = new_refund.amount.unwrap_or(left);
    if new_refund.amount.is_some_and(|amount| amount <= 0) {
        return Err(DomainError::NotPositive);
    }
    if amount > left || left == 0 {
        return Err(DomainError::ExceedsCaptured { remaining: left });
    }
    if amount < payment.state.captured && !payment.capabilities.partial_refunds {
        return Err(DomainError::Unsupported("refund a part"));
    }
    let NewRefund { id, reason, reference, origin, .. } = new_refund;
    let refund = Refund { reason, reference, ..Refund::new(id, payment, amount, origin, now) };
    let send = payment.operation.is_none().then(|| send_refund(payment, &refund, now));
    Ok(std::iter::once(Event::RefundCreated(Box::new(refund))).chain(send).collect())
}

/// Whether the bank has taken the money back, so that a refund could pay it twice.
pub(crate) fn is_contested(payment: &Payment) -> bool {
    payment.state.open_dispute().is_some_and(|word| !word.stage.is_inquiry())
}

/// The next refund in the queue, if nothing is under way. One that no longer fits, because money went back in the
/// provider's portal meanwhile, fails without being sent; if an ended order counted on it, a person is told.
pub fn next_refund(
    order: &OrderAggregate,
    payment: PaymentId,
    now: Timestamp,
    ids: &mut NewIds,
) -> Vec<Event> {
    let Some(payment) = order.payment(payment) else { return Vec::new() };
    let left = payment.state.captured - payment.state.refunded();
    let fits = |refund: &&Refund| refund.money.minor <= left;
    let failed: Vec<&Refund> = waiting_refunds(order, payment).take_while(|refund| !fits(refund)).collect();
    let sent = waiting_refunds(order, payment).find(fits);
    let mut events: Vec<Event> = failed.iter().map(|refund| too_late(refund)).collect();
    events.extend(sent.map(|refund| send_refund(payment, refund, now)));
    let still: i64 =
        waiting_refunds(order, payment).skip(failed.len()).map(|refund| refund.money.minor).sum();
    if !failed.is_empty() && still < left && order.header.state.refunds_payments() {
        let detail = "the order has ended, and a refund that was to give its money back no longer fits";
        let payment = Some(payment.id);
        events.extend(raise(order, AttentionCode::RefundNeeded, payment, detail.to_owned(), None, now, ids));
    }
    events
}

fn too_late(refund: &Refund) -> Event {
    let text = Some("less than this is left to give back".to_owned());
    let failure = Some(Failure { code: None, text });
    Event::RefundStatusChanged { refund: refund.id, to: RefundStatus::Failed, failure }
}

/// The refunds that are not sent and may be, oldest first: nothing is under way, and the money is not contested.
pub(super) fn waiting_refunds<'a>(
    order: &'a OrderAggregate,
    payment: &Payment,
) -> impl Iterator<Item = &'a Refund> + use<'a> {
    let (id, free) = (payment.id, payment.operation.is_none() && !is_contested(payment));
    let waits =
        move |refund: &&Refund| free && refund.payment == id && refund.status == RefundStatus::Pending;
    order.refunds.iter().filter(waits)
}

fn send_refund(payment: &Payment, refund: &Refund, now: Timestamp) -> Event {
    let (amount, before) = (Some(refund.money.minor), payment.state.refunded());
    let operation = Operation::new(OperationKind::Refund, amount, before, now);
    let operation = Operation { refund: Some(refund.id), ..operation };
    Event::OperationRequested { payment: payment.id, operation, closing: None }
}

/// What can still be refunded, less what pending refunds have reserved.
pub fn refundable(order: &OrderAggregate, payment: &Payment) -> i64 {
    if payment.is_external() || !payment.capabilities.refunds {
        return 0;
    }
    (payment.state.captured - payment.state.refunded() - order.reserved(payment.id)).max(0)
}

/// What can still be captured, nothing while an operation is under way.
pub fn capturable(payment: &Payment) -> i64 {
    if payment.operation.is_some() || payment.is_external() { 0 } else { payment.state.capturable() }
}

/// The provider declined the operation under way, provably without effect.
pub fn declined(order: &OrderAggregate, payment: PaymentId, failure: Failure) -> Vec<Event> {
    let Some((payment, operation)) = pending(order, payment) else { return Vec::new() };
    let refund = operation.refund.map(|refund| Event::RefundStatusChanged {
        refund,
        to: RefundStatus::Failed,
        failure: Some(failure.clone()),
    });
    let ended = Event::OperationFinished { payment: payment.id, operation, declined: Some(failure) };
    std::iter::once(ended).chain(refund).collect()
}

/// Notes of an operation that is still under way whether its last try provably reached nobody.
pub fn set_unsent(
    order: &OrderAggregate,
    payment: PaymentId,
    tried: &Operation,
    unsent: bool,
) -> Option<Event> {
    let (payment, operation) = pending(order, payment)?;
    let news = operation.is_same(tried) && operation.unsent != unsent;
    let operation = Operation { unsent, ..operation };
    news.then_some(Event::OperationRequested { payment: payment.id, operation, closing: None })
}

/// What gives back all that an ended order holds: its open session closed, holds voided, the rest refunded;
/// a person where the provider has no such call.
pub(super) fn refund_or_void_all(order: &OrderAggregate, now: Timestamp, ids: &mut NewIds) -> Vec<Event> {
    let mut events = Vec::new();
    let holding = |payment: &&Payment| payment.state.holds_money();
    if let Some(session) =
        order.open_session().filter(|open| order.payment(open.payment).filter(holding).is_none())
    {
        events.extend(close(order, session.id, FailureCode::Cancelled, now).unwrap_or_default());
    }
    for payment in
        order.payments.iter().filter(holding).filter(|payment| !is_refunded_or_voided(order, payment))
    {
        match refund_or_void(order, payment, "the order was cancelled", now, ids) {
            Ok(more) => events.extend(more),
            Err(error) => {
                let detail = format!("the order was cancelled and its money is not given back: {error}");
                let payment = Some(payment.id);
                events.extend(raise(order, AttentionCode::RefundNeeded, payment, detail, None, now, ids));
            }
        }
    }
    events
}

/// What gives back all that a payment holds: the hold released, what was taken refunded.
///
/// # Errors
/// As [`void`] and [`refund`].
pub(super) fn refund_or_void(
    order: &OrderAggregate,
    payment: &Payment,
    reason: &str,
    now: Timestamp,
    ids: &mut NewIds,
) -> Result<Vec<Event>, DomainError> {
    if payment.state.is_held() {
        return void(order, payment.id, now);
    }
    let new_refund = NewRefund {
        id: ids.refund(),
        amount: None,
        reason: Some(Erasable::new(reason.to_owned(), ids.salt())),
        reference: None,
        origin: RefundOrigin::Policy,
    };
    refund(order, payment.id, new_refund, now)
}

/// Whether the order's money is a reason not to let it expire.
pub(super) fn blocks_expiry(order: &OrderAggregate) -> bool {
    order.holds_money() || order.payments.iter().any(|payment| payment.status() == PaymentStatus::Disputed)
}

/// Whether an order in this state may still be cancelled.
pub(super) const CANCELLABLE: &[OrderState] =
    &[OrderState::Pending, OrderState::PendingPayment, OrderState::Submitted, OrderState::PendingApproval];
