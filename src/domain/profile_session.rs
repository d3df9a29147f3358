//! Sessions in which customers store a payment method: a start at a provider with the purpose of storing.

mod subject;

use std::fmt;

use port::{
    AdapterState, Approach, AttemptId, Next, Observation, PaymentStatus, ProfileId, ProfileSessionId,
    StatusMapping, StoreAttempt, Timestamp,
};
use serde::{Deserialize, Serialize};

use super::erasable::{Body, Erasable};
use super::ids::part_of;
use super::jobs::CALL_DEADLINE;
use super::profile::is_customer_of;
use super::schedule::{HOUR, MIN_INTERVAL, by_age, jittered};
use super::subject::{Head, ReplayError, SubjectEvent};
use super::{
    AttemptState, DomainError, FailureCode, Metadata, OrderAggregate, ReturnUrls, Routing, SessionFailure,
    SessionStatus, StartFailure,
};

/// One opening of a page or widget in which a customer stores a method.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ProfileSession {
    /// Its id.
    pub id: ProfileSessionId,
    /// Whose.
    pub merchant: String,
    /// How the customer does it.
    pub approach: Approach,
    /// Where it stands.
    pub status: SessionStatus,
    /// How it ended without a stored method.
    pub failure: Option<SessionFailure>,
    /// Who decided the account, and why.
    pub routing: Routing,
    /// Which accounts to ask next if this one cannot start it, in order.
    pub fallback: Vec<String>,
    /// What the merchant asked for.
    pub request: Erasable<ProfileSessionRequest>,
    /// The starts, oldest first; the last one stands for the session.
    pub attempts: Vec<ProfileAttempt>,
    /// Set once it is being closed: how it shall end.
    pub closing: Option<FailureCode>,
    /// The stored method, once COMPLETED.
    pub profile: Option<ProfileId>,
    /// When it was created.
    pub created_at: Timestamp,
    /// When it last changed.
    pub updated_at: Timestamp,
    /// When it ends by itself.
    pub expires_at: Timestamp,
    /// Where its history ends.
    pub head: Head,
}

/// What the merchant asked for.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProfileSessionRequest {
    /// The merchant's own id of the customer.
    pub customer_id: String,
    /// Where the customer returns to at the merchant.
    pub return_urls: ReturnUrls,
    /// BCP 47 tag.
    pub language: Option<String>,
    /// The merchant's own metadata; the stored method takes it over.
    pub metadata: Metadata,
}

impl fmt::Debug for ProfileSessionRequest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ProfileSessionRequest")
    }
}

/// One start at one account.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ProfileAttempt {
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
    pub adapter_state: Option<Erasable<AdapterState>>,
    /// What the customer needs.
    pub next: Option<Erasable<Next>>,
    /// Why it was abandoned.
    pub failure: Option<StartFailure>,
    /// When the intent was written.
    pub started_at: Timestamp,
}

/// A start to be made at an account.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ProfileStart {
    /// Our reference at the provider.
    pub attempt: AttemptId,
    /// Where.
    pub account: String,
    /// The account's provider.
    pub provider: String,
}

/// What happens to a profile session.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type", content = "data")]
pub enum ProfileSessionEvent {
    /// It was created.
    #[serde(rename = "profile_session.created")]
    Created {
        /// Its id.
        id: ProfileSessionId,
        /// Whose.
        merchant: String,
        /// How the customer does it.
        approach: Approach,
        /// Who decided the account, and why.
        routing: Routing,
        /// Which accounts to ask next.
        fallback: Vec<String>,
        /// What the merchant asked for.
        request: Erasable<ProfileSessionRequest>,
        /// When it ends by itself.
        expires_at: Timestamp,
    },
    /// A start is about to be made at an account: the intent.
    #[serde(rename = "profile_session.attempt_started")]
    AttemptStarted(ProfileStart),
    /// The adapter wants to find this again.
    #[serde(rename = "profile_session.adapter_state_saved")]
    AdapterStateSaved(Erasable<AdapterState>),
    /// The provider has the object.
    #[serde(rename = "profile_session.attempt_created")]
    AttemptCreated {
        /// The provider's id.
        reference: String,
        /// What the customer needs.
        next: Erasable<Next>,
        /// What the adapter remembers now.
        adapter_state: Option<Erasable<AdapterState>>,
    },
    /// The start was abandoned.
    #[serde(rename = "profile_session.attempt_abandoned")]
    AttemptAbandoned {
        /// Why.
        failure: StartFailure,
    },
    /// It is to be closed.
    #[serde(rename = "profile_session.close_requested")]
    CloseRequested {
        /// How it shall end.
        code: FailureCode,
    },
    /// Its status changed.
    #[serde(rename = "profile_session.status_changed")]
    StatusChanged {
        /// Where it is.
        to: SessionStatus,
        /// Why it ended without a stored method.
        failure: Option<SessionFailure>,
        /// The stored method.
        profile: Option<ProfileId>,
    },
    /// Its personal data was erased.
    #[serde(rename = "profile_session.personal_data_erased")]
    PersonalDataErased,
}

