//! Each recording: exactly those calls, in that order, with those bodies; and exactly those facts.

use paymux_port::HttpRequest;

use super::{RuleResult, Subject, must};
use crate::{Operation, Recording, Step, World};

/// The facts of a recording, as lines of its file.
pub fn facts_of(subject: &Subject, recording: &Recording) -> Vec<String> {
    let played = World::of(&recording.options).replay(subject.about, recording, recording.answers());
    played.facts(&subject.table).iter().map(|fact| recording.with_placeholders(fact)).collect()
}

pub(super) fn replays(subject: &Subject, recording: &Recording) -> RuleResult {
    let played = World::of(&recording.options).replay(subject.about, recording, recording.answers());
    if recording.operation != Operation::Notification {
        for (number, (http_request, step)) in played.calls.iter().zip(&recording.steps).enumerate() {
            same_call(http_request, step).map_err(|why| format!("call {}: {why}", number + 1))?;
        }
        let (sent, recorded) = (played.calls.len(), recording.steps.len());
        must(sent == recorded, || {
            format!("it made {sent} calls, {recorded} are recorded; the last was {:?}", played.calls.last())
        })?;
    }
    let facts = played.facts(&subject.table);
    must(facts == recording.expected, || {
        let block: Vec<String> =
            facts.iter().map(|fact| format!("= {}", recording.with_placeholders(fact))).collect();
        format!("the facts are not those of the file, but:\n{}", block.join("\n"))
    })
}

fn same_call(http_request: &HttpRequest, step: &Step) -> Result<(), String> {
    let (line, expected) = (
        format!("{} {}", http_request.method.as_str(), http_request.path),
        format!("{} {}", step.method, step.path),
    );
    if line != expected {
        return Err(format!("it sent {line}, recorded is {expected}"));
    }
    for (name, value) in &step.headers {
        let sent: Vec<&str> = http_request
            .headers
            .iter()
            .filter(|(known, _)| known.eq_ignore_ascii_case(name))
            .map(|(_, sent)| sent.expose())
            .collect();
        if sent != [value.as_str()] {
            return Err(format!("the header {name} is not sent once with the recorded value"));
        }
    }
    let body = String::from_utf8_lossy(&http_request.body);
    let (sent, recorded) = (without_blanks(&body), without_blanks(&step.body));
    if sent == recorded { Ok(()) } else { Err(format!("it sent the body\n{sent}\nrecorded is\n{recorded}")) }
}

/// JSON without the blanks between its tokens; other text as it is.
fn without_blanks(text: &str) -> String {
    if !text.starts_with(['{', '[']) {
        return text.to_owned();
    }
    let (mut inside, mut escaped) = (false, false);
    text.chars()
        .filter(|&c| {
            let matters = inside || !c.is_ascii_whitespace();
            if c == '"' && !escaped {
                inside = !inside;
            }
            escaped = inside && c == '\\' && !escaped;
            matters
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::without_blanks;

    #[test]
    fn blanks_between_tokens_do_not_count_and_those_in_texts_do() {
        assert_eq!(without_blanks("{ \"a b\" :\n [1, \"c \\\" d\"] }"), "{\"a b\":[1,\"c \\\" d\"]}");
        assert_eq!(without_blanks("a = b c"), "a = b c");
        assert_ne!(without_blanks("{\"a\":12.5}"), without_blanks("{\"a\":12.50}"));
    }
}
