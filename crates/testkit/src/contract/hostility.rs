//! Answers that no provider should give: never a panic, never an outcome.

use paymux_port::Advice;
use serde_json::{Value, json};

use super::certainty::{FailedCall, survivable};
use super::{Rule, RuleResult, Subject, every, must};
use crate::{Answer, Operation, Played, Recording, World};

pub(super) const RULES: &[Rule] = &[
    every("a broken answer is never a panic and never an outcome", broken_answers),
    every("ten megabytes are read like any other broken answer", large_answers),
    every("one field broken or missing may silence, but never invents", broken_fields),
];

/// Invalid bodies, made of a valid one.
fn broken(body: &[u8]) -> Vec<Vec<u8>> {
    let text = |text: &str| text.as_bytes().to_vec();
    let mut not_utf8 = body.to_vec();
    if let Some(quote) = not_utf8.iter().position(|byte| *byte == b'"') {
        not_utf8.insert(quote + 1, 0xff);
    }
    let truncated = body[..body.len() / 2].to_vec();
    let nested = "[".repeat(100_000);
    let wrong = serde_json::from_slice(body).map(|value| wrong_types(value).to_string()).unwrap_or_default();
    let texts = [
        "",
        " ",
        "<html><body>502 Bad Gateway</body></html>",
        "null",
        "[]",
        "{}",
        "[{}]",
        "true",
        "0",
        "\"\"",
    ];
    let texts = texts.into_iter().chain([nested.as_str(), wrong.as_str()]).map(text);
    texts.chain([not_utf8, truncated, vec![0xff, 0xfe, 0x00]]).collect()
}

/// The same keys with values of other kinds.
fn wrong_types(value: Value) -> Value {
    match value {
        Value::Object(fields) => fields.into_iter().map(|(key, value)| (key, wrong_types(value))).collect(),
        Value::Array(several) => json!({ "list": several.len() }),
        _ => json!([{}]),
    }
}

fn broken_answers(subject: &Subject) -> RuleResult {
    each_answer(subject, |recording, number, body| {
        broken(body).into_iter().try_for_each(|body| break_at(subject, recording, number, body))
    })
}

fn large_answers(subject: &Subject) -> RuleResult {
    let large = format!("{{\"filler\": \"{}\"}}", "a".repeat(10 << 20)).into_bytes();
    for (operation, _) in Operation::ALL {
        let first =
            subject.working(operation).find(|recording| recording.operation != Operation::Notification);
        if let Some(recording) = first {
            break_at(subject, recording, 0, large.clone())?;
        }
    }
    Ok(())
}

/// An answer without content must be an error, unless the adapter need not read it.
fn break_at(subject: &Subject, recording: &Recording, number: usize, body: Vec<u8>) -> RuleResult {
    let shown = String::from_utf8_lossy(&body[..body.len().min(60)]).into_owned();
    let played = play_with(subject, recording, number, body);
    let unread = played.facts(&subject.table) == recording.expected;
    let unclear = FailedCall::of(recording, number).unclear();
    let advice = played.error().map(paymux_port::ProviderError::advice);
    let survived = advice.is_none()
        && played.calls.get(number).is_some_and(|http_request| survivable(subject, http_request));
    must(unread || survived || advice == Some(unclear), || {
        let (file, call) = (&recording.file, number + 1);
        format!(
            "{file}: `{shown}` in answer to call {call} calls for {unclear:?}, but it ends in {:?}",
            played.end
        )
    })
}

fn broken_fields(subject: &Subject) -> RuleResult {
    each_answer(subject, |recording, number, body| {
        let mut damaged = damaged(body).into_iter();
        damaged.try_for_each(|(damage, body)| break_field(subject, recording, number, &damage, body))
    })
}

