//! Profile sessions: a customer stores a payment method without paying.

use std::fmt;

use port::{
    AdapterState, Approach, AttemptId, Next, Observation, PaymentStatus, ProfileId, ProfileSessionId,
    StatusMapping, StoreAttempt, Timestamp,
};
use serde::{Deserialize, Serialize};

use super::erasable::{Erasable, ErasableSlot, slot, slots};
use super::ids::part_of;
use super::jobs::{CALL_DEADLINE, DueJob, Job, Lane, Urgency};
use super::profile::is_customer_of;
use super::schedule::{HOUR, MIN_INTERVAL, by_age, jittered};
use super::subject::{ChangeMeta, Head, ReplayError, Subject, SubjectEvent, any_subject};
use super::{
    AttemptState, DomainError, FailureCode, Metadata, OrderAggregate, ReturnUrls, RouteAttempt, Routing,
    SessionFailure, SessionStatus, StartFailure,
};

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ProfileSession {
    pub id: ProfileSessionId,
    pub merchant: String,
    pub approach: Approach,
    pub status: SessionStatus,
    pub failure: Option<SessionFailure>,
    pub routing: Routing,
    /// Which accounts to try next, in order.
    pub fallback: Vec<String>,
    pub request: Erasable<ProfileSessionRequest>,
    /// The attempts, oldest first; the last one is current.
    pub attempts: Vec<ProfileAttempt>,
    /// Set while it is being closed: the failure code it ends with.
    pub closing: Option<FailureCode>,
    /// Once it is COMPLETED.
    pub profile: Option<ProfileId>,
    pub created_at: Timestamp,
    pub updated_at: Timestamp,
    pub expires_at: Timestamp,
    pub head: Head,
}

#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProfileSessionRequest {
    /// The merchant's own id of the customer.
    pub customer_id: String,
    pub return_urls: ReturnUrls,
    /// BCP 47 tag.
    pub language: Option<String>,
    /// Copied to the payment profile.
    pub metadata: Metadata,
}

impl fmt::Debug for ProfileSessionRequest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ProfileSessionRequest")
    }
}

/// An attempt of a profile session at one account.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ProfileAttempt {
    /// Our reference at the provider.
    pub id: AttemptId,
    pub account: String,
    pub provider: String,
    pub state: AttemptState,
    pub reference: Option<String>,
    pub adapter_state: Option<Erasable<AdapterState>>,
    pub next: Option<Erasable<Next>>,
    pub failure: Option<StartFailure>,
    pub started_at: Timestamp,
}

/// An attempt that is about to be sent.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ProfileStart {
    pub attempt: AttemptId,
    pub account: String,
    pub provider: String,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type", content = "data")]
pub enum ProfileSessionEvent {
    #[serde(rename = "profile_session.created")]
    Created {
        id: ProfileSessionId,
        merchant: String,
        approach: Approach,
        routing: Routing,
        fallback: Vec<String>,
        request: Erasable<ProfileSessionRequest>,
        expires_at: Timestamp,
    },
    /// An attempt is about to be sent to an account: the intent.
    #[serde(rename = "profile_session.attempt_started")]
    AttemptStarted(ProfileStart),
    #[serde(rename = "profile_session.adapter_state_saved")]
    AdapterStateSaved(Erasable<AdapterState>),
    #[serde(rename = "profile_session.attempt_created")]
    AttemptCreated {
        reference: String,
        next: Erasable<Next>,
        /// The complete adapter state, if it changed.
        adapter_state: Option<Erasable<AdapterState>>,
    },
    #[serde(rename = "profile_session.attempt_abandoned")]
    AttemptAbandoned { failure: StartFailure },
    #[serde(rename = "profile_session.close_requested")]
    CloseRequested {
        /// The failure code it ends with.
        code: FailureCode,
    },
    #[serde(rename = "profile_session.status_changed")]
    StatusChanged { to: SessionStatus, failure: Option<SessionFailure>, profile: Option<ProfileId> },
    #[serde(rename = "profile_session.personal_data_erased")]
    PersonalDataErased,
}

