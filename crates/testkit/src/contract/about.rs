//! What an adapter says about itself.

use std::collections::BTreeSet;

use paymux_port::{NotificationAuth, SettingsError};
use paymux_providers::ALL;

use super::{Rule, RuleResult, Subject, every, must, providers};
use crate::settings;

pub(super) const RULES: &[Rule] = &[
    every("its folder, its name and its table are its own", belongs_together),
    every("what it says about itself fits together", fits_together),
    every("a required setting that is missing is named", missing_settings_are_named),
    every("every setting says what it is", settings_have_help),
    every("what notifications are verified with is said to be so", notification_secrets_are_declared),
    every("its README names a source and a date", readme_names_its_sources),
    every("no question of its first day is left open", questions_are_answered),
];

pub(super) fn every_folder_is_listed() -> RuleResult {
    let entries = std::fs::read_dir(providers())?.filter_map(Result::ok);
    let folders = entries
        .filter(|entry| entry.path().is_dir())
        .map(|entry| entry.file_name().to_string_lossy().into_owned());
    let folders: BTreeSet<String> = folders.collect();
    let listed: BTreeSet<String> = ALL.iter().map(|about| about.name.to_owned()).collect();
    must(folders == listed && listed.len() == ALL.len(), || {
        format!("the folders are {folders:?}, the list has {listed:?}")
    })
}

fn belongs_together(subject: &Subject) -> RuleResult {
    let about = subject.about;
    let plain =
        !about.name.is_empty() && about.name.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit());
    must(plain, || format!("the name `{}` is more than small letters and digits", about.name))?;
    let file = std::fs::read_to_string(subject.folder.join("statuses.toml"))?;
    must(file == about.statuses, || "`statuses` is not the folder's statuses.toml".to_owned())?;
    let built = subject.provider();
    let name = built.about().name;
    must(name == about.name, || format!("what it builds calls itself `{name}`"))?;
    must(built.vault().is_some() == about.capabilities.vault.is_some(), || {
        "`capabilities.vault` is not what it builds".to_owned()
    })
}

fn fits_together(subject: &Subject) -> RuleResult {
    let (about, capabilities) = (subject.about, &subject.about.capabilities);
    let at_https = about.base_url.starts_with("https://") && !about.base_url.ends_with('/');
    must(at_https, || format!("`{}` is not an https address without a slash at its end", about.base_url))?;
    must(!about.title.is_empty() && !capabilities.approaches.is_empty(), || {
        "it has no title or no approach".to_owned()
    })?;
    let limits = capabilities.limits;
    let amounts = 0 < limits.min_minor && limits.min_minor <= limits.max_minor;
    let page = limits.page_lifetime.is_none_or(|(shortest, longest)| shortest <= longest);
    must(amounts && page, || format!("its limits are no ranges: {limits:?}"))?;
    for (approach, fields) in capabilities.needs {
        must(capabilities.approaches.contains(approach) && !fields.is_empty(), || {
            format!("it needs {fields:?} for {approach:?}, which it does not offer, or nothing")
        })?;
    }
    let codes =
        capabilities.currencies.only.iter().filter(|code| code.parse::<paymux_port::Currency>().is_err());
    must(codes.count() == 0, || "one of its currencies is none".to_owned())
}

fn missing_settings_are_named(subject: &Subject) -> RuleResult {
    for required in subject.about.settings.iter().filter(|setting| setting.required) {
        for value in [None, Some(String::new())] {
            let refusal =
                (subject.about.build)(&settings(subject.about, &[(required.key.to_owned(), value)])).err();
            let named = matches!(refusal, Some(SettingsError::Missing(key) | SettingsError::Invalid(key, _)) if key == required.key);
            must(named, || format!("without `{}` it says: {refusal:?}", required.key))?;
        }
    }
    Ok(())
}

fn settings_have_help(subject: &Subject) -> RuleResult {
    let mut keys = BTreeSet::new();
    for setting in subject.about.settings {
        let plain = setting.key.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_');
        must(plain && keys.insert(setting.key), || {
            format!("`{}` is twice, or not in snake case", setting.key)
        })?;
        must(setting.help.split_whitespace().count() >= 3, || format!("`{}` is not explained", setting.key))?;
    }
    Ok(())
}

/// A secret that is not declared as one for notifications has no least length.
fn notification_secrets_are_declared(subject: &Subject) -> RuleResult {
    let auth = subject.about.capabilities.notification_auth;
    let verifies = matches!(auth, NotificationAuth::Signed | NotificationAuth::SharedKey);
    let declared = subject.about.settings.iter().any(|setting| setting.verifies && setting.secret);
    must(verifies == declared, || {
        format!("its notifications are {auth:?}, and a setting for that is declared: {declared}")
    })
}

fn readme_names_its_sources(subject: &Subject) -> RuleResult {
    let readme = std::fs::read_to_string(subject.folder.join("README.md"))?;
    let dated = |text: &str| {
        text.split(|c: char| !c.is_ascii_digit() && c != '-').any(|word| {
            let mut parts = word.split('-');
            let year = parts.next().is_some_and(|year| year.len() == 4 && year.starts_with("20"));
            year && parts.next().is_some_and(|month| month.len() == 2)
        })
    };
    must(dated(&readme), || "the README has no date such as 2026-11".to_owned())?;
    must(dated(subject.table.source()), || "the source of statuses.toml has no date".to_owned())?;
    must(readme.contains("source"), || "the README names no source".to_owned())
}

/// A new adapter has open questions, each where its answer belongs.
fn questions_are_answered(subject: &Subject) -> RuleResult {
    let readme = std::fs::read_to_string(subject.folder.join("README.md"))?;
    let helps = subject.about.settings.iter().map(|setting| setting.help);
    let heads = subject.recordings.iter().filter_map(|recording| recording.text.lines().next());
    let said = readme.lines().chain([subject.table.source()]).chain(helps).chain(heads);
    let open: Vec<&str> = said.filter(|line| line.ends_with('?') || line.contains("? ")).collect();
    must(open.is_empty(), || open.join("\n"))
}
