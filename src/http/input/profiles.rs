//! Reads a profile session.

use port::Approach;
use serde::Deserialize;

use super::checkout::{default_lifetime, lifetime, return_urls};
use super::reader::Value;
use super::values::{MAX_ACCOUNT, MAX_CUSTOMER, language, metadata};
use crate::domain::ProfileSessionRequest;
use crate::payments::NewProfileSession;

/// A payment method cannot be stored by a link.
#[derive(Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
enum StoringApproach {
    Hosted,
    Embedded,
}

pub(crate) fn profile_session(value: Value<'_>) -> Option<NewProfileSession> {
    value.object(|fields| {
        let customer_id = fields.required("customer", |value| {
            value.object(|fields| fields.required("id", |value| value.text(MAX_CUSTOMER)))
        });
        let approach = fields.required("approach", |value| match value.enum_value()? {
            StoringApproach::Hosted => Some(Approach::Hosted),
            StoringApproach::Embedded => Some(Approach::Embedded),
        });
        let return_urls = return_urls(fields, approach);
        let expires_in = fields.optional("expiresIn", lifetime);
        let language = fields.may_be_empty("language", language);
        let account = fields.optional("account", |value| value.text(MAX_ACCOUNT));
        let metadata = fields.optional("metadata", metadata).unwrap_or_default();
        let (settings, approach) = (&value.context()?.settings.checkout, approach?);
        Some(NewProfileSession {
            approach,
            expires_in: expires_in.unwrap_or(default_lifetime(settings, approach)),
            account,
            request: ProfileSessionRequest { customer_id: customer_id?, return_urls, language, metadata },
        })
    })
}
