//! A session that stores a payment method.

use port::Approach;

use super::checkout::{Lifetimes, MAX_ACCOUNT, lifetime, return_urls};
use super::reader::Value;
use super::values::{MAX_CUSTOMER, language, metadata};
use crate::domain::ProfileSessionRequest;
use crate::http::problem::Code;
use crate::payments::NewProfileSession;

/// A session that stores a method of a customer's.
pub(in crate::http) fn profile_session(value: Value<'_>, lifetimes: Lifetimes) -> Option<NewProfileSession> {
    value.object(|fields| {
        let customer_id = fields.required("customer", |value| {
            value.object(|fields| fields.required("id", |value| value.text(MAX_CUSTOMER)))
        });
        let approach = fields.required("approach", |value| match value.enum_value("HOSTED, EMBEDDED")? {
            Approach::Link => value.fault(Code::InvalidValue, "A method is not stored by a link."),
            approach => Some(approach),
        });
        let urls = fields.optional("returnUrls", |value| return_urls(value, approach));
        if approach == Some(Approach::Hosted) && !fields.is_given("returnUrls") {
            fields.missing::<()>("returnUrls");
        }
        let expires_in = fields.optional("expiresIn", lifetime);
        let language = fields.optional("language", language);
        let account = fields.optional("account", |value| value.text(MAX_ACCOUNT));
        let metadata = fields.optional("metadata", metadata).unwrap_or_default();
        let approach = approach?;
        Some(NewProfileSession {
            approach,
            expires_in: expires_in.unwrap_or(lifetimes.usual(approach)),
            account,
            request: ProfileSessionRequest {
                customer_id: customer_id?,
                return_urls: urls.unwrap_or_default(),
                language,
                metadata,
            },
        })
    })
}
