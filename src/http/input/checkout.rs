//! Reads a checkout.

use std::time::Duration;

use port::{Approach, CaptureMode, Customer, LinkDelivery, PaymentMethodType, ProfileId};

use super::fields::Fields;
use super::order::new_order;
use super::reader::Value;
use super::schema::Presence;
use super::values::{MAX_ACCOUNT, language, metadata, web_address, without_repeats};
use crate::config;
use crate::domain::ReturnUrls;
use crate::http::problem::Code;
use crate::orders::NewOrder;
use crate::payments::CheckoutRequest;

/// The shortest and the longest lifetime of a session, in seconds.
const MIN: i64 = 300;
const MAX: i64 = 604_800;

/// As many as there are kinds of payment method.
const MAX_METHODS: usize = 6;

/// How often a customer may try on one page.
const MAX_ATTEMPTS: i64 = 20;

const HOSTED_RETURNS: &str = "HOSTED needs `returnUrls` with `success`, `inProgress` and `failure`.";
const ONLY_LINKS: &str = "Only a LINK can be sent to the customer.";
const REACHABLE: &str = "The order's customer has the address that `notify` needs.";

/// The default lifetime of a session.
pub(super) fn default_lifetime(settings: &config::Checkout, approach: Approach) -> Duration {
    let is_link = approach == Approach::Link;
    Duration::from_secs(if is_link { settings.link_expires_in_s } else { settings.expires_in_s })
}

/// The lifetime of a session.
pub(super) fn lifetime(value: Value<'_>) -> Option<Duration> {
    value.integer(MIN..=MAX).and_then(|s| u64::try_from(s).ok()).map(Duration::from_secs)
}

pub(crate) fn checkout(value: Value<'_>) -> Option<CheckoutRequest> {
    value.object(|fields| {
        fields.rules(&[ONLY_LINKS]);
        let approach = fields.required("approach", |value| value.enum_value());
        let capture = fields.may_be_empty("captureMode", |value| value.enum_value::<CaptureMode>());
        let return_urls = return_urls(fields, approach);
        let notify = notify(fields, approach);
        let expires_in = fields.optional("expiresIn", lifetime);
        let language = fields.may_be_empty("language", language);
        let payment_methods = fields.optional("paymentMethods", |value| {
            value.list(MAX_METHODS, Code::TooLong, |value| value.enum_value::<PaymentMethodType>())
        });
        let max_attempts = fields.optional("maxAttempts", |value| value.integer(1..=MAX_ATTEMPTS));
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
            expires_in: expires_in.unwrap_or(default_lifetime(settings, approach)),
            language,
            payment_methods: without_repeats(payment_methods.unwrap_or_default()),
            max_attempts: max_attempts.and_then(|most| u8::try_from(most).ok()),
            save_payment_profile,
            payment_profile_id,
            charge: false,
            account,
            metadata,
        })
    })
}

/// The return URLs, which HOSTED requires.
pub(super) fn return_urls(fields: &Fields<'_>, approach: Option<Approach>) -> ReturnUrls {
    fields.rules(&[HOSTED_RETURNS]);
    let is_hosted = approach == Some(Approach::Hosted);
    let presence = if is_hosted { Presence::Required } else { Presence::Optional };
    let read = fields.field("returnUrls", presence, |value| {
        value.object(|fields| {
            let url = |name| fields.field(name, presence, |value| value.trimmed(web_address)).flatten();
            Some(ReturnUrls {
                success: url("success"),
                in_progress: url("inProgress"),
                failure: url("failure"),
                cancel: fields.may_be_empty("cancel", |value| value.trimmed(web_address)),
            })
        })
    });
    read.flatten().unwrap_or_default()
}

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

/// The names in `notify` for which the customer has no address.
pub(crate) fn unreachable_by(
    notify: LinkDelivery,
    customer: Option<&Customer>,
) -> impl Iterator<Item = &'static str> {
    let email = notify.email && customer.is_none_or(|customer| customer.email.is_none());
    let sms = notify.sms && customer.is_none_or(|customer| customer.phone.is_none());
    [email.then_some("email"), sms.then_some("sms")].into_iter().flatten()
}

pub(crate) fn order_and_checkout(value: Value<'_>) -> Option<(NewOrder, CheckoutRequest)> {
    value.object(|fields| {
        fields.rules(&[REACHABLE]);
        let new = fields.required("order", new_order);
        let checkout = fields.required("checkout", checkout);
        let (new, checkout) = (new?, checkout?);
        for name in unreachable_by(checkout.link_delivery, Some(&new.personal.customer)) {
            let detail = format!("The order's customer has no address for `notify.{name}`.");
            fields.fault::<()>("checkout", Code::FieldMissing, detail);
        }
        Some((new, checkout))
    })
}
