//! Changes to inputs: bits, bytes, pieces, numbers and words, a few at a time.

use std::fmt;

use proptest::collection::vec;
use proptest::prelude::{Strategy, any};
use proptest::sample::{Index, select};

/// No input grows beyond this: as much as a notification may have.
const MAX: usize = 65_536;

/// The most pieces and changes at a time, and the longest piece that is taken out or repeated.
const MAX_EDITS: usize = 6;
const MAX_PIECE: usize = 64;

/// What readers trip over: ends, escapes, nesting, and what is no text at all.
const TOKENS: [&[u8]; 28] = [
    b"\"",
    b"\\",
    b"{",
    b"}",
    b"[",
    b"]",
    b",",
    b":",
    b"\n",
    b"\n\n",
    b"\n< ",
    b"\0",
    b"\xff",
    b"\xed\xa0\x80",
    b"\xef\xbb\xbf",
    b"\\ud800",
    b"\\u0000",
    b"null",
    b"true",
    b"{}",
    b"[]",
    b"..",
    b"/",
    b"%2e",
    b"%00",
    b"{key}",
    b"\xe2\x80\xae",
    b"[[[[[[[[[[[[[[[[",
];

/// What counts oddly.
const NUMBERS: [&str; 24] = [
    "0",
    "-0",
    "1",
    "-1",
    "00",
    "0.1",
    "1.",
    ".1",
    "1e2",
    "1E+2",
    "1e-2",
    "1e400",
    "1e-400",
    "-1e-2147483648",
    "1e99999999999",
    "9007199254740993",
    "9223372036854775807",
    "9223372036854775808",
    "-9223372036854775808",
    "18446744073709551616",
    "170141183460469231731687303715884105728",
    "0.30000000000000004",
    "NaN",
    "4294967296",
];

/// An input.
#[derive(Clone)]
pub(crate) struct Input(pub(crate) Vec<u8>);

impl fmt::Debug for Input {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0.escape_ascii())
    }
}

/// A change; places are drawn without knowing how long the input is.
#[derive(Clone, Debug)]
enum Edit {
    Flip(Index, u8),
    Cut(Index),
    Remove(Index, usize),
    Repeat(Index, usize, usize),
    Insert(Index, &'static [u8]),
    Count(Index, &'static str),
    Splice(Index, Vec<u8>, Index),
}

/// Inputs made from these by a few changes.
pub(crate) fn mutations(inputs: Vec<Vec<u8>>) -> impl Strategy<Value = Input> {
    let edits = vec(edit(inputs.clone()), 1..=MAX_EDITS);
    (select(inputs), edits).prop_map(|(mut bytes, edits)| {
        edits.iter().for_each(|edit| edit.apply(&mut bytes));
        Input(bytes)
    })
}

fn edit(inputs: Vec<Vec<u8>>) -> impl Strategy<Value = Edit> {
    let at = any::<Index>;
    let piece = 1..=MAX_PIECE;
    proptest::prop_oneof![
        (at(), 0u8..8).prop_map(|(at, bit)| Edit::Flip(at, 1 << bit)),
        at().prop_map(Edit::Cut),
        (at(), piece.clone()).prop_map(|(at, length)| Edit::Remove(at, length)),
        (at(), piece, 1usize..=200).prop_map(|(at, length, times)| Edit::Repeat(at, length, times)),
        (at(), select(&TOKENS[..])).prop_map(|(at, word)| Edit::Insert(at, word)),
        (at(), select(&NUMBERS[..])).prop_map(|(at, number)| Edit::Count(at, number)),
        (at(), select(inputs), at()).prop_map(|(at, other, from)| Edit::Splice(at, other, from)),
    ]
}

impl Edit {
    fn apply(&self, bytes: &mut Vec<u8>) {
        let place = |at: &Index, bytes: &[u8]| at.index(bytes.len() + 1);
        match self {
            Self::Flip(at, bit) => {
                let at = place(at, bytes);
                if let Some(byte) = bytes.get_mut(at) {
                    *byte ^= bit;
                }
            }
            Self::Cut(at) => bytes.truncate(place(at, bytes)),
            Self::Remove(at, length) => {
                let from = place(at, bytes);
                bytes.drain(from..bytes.len().min(from + length));
            }
            Self::Repeat(at, length, times) => {
                let from = place(at, bytes);
                let upto = bytes.len().min(from + length);
                let more = bytes[from..upto].repeat(*times);
                bytes.splice(upto..upto, more);
            }
            Self::Insert(at, word) => {
                let at = place(at, bytes);
                bytes.splice(at..at, word.iter().copied());
            }
            Self::Count(at, number) => {
                let numbers = numbers(bytes);
                if !numbers.is_empty() {
                    bytes.splice(at.get(&numbers).clone(), number.bytes());
                }
            }
            Self::Splice(at, other, from) => {
                bytes.truncate(place(at, bytes));
                bytes.extend_from_slice(&other[place(from, other)..]);
            }
        }
        bytes.truncate(MAX);
    }
}

/// Where digits stand together.
fn numbers(bytes: &[u8]) -> Vec<std::ops::Range<usize>> {
    let mut numbers: Vec<std::ops::Range<usize>> = Vec::new();
    for (at, _) in bytes.iter().enumerate().filter(|(_, byte)| byte.is_ascii_digit()) {
        match numbers.last_mut() {
            Some(last) if last.end == at => last.end = at + 1,
            _ => numbers.push(at..at + 1),
        }
    }
    numbers
}
