//! Checking an order out, and closing its session again.

use port::{AttemptId, OrderId, SessionId};

use super::{NewOrder, OrderCommand, Orders, outcome};
use crate::domain::{
    ChangeMeta, DomainError, Event, FailureCode, OrderAggregate, Outcome, OutcomeStatus, Profile,
    Subject as _, Urgency, operate,
};
use crate::engine::{Command, CommandError, WorkingCopy};
use crate::payments::{CheckoutRequest, PaymentError, ReadPass, StartOutcome};
use crate::routing::RouteError;

impl Orders {
    /// Creates, prices and checks out in one go: one change before the provider is called. When only the checkout finds
    /// nowhere to go, the order is created and waits.
    ///
    /// # Errors
    /// As [`Orders::create`] and [`OrderCommand::checkout`].
    pub async fn create_and_checkout(
        &self,
        merchant: &str,
        command: &Command,
        new: NewOrder,
        request: &CheckoutRequest,
    ) -> Result<Outcome, PaymentError> {
        let now = self.payments.engine.now();
        let header = Self::priced(self.header_of(merchant, new, now), now)?;
        let created = Event::OrderCreated(Box::new(header));
        let meta = ChangeMeta { at: now, cause: command.cause.clone() };
        let preview = OrderAggregate::open(&created, &meta).ok_or(CommandError::NotFound)?;
        let stored = self.stored(merchant, request).await?;
        match self.payments.new_session(&preview, request, stored.as_deref(), now) {
            Ok((session, events)) => {
                let events = std::iter::once(created).chain(events).collect();
                let order = self.commit_new("create and checkout", command, events).await?;
                self.start(command, order, session, Some(1)).await
            }
            // The request is sound, so its order waits; one that names a wrong account creates nothing.
            Err(fault @ PaymentError::Route { error: RouteError::NoRoute { .. }, .. }) => {
                let order = self.commit_new("create", command, vec![created]).await?;
                Err(fault.about(order.id()))
            }
            Err(fault) => Err(fault),
        }
    }

    /// The merchant's stored method that a checkout names.
    pub(super) async fn stored(
        &self,
        merchant: &str,
        request: &CheckoutRequest,
    ) -> Result<Option<WorkingCopy<Profile>>, PaymentError> {
        let Some(id) = request.payment_profile_id else { return Ok(None) };
        match self.payments.profile(merchant, id).await {
            Ok(found) => Ok(Some(found)),
            Err(PaymentError::Command(CommandError::NotFound)) => {
                Err(DomainError::ProfileUnusable("there is none with this id").into())
            }
            Err(fault) => Err(fault),
        }
    }

    pub(super) async fn start(
        &self,
        command: &Command,
        mut order: WorkingCopy<OrderAggregate>,
        session: SessionId,
        first: Option<u64>,
    ) -> Result<Outcome, PaymentError> {
        let started = self.payments.start(&mut order, session, &command.following()).await?;
        match started {
            StartOutcome::Ready | StartOutcome::Ended | StartOutcome::Unknown => Ok(outcome(&order, first)),
            StartOutcome::Down { retry_after } => {
                Err(PaymentError::ProvidersUnavailable { order: Some(order.id()), retry_after })
            }
        }
    }

    /// Goes on with a start that a crash or a lost answer left open: it is resolved, not repeated.
    pub(super) async fn resume_start(
        &self,
        order: OrderId,
        attempt: AttemptId,
        command: &Command,
    ) -> Result<(), PaymentError> {
        let pass = ReadPass::of(Urgency::UnknownOutcome);
        match self.payments.resolve_start(order, attempt, &command.following(), &pass).await {
            Ok(()) | Err(PaymentError::Provider(_)) => Ok(()),
            Err(fault) => Err(fault),
        }
    }
}

impl OrderCommand<'_> {
    /// Routes the order to a provider and creates a payment session.
    ///
    /// # Errors
    /// [`PaymentError::Command`], [`PaymentError::Route`], [`PaymentError::ProvidersUnavailable`].
    pub async fn checkout(self, request: &CheckoutRequest) -> Result<Outcome, PaymentError> {
        let (payments, command) = (self.payments(), self.command);
        let mut order = self.load().await?;
        let stored = self.orders.stored(self.merchant, request).await?;
        let (mut session, stored) = (None, stored.as_deref());
        let decide = |order: &OrderAggregate, now| {
            command.ensure_version(order.version())?;
            let created = payments.new_session(order, request, stored, now);
            let (id, events) = created.map_err(|fault| fault.about(order.id()))?;
            session = Some(id);
            Ok::<_, PaymentError>(events.into())
        };
        let first = payments.engine.change("checkout", command, &mut order, decide).await?;
        let session = session.ok_or(CommandError::NotFound)?;
        self.orders.start(command, order, session, first).await
    }

    /// Cancels an open session: its object is closed at the provider, and the provider's answer ends it.
    ///
    /// # Errors
    /// [`PaymentError::Command`] for one that was paid.
    pub async fn cancel_session(self, session: SessionId) -> Result<Outcome, PaymentError> {
        let decide = |order: &OrderAggregate, now| {
            let found = order.session(session).ok_or(CommandError::NotFound)?;
            self.command.ensure_version(found.version)?;
            Ok::<_, PaymentError>(operate::close(order, session, FailureCode::Cancelled, now)?)
        };
        let outcome = self.run("cancel session", decide).await?;
        let open = outcome.order.session(session).is_some_and(|session| session.status.is_open());
        // Where another request is closing it already, nothing was recorded.
        let status = if open { OutcomeStatus::Pending } else { OutcomeStatus::Done };
        Ok(Outcome { session: Some(session), status, ..outcome })
    }
}
