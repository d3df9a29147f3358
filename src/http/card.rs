//! Detects card numbers, which must never enter.
//!
//! A card number has the first digits, the length and the check digit of a card scheme, and is written plain or in the
//! groups in which cards show it. Digits that are part of something else are none: of a longer run of letters and digits
//! (ids, hashes), of a decimal fraction, of an IBAN, of a telephone number that begins with `+`.
//! `docs/decisions/0011-card-numbers.md` says why.

use std::iter;
use std::ops::RangeInclusive;

use super::unicode::{in_ascii, is_dash, is_invisible};

/// The error of a field with a card number.
pub(super) const CARD_FOUND: &str = "This contains a card number.";

/// The fewest and the most digits of a card number.
const MIN: usize = 14;
const MAX: usize = 19;

/// The digits of the longest telephone number (E.164).
const MAX_PHONE: usize = 15;

/// The characters of the longest IBAN (ISO 13616).
const MAX_IBAN: usize = 34;

/// The lengths of most schemes' numbers, and those of Diners Club.
const USUAL: &[usize] = &[16, 17, 18, 19];
const DINERS: &[usize] = &[14, 16, 17, 18, 19];

/// The first six digits of the numbers that card schemes issue, and the lengths of these numbers.
const SCHEMES: &[(RangeInclusive<u32>, &[usize])] = &[
    // Visa.
    (400_000..=499_999, &[16, 19]),
    // Mastercard, with the series of 2017.
    (510_000..=559_999, &[16]),
    (222_100..=272_099, &[16]),
    // American Express.
    (340_000..=349_999, &[15]),
    (370_000..=379_999, &[15]),
    // Diners Club.
    (300_000..=305_999, DINERS),
    (309_500..=309_599, DINERS),
    (360_000..=369_999, DINERS),
    (380_000..=399_999, DINERS),
    // JCB.
    (308_800..=310_299, &[16]),
    (352_800..=358_999, USUAL),
    // Discover; also Troy, RuPay and Elo.
    (601_100..=601_199, USUAL),
    (644_000..=659_999, USUAL),
    // UnionPay and RuPay.
    (620_000..=629_999, USUAL),
    (810_000..=829_999, USUAL),
    // Maestro with Bancontact, and Dankort.
    (501_800..=502_099, USUAL),
    (503_800..=503_899, USUAL),
    (589_300..=589_399, USUAL),
    (630_400..=630_499, USUAL),
    (670_000..=679_999, USUAL),
    // Mir.
    (220_000..=220_499, USUAL),
    // Elo, Verve, RuPay, Hipercard, Hiper.
    (506_000..=509_999, &[16, 18, 19]),
    (600_000..=609_999, &[16]),
    (636_000..=637_999, &[16]),
    // Uzcard, Napas, Troy, Humo.
    (860_000..=860_099, &[16]),
    (970_400..=970_499, &[16, 19]),
    (979_200..=979_299, &[16]),
    (986_000..=986_099, &[16]),
];

/// Whether a text contains a card number.
pub(super) fn contains_pan(text: &str) -> bool {
    let text = in_ascii(text);
    let digits = text.bytes().filter(u8::is_ascii_digit).count();
    digits >= MIN && scan(&text)
}

/// Whether this is the GTIN of a trade unit: 14 digits with the check digit of GS1.
pub(super) fn is_gtin(text: &str) -> bool {
    const LENGTH: usize = 14;
    let weighted = |(index, digit): (usize, u8)| u32::from(digit - b'0') * if index % 2 == 1 { 3 } else { 1 };
    let sum = || text.bytes().rev().enumerate().map(weighted).sum::<u32>();
    text.len() == LENGTH && is_number(text) && sum() % 10 == 0
}

