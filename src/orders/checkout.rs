//! Checking an order out, and closing its session again.

use port::{OrderId, SessionId};

use super::money::operations;
use super::{Asked, Draft, OrderError, Orders};
use crate::domain::{Fact, FailureCode, OrderFile, Profile, Refusal, SessionStatus, operate};
use crate::payments::{Begun, CheckoutAsk, PaymentError};
use crate::routing::RouteError;

/// An order that was checked out.
#[derive(Clone, Debug, PartialEq)]
pub struct Checked {
    /// The order with its session.
    pub file: OrderFile,
    /// The session.
    pub session: SessionId,
    /// Whether the start has an unknown outcome, so that there is nothing to show the customer yet.
    pub pending: bool,
}

/// A session that was to be closed.
#[derive(Clone, Debug, PartialEq)]
pub struct Closed {
    /// The order with its session.
    pub file: OrderFile,
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
        let mut file = self.file(asked, order).await?;
        let (mut session, stored) = (None, self.stored(asked, ask).await?);
        self.change("checkout", asked, &mut file, |file, now| {
            let opening = self.payments.opening(file, ask, stored.as_ref(), now);
            let (id, facts) = opening.map_err(|fault| routed(fault, file.id()))?;
            session = Some(id);
            Ok(facts)
        })
        .await?;
        let session = session.ok_or(OrderError::NotFound)?;
        self.begin(asked, file, session).await
    }

    /// Places, prices and checks out in one go: one change before the provider is called. When only the
    /// checkout finds nowhere to go, the order is placed and waits.
    ///
    /// # Errors
    /// As [`Orders::place`] and [`Orders::checkout`].
    pub async fn quick(&self, asked: &Asked, draft: Draft, ask: &CheckoutAsk) -> Result<Checked, OrderError> {
        let now = self.payments.shared.now();
        let order = Self::priced(self.order_of(asked, draft, now), now)?;
        let placed = Fact::OrderPlaced(Box::new(order.clone()));
        let Some(preview) = OrderFile::open(&placed) else { return Err(OrderError::NotFound) };
        let stored = self.stored(asked, ask).await?;
        match self.payments.opening(&preview, ask, stored.as_ref(), now) {
            Ok((session, facts)) => {
                let file = self.commit_new(asked, order, facts, now, "quick checkout").await?;
                self.begin(asked, file, session).await
            }
            // The request is sound, so its order waits; one that names a wrong account places nothing.
            Err(fault @ PaymentError::Route(RouteError::NoRoute { .. } | RouteError::AllDown { .. })) => {
                let file = self.commit_new(asked, order, Vec::new(), now, "place").await?;
                Err(routed(fault, file.id()))
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
        Ok(Some(found.ok_or(Refusal::ProfileUnusable("there is none with this id"))?))
    }

    pub(super) async fn begin(
        &self,
        asked: &Asked,
        mut file: OrderFile,
        session: SessionId,
    ) -> Result<Checked, OrderError> {
        let begun = self.payments.begin(&mut file, session, &asked.cause).await?;
        match begun {
            Begun::Ready | Begun::Ended => Ok(Checked { file, session, pending: false }),
            Begun::Unknown => Ok(Checked { file, session, pending: true }),
            Begun::Down { retry_after } => {
                Err(OrderError::ProvidersUnavailable { order: file.id(), retry_after })
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
        order: OrderId,
        session: SessionId,
    ) -> Result<Checked, OrderError> {
        let mut file = self.file(asked, order).await?;
        if let Some(attempt) = file.session(session).map(|session| session.attempt) {
            match self.payments.settle_begin(order, attempt, &asked.cause).await {
                Ok(settled) => file = settled,
                Err(PaymentError::Provider(_)) => return Ok(Checked { file, session, pending: true }),
                Err(fault) => return Err(fault.into()),
            }
        }
        Ok(Checked { file, session, pending: false })
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
        let mut file = self.file(asked, order).await?;
        let asked_for_order = Asked { expects: None, ..asked.clone() };
        if let (Some(expected), Some(found)) = (asked.expects, file.session(session))
            && expected != found.version
        {
            return Err(OrderError::VersionMismatch { actual: found.version });
        }
        let mut sends = Vec::new();
        self.change("cancel session", &asked_for_order, &mut file, |file, now| {
            let facts = operate::close(file, session, FailureCode::Cancelled, now)?;
            sends = operations(&facts);
            Ok(facts)
        })
        .await?;
        self.send(&mut file, &sends, &asked.cause).await?;
        match file.session(session).map(|session| session.status) {
            Some(SessionStatus::Completed) => {
                Err(Refusal::TooLate("the session is COMPLETED; it was paid").into())
            }
            Some(SessionStatus::Failed) => Ok(Closed { file, pending: false }),
            _ => Ok(Closed { file, pending: true }),
        }
    }
}

pub(super) fn routed(fault: PaymentError, order: OrderId) -> OrderError {
    match fault {
        PaymentError::Route(error) => OrderError::Route { error, order },
        other => other.into(),
    }
}
