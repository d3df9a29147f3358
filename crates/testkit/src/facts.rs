//! What came of an operation, as lines that a person can read and a recording can hold.

use paymux_port::{
    Begun, Hint, Money, Next, NotificationError, ProviderError, SavedSnapshot, Says, Snapshot, StatusTable,
    StatusWord, StoredProfile, Theirs,
};
use serde::Serialize;

/// Everything that an operation can end in.
#[derive(Debug)]
pub(crate) enum End {
    Begun(Box<Begun>),
    Nothing,
    Stands(Box<Snapshot>),
    Saved(SavedSnapshot),
    Profiles(Vec<StoredProfile>),
    Hints(Vec<Hint>),
    Done,
    Failed(ProviderError),
    Refused(NotificationError),
}

/// The facts of a snapshot, one a line.
pub fn facts(table: &StatusTable, snapshot: &Snapshot) -> Vec<String> {
    let mut lines = word_lines(table, &snapshot.word);
    let mut amount =
        |name: &str, money: Option<Money>| lines.extend(money.map(|money| format!("{name} {money}")));
    amount("total", snapshot.total);
    amount("authorized", snapshot.authorized);
    amount("captured", snapshot.captured);
    amount("refunded", snapshot.refunded);
    amount("disputed", snapshot.disputed);
    lines.extend(snapshot.ours.as_ref().map(|ours| format!("ours {ours}")));
    lines.extend(snapshot.is_test.map(|is_test| format!("test {}", if is_test { "yes" } else { "no" })));
    lines.extend(snapshot.failure.as_ref().map(|it| format!("failure {}", told(&it.code, &it.text))));
    lines.extend(snapshot.at.map(|at| format!("at {at}")));
    lines
}

impl End {
    pub(crate) fn facts(&self, table: &StatusTable) -> Vec<String> {
        match self {
            Self::Begun(begun) => begun_lines(table, begun),
            Self::Nothing => vec!["nothing".to_owned()],
            Self::Stands(snapshot) => facts(table, snapshot),
            Self::Saved(saved) => {
                let mut lines = word_lines(table, &saved.word);
                lines.extend(saved.profile.iter().map(profile_line));
                lines
            }
            Self::Profiles(profiles) if profiles.is_empty() => vec!["nothing".to_owned()],
            Self::Profiles(profiles) => profiles.iter().map(profile_line).collect(),
            Self::Hints(hints) if hints.is_empty() => vec!["nothing".to_owned()],
            Self::Hints(hints) => hints.iter().map(hint_line).collect(),
            Self::Done => vec!["done".to_owned()],
            Self::Failed(error) => vec![format!("error {}", error_words(error))],
            Self::Refused(NotificationError::Unverified) => vec!["error unverified".to_owned()],
            Self::Refused(NotificationError::Unreadable) => vec!["error unreadable".to_owned()],
        }
    }

    pub(crate) fn words(&self) -> Vec<&StatusWord> {
        match self {
            Self::Begun(begun) => vec![&begun.snapshot.word],
            Self::Stands(snapshot) => vec![&snapshot.word],
            Self::Saved(saved) => std::iter::once(&saved.word)
                .chain(saved.profile.iter().map(|profile| &profile.word))
                .collect(),
            Self::Profiles(profiles) => profiles.iter().map(|profile| &profile.word).collect(),
            Self::Nothing | Self::Hints(_) | Self::Done | Self::Failed(_) | Self::Refused(_) => Vec::new(),
        }
    }
}

/// What was kept while the operation ran.
pub(crate) fn kept_lines(kept: &Theirs) -> impl Iterator<Item = String> + '_ {
    kept.iter().map(|(name, value)| format!("keeps {name} = {value}"))
}

fn begun_lines(table: &StatusTable, begun: &Begun) -> Vec<String> {
    let mut lines = vec![format!("reference {}", begun.reference)];
    match &begun.next {
        Next::Page(address) => lines.push(format!("page {address}")),
        Next::Widget(parts) => {
            lines.extend(parts.iter().map(|(name, value)| format!("widget {name} = {value}")));
        }
        Next::Nothing => lines.push("no page".to_owned()),
    }
    lines.extend(facts(table, &begun.snapshot));
    lines.extend(begun.theirs.iter().map(|(name, value)| format!("theirs {name} = {value}")));
    lines
}

/// The word and what the table makes of it.
fn word_lines(table: &StatusTable, word: &StatusWord) -> Vec<String> {
    let means = match table.row(word) {
        None => "UNMAPPED".to_owned(),
        Some(row) => {
            let says = match row.says {
                Says::Status(status) => status.as_str(),
                Says::Unchanged => "UNCHANGED",
                Says::FromAmounts => "FROM_AMOUNTS",
                Says::Reversed => "REVERSED",
                Says::Unmapped => "UNMAPPED",
            };
            let detail = row.detail.map(|detail| format!(", {}", screaming(detail)));
            let stage = row.stage.map(|stage| format!(", {}", screaming(stage)));
            let last = if row.last { ", last" } else { "" };
            format!("{says}{}{}{last}", detail.unwrap_or_default(), stage.unwrap_or_default())
        }
    };
    vec![format!("word {}/{}", word.of, word.word), format!("means {means}")]
}

/// A shade as the API writes it.
fn screaming(shade: impl Serialize) -> String {
    serde_json::to_value(shade).ok().and_then(|value| value.as_str().map(str::to_owned)).unwrap_or_default()
}

fn profile_line(profile: &StoredProfile) -> String {
    let word = format!("{}/{}", profile.word.of, profile.word.word);
    let mut line = format!("profile {} {} {word}", profile.reference, profile.kind);
    for told in [&profile.display_name, &profile.expires_on].into_iter().flatten() {
        line.push_str(", ");
        line.push_str(told);
    }
    line
}

fn hint_line(hint: &Hint) -> String {
    let mut line = "hint".to_owned();
    for (name, value) in [("reference", &hint.reference), ("ours", &hint.ours), ("event", &hint.event)] {
        if let Some(value) = value {
            line.push_str(&format!(" {name} {value}"));
        }
    }
    line
}

fn error_words(error: &ProviderError) -> String {
    match error {
        ProviderError::Busy { retry_after: Some(wait) } => format!("busy {} s", wait.as_secs()),
        ProviderError::Declined { code, text } => format!("declined {}", told(code, text)),
        ProviderError::Rejected { code, text } => format!("rejected {}", told(code, text)),
        ProviderError::AmountDiffers(text) => format!("amount_differs {text}"),
        other => other.label().to_owned(),
    }
}

/// A code and a text as `code: text`, with `-` for what is not told.
fn told(code: &Option<String>, text: &Option<String>) -> String {
    format!("{}: {}", code.as_deref().unwrap_or("-"), text.as_deref().unwrap_or("-"))
}
