//! Checking an order out, and closing its session again.

use port::{OrderId, SessionId};

use super::money::operations;
use super::{CommandContext, Draft, OrderError, Orders};
use crate::domain::{DomainError, Event, FailureCode, OrderAggregate, Profile, SessionStatus, operate};
use crate::payments::{CheckoutRequest, PaymentError, StartOutcome};
use crate::routing::RouteError;

/// An order that was checked out.
#[derive(Clone, Debug, PartialEq)]
pub struct CheckoutOutcome {
    /// The order with its session.
    pub order: OrderAggregate,
    /// The session.
    pub session: SessionId,
    /// Whether the start has an unknown outcome, so that there is nothing to show the customer yet.
    pub pending: bool,
}

/// A session that was to be closed.
#[derive(Clone, Debug, PartialEq)]
pub struct CloseOutcome {
    /// The order with its session.
    pub order: OrderAggregate,
    /// Whether the provider has not answered yet.
    pub pending: bool,
}

impl Orders {
    /// Routes the order to a provider and opens a payment session.
    ///
    /// # Errors
    /// [`OrderError::Refused`], [`OrderError::Route`], [`OrderError::ProvidersUnavailable`].
    pub async fn checkout(
        &self,
        context: &CommandContext,
        order: OrderId,
        request: &CheckoutRequest,
    ) -> Result<CheckoutOutcome, OrderError> {
        let mut order = self.order(context, order).await?;
        let (mut session, stored) = (None, self.stored(context, request).await?);
        self.change("checkout", context, &mut order, |order, now| {
            let opening = self.payments.new_session(order, request, stored.as_ref(), now);
            let (id, events) = opening.map_err(|fault| routed(fault, order.id()))?;
            session = Some(id);
            Ok(events)
        })
        .await?;
        let session = session.ok_or(OrderError::NotFound)?;
        self.start(context, order, session).await
    }

    /// Places, prices and checks out in one go: one change before the provider is called. When only the
    /// checkout finds nowhere to go, the order is placed and waits.
    ///
    /// # Errors
    /// As [`Orders::create`] and [`Orders::checkout`].
    pub async fn create_and_checkout(
        &self,
        context: &CommandContext,
        draft: Draft,
        request: &CheckoutRequest,
    ) -> Result<CheckoutOutcome, OrderError> {
        let now = self.payments.shared.now();
        let header = Self::priced(self.header_of(context, draft, now), now)?;
        let placed = Event::OrderCreated(Box::new(header.clone()));
        let Some(preview) = OrderAggregate::create(&placed) else { return Err(OrderError::NotFound) };
        let stored = self.stored(context, request).await?;
        match self.payments.new_session(&preview, request, stored.as_ref(), now) {
            Ok((session, events)) => {
                let order = self.commit_new(context, header, events, now, "quick checkout").await?;
                self.start(context, order, session).await
            }
            // The request is sound, so its order waits; one that names a wrong account places nothing.
            Err(fault @ PaymentError::Route(RouteError::NoRoute { .. } | RouteError::AllDown { .. })) => {
                let order = self.commit_new(context, header, Vec::new(), now, "place").await?;
                Err(routed(fault, order.id()))
            }
            Err(fault) => Err(fault.into()),
        }
    }

    /// The merchant's stored method that a checkout names.
    pub(super) async fn stored(
        &self,
        context: &CommandContext,
        request: &CheckoutRequest,
    ) -> Result<Option<Profile>, OrderError> {
        let Some(id) = request.payment_profile_id else { return Ok(None) };
        let found = self.payments.profile(&context.merchant, id).await?;
        Ok(Some(found.ok_or(DomainError::ProfileUnusable("there is none with this id"))?))
    }

    pub(super) async fn start(
        &self,
        context: &CommandContext,
        mut order: OrderAggregate,
        session: SessionId,
    ) -> Result<CheckoutOutcome, OrderError> {
        let outcome = self.payments.start(&mut order, session, &context.cause).await?;
        match outcome {
            StartOutcome::Ready | StartOutcome::Ended => {
                Ok(CheckoutOutcome { order, session, pending: false })
            }
            StartOutcome::Unknown => Ok(CheckoutOutcome { order, session, pending: true }),
            StartOutcome::Down { retry_after } => {
                Err(OrderError::ProvidersUnavailable { order: order.id(), retry_after })
            }
        }
    }

    /// Goes on with a checkout that a crash or a lost answer left open: the recorded start is settled, not
    /// repeated.
    ///
    /// # Errors
    /// As [`Orders::checkout`].
    pub async fn resume(
        &self,
        context: &CommandContext,
        id: OrderId,
        session: SessionId,
    ) -> Result<CheckoutOutcome, OrderError> {
        let mut order = self.order(context, id).await?;
        if let Some(attempt) = order.session(session).map(|session| session.attempt) {
            match self.payments.resolve_start(id, attempt, &context.cause).await {
                Ok(resolved) => order = resolved,
                Err(PaymentError::Provider(_)) => {
                    return Ok(CheckoutOutcome { order, session, pending: true });
                }
                Err(fault) => return Err(fault.into()),
            }
        }
        Ok(CheckoutOutcome { order, session, pending: false })
    }

    /// Cancels an open session: its object is closed at the provider, and the provider's answer ends it.
    ///
    /// # Errors
    /// [`OrderError::Refused`] for one that was paid.
    pub async fn cancel_session(
        &self,
        context: &CommandContext,
        order: OrderId,
        session: SessionId,
    ) -> Result<CloseOutcome, OrderError> {
        let mut order = self.order(context, order).await?;
        let asked_for_order = CommandContext { expects: None, ..context.clone() };
        if let (Some(expected), Some(found)) = (context.expects, order.session(session))
            && expected != found.version
        {
            return Err(OrderError::VersionMismatch { actual: found.version });
        }
        let mut sends = Vec::new();
        self.change("cancel session", &asked_for_order, &mut order, |order, now| {
            let events = operate::close(order, session, FailureCode::Cancelled, now)?;
            sends = operations(&events);
            Ok(events)
        })
        .await?;
        self.send(&mut order, &sends, &context.cause).await?;
        match order.session(session).map(|session| session.status) {
            Some(SessionStatus::Completed) => {
                Err(DomainError::TooLate("the session is COMPLETED; it was paid").into())
            }
            Some(SessionStatus::Failed) => Ok(CloseOutcome { order, pending: false }),
            _ => Ok(CloseOutcome { order, pending: true }),
        }
    }
}

pub(super) fn routed(fault: PaymentError, order: OrderId) -> OrderError {
    match fault {
        PaymentError::Route(error) => OrderError::Route { error, order },
        other => other.into(),
    }
}
