//! A profile session among the subjects: how its events change it, and when it is due.

use port::Timestamp;

use super::{ProfileSession, ProfileSessionEvent};
use crate::domain::erasable::ErasableSlot;
use crate::domain::jobs::{DueJob, Job, Lane, Urgency};
use crate::domain::lookup::Lookup;
use crate::domain::subject::{ChangeMeta, Head, ReplayError, Subject, any_subject};
use crate::domain::{AttemptState, RouteAttempt, SessionStatus};

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
                self.change_attempt(|attempt| attempt.adapter_state = Some(state.clone()))?;
            }
            ProfileSessionEvent::AttemptCreated { reference, next, adapter_state } => {
                self.change_attempt(|attempt| {
                    attempt.state = AttemptState::Created;
                    attempt.reference = Some(reference.clone());
                    attempt.next = Some(next.clone());
                    attempt.adapter_state = adapter_state.clone().or_else(|| attempt.adapter_state.take());
                })?;
            }
            ProfileSessionEvent::AttemptAbandoned { failure } => {
                let mut tried = None;
                self.change_attempt(|attempt| {
                    attempt.state = AttemptState::Ended;
                    attempt.failure = Some(*failure);
                    tried = Some(RouteAttempt::failed(&attempt.account, *failure));
                })?;
                self.routing.tried.extend(tried);
            }
            ProfileSessionEvent::CloseRequested { code } => self.closing = Some(*code),
            ProfileSessionEvent::StatusChanged { to, failure, profile } => {
                self.status = *to;
                self.failure.clone_from(failure);
                self.profile = profile.or(self.profile);
                if *to == SessionStatus::Failed {
                    self.change_attempt(|attempt| attempt.state = AttemptState::Ended)?;
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
        let mut slots: Vec<&mut dyn ErasableSlot> = vec![&mut self.request];
        for attempt in &mut self.attempts {
            slots.extend(attempt.adapter_state.as_mut().map(|slot| slot as &mut dyn ErasableSlot));
            slots.extend(attempt.next.as_mut().map(|slot| slot as &mut dyn ErasableSlot));
        }
        slots
    }

    fn lookups(&self) -> Vec<Lookup> {
        Vec::new()
    }

    fn due(&self, now: Timestamp, draw: u64) -> Vec<DueJob> {
        let account = self.attempt().map(|attempt| attempt.account.clone());
        let urgency = if self.is_starting() { Urgency::UnknownOutcome } else { Urgency::Scheduled };
        let due = self.next_look(now, draw).zip(account).map(|(at, account)| DueJob {
            job: Job::FollowProfileSession,
            lane: Lane::Account(account),
            urgency,
            at,
        });
        due.into_iter().collect()
    }
}
