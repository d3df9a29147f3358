//! An answer is about the object that was asked for, or proves nothing.

use paymux_port::ProviderError;

use super::{Rule, RuleResult, Subject, every, must};
use crate::facts::End;
use crate::world::{ATTEMPT, PROFILE_SESSION, REFERENCE};
use crate::{Answer, Operation, World};

pub(super) const RULES: &[Rule] =
    &[every("an answer that names another object, or none, proves nothing", other_objects)];

fn other_objects(subject: &Subject) -> RuleResult {
    let reads = [Operation::Fetch, Operation::ProfileFetch];
    for recording in reads.into_iter().flat_map(|operation| subject.working(operation)) {
        let reference = recording.options.reference.as_deref().unwrap_or(REFERENCE);
        for named in ["\"another\"", "7", "null", "\"\"", "{}"] {
            let answers =
                recording.answers().iter().map(|answer| renamed(answer, reference, named)).collect();
            let played = World::of(&recording.options).play(subject.about, recording.operation, answers);
            let proves_nothing = match &played.end {
                End::Failed(error) => matches!(error, ProviderError::Unreadable(_)),
                // The gateway compares it.
                End::View(view) => view.merchant_reference.as_ref().is_some_and(|other| other != ATTEMPT),
                _ => false,
            };
            must(proves_nothing, || {
                format!("{}: with the id {named} it ends in {:?}", recording.file, played.end)
            })?;
        }
    }
    Ok(())
}

/// The answer with another id of its object, and without our references.
fn renamed(answer: &Answer, reference: &str, named: &str) -> Answer {
    let Answer::Reply(response) = answer else { return answer.clone() };
    let mut response = response.clone();
    let body = String::from_utf8_lossy(&response.body).replace(&format!("\"{reference}\""), named);
    let ours = [ATTEMPT, PROFILE_SESSION].map(|id| format!("\"{id}\""));
    response.body = ours.iter().fold(body, |body, id| body.replace(id, "null")).into_bytes();
    Answer::Reply(response)
}
