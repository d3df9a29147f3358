//! Checking an order out, and closing its session again.

use port::{OrderId, SessionId};

use super::money::operations;
use super::{Asked, Draft, OrderError, Orders};
use crate::domain::{DomainError, Event, FailureCode, OrderAggregate, Profile, SessionStatus, operate};
use crate::payments::{Begun, CheckoutAsk, PaymentError};
use crate::routing::RouteError;

/// An order that was checked out.
#[derive(Clone, Debug, PartialEq)]
pub struct Checked {
    /// The order with its session.
    pub order: OrderAggregate,
    /// The session.
    pub session: SessionId,
    /// Whether the start has an unknown outcome, so that there is nothing to show the customer yet.
    pub pending: bool,
}

/// A session that was to be closed.
#[derive(Clone, Debug, PartialEq)]
pub struct Closed {
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
        asked: &Asked,
        order: OrderId,
        ask: &CheckoutAsk,
    ) -> Result<Checked, OrderError> {
        let mut order = self.file(asked, order).await?;
        let (mut session, stored) = (None, self.stored(asked, ask).await?);
        self.change("checkout", asked, &mut order, |order, now| {
            let opening = self.payments.opening(order, ask, stored.as_ref(), now);
            let (id, events) = opening.map_err(|fault| routed(fault, order.id()))?;
            session = Some(id);
            Ok(events)
        })
        .await?;
        let session = session.ok_or(OrderError::NotFound)?;
        self.begin(asked, order, session).await
    }

    /// Places, prices and checks out in one go: one change before the provider is called. When only the
    /// checkout finds nowhere to go, the order is placed and waits.
    ///
    /// # Errors
    /// As [`Orders::place`] and [`Orders::checkout`].
    pub async fn quick(&self, asked: &Asked, draft: Draft, ask: &CheckoutAsk) -> Result<Checked, OrderError> {
        let now = self.payments.shared.now();
        let header = Self::priced(self.order_of(asked, draft, now), now)?;
        let placed = Event::OrderCreated(Box::new(header.clone()));
        let Some(preview) = OrderAggregate::create(&placed) else { return Err(OrderError::NotFound) };
        let stored = self.stored(asked, ask).await?;
        match self.payments.opening(&preview, ask, stored.as_ref(), now) {
            Ok((session, events)) => {
                let order = self.commit_new(asked, header, events, now, "quick checkout").await?;
                self.begin(asked, order, session).await
            }
            // The request is sound, so its order waits; one that names a wrong account places nothing.
            Err(fault @ PaymentError::Route(RouteError::NoRoute { .. } | RouteError::AllDown { .. })) => {
                let order = self.commit_new(asked, header, Vec::new(), now, "place").await?;
                Err(routed(fault, order.id()))
            }
            Err(fault) => Err(fault.into()),
        }
    }

    /// The merchant's stored method that a checkout names.
    pub(super) async fn stored(
        &self,
        asked: &Asked,
        ask: &CheckoutAsk,
    ) -> Result<Option<Profile>, OrderError> {
        let Some(id) = ask.payment_profile_id else { return Ok(None) };
        let found = self.payments.profile(&asked.merchant, id).await?;
        Ok(Some(found.ok_or(DomainError::ProfileUnusable("there is none with this id"))?))
    }

    pub(super) async fn begin(
        &self,
        asked: &Asked,
        mut order: OrderAggregate,
        session: SessionId,
    ) -> Result<Checked, OrderError> {
        let begun = self.payments.begin(&mut order, session, &asked.cause).await?;
        match begun {
            Begun::Ready | Begun::Ended => Ok(Checked { order, session, pending: false }),
            Begun::Unknown => Ok(Checked { order, session, pending: true }),
            Begun::Down { retry_after } => {
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
        asked: &Asked,
        id: OrderId,
        session: SessionId,
    ) -> Result<Checked, OrderError> {
        let mut order = self.file(asked, id).await?;
        if let Some(attempt) = order.session(session).map(|session| session.attempt) {
            match self.payments.settle_begin(id, attempt, &asked.cause).await {
                Ok(settled) => order = settled,
                Err(PaymentError::Provider(_)) => return Ok(Checked { order, session, pending: true }),
                Err(fault) => return Err(fault.into()),
            }
        }
        Ok(Checked { order, session, pending: false })
    }

    /// Cancels an open session: its object is closed at the provider, and the provider's answer ends it.
    ///
    /// # Errors
    /// [`OrderError::Refused`] for one that was paid.
    pub async fn cancel_session(
        &self,
        asked: &Asked,
        order: OrderId,
        session: SessionId,
    ) -> Result<Closed, OrderError> {
        let mut order = self.file(asked, order).await?;
        let asked_for_order = Asked { expects: None, ..asked.clone() };
        if let (Some(expected), Some(found)) = (asked.expects, order.session(session))
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
        self.send(&mut order, &sends, &asked.cause).await?;
        match order.session(session).map(|session| session.status) {
            Some(SessionStatus::Completed) => {
                Err(DomainError::TooLate("the session is COMPLETED; it was paid").into())
            }
            Some(SessionStatus::Failed) => Ok(Closed { order, pending: false }),
            _ => Ok(Closed { order, pending: true }),
        }
    }
}

pub(super) fn routed(fault: PaymentError, order: OrderId) -> OrderError {
    match fault {
        PaymentError::Route(error) => OrderError::Route { error, order },
        other => other.into(),
    }
}
