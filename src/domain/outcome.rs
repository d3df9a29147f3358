//! The outcome of a request, computed from its change and those that followed. The request and its repeats compute it
//! the same way.

use std::sync::Arc;

use port::{AttentionId, Failure, PaymentId, RefundId, SessionId};

use super::subject::Step;
use super::{
    AttemptState, Attention, AttentionCode, Event, Operation, OperationKind, OrderAggregate, Session,
    SessionStatus,
};

/// The outcome of a request about an order.
#[derive(Clone, Debug, PartialEq)]
pub struct Outcome {
    /// The order at the end of the request, or as it is now.
    pub order: Arc<OrderAggregate>,
    /// The session that was created or closed.
    pub session: Option<SessionId>,
    /// The payment that an operation was requested on, or a refund created.
    pub payment: Option<PaymentId>,
    pub refund: Option<RefundId>,
    pub attention: Option<AttentionId>,
    pub status: OutcomeStatus,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum OutcomeStatus {
    Done,
    /// It is recorded; whether it took effect is not known yet.
    Pending,
    Declined(Failure),
}

impl Outcome {
    /// The outcome of a request that changed nothing.
    pub fn unchanged(order: Arc<OrderAggregate>) -> Self {
        Request::default().outcome(order, false)
    }

    /// The outcome of a request, from its own change and those that followed. `order` is the current order.
    pub fn of(steps: &[Step<OrderAggregate>], order: Arc<OrderAggregate>) -> Self {
        let mut request = Request::default();
        for (index, step) in steps.iter().enumerate() {
            for event in &step.change.events {
                if index == 0 {
                    request.record_change(event, &step.after);
                }
                request.record_end(event);
            }
            if !request.is_open(&step.after) {
                return request.outcome(step.after.clone(), false);
            }
        }
        request.outcome(order, !steps.is_empty())
    }

    /// Whether the created session has a start of unknown outcome, or an operation is pending.
    pub fn is_pending(&self) -> bool {
        self.status == OutcomeStatus::Pending
    }

    /// Whether the request was to create a session and no provider was reached, so that a repeat with the same key
    /// runs it again.
    pub fn had_no_effect(&self, creates_session: bool) -> bool {
        let Some(session) = self.session.and_then(|id| self.order.session(id)) else {
            return creates_session;
        };
        if !creates_session && session.charge.is_none() {
            return false;
        }
        let failure = self.order.attempt(session.attempt).and_then(|attempt| attempt.failure);
        session.status == SessionStatus::Failed && failure.is_some_and(|failure| failure.had_no_effect())
    }
}

/// What the changes say about a request.
#[derive(Default)]
struct Request {
    created: Option<SessionId>,
    closing: Option<SessionId>,
    operations: Vec<(PaymentId, Operation)>,
    refund: Option<(RefundId, PaymentId)>,
    attention: Option<AttentionId>,
    declined: Option<Failure>,
}

impl Request {
    /// Records what the request's own change requested.
    fn record_change(&mut self, event: &Event, order: &OrderAggregate) {
        match event {
            Event::SessionCreated(session) => self.created = Some(session.id),
            Event::RefundCreated(refund) => self.refund = Some((refund.id, refund.payment)),
            Event::AttentionResolved { attention, .. } => self.attention = Some(*attention),
            Event::OperationRequested { payment, operation, closing } => {
                self.operations.push((*payment, operation.clone()));
                let session = order.payment(*payment).and_then(|payment| payment.session);
                self.closing = self.closing.or(session.filter(|_| closing.is_some()));
            }
            _ => {}
        }
    }

    /// Records how a requested operation ended. A declined close is no decline of the request: the session was paid,
    /// or stays open.
    fn record_end(&mut self, event: &Event) {
        if let Event::OperationFinished { payment, operation, declined: Some(failure) } = event
            && operation.kind != OperationKind::Close
            && self.operations.iter().any(|(of, requested)| of == payment && requested.is_same(operation))
        {
            self.declined = Some(failure.clone());
        }
    }

    fn is_open(&self, order: &OrderAggregate) -> bool {
        let created = self.created.and_then(|id| order.session(id));
        let starting = created.filter(|session| session.status.is_open());
        let pending = |(payment, operation): &(PaymentId, Operation)| {
            let now = order.payment(*payment).and_then(|payment| payment.operation.as_ref());
            now.is_some_and(|now| now.is_same(operation))
        };
        let waits = |session: &Session| session.charge.is_some() || has_no_start(order, session);
        starting.is_some_and(waits) || self.operations.iter().any(pending)
    }

    /// Whether a session that was to be closed is still open.
    fn leaves_open(&self, order: &OrderAggregate) -> bool {
        let session = self.closing.and_then(|id| order.session(id));
        session.is_some_and(|session| session.status.is_open())
    }

    fn outcome(self, order: Arc<OrderAggregate>, pending: bool) -> Outcome {
        let status = match self.declined {
            Some(failure) => OutcomeStatus::Declined(failure),
            None if pending || self.leaves_open(&order) => OutcomeStatus::Pending,
            None => OutcomeStatus::Done,
        };
        let operated = self.operations.first().map(|(payment, _)| *payment);
        Outcome {
            order,
            session: self.created.or(self.closing),
            payment: operated.or(self.refund.map(|(_, payment)| payment)),
            refund: self.refund.map(|(refund, _)| refund),
            attention: self.attention,
            status,
        }
    }
}

/// Whether the customer cannot pay yet: the start has no known outcome, or its page must not be shown or is being
/// closed.
fn has_no_start(order: &OrderAggregate, session: &Session) -> bool {
    let started =
        order.attempt(session.attempt).is_some_and(|attempt| attempt.state != AttemptState::Started);
    let wrong = |raised: &Attention| {
        let of_start = matches!(raised.code, AttentionCode::AmountMismatch | AttentionCode::Contradiction);
        of_start && raised.payment == session.payment
    };
    let closing = order.payment(session.payment).and_then(|payment| payment.pending(OperationKind::Close));
    !started || closing.is_some() || order.attention.iter().any(wrong)
}