impl SubjectEvent for ProfileSessionEvent {
    fn erasables(&self) -> Vec<&dyn ErasableSlot> {
        let slots: Vec<Option<&dyn ErasableSlot>> = match self {
            Self::Created { request, .. } => vec![Some(request)],
            Self::AdapterStateSaved(state) => vec![Some(state)],
            Self::AttemptCreated { next, adapter_state, .. } => {
                vec![Some(next), slot(adapter_state.as_ref())]
            }
            _ => Vec::new(),
        };
        slots.into_iter().flatten().collect()
    }

    fn erases(&self) -> bool {
        matches!(self, Self::PersonalDataErased)
    }
}

impl ProfileSession {
    pub fn version(&self) -> u64 {
        self.head.sequence
    }

    /// The current attempt.
    pub fn attempt(&self) -> Option<&ProfileAttempt> {
        self.attempts.last()
    }

    /// `None` once it was erased.
    pub fn customer_id(&self) -> Option<&str> {
        self.request.value().map(|request| request.customer_id.as_str())
    }

    /// The id of the next attempt, after `before` attempts.
    pub fn next_attempt_id(id: ProfileSessionId, before: usize) -> AttemptId {
        AttemptId::from_uuid(part_of(id.uuid(), before as u64 + 1))
    }

    /// The current attempt as the adapter gets it.
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

    fn is_open_in(&self, state: AttemptState) -> bool {
        self.status.is_open() && self.attempt().is_some_and(|attempt| attempt.state == state)
    }

    /// Whether the outcome of its start is unknown.
    pub fn is_starting(&self) -> bool {
        self.is_open_in(AttemptState::Started)
    }

    /// Whether it failed without reaching a provider, so that a repeat with the same key runs it again.
    pub fn had_no_effect(&self) -> bool {
        let attempt = self.attempt().filter(|attempt| attempt.reference.is_none());
        let failure = attempt.and_then(|attempt| attempt.failure);
        self.status == SessionStatus::Failed && failure.is_some_and(StartFailure::had_no_effect)
    }

    /// Whether it is open and exists at the provider.
    pub fn is_live(&self) -> bool {
        self.is_open_in(AttemptState::Created)
    }

    /// The account could not start it: the next account is tried, or the session fails. Empty unless it is being
    /// started.
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

    /// The session fails, unless it has ended already.
    pub fn ended(&self, failure: SessionFailure) -> Option<ProfileSessionEvent> {
        let (to, failure) = (SessionStatus::Failed, Some(failure));
        self.status.is_open().then_some(ProfileSessionEvent::StatusChanged { to, failure, profile: None })
    }

    /// Requests to close it. `None` if that is pending, or if it has failed.
    ///
    /// # Errors
    /// [`DomainError::TooLate`] once a method is stored.
    pub fn close(&self, code: FailureCode) -> Result<Option<ProfileSessionEvent>, DomainError> {
        if self.status == SessionStatus::Completed {
            return Err(DomainError::TooLate("the session is COMPLETED; the method is stored"));
        }
        let closes = self.status.is_open() && self.closing.is_none();
        Ok(closes.then_some(ProfileSessionEvent::CloseRequested { code }))
    }

    /// The event that follows from a report, with the id of the payment profile if there is one. `None` if nothing
    /// changes: an unknown status, or "stored" without a method, ends nothing.
    pub fn observed(&self, seen: &Observation, stored: Option<ProfileId>) -> Option<ProfileSessionEvent> {
        if !self.status.is_open() {
            return None;
        }
        let StatusMapping::Status(status) = seen.meaning else { return None };
        let changed = |to, profile| ProfileSessionEvent::StatusChanged { to, failure: None, profile };
        let to = match status {
            PaymentStatus::Paid => return stored.map(|_| changed(SessionStatus::Completed, stored)),
            PaymentStatus::Cancelled | PaymentStatus::Expired => return self.ended(self.failure_of(seen)),
            PaymentStatus::Failed if seen.terminal => return self.ended(self.failure_of(seen)),
            PaymentStatus::RequiresAction => SessionStatus::RequiresAction,
            PaymentStatus::Pending | PaymentStatus::Processing => SessionStatus::Pending,
            _ => return None,
        };
        (to != self.status).then(|| changed(to, None))
    }

