//! What a text that people typed for a telephone number means.

use super::unicode::{in_ascii, is_dash, is_invisible};

/// The most characters of a telephone number.
const MAX: usize = 32;

/// The fewest digits of each, where a text is taken for several telephone numbers.
const OWN_NUMBER: usize = 7;

/// What is before an extension, longest first.
const EXTENSIONS: [&str; 6] = [";ext=", "extension", "extn", "ext", "x", "#"];

/// The number in a text, `Some(None)` if there is none, and `None` if there should be one.
pub(super) fn telephone_number(text: &str) -> Option<Option<String>> {
    let visible = text.chars().filter(|c| !is_invisible(*c)).map(|c| if is_dash(c) { '-' } else { c });
    let plain = visible.collect::<String>();
    let plain = in_ascii(&plain);
    let text = without_extension(without_scheme(plain.trim(), "tel:"));
    if text.bytes().filter(u8::is_ascii_digit).all(|digit| digit == b'0') {
        return Some(None);
    }
    let parts: Vec<&str> =
        text.split(['/', ',', ';', '|']).map(|part| without_extension(part.trim())).collect();
    let several = parts.len() > 1 && parts.iter().all(|part| digits(part) >= OWN_NUMBER);
    let number = parts.first().copied().filter(|_| several).unwrap_or(text);
    is_number(number).then(|| Some(number.to_owned()))
}

/// International digits, with or without `+`; blanks, dashes, dots, slashes and brackets may separate them.
fn is_number(text: &str) -> bool {
    let Some(first) = text.find(|c: char| c.is_ascii_digit()) else { return false };
    let (front, number) = text.split_at(first);
    front.bytes().all(|byte| b" (+".contains(&byte))
        && front.matches('+').count() <= 1
        && number.bytes().all(|byte| byte.is_ascii_digit() || b" -.()/".contains(&byte))
        && (4..=17).contains(&digits(text))
        && text.len() <= MAX
}

fn digits(text: &str) -> usize {
    text.bytes().filter(u8::is_ascii_digit).count()
}

/// The text without the name of a link before it, in capitals or not.
pub(super) fn without_scheme<'a>(text: &'a str, scheme: &str) -> &'a str {
    match text.split_at_checked(scheme.len()) {
        Some((before, rest)) if before.eq_ignore_ascii_case(scheme) => rest.trim(),
        _ => text,
    }
}

/// A telephone number without an extension at its end.
fn without_extension(text: &str) -> &str {
    let is_extension = |rest: &str| {
        let rest = rest.trim_start_matches([' ', '.', ':']);
        (1..=8).contains(&rest.len()) && digits(rest) == rest.len()
    };
    let Some(first) = text.find(|c: char| c.is_ascii_digit()) else { return text };
    let begins = |(at, _): &(usize, char)| {
        let rest = text.get(*at..).unwrap_or_default();
        let names = EXTENSIONS.iter().filter_map(|name| {
            rest.split_at_checked(name.len()).filter(|(own, _)| own.eq_ignore_ascii_case(name))
        });
        names.into_iter().any(|(_, number)| is_extension(number))
    };
    let begin = text.char_indices().skip_while(|(at, _)| *at < first).find(begins);
    begin.and_then(|(at, _)| text.get(..at)).map_or(text, |number| number.trim_end_matches([' ', ',', '-']))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    pub(super) fn telephone_numbers_are_stored_as_people_mean_them() {
        let table = [
            ("+371 2000 0000", "+371 2000 0000"),
            ("+1 (230) 234-5678 ext. 12", "+1 (230) 234-5678"),
            ("+1 (230) 234-5678 x12", "+1 (230) 234-5678"),
            ("+1 230 234 5678, EXT 12", "+1 230 234 5678"),
            ("230-234-5678 #12", "230-234-5678"),
            ("tel:+49-30-123456;ext=7", "+49-30-123456"),
            ("TEL: +49 30 123456", "+49 30 123456"),
            ("٠٥٠١٢٣٤٥٦٧", "0501234567"),
            ("＋８１ ３－１２３４－５６７８", "+81 3-1234-5678"),
            ("+49 30 1234567 / +49 171 1234567", "+49 30 1234567"),
            ("0301234567, 01711234567", "0301234567"),
            ("+49 (0)30 / 123456\u{2011}78", "+49 (0)30 / 123456-78"),
            ("\u{202a}+371 2000 0000\u{202c}", "+371 2000 0000"),
        ];
        for (typed, stored) in table {
            assert_eq!(telephone_number(typed), Some(Some(stored.to_owned())), "{typed}");
        }
        for none in ["n/a", "-", "+", "none", "call me", "x", "0", "000-000", "\u{200e}"] {
            assert_eq!(telephone_number(none), Some(None), "{none}");
        }
        for wrong in ["123", "12+34567", "+49 30 123456 Ann", "call 5", "1x2", "+1 230 234 5678 x123456789"] {
            assert_eq!(telephone_number(wrong), None, "{wrong}");
        }
    }
}
