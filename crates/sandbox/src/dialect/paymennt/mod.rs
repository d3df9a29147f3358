//! paymennt `mer/v2.0`: checkouts in an envelope, two key headers, notifications signed in the manner of Svix.

mod checkout;
mod payment;

use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;
use hmac::{Hmac, Mac};
use sha2::Sha256;

use crate::context::{Outcome, RequestContext};
use crate::dialect::{Call, Dialect, Signed, rfc3339};
use crate::doc::{Doc, text};
use crate::faults::Operation;
use crate::http::{Request, Response};
use crate::ledger::Subscription;
use crate::object::{Effect, Kind, Object, Provider, Refusal};

pub(crate) struct Paymennt;

const US: Provider = Provider::Paymennt;

/// Statuses in which the customer can still pay.
const OPEN: [&str; 2] = ["PENDING", "PENDING_CONFIRMATION"];

impl Dialect for Paymennt {
    fn base(&self) -> &'static [&'static str] {
        &["paymennt", "mer", "v2.0"]
    }

    fn operation(&self, method: &str, path: &[&str]) -> Operation {
        match (method, path) {
            ("POST", ["checkout", "link" | "web"] | ["payment", "debit"]) => Operation::Create,
            ("POST", ["payment", _, "capture"]) => Operation::Capture,
            ("POST", ["checkout", _, "cancel"]) => Operation::Cancel,
            ("POST", ["checkout", _, "refund"]) => Operation::Refund,
            ("GET", _) => Operation::Read,
            _ => Operation::Any,
        }
    }

    fn handle(&self, context: &mut RequestContext<'_>, call: &Call<'_>) -> Response {
        if !has_keys(call.request) {
            return self.trouble(401);
        }
        let done = match (call.method, call.path.as_slice()) {
            ("POST", ["checkout", kind @ ("link" | "web")]) => checkout::create(context, call, kind),
            ("GET", ["checkout"]) => checkout::search(context, call),
            ("GET", ["checkout", id]) => checkout::read(context, id),
            ("POST", ["checkout", id, "cancel"]) => checkout::cancel(context, id),
            ("POST", ["checkout", id, "refund"]) => checkout::refund(context, call, id),
            ("POST", ["payment", "debit"]) => payment::debit(context, call),
            ("GET", ["payment", id]) => payment::read(context, id),
            ("POST", ["payment", id, "capture"]) => payment::capture(context, id),
            ("GET", ["card"] | ["card", "list"]) => payment::cards(context, call),
            ("POST", ["card", "delete"]) => payment::delete_card(context, call),
            _ => Err("Not found".to_owned()),
        };
        match done {
            Ok(result) => success(&result),
            Err(error) => failure(400, &error),
        }
    }

    fn trouble(&self, status: u16) -> Response {
        let error = match status {
            401 => "Invalid API key or secret",
            429 => "Too many requests",
            _ => "Internal error",
        };
        failure(status, error)
    }

    fn effect(&self, _kind: Kind, word: &str) -> Option<Effect> {
        Some(match word {
            "PENDING" | "PENDING_CONFIRMATION" => Effect::Nothing,
            "AUTHORIZED" => Effect::Hold,
            "PAID" => Effect::Paid,
            "FAILED" | "CANCELLED" | "EXPIRED" => Effect::Release,
            "REFUNDED" => Effect::Refund,
            "PARTIALLY_REFUNDED" => Effect::PartRefund,
            "CHARGEBACK" => Effect::Dispute,
            _ => return None,
        })
    }

    fn payment_effect(&self, word: &str) -> Option<Effect> {
        Some(match word {
            "REDIRECT" | "UNSUPPORTED" => Effect::Nothing,
            "CAPTURED" => Effect::Paid,
            "VOIDED" | "REJECTED" => Effect::Release,
            "REVERSED" => Effect::Refund,
            "PARTIALLY_REVERSED" => Effect::PartRefund,
            _ => return None,
        })
    }

    fn words(&self, _object: &Object, outcome: Outcome) -> Option<&'static [&'static str]> {
        Some(match outcome {
            Outcome::Paid => &["PAID"],
            Outcome::Hold => &["AUTHORIZED"],
            Outcome::Declined | Outcome::ActionRequired => &["PENDING"],
            Outcome::Viewed => &[],
            Outcome::DeclinedFinal => &["FAILED"],
            Outcome::Cancelled => &["CANCELLED"],
            Outcome::Expired => &["EXPIRED"],
            Outcome::Slow | Outcome::Transfer => &["PENDING_CONFIRMATION"],
        })
    }

    fn is_open(&self, object: &Object) -> bool {
        OPEN.contains(&object.word.as_str())
    }

    fn deadline(&self, object: &Object) -> Option<(i64, &'static str)> {
        let at = object.terms.deadline.filter(|_| self.is_open(object))?;
        Some((at, "EXPIRED"))
    }

    /// A flat snapshot whose names are not those of the API object (wire reference, 11.1).
    fn notification_body(&self, _desk: &RequestContext<'_>, object: &Object, _event_id: &str) -> String {
        let customer = checkout::customer(object);
        Doc::default()
            .put("id", &object.id)
            .put("displayId", checkout::display_id(object))
            .put("status", &object.word)
            .put("currency", object.currency)
            .put("grandtotal", object.major(object.amount))
            .put("totalRefunded", object.major(object.refunded))
            .put("orderId", object.sent.string("orderId"))
            .put("referenceId", &object.reference)
            .put("subscriptionId", None::<&str>)
            .put("usedPaymentMethod", checkout::method(object))
            .put("branchId", checkout::BRANCH)
            .put("branchName", "Main")
            .put("merchantId", "1853070350745600003")
            .put("merchantName", "Sandbox merchant")
            .put("customerReference", customer.as_ref().and_then(|customer| customer.id.as_deref()))
            .put("customerEmail", customer.as_ref().map(|customer| customer.email.as_str()))
            .put("timestamp", rfc3339(object.created_at))
            .put("paidOn", object.first("PAID").map(rfc3339))
            .put("statusUpdateTimestamp", rfc3339(object.changed_at()))
            .finish()
    }

    fn sign(&self, to: &Subscription, event_id: &str, sent_at: i64, body: &str, forged: bool) -> Signed {
        let message_id = format!("msg_{}", event_id.replace('-', ""));
        let secret = if forged { "whsec_Zm9yZ2VkLWtleQ==" } else { to.secret.as_str() };
        let signature = signature(secret, &message_id, sent_at, body);
        let headers = vec![
            ("message-id".to_owned(), message_id),
            ("message-timestamp".to_owned(), sent_at.to_string()),
            ("message-signature".to_owned(), signature),
        ];
        Signed { url: to.url.clone(), headers }
    }

    fn page(&self, object: &Object) -> String {
        format!("/paymennt/checkout/{}", object.key)
    }

    /// Web checkouts return on success and on failure; links have no return address.
    fn way_back(&self, object: &Object) -> Option<String> {
        let mut url = url::Url::parse(object.terms.return_urls.paid.as_deref()?).ok()?;
        url.query_pairs_mut().append_pair("reference", &object.reference).append_pair("checkout", &object.id);
        (object.word != "PENDING").then(|| url.to_string())
    }
}