    fn failure_of(&self, seen: &Observation) -> SessionFailure {
        let code = self.closing.unwrap_or(match seen.meaning {
            StatusMapping::Status(PaymentStatus::Cancelled) => FailureCode::CancelledByCustomer,
            StatusMapping::Status(PaymentStatus::Expired) => FailureCode::Expired,
            _ => FailureCode::Declined,
        });
        SessionFailure::new(code, seen.failure.as_ref(), false)
    }

    /// When its job is due next; `None` once it has ended. A start of unknown outcome is due after the longest call,
    /// an open session at the intervals of a payment, at the latest when it expires.
    pub fn next_due(&self, now: Timestamp, draw: u64) -> Option<Timestamp> {
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

    /// Fails with [`DomainError::SessionUnusable`] unless the order's customer has stored a method with it.
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

    fn attempt_mut(&mut self) -> Result<&mut ProfileAttempt, ReplayError> {
        self.attempts.last_mut().ok_or_else(|| "the session has no attempt".into())
    }
}

impl Subject for ProfileSession {
    type Event = ProfileSessionEvent;

    any_subject!(ProfileSession, |session| session);

    fn open(first: &ProfileSessionEvent, meta: &ChangeMeta) -> Option<Self> {
        let ProfileSessionEvent::Created { id, merchant, approach, routing, fallback, request, expires_at } =
            first
        else {
            return None;
        };
        Some(Self {
            id: *id,
            merchant: merchant.clone(),
            approach: *approach,
            status: SessionStatus::Pending,
            failure: None,
            routing: routing.clone(),
            fallback: fallback.clone(),
            request: request.clone(),
            attempts: Vec::new(),
            closing: None,
            profile: None,
            created_at: meta.at,
            updated_at: meta.at,
            expires_at: *expires_at,
            head: Head::default(),
        })
    }

    fn apply_event(&mut self, event: &ProfileSessionEvent, meta: &ChangeMeta) -> Result<(), ReplayError> {
        self.updated_at = meta.at;
        match event {
            ProfileSessionEvent::Created { .. } => {}
            ProfileSessionEvent::AttemptStarted(start) => self.start(start, meta.at),
            ProfileSessionEvent::AdapterStateSaved(state) => {
                self.attempt_mut()?.adapter_state = Some(state.clone());
            }
            ProfileSessionEvent::AttemptCreated { reference, next, adapter_state } => {
                let attempt = self.attempt_mut()?;
                attempt.state = AttemptState::Created;
                attempt.reference = Some(reference.clone());
                attempt.next = Some(next.clone());
                attempt.adapter_state = adapter_state.clone().or_else(|| attempt.adapter_state.take());
            }
            ProfileSessionEvent::AttemptAbandoned { failure } => {
                let attempt = self.attempt_mut()?;
                attempt.state = AttemptState::Ended;
                attempt.failure = Some(*failure);
                let tried = RouteAttempt::failed(&attempt.account, *failure);
                self.routing.tried.push(tried);
            }
            ProfileSessionEvent::CloseRequested { code } => self.closing = Some(*code),
            ProfileSessionEvent::StatusChanged { to, failure, profile } => {
                self.status = *to;
                self.failure.clone_from(failure);
                self.profile = profile.or(self.profile);
                if *to == SessionStatus::Failed {
                    self.attempt_mut()?.state = AttemptState::Ended;
                }
            }
            ProfileSessionEvent::PersonalDataErased => {
                self.erasables().into_iter().for_each(ErasableSlot::erase);
            }
        }
        Ok(())
    }

    fn list_state(&self) -> &'static str {
        self.status.into()
    }

    fn erasables(&mut self) -> Vec<&mut dyn ErasableSlot> {
        let mut found: Vec<&mut dyn ErasableSlot> = vec![&mut self.request];
        for attempt in &mut self.attempts {
            found.extend(slots(&mut attempt.adapter_state).chain(slots(&mut attempt.next)));
        }
        found
    }

    fn due(&self, now: Timestamp, draw: u64) -> Vec<DueJob> {
        let account = self.attempt().map(|attempt| attempt.account.clone());
        let urgency = if self.is_starting() { Urgency::UnknownOutcome } else { Urgency::Scheduled };
        let due = self.next_due(now, draw).zip(account).map(|(at, account)| DueJob {
            job: Job::FollowProfileSession,
            lane: Lane::Account(account),
            urgency,
            at,
        });
        due.into_iter().collect()
    }
}
