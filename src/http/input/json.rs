//! A JSON parser that keeps the digits of numbers, and duplicate names.

use std::borrow::Cow;

use serde_json::value::RawValue;

/// The deepest nesting that is read; requests of the API have half of it.
const MAX_DEPTH: usize = 12;

#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Node<'a> {
    Null,
    Flag(bool),
    /// The digits as they were written.
    Number(&'a str),
    Text(Cow<'a, str>),
    /// The text of a query parameter, which may also be a number or a flag.
    Parameter(Cow<'a, str>),
    List(Vec<Node<'a>>),
    /// In the written order; a name may occur more than once.
    Object(Vec<(Cow<'a, str>, Node<'a>)>),
}

#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum NotJson {
    #[error("The body is not JSON: there is an error at line {line}, column {column}.")]
    Syntax { line: usize, column: usize },
    /// In another encoding, such as Latin-1 or UTF-16.
    #[error("The body is not in UTF-8: at line {line}, column {column} is a byte of another encoding.")]
    NotUtf8 { line: usize, column: usize },
    /// Half of a character that JavaScript and JSON write as two.
    #[error(
        "The body is not JSON: a text has half a character (a lone surrogate) at line {line}, column {column}, as if it \
         had been cut inside an emoji."
    )]
    HalfCharacter { line: usize, column: usize },
    #[error("The body is nested more than {MAX_DEPTH} levels deep.")]
    TooDeep,
}

impl NotJson {
    /// Why serde_json refused the bytes.
    fn of(bytes: &[u8], fault: &serde_json::Error) -> Self {
        // UTF-16 of ASCII is valid UTF-8, with a zero beside each letter.
        let zero = bytes.iter().take(4).position(|byte| *byte == 0);
        let other = zero.or_else(|| std::str::from_utf8(bytes).err().map(|error| error.valid_up_to()));
        if let Some(at) = other {
            let (line, column) = place(bytes, at + 1);
            return Self::NotUtf8 { line, column };
        }
        if deepest(bytes) > MAX_DEPTH {
            return Self::TooDeep;
        }
        Self::Syntax { line: fault.line(), column: fault.column() }
    }
}

/// The line and column of the last of the first bytes, as serde_json counts them.
fn place(bytes: &[u8], first: usize) -> (usize, usize) {
    let before = bytes.get(..first).unwrap_or(bytes);
    let is_end = |byte: &u8| *byte == b'\n';
    let column = before.rsplit(is_end).next().map_or(0, <[u8]>::len);
    (before.split(is_end).count(), column)
}

/// The most brackets that are open at once, outside texts.
fn deepest(bytes: &[u8]) -> usize {
    let (mut open, mut most, mut in_text, mut escaped) = (0usize, 0, false, false);
    for byte in bytes {
        match byte {
            _ if escaped => escaped = false,
            b'\\' if in_text => escaped = true,
            b'"' => in_text = !in_text,
            b'{' | b'[' if !in_text => open += 1,
            b'}' | b']' if !in_text => open = open.saturating_sub(1),
            _ => {}
        }
        most = most.max(open);
    }
    most
}

/// Parses a document, which may begin with a byte order mark. serde_json validates it first; then it is split in one
/// pass.
pub(crate) fn parse(bytes: &[u8]) -> Result<Node<'_>, NotJson> {
    let bytes = bytes.strip_prefix("\u{feff}".as_bytes()).unwrap_or(bytes);
    let checked: &RawValue = serde_json::from_slice(bytes).map_err(|fault| NotJson::of(bytes, &fault))?;
    let end = bytes.trim_ascii_end().len();
    Walk { before: bytes.get(..end).unwrap_or_default(), rest: checked.get() }.node(MAX_DEPTH)
}

/// The rest of a text that is known to be valid JSON.
struct Walk<'a> {
    /// The document up to its last character; `rest` is its end.
    before: &'a [u8],
    rest: &'a str,
}