/// Answers made of one that was read, each with one field of another kind or without it, and what is wrong there.
pub(super) fn damaged(body: &[u8]) -> Vec<(String, Vec<u8>)> {
    let Ok(whole) = serde_json::from_slice::<Value>(body) else { return Vec::new() };
    let mut pointers = Vec::new();
    point(&whole, String::new(), &mut pointers);
    let mut answers = Vec::new();
    for pointer in pointers {
        let (mut broken, mut without) = (whole.clone(), whole.clone());
        if let Some(field) = broken.pointer_mut(&pointer) {
            let whole = field.is_object() || field.is_array();
            *field = if whole { json!("wrong") } else { json!({ "wrong": true }) };
        }
        answers.push((format!("`{pointer}` broken"), broken.to_string().into_bytes()));
        // One of a list that lacks a field may just be none of ours.
        let listed = pointer.split('/').any(|key| key.parse::<usize>().is_ok());
        let parent = pointer.rsplit_once('/').filter(|_| !listed);
        let parent = parent.and_then(|(parent, key)| Some((without.pointer_mut(parent)?, key)));
        if let Some((Value::Object(fields), key)) = parent {
            fields.remove(&key.replace("~1", "/").replace("~0", "~"));
            answers.push((format!("`{pointer}` missing"), without.to_string().into_bytes()));
        }
    }
    answers
}

fn break_field(
    subject: &Subject,
    recording: &Recording,
    number: usize,
    damage: &str,
    body: Vec<u8>,
) -> RuleResult {
    let answer = String::from_utf8_lossy(&body).into_owned();
    let played = play_with(subject, recording, number, body);
    // It asks on, which is no outcome, and no answer to that is recorded.
    if played.calls.len() > recording.steps.len() {
        return Ok(());
    }
    let at = format!("{}: {damage} in answer to call {}", recording.file, number + 1);
    if let Some(error) = played.error() {
        let harmless = matches!(error.advice(), Advice::TryElsewhere | Advice::RetryLater);
        let call = FailedCall::of(recording, number);
        let fine = if call.unclear() == Advice::ResolveUnknown {
            !harmless
        } else {
            error.advice() != Advice::TryElsewhere
        };
        return must(fine, || format!("{at}: it is reported as harmless: {error:?}"));
    }
    let facts = played.facts(&subject.table);
    // A payment that names no payment profile is silent about it.
    if recording.operation == Operation::ProfileStored && facts == ["nothing"] {
        return Ok(());
    }
    let known = |fact: &String| recording.expected.iter().any(|whole| says_no_more(fact, whole));
    let invented = facts.iter().find(|fact| !known(fact) && !stands_in(fact, &answer));
    let survived = played.calls.get(number).is_some_and(|http_request| survivable(subject, http_request));
    must(survived || invented.is_none(), || {
        format!("{at}: it invents `{}`", invented.cloned().unwrap_or_default())
    })
}

/// Whether a fact is the `whole` one or a part of it: a decline without its code, a session without its page.
fn says_no_more(fact: &str, whole: &str) -> bool {
    let mut parts = fact.split([' ', ',']).filter(|word| !["no", "-", "-:"].contains(word));
    parts.all(|word| whole.split([' ', ',']).any(|known| known == word))
}

/// Whether a fact is a status that the answer still has, or follows from one.
pub(super) fn stands_in(fact: &str, answer: &str) -> bool {
    match fact.strip_prefix("status ").and_then(|status| status.split_once('/')) {
        Some((_, status)) => answer.contains(&format!("\"{status}\"")),
        None => fact.starts_with("means "),
    }
}

/// Where every value below `value` is.
pub(super) fn point(value: &Value, here: String, pointers: &mut Vec<String>) {
    match value {
        Value::Object(fields) => {
            for (key, field) in fields {
                point(field, format!("{here}/{}", key.replace('~', "~0").replace('/', "~1")), pointers);
            }
        }
        Value::Array(several) => {
            for (number, one) in several.iter().enumerate() {
                point(one, format!("{here}/{number}"), pointers);
            }
        }
        _ => {}
    }
    pointers.push(here);
}

/// Does something with every answer that brought a body and was not a refusal.
pub(super) fn each_answer(
    subject: &Subject,
    test: impl Fn(&Recording, usize, &[u8]) -> RuleResult,
) -> RuleResult {
    for recording in subject.working_calls() {
        for (number, step) in recording.steps.iter().enumerate() {
            if let Answer::Reply(response) = &step.answer
                && response.ok()
                && !response.body.is_empty()
            {
                test(recording, number, &response.body)?;
            }
        }
    }
    Ok(())
}

pub(super) fn play_with(subject: &Subject, recording: &Recording, number: usize, body: Vec<u8>) -> Played {
    let mut answers = recording.answers();
    if let Answer::Reply(response) = &mut answers[number] {
        response.body = body;
    }
    World::of(&recording.options).play(subject.about, recording.operation, answers)
}
