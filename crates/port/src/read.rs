//! Reads what providers send, leniently where that is harmless.
//!
//! An answer is decoded field by field, and only what money or the next step depends on may spoil it. Servers write
//! "nothing" in several ways (`null`, `""`, PHP's `[]` for an empty object), numbers as texts and texts as numbers, and
//! some put a byte order mark in front; all of that is met here, once for all adapters.

use std::collections::BTreeMap;
use std::ops::Deref;

use serde::de::{DeserializeOwned, Error as _};
use serde::{Deserialize, Deserializer};
use serde_json::value::RawValue;

use crate::{Decimal, Timestamp};

/// Reads JSON, also behind a byte order mark.
pub(crate) fn json<T: DeserializeOwned>(bytes: &[u8]) -> serde_json::Result<T> {
    serde_json::from_slice(bytes.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(bytes))
}

/// A field that cannot spoil an answer: absent where it is missing or cannot be read. For what no amount, no status and
/// no id depends on. Its type must not hold itself: each level is read anew, so nothing would limit the depth.
#[derive(Clone, Debug)]
pub struct Side<T>(pub Option<T>);

impl<'de, T: DeserializeOwned> Deserialize<'de> for Side<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let raw = Option::<&RawValue>::deserialize(deserializer)?;
        Ok(Self(raw.and_then(|raw| serde_json::from_str(raw.get()).ok())))
    }
}

impl<T> Deref for Side<T> {
    type Target = Option<T>;

    fn deref(&self) -> &Option<T> {
        &self.0
    }
}

/// A field that matters and may be absent: missing, or nothing in any spelling. Whatever else cannot be read spoils the
/// answer.
#[derive(Clone, Debug)]
pub struct Given<T>(pub Option<T>);

impl<'de, T: DeserializeOwned> Deserialize<'de> for Given<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let raw = Option::<&RawValue>::deserialize(deserializer)?;
        let raw = raw.map(RawValue::get).filter(|raw| !is_nothing(raw));
        raw.map(serde_json::from_str).transpose().map(Self).map_err(D::Error::custom)
    }
}

impl<T> Deref for Given<T> {
    type Target = Option<T>;

    fn deref(&self) -> &Option<T> {
        &self.0
    }
}

/// Whether a JSON value is one of the ways to write "nothing".
fn is_nothing(raw: &str) -> bool {
    let inside = |open, close| raw.strip_prefix(open)?.strip_suffix(close);
    let inside = [inside('"', '"'), inside('[', ']'), inside('{', '}')].into_iter().flatten().next();
    raw == "null" || inside.is_some_and(|inside| inside.trim().is_empty())
}

/// A text that is not empty, without blanks at its ends, or a number as it is written: some servers send ids and codes as
/// either.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Text(String);

impl<'de> Deserialize<'de> for Text {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let raw = <&RawValue>::deserialize(deserializer)?.get();
        let text = match raw.as_bytes().first() {
            Some(b'"') => trimmed(serde_json::from_str(raw).map_err(D::Error::custom)?),
            Some(b'-' | b'0'..=b'9') => raw.to_owned(),
            _ => String::new(),
        };
        if text.is_empty() { Err(D::Error::custom("neither a text nor a number")) } else { Ok(Self(text)) }
    }
}

fn trimmed(text: String) -> String {
    let inner = text.trim();
    if inner.len() == text.len() { text } else { inner.to_owned() }
}

impl Deref for Text {
    type Target = str;

    fn deref(&self) -> &str {
        &self.0
    }
}

impl From<Text> for String {
    fn from(text: Text) -> Self {
        text.0
    }
}

/// Yes or no, also as 1 and 0 or as texts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Flag(pub bool);

impl<'de> Deserialize<'de> for Flag {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let raw = <&RawValue>::deserialize(deserializer)?.get();
        match raw.trim_matches('"').to_ascii_lowercase().as_str() {
            "true" | "1" => Ok(Self(true)),
            "false" | "0" => Ok(Self(false)),
            _ => Err(D::Error::custom("neither yes nor no")),
        }
    }
}

/// A moment as RFC 3339, or as seconds since 1970 with or without a fraction.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Moment(pub Timestamp);

impl<'de> Deserialize<'de> for Moment {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = Text::deserialize(deserializer)?;
        let micros =
            |seconds: Decimal| i64::try_from(seconds.rounded(6).ok()?).ok().filter(|micros| *micros >= 0);
        let since_1970 = text.parse().ok().and_then(micros).map(Timestamp::from_micros);
        let moment = since_1970.or_else(|| text.parse().ok());
        moment.map(Self).ok_or_else(|| D::Error::custom("not a time"))
    }
}

/// The members of an object that are looked up by name. Each is read by itself, so that none spoils another.
#[derive(Debug, Deserialize)]
#[serde(transparent)]
pub struct Fields(BTreeMap<String, Box<RawValue>>);

