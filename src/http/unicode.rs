//! What the same text looks like in other scripts: digits, forms of full width, invisible marks.

use std::borrow::Cow;

/// The zero of each script whose nine other digits follow it (Unicode 16, general category Nd, in the basic plane).
const ZEROS: [u32; 36] = [
    0x0660, 0x06f0, 0x07c0, 0x0966, 0x09e6, 0x0a66, 0x0ae6, 0x0b66, 0x0be6, 0x0c66, 0x0ce6, 0x0d66, 0x0de6,
    0x0e50, 0x0ed0, 0x0f20, 0x1040, 0x1090, 0x17e0, 0x1810, 0x1946, 0x19d0, 0x1a80, 0x1a90, 0x1b50, 0x1bb0,
    0x1c40, 0x1c50, 0xa620, 0xa8d0, 0xa900, 0xa9d0, 0xa9f0, 0xaa50, 0xabf0, 0xff10,
];

/// What lies between a character of ASCII and its form of full width.
const FULL_WIDTH: u32 = 0xfee0;

/// The text with the digits of every script, and what has a form of full width, as in ASCII.
pub(super) fn in_ascii(text: &str) -> Cow<'_, str> {
    if text.is_ascii() { text.into() } else { text.chars().map(ascii_of).collect::<String>().into() }
}

fn ascii_of(letter: char) -> char {
    let code = u32::from(letter);
    let digit = ZEROS.iter().find_map(|zero| code.checked_sub(*zero).filter(|digit| *digit < 10));
    let full_width = || ('\u{ff01}'..='\u{ff5e}').contains(&letter).then(|| code - FULL_WIDTH);
    digit.map(|digit| digit + u32::from('0')).or_else(full_width).and_then(char::from_u32).unwrap_or(letter)
}

/// Whether nothing is seen of this character: marks of direction and joining, which come along when a text is copied.
pub(super) fn is_invisible(letter: char) -> bool {
    matches!(letter, '\u{ad}' | '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{2069}' | '\u{feff}')
}

/// Whether this is a dash or a minus of any length.
pub(super) fn is_dash(letter: char) -> bool {
    matches!(letter, '-' | '\u{2010}'..='\u{2015}' | '\u{2212}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn digits_of_every_script_are_digits() {
        for text in
            ["0123456789", "٠١٢٣٤٥٦٧٨٩", "۰۱۲۳۴۵۶۷۸۹", "०१२३४५६७८९", "๐๑๒๓๔๕๖๗๘๙", "０１２３４５６７８９"]
        {
            assert_eq!(in_ascii(text), "0123456789");
        }
        assert_eq!(in_ascii("＋４９（０）３０－１ é½²"), "+49(0)30-1 é½²");
        for zero in ZEROS.into_iter().filter_map(char::from_u32) {
            assert!(zero.is_numeric() && in_ascii(&zero.to_string()) == "0", "{zero}");
        }
    }
}
