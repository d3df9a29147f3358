//! Readers of values that several requests share.

use port::{Address, Currency, Customer, Timestamp};
use url::Url;

use super::contact::{email, phone};
use super::reader::Value;
use crate::domain::{Metadata, TaxRate};
use crate::http::problem::Code;

// The longest values, in characters.
pub(super) const MAX_URL: usize = 2_048;
pub(super) const MAX_REFERENCE: usize = 100;
pub(super) const MAX_ACCOUNT: usize = 100;
pub(super) const MAX_CUSTOMER: usize = 200;
/// Of a person's name, a street or a town.
const MAX_LINE: usize = 200;

/// Metadata: the most entries, and the longest names and values.
const MAX_METADATA: usize = 50;
const MAX_METADATA_NAME: usize = 40;
const MAX_METADATA_VALUE: usize = 500;

/// A list with each value once, where it stands first.
pub(super) fn without_repeats<T: PartialEq>(list: Vec<T>) -> Vec<T> {
    let mut kept = Vec::with_capacity(list.len());
    for value in list {
        if !kept.contains(&value) {
            kept.push(value);
        }
    }
    kept
}

/// An amount, zero or more: minor units, or an object with the amount and the order's currency.
pub(super) fn amount(value: Value<'_>, currency: Option<Currency>) -> Option<i64> {
    value.either(|value| value.amount(0), |value| with_currency(value, currency))
}

fn with_currency(value: Value<'_>, expected: Option<Currency>) -> Option<i64> {
    value.object(|fields| {
        fields.rules(&["The currency is the order's."]);
        let amount = fields.required("amount", |value| value.amount(0));
        let stated = fields.required("currency", currency)?;
        match expected {
            Some(expected) if stated != expected => {
                let detail = format!("The order's currency is {expected}.");
                fields.fault("currency", Code::CurrencyMismatch, detail)
            }
            _ => amount,
        }
    })
}

pub(super) fn currency(value: Value<'_>) -> Option<Currency> {
    let what = "an ISO 4217 code in capitals, such as EUR";
    value.parsed_by(what, Code::CurrencyUnknown, |code| code.parse().ok())
}

pub(super) fn rate(value: Value<'_>) -> Option<TaxRate> {
    value.parsed("a tax rate in percent as a decimal text, such as 8.25")
}

pub(super) fn time(value: Value<'_>) -> Option<Timestamp> {
    let what = "an RFC 3339 time, such as 2026-01-31T12:00:00Z";
    let is_parameter = value.is_parameter();
    value.parsed_by(what, Code::InvalidValue, |text| {
        // In a query a `+` that is not encoded arrives as a blank.
        let restored = || text.replace(' ', "+").parse().ok().filter(|_| is_parameter);
        text.parse().ok().or_else(restored)
    })
}

pub(super) fn web_address(value: Value<'_>) -> Option<String> {
    let what =
        "an absolute http or https address without user and password, such as https://shop.example/thanks";
    value.text_of(MAX_URL, what, |text| web_url(text).is_some())
}

/// The URL, if it is absolute, http or https, and has no user and password, since it is shown.
pub(super) fn web_url(text: &str) -> Option<Url> {
    let is_plain = |url: &Url| url.username().is_empty() && url.password().is_none();
    let is_web = |url: &Url| matches!(url.scheme(), "http" | "https") && url.has_host();
    Url::parse(text).ok().filter(|url| is_web(url) && is_plain(url))
}

pub(super) fn language(value: Value<'_>) -> Option<String> {
    const MAX: usize = 35;
    let part = |(index, part): (usize, &str)| {
        let letters = index > 0 || part.bytes().all(|byte| byte.is_ascii_alphabetic());
        let length = if index == 0 { 2..=8 } else { 1..=8 };
        letters && length.contains(&part.len()) && part.bytes().all(|byte| byte.is_ascii_alphanumeric())
    };
    value.text_of(MAX, "a BCP 47 tag, such as pt-BR", |text| text.split('-').enumerate().all(part))
}

pub(super) fn metadata(value: Value<'_>) -> Option<Metadata> {
    Some(value.pairs(MAX_METADATA, MAX_METADATA_NAME, MAX_METADATA_VALUE)?.into_iter().collect())
}

pub(super) fn customer(value: Value<'_>) -> Option<Customer> {
    value.object(|fields| {
        Some(Customer {
            id: fields.may_be_empty("id", |value| value.text(MAX_CUSTOMER)),
            email: fields.typed("email", email),
            phone: fields.typed("phone", phone),
            first_name: fields.typed("firstName", |value| value.text(MAX_LINE)),
            last_name: fields.typed("lastName", |value| value.text(MAX_LINE)),
        })
    })
}

pub(super) fn address(value: Value<'_>) -> Option<Address> {
    value.object(|fields| {
        let line = |name| fields.typed(name, |value| value.text(MAX_LINE));
        Some(Address {
            name: line("name"),
            line1: line("line1"),
            line2: line("line2"),
            city: line("city"),
            region: line("region"),
            postal_code: line("postalCode"),
            country: fields.typed("country", country),
        })
    })
}

fn country(value: Value<'_>) -> Option<String> {
    value.text_of(MAX_LINE, "an ISO 3166 code in capitals, such as DE", |text| {
        text.len() == 2 && text.bytes().all(|byte| byte.is_ascii_uppercase())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_repeated_value_stays_where_it_stands_first() {
        assert_eq!(without_repeats(vec!["b", "a", "b", "c", "a"]), ["b", "a", "c"]);
    }
}
