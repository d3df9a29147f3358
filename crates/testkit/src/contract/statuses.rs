//! Reported statuses and their rows in the status table.

use std::collections::BTreeSet;

use paymux_port::{Evidence, ProviderStatus, StatusTable};
use serde_json::Value;

use super::{Rule, RuleResult, Subject, every, must};
use crate::facts::PROFILE;
use crate::{Answer, Operation, World};

pub(super) const RULES: &[Rule] = &[
    every("every status that its recordings report is in its table", reported_statuses_are_mapped),
    every("every row that is marked as seen can be seen in a recording", seen_rows_are_recorded),
    every("an unknown status is unmapped, never paid, never failed", unknown_statuses_are_unmapped),
];

/// Whether the table has a row for a status.
fn is_mapped(table: &StatusTable, provider_status: &ProviderStatus) -> bool {
    match provider_status.object.as_str() {
        PROFILE => table.profile(&provider_status.status).is_some(),
        _ => table.row(provider_status).is_some(),
    }
}

fn reported_statuses_are_mapped(subject: &Subject) -> RuleResult {
    for recording in &subject.recordings {
        let played = World::of(&recording.options).replay(subject.about, recording, recording.answers());
        let mut reported = played.end.provider_statuses().into_iter();
        let unmapped = reported.find(|status| !is_mapped(&subject.table, status));
        must(unmapped.is_none(), || format!("{} reports {unmapped:?}", recording.file))?;
    }
    Ok(())
}

fn seen_rows_are_recorded(subject: &Subject) -> RuleResult {
    let mut seen = BTreeSet::new();
    for recording in &subject.recordings {
        let played = World::of(&recording.options).replay(subject.about, recording, recording.answers());
        seen.extend(played.end.provider_statuses().iter().map(|reported| normal(&reported.status)));
        seen.extend(texts(&recording.text).map(normal));
    }
    let rows = subject.table.rows().map(|(_, status, row)| (status, row.evidence));
    let rows = rows.chain(subject.table.plain_rows().map(|(_, status, _, evidence)| (status, evidence)));
    let unseen: Vec<&str> = rows
        .filter(|(status, evidence)| *evidence == Evidence::Seen && !seen.contains(*status))
        .map(|(status, _)| status)
        .collect();
    must(unseen.is_empty(), || format!("in no recording: {unseen:?}"))
}

fn unknown_statuses_are_unmapped(subject: &Subject) -> RuleResult {
    let reads = [Operation::Fetch, Operation::ProfileFetch, Operation::ProfileList];
    for recording in reads.into_iter().flat_map(|operation| subject.working(operation)) {
        let play = |answers| World::of(&recording.options).play(subject.about, recording.operation, answers);
        let reported = play(recording.answers()).end.provider_statuses();
        let statuses: Vec<String> = reported.iter().map(|reported| normal(&reported.status)).collect();
        let unknown = |answer| statuses.iter().fold(answer, |answer, status| renamed(&answer, status));
        let played = play(recording.answers().into_iter().map(unknown).collect());
        let mut reported = played.end.provider_statuses().into_iter();
        let mapped = reported.find(|status| is_mapped(&subject.table, status));
        must(mapped.is_none(), || {
            format!(
                "{}: with {statuses:?} replaced by an unknown status it still reports {mapped:?}",
                recording.file
            )
        })?;
    }
    Ok(())
}

/// An answer in which a status is replaced by an unknown one.
fn renamed(answer: &Answer, status: &str) -> Answer {
    let Answer::Reply(response) = answer else { return answer.clone() };
    let mut response = response.clone();
    if let Ok(mut body) = serde_json::from_slice(&response.body) {
        rename(&mut body, status);
        response.body = body.to_string().into_bytes();
    }
    Answer::Reply(response)
}

fn rename(value: &mut Value, status: &str) {
    match value {
        Value::String(text) if status.split('/').any(|part| normal(text) == part) => {
            *value = Value::from("a_status_of_tomorrow");
        }
        Value::Array(several) => several.iter_mut().for_each(|one| rename(one, status)),
        Value::Object(fields) => fields.values_mut().for_each(|field| rename(field, status)),
        _ => {}
    }
}

/// All quoted texts.
fn texts(text: &str) -> impl Iterator<Item = &str> {
    text.split('"').skip(1).step_by(2)
}

fn normal(status: &str) -> String {
    status.trim().to_ascii_lowercase().replace([' ', '-'], "_")
}
