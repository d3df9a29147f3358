//! What is sent again is the same, and what is another is not.

use std::sync::Mutex;
use std::time::Duration;

use async_trait::async_trait;
use paymux_port::{HttpRequest, HttpResponse, Repeat, Transport, TransportError};

use super::{AdapterUnderTest, Rule, Verdict, every, must, some};
use crate::{Answer, Operation, Recording, Setup, Step};

pub(super) const RULES: &[Rule] = &[
    every("the same operation sends the same bytes, even later", sends_the_same),
    every("each attempt carries its own reference", attempts_are_told_apart),
    some("a start cut off at any call is taken up with the same bytes", resumes, starts_are_taken_up),
    some("two refunds of one amount are told apart", deduplicates_refunds, refunds_are_told_apart),
];

/// A call as it goes over the wire, secrets included.
fn wire(call: &HttpRequest) -> (String, Vec<(&str, &str)>, &[u8]) {
    let headers = call.headers.iter().map(|(name, value)| (*name, value.expose()));
    (format!("{} {}", call.method.as_str(), call.path), headers.collect(), &call.body)
}

fn same(one: &[HttpRequest], other: &[HttpRequest]) -> bool {
    one.iter().map(wire).eq(other.iter().map(wire))
}

fn sends_the_same(adapter: &AdapterUnderTest) -> Verdict {
    for recording in adapter.working_calls() {
        let setup = Setup::of(&recording.input);
        let first = setup.play(adapter.about, recording.operation, recording.answers()).calls;
        let later = Setup { now: setup.now.plus(Duration::from_secs(10)), ..setup };
        let second = later.play(adapter.about, recording.operation, recording.answers()).calls;
        must(same(&first, &second), || format!("{} sends other calls ten seconds later", recording.file))?;
    }
    Ok(())
}

fn attempts_are_told_apart(adapter: &AdapterUnderTest) -> Verdict {
    let other = "att_01kdvdna00e008000000000009";
    for recording in
        adapter.working(Operation::Begin).filter(|recording| recording.input.adapter_state.is_empty())
    {
        let mut setup = Setup::of(&recording.input);
        let ours = setup.attempt.id.to_string();
        setup.attempt.id = other.parse().expect("a TypeID");
        let sent = setup.play(adapter.about, Operation::Begin, recording.answers()).calls;
        let carries = |id: &str| {
            sent.iter().any(|call| {
                let body = String::from_utf8_lossy(&call.body);
                let headers = call.headers.iter().any(|(_, value)| value.expose().contains(id));
                call.path.contains(id) || body.contains(id) || headers
            })
        };
        must(carries(other) && !carries(&ours), || format!("{} sends the wrong reference", recording.file))?;
    }
    Ok(())
}

fn deduplicates_refunds(adapter: &AdapterUnderTest) -> bool {
    adapter.about.capabilities.repeat.refund == Repeat::Deduplicated
}

fn refunds_are_told_apart(adapter: &AdapterUnderTest) -> Verdict {
    for recording in adapter.working(Operation::Refund) {
        let mut setup = Setup::of(&recording.input);
        let first = setup.play(adapter.about, Operation::Refund, recording.answers()).calls;
        setup.refund.id = "ref_01kdvdna00e008000000000009".parse().expect("a TypeID");
        let second = setup.play(adapter.about, Operation::Refund, recording.answers()).calls;
        must(!same(&first, &second), || format!("{} sends the same for two refunds", recording.file))?;
    }
    Ok(())
}

fn resumes(adapter: &AdapterUnderTest) -> bool {
    let several = |recording: &Recording| recording.steps.iter().filter(|step| !step.reads_only).count() > 1;
    adapter.about.capabilities.repeat.create == Repeat::Deduplicated
        && adapter.working(Operation::Begin).any(several)
}

/// Loses the answer of each call in turn, and begins again with what had been kept by then.
fn starts_are_taken_up(adapter: &AdapterUnderTest) -> Verdict {
    for recording in adapter.working(Operation::Begin) {
        for number in 0..recording.steps.len() {
            let mut answers = recording.answers();
            answers[number] = Answer::Lost;
            let mut setup = Setup::of(&recording.input);
            let cut_off = setup.play(adapter.about, Operation::Begin, answers);
            setup.attempt.adapter_state.extend(cut_off.saved_state);
            let provider = ByAddress { steps: recording.steps.clone(), calls: Mutex::default() };
            let again = setup.play_over(adapter.about, Operation::Begin, &provider);
            let calls = provider.calls.into_inner().expect("no holder panics");
            must(!again.failed(), || {
                format!("{}: cut off at call {}, it ends in {:?}", recording.file, number + 1, again.result)
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

/// Answers by method and path, as a provider that is asked again does.
struct ByAddress {
    steps: Vec<Step>,
    calls: Mutex<Vec<HttpRequest>>,
}

#[async_trait]
impl Transport for ByAddress {
    async fn send(&self, _: &str, call: &HttpRequest) -> Result<HttpResponse, TransportError> {
        self.calls.lock().expect("no holder panics").push(call.clone());
        let asked = |step: &&Step| step.method == call.method.as_str() && step.path == call.path;
        match self.steps.iter().find(asked).map(|step| &step.answer) {
            Some(Answer::Reply(response)) => Ok(response.clone()),
            _ => Err(TransportError::NotSent(format!("nothing is recorded for {call:?}"))),
        }
    }
}