impl<'a> Walk<'a> {
    fn node(&mut self, levels: usize) -> Result<Node<'a>, NotJson> {
        let levels = levels.checked_sub(1).ok_or(NotJson::TooDeep)?;
        Ok(match self.next() {
            Some(b'{') => {
                let mut members = Vec::new();
                self.skip(1);
                while self.next() == Some(b'"') {
                    let name = self.text()?;
                    self.skip_separator(b':');
                    members.push((name, self.node(levels)?));
                    self.skip_separator(b',');
                }
                self.skip(1);
                Node::Object(members)
            }
            Some(b'[') => {
                let mut parts = Vec::new();
                self.skip(1);
                while self.next().is_some_and(|byte| byte != b']') {
                    parts.push(self.node(levels)?);
                    self.skip_separator(b',');
                }
                self.skip(1);
                Node::List(parts)
            }
            Some(b'"') => Node::Text(self.text()?),
            Some(b'n') => {
                self.plain();
                Node::Null
            }
            Some(b't' | b'f') => Node::Flag(self.plain() == "true"),
            _ => Node::Number(self.plain()),
        })
    }

    /// The first byte that is not a blank.
    fn next(&mut self) -> Option<u8> {
        self.rest = self.rest.trim_start_matches([' ', '\t', '\n', '\r']);
        self.rest.bytes().next()
    }

    fn skip(&mut self, bytes: usize) -> &'a str {
        let (skipped, rest) = self.rest.split_at_checked(bytes).unwrap_or((self.rest, ""));
        self.rest = rest;
        skipped
    }

    fn skip_separator(&mut self, separator: u8) {
        if self.next() == Some(separator) {
            self.skip(1);
        }
    }

    fn text(&mut self) -> Result<Cow<'a, str>, NotJson> {
        let mut escaped = false;
        let end = self.rest.bytes().skip(1).position(|byte| {
            let ends = byte == b'"' && !escaped;
            escaped = byte == b'\\' && !escaped;
            ends
        });
        let at = self.before.len() - self.rest.len();
        let quoted = self.skip(end.map_or(self.rest.len(), |end| end + 2));
        match quoted.get(1..quoted.len().saturating_sub(1)) {
            Some(plain) if !plain.contains('\\') => Ok(plain.into()),
            _ => serde_json::from_str(quoted)
                .map(Cow::Owned)
                .map_err(|fault| self.half_character(at + fault.column())),
        }
    }

    /// A text of valid JSON cannot be read only if it has half a character; it ends here.
    fn half_character(&self, end: usize) -> NotJson {
        let (line, column) = place(self.before, end);
        NotJson::HalfCharacter { line, column }
    }

    /// A number or literal, up to its end.
    fn plain(&mut self) -> &'a str {
        let ends = |c: char| matches!(c, ',' | ']' | '}' | ' ' | '\t' | '\n' | '\r');
        self.skip(self.rest.find(ends).unwrap_or(self.rest.len()))
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
        let broken: [&[u8]; 7] = [b"", b"{", b"{\"a\":}", b"{'a':1}", b"nul", b"{} {}", b"[1,]"];
        for bytes in broken {
            assert!(
                matches!(parse(bytes), Err(NotJson::Syntax { .. })),
                "{}",
                String::from_utf8_lossy(bytes)
            );
        }
        for levels in [MAX_DEPTH + 1, 127, 128, 129, 5_000, 200_000] {
            let deep = ["[".repeat(levels), "]".repeat(levels)].concat();
            assert_eq!(parse(deep.as_bytes()), Err(NotJson::TooDeep), "{levels}");
            assert_eq!(parse(&b"[".repeat(levels)), Err(NotJson::TooDeep), "{levels}");
        }
        let texts = format!("[\"{}\\\"{}\", }}", "[".repeat(50), "{".repeat(50));
        assert!(matches!(parse(texts.as_bytes()), Err(NotJson::Syntax { .. })));
    }

    #[test]
    fn another_encoding_is_said_to_be_one() {
        let latin = b"{\n \"name\": \"M\xfcller\"}";
        assert_eq!(parse(latin), Err(NotJson::NotUtf8 { line: 2, column: 12 }));
        let wide =
            |order: fn(u16) -> [u8; 2], text: &str| text.encode_utf16().flat_map(order).collect::<Vec<_>>();
        for text in ["{\"a\": 1}", "\u{feff}{\"a\": 1}"] {
            for order in [u16::to_le_bytes, u16::to_be_bytes] {
                assert!(matches!(parse(&wide(order, text)), Err(NotJson::NotUtf8 { line: 1, .. })), "{text}");
            }
        }
        let problem = parse(latin).unwrap_err().to_string();
        assert!(problem.contains("UTF-8") && !problem.contains("ller"), "{problem}");
    }

    #[test]
    fn a_cut_emoji_is_found_in_its_line() {
        let half = |line, column| Err(NotJson::HalfCharacter { line, column });
        assert_eq!(parse(b"\"\\ud83d\""), half(1, 8));
        assert_eq!(parse(b" \n{\"a\": 1,\n  \"b\": \"Ann \\ud83d\"}\n\n"), half(3, 19));
        assert_eq!(parse(b"\xef\xbb\xbf{\"\\ude00\": 1}"), half(1, 8));
        assert_eq!(parse(b"\"\\ud83d\\ude00\""), Ok(Node::Text("\u{1f600}".into())));
    }

    #[test]
    fn a_byte_order_mark_is_no_part_of_a_document() {
        assert_eq!(parse("\u{feff}[]".as_bytes()), Ok(Node::List(Vec::new())));
        assert!(parse("\u{feff}\u{feff}[]".as_bytes()).is_err());
    }

    fn as_value(node: &Node<'_>) -> serde_json::Value {
        match node {
            Node::Null => serde_json::Value::Null,
            Node::Flag(flag) => (*flag).into(),
            Node::Number(digits) => digits.parse::<i64>().unwrap().into(),
            Node::Text(text) | Node::Parameter(text) => text.as_ref().into(),
            Node::List(parts) => parts.iter().map(as_value).collect(),
            Node::Object(members) => {
                members.iter().map(|(name, node)| (name.clone().into_owned(), as_value(node))).collect()
            }
        }
    }

    fn values() -> impl Strategy<Value = serde_json::Value> {
        let leaf = prop_oneof![
            Just(serde_json::Value::Null),
            any::<bool>().prop_map(Into::into),
            any::<i64>().prop_map(Into::into),
            ".{0,8}".prop_map(Into::into),
            "[\\\\\"{}:, \\[\\]]{0,8}".prop_map(Into::into),
        ];
        leaf.prop_recursive(4, 40, 5, |inner| {
            prop_oneof![
                proptest::collection::vec(inner.clone(), 0..5).prop_map(Into::into),
                proptest::collection::btree_map("[a\\\\\": ]{0,4}", inner, 0..5)
                    .prop_map(|members| members.into_iter().collect()),
            ]
        })
    }

    proptest! {
        #[test]
        fn every_document_is_parsed_as_serde_parses_it(value in values()) {
            for text in [value.to_string(), serde_json::to_string_pretty(&value).unwrap()] {
                prop_assert_eq!(as_value(&parse(text.as_bytes()).unwrap()), value.clone());
            }
        }

        #[test]
        fn no_bytes_make_the_parser_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _ = parse(&bytes);
        }
    }
}
