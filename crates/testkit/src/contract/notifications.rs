//! Notifications: the recorded ones are taken, anything without their proof is not.

use paymux_port::NotificationAuth;

use super::{AdapterUnderTest, Rule, Verdict, every, must, some};
use crate::facts::RunResult;
use crate::play::Note;
use crate::{Operation, Recording, Setup, setting_value};

pub(super) const RULES: &[Rule] = &[
    every("it has recorded notifications, if it says it has any", notices_are_recorded),
    some(
        "a notification changed by one byte is refused",
        |adapter| notifications(adapter) == NotificationAuth::Signed,
        changed_ones,
    ),
    some("a notification without a header of its proof is refused", proves_by_header, bare_ones),
    some("a notification proved with another secret is refused", proves_by_header, foreign_ones),
    some("a notification without the account's own address is refused", by_address, ones_from_elsewhere),
    every("the same notification gives the same hints", same_hints),
    every("a broken notification is never a panic and points at nothing", broken_ones),
];

fn notifications(adapter: &AdapterUnderTest) -> NotificationAuth {
    adapter.about.capabilities.notification_auth
}

fn proves_by_header(adapter: &AdapterUnderTest) -> bool {
    matches!(notifications(adapter), NotificationAuth::Signed | NotificationAuth::SharedKey)
}

fn by_address(adapter: &AdapterUnderTest) -> bool {
    matches!(notifications(adapter), NotificationAuth::AddressKey | NotificationAuth::SharedKey)
}

/// The recorded notifications that are taken and point at something.
fn taken(adapter: &AdapterUnderTest) -> impl Iterator<Item = (&Recording, Setup, Note)> {
    adapter
        .working(Operation::Note)
        .filter(|recording| recording.expected != ["nothing"])
        .map(|recording| (recording, Setup::of(&recording.input), Note::of(recording)))
}

/// Those whose headers carry their proof: any of a provider that signs, and those with the shared key.
fn proved(adapter: &AdapterUnderTest) -> impl Iterator<Item = (&Recording, Setup, Note, Vec<usize>)> {
    taken(adapter).filter_map(|(recording, setup, note)| {
        let no_proof = ["content-type", "content-length", "user-agent", "host"];
        let proof: Vec<usize> = (0..note.headers.len())
            .filter(|number| !no_proof.contains(&note.headers[*number].0.as_str()))
            .collect();
        (!proof.is_empty()).then_some((recording, setup, note, proof))
    })
}

fn refused(adapter: &AdapterUnderTest, setup: &Setup, note: &Note, why: impl FnOnce() -> String) -> Verdict {
    let end = setup.note(adapter.about, note);
    must(matches!(end, RunResult::Refused(_)), || format!("{}: it is taken: {end:?}", why()))
}

fn notices_are_recorded(adapter: &AdapterUnderTest) -> Verdict {
    if notifications(adapter) == NotificationAuth::None {
        return must(taken(adapter).next().is_none(), || {
            "it says it has none, but one is recorded".to_owned()
        });
    }
    must(taken(adapter).next().is_some(), || "no recording shows one that is taken".to_owned())?;
    must(!proves_by_header(adapter) || proved(adapter).next().is_some(), || {
        "none carries its proof".to_owned()
    })
}

fn changed_ones(adapter: &AdapterUnderTest) -> Verdict {
    for (recording, setup, note, _) in proved(adapter) {
        for place in 0..note.body.len() {
            let mut changed = note.clone();
            changed.body[place] ^= 1;
            refused(adapter, &setup, &changed, || format!("{} with byte {place} changed", recording.file))?;
        }
    }
    Ok(())
}

fn bare_ones(adapter: &AdapterUnderTest) -> Verdict {
    for (recording, setup, note, proof) in proved(adapter) {
        for number in proof {
            let name = &note.headers[number].0;
            let mut bare = note.clone();
            bare.headers.remove(number);
            refused(adapter, &setup, &bare, || format!("{} without {name}", recording.file))?;
            let mut other = note.clone();
            other.headers[number].1 = note.headers[number].1.chars().map(next).collect();
            refused(adapter, &setup, &other, || format!("{} with another {name}", recording.file))?;
        }
    }
    Ok(())
}

/// Another character of the same kind, so that nothing but the value is wrong.
fn next(c: char) -> char {
    match c {
        '0'..='8' | 'a'..='y' | 'A'..='Y' => char::from_u32(u32::from(c) + 1).unwrap_or(c),
        '9' => '0',
        'z' => 'a',
        'Z' => 'A',
        other => other,
    }
}

fn foreign_ones(adapter: &AdapterUnderTest) -> Verdict {
    for (recording, setup, note, _) in proved(adapter) {
        let secrets = adapter.about.settings.iter().filter(|setting| setting.secret);
        let with_other = |key: &str| {
            let mut setup = setup.clone();
            setup.settings.push((key.to_owned(), Some(setting_value(&format!("other {key}")))));
            setup.note(adapter.about, &note)
        };
        let refusing =
            secrets.filter(|setting| matches!(with_other(setting.key), RunResult::Refused(_))).count();
        must(refusing > 0, || format!("{} is taken whatever the secret", recording.file))?;
    }
    Ok(())
}

fn ones_from_elsewhere(adapter: &AdapterUnderTest) -> Verdict {
    let shared = notifications(adapter) == NotificationAuth::SharedKey;
    for (recording, setup, note) in taken(adapter) {
        let configured = recording.input.settings.iter().all(|(_, value)| value.is_some());
        if shared && configured {
            continue;
        }
        let elsewhere = Note { address_key: false, ..note };
        refused(adapter, &setup, &elsewhere, || format!("{} without the address key", recording.file))?;
    }
    Ok(())
}

fn same_hints(adapter: &AdapterUnderTest) -> Verdict {
    for (recording, setup, note) in taken(adapter) {
        let facts = |end: RunResult| end.facts(&adapter.table);
        let (first, second) = (setup.note(adapter.about, &note), setup.note(adapter.about, &note));
        must(facts(first) == facts(second), || {
            format!("{} gives other hints the second time", recording.file)
        })?;
    }
    Ok(())
}

fn broken_ones(adapter: &AdapterUnderTest) -> Verdict {
    for (recording, setup, note) in taken(adapter) {
        let bodies = ["", "null", "[]", "{}", "<html></html>", "{\"id\": 7, \"data\": []}", "[[[[[["];
        for body in bodies {
            let broken = Note { body: body.as_bytes().to_vec(), ..note.clone() };
            let end = setup.note(adapter.about, &broken);
            let points = matches!(&end, RunResult::Hints(targets) if !targets.is_empty());
            must(!points, || format!("{} with the body `{body}` gives {end:?}", recording.file))?;
        }
        for place in 0..note.body.len() {
            let mut changed = note.clone();
            changed.body[place] ^= 0x80;
            let _ = setup.note(adapter.about, &changed);
        }
    }
    Ok(())
}
