//! Reads webhook endpoints and redelivery requests.

use super::reader::Value;
use super::schema::Presence;
use super::values::{MAX_URL, time, web_url, without_repeats};
use crate::domain::EndpointSettings;
use crate::http::problem::Code;
use crate::webhooks::{ALL_TYPES, EndpointFields, is_type};
use port::{EndpointId, Timestamp};

/// Also of the type of an event.
const MAX_DESCRIPTION: usize = 200;

pub(crate) fn endpoint(value: Value<'_>) -> Option<EndpointSettings> {
    value.object(|fields| {
        let url = fields.required("url", |value| value.trimmed(address));
        let types = fields.optional("events", types);
        let description = fields.may_be_empty("description", description);
        Some(EndpointSettings { url: url?, types: types.unwrap_or_default(), description })
    })
}

/// A change of an endpoint; `"events": null` subscribes to all.
pub(crate) fn endpoint_changes(value: Value<'_>) -> Option<EndpointFields> {
    value.object(|fields| {
        Some(EndpointFields {
            url: fields.not_null("url", |value| value.trimmed(address)),
            types: fields.clearable("events", types).map(Option::unwrap_or_default),
            description: fields.field("description", Presence::MayBeEmpty, description),
            enabled: fields.not_null("enabled", |value| value.flag()),
        })
    })
}

/// The endpoint that an event is sent to again; `None` for all.
pub(crate) fn redelivery(value: Value<'_>) -> Option<Option<EndpointId>> {
    const WHAT: &str = "the id of a webhook endpoint, such as we_01h455vb4pex5vsknk084sn02q";
    value.object(|fields| Some(fields.optional("endpointId", |value| value.parsed(WHAT))))
}

/// The time range of a replay; until now by default.
pub(crate) fn range(value: Value<'_>) -> Option<(Timestamp, Timestamp)> {
    const IN_ORDER: &str = "`from` must be before `to`.";
    value.object(|fields| {
        fields.rules(&[IN_ORDER]);
        let from = fields.required("from", time);
        let to = fields.optional("to", time);
        let (from, to) = (from?, to.unwrap_or(value.context()?.env.now()));
        if from < to { Some((from, to)) } else { fields.fault("from", Code::OutOfRange, IN_ORDER) }
    })
}

/// The URL of an endpoint.
fn address(value: Value<'_>) -> Option<String> {
    const WHAT: &str = "an absolute http or https address without user, password and fragment, such as \
                        https://shop.example/webhooks";
    value.text_of(MAX_URL, WHAT, |text| web_url(text).is_some_and(|url| url.fragment().is_none()))
}

fn types(value: Value<'_>) -> Option<Vec<String>> {
    const WHAT: &str = "the type of an event, or `payment.*` for all of a noun, such as payment.paid";
    let types =
        value.list(ALL_TYPES.len(), Code::TooLong, |value| value.text_of(MAX_DESCRIPTION, WHAT, is_type));
    types.map(without_repeats)
}

fn description(value: Value<'_>) -> Option<String> {
    value.text(MAX_DESCRIPTION)
}
