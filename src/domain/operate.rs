//! Requests close, capture, void and refund. The amount is reserved in the same change; one operation at a time.

use port::{Failure, PaymentId, PaymentStatus, SessionId, Timestamp};

use super::Context;
use super::aggregate::OrderAggregate;
use super::erasable::Erasable;
use super::error::DomainError;
use super::event::Event;
use super::order::OrderState;
use super::payment::{AttentionCode, Operation, OperationKind, Payment, Refund, RefundOrigin, RefundStatus};
use super::payment_proof::is_refunded_or_voided;
use super::session::{FailureCode, SessionStatus};

/// Requests to close an open session.
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
    Ok(vec![payment.requested(operation, Some(code))])
}

/// Requests a capture, whole or in part.
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
    Ok(vec![payment.requested(operation, None)])
}

/// Requests a void.
pub fn void(order: &OrderAggregate, payment: PaymentId, now: Timestamp) -> Result<Vec<Event>, DomainError> {
    let payment = operable(order, payment)?;
    if payment.state.capturable() == 0 {
        return Err(DomainError::TooLate("the payment has no authorization to void"));
    }
    if !payment.capabilities.voids {
        return Err(DomainError::Unsupported("void"));
    }
    let operation = Operation::new(OperationKind::Void, None, payment.state.captured, now);
    // A session that is still open (unexpected authorization) ends with the void.
    let session = order.open_session().filter(|session| session.payment == payment.id);
    let closing = session.map(|_| FailureCode::Cancelled);
    Ok(vec![payment.requested(operation, closing)])
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

#[derive(Clone, Debug)]
pub struct NewRefund {
    /// Minor units; all that is left if absent.
    pub amount: Option<i64>,
    pub reason: Option<Erasable<String>>,
    pub reference: Option<String>,
    pub origin: RefundOrigin,
}

/// The most refunds of a payment: all of them are read and written with each change of its order.
pub const MAX_REFUNDS: usize = 200;

/// Creates a pending refund. It is sent at once if no operation is pending, else after that one.
pub fn refund(
    context: &mut Context<'_>,
    payment: PaymentId,
    new: NewRefund,
) -> Result<Vec<Event>, DomainError> {
    let (order, now) = (context.order, context.now);
    let payment = order.payment(payment).ok_or(DomainError::TooLate("there is no such payment"))?;
    if payment.is_external() {
        return Err(DomainError::ExternalPayment);
    }
    if is_contested(payment) {
        return Err(DomainError::Disputed);
    }
    if payment.state.captured == 0 {
        return Err(DomainError::TooLate("the payment has no captured money to refund"));
    }
    if !payment.capabilities.refunds {
        return Err(DomainError::Unsupported("refund"));
    }
    let earlier = order.refunds.iter().filter(|refund| refund.payment == payment.id);
    if earlier.count() >= MAX_REFUNDS {
        return Err(DomainError::TooLate("the payment has had 200 refunds, the most that one may have"));
    }
    let left = refundable(order, payment);
    let amount = new.amount.unwrap_or(left);
    if new.amount.is_some_and(|amount| amount <= 0) {
        return Err(DomainError::NotPositive);
    }
    if amount > left || left == 0 {
        return Err(DomainError::ExceedsCaptured { remaining: left });
    }
    if amount < payment.state.captured && !payment.capabilities.partial_refunds {
        return Err(DomainError::Unsupported("refund a part"));
    }
    let refund = Refund::new(context.refund_id(), payment, amount, new.origin, now);
    let refund = Refund { reason: new.reason, reference: new.reference, ..refund };
    let send = payment.operation.is_none().then(|| send_refund(payment, &refund, now));
    Ok(std::iter::once(Event::RefundCreated(Box::new(refund))).chain(send).collect())
}

/// Whether there is a chargeback, so that a refund could pay the customer twice.
pub(crate) fn is_contested(payment: &Payment) -> bool {
    payment.state.open_dispute().is_some_and(|report| !report.stage.is_inquiry())
}

/// Sends the next pending refund, if no operation is pending. One that is larger than what is left, because money was
/// refunded in the provider's portal, fails without being sent; attention is raised if an ended order relied on it.
pub fn next_refund(context: &mut Context<'_>, payment: PaymentId) -> Vec<Event> {
    let order = context.order;
    let Some(payment) = order.payment(payment) else { return Vec::new() };
    let left = payment.state.captured - payment.state.refunded();
    let fits = |refund: &&Refund| refund.money.minor <= left;
    let failed: Vec<&Refund> = waiting_refunds(order, payment).take_while(|refund| !fits(refund)).collect();
    let sent = waiting_refunds(order, payment).find(fits);
    let mut events: Vec<Event> = failed.iter().map(|refund| too_large(refund)).collect();
    events.extend(sent.map(|refund| send_refund(payment, refund, context.now)));
    let still: i64 =
        waiting_refunds(order, payment).skip(failed.len()).map(|refund| refund.money.minor).sum();
    if !failed.is_empty() && still < left && order.header.state.refunds_payments() {
        let detail = "the order has ended, and its pending refund is larger than what is left";
        events.extend(context.raise(AttentionCode::RefundNeeded, payment.id, detail));
    }
    events
}

fn too_large(refund: &Refund) -> Event {
    let text = Some("less than this can still be refunded".to_owned());
    let failure = Some(Failure { code: None, text });
    Event::RefundStatusChanged { refund: refund.id, to: RefundStatus::Failed, failure }
}

/// The pending refunds that can be sent now, oldest first; none while an operation is pending or the payment is
/// disputed.
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
    payment.requested(operation, None)
}