/// Collects groups of digits that blanks and dashes join, and checks them.
fn scan(text: &str) -> bool {
    let mut groups: Vec<&str> = Vec::new();
    let (mut is_phone, mut iban, mut after_digits) = (false, 0, false);
    for (gap, run) in runs(text) {
        let joined = joins(gap);
        // Of an IBAN, all groups but the last have four characters.
        if joined && iban > 0 && iban % 4 == 0 && run.len() <= 4 && iban + run.len() <= MAX_IBAN {
            iban += run.len();
            continue;
        }
        iban = if begins_iban(run) { run.len() } else { 0 };
        let is_fraction = gap == "." && after_digits;
        after_digits = is_number(run);
        let counts = after_digits && !is_fraction;
        if !(joined && counts) {
            if holds_card(&groups, is_phone) {
                return true;
            }
            groups.clear();
            is_phone = gap.ends_with('+');
        }
        if counts {
            groups.push(run);
        }
    }
    holds_card(&groups, is_phone)
}

/// The runs of letters and digits of a text, each with what is between it and the one before.
fn runs(text: &str) -> impl Iterator<Item = (&str, &str)> {
    let mut rest = text;
    iter::from_fn(move || {
        let (gap, tail) = rest.split_at(rest.find(|c: char| c.is_ascii_alphanumeric())?);
        let end = tail.find(|c: char| !c.is_ascii_alphanumeric()).unwrap_or(tail.len());
        let (run, after) = tail.split_at(end);
        rest = after;
        Some((gap, run))
    })
}

/// Whether this is what may be between the groups of one number: blanks and dashes of any kind.
fn joins(gap: &str) -> bool {
    let is_blank = |c: char| c.is_whitespace() && !matches!(c, '\n' | '\r');
    !gap.is_empty() && gap.chars().all(|c| is_blank(c) || is_dash(c) || is_invisible(c))
}

fn is_number(run: &str) -> bool {
    run.bytes().all(|byte| byte.is_ascii_digit())
}

/// Whether this is a country and two check digits.
fn begins_iban(run: &str) -> bool {
    matches!(run.as_bytes(), [a, b, c, d]
        if a.is_ascii_alphabetic() && b.is_ascii_alphabetic() && c.is_ascii_digit() && d.is_ascii_digit())
}

/// Whether one group, or some consecutive ones, are a card number. Inside a longer series of fours there is none: that is
/// a tracking number or a reference.
fn holds_card(groups: &[&str], is_phone: bool) -> bool {
    let total: usize = groups.iter().map(|group| group.len()).sum();
    if total < MIN || is_phone && total <= MAX_PHONE {
        return false;
    }
    (0..groups.len()).any(|first| {
        let (before, rest) = groups.split_at(first);
        let is_inside = before.len() >= 2 && before.iter().rev().take(2).all(|group| group.len() == 4);
        let of_groups = |count: usize| {
            rest.get(..count).is_some_and(|printed| is_printed(printed) && is_card(&printed.concat()))
        };
        is_card(rest[0]) || !is_inside && (2..=5).any(of_groups)
    })
}

/// Whether digits are grouped as cards show them: in fours, or as 4-6-4, 4-6-5 and 6-13.
fn is_printed(groups: &[&str]) -> bool {
    let lengths: Vec<usize> = groups.iter().map(|group| group.len()).collect();
    matches!(lengths.as_slice(), [4, 4, 4, 2..=4] | [4, 4, 4, 4, 1..=3] | [4, 6, 4 | 5] | [6, 13])
}

fn is_card(digits: &str) -> bool {
    (MIN..=MAX).contains(&digits.len()) && is_issued(digits) && passes_luhn(digits)
}

fn is_issued(digits: &str) -> bool {
    let issuer = digits.bytes().take(6).fold(0u32, |sum, digit| sum * 10 + u32::from(digit - b'0'));
    SCHEMES.iter().any(|(issuers, lengths)| issuers.contains(&issuer) && lengths.contains(&digits.len()))
}

/// The check digit of ISO/IEC 7812.
fn passes_luhn(digits: &str) -> bool {
    let value = |(index, digit): (usize, u8)| {
        let double = u32::from(digit - b'0') * if index % 2 == 1 { 2 } else { 1 };
        if double > 9 { double - 9 } else { double }
    };
    digits.bytes().rev().enumerate().map(value).sum::<u32>() % 10 == 0
}

#[cfg(test)]
mod tests;
