//! Odd answers: what an answer means depends on nothing but the fields that an adapter needs.
//!
//! Each adapter lists those fields, and the odd answers that have been met, in its `odd_answers.txt`.

use std::fs;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use libtest_mimic::Failed;
use paymux_port::{ExposeSecret, NotificationTarget, Secret, sign};
use serde_json::{Value, json};

use super::hostility::{each_answer, play_with, point, stands_in};
use super::{Rule, RuleResult, Subject, every, must};
use crate::facts::End;
use crate::play::NotificationInput;
use crate::{Operation, Recording, World, setting_value};

pub(super) const RULES: &[Rule] = &[
    every("a field that it does not need may be odd in any way", odd_side_fields),
    every("its odd answers mean what is listed", listed_answers),
    every("an answer behind a byte order mark means the same", marked_answers),
    every("a field that is not needed of a notification may be odd in any way", odd_notifications),
];

/// What a field can turn into.
const ODD: [&str; 12] = [
    "null",
    "[]",
    "{}",
    "\"\"",
    "\"odd\"",
    "true",
    "7",
    "-7.5",
    "0.1000000000000000055511151231257827",
    "1e999",
    "[{\"odd\": [null]}]",
    "{\"odd\": {\"odd\": \"\"}}",
];

/// Deeper than a parser that recurses would go.
fn deep() -> String {
    format!("{}{}", "[".repeat(1_000), "]".repeat(1_000))
}

/// What an adapter's `odd_answers.txt` says.
struct Odd {
    /// The fields that it needs, without the numbers of list entries: `/results/id`.
    needed: Vec<String>,
    /// The answers that have been met: recording, field, value, and the error that is right, if one is.
    met: Vec<(String, String, String, Option<String>)>,
}

impl Odd {
    fn of(subject: &Subject) -> Result<Self, Failed> {
        let path = subject.folder.join("odd_answers.txt");
        let text = fs::read_to_string(&path).map_err(|why| format!("{}: {why}", path.display()))?;
        let mut odd = Self { needed: Vec::new(), met: Vec::new() };
        for line in text.lines().filter(|line| !line.is_empty() && !line.starts_with('#')) {
            if let Some(needed) = line.strip_prefix("needs ") {
                odd.needed.extend(needed.split(' ').map(str::to_owned));
                continue;
            }
            let (case, error) =
                line.split_once(" -> ").map_or((line, None), |(case, error)| (case, Some(error)));
            let parts = case.split_once(": ").and_then(|(file, rest)| Some((file, rest.split_once(" = ")?)));
            let (file, (field, value)) = parts
                .ok_or_else(|| format!("odd_answers.txt: `{line}` is not `recording: /field = value`"))?;
            let error = error.map(str::to_owned);
            odd.met.push((format!("{file}.http"), field.to_owned(), value.to_owned(), error));
        }
        Ok(odd)
    }

    fn needs(&self, pointer: &str) -> bool {
        let named: Vec<_> = pointer.split('/').filter(|key| key.parse::<usize>().is_err()).collect();
        pointer.is_empty() || self.needed.contains(&named.join("/"))
    }
}

/// A body with a field replaced by a JSON text, or without it.
fn with(body: &[u8], pointer: &str, value: Option<&str>) -> Option<Vec<u8>> {
    const MARK: &str = "the odd field";
    let mut whole: Value = serde_json::from_slice(body).ok()?;
    let Some(value) = value else {
        let (parent, key) = pointer.rsplit_once('/')?;
        whole.pointer_mut(parent)?.as_object_mut()?.remove(&key.replace("~1", "/").replace("~0", "~"))?;
        return Some(whole.to_string().into_bytes());
    };
    *whole.pointer_mut(pointer)? = json!(MARK);
    Some(whole.to_string().replace(&json!(MARK).to_string(), value).into_bytes())
}

/// The oddities of a field: all values, and its absence.
fn oddities(body: &[u8], pointer: &str) -> Vec<(String, Vec<u8>)> {
    let deep = deep();
    let values = ODD.into_iter().chain([deep.as_str()]).map(Some).chain([None]);
    values
        .filter_map(|value| {
            let shown = value.map_or("absent".to_owned(), |value| format!("{value:.60}"));
            Some((format!("`{pointer}` is {shown}"), with(body, pointer, value)?))
        })
        .collect()
}

/// The facts that are about money, status or identity.
fn meaning(facts: &[String]) -> Vec<&str> {
    let side = ["mark", "merchant_reference", "test", "failure", "at", "state", "saves", "widget", "method"];
    let kept = facts.iter().map(String::as_str);
    kept.filter(|fact| fact.split(' ').next().is_none_or(|name| !side.contains(&name))).collect()
}

/// Whether the operation is about a payment; payment profiles are shown to people and nothing else.
fn is_about_a_payment(recording: &Recording) -> bool {
    use Operation::{Cancel, Capture, Create, Fetch, Find, Refund, Submit};
    [Cancel, Capture, Create, Fetch, Find, Refund, Submit].contains(&recording.operation)
}

fn odd_side_fields(subject: &Subject) -> RuleResult {
    let odd = Odd::of(subject)?;
    each_answer(subject, |recording, number, body| {
        let Some(whole) = serde_json::from_slice(body).ok().filter(|_| is_about_a_payment(recording)) else {
            return Ok(());
        };
        let mut pointers = Vec::new();
        point(&whole, String::new(), &mut pointers);
        let fields = pointers.iter().filter(|pointer| !odd.needs(pointer));
        let mut oddities = fields.flat_map(|pointer| oddities(body, pointer));
        oddities.try_for_each(|(what, body)| means_the_same(subject, recording, number, &what, body))
    })
}

