//! Stored payment methods, and the sessions in which customers store them.
//!
//! No money moves here and nothing hangs on either, so a session and a profile are rows with a version each,
//! and not files with events: whoever writes a version that is there already was too slow. Everything personal
//! in them can be erased with the row.

use std::fmt;

use port::{
    AdapterState, Approach, Attempt, AttemptId, CaptureMode, Currency, Money, Next, Observation, OrderId,
    PaymentStatus, ProfileId, ProfileSessionId, StatusMapping, StoredProfile, Timestamp,
};
use serde::{Deserialize, Serialize};

use super::error::DomainError;
use super::jobs::CALL_DEADLINE;
use super::order::OrderHeader;
use super::schedule::{HOUR, MIN, by_age, jittered};
use super::{
    AttemptState, FailureCode, Metadata, ReturnUrls, RouteAttempt, Routing, SessionFailure, SessionStatus,
};

/// One opening of a page or widget in which a customer stores a method.
#[derive(Clone, PartialEq, Serialize, Deserialize)]
pub struct ProfileSession {
    /// Its id.
    pub id: ProfileSessionId,
    /// Whose.
    pub merchant: String,
    /// The merchant's own id of the customer.
    pub customer_id: String,
    /// How the customer does it.
    pub approach: Approach,
    /// Where it stands.
    pub status: SessionStatus,
    /// How it ended without a stored method.
    pub failure: Option<SessionFailure>,
    /// What made its last start fail, as a word.
    pub start_failure: Option<String>,
    /// Who decided the account, and why.
    pub routing: Routing,
    /// Whom to ask next if this account cannot start it, in order.
    pub fallback: Vec<String>,
    /// What the merchant asked for.
    pub request: ProfileRequest,
    /// The start that stands for it.
    pub start: ProfileStart,
    /// Set once it is being closed: how it shall end.
    pub closing: Option<FailureCode>,
    /// The stored method, once COMPLETED.
    pub profile: Option<ProfileId>,
    /// When it was opened.
    pub created_at: Timestamp,
    /// When it last changed.
    pub updated_at: Timestamp,
    /// When it ends by itself.
    pub expires_at: Timestamp,
    /// Grows with each change; from 1.
    pub version: u64,
}

/// What the merchant asked for.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProfileRequest {
    /// Where the customer returns to at the merchant.
    pub return_urls: ReturnUrls,
    /// BCP 47 tag.
    pub language: Option<String>,
    /// The merchant's own notes; the profile takes them over.
    pub metadata: Metadata,
}

/// One start at one account.
#[derive(Clone, PartialEq, Serialize, Deserialize)]
pub struct ProfileStart {
    /// Our reference at the provider.
    pub id: AttemptId,
    /// Where.
    pub account: String,
    /// The account's provider.
    pub provider: String,
    /// Where it stands.
    pub state: AttemptState,
    /// The provider's id of the object.
    pub reference: Option<String>,
    /// What the adapter remembers.
    pub adapter_state: AdapterState,
    /// What the customer needs.
    pub next: Option<Next>,
    /// The hash of the secret in its return addresses, hexadecimal.
    pub return_hash: String,
    /// When the intent was written.
    pub started_at: Timestamp,
}

/// A stored payment method. It belongs to one account, which takes every charge on it.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Profile {
    /// Its id.
    pub id: ProfileId,
    /// Whose.
    pub merchant: String,
    /// The merchant's own id of the customer.
    pub customer_id: String,
    /// Where it can be used.
    pub account: String,
    /// The account's provider.
    pub provider: String,
    /// The provider's id of it; never shown.
    pub reference: String,
    /// The kind, such as `CARD`.
    pub kind: String,
    /// What to show of it, such as `Visa 4242`.
    pub display_name: Option<String>,
    /// Whether it can be used.
    pub status: ProfileStatus,
    /// The provider's date of its expiry.
    pub expires_at: Option<String>,
    /// The merchant's own notes.
    pub metadata: Metadata,
    /// Whether the merchant has deleted it: it is shown to nobody, and never stored anew from a list.
    pub forgotten: bool,
    /// When it was stored.
    pub created_at: Timestamp,
    /// When it last changed.
    pub updated_at: Timestamp,
    /// Grows with each change; from 1.
    pub version: u64,
}

/// Whether a stored method can be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum ProfileStatus {
    /// It can.
    Active,
    /// It cannot.
    Inactive,
    /// It cannot any more.
    Expired,
    /// The customer has to do something first.
    RequiresAction,
}

/// The currency of the nothing that storing a method costs: an attempt has an amount, and an amount a currency.
const NOTHING_IN: &str = "EUR";

