//! What an adapter's provider says, and what its table makes of it.

use std::collections::BTreeSet;

use paymux_port::Evidence;
use serde_json::Value;

use super::{Rule, RuleResult, Subject, every, must};
use crate::{Answer, Operation, World};

pub(super) const RULES: &[Rule] = &[
    every("every word that its recordings report is in its table", reported_statuses_are_mapped),
    every("every row that is marked as seen can be seen in a recording", seen_rows_are_recorded),
    every("an unknown status is unmapped, never paid, never failed", unknown_statuses_are_unmapped),
];

fn reported_statuses_are_mapped(subject: &Subject) -> RuleResult {
    for recording in &subject.recordings {
        let played = World::of(&recording.options).replay(subject.about, recording, recording.answers());
        let unmapped = played
            .end
            .provider_statuses()
            .into_iter()
            .find(|provider_status| subject.table.row(provider_status).is_none())
            .cloned();
        must(unmapped.is_none(), || format!("{} reports {unmapped:?}", recording.file))?;
    }
    Ok(())
}

fn seen_rows_are_recorded(subject: &Subject) -> RuleResult {
    let mut seen = BTreeSet::new();
    for recording in &subject.recordings {
        let played = World::of(&recording.options).replay(subject.about, recording, recording.answers());
        seen.extend(
            played.end.provider_statuses().into_iter().map(|provider_status| normal(&provider_status.status)),
        );
        seen.extend(texts(&recording.text).map(normal));
    }
    let rows = subject.table.rows().filter(|(_, _, row)| row.evidence == Evidence::Seen);
    let unseen: Vec<&str> = rows.map(|(_, word, _)| word).filter(|word| !seen.contains(*word)).collect();
    must(unseen.is_empty(), || format!("in no recording: {unseen:?}"))
}

fn unknown_statuses_are_unmapped(subject: &Subject) -> RuleResult {
    for recording in subject.working(Operation::Fetch) {
        let played = World::of(&recording.options).play(subject.about, Operation::Fetch, recording.answers());
        let status = played
            .end
            .provider_statuses()
            .first()
            .map(|provider_status| normal(&provider_status.status))
            .unwrap_or_default();
        let renamed = recording.steps.iter().map(|step| renamed(&step.answer, &status)).collect();
        let played = World::of(&recording.options).play(subject.about, Operation::Fetch, renamed);
        let mapped = played
            .end
            .provider_statuses()
            .into_iter()
            .find(|provider_status| subject.table.row(provider_status).is_some())
            .cloned();
        must(mapped.is_none(), || {
            format!(
                "{}: with `{status}` replaced by an unknown status it still reports {mapped:?}",
                recording.file
            )
        })?;
    }
    Ok(())
}

/// An answer in which a word is replaced by one that nobody knows.
fn renamed(answer: &Answer, word: &str) -> Answer {
    let Answer::Reply(response) = answer else { return answer.clone() };
    let mut response = response.clone();
    if let Ok(mut body) = serde_json::from_slice(&response.body) {
        rename(&mut body, word);
        response.body = body.to_string().into_bytes();
    }
    Answer::Reply(response)
}

fn rename(value: &mut Value, word: &str) {
    match value {
        Value::String(text) if word.split('/').any(|part| normal(text) == part) => {
            *value = Value::from("a_word_of_tomorrow");
        }
        Value::Array(several) => several.iter_mut().for_each(|one| rename(one, word)),
        Value::Object(fields) => fields.values_mut().for_each(|field| rename(field, word)),
        _ => {}
    }
}

/// Everything that stands between quotes.
fn texts(text: &str) -> impl Iterator<Item = &str> {
    text.split('"').skip(1).step_by(2)
}

fn normal(word: &str) -> String {
    word.trim().to_ascii_lowercase().replace([' ', '-'], "_")
}
