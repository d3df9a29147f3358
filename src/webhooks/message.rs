//! The body of a delivery.

use serde_json::Value;

use crate::domain::view::EventView;

/// Above this size, in bytes, long parts are left out.
pub(super) const MAX_BYTES: usize = 20_000;

/// Parts of a snapshot that can be long. They are null in an event that they would make too large, and can be read at
/// the resource.
const LONG_PARTS: [&str; 2] = ["items", "metadata"];

/// The event as it is sent. It is built anew for each try; it differs only if personal data was erased or `public_url`
/// changed.
pub(super) fn body(event: &EventView<'_>) -> serde_json::Result<Vec<u8>> {
    let whole = serde_json::to_vec(event)?;
    if whole.len() <= MAX_BYTES {
        return Ok(whole);
    }
    let shorter = serde_json::to_value(event)?;
    serde_json::to_vec(&shortened(shorter))
}

fn shortened(mut event: Value) -> Value {
    for part in LONG_PARTS {
        if event.to_string().len() <= MAX_BYTES {
            break;
        }
        if let Some(part) = event.get_mut("data").and_then(|data| data.get_mut(part)) {
            *part = Value::Null;
        }
    }
    event
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_is_too_long_is_left_out_and_nothing_else() {
        let long = || json!(vec!["x"; 6_000]);
        let short = || json!(["x"]);
        let table = [
            (short(), short(), short(), short()),
            (long(), short(), Value::Null, short()),
            (long(), long(), Value::Null, Value::Null),
            (short(), long(), Value::Null, Value::Null),
        ];
        for (items, metadata, items_then, metadata_then) in table {
            let event =
                |items, metadata| json!({"id": 1, "data": {"id": 2, "items": items, "metadata": metadata}});
            assert_eq!(shortened(event(items, metadata)), event(items_then, metadata_then));
        }
        let session = json!({"data": {"id": 2, "metadata": long()}});
        assert_eq!(shortened(session), json!({"data": {"id": 2, "metadata": null}}));
    }
}
