//! What ends a cart: its signature, its proofs, and how fulfilment went.

use port::Timestamp;
use serde::Deserialize;

use super::reader::{Fields, Value};
use super::values::web_address;
use crate::domain::submit::Submission;
use crate::domain::{ExternalPayment, Signature};
use crate::http::problem::Code;

/// Longest reference, name or method that is recorded.
const MAX: usize = 200;

/// Longest text for people.
const MAX_NOTE: usize = 500;

/// A digital signature.
pub(in crate::http) fn signature(value: Value<'_>) -> Option<Signature> {
    value.object(|fields| {
        let signer = fields.required("signer", |value| value.text(MAX));
        let method = fields.required("method", |value| value.text(MAX));
        let reference = fields.required("reference", |value| value.text(MAX));
        let signed_at = fields.required("signedAt", |value| value.parsed("an RFC 3339 time"));
        Some(Signature { signer: signer?, method: method?, reference: reference?, signed_at: signed_at? })
    })
}

/// What an order is submitted with, received `now`.
pub(in crate::http) fn submission(value: Value<'_>, now: Timestamp) -> Option<Submission> {
    value.object(|fields| {
        let submission = Submission {
            external: fields.optional("externalPayment", |value| external(value, now)),
            session: fields.optional("paymentSessionId", |value| value.parsed("the id of a payment session")),
            profile: fields.optional("paymentProfileId", |value| value.parsed("the id of a payment profile")),
            profile_session: fields.optional("paymentProfileSessionId", |value| {
                value.parsed("the id of a payment profile session")
            }),
        };
        one_proof(fields);
        Some(submission)
    })
}

fn one_proof(fields: &Fields<'_>) {
    let proofs = ["externalPayment", "paymentSessionId", "paymentProfileId"];
    let mut given = proofs.into_iter().filter(|name| fields.is_given(name));
    if let (Some(first), Some(second)) = (given.next(), given.next()) {
        let detail = format!("An order takes one payment proof; `{first}` is given too.");
        fields.fault::<()>(second, Code::SeveralPaymentProofs, detail);
    }
}

fn external(value: Value<'_>, now: Timestamp) -> Option<ExternalPayment> {
    value.object(|fields| {
        let reference = fields.required("reference", |value| value.text(MAX));
        let receipt_description = fields.optional("receiptDescription", |value| value.lines(MAX_NOTE));
        let receipt_url = fields.optional("receiptUrl", web_address);
        Some(ExternalPayment { reference: reference?, receipt_description, receipt_url, received_at: now })
    })
}

/// How fulfilment went.
#[derive(Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
enum Fulfilled {
    Completed,
    Failed,
}

/// Whether the order was fulfilled, and the merchant's text beside it.
pub(in crate::http) fn fulfilment(value: Value<'_>) -> Option<(bool, Option<String>)> {
    value.object(|fields| {
        let outcome = fields.required("outcome", |value| value.enum_value::<Fulfilled>("COMPLETED, FAILED"));
        let detail = fields.optional("detail", |value| value.lines(MAX_NOTE));
        Some((outcome? == Fulfilled::Completed, detail))
    })
}
