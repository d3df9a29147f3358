//! Notifications: recorded ones are accepted, any without their proof is refused.

use paymux_port::NotificationAuth;

use super::{Rule, RuleResult, Subject, every, must, some};
use crate::facts::End;
use crate::play::NotificationInput;
use crate::{Operation, Recording, World, setting_value};

pub(super) const RULES: &[Rule] = &[
    every("it has recorded notifications, if it says it has any", notifications_are_recorded),
    some(
        "a notification changed by one byte is refused",
        |subject| notification_auth(subject) == NotificationAuth::Signed,
        changed_ones,
    ),
    some("a notification without a header of its proof is refused", proves_by_header, bare_ones),
    some("a notification proved with another secret is refused", proves_by_header, foreign_ones),
    some("a notification without the account's own address is refused", by_address, ones_from_elsewhere),
    every("the same notification gives the same hints", same_hints),
    every("a broken notification is never a panic and points at nothing", broken_ones),
];

fn notification_auth(subject: &Subject) -> NotificationAuth {
    subject.about.capabilities.notification_auth
}

fn proves_by_header(subject: &Subject) -> bool {
    matches!(notification_auth(subject), NotificationAuth::Signed | NotificationAuth::SharedKey)
}

fn by_address(subject: &Subject) -> bool {
    matches!(notification_auth(subject), NotificationAuth::AddressKey | NotificationAuth::SharedKey)
}

/// The recorded notifications that are accepted and name a target.
fn taken(subject: &Subject) -> impl Iterator<Item = (&Recording, World, NotificationInput)> {
    subject
        .working(Operation::Notification)
        .filter(|recording| recording.expected != ["nothing"])
        .map(|recording| (recording, World::of(&recording.options), NotificationInput::of(recording)))
}

/// Those whose headers carry their proof: any of a provider that signs, and those with the shared key.
fn proved(subject: &Subject) -> impl Iterator<Item = (&Recording, World, NotificationInput, Vec<usize>)> {
    taken(subject).filter_map(|(recording, world, notification)| {
        let no_proof = ["content-type", "content-length", "user-agent", "host"];
        let proof: Vec<usize> = (0..notification.headers.len())
            .filter(|number| !no_proof.contains(&notification.headers[*number].0.as_str()))
            .collect();
        (!proof.is_empty()).then_some((recording, world, notification, proof))
    })
}

fn refused(
    subject: &Subject,
    world: &World,
    notification: &NotificationInput,
    why: impl FnOnce() -> String,
) -> RuleResult {
    let end = world.notify(subject.about, notification);
    must(matches!(end, End::Refused(_)), || format!("{}: it is taken: {end:?}", why()))
}

fn notifications_are_recorded(subject: &Subject) -> RuleResult {
    if notification_auth(subject) == NotificationAuth::None {
        return must(taken(subject).next().is_none(), || {
            "it says it has none, but one is recorded".to_owned()
        });
    }
    must(taken(subject).next().is_some(), || "no recording shows one that is taken".to_owned())?;
    must(!proves_by_header(subject) || proved(subject).next().is_some(), || {
        "none carries its proof".to_owned()
    })
}

fn changed_ones(subject: &Subject) -> RuleResult {
    for (recording, world, notification, _) in proved(subject) {
        for index in 0..notification.body.len() {
            let mut changed = notification.clone();
            changed.body[index] ^= 1;
            refused(subject, &world, &changed, || format!("{} with byte {index} changed", recording.file))?;
        }
    }
    Ok(())
}

fn bare_ones(subject: &Subject) -> RuleResult {
    for (recording, world, notification, proof) in proved(subject) {
        for number in proof {
            let name = &notification.headers[number].0;
            let mut bare = notification.clone();
            bare.headers.remove(number);
            refused(subject, &world, &bare, || format!("{} without {name}", recording.file))?;
            let mut other = notification.clone();
            other.headers[number].1 = notification.headers[number].1.chars().map(next).collect();
            refused(subject, &world, &other, || format!("{} with another {name}", recording.file))?;
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

fn foreign_ones(subject: &Subject) -> RuleResult {
    for (recording, world, notification, _) in proved(subject) {
        let secrets = subject.about.settings.iter().filter(|setting| setting.secret);
        let with_other = |key: &str| {
            let mut world = world.clone();
            world.settings.push((key.to_owned(), Some(setting_value(&format!("other {key}")))));
            world.notify(subject.about, &notification)
        };
        let refusing = secrets.filter(|setting| matches!(with_other(setting.key), End::Refused(_))).count();
        must(refusing > 0, || format!("{} is taken whatever the secret", recording.file))?;
    }
    Ok(())
}

fn ones_from_elsewhere(subject: &Subject) -> RuleResult {
    let shared = notification_auth(subject) == NotificationAuth::SharedKey;
    for (recording, world, notification) in taken(subject) {
        let configured = recording.options.settings.iter().all(|(_, value)| value.is_some());
        if shared && configured {
            continue;
        }
        let elsewhere = NotificationInput { address_key: false, ..notification };
        refused(subject, &world, &elsewhere, || format!("{} without the address key", recording.file))?;
    }
    Ok(())
}

fn same_hints(subject: &Subject) -> RuleResult {
    for (recording, world, notification) in taken(subject) {
        let facts = |end: End| end.facts(&subject.table);
        let (first, second) =
            (world.notify(subject.about, &notification), world.notify(subject.about, &notification));
        must(facts(first) == facts(second), || {
            format!("{} gives other hints the second time", recording.file)
        })?;
    }
    Ok(())
}

fn broken_ones(subject: &Subject) -> RuleResult {
    for (recording, world, notification) in taken(subject) {
        let bodies = ["", "null", "[]", "{}", "<html></html>", "{\"id\": {}, \"data\": []}", "[[[[[["];
        for body in bodies {
            let broken = NotificationInput { body: body.as_bytes().to_vec(), ..notification.clone() };
            let end = world.notify(subject.about, &broken);
            let points = matches!(&end, End::Targets(targets) if !targets.is_empty());
            must(!points, || format!("{} with the body `{body}` gives {end:?}", recording.file))?;
        }
        for index in 0..notification.body.len() {
            let mut changed = notification.clone();
            changed.body[index] ^= 0x80;
            let _ = world.notify(subject.about, &changed);
        }
    }
    Ok(())
}
