//! Failures at every call of every recording: an adapter never reports one as more certain than it is.

use paymux_port::{Advice, HttpRequest};

use super::{Rule, RuleResult, Subject, every, must};
use crate::{Answer, Operation, Recording, World};

pub(super) const RULES: &[Rule] = &[
    every("nothing sent: another account may be tried", |subject| {
        at_each_call(subject, &[Fault::NotSent], |call| !call.written)
    }),
    every("silence after a write: it is asked until it is known", |subject| {
        at_each_call(subject, &[Fault::Lost], |call| !call.written && !call.reads_only)
    }),
    every("silence after a read: it is read again later", |subject| {
        at_each_call(subject, &[Fault::Lost], |call| !call.written && call.reads_only)
    }),
    every("401, 404, 429, other 4xx, 3xx and 5xx are sorted by what they prove", |subject| {
        at_each_call(subject, &STATUSES, |call| !call.written)
    }),
    every("a write that left is never reported as harmless", |subject| {
        let faults = [&[Fault::NotSent, Fault::Lost], &STATUSES[..]].concat();
        at_each_call(subject, &faults, |call| call.written)
    }),
    every("what could not be kept is not relied on", nothing_relies_on_unsaved_state),
];

#[derive(Clone, Copy, Debug)]
enum Fault {
    NotSent,
    Lost,
    Status(u16),
}

const STATUSES: [Fault; 9] = [
    Fault::Status(302),
    Fault::Status(400),
    Fault::Status(401),
    Fault::Status(403),
    Fault::Status(404),
    Fault::Status(422),
    Fault::Status(429),
    Fault::Status(500),
    Fault::Status(503),
];

impl Fault {
    fn answer(self) -> Answer {
        match self {
            Self::NotSent => Answer::NotSent,
            Self::Lost => Answer::Lost,
            Self::Status(status) => Answer::reply(status, "{}"),
        }
    }
}

/// Which call of an operation fails.
pub(super) struct FailedCall {
    /// Whether the failing call only reads.
    pub(super) reads_only: bool,
    /// Whether an earlier write may have worked.
    pub(super) written: bool,
}

impl FailedCall {
    /// The call of a recording by its number.
    pub(super) fn of(recording: &Recording, number: usize) -> Self {
        let written = recording.steps[..number].iter().any(|step| {
            let refused =
                matches!(&step.answer, Answer::Reply(response) if (400..500).contains(&response.status));
            !step.reads_only() && !refused
        });
        Self { reads_only: recording.steps[number].reads_only(), written }
    }

    /// The advice after an answer that proves nothing.
    pub(super) fn unclear(&self) -> Advice {
        if self.reads_only && !self.written { Advice::RetryLater } else { Advice::ResolveUnknown }
    }

    /// The advice that a failure of this call proves right.
    fn proven(&self, fault: Fault) -> Advice {
        match fault {
            Fault::Status(400 | 422) if !self.reads_only => Advice::Stop,
            _ if self.written => Advice::ResolveUnknown,
            Fault::NotSent | Fault::Status(401 | 403 | 429) => Advice::TryElsewhere,
            Fault::Status(400 | 404 | 422) => Advice::Stop,
            Fault::Lost | Fault::Status(_) => self.unclear(),
        }
    }
}

/// Whether a recording shows that the adapter survives a failure of this call.
pub(super) fn survivable(subject: &Subject, http_request: &HttpRequest) -> bool {
    let steps = subject.working_calls().flat_map(|recording| &recording.steps);
    let alike =
        steps.filter(|step| step.method == http_request.method.as_str() && step.path == http_request.path);
    alike.into_iter().any(|step| !matches!(&step.answer, Answer::Reply(response) if response.ok()))
}

fn at_each_call(subject: &Subject, faults: &[Fault], concerns: fn(&FailedCall) -> bool) -> RuleResult {
    for recording in subject.working_calls() {
        for number in 0..recording.steps.len() {
            let call = FailedCall::of(recording, number);
            for fault in faults.iter().filter(|_| concerns(&call)) {
                fail_at(subject, recording, number, &call, *fault)?;
            }
        }
    }
    Ok(())
}

fn fail_at(
    subject: &Subject,
    recording: &Recording,
    number: usize,
    call: &FailedCall,
    fault: Fault,
) -> RuleResult {
    let mut answers = recording.answers();
    answers[number] = fault.answer();
    let played = World::of(&recording.options).play(subject.about, recording.operation, answers);
    let advice = played.error().map(paymux_port::ProviderError::advice);
    let survived = advice.is_none()
        && played.calls.get(number).is_some_and(|http_request| survivable(subject, http_request));
    let proven = call.proven(fault);
    must(survived || advice == Some(proven), || {
        let (file, call) = (&recording.file, number + 1);
        format!("{file}: {fault:?} at call {call} proves {proven:?}, but it ends in {:?}", played.end)
    })
}

fn nothing_relies_on_unsaved_state(subject: &Subject) -> RuleResult {
    for (recording, operation) in subject.working_calls().map(|recording| (recording, recording.operation)) {
        let world = World::of(&recording.options);
        if world.play(subject.about, operation, recording.answers()).saved.is_empty() {
            continue;
        }
        let played = World { saves: false, ..world }.play(subject.about, operation, recording.answers());
        must(played.error().is_some(), || {
            format!("{} continues although its state was not saved", recording.file)
        })?;
        let at_rest = played.calls.is_empty()
            || operation != Operation::Create
            || played.calls.len() < recording.steps.len();
        must(at_rest, || format!("{} sends every call although its state was not saved", recording.file))?;
    }
    Ok(())
}
