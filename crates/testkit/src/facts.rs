//! The result of an operation as facts: lines for people, which a recording lists.

use paymux_port::{
    AdapterState, CreatedPayment, CreatedProfileSession, Money, Next, NotificationError, NotificationTarget,
    PaymentMethod, ProviderError, ProviderStatus, ProviderView, StatusMapping, StatusTable, StoredProfile,
    VaultView,
};
use serde::Serialize;

/// The section of `statuses.toml` about payment profiles.
pub(crate) const PROFILE: &str = "profile";

/// How an operation can end.
#[derive(Debug)]
pub(crate) enum End {
    Created(Box<CreatedPayment>),
    SessionCreated(CreatedProfileSession),
    Nothing,
    View(Box<ProviderView>),
    Saved(VaultView),
    Profiles(Vec<StoredProfile>),
    Targets(Vec<NotificationTarget>),
    Done,
    Failed(ProviderError),
    Refused(NotificationError),
}

/// The facts of a provider view.
pub fn facts(table: &StatusTable, view: &ProviderView) -> Vec<String> {
    let mut lines = status_lines(table, &view.provider_status);
    lines.extend(view.mark.as_ref().map(|mark| format!("mark {}/{}", mark.object, mark.status)));
    let mut amount =
        |name: &str, money: Option<Money>| lines.extend(money.map(|money| format!("{name} {money}")));
    amount("total", view.total);
    amount("authorized", view.authorized);
    amount("captured", view.captured);
    amount("refunded", view.refunded);
    amount("disputed", view.disputed);
    lines.extend(view.merchant_reference.as_ref().map(|id| format!("merchant_reference {id}")));
    lines.extend(view.is_test.map(|is_test| format!("test {}", if is_test { "yes" } else { "no" })));
    lines.extend(view.failure.as_ref().map(|it| format!("failure {}", code_and_text(&it.code, &it.text))));
    lines.extend(view.method.as_ref().map(method_line));
    lines.extend(view.at.map(|at| format!("at {at}")));
    lines
}

fn method_line(method: &PaymentMethod) -> String {
    let kind = method.kind.map_or("-", <&str>::from);
    let more = [&method.brand, &method.last4, &method.wallet, &method.country].into_iter().flatten();
    std::iter::once(kind)
        .chain(more.map(String::as_str))
        .fold("method".to_owned(), |line, part| line + " " + part)
}

impl End {
    pub(crate) fn facts(&self, table: &StatusTable) -> Vec<String> {
        match self {
            Self::Created(created) => {
                let view = facts(table, &created.view);
                created_lines(&created.reference, &created.next, view, &created.adapter_state)
            }
            Self::SessionCreated(created) => {
                created_lines(&created.reference, &created.next, Vec::new(), &created.adapter_state)
            }
            Self::Nothing => vec!["nothing".to_owned()],
            Self::View(view) => facts(table, view),
            Self::Saved(saved) => {
                let mut lines = status_lines(table, &saved.provider_status);
                lines.extend(saved.profile.iter().map(|profile| profile_line(table, profile)));
                lines
            }
            Self::Profiles(profiles) if profiles.is_empty() => vec!["nothing".to_owned()],
            Self::Profiles(profiles) => profiles.iter().map(|profile| profile_line(table, profile)).collect(),
            Self::Targets(targets) if targets.is_empty() => vec!["nothing".to_owned()],
            Self::Targets(targets) => targets.iter().map(target_line).collect(),
            Self::Done => vec!["done".to_owned()],
            Self::Failed(error) => vec![format!("error {}", error_text(error))],
            Self::Refused(NotificationError::Unverified) => vec!["error unverified".to_owned()],
            Self::Refused(NotificationError::Unreadable) => vec!["error unreadable".to_owned()],
        }
    }

    /// The statuses that were reported, those of payment profiles under `profile`.
    pub(crate) fn provider_statuses(&self) -> Vec<ProviderStatus> {
        let of = |profile: &StoredProfile| {
            profile.provider_status.as_ref().map(|status| ProviderStatus::new(PROFILE, status))
        };
        match self {
            Self::Created(created) => vec![created.view.provider_status.clone()],
            Self::View(view) => vec![view.provider_status.clone()],
            Self::Saved(saved) => std::iter::once(saved.provider_status.clone())
                .chain(saved.profile.as_ref().and_then(of))
                .collect(),
            Self::Profiles(profiles) => profiles.iter().filter_map(of).collect(),
            Self::Nothing
            | Self::SessionCreated(_)
            | Self::Targets(_)
            | Self::Done
            | Self::Failed(_)
            | Self::Refused(_) => Vec::new(),
        }
    }
}

