//! Use cases: submit an order, charge a payment profile.

use std::time::Duration;

use port::{Approach, CaptureMode, LinkDelivery, ProfileId};

use super::{OrderCommand, outcome};
use crate::domain::submit::{Submission, chargeable, submit};
use crate::domain::{
    DomainError, Metadata, OrderAggregate, Outcome, Profile, ReturnUrls, SessionStatus, Urgency,
    awaits_profiles,
};
use crate::engine::CommandError;
use crate::payments::{CheckoutRequest, PaymentError, ReadPass, Result};

impl OrderCommand<'_> {
    /// Submits the order with its payment proofs. A profile session proves one order only.
    ///
    /// # Errors
    /// [`PaymentError::Command`], which names what is missing.
    pub async fn submit(self, with: &Submission) -> Result<Outcome> {
        self.look_for_payment_profile(with).await?;
        let session = match with.profile_session {
            Some(id) => match self.payments().profile_session(self.merchant, id).await {
                Ok(session) => Some(session),
                Err(PaymentError::Command(CommandError::NotFound)) => None,
                Err(fault) => return Err(fault),
            },
            None => None,
        };
        self.run("submit", |context| {
            self.command.ensure_version(context.order.version())?;
            let events = submit(context, with)?;
            if with.profile_session.is_some() && !events.is_empty() {
                let none = DomainError::SessionUnusable("there is no such payment profile session");
                session.as_ref().ok_or(none)?.ensure_proves(context.order)?;
            }
            Ok::<_, PaymentError>(events)
        })
        .await
    }

    /// A session that was paid a moment ago may have stored a method that nobody has looked for yet.
    async fn look_for_payment_profile(&self, with: &Submission) -> Result<()> {
        let Some(session) = with.session else { return Ok(()) };
        let order = self.load().await?;
        if !order.session(session).is_some_and(|session| awaits_profiles(&order, session)) {
            return Ok(());
        }
        let (pass, following) = (ReadPass::of(Urgency::Customer), self.command.following());
        match self.payments().sync_profiles(order.id(), session, &following, &pass).await {
            // A job looks again; until then the requirement is not met.
            Ok(()) | Err(PaymentError::Provider(_)) => Ok(()),
            Err(fault) => Err(fault),
        }
    }

    /// Charges a payment profile without the customer and submits the order with it. The start itself moves the money, so it
    /// is made once, at the method's own account, and an unknown outcome is resolved by reading.
    ///
    /// # Errors
    /// [`PaymentError::Command`] for what is refused before anything is sent, [`PaymentError::ProvidersUnavailable`].
    pub async fn charge(self, profile: ProfileId) -> Result<Outcome> {
        let (payments, command) = (self.payments(), self.command);
        let mut order = self.load().await?;
        let request = charge_request(profile);
        let stored = self.orders.stored(self.merchant, &request).await?;
        stored.as_deref().map(|profile| self.ensure_charges(profile)).transpose()?;
        let mut session = None;
        let decide = |order: &OrderAggregate, now| {
            command.ensure_version(order.version())?;
            session = None;
            if !chargeable(order, profile)? {
                return Ok(Vec::new().into());
            }
            let created = payments.new_session(order, &request, stored.as_deref(), now);
            let (id, events) = created.map_err(|fault| fault.about(order.id()))?;
            session = Some(id);
            Ok::<_, PaymentError>(events.into())
        };
        let first = payments.engine.change("charge", command, &mut order, decide).await?;
        let Some(session) = session else {
            let session = order.charge_of(profile).map(|session| session.id);
            return Ok(Outcome { session, ..outcome(&order, None) });
        };
        let charged = self.orders.start(command, order, session, first).await?;
        let status = charged.order.session(session).map(|session| session.status);
        if status == Some(SessionStatus::RequiresAction) {
            // The bank requires the customer, who is absent.
            let following = command.following();
            return OrderCommand { command: &following, ..self }.cancel_session(session).await;
        }
        Ok(charged)
    }

    /// Refuses a method that cannot be charged without the customer.
    fn ensure_charges(&self, stored: &Profile) -> Result<()> {
        if self.payments().account_of_profile(stored)?.about().capabilities.charges() {
            return Ok(());
        }
        Err(DomainError::Unsupported("charge a payment profile without the customer").into())
    }
}

/// How long a charge may stay without an outcome before it is closed at the provider.
const CHARGE_LIFETIME: Duration = Duration::from_secs(3_600);

/// A checkout that no customer sees.
fn charge_request(profile: ProfileId) -> CheckoutRequest {
    CheckoutRequest {
        approach: Approach::Hosted,
        capture: CaptureMode::Automatic,
        return_urls: ReturnUrls::default(),
        link_delivery: LinkDelivery::default(),
        expires_in: CHARGE_LIFETIME,
        language: None,
        payment_methods: Vec::new(),
        max_attempts: None,
        save_payment_profile: Some(false),
        payment_profile_id: Some(profile),
        charge: true,
        account: None,
        metadata: Metadata::new(),
    }
}
