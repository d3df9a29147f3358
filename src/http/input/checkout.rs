//! Checking out: how the customer pays, and where it comes back to.

use std::time::Duration;

use port::{Approach, CaptureMode, LinkDelivery, ProfileId};

use super::fields::Fields;
use super::order::new_order;
use super::reader::Value;
use super::schema::Presence;
use super::values::{MAX_ACCOUNT, language, metadata, web_address};
use crate::config;
use crate::domain::ReturnUrls;
use crate::http::problem::Code;
use crate::orders::NewOrder;
use crate::payments::CheckoutRequest;

/// How long a session may live, seconds.
const MIN: i64 = 300;
const MAX: i64 = 604_800;

/// The sentences of its rules.
const HOSTED_RETURNS: &str = "HOSTED needs `returnUrls` with `success`, `inProgress` and `failure`.";
const ONLY_LINKS: &str = "Only a LINK can be sent to the customer.";
const REACHABLE: &str = "The order's customer has the address that `notify` asks for.";

/// How long a session of this approach lives if its request does not say.
pub(super) fn usual_lifetime(settings: &config::Checkout, approach: Approach) -> Duration {
    let is_link = approach == Approach::Link;
    Duration::from_secs(if is_link { settings.link_expires_in_s } else { settings.expires_in_s })
}

/// How long a session is to live.
pub(super) fn lifetime(value: Value<'_>) -> Option<Duration> {
    value.integer(MIN..=MAX).and_then(|s| u64::try_from(s).ok()).map(Duration::from_secs)
}

/// A checkout.
pub(in crate::http) fn checkout(value: Value<'_>) -> Option<CheckoutRequest> {
    value.object(|fields| {
        fields.rules(&[ONLY_LINKS]);
        let approach = fields.required("approach", |value| value.enum_value());
        let capture = fields.optional("captureMode", |value| value.enum_value::<CaptureMode>());
        let return_urls = return_urls(fields, approach);
        let notify = notify(fields, approach);
        let expires_in = fields.optional("expiresIn", lifetime);
        let language = fields.optional("language", language);
        let save_payment_profile = fields.optional("savePaymentProfile", |value| value.flag());
        let payment_profile_id = fields.optional("paymentProfileId", profile_id);
        let account = fields.optional("account", |value| value.text(MAX_ACCOUNT));
        let metadata = fields.optional("metadata", metadata).unwrap_or_default();
        let (settings, approach) = (&value.context()?.settings.checkout, approach?);
        Some(CheckoutRequest {
            approach,
            capture: capture.unwrap_or_default(),
            return_urls,
            link_delivery: notify,
            expires_in: expires_in.unwrap_or(usual_lifetime(settings, approach)),
            language,
            save_payment_profile,
            payment_profile_id,
            charge: false,
            account,
            metadata,
        })
    })
}

/// Where the customer goes; a page needs to know.
pub(super) fn return_urls(fields: &Fields<'_>, approach: Option<Approach>) -> ReturnUrls {
    fields.rules(&[HOSTED_RETURNS]);
    let presence = match approach {
        Some(Approach::Hosted) => Presence::Required,
        _ => Presence::Optional,
    };
    let read = fields.field("returnUrls", presence, |value| {
        value.object(|fields| {
            let url = |name| fields.field(name, presence, web_address).flatten();
            Some(ReturnUrls {
                success: url("success"),
                in_progress: url("inProgress"),
                failure: url("failure"),
                cancel: fields.optional("cancel", web_address),
            })
        })
    });
    read.flatten().unwrap_or_default()
}

/// A stored payment method.
pub(super) fn profile_id(value: Value<'_>) -> Option<ProfileId> {
    value.parsed("the id of a payment profile, such as pp_01h455vb4pex5vsknk084sn02q")
}

fn notify(fields: &Fields<'_>, approach: Option<Approach>) -> LinkDelivery {
    let read = fields.optional("notify", |value| {
        value.object(|fields| {
            let email = fields.optional("email", |value| value.flag()).unwrap_or(false);
            let sms = fields.optional("sms", |value| value.flag()).unwrap_or(false);
            Some(LinkDelivery { email, sms })
        })
    });
    let notify = read.unwrap_or_default();
    if notify.any() && approach.is_some_and(|approach| approach != Approach::Link) {
        fields.fault::<()>("notify", Code::InvalidValue, ONLY_LINKS);
    }
    notify
}

/// A new order and its checkout in one.
pub(in crate::http) fn order_and_checkout(value: Value<'_>) -> Option<(NewOrder, CheckoutRequest)> {
    value.object(|fields| {
        fields.rules(&[REACHABLE]);
        let new = fields.required("order", new_order);
        let checkout = fields.required("checkout", checkout);
        let (new, checkout) = (new?, checkout?);
        let customer = &new.personal.customer;
        for (asked, address, name) in [
            (checkout.link_delivery.email, &customer.email, "email"),
            (checkout.link_delivery.sms, &customer.phone, "sms"),
        ] {
            if asked && address.is_none() {
                let detail =
                    format!("`notify.{name}` is asked for. The order's customer has no such address.");
                fields.fault::<()>("checkout", Code::FieldMissing, detail);
            }
        }
        Some((new, checkout))
    })
}