/// `v1,` and the HMAC-SHA256 over id, unix seconds and body. A secret that is not base64 is used as it is.
fn signature(secret: &str, message_id: &str, sent_at: i64, body: &str) -> String {
    let bare = secret.strip_prefix("whsec_").unwrap_or(secret);
    let key = BASE64.decode(bare).unwrap_or_else(|_| secret.as_bytes().to_vec());
    let mut mac = Hmac::<Sha256>::new_from_slice(&key).expect("HMAC takes a key of any length");
    mac.update(format!("{message_id}.{sent_at}.{body}").as_bytes());
    format!("v1,{}", BASE64.encode(mac.finalize().into_bytes()))
}

/// Both generations of the header names are accepted, with any key and secret.
fn has_keys(request: &Request) -> bool {
    let filled = |name: &str| request.filled_header(name).is_some();
    ["paymennt", "pointcheckout"]
        .iter()
        .any(|vendor| filled(&format!("x-{vendor}-api-key")) && filled(&format!("x-{vendor}-api-secret")))
}

/// A JSON text for the envelope's `result`, or the envelope's `error`.
type Done = Result<String, String>;

fn success(result: &str) -> Response {
    Response::json(200, format!("{{\"success\":true,\"elapsed\":4,\"result\":{result}}}"))
}

fn failure(status: u16, error: &str) -> Response {
    Response::json(status, format!("{{\"success\":false,\"elapsed\":4,\"error\":{}}}", text(&error)))
}

fn refused(refusal: Refusal) -> String {
    format!("Checkout {refusal}")
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The vector of the wire reference, section 11.1; its second signature is by this key.
    #[test]
    fn the_signature_is_that_of_the_published_vector() {
        let body = r#"{"id":"1853070350745612345","displayId":"QK7M2P","status":"PAID","currency":"AED","grandtotal":120.5,"totalRefunded":0.0,"orderId":"PMX-1001","referenceId":"PMX-1001-a1","subscriptionId":null,"usedPaymentMethod":"CARD"}"#;
        assert_eq!(body.len(), 219);
        let secret = "whsec_cGF5bXV4LWNvbmZvcm1hbmNlLWtleS0zMi1ieXRlcyE=";
        let made = signature(secret, "msg_conformance_0001", 1_767_225_605, body);
        assert_eq!(made, "v1,JC6sUucBxR+aLU5SJ7STeTvswr5KO3Ty/ntoJj9o8Fw=");
    }
}
