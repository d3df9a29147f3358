//! Checking out: how the customer pays, and where it comes back to.

use std::time::Duration;

use port::{Approach, CaptureMode, LinkDelivery};

use super::order::{Defaults, new_order};
use super::reader::{Fields, Value};
use super::values::{language, metadata, web_address};
use crate::config;
use crate::domain::ReturnUrls;
use crate::http::problem::Code;
use crate::orders::NewOrder;
use crate::payments::CheckoutRequest;

/// How long a session may live, seconds.
const MIN: i64 = 300;
const MAX: i64 = 604_800;

/// Longest name of an account.
pub(super) const MAX_ACCOUNT: usize = 100;

/// How long sessions live whose request does not say.
#[derive(Clone, Copy)]
pub(in crate::http) struct Lifetimes {
    page: Duration,
    link: Duration,
}

impl From<&config::Checkout> for Lifetimes {
    fn from(settings: &config::Checkout) -> Self {
        Self {
            page: Duration::from_secs(settings.expires_in_s),
            link: Duration::from_secs(settings.link_expires_in_s),
        }
    }
}

impl Lifetimes {
    /// How long a session of this approach lives if its request does not say.
    pub(super) fn usual(self, approach: Approach) -> Duration {
        if approach == Approach::Link { self.link } else { self.page }
    }
}

/// How long a session is to live.
pub(super) fn lifetime(value: Value<'_>) -> Option<Duration> {
    value.integer(MIN..=MAX).and_then(|s| u64::try_from(s).ok()).map(Duration::from_secs)
}

/// A checkout.
pub(in crate::http) fn checkout(value: Value<'_>, lifetimes: Lifetimes) -> Option<CheckoutRequest> {
    value.object(|fields| {
        let approach = fields.required("approach", |value| value.enum_value("HOSTED, EMBEDDED, LINK"));
        let capture =
            fields.optional("captureMode", |value| value.enum_value::<CaptureMode>("AUTOMATIC, MANUAL"));
        let return_urls = fields.optional("returnUrls", |value| return_urls(value, approach));
        if approach == Some(Approach::Hosted) && !fields.is_given("returnUrls") {
            fields.missing::<()>("returnUrls");
        }
        let notify = notify(fields, approach);
        let expires_in = fields.optional("expiresIn", lifetime);
        let language = fields.optional("language", language);
        let save_payment_profile = fields.optional("savePaymentProfile", |value| value.flag());
        let payment_profile_id =
            fields.optional("paymentProfileId", |value| value.parsed("the id of a payment profile"));
        let account = fields.optional("account", |value| value.text(MAX_ACCOUNT));
        let metadata = fields.optional("metadata", metadata).unwrap_or_default();
        let approach = approach?;
        Some(CheckoutRequest {
            approach,
            capture: capture.unwrap_or_default(),
            return_urls: return_urls.unwrap_or_default(),
            link_delivery: notify,
            expires_in: expires_in.unwrap_or(lifetimes.usual(approach)),
            language,
            save_payment_profile,
            payment_profile_id,
            charge: false,
            account,
            metadata,
        })
    })
}

pub(super) fn return_urls(value: Value<'_>, approach: Option<Approach>) -> Option<ReturnUrls> {
    value.object(|fields| {
        let needed = approach == Some(Approach::Hosted);
        let url = |name| {
            if needed { fields.required(name, web_address) } else { fields.optional(name, web_address) }
        };
        Some(ReturnUrls {
            success: url("success"),
            in_progress: url("inProgress"),
            failure: url("failure"),
            cancel: fields.optional("cancel", web_address),
        })
    })
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
        fields.fault::<()>("notify", Code::InvalidValue, "Only a LINK can be sent to the customer.");
    }
    notify
}

/// A new order and its checkout in one.
pub(in crate::http) fn order_and_checkout(
    value: Value<'_>,
    defaults: &Defaults<'_>,
    lifetimes: Lifetimes,
) -> Option<(NewOrder, CheckoutRequest)> {
    value.object(|fields| {
        let new = fields.required("order", |value| new_order(value, defaults));
        let checkout = fields.required("checkout", |value| checkout(value, lifetimes));
        let (new, checkout) = (new?, checkout?);
        let customer = &new.personal.customer;
        for (asked, address, name) in [
            (checkout.link_delivery.email, &customer.email, "email"),
            (checkout.link_delivery.sms, &customer.phone, "sms"),
        ] {
            if asked && address.is_none() {
                let detail = "The order's customer has no such address.";
                fields.fault::<()>(
                    "checkout",
                    Code::FieldMissing,
                    format!("`notify.{name}` is asked for. {detail}"),
                );
            }
        }
        Some((new, checkout))
    })
}
