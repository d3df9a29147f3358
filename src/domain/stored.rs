//! The stored format of a change. It is read for ever, so it has a version.
//!
//! `{"v":1,"at":…,"by":…,"events":[{"type":"order.created","data":…}, …]}`. The names are given by the `serde`
//! attributes of the events and their fields; golden files in the tests contain each of them. A change of a name or a
//! meaning raises [`VERSION`] and adds an upcaster, which turns the text of the version before into this one's.

use port::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::subject::{ChangeMeta, SubjectEvent};
use super::{Actor, Cause};

pub const VERSION: u64 = 1;

/// Turns a record into the next version. The first one is for version 1.
pub type Upcaster = fn(Value) -> Value;

/// One upcaster for each version before [`VERSION`].
const UPCASTERS: &[Upcaster] = &[];

#[derive(Serialize)]
struct Writing<'a, E> {
    v: u64,
    at: Timestamp,
    by: Actor,
    #[serde(skip_serializing_if = "Option::is_none")]
    request: Option<&'a str>,
    events: &'a [E],
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Reading<E> {
    #[serde(rename = "v")]
    _version: u64,
    at: Timestamp,
    by: Actor,
    #[serde(default)]
    request: Option<String>,
    events: Vec<E>,
}

#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RecordError {
    #[error("a record has version {found}; this release reads versions up to {known}")]
    Newer { found: u64, known: u64 },
    /// It is not a record, or has an event of an unknown type.
    #[error("a record cannot be read: {0}")]
    Unreadable(String),
}

impl From<serde_json::Error> for RecordError {
    fn from(fault: serde_json::Error) -> Self {
        Self::Unreadable(fault.to_string())
    }
}

pub(super) fn write<E: SubjectEvent>(meta: &ChangeMeta, events: &[E]) -> serde_json::Result<String> {
    let ChangeMeta { at, cause: Cause { actor, request } } = meta;
    serde_json::to_string(&Writing { v: VERSION, at: *at, by: *actor, request: request.as_deref(), events })
}

/// Reads the text of a change, of this version or an older one.
pub fn read<E: SubjectEvent>(text: &str) -> Result<(ChangeMeta, Vec<E>), RecordError> {
    read_with(text, VERSION, UPCASTERS)
}

/// The same with given versions, for tests.
pub(super) fn read_with<E: SubjectEvent>(
    text: &str,
    known: u64,
    upcasters: &[Upcaster],
) -> Result<(ChangeMeta, Vec<E>), RecordError> {
    let newest = text.strip_prefix("{\"v\":").and_then(|rest| rest.split_once(','));
    let reading: Reading<E> = match newest {
        Some((digits, _)) if digits.parse() == Ok(known) => serde_json::from_str(text)?,
        _ => serde_json::from_value(upcast(serde_json::from_str(text)?, known, upcasters)?)?,
    };
    let meta = ChangeMeta { at: reading.at, cause: Cause { actor: reading.by, request: reading.request } };
    if reading.events.is_empty() {
        return Err(RecordError::Unreadable("it has no events".to_owned()));
    }
    Ok((meta, reading.events))
}

fn upcast(record: Value, known: u64, upcasters: &[Upcaster]) -> Result<Value, RecordError> {
    let version = record.get("v").and_then(Value::as_u64).filter(|version| *version > 0);
    let found = version.ok_or_else(|| RecordError::Unreadable("it has no version".to_owned()))?;
    if found > known {
        return Err(RecordError::Newer { found, known });
    }
    let skipped = usize::try_from(found.saturating_sub(1)).unwrap_or(usize::MAX);
    Ok(upcasters.iter().skip(skipped).fold(record, |record, upcaster| upcaster(record)))
}
