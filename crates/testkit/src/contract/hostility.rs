//! Answers that no provider should give: never a panic, never an outcome.

use paymux_port::Advice;
use serde_json::{Value, json};

use super::certainty::{Place, survivable};
use super::{Rule, Subject, Verdict, every, must};
use crate::{Answer, Operation, Played, Recording, World};

pub(super) const RULES: &[Rule] = &[
    every("a broken answer is never a panic and never an outcome", broken_answers),
    every("ten megabytes are read like any other broken answer", large_answers),
    every("one broken field may silence, but never invents", broken_fields),
];

/// Bodies that are not what was asked for, made of one that was.
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

fn broken_answers(subject: &Subject) -> Verdict {
    each_answer(subject, |recording, number, body| {
        broken(body).into_iter().try_for_each(|body| break_at(subject, recording, number, body))
    })
}

fn large_answers(subject: &Subject) -> Verdict {
    let large = format!("{{\"filler\": \"{}\"}}", "a".repeat(10 << 20)).into_bytes();
    for (operation, _) in Operation::ALL {
        let first = subject.working(operation).find(|recording| recording.operation != Operation::Note);
        if let Some(recording) = first {
            break_at(subject, recording, 0, large.clone())?;
        }
    }
    Ok(())
}

/// An answer that says nothing must end as one, unless nobody needed to read it.
fn break_at(subject: &Subject, recording: &Recording, number: usize, body: Vec<u8>) -> Verdict {
    let shown = String::from_utf8_lossy(&body[..body.len().min(60)]).into_owned();
    let played = play_with(subject, recording, number, body);
    let unread = played.facts(&subject.table) == recording.expected;
    let unclear = Place::of(recording, number).unclear();
    let advice = played.error().map(paymux_port::ProviderError::advice);
    let survived = advice.is_none() && played.calls.get(number).is_some_and(|call| survivable(subject, call));
    must(unread || survived || advice == Some(unclear), || {
        let (file, call) = (&recording.file, number + 1);
        format!(
            "{file}: `{shown}` in answer to call {call} calls for {unclear:?}, but it ends in {:?}",
            played.end
        )
    })
}

fn broken_fields(subject: &Subject) -> Verdict {
    each_answer(subject, |recording, number, body| {
        let Ok(whole) = serde_json::from_slice::<Value>(body) else { return Ok(()) };
        let mut pointers = Vec::new();
        point(&whole, String::new(), &mut pointers);
        pointers.iter().try_for_each(|pointer| {
            let mut changed = whole.clone();
            if let Some(field) = changed.pointer_mut(pointer) {
                *field = if field.is_object() || field.is_array() {
                    json!("wrong")
                } else {
                    json!({ "wrong": true })
                };
            }
            let played = play_with(subject, recording, number, changed.to_string().into_bytes());
            break_field(subject, recording, number, pointer, &played)
        })
    })
}

fn break_field(
    subject: &Subject,
    recording: &Recording,
    number: usize,
    pointer: &str,
    played: &Played,
) -> Verdict {
    let at = format!("{}: `{pointer}` broken in answer to call {}", recording.file, number + 1);
    if let Some(error) = played.error() {
        let harmless = matches!(error.advice(), Advice::TryElsewhere | Advice::RetryLater);
        let place = Place::of(recording, number);
        let fine = if place.unclear() == Advice::Reconcile {
            !harmless
        } else {
            error.advice() != Advice::TryElsewhere
        };
        return must(fine, || format!("{at}: it looks harmless: {error:?}"));
    }
    let facts = played.facts(&subject.table);
    let invented = facts.iter().find(|fact| !recording.expected.contains(fact));
    let survived = played.calls.get(number).is_some_and(|call| survivable(subject, call));
    must(survived || invented.is_none(), || {
        format!("{at}: it makes up `{}`", invented.cloned().unwrap_or_default())
    })
}

/// Where every value below `value` is.
fn point(value: &Value, here: String, pointers: &mut Vec<String>) {
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
fn each_answer(subject: &Subject, test: impl Fn(&Recording, usize, &[u8]) -> Verdict) -> Verdict {
    for recording in subject.working_calls() {
        for (number, step) in recording.steps.iter().enumerate() {
            if let Answer::Reply(reply) = &step.answer
                && reply.ok()
                && !reply.body.is_empty()
            {
                test(recording, number, &reply.body)?;
            }
        }
    }
    Ok(())
}

fn play_with(subject: &Subject, recording: &Recording, number: usize, body: Vec<u8>) -> Played {
    let mut answers = recording.answers();
    if let Answer::Reply(reply) = &mut answers[number] {
        reply.body = body;
    }
    World::of(&recording.asks).play(subject.about, recording.operation, answers)
}
