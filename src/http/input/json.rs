//! JSON as it was written: numbers keep their digits, and a name that is given twice is there twice.

use std::borrow::Cow;
use std::fmt;

use serde::Deserialize;
use serde::de::{Deserializer, MapAccess, Visitor};
use serde_json::value::RawValue;

/// The deepest nesting that is read; what the API takes is half as deep.
const MAX_DEPTH: usize = 12;

/// A JSON value.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Node<'a> {
    Null,
    Flag(bool),
    /// The digits as they were written.
    Number(&'a str),
    Text(String),
    /// The text of a parameter, which may also be a number or a flag.
    Parameter(Cow<'a, str>),
    List(Vec<Node<'a>>),
    /// In the order of writing; a name may be there more than once.
    Object(Vec<(String, Node<'a>)>),
}

/// Why bytes could not be read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum NotJson {
    /// Not JSON, or not UTF-8.
    #[error("The body is not JSON: it goes wrong at line {line}, column {column}.")]
    Syntax { line: usize, column: usize },
    /// Nested deeper than anything the API takes.
    #[error("The body is nested more than {MAX_DEPTH} levels deep.")]
    TooDeep,
}

impl From<serde_json::Error> for NotJson {
    fn from(fault: serde_json::Error) -> Self {
        Self::Syntax { line: fault.line(), column: fault.column() }
    }
}

/// Reads a document.
pub(crate) fn parse(bytes: &[u8]) -> Result<Node<'_>, NotJson> {
    node(serde_json::from_slice(bytes)?, MAX_DEPTH)
}

fn node(raw: &RawValue, levels: usize) -> Result<Node<'_>, NotJson> {
    let text = raw.get();
    let levels = levels.checked_sub(1).ok_or(NotJson::TooDeep)?;
    Ok(match text.bytes().next() {
        Some(b'{') => {
            let Members(members) = serde_json::from_str(text)?;
            let read = |(name, raw)| Ok((name, node(raw, levels)?));
            Node::Object(members.into_iter().map(read).collect::<Result<_, NotJson>>()?)
        }
        Some(b'[') => {
            let parts: Vec<&RawValue> = serde_json::from_str(text)?;
            Node::List(parts.into_iter().map(|raw| node(raw, levels)).collect::<Result<_, _>>()?)
        }
        Some(b'"') => Node::Text(serde_json::from_str(text)?),
        Some(b't' | b'f') => Node::Flag(text == "true"),
        Some(b'n') => Node::Null,
        _ => Node::Number(text),
    })
}

/// The members of an object, every one of them.
struct Members<'a>(Vec<(String, &'a RawValue)>);

impl<'de> Deserialize<'de> for Members<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct All;

        impl<'de> Visitor<'de> for All {
            type Value = Members<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Members<'de>, A::Error> {
                let mut members = Vec::new();
                while let Some(member) = map.next_entry()? {
                    members.push(member);
                }
                Ok(Members(members))
            }
        }

        deserializer.deserialize_map(All)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn numbers_keep_their_digits_and_names_may_repeat() {
        let read =
            parse(br#" {"a": 1e3, "a": [1.0, -0, 99999999999999999999999], "b": {"c": null}} "#).unwrap();
        let number = |digits| Node::Number(digits);
        assert_eq!(
            read,
            Node::Object(vec![
                ("a".into(), number("1e3")),
                (
                    "a".into(),
                    Node::List(vec![number("1.0"), number("-0"), number("99999999999999999999999")])
                ),
                ("b".into(), Node::Object(vec![("c".into(), Node::Null)])),
            ])
        );
    }

    #[test]
    fn what_is_not_json_says_where() {
        let broken: [&[u8]; 9] =
            [b"", b"{", b"{\"a\":}", b"{'a':1}", b"nul", b"{} {}", b"[1,]", b"\"\xff\"", b"\"\\ud800\""];
        for bytes in broken {
            assert!(
                matches!(parse(bytes), Err(NotJson::Syntax { .. })),
                "{}",
                String::from_utf8_lossy(bytes)
            );
        }
        assert!(parse(&b"[".repeat(200_000)).is_err());
        let deep = ["[".repeat(MAX_DEPTH + 1), "]".repeat(MAX_DEPTH + 1)].concat();
        assert_eq!(parse(deep.as_bytes()), Err(NotJson::TooDeep));
    }

    proptest! {
        #[test]
        fn no_bytes_make_the_reader_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _ = parse(&bytes);
        }
    }
}
