//! Reads signatures, submissions and fulfilment reports.

use serde::Deserialize;

use super::checkout::profile_id;
use super::reader::Value;
use super::values::{time, web_address};
use crate::domain::submit::Submission;
use crate::domain::{ExternalPayment, Signature};
use crate::http::problem::Code;
use crate::orders::OrderAction;

/// The longest reference, name or method, and the longest text.
const MAX: usize = 200;
const MAX_TEXT: usize = 500;

/// The fields with payment proofs, and the rule between them.
const PROOFS: [&str; 3] = ["externalPayment", "paymentSessionId", "paymentProfileId"];
const ONE_PROOF: &str =
    "An order takes one payment proof: `externalPayment`, `paymentSessionId` or `paymentProfileId`.";

pub(crate) fn signature(value: Value<'_>) -> Option<Signature> {
    value.object(|fields| {
        let signer = fields.required("signer", |value| value.text(MAX));
        let method = fields.required("method", |value| value.text(MAX));
        let reference = fields.required("reference", |value| value.text(MAX));
        let signed_at = fields.required("signedAt", time);
        Some(Signature { signer: signer?, method: method?, reference: reference?, signed_at: signed_at? })
    })
}

pub(crate) fn submission(value: Value<'_>) -> Option<Submission> {
    value.object(|fields| {
        fields.rules(&[ONE_PROOF]);
        let session = |value: Value<'_>| {
            value.parsed("the id of a payment session, such as cs_01h455vb4pex5vsknk084sn02q")
        };
        let profile_session = |value: Value<'_>| {
            value.parsed("the id of a payment profile session, such as pps_01h455vb4pex5vsknk084sn02q")
        };
        let submission = Submission {
            external: fields.optional("externalPayment", external),
            session: fields.optional("paymentSessionId", session),
            profile: fields.optional("paymentProfileId", profile_id),
            profile_session: fields.optional("paymentProfileSessionId", profile_session),
        };
        let mut given = PROOFS.into_iter().filter(|name| fields.is_given(name));
        if let (Some(_), Some(second)) = (given.next(), given.next()) {
            fields.fault::<()>(second, Code::SeveralPaymentProofs, ONE_PROOF);
        }
        Some(submission)
    })
}

fn external(value: Value<'_>) -> Option<ExternalPayment> {
    value.object(|fields| {
        let reference = fields.required("reference", |value| value.text(MAX));
        let receipt_description = fields.optional("receiptDescription", |value| value.lines(MAX_TEXT));
        let receipt_url = fields.may_be_empty("receiptUrl", |value| value.trimmed(web_address));
        let received_at = value.context()?.env.now();
        Some(ExternalPayment { reference: reference?, receipt_description, receipt_url, received_at })
    })
}

#[derive(Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
enum Fulfilled {
    Completed,
    Failed,
}

/// Whether the order was fulfilled, and the merchant's text about it.
pub(crate) fn fulfilment(value: Value<'_>) -> Option<OrderAction> {
    value.object(|fields| {
        let outcome = fields.required("outcome", |value| value.enum_value::<Fulfilled>());
        let detail = fields.optional("detail", |value| value.lines(MAX_TEXT));
        Some(OrderAction::Fulfil { completed: outcome? == Fulfilled::Completed, detail })
    })
}
