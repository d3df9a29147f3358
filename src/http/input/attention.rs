//! What a person decides.

use super::reader::Value;
use crate::domain::AttentionDecision;

/// Longest note beside a decision.
const MAX_NOTE: usize = 2_000;

/// A decision about money that needs a look, and a note.
pub(in crate::http) fn decision(value: Value<'_>) -> Option<(AttentionDecision, Option<String>)> {
    value.object(|fields| {
        let decision = fields.required("decision", |value| value.enum_value());
        let note = fields.optional("note", |value| value.lines(MAX_NOTE));
        Some((decision?, note))
    })
}