/// The meaning is the recorded one. Where a status is stated twice, the other statement may stand in.
fn means_the_same(
    subject: &Subject,
    recording: &Recording,
    number: usize,
    what: &str,
    body: Vec<u8>,
) -> RuleResult {
    let answer = String::from_utf8_lossy(&body).into_owned();
    let played = play_with(subject, recording, number, body);
    // It asks on, which is no outcome, and no answer to that is recorded.
    if played.calls.len() > recording.steps.len() {
        return Ok(());
    }
    let facts = played.facts(&subject.table);
    let (found, recorded) = (meaning(&facts), meaning(&recording.expected));
    let about_money = |facts: &[&str]| -> Vec<String> {
        let status = |fact: &&&str| !fact.starts_with("status ") && !fact.starts_with("means ");
        facts.iter().filter(status).map(|fact| (*fact).to_owned()).collect()
    };
    let stated = found.iter().all(|fact| recorded.contains(fact) || stands_in(fact, &answer));
    must(stated && about_money(&found) == about_money(&recorded), || {
        format!(
            "{}: {what} in answer to call {}: not {recorded:?}, but {found:?}",
            recording.file,
            number + 1
        )
    })
}

fn listed_answers(subject: &Subject) -> RuleResult {
    for (file, field, value, error) in Odd::of(subject)?.met {
        let named = subject.recordings.iter().find(|recording| recording.file == file);
        let recording = named.ok_or_else(|| format!("odd_answers.txt: there is no recording {file}"))?;
        let mut answers = recording.answers().into_iter().enumerate();
        let found = answers.find_map(|(number, answer)| match answer {
            crate::Answer::Reply(response) => Some((number, with(&response.body, &field, Some(&value))?)),
            _ => None,
        });
        let (number, body) = found.ok_or_else(|| format!("odd_answers.txt: {file} has no {field}"))?;
        let facts = play_with(subject, recording, number, body).facts(&subject.table);
        let expected = error.map_or_else(|| recording.expected.clone(), |error| vec![error]);
        must(meaning(&facts) == meaning(&expected), || {
            format!("{file}: {field} = {value}: not {expected:?}, but {facts:?}")
        })?;
    }
    Ok(())
}

fn marked_answers(subject: &Subject) -> RuleResult {
    each_answer(subject, |recording, number, body| {
        let marked = [b"\xEF\xBB\xBF", body].concat();
        let facts = play_with(subject, recording, number, marked).facts(&subject.table);
        must(facts == recording.expected, || {
            format!("{}: behind a byte order mark it means {facts:?}", recording.file)
        })
    })
}

fn odd_notifications(subject: &Subject) -> RuleResult {
    let odd = Odd::of(subject)?;
    for recording in subject.working(Operation::Notification) {
        let (world, notification) = (World::of(&recording.options), NotificationInput::of(recording));
        let Some(recorded) = target(&world.notify(subject.about, &notification)) else { continue };
        let whole = serde_json::from_slice(&notification.body)?;
        let mut pointers = Vec::new();
        point(&whole, String::new(), &mut pointers);
        let fields = pointers.iter().filter(|pointer| !odd.needs(pointer));
        let marked = [b"\xEF\xBB\xBF".as_slice(), &notification.body].concat();
        let marked = ("a byte order mark in front".to_owned(), marked);
        let bodies = fields.flat_map(|pointer| oddities(&notification.body, pointer)).chain([marked]);
        for (what, body) in bodies {
            let end = world.notify(subject.about, &signed_anew(subject, recording, &notification, body));
            must(target(&end).as_ref() == Some(&recorded), || {
                format!("{}: {what}: not {recorded}, but {end:?}", recording.file)
            })?;
        }
    }
    Ok(())
}

/// What a notification leads to, by the provider's own id where it has one.
fn target(end: &End) -> Option<String> {
    let End::Targets(targets) = end else { return None };
    let NotificationTarget { reference, merchant_reference, .. } = targets.first()?;
    reference.clone().or_else(|| merchant_reference.clone())
}

/// The notification with another body, and with its signature where it has one: by the secret that made the recorded.
fn signed_anew(
    subject: &Subject,
    recording: &Recording,
    notification: &NotificationInput,
    body: Vec<u8>,
) -> NotificationInput {
    let mut odd = NotificationInput { body, ..notification.clone() };
    let header = |end: &str| {
        let found = notification.headers.iter().find(|(name, _)| name.ends_with(end));
        found.map_or(b"".as_slice(), |(_, value)| value.as_bytes())
    };
    let (id, sent_at) = (header("-id"), header("-timestamp"));
    let changed = recording.options.settings.iter().filter_map(|(_, value)| value.clone());
    let usual = subject.about.settings.iter().map(|setting| setting_value(setting.key));
    let signature = String::from_utf8_lossy(header("-signature"));
    let made_it = |secret: &Secret| {
        sign::check_webhook_signature(secret, id, sent_at, &notification.body, &signature).is_ok()
    };
    let secret = changed.chain(usual).map(Secret::from).find(made_it);
    let signed = secret.and_then(|secret| standard_signature(&secret, &[id, b".", sent_at, b".", &odd.body]));
    let header = odd.headers.iter_mut().find(|(name, _)| name.ends_with("-signature"));
    if let Some((header, signed)) = header.zip(signed) {
        header.1 = signed;
    }
    odd
}

/// A signature as Standard Webhooks has it.
fn standard_signature(secret: &Secret, parts: &[&[u8]]) -> Option<String> {
    let text = secret.expose_secret();
    let key = STANDARD.decode(text.strip_prefix("whsec_").unwrap_or(text)).ok()?;
    Some(format!("v1,{}", STANDARD.encode(sign::hmac_sha256(&key, parts))))
}
