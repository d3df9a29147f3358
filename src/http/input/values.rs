//! Readers of values that several requests share.

use port::{Address, Currency, Customer, Timestamp};
use url::Url;

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
/// RFC 5321.
const MAX_EMAIL: usize = 254;

/// Metadata: the most entries, and the longest names and values.
const MAX_METADATA: usize = 50;
const MAX_METADATA_NAME: usize = 40;
const MAX_METADATA_VALUE: usize = 500;

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

fn email(value: Value<'_>) -> Option<String> {
    value.text_of(MAX_EMAIL, "an e-mail address, such as ann@shop.example", |text| {
        let parts = text.split_once('@').filter(|(local, domain)| !local.is_empty() && !domain.is_empty());
        parts.is_some_and(|(_, domain)| !domain.contains('@') && !text.contains(char::is_whitespace))
    })
}

/// International digits, with or without `+`; blanks, dashes, dots and brackets may separate them.
fn phone(value: Value<'_>) -> Option<String> {
    const MAX: usize = 32;
    let read = value.text_of(MAX, "a telephone number, such as +371 2000 0000", |text| {
        let text = without_marks(text);
        let Some(first) = text.find(|c: char| c.is_ascii_digit()) else { return false };
        let (front, number) = text.split_at(first);
        let digits = number.bytes().filter(u8::is_ascii_digit).count();
        front.bytes().all(|byte| b" (+".contains(&byte))
            && front.matches('+').count() <= 1
            && number.bytes().all(|byte| byte.is_ascii_digit() || b" -.()/".contains(&byte))
            && (4..=17).contains(&digits)
    });
    read.map(|text| without_marks(&text))
}

/// A telephone number without the invisible marks that address books put around it, and with plain dashes.
fn without_marks(number: &str) -> String {
    let is_mark = |c: char| matches!(c, '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{2069}' | '\u{feff}');
    let plain = |c: char| if matches!(c, '\u{2010}'..='\u{2015}' | '\u{2212}') { '-' } else { c };
    let kept: String = number.chars().filter(|c| !is_mark(*c)).map(plain).collect();
    kept.trim().to_owned()
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