impl Fields {
    /// A member, if it is there and can be read.
    pub fn get<T: DeserializeOwned>(&self, name: &str) -> Option<T> {
        serde_json::from_str(self.0.get(name)?.get()).ok()
    }

    /// A member that is a text or a number.
    pub fn text(&self, name: &str) -> Option<String> {
        self.get::<Text>(name).map(String::from)
    }

    /// A member that is an object.
    pub fn fields(&self, name: &str) -> Option<Self> {
        self.get(name)
    }

    /// Every member, by name.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.0.keys().map(String::as_str)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Deserialize)]
    struct Answer {
        id: Text,
        side: Side<Text>,
        given: Given<Decimal>,
    }

    fn read(side: &str, given: &str) -> Result<Answer, serde_json::Error> {
        json(format!(r#"{{"id": 7, {side} {given} "newer": {{}}}}"#).as_bytes())
    }

    #[test]
    fn a_side_field_is_absent_where_it_is_odd_and_spoils_nothing() {
        let deep = format!("{}{}", "[".repeat(5_000), "]".repeat(5_000));
        for odd in ["null", "[]", "{}", "\"\"", "\" \"", "true", "[1, 2]", "{\"a\": []}", &deep] {
            let read = read(&format!("\"side\": {odd},"), "").unwrap();
            assert_eq!((&*read.id, &*read.side), ("7", &None), "{odd:.20}");
        }
        assert_eq!(read("", "").unwrap().side.0, None);
        let table =
            [("\"a\"", "a"), ("\" a b\\n\"", "a b"), ("\"\u{a0}a\"", "a"), ("-7", "-7"), ("1e999", "1e999")];
        for (stated, expected) in table {
            assert_eq!(read(&format!("\"side\": {stated},"), "").unwrap().side.as_deref(), Some(expected));
        }
    }

    #[test]
    fn a_field_that_matters_may_be_nothing_in_any_spelling_and_nothing_else() {
        for nothing in ["null", "\"\"", "\" \"", "[]", "[ ]", "{}"] {
            let read = read("", &format!("\"given\": {nothing},")).unwrap();
            assert_eq!(read.given.0, None, "{nothing}");
        }
        assert_eq!(read("", "").unwrap().given.0, None);
        for odd in ["true", "[1]", "{\"a\": 1}", "\"much\"", "\"1,5\""] {
            assert!(read("", &format!("\"given\": {odd},")).is_err(), "{odd}");
        }
        let stated = read("", "\"given\": \"12.50\",").unwrap();
        assert_eq!(stated.given.0, Some(Decimal::new(1250, 2)));
    }

    #[test]
    fn an_answer_is_read_behind_a_byte_order_mark() {
        assert_eq!(json::<Vec<u8>>("\u{feff}[1]".as_bytes()).unwrap(), [1]);
        assert!(json::<Vec<u8>>("\u{feff}\u{feff}[1]".as_bytes()).is_err());
    }

    #[test]
    fn yes_no_and_moments_are_read_in_the_spellings_of_servers() {
        for (text, expected) in
            [("true", Some(true)), ("1", Some(true)), ("\"True\"", Some(true))].into_iter().chain([
                ("false", Some(false)),
                ("\"0\"", Some(false)),
                ("2", None),
                ("[]", None),
                ("\"\"", None),
            ])
        {
            assert_eq!(serde_json::from_str::<Flag>(text).ok().map(|flag| flag.0), expected, "{text}");
        }
        for (text, micros) in [
            ("1767225667", Some(1_767_225_667_000_000)),
            ("1767225667.25", Some(1_767_225_667_250_000)),
            ("\"1767225667\"", Some(1_767_225_667_000_000)),
            ("\"2026-01-01T00:01:07Z\"", Some(1_767_225_667_000_000)),
            ("\"yesterday\"", None),
            ("1e999", None),
            ("-7", None),
            ("null", None),
        ] {
            let read = serde_json::from_str::<Moment>(text).ok().map(|moment| moment.0.micros());
            assert_eq!(read, micros, "{text}");
        }
    }

    #[test]
    fn members_are_read_by_name_and_each_by_itself() {
        let deep = format!("{}{}", "[".repeat(5_000), "]".repeat(5_000));
        let fields: Fields =
            serde_json::from_str(&format!(r#"{{"a": {deep}, "b": "x", "c": {{"d": 7}}}}"#)).unwrap();
        assert_eq!(fields.names().collect::<String>(), "abc");
        assert_eq!((fields.text("a"), fields.text("b")), (None, Some("x".to_owned())));
        assert_eq!(fields.fields("c").and_then(|inner| inner.text("d")), Some("7".to_owned()));
    }
}