impl ProfileStatus {
    /// What a provider's word for a method means. One that nobody knows cannot be used.
    fn of(word: &str) -> Self {
        match word.to_ascii_uppercase().as_str() {
            "ACTIVE" => Self::Active,
            "EXPIRED" => Self::Expired,
            "REQUIRES_ACTION" => Self::RequiresAction,
            _ => Self::Inactive,
        }
    }
}

impl Profile {
    /// A method that a provider has stored.
    pub fn new(id: ProfileId, owner: &Owner<'_>, stored: StoredProfile, now: Timestamp) -> Self {
        Self {
            id,
            merchant: owner.merchant.to_owned(),
            customer_id: owner.customer_id.to_owned(),
            account: owner.account.to_owned(),
            provider: owner.provider.to_owned(),
            reference: stored.reference,
            kind: stored.kind,
            display_name: stored.display_name,
            status: ProfileStatus::of(&stored.provider_status.status),
            expires_at: stored.expires_on,
            metadata: owner.metadata.clone(),
            forgotten: false,
            created_at: now,
            updated_at: now,
            version: 1,
        }
    }

    /// Deleted by its merchant: what could be shown of it is gone, its provider's id stays.
    #[must_use]
    pub fn forgotten(&self, now: Timestamp) -> Self {
        Self {
            forgotten: true,
            display_name: None,
            metadata: Metadata::new(),
            updated_at: now,
            version: self.version + 1,
            ..self.clone()
        }
    }

    /// Whether an order can be paid with it: its own customer's, while it can be used.
    ///
    /// # Errors
    /// [`DomainError::ProfileUnusable`].
    pub fn ensure_pays(&self, header: &OrderHeader) -> Result<(), DomainError> {
        if self.status != ProfileStatus::Active {
            return Err(DomainError::ProfileUnusable("it is not ACTIVE"));
        }
        if !is_customer_of(header, &self.customer_id) {
            return Err(DomainError::ProfileUnusable("it belongs to another customer than the order"));
        }
        Ok(())
    }
}

/// Whose method it is, and where.
#[derive(Clone, Copy)]
pub struct Owner<'a> {
    /// The merchant.
    pub merchant: &'a str,
    /// The merchant's own id of the customer.
    pub customer_id: &'a str,
    /// The account.
    pub account: &'a str,
    /// The account's provider.
    pub provider: &'a str,
    /// The merchant's own notes.
    pub metadata: &'a Metadata,
}

fn is_customer_of(header: &OrderHeader, customer_id: &str) -> bool {
    let personal = header.personal.value();
    personal.and_then(|personal| personal.customer.id.as_deref()) == Some(customer_id)
}

