//! A merchant's endpoint: new, or changed; and what is to be sent again.

use port::{EndpointId, Timestamp};
use url::Url;

use super::reader::{Fields, Value};
use super::values::web_address;
use crate::domain::EndpointSettings;
use crate::http::problem::Code;
use crate::webhooks::{ALL_TYPES, EndpointFields, is_type};

/// Longest description.
const MAX_DESCRIPTION: usize = 200;

/// A new endpoint.
pub(in crate::http) fn endpoint(value: Value<'_>) -> Option<EndpointSettings> {
    value.object(|fields| {
        let url = fields.required("url", address);
        let types = fields.optional("events", types);
        let description = fields.optional("description", description);
        Some(EndpointSettings { url: url?, types: types.unwrap_or_default(), description })
    })
}

/// A change of an endpoint. For `events`, null takes all.
pub(in crate::http) fn endpoint_changes(value: Value<'_>) -> Option<EndpointFields> {
    value.object(|fields| {
        Some(EndpointFields {
            url: set(fields, "url", address),
            types: fields.clearable("events", types).map(Option::unwrap_or_default),
            description: fields.clearable("description", description),
            enabled: set(fields, "enabled", |value| value.flag()),
        })
    })
}

/// A field of a change that cannot be cleared.
fn set<T>(fields: &Fields<'_>, name: &'static str, reader: impl FnOnce(Value<'_>) -> Option<T>) -> Option<T> {
    match fields.clearable(name, reader)? {
        None if !fields.is_given(name) => fields.fault(name, Code::WrongType, "This cannot be null."),
        value => value,
    }
}

/// Which endpoint an event is to be sent to again; none for all.
pub(in crate::http) fn redelivery(value: Value<'_>) -> Option<Option<EndpointId>> {
    value.object(|fields| {
        Some(fields.optional("endpointId", |value| value.parsed("the id of a webhook endpoint")))
    })
}

/// Which time is to be sent again, until `now` if it says nothing else.
pub(in crate::http) fn range(value: Value<'_>, now: Timestamp) -> Option<(Timestamp, Timestamp)> {
    value.object(|fields| {
        let from = fields.required("from", |value| value.parsed("an RFC 3339 time"));
        let to = fields.optional("to", |value| value.parsed("an RFC 3339 time")).unwrap_or(now);
        match from? {
            from if from < to => Some((from, to)),
            _ => fields.fault("from", Code::OutOfRange, "This must be before `to`."),
        }
    })
}

/// Where an endpoint listens. Names and passwords would show up wherever the address is shown.
fn address(value: Value<'_>) -> Option<String> {
    let text = web_address(value)?;
    let bare = Url::parse(&text)
        .is_ok_and(|url| url.username().is_empty() && url.password().is_none() && url.fragment().is_none());
    if bare {
        Some(text)
    } else {
        value.fault(Code::InvalidValue, "This must have no user, password or fragment.")
    }
}

fn types(value: Value<'_>) -> Option<Vec<String>> {
    const WHAT: &str = "the type of an event, such as `payment.paid`, or `payment.*`";
    value.list(ALL_TYPES.len(), Code::TooLong, |value| value.text_of(MAX_DESCRIPTION, WHAT, is_type))
}

fn description(value: Value<'_>) -> Option<String> {
    value.text(MAX_DESCRIPTION)
}
