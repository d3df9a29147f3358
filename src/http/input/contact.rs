//! Reads e-mail addresses and telephone numbers as people type and paste them. They are by the way in an order, so only
//! what looks like one and cannot be one is refused.

use super::reader::{Unfit, Value};
use crate::http::card::{CARD_FOUND, contains_pan};
use crate::http::phone::{telephone_number, without_scheme};
use crate::http::problem::Code;
use crate::http::unicode::is_invisible;

/// RFC 5321.
const MAX_EMAIL: usize = 254;

/// The most characters that are read for a telephone number.
const MAX_TYPED: usize = 64;

const COMMA: &str = "This must be one e-mail address, which has no comma: a dot may be meant.";

/// An e-mail address, also as a link; `None` if only invisible marks are given.
pub(super) fn email(value: Value<'_>) -> Option<String> {
    let what = "an e-mail address, such as ann@shop.example";
    value.read_as(MAX_EMAIL, what, |text| {
        let visible: String = text.chars().filter(|c| !is_invisible(*c)).collect();
        let address = without_scheme(visible.trim(), "mailto:");
        if address.is_empty() {
            return Ok(None);
        }
        let parts = address.split_once('@').filter(|(local, domain)| !local.is_empty() && !domain.is_empty());
        let fits = |domain: &str| !domain.contains('@') && !address.contains(char::is_whitespace);
        match parts {
            Some(_) if address.contains(',') => Err(Unfit::Because(Code::InvalidValue, COMMA)),
            Some((_, domain)) if fits(domain) => Ok(Some(address.to_owned())),
            _ => Err(Unfit::Form),
        }
    })?
}

/// A telephone number; `None` where people have written that there is none. Of several the first is taken, and an
/// extension is left out, which no provider takes.
pub(super) fn phone(value: Value<'_>) -> Option<String> {
    let what = "a telephone number, such as +371 2000 0000";
    value.read_as(MAX_TYPED, what, |text| {
        let number = telephone_number(text).ok_or(Unfit::Form)?;
        match number {
            // What was written apart may have been one number all the same.
            Some(number) if contains_pan(&number) => Err(Unfit::Because(Code::CardDataRefused, CARD_FOUND)),
            number => Ok(number),
        }
    })?
}
