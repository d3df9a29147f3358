//! Failures at every call of every recording: what an adapter says of them is never more certain than it is.

use paymux_port::{Advice, HttpRequest};

use super::{Rule, RuleResult, Subject, every, must};
use crate::{Answer, Operation, Recording, World};

pub(super) const RULES: &[Rule] = &[
    every("nothing sent: another account may be tried", |subject| {
        at_each_call(subject, &[Fault::NotSent], |place| !place.written)
    }),
    every("silence after a write: it is asked until it is known", |subject| {
        at_each_call(subject, &[Fault::Lost], |place| !place.written && !place.reads_only)
    }),
    every("silence after a read: it is read again later", |subject| {
        at_each_call(subject, &[Fault::Lost], |place| !place.written && place.reads_only)
    }),
    every("401, 404, 429, other 4xx, 3xx and 5xx are sorted by what they prove", |subject| {
        at_each_call(subject, &STATUSES, |place| !place.written)
    }),
    every("a write that left is never reported as harmless", |subject| {
        let faults = [&[Fault::NotSent, Fault::Lost], &STATUSES[..]].concat();
        at_each_call(subject, &faults, |place| place.written)
    }),
    every("what could not be kept is not relied on", nothing_relies_on_what_was_not_kept),
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

/// Where in an operation something fails.
pub(super) struct Place {
    /// Whether the failing call only reads.
    pub(super) reads_only: bool,
    /// Whether an earlier write may have worked.
    pub(super) written: bool,
}

impl Place {
    /// The place of a recording's call by its number.
    pub(super) fn of(recording: &Recording, number: usize) -> Self {
        let written = recording.steps[..number].iter().any(|step| {
            let refused =
                matches!(&step.answer, Answer::Reply(response) if (400..500).contains(&response.status));
            !step.reads_only() && !refused
        });
        Self { reads_only: recording.steps[number].reads_only(), written }
    }

    /// What may be done after an answer that says nothing certain.
    pub(super) fn unclear(&self) -> Advice {
        if self.reads_only && !self.written { Advice::RetryLater } else { Advice::ResolveUnknown }
    }

    /// What a failure here proves.
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

/// Whether some recording shows the adapter getting over a failure of this call.
pub(super) fn survivable(subject: &Subject, http_request: &HttpRequest) -> bool {
    let steps = subject.working_calls().flat_map(|recording| &recording.steps);
    let alike =
        steps.filter(|step| step.method == http_request.method.as_str() && step.path == http_request.path);
    alike.into_iter().any(|step| !matches!(&step.answer, Answer::Reply(response) if response.ok()))
}

fn at_each_call(subject: &Subject, faults: &[Fault], concerns: fn(&Place) -> bool) -> RuleResult {
    for recording in subject.working_calls() {
        for number in 0..recording.steps.len() {
            let place = Place::of(recording, number);
            for fault in faults.iter().filter(|_| concerns(&place)) {
                fail_at(subject, recording, number, &place, *fault)?;
            }
        }
    }
    Ok(())
}

fn fail_at(
    subject: &Subject,
    recording: &Recording,
    number: usize,
    place: &Place,
    fault: Fault,
) -> RuleResult {
    let mut answers = recording.answers();
    answers[number] = fault.answer();
    let played = World::of(&recording.options).play(subject.about, recording.operation, answers);
    let advice = played.error().map(paymux_port::ProviderError::advice);
    let survived = advice.is_none()
        && played.calls.get(number).is_some_and(|http_request| survivable(subject, http_request));
    let proven = place.proven(fault);
    must(survived || advice == Some(proven), || {
        let (file, call) = (&recording.file, number + 1);
        format!("{file}: {fault:?} at call {call} proves {proven:?}, but it ends in {:?}", played.end)
    })
}

fn nothing_relies_on_what_was_not_kept(subject: &Subject) -> RuleResult {
    for (recording, operation) in subject.working_calls().map(|recording| (recording, recording.operation)) {
        let world = World::of(&recording.options);
        if world.play(subject.about, operation, recording.answers()).kept.is_empty() {
            continue;
        }
        let played = World { keeps: false, ..world }.play(subject.about, operation, recording.answers());
        must(played.error().is_some(), || {
            format!("{} goes on without what it wanted to keep", recording.file)
        })?;
        let at_rest = played.calls.is_empty()
            || operation != Operation::Begin
            || played.calls.len() < recording.steps.len();
        must(at_rest, || format!("{} sends everything without what it wanted to keep", recording.file))?;
    }
    Ok(())
}
