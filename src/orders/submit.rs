//! Handing an order over.

use std::time::Duration;

use port::{Approach, CaptureMode, Notify, OrderId, PaymentId, ProfileId, SessionId, Vault};

use super::checkout::routed;
use super::{Asked, OrderError, Orders};
use crate::domain::submit::{Submission, chargeable, submit};
use crate::domain::{Metadata, OrderFile, Profile, ProfileSession, Refusal, ReturnUrls, SessionStatus};
use crate::payments::{CheckoutAsk, Decided};
use crate::store::{Saving, Write};

impl Orders {
    /// Submits the order with what proves that it may be. A profile session that is among it proves one order only.
    ///
    /// # Errors
    /// [`OrderError::Refused`], which names what is missing.
    pub async fn submit(
        &self,
        asked: &Asked,
        order: OrderId,
        with: &Submission,
    ) -> Result<OrderFile, OrderError> {
        let mut file = self.file(asked, order).await?;
        let shared = &self.payments.shared;
        let source = &shared.source;
        let (payment, salt) = (PaymentId::from_uuid(source.uuid()), source.nonce());
        let stored = match with.profile_session {
            Some(id) => Some(self.payments.profile_session(&asked.merchant, id).await?),
            None => None,
        };
        self.change("submit", asked, &mut file, |file, now| {
            let facts = submit(file, with, payment, salt, now, &mut shared.ids())?;
            let used = stored.as_ref().filter(|_| !facts.is_empty());
            let used = used.map(|session| proof(file, session.as_ref())).transpose()?;
            Ok(Decided { facts, with: used.into_iter().collect(), asked: None })
        })
        .await?;
        Ok(file)
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
        asked: &Asked,
        order: OrderId,
        profile: ProfileId,
    ) -> Result<Charged, OrderError> {
        let mut file = self.file(asked, order).await?;
        let ask = without_the_customer(profile);
        let stored = self.stored(asked, &ask).await?;
        self.ensure_charges(stored.as_ref())?;
        let mut session = None;
        self.change("charge", asked, &mut file, |file, now| {
            session = None;
            if !chargeable(file, profile)? {
                return Ok(Vec::new());
            }
            let opening = self.payments.opening(file, &ask, stored.as_ref(), now);
            let (id, facts) = opening.map_err(|fault| routed(fault, file.id()))?;
            session = Some(id);
            Ok(facts)
        })
        .await?;
        let Some(session) = session else {
            let session = file.charge_of(profile).map(|session| session.id);
            return Ok(Charged { file, session });
        };
        let mut checked = self.begin(asked, file, session).await?;
        let wants_customer = checked.file.session(session).map(|session| session.status);
        if wants_customer == Some(SessionStatus::RequiresAction) {
            let closed = Asked { key: None, expects: None, ..asked.clone() };
            checked.file = self.cancel_session(&closed, order, session).await?.file;
        }
        Ok(Charged { file: checked.file, session: Some(session) })
    }

    /// Refuses a method whose provider charges nothing without the customer.
    fn ensure_charges(&self, stored: Option<&Profile>) -> Result<(), OrderError> {
        let account = stored.and_then(|profile| self.payments.shared.accounts.get(&profile.account));
        let charges = account.and_then(|account| account.adapter.vault()).is_some_and(Vault::charges);
        if charges {
            return Ok(());
        }
        Err(Refusal::Unsupported("charge a stored method without the customer").into())
    }
}

/// An order whose stored method was charged.
#[derive(Clone, Debug, PartialEq)]
pub struct Charged {
    /// The order.
    pub file: OrderFile,
    /// The session that stands for the charge.
    pub session: Option<SessionId>,
}

/// How long the outcome of a charge is waited for before it is closed at the provider.
const CHARGE_LIVES: Duration = Duration::from_secs(3_600);

/// A checkout that nobody sees.
fn without_the_customer(profile: ProfileId) -> CheckoutAsk {
    CheckoutAsk {
        approach: Approach::Hosted,
        capture: CaptureMode::Automatic,
        return_urls: ReturnUrls::default(),
        notify: Notify::default(),
        expires_in: CHARGE_LIVES,
        language: None,
        save_payment_profile: Some(false),
        payment_profile_id: Some(profile),
        charge: true,
        account: None,
        metadata: Metadata::new(),
    }
}

/// Uses a profile session up as the proof of an order, if it is one.
fn proof(file: &OrderFile, session: Option<&ProfileSession>) -> Result<Write, Refusal> {
    let session = session.ok_or(Refusal::SessionUnusable("there is no such payment profile session"))?;
    session.ensure_proves(&file.order)?;
    Ok(Write::Saving(Saving::Used { session: session.id, order: file.id() }))
}
