//! What an adapter's provider says, and what its table makes of it.

use std::collections::BTreeSet;

use paymux_port::Evidence;
use serde_json::Value;

use super::{AdapterUnderTest, Rule, Verdict, every, must};
use crate::{Answer, Operation, Setup};

pub(super) const RULES: &[Rule] = &[
    every("every word that its recordings report is in its table", reported_words_are_mapped),
    every("every row that is marked as seen can be seen in a recording", seen_rows_are_recorded),
    every("an unknown word is unmapped, never paid, never failed", unknown_words_are_unmapped),
];

fn reported_words_are_mapped(adapter: &AdapterUnderTest) -> Verdict {
    for recording in &adapter.recordings {
        let run = Setup::of(&recording.input).replay(adapter.about, recording, recording.answers());
        let unmapped = run
            .result
            .words()
            .into_iter()
            .find(|provider_status| adapter.table.row(provider_status).is_none())
            .cloned();
        must(unmapped.is_none(), || format!("{} reports {unmapped:?}", recording.file))?;
    }
    Ok(())
}

fn seen_rows_are_recorded(adapter: &AdapterUnderTest) -> Verdict {
    let mut seen = BTreeSet::new();
    for recording in &adapter.recordings {
        let run = Setup::of(&recording.input).replay(adapter.about, recording, recording.answers());
        seen.extend(run.result.words().into_iter().map(|provider_status| normal(&provider_status.status)));
        seen.extend(texts(&recording.text).map(normal));
    }
    let rows = adapter.table.rows().filter(|(_, _, row)| row.evidence == Evidence::Seen);
    let unseen: Vec<&str> = rows.map(|(_, word, _)| word).filter(|word| !seen.contains(*word)).collect();
    must(unseen.is_empty(), || format!("in no recording: {unseen:?}"))
}

fn unknown_words_are_unmapped(adapter: &AdapterUnderTest) -> Verdict {
    for recording in adapter.working(Operation::Fetch) {
        let run = Setup::of(&recording.input).play(adapter.about, Operation::Fetch, recording.answers());
        let word = run
            .result
            .words()
            .first()
            .map(|provider_status| normal(&provider_status.status))
            .unwrap_or_default();
        let renamed = recording.steps.iter().map(|step| renamed(&step.answer, &word)).collect();
        let run = Setup::of(&recording.input).play(adapter.about, Operation::Fetch, renamed);
        let mapped = run
            .result
            .words()
            .into_iter()
            .find(|provider_status| adapter.table.row(provider_status).is_some())
            .cloned();
        must(mapped.is_none(), || {
            format!("{}: with `{word}` replaced by a new word it still reports {mapped:?}", recording.file)
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
