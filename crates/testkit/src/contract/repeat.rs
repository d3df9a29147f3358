//! A repeated operation sends the same bytes, and another operation sends others.

use std::sync::Mutex;
use std::time::Duration;

use async_trait::async_trait;
use paymux_port::{HttpRequest, HttpResponse, Repeat, Transport, TransportError};

use super::{Rule, RuleResult, Subject, every, must, some};
use crate::{Answer, Operation, Recording, Step, World};

pub(super) const RULES: &[Rule] = &[
    every("the same operation sends the same bytes, even later", sends_the_same),
    every("each attempt carries its own reference", attempts_are_distinct),
    some("a start cut off at any call is taken up with the same bytes", resumes, starts_are_taken_up),
    some("two refunds of one amount are told apart", deduplicates_refunds, refunds_are_distinct),
];

/// A call as it goes over the wire, secrets included.
fn wire(http_request: &HttpRequest) -> (String, Vec<(&str, &str)>, &[u8]) {
    let headers = http_request.headers.iter().map(|(name, value)| (*name, value.expose()));
    (format!("{} {}", http_request.method.as_str(), http_request.path), headers.collect(), &http_request.body)
}

fn same(one: &[HttpRequest], other: &[HttpRequest]) -> bool {
    one.iter().map(wire).eq(other.iter().map(wire))
}

fn sends_the_same(subject: &Subject) -> RuleResult {
    for recording in subject.working_calls() {
        let world = World::of(&recording.options);
        let first = world.play(subject.about, recording.operation, recording.answers()).calls;
        let later = World { now: world.now.plus(Duration::from_secs(10)), ..world };
        let second = later.play(subject.about, recording.operation, recording.answers()).calls;
        must(same(&first, &second), || format!("{} sends other calls ten seconds later", recording.file))?;
    }
    Ok(())
}

fn attempts_are_distinct(subject: &Subject) -> RuleResult {
    let other = "att_01kdvdna00e008000000000009";
    for recording in
        subject.working(Operation::Create).filter(|recording| recording.options.adapter_state.is_empty())
    {
        let mut world = World::of(&recording.options);
        let own = world.attempt.id.to_string();
        world.attempt.id = other.parse().expect("a TypeID");
        let sent = world.play(subject.about, Operation::Create, recording.answers()).calls;
        let carries = |id: &str| {
            sent.iter().any(|http_request| {
                let body = String::from_utf8_lossy(&http_request.body);
                let headers = http_request.headers.iter().any(|(_, value)| value.expose().contains(id));
                http_request.path.contains(id) || body.contains(id) || headers
            })
        };
        must(carries(other) && !carries(&own), || format!("{} sends the wrong reference", recording.file))?;
    }
    Ok(())
}

fn deduplicates_refunds(subject: &Subject) -> bool {
    subject.about.capabilities.repeat.refund == Repeat::Deduplicated
}

fn refunds_are_distinct(subject: &Subject) -> RuleResult {
    for recording in subject.working(Operation::Refund) {
        let mut world = World::of(&recording.options);
        let first = world.play(subject.about, Operation::Refund, recording.answers()).calls;
        world.refund.id = "ref_01kdvdna00e008000000000009".parse().expect("a TypeID");
        let second = world.play(subject.about, Operation::Refund, recording.answers()).calls;
        must(!same(&first, &second), || format!("{} sends the same for two refunds", recording.file))?;
    }
    Ok(())
}

fn resumes(subject: &Subject) -> bool {
    let several =
        |recording: &Recording| recording.steps.iter().filter(|step| !step.reads_only()).count() > 1;
    subject.about.capabilities.repeat.create == Repeat::Deduplicated
        && subject.working(Operation::Create).any(several)
}

/// Loses the answer of each call in turn, and starts again with the state that was saved by then.
fn starts_are_taken_up(subject: &Subject) -> RuleResult {
    for recording in subject.working(Operation::Create) {
        for number in 0..recording.steps.len() {
            let mut answers = recording.answers();
            answers[number] = Answer::Lost;
            let mut world = World::of(&recording.options);
            let cut_off = world.play(subject.about, Operation::Create, answers);
            world.attempt.adapter_state.extend(cut_off.saved);
            let provider = ByAddress { steps: recording.steps.clone(), calls: Mutex::default() };
            let again = world.play_over(subject.about, Operation::Create, &provider);
            let calls = provider.calls.into_inner().expect("no holder panics");
            must(!again.failed(), || {
                format!("{}: cut off at call {}, it ends in {:?}", recording.file, number + 1, again.end)
            })?;
            let changed = calls.iter().map(wire).find(|sent| {
                let before = cut_off.calls.iter().map(wire).find(|before| before.0 == sent.0);
                before.is_some_and(|before| before != *sent)
            });
            must(changed.is_none(), || {
                let line = changed.map(|(line, _, _)| line).unwrap_or_default();
                format!("{}: cut off at call {}, it sends other bytes to {line}", recording.file, number + 1)
            })?;
        }
    }
    Ok(())
}

/// Answers by method and path, as a provider does when calls are repeated.
struct ByAddress {
    steps: Vec<Step>,
    calls: Mutex<Vec<HttpRequest>>,
}

#[async_trait]
impl Transport for ByAddress {
    async fn send(&self, _: &str, http_request: &HttpRequest) -> Result<HttpResponse, TransportError> {
        self.calls.lock().expect("no holder panics").push(http_request.clone());
        let is_same =
            |step: &&Step| step.method == http_request.method.as_str() && step.path == http_request.path;
        match self.steps.iter().find(is_same).map(|step| &step.answer) {
            Some(Answer::Reply(response)) => Ok(response.clone()),
            _ => Err(TransportError::NotSent(format!("nothing is recorded for {http_request:?}"))),
        }
    }
}