/// The adapter state that was saved while the operation ran.
pub(crate) fn saved_lines(saved: &AdapterState) -> impl Iterator<Item = String> + '_ {
    saved.iter().map(|(name, value)| format!("saves {name} = {value}"))
}

fn created_lines(reference: &str, next: &Next, view: Vec<String>, state: &AdapterState) -> Vec<String> {
    let mut lines = vec![format!("reference {reference}")];
    match next {
        Next::Page(address) => lines.push(format!("page {address}")),
        Next::Widget(parts) => {
            lines.extend(parts.iter().map(|(name, value)| format!("widget {name} = {value}")));
        }
        Next::Nothing => lines.push("no page".to_owned()),
    }
    lines.extend(view);
    lines.extend(state.iter().map(|(name, value)| format!("state {name} = {value}")));
    lines
}

/// The provider status and its meaning in the table.
fn status_lines(table: &StatusTable, provider_status: &ProviderStatus) -> Vec<String> {
    let means = match table.row(provider_status) {
        None => "UNMAPPED".to_owned(),
        Some(row) => {
            let meaning = match row.meaning {
                StatusMapping::Status(status) => status.as_str(),
                StatusMapping::Unchanged => "UNCHANGED",
                StatusMapping::FromAmounts => "FROM_AMOUNTS",
                StatusMapping::Reversed => "REVERSED",
                StatusMapping::Unmapped => "UNMAPPED",
            };
            let detail = row.detail.map(|detail| format!(", {}", screaming(detail)));
            let stage = row.stage.map(|stage| format!(", {}", screaming(stage)));
            let last = if row.terminal { ", last" } else { "" };
            format!("{meaning}{}{}{last}", detail.unwrap_or_default(), stage.unwrap_or_default())
        }
    };
    vec![format!("status {}/{}", provider_status.object, provider_status.status), format!("means {means}")]
}

/// A value as the API writes it.
fn screaming(value: impl Serialize) -> String {
    serde_json::to_value(value).ok().and_then(|value| value.as_str().map(str::to_owned)).unwrap_or_default()
}

fn profile_line(table: &StatusTable, profile: &StoredProfile) -> String {
    let mut line = format!("profile {} {}", profile.reference, profile.kind);
    if let Some(status) = &profile.provider_status {
        let meaning = table.profile(status).map_or("UNMAPPED", <&'static str>::from);
        line.push_str(&format!(" {status} means {meaning}"));
    }
    for value in [&profile.display_name, &profile.expires_on].into_iter().flatten() {
        line.push_str(", ");
        line.push_str(value);
    }
    line
}

fn target_line(target: &NotificationTarget) -> String {
    let mut line = "target".to_owned();
    for (name, value) in [
        ("reference", &target.reference),
        ("merchant_reference", &target.merchant_reference),
        ("event", &target.event),
    ] {
        if let Some(value) = value {
            line.push_str(&format!(" {name} {value}"));
        }
    }
    line.extend(
        target.status.iter().map(|reported| format!(" status {}/{}", reported.object, reported.status)),
    );
    line
}

fn error_text(error: &ProviderError) -> String {
    match error {
        ProviderError::Busy { retry_after: Some(wait) } => format!("busy {} s", wait.as_secs()),
        ProviderError::Declined { code, text } => format!("declined {}", code_and_text(code, text)),
        ProviderError::Rejected { code, text } => format!("rejected {}", code_and_text(code, text)),
        ProviderError::AmountDiffers(text) => format!("amount_differs {text}"),
        other => other.label().to_owned(),
    }
}

/// A code and a text as `code: text`, with `-` for one that is absent.
fn code_and_text(code: &Option<String>, text: &Option<String>) -> String {
    format!("{}: {}", code.as_deref().unwrap_or("-"), text.as_deref().unwrap_or("-"))
}
