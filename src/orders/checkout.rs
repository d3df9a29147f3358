//! Use cases: check an order out, cancel its session.

use port::SessionId;

use super::{NewOrder, OrderCommand, Orders, outcome};
use crate::domain::{
    ChangeMeta, Context, DomainError, Event, FailureCode, OrderAggregate, Outcome, OutcomeStatus, Profile,
    Subject as _, operate, price, requirements,
};
use crate::engine::{Command, CommandError, WorkingCopy};
use crate::payments::{CheckoutRequest, PaymentError, Result, StartOutcome};
use crate::routing::RouteError;

impl Orders {
    /// Creates, prices and checks out an order with one change before the provider is called. When only the checkout
    /// finds no account, the order is created and waits.
    pub async fn create_and_checkout(
        &self,
        merchant: &str,
        command: &Command,
        new: NewOrder,
        request: &CheckoutRequest,
    ) -> Result<Outcome> {
        let engine = &self.payments.engine;
        let now = engine.now();
        let mut header = self.header_of(merchant, new, now);
        let price = price(&header, now)?;
        header.price = Some(price);
        header.requirements = Some(requirements(&header, price.total));
        let created = Event::OrderCreated(Box::new(header));
        let meta = ChangeMeta { at: now, cause: command.cause.clone() };
        let preview = OrderAggregate::open(&created, &meta).ok_or(CommandError::NotFound)?;
        let stored = self.stored(merchant, request).await?;
        match self.payments.new_session(&preview, request, stored.as_deref(), now) {
            Ok((session, events)) => {
                let events: Vec<_> = std::iter::once(created).chain(events).collect();
                let order = engine.create("create and checkout", command, events).await?;
                self.start(command, order, session, Some(1)).await
            }
            // The request is valid, so its order is created; a request with an unknown account creates nothing.
            Err(fault @ PaymentError::Route { error: RouteError::NoRoute { .. }, .. }) => {
                let order = engine.create::<OrderAggregate>("create", command, vec![created]).await?;
                Err(fault.about(order.id()))
            }
            Err(fault) => Err(fault),
        }
    }

    /// The merchant's payment profile that a checkout names.
    pub(super) async fn stored(
        &self,
        merchant: &str,
        request: &CheckoutRequest,
    ) -> Result<Option<WorkingCopy<Profile>>> {
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
    ) -> Result<Outcome> {
        match self.payments.start(&mut order, session, command).await? {
            StartOutcome::Down { retry_after } => {
                Err(PaymentError::ProvidersUnavailable { order: Some(order.id()), retry_after })
            }
            StartOutcome::CredentialsRefused => {
                Err(PaymentError::CredentialsRefused { order: Some(order.id()) })
            }
            StartOutcome::Created | StartOutcome::Ended | StartOutcome::Unknown => Ok(outcome(&order, first)),
        }
    }
}

impl OrderCommand<'_> {
    /// Routes the order to a provider and creates a payment session.
    pub async fn checkout(self, request: &CheckoutRequest) -> Result<Outcome> {
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

    /// Cancels an open session: it is closed at the provider, whose answer ends it.
    ///
    /// # Errors
    /// [`PaymentError::Command`] for one that was paid.
    pub async fn cancel_session(self, session: SessionId) -> Result<Outcome> {
        let decide = |context: &mut Context<'_>| {
            let found = context.order.session(session).ok_or(CommandError::NotFound)?;
            self.command.ensure_version(found.version)?;
            self.ensure_account(context.order, found.payment)?;
            Ok::<_, PaymentError>(operate::close(
                context.order,
                session,
                FailureCode::Cancelled,
                context.now,
            )?)
        };
        let outcome = self.run("cancel session", decide).await?;
        let open = outcome.order.session(session).is_some_and(|session| session.status.is_open());
        // If another request is already closing it, nothing was recorded.
        let status = if open { OutcomeStatus::Pending } else { OutcomeStatus::Done };
        Ok(Outcome { session: Some(session), status, ..outcome })
    }
}
