//! Reads a decision on attention.

use super::reader::Value;
use crate::domain::AttentionDecision;

/// The longest note on a decision.
const MAX_NOTE: usize = 2_000;

/// A decision and its note.
pub(crate) fn decision(value: Value<'_>) -> Option<(AttentionDecision, Option<String>)> {
    value.object(|fields| {
        let decision = fields.required("decision", |value| value.enum_value());
        let note = fields.optional("note", |value| value.lines(MAX_NOTE));
        Some((decision?, note))
    })
}
