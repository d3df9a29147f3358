//! Handing an order over.

use std::time::Duration;

use port::{Approach, CaptureMode, LinkDelivery, OrderId, PaymentId, ProfileId, SessionId, Vault};

use super::checkout::routed;
use super::{CommandContext, OrderError, Orders};
use crate::domain::submit::{Submission, chargeable, submit};
use crate::domain::{
    DomainError, Metadata, OrderAggregate, Profile, ProfileSession, ReturnUrls, SessionStatus,
};
use crate::payments::{CheckoutRequest, Effects};
use crate::store::{VaultWrite, Write};

impl Orders {
    /// Submits the order with what proves that it may be. A profile session that is among it proves one order only.
    ///
    /// # Errors
    /// [`OrderError::Refused`], which names what is missing.
    pub async fn submit(
        &self,
        context: &CommandContext,
        order: OrderId,
        with: &Submission,
    ) -> Result<OrderAggregate, OrderError> {
        let mut order = self.order(context, order).await?;
        let shared = &self.payments.shared;
        let env = &shared.env;
        let (payment, salt) = (PaymentId::from_uuid(env.uuid()), env.nonce());
        let stored = match with.profile_session {
            Some(id) => Some(self.payments.profile_session(&context.merchant, id).await?),
            None => None,
        };
        self.change("submit", context, &mut order, |order, now| {
            let events = submit(order, with, payment, salt, now, &mut shared.ids())?;
            let used = stored.as_ref().filter(|_| !events.is_empty());
            let used = used.map(|session| use_profile_session(order, session.as_ref())).transpose()?;
            Ok(Effects { events, writes: used.into_iter().collect(), fetched: None })
        })
        .await?;
        Ok(order)
    }
}

impl Orders {
    /// Charges a stored method without the customer and submits the order with it. The money moves in the start
    /// itself, so it is made at the method's own account, once, and an unknown outcome is found out by asking.
    ///
    /// # Errors
    /// [`OrderError::Refused`] for what is ruled out before anything is sent, [`OrderError::ProvidersUnavailable`].
    pub async fn charge(
        &self,
        context: &CommandContext,
        id: OrderId,
        profile: ProfileId,
    ) -> Result<ChargeOutcome, OrderError> {
        let mut order = self.order(context, id).await?;
        let request = without_the_customer(profile);
        let stored = self.stored(context, &request).await?;
        self.ensure_charges(stored.as_ref())?;
        let mut session = None;
        self.change("charge", context, &mut order, |order, now| {
            session = None;
            if !chargeable(order, profile)? {
                return Ok(Vec::new());
            }
            let opening = self.payments.new_session(order, &request, stored.as_ref(), now);
            let (opened, events) = opening.map_err(|fault| routed(fault, order.id()))?;
            session = Some(opened);
            Ok(events)
        })
        .await?;
        let Some(session) = session else {
            let session = order.charge_of(profile).map(|session| session.id);
            return Ok(ChargeOutcome { order, session });
        };
        let mut checked = self.start(context, order, session).await?;
        let wants_customer = checked.order.session(session).map(|session| session.status);
        if wants_customer == Some(SessionStatus::RequiresAction) {
            let closed = CommandContext { key: None, expects: None, ..context.clone() };
            checked.order = self.cancel_session(&closed, id, session).await?.order;
        }
        Ok(ChargeOutcome { order: checked.order, session: Some(session) })
    }

    /// Refuses a method whose provider charges nothing without the customer.
    fn ensure_charges(&self, stored: Option<&Profile>) -> Result<(), OrderError> {
        let account = stored.and_then(|profile| self.payments.shared.accounts.get(&profile.account));
        let charges = account.and_then(|account| account.adapter.vault()).is_some_and(Vault::charges);
        if charges {
            return Ok(());
        }
        Err(DomainError::Unsupported("charge a stored method without the customer").into())
    }
}

/// An order whose stored method was charged.
#[derive(Clone, Debug, PartialEq)]
pub struct ChargeOutcome {
    /// The order.
    pub order: OrderAggregate,
    /// The session that stands for the charge.
    pub session: Option<SessionId>,
}

/// How long the outcome of a charge is waited for before it is closed at the provider.
const CHARGE_LIFETIME: Duration = Duration::from_secs(3_600);

/// A checkout that nobody sees.
fn without_the_customer(profile: ProfileId) -> CheckoutRequest {
    CheckoutRequest {
        approach: Approach::Hosted,
        capture: CaptureMode::Automatic,
        return_urls: ReturnUrls::default(),
        link_delivery: LinkDelivery::default(),
        expires_in: CHARGE_LIFETIME,
        language: None,
        save_payment_profile: Some(false),
        payment_profile_id: Some(profile),
        charge: true,
        account: None,
        metadata: Metadata::new(),
    }
}

/// Uses a profile session up as the proof of an order, if it is one.
fn use_profile_session(
    order: &OrderAggregate,
    session: Option<&ProfileSession>,
) -> Result<Write, DomainError> {
    let session = session.ok_or(DomainError::SessionUnusable("there is no such payment profile session"))?;
    session.ensure_proves(&order.header)?;
    Ok(Write::Vault(VaultWrite::Used { session: session.id, order: order.id() }))
}