impl SubjectEvent for ProfileSessionEvent {
    fn personal(&self) -> Vec<Body> {
        let bodies = match self {
            Self::Created { request, .. } => vec![request.body()],
            Self::AdapterStateSaved(state) => vec![state.body()],
            Self::AttemptCreated { next, adapter_state, .. } => {
                vec![next.body(), adapter_state.as_ref().and_then(Erasable::body)]
            }
            _ => Vec::new(),
        };
        bodies.into_iter().flatten().collect()
    }
}

impl ProfileSession {
    /// The version that the API shows.
    pub fn version(&self) -> u64 {
        self.head.sequence
    }

    /// The start that stands for it.
    pub fn attempt(&self) -> Option<&ProfileAttempt> {
        self.attempts.last()
    }

    /// The merchant's own id of the customer, unless it was erased.
    pub fn customer_id(&self) -> Option<&str> {
        self.request.value().map(|request| request.customer_id.as_str())
    }

    /// The id of the next start.
    pub fn next_attempt_id(id: ProfileSessionId, before: usize) -> AttemptId {
        AttemptId::from_uuid(part_of(id.uuid(), before as u64 + 1))
    }

    /// What the adapter sees of its start.
    pub fn for_adapter(&self) -> Option<StoreAttempt> {
        let attempt = self.attempt()?;
        let adapter_state = attempt.adapter_state.as_ref().and_then(Erasable::value);
        Some(StoreAttempt {
            id: attempt.id,
            session: self.id,
            approach: self.approach,
            started_at: attempt.started_at,
            reference: attempt.reference.clone(),
            adapter_state: adapter_state.cloned().unwrap_or_default(),
        })
    }

    /// Whether its start has no known outcome.
    pub fn is_starting(&self) -> bool {
        self.status.is_open() && self.attempt().is_some_and(|attempt| attempt.state == AttemptState::Started)
    }

    /// Whether it failed without reaching a provider, so that the same idempotency key tries again.
    pub fn reached_nobody(&self) -> bool {
        let attempt = self.attempt().filter(|attempt| attempt.reference.is_none());
        let failure = attempt.and_then(|attempt| attempt.failure);
        self.status == SessionStatus::Failed && failure.is_some_and(StartFailure::reached_nobody)
    }

    /// Whether the provider has it and the customer may use it.
    pub fn is_live(&self) -> bool {
        self.status.is_open() && self.attempt().is_some_and(|attempt| attempt.state == AttemptState::Created)
    }

    /// The account could not start it: the next one is to, or it ends. Nothing unless it was being started.
    pub fn start_failed(
        &self,
        why: StartFailure,
        next: Result<ProfileStart, SessionFailure>,
    ) -> Vec<ProfileSessionEvent> {
        if !self.is_starting() {
            return Vec::new();
        }
        let follows = match next {
            Ok(start) => Some(ProfileSessionEvent::AttemptStarted(start)),
            Err(failure) => self.ended(failure),
        };
        let abandoned = ProfileSessionEvent::AttemptAbandoned { failure: why };
        std::iter::once(abandoned).chain(follows).collect()
    }

    /// It ends without a stored method, unless it has ended already.
    pub fn ended(&self, failure: SessionFailure) -> Option<ProfileSessionEvent> {
        let (to, failure) = (SessionStatus::Failed, Some(failure));
        self.status.is_open().then_some(ProfileSessionEvent::StatusChanged { to, failure, profile: None })
    }