/// What can still be refunded, less what pending refunds have reserved.
pub fn refundable(order: &OrderAggregate, payment: &Payment) -> i64 {
    if payment.is_external() || !payment.capabilities.refunds {
        return 0;
    }
    (payment.state.captured - payment.state.refunded() - order.reserved(payment.id)).max(0)
}

/// What can still be captured; nothing while an operation is pending.
pub fn capturable(payment: &Payment) -> i64 {
    if payment.operation.is_some() || payment.is_external() { 0 } else { payment.state.capturable() }
}

/// Finishes the pending operation of a payment, and the refund that it makes.
pub(super) fn finish(payment: &Payment, declined: Option<Failure>) -> Vec<Event> {
    let Some(operation) = payment.operation.clone() else { return Vec::new() };
    let to = if declined.is_none() { RefundStatus::Succeeded } else { RefundStatus::Failed };
    let failure = declined.clone();
    let refund = operation.refund.map(|refund| Event::RefundStatusChanged { refund, to, failure });
    std::iter::once(payment.finished(operation, declined)).chain(refund).collect()
}

/// The provider declined the pending operation, provably without effect.
pub fn declined(order: &OrderAggregate, payment: PaymentId, failure: Failure) -> Vec<Event> {
    order.payment(payment).map(|payment| finish(payment, Some(failure))).unwrap_or_default()
}

/// A call for a pending operation has ended without an answer that resolves it; `unsent` says that it provably did not
/// reach the provider.
pub fn unanswered(
    order: &OrderAggregate,
    payment: PaymentId,
    tried: &Operation,
    unsent: bool,
) -> Option<Event> {
    let operation = order.payment(payment)?.operation.as_ref().filter(|pending| pending.is_same(tried))?;
    let changes = operation.unanswered_since.is_none() || operation.unsent != unsent;
    changes.then_some(Event::OperationUnanswered { payment, unsent })
}

/// The intent to send an operation again that did not reach the provider.
pub fn send_again(order: &OrderAggregate, payment: PaymentId, tried: &Operation) -> Option<Event> {
    let payment = order.payment(payment)?;
    let operation = payment.operation.clone().filter(|pending| pending.is_same(tried) && pending.unsent)?;
    Some(payment.requested(Operation { unsent: false, ..operation }, None))
}

/// Returns all money of an ended order: closes its open session, voids authorizations, refunds captures; raises
/// attention where the provider has no such call.
pub(super) fn refund_or_void_all(context: &mut Context<'_>) -> Vec<Event> {
    let order = context.order;
    let holding = |payment: &&Payment| payment.state.holds_money();
    let unpaid = order.open_session().filter(|open| order.payment(open.payment).filter(holding).is_none());
    let closed = unpaid.map(|session| close(order, session.id, FailureCode::Cancelled, context.now));
    let mut events = closed.and_then(Result::ok).unwrap_or_default();
    for payment in order.payments.iter().filter(holding) {
        if is_refunded_or_voided(order, payment) {
            continue;
        }
        match refund_or_void(context, payment, "the order was cancelled") {
            Ok(more) => events.extend(more),
            Err(error) => {
                let detail = format!("the order was cancelled and its money could not be returned: {error}");
                events.extend(context.raise(AttentionCode::RefundNeeded, payment.id, detail));
            }
        }
    }
    events
}

/// Returns all money of a payment: voids an authorization, refunds a capture.
pub(super) fn refund_or_void(
    context: &mut Context<'_>,
    payment: &Payment,
    reason: &str,
) -> Result<Vec<Event>, DomainError> {
    if payment.state.is_authorized() {
        return void(context.order, payment.id, context.now);
    }
    let reason = Some(Erasable::new(reason.to_owned(), context.salt()));
    let new = NewRefund { amount: None, reason, reference: None, origin: RefundOrigin::Policy };
    refund(context, payment.id, new)
}

/// Whether the order's money prevents it from expiring.
pub(super) fn blocks_expiry(order: &OrderAggregate) -> bool {
    order.holds_money() || order.payments.iter().any(|payment| payment.status() == PaymentStatus::Disputed)
}

/// The states in which an order may be cancelled.
pub(super) const CANCELLABLE: &[OrderState] =
    &[OrderState::Pending, OrderState::PendingPayment, OrderState::Submitted, OrderState::PendingApproval];
