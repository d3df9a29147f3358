//! Nothing that is printed has a secret or personal data.

use super::hostility::damaged;
use super::{Rule, RuleResult, Subject, every, must};
use crate::world::{EMAIL, PHONE};
use crate::{Answer, Recording, World, setting_value, settings};

pub(super) const RULES: &[Rule] = &[
    every("no secret, e-mail address or telephone number is ever printed", nothing_leaks),
    every("what is wrong with a setting is said without its value", settings_stay_secret),
    every("its recordings hold no secret and no foreign", recordings_are_clean),
];

/// What must never be seen: the secrets and the customer of every recording.
fn guarded(subject: &Subject, recording: &Recording) -> Vec<String> {
    let secrets = subject.about.settings.iter().filter(|setting| setting.secret);
    let usual = secrets.map(|setting| setting_value(setting.key));
    let own = recording.options.settings.iter().filter_map(|(key, value)| {
        let secret = subject.about.settings.iter().any(|setting| setting.key == key && setting.secret);
        value.clone().filter(|_| secret)
    });
    usual.chain(own).chain([EMAIL, PHONE, "Berg", "Harbour"].map(str::to_owned)).collect()
}

fn nothing_leaks(subject: &Subject) -> RuleResult {
    let echo = format!("{{\"id\": [\"{EMAIL} {PHONE} Ann Berg\"], \"{EMAIL}\": ");
    let faults = [Answer::Lost, Answer::NotSent, Answer::reply(500, echo.clone()), Answer::reply(200, echo)];
    for recording in &subject.recordings {
        let guarded = guarded(subject, recording);
        let world = World::of(&recording.options);
        let silent = |answers| {
            let shown = world.replay(subject.about, recording, answers).shown();
            let leaked = guarded.iter().find(|secret| shown.contains(secret.as_str()));
            must(leaked.is_none(), || format!("{} prints {leaked:?}", recording.file))
        };
        silent(recording.answers())?;
        for (number, step) in recording.steps.iter().enumerate() {
            let damaged = match &step.answer {
                Answer::Reply(response) if response.ok() => damaged(&response.body),
                _ => Vec::new(),
            };
            let damaged = damaged.into_iter().map(|(_, body)| Answer::reply(200, body));
            for fault in faults.iter().cloned().chain(damaged) {
                let mut answers = recording.answers();
                answers[number] = fault;
                silent(answers)?;
            }
        }
    }
    Ok(())
}

fn settings_stay_secret(subject: &Subject) -> RuleResult {
    for setting in subject.about.settings {
        let planted = "planted value, nowhere to be seen";
        let built = (subject.about.build)(&settings(
            subject.about,
            &[(setting.key.to_owned(), Some(planted.to_owned()))],
        ));
        if let Err(why) = built {
            let shown = format!("{why} {why:?}");
            must(!shown.contains("planted"), || format!("`{}` is shown: {shown}", setting.key))?;
        }
    }
    Ok(())
}

fn recordings_are_clean(subject: &Subject) -> RuleResult {
    for recording in &subject.recordings {
        let (file, text) = (&recording.file, &recording.text);
        let literal =
            subject.about.settings.iter().find(|setting| text.contains(&setting_value(setting.key)));
        must(literal.is_none(), || {
            format!("{file} holds a setting's value; write {{{}}}", literal.map_or("", |it| it.key))
        })?;
        let bearer = text.split("Bearer ").skip(1).any(|rest| !rest.starts_with('{'));
        must(!bearer, || format!("{file} holds a bearer token"))?;
        let parts = || text.split(|c: char| c.is_whitespace() || "\"'<>(),;".contains(c));
        let foreign = parts().find(|word| word.contains('@') && !at_example(word));
        must(foreign.is_none(), || format!("{file} holds the address {foreign:?}"))?;
        let called = parts().find(|word| {
            word.strip_prefix('+')
                .is_some_and(|digits| digits.len() >= 9 && digits.bytes().all(|it| it.is_ascii_digit()))
        });
        must(called.is_none() || called == Some(&format!("+{PHONE}")), || {
            format!("{file} holds the number {called:?}")
        })?;
    }
    Ok(())
}

/// Whether an e-mail address is at a domain that is reserved for examples.
fn at_example(word: &str) -> bool {
    let domain = word.rsplit('@').next().unwrap_or_default().trim_end_matches('.');
    [".test", ".example", "example.com", "example.org", "example.net"].iter().any(|end| domain.ends_with(end))
}