impl ProfileSession {
    /// Whose method it stores, and where.
    pub fn owner(&self) -> Owner<'_> {
        Owner {
            merchant: &self.merchant,
            customer_id: &self.customer_id,
            account: &self.start.account,
            provider: &self.start.provider,
            metadata: &self.request.metadata,
        }
    }

    /// What the adapter sees of its start. There is no order: the number of the session stands in for it.
    pub fn for_adapter(&self) -> Attempt {
        let currency: Currency = NOTHING_IN.parse().expect("the euro is a currency");
        Attempt {
            id: self.start.id,
            order: OrderId::from_uuid(self.id.uuid()),
            money: Money::new(0, currency),
            approach: self.approach,
            capture: CaptureMode::Automatic,
            started_at: self.start.started_at,
            reference: self.start.reference.clone(),
            adapter_state: self.start.adapter_state.clone(),
        }
    }

    fn changed(&self, now: Timestamp) -> Self {
        Self { updated_at: now, version: self.version + 1, ..self.clone() }
    }

    /// The adapter keeps something.
    #[must_use]
    pub fn kept(&self, pairs: &[(&str, &str)], now: Timestamp) -> Self {
        let mut next = self.changed(now);
        next.start
            .adapter_state
            .extend(pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())));
        next
    }

    /// The provider has it. `None` unless it was being started.
    pub fn created(&self, created: port::CreatedPayment, now: Timestamp) -> Option<Self> {
        let mut next = self.starting(now)?;
        next.start.state = AttemptState::Created;
        next.start.reference = Some(created.reference);
        next.start.adapter_state.extend(created.adapter_state);
        next.start.next = Some(created.next);
        Some(next)
    }

    /// The account could not start it, the next one is to. `None` unless it was being started.
    pub fn moved_on(&self, why: &str, start: ProfileStart, now: Timestamp) -> Option<Self> {
        let mut next = self.starting(now)?;
        next.routing
            .tried
            .push(RouteAttempt { account: self.start.account.clone(), outcome: why.to_owned() });
        next.fallback.retain(|account| *account != start.account);
        next.start = start;
        Some(next)
    }

    fn starting(&self, now: Timestamp) -> Option<Self> {
        let starting = self.status.is_open() && self.start.state == AttemptState::Started;
        starting.then(|| self.changed(now))
    }

    /// It could not be started anywhere. `None` unless it was being started.
    pub fn never_created(&self, why: &str, failure: SessionFailure, now: Timestamp) -> Option<Self> {
        self.starting(now)?;
        self.ended(failure, now).map(|next| Self { start_failure: Some(why.to_owned()), ..next })
    }

    /// It ends without a stored method. `None` if it has ended already.
    pub fn ended(&self, failure: SessionFailure, now: Timestamp) -> Option<Self> {
        self.status.is_open().then(|| {
            let mut next = self.changed(now);
            next.status = SessionStatus::Failed;
            next.failure = Some(failure);
            next.start.state = AttemptState::Ended;
            next
        })
    }

    /// It is to be closed, and how it shall end. `None` if that is under way or it has ended already.
    ///
    /// # Errors
    /// [`DomainError::TooLate`] once a method is stored.
    pub fn closed(&self, code: FailureCode, now: Timestamp) -> Result<Option<Self>, DomainError> {
        if self.status == SessionStatus::Completed {
            return Err(DomainError::TooLate("the session is COMPLETED; the method is stored"));
        }
        let news = self.status.is_open() && self.closing.is_none();
        Ok(news.then(|| Self { closing: Some(code), ..self.changed(now) }))
    }

    /// What the provider said of it, with the stored method's id where it stored one. `None` if nothing is new:
    /// a word that nobody knows, or a method that is said to be stored and not shown, ends nothing.
    pub fn observed(&self, seen: &Observation, stored: Option<ProfileId>, now: Timestamp) -> Option<Self> {
        if !self.status.is_open() {
            return None;
        }
        let moved = |status| (status != self.status).then(|| Self { status, ..self.changed(now) });
        match (seen.says, stored) {
            (StatusMapping::Status(PaymentStatus::Paid), Some(_)) => {
                moved(SessionStatus::Completed).map(|next| Self { profile: stored, failure: None, ..next })
            }
            (StatusMapping::Status(PaymentStatus::RequiresAction), _) => moved(SessionStatus::RequiresAction),
            (StatusMapping::Status(PaymentStatus::Pending | PaymentStatus::Processing), _) => {
                moved(SessionStatus::Pending)
            }
            (StatusMapping::Status(PaymentStatus::Failed), _) if seen.terminal => {
                self.ended(self.failure(seen), now)
            }
            (StatusMapping::Status(PaymentStatus::Cancelled | PaymentStatus::Expired), _) => {
                self.ended(self.failure(seen), now)
            }
            _ => None,
        }
    }

    fn failure(&self, seen: &Observation) -> SessionFailure {
        let code = self.closing.unwrap_or(match seen.says {
            StatusMapping::Status(PaymentStatus::Cancelled) => FailureCode::CancelledByCustomer,
            StatusMapping::Status(PaymentStatus::Expired) => FailureCode::Expired,
            _ => FailureCode::Declined,
        });
        let said = seen.failure.clone().unwrap_or_default();
        SessionFailure { code, message: said.text, provider_code: said.code, retryable: false }
    }

    /// When it is gone on with, judged at `now`; `None` once it has ended. A start without a known outcome after
    /// the longest call, a customer who is awaited as for a payment, at the latest when the session ends.
    pub fn next_look(&self, now: Timestamp, draw: u64) -> Option<Timestamp> {
        if !self.status.is_open() {
            return None;
        }
        let deadline = self.start.started_at.plus(CALL_DEADLINE);
        if self.start.state == AttemptState::Started && now < deadline {
            return Some(deadline);
        }
        let since = if self.closing.is_some() { self.updated_at } else { self.created_at };
        let next = jittered(now, by_age(now.since(since), HOUR), draw);
        Some(next.min(self.expires_at.max(now.plus(MIN))))
    }

    /// Whether it proves that an order's customer has stored a method.
    ///
    /// # Errors
    /// [`DomainError::SessionUnusable`].
    pub fn ensure_proves(&self, header: &OrderHeader) -> Result<(), DomainError> {
        if self.status != SessionStatus::Completed {
            return Err(DomainError::SessionUnusable("it is not COMPLETED"));
        }
        if !is_customer_of(header, &self.customer_id) {
            return Err(DomainError::SessionUnusable("it belongs to another customer than the order"));
        }
        Ok(())
    }
}

impl fmt::Debug for ProfileSession {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ProfileSession({}, {})", self.id, self.status.as_str())
    }
}

impl fmt::Debug for Profile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Profile({}, {:?})", self.id, self.status)
    }
}