    /// It is to be closed. Nothing if that is under way, or it has ended without a method.
    ///
    /// # Errors
    /// [`DomainError::TooLate`] once a method is stored.
    pub fn close(&self, code: FailureCode) -> Result<Option<ProfileSessionEvent>, DomainError> {
        if self.status == SessionStatus::Completed {
            return Err(DomainError::TooLate("the session is COMPLETED; the method is stored"));
        }
        let news = self.status.is_open() && self.closing.is_none();
        Ok(news.then_some(ProfileSessionEvent::CloseRequested { code }))
    }

    /// What the provider said of it, with the stored method's id where it stored one. Nothing if that is no news: an
    /// unknown status, or a method that is said to be stored and not shown, ends nothing.
    pub fn observed(&self, seen: &Observation, stored: Option<ProfileId>) -> Option<ProfileSessionEvent> {
        if !self.status.is_open() {
            return None;
        }
        let changed = |to| {
            (to != self.status).then_some(ProfileSessionEvent::StatusChanged {
                to,
                failure: None,
                profile: None,
            })
        };
        match (seen.meaning, stored) {
            (StatusMapping::Status(PaymentStatus::Paid), Some(_)) => {
                let to = SessionStatus::Completed;
                Some(ProfileSessionEvent::StatusChanged { to, failure: None, profile: stored })
            }
            (StatusMapping::Status(PaymentStatus::RequiresAction), _) => {
                changed(SessionStatus::RequiresAction)
            }
            (StatusMapping::Status(PaymentStatus::Pending | PaymentStatus::Processing), _) => {
                changed(SessionStatus::Pending)
            }
            (StatusMapping::Status(PaymentStatus::Failed), _) if seen.terminal => {
                self.ended(self.failure_of(seen))
            }
            (StatusMapping::Status(PaymentStatus::Cancelled | PaymentStatus::Expired), _) => {
                self.ended(self.failure_of(seen))
            }
            _ => None,
        }
    }

    fn failure_of(&self, seen: &Observation) -> SessionFailure {
        let code = self.closing.unwrap_or(match seen.meaning {
            StatusMapping::Status(PaymentStatus::Cancelled) => FailureCode::CancelledByCustomer,
            StatusMapping::Status(PaymentStatus::Expired) => FailureCode::Expired,
            _ => FailureCode::Declined,
        });
        let stated = seen.failure.clone().unwrap_or_default();
        SessionFailure { code, message: stated.text, provider_code: stated.code, retryable: false }
    }

    /// When to go on with it, judged at `now`; `None` once it has ended. A start without a known outcome after the
    /// longest call, a customer as for a payment, at the latest when the session ends.
    pub fn next_look(&self, now: Timestamp, draw: u64) -> Option<Timestamp> {
        if !self.status.is_open() {
            return None;
        }
        let deadline = self.attempt().map(|attempt| attempt.started_at.plus(CALL_DEADLINE));
        if let Some(deadline) = deadline.filter(|deadline| self.is_starting() && now < *deadline) {
            return Some(deadline);
        }
        let since = if self.closing.is_some() { self.updated_at } else { self.created_at };
        let next = jittered(now, by_age(now.since(since), HOUR), draw);
        Some(next.min(self.expires_at.max(now.plus(MIN_INTERVAL))))
    }

    /// Whether it proves that an order's customer has stored a method.
    ///
    /// # Errors
    /// [`DomainError::SessionUnusable`].
    pub fn ensure_proves(&self, order: &OrderAggregate) -> Result<(), DomainError> {
        if self.status != SessionStatus::Completed {
            return Err(DomainError::SessionUnusable("it is not COMPLETED"));
        }
        if !is_customer_of(order, self.customer_id()) {
            return Err(DomainError::SessionUnusable("it belongs to another customer than the order"));
        }
        Ok(())
    }

    fn start(&mut self, start: &ProfileStart, at: Timestamp) {
        self.fallback.retain(|account| *account != start.account);
        self.attempts.push(ProfileAttempt {
            id: start.attempt,
            account: start.account.clone(),
            provider: start.provider.clone(),
            state: AttemptState::Started,
            reference: None,
            adapter_state: None,
            next: None,
            failure: None,
            started_at: at,
        });
    }

    fn change_attempt(&mut self, change: impl FnOnce(&mut ProfileAttempt)) -> Result<(), ReplayError> {
        self.attempts.last_mut().map(change).ok_or_else(|| "the session has no attempt".into())
    }
}
