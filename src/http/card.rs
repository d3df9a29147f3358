//! Detects card numbers, which must never enter, by brand prefix, length and check digit.
//!
//! A number may be written in groups with blanks and dashes between. Not detected: the gateway's own ids, and telephone
//! numbers that begin with `+`.

/// The error of a field or header with a card number.
pub(super) const CARD_FOUND: &str = "This contains a card number.";

/// The fewest and the most digits of a card number.
const MIN: usize = 13;
const MAX: usize = 19;

/// The digits of the longest telephone number (E.164).
const MAX_PHONE: usize = 15;

/// Whether a text contains a card number.
pub(super) fn contains_pan(text: &str) -> bool {
    let digits = text.bytes().filter(u8::is_ascii_digit).count();
    digits >= MIN && text.split(|c: char| !belongs(c)).any(|part| !is_own_id(part) && in_part(part))
}

/// Whether a character can be part of a number or id.
fn belongs(c: char) -> bool {
    c.is_ascii_alphanumeric() || matches!(c, '+' | '-' | '_' | ' ')
}

/// Whether this is one of the gateway's ids: a prefix and 26 characters of base32.
fn is_own_id(part: &str) -> bool {
    const SUFFIX: usize = 26;
    let Some((prefix, suffix)) = part.trim().rsplit_once('_') else { return false };
    let letters = !prefix.is_empty() && prefix.bytes().all(|byte| byte.is_ascii_lowercase());
    letters && suffix.len() == SUFFIX && suffix.bytes().all(|byte| byte.is_ascii_alphanumeric())
}

/// Checks every run of digit groups that is joined by blanks and dashes.
fn in_part(part: &str) -> bool {
    let mut run: Vec<&[u8]> = Vec::new();
    let mut phone = false;
    let bytes = part.as_bytes();
    let mut at = 0;
    while let Some(&byte) = bytes.get(at) {
        if !byte.is_ascii_digit() {
            if !matches!(byte, b' ' | b'-') {
                if in_run(&run, phone) {
                    return true;
                }
                run.clear();
                phone = byte == b'+';
            }
            at += 1;
            continue;
        }
        let rest = bytes.get(at..).unwrap_or_default();
        let length = rest.iter().take_while(|byte| byte.is_ascii_digit()).count();
        run.extend(rest.get(..length));
        at += length;
    }
    in_run(&run, phone)
}

/// Whether some consecutive groups are a card number.
fn in_run(run: &[&[u8]], phone: bool) -> bool {
    let total: usize = run.iter().map(|group| group.len()).sum();
    if phone && total <= MAX_PHONE {
        return false;
    }
    (0..run.len()).any(|first| {
        let mut digits: Vec<u8> = Vec::with_capacity(MAX);
        for group in run.iter().skip(first) {
            if digits.len() + group.len() > MAX {
                return false;
            }
            digits.extend(group.iter().map(|byte| byte - b'0'));
            if is_card(&digits) {
                return true;
            }
        }
        false
    })
}

fn is_card(digits: &[u8]) -> bool {
    (MIN..=MAX).contains(&digits.len()) && has_brand(digits) && passes_luhn(digits)
}

/// Whether a brand issues numbers that begin like this and are this long.
fn has_brand(digits: &[u8]) -> bool {
    let number =
        |count: usize| digits.iter().take(count).fold(0u32, |sum, digit| sum * 10 + u32::from(*digit));
    let length = digits.len();
    match (number(1), number(2), number(3), number(4)) {
        // Visa; American Express; Mastercard with the series of 2017.
        (4, ..) => matches!(length, 13 | 16 | 18 | 19),
        (_, 34 | 37, ..) => length == 15,
        (_, 51..=55, ..) | (_, _, _, 2221..=2720) => length == 16,
        // Diners Club, JCB, Mir, Troy, RuPay's own series.
        (_, 36 | 38 | 39, ..) | (_, _, 300..=305, _) => (14..=19).contains(&length),
        (_, _, _, 3528..=3589) => (16..=19).contains(&length),
        (_, _, _, 2200..=2204) => (16..=19).contains(&length),
        (_, _, _, 9792) | (_, 81 | 82, ..) => length == 16,
        // Discover, UnionPay, Maestro.
        (_, 62 | 64 | 65, ..) | (_, _, _, 6011) => (16..=19).contains(&length),
        (_, 50 | 56..=61 | 63 | 66..=69, ..) => (MIN..=MAX).contains(&length),
        _ => false,
    }
}

/// The check digit of ISO/IEC 7812.
fn passes_luhn(digits: &[u8]) -> bool {
    let value = |(index, digit): (usize, &u8)| {
        let double = u32::from(*digit) * if index % 2 == 1 { 2 } else { 1 };
        if double > 9 { double - 9 } else { double }
    };
    digits.iter().rev().enumerate().map(value).sum::<u32>() % 10 == 0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn published_test_cards_are_found_in_any_notation() {
        let numbers = [
            "4242424242424242",
            "4000 0566 5566 5556",
            "5555-5555-5555-4444",
            "2223003122003222",
            "378282246310005",
            "6011111111111117",
            "3056 930902 5904",
            "3566002020360505",
            "6200000000000005",
            "4222222222222",
            "6759649826438453",
            "card: 4242 4242 4242 4242 12 345",
            "PAN4242424242424242",
            "no_4242424242424242",
            "4242424242424242,",
            "(4242-4242-4242-4242)",
            "4242  4242 - 4242 -- 4242x",
            "+4242424242424242",
            "2026-11 4242424242424242",
        ];
        for text in numbers {
            assert!(contains_pan(text), "{text}");
        }
    }

    #[test]
    fn what_only_looks_similar_is_let_through() {
        let harmless = [
            "",
            "4242424242424241",
            "1234567890123456",
            "ord_01h455vb4pex5vsknk084sn02q",
            "+4915112345678",
            "+49 151 12345678",
            "424242424242",
            "42424242424242424242424242",
            "2026-11-20T10:00:00.000Z",
            "0000000000000000",
            "att_01h45504242424242424242424",
        ];
        for text in harmless {
            assert!(!contains_pan(text), "{text}");
        }
    }

    #[test]
    fn no_text_is_slow_or_breaks_it() {
        assert!(!contains_pan(&"1 ".repeat(100_000)));
        assert!(!contains_pan(&"4".repeat(100_000)));
    }
}
