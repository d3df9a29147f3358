//! What a dialect is: one provider's routes, statuses, bodies and notifications over the shared ledger.

pub(crate) mod decta;
pub(crate) mod paymennt;
pub(crate) mod telness;

use std::str::FromStr;

use paymux_port::{Decimal, Money};
use serde::de::DeserializeOwned;

use crate::context::{Outcome, RequestContext};
use crate::faults::Operation;
use crate::http::{Request, Response};
use crate::ledger::Subscription;
use crate::object::{Effect, Object, Provider};

/// No list goes further than this.
pub(crate) const MAX_ROW: usize = 1_000_000_000;

/// A request below a dialect's base path.
pub(crate) struct Call<'a> {
    pub method: &'a str,
    /// The path's segments below the base path; a slash at the end adds none.
    pub path: Vec<&'a str>,
    pub request: &'a Request,
}

impl Call<'_> {
    /// The body's JSON, or why not. An absent body is an empty object.
    pub(crate) fn json<T: DeserializeOwned>(&self) -> Result<T, serde_json::Error> {
        if self.request.body.is_empty() {
            return serde_json::from_str("{}");
        }
        serde_json::from_slice(&self.request.body)
    }

    /// A query parameter that is a number within limits; anything else is the usual one.
    pub(crate) fn number(&self, name: &str, usual: usize, most: usize) -> usize {
        let sent = self.request.parameter(name).and_then(|text| usize::from_str(&text).ok());
        sent.unwrap_or(usual).min(most)
    }
}

/// How a notification is addressed and made believable.
pub(crate) struct Signed {
    pub url: String,
    pub headers: Vec<(String, String)>,
}

/// One provider's server.
pub(crate) trait Dialect: Sync {
    /// The base path without its first slash, in segments.
    fn base(&self) -> &'static [&'static str];

    /// What a request is for, by its method and its path below the base.
    fn operation(&self, method: &str, path: &[&str]) -> Operation;

    fn handle(&self, context: &mut RequestContext<'_>, call: &Call<'_>) -> Response;

    /// The provider's error body for a status that a fault orders.
    fn trouble(&self, status: u16) -> Response;

    /// What setting an object of this kind to `word` does; `None` if the kind has no such status.
    fn effect(&self, kind: crate::object::Kind, word: &str) -> Option<Effect>;

    /// The same for statuses that only the payment behind the object can have.
    fn payment_effect(&self, _word: &str) -> Option<Effect> {
        None
    }

    /// The statuses that an outcome leads through; `None` if this provider cannot have it.
    fn words(&self, object: &Object, outcome: Outcome) -> Option<&'static [&'static str]>;

    /// The customer can still pay it.
    fn is_open(&self, object: &Object) -> bool;

    /// When time alone will change the object (unix microseconds), and to what.
    fn deadline(&self, object: &Object) -> Option<(i64, &'static str)>;

    /// What else follows when an object reached a status.
    fn followed(&self, _desk: &mut RequestContext<'_>, _object: &Object) {}

    /// The notification's body about the object as it is given.
    fn notification_body(&self, context: &RequestContext<'_>, object: &Object, event_id: &str) -> String;

    /// Address and headers of a notification; `sent_at` in unix seconds. A forged one must not convince.
    fn sign(&self, to: &Subscription, event_id: &str, sent_at: i64, body: &str, forged: bool) -> Signed;

    /// Path of the object's hosted page.
    fn page(&self, object: &Object) -> String;

    /// Where the customer is sent from the page in the object's present state.
    fn way_back(&self, object: &Object) -> Option<String>;
}

/// The dialect of a provider.
pub(crate) fn of(provider: Provider) -> &'static dyn Dialect {
    match provider {
        Provider::Telness => &telness::Telness,
        Provider::Paymennt => &paymennt::Paymennt,
        Provider::Decta => &decta::Decta,
    }
}

/// When time next changes an object, in unix microseconds.
pub(crate) fn due(object: &Object) -> Option<i64> {
    let dialect = of(object.provider);
    let deadline = dialect.deadline(object).map(|(at, _)| at);
    [object.slow_until.filter(|_| dialect.is_open(object)), deadline].into_iter().flatten().min()
}

/// An amount of a provider that takes at most two decimals, whatever the currency has.
pub(crate) fn two_decimals(major: Decimal, currency: paymux_port::Currency) -> Option<i64> {
    major.scaled(2).ok()?;
    Money::from_major(major, currency).ok().map(|money| money.minor)
}

/// An absolute http or https address, the only kind a page sends a customer to.
pub(crate) fn is_web_address(text: &str) -> bool {
    url::Url::parse(text).is_ok_and(|url| matches!(url.scheme(), "http" | "https") && url.has_host())
}

/// RFC 3339 in UTC with milliseconds and `Z`.
pub(crate) fn rfc3339(at: i64) -> String {
    moment(at, "Z")
}

/// ISO 8601 in UTC with milliseconds and the given zone text.
pub(crate) fn moment(at: i64, zone: &str) -> String {
    let nanos = i128::from(at) * 1000;
    let when =
        time::OffsetDateTime::from_unix_timestamp_nanos(nanos).unwrap_or(time::OffsetDateTime::UNIX_EPOCH);
    let (date, clock) = (when.date(), when.time());
    let (month, millis) = (u8::from(date.month()), when.millisecond());
    format!(
        "{:04}-{month:02}-{:02}T{:02}:{:02}:{:02}.{millis:03}{zone}",
        date.year(),
        date.day(),
        clock.hour(),
        clock.minute(),
        clock.second()
    )
}
