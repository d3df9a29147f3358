//! Reading a parsed request strictly, with every fault at once.
//!
//! A reader takes what it needs from a [`Value`] or from the [`Fields`] of an object. What does not fit is noted
//! with its place, and reading goes on; a value that was read counts only if nothing was noted in the end.

use std::cell::RefCell;
use std::fmt;
use std::ops::RangeInclusive;
use std::str::FromStr;

use serde::Deserialize;
use serde::de::value::{Error as DeError, StrDeserializer};

use super::json::Node;
use crate::http::card;
use crate::http::problem::{Code, FieldError, Problem};

/// More faults than anybody reads.
const MAX_FAULTS: usize = 200;

/// Longer pointers than any that the API has are cut.
const MAX_POINTER: usize = 300;

/// The faults found so far.
#[derive(Default)]
pub(crate) struct FieldErrors(RefCell<Vec<FieldError>>);

impl FieldErrors {
    /// Notes one, and answers nothing, so that a reader can end with it.
    pub(crate) fn note<T>(&self, pointer: String, code: Code, detail: impl Into<String>) -> Option<T> {
        let mut faults = self.0.borrow_mut();
        if faults.len() < MAX_FAULTS {
            faults.push(FieldError { pointer, code, detail: detail.into() });
        }
        None
    }

    /// The value that was read, or the problem.
    pub(crate) fn or<T>(self, read: Option<T>) -> Result<T, Problem> {
        let faults = self.0.into_inner();
        match read {
            Some(value) if faults.is_empty() => Ok(value),
            _ if faults.is_empty() => Err(Problem::internal("a reader gave up without naming a fault")),
            _ => Err(Problem::faulty(faults)),
        }
    }
}

/// Where a value stands.
#[derive(Clone, Copy)]
enum Pointer<'p> {
    Top,
    Member(&'p Pointer<'p>, &'p str),
    Part(&'p Pointer<'p>, usize),
}

impl fmt::Display for Pointer<'_> {
    /// A JSON pointer, RFC 6901.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Top => Ok(()),
            Self::Member(of, name) => write!(f, "{of}/{}", name.replace('~', "~0").replace('/', "~1")),
            Self::Part(of, index) => write!(f, "{of}/{index}"),
        }
    }
}

impl Pointer<'_> {
    fn pointer(&self) -> String {
        let whole = self.to_string();
        whole.chars().take(MAX_POINTER).collect()
    }
}

/// A value with its place.
#[derive(Clone, Copy)]
pub(crate) struct Value<'r> {
    node: &'r Node<'r>,
    place: &'r Pointer<'r>,
    faults: &'r FieldErrors,
}

/// Reads a whole request. A card number anywhere in it refuses it, whatever else is wrong.
pub(crate) fn read<T>(root: &Node<'_>, reader: impl FnOnce(Value<'_>) -> Option<T>) -> Result<T, Problem> {
    let cards = FieldErrors::default();
    find_cards(root, &Pointer::Top, &cards);
    cards.or(Some(()))?;
    let faults = FieldErrors::default();
    let read = reader(Value { node: root, place: &Pointer::Top, faults: &faults });
    faults.or(read)
}

/// Notes every place of a card number. A name that holds one is reported at the object that has it.
fn find_cards(node: &Node<'_>, place: &Pointer<'_>, faults: &FieldErrors) {
    let note = |place: &Pointer<'_>| {
        faults.note::<()>(place.pointer(), Code::CardDataRefused, "This holds a card number.");
    };
    match node {
        Node::Null | Node::Flag(_) => {}
        Node::Number(digits) if card::contains_pan(digits) => note(place),
        Node::Text(text) if card::contains_pan(text) => note(place),
        Node::Number(_) | Node::Text(_) => {}
        Node::List(parts) => {
            for (index, part) in parts.iter().enumerate() {
                find_cards(part, &Pointer::Part(place, index), faults);
            }
        }
        Node::Object(members) => {
            for (name, value) in members {
                if card::contains_pan(name) {
                    note(place);
                } else {
                    find_cards(value, &Pointer::Member(place, name), faults);
                }
            }
        }
    }
}

impl<'r> Value<'r> {
    /// Notes a fault at this place.
    pub(crate) fn fault<T>(self, code: Code, detail: impl Into<String>) -> Option<T> {
        self.faults.note(self.place.pointer(), code, detail)
    }

    /// Whether it is an object.
    pub(crate) fn is_object(self) -> bool {
        matches!(self.node, Node::Object(_))
    }

    /// An object; fields that the reader does not ask for are faults, and so are those given twice.
    pub(crate) fn object<T>(self, reader: impl FnOnce(&Fields<'_>) -> Option<T>) -> Option<T> {
        let Node::Object(members) = self.node else {
            return self.fault(Code::WrongType, "This must be an object.");
        };
        let fields = Fields { of: self, members, known: RefCell::default() };
        let read = reader(&fields);
        fields.reject_unknown_fields();
        read
    }

    /// A list of at most `most` values.
    pub(crate) fn list<T>(
        self,
        most: usize,
        too_many: Code,
        mut reader: impl FnMut(Value<'_>) -> Option<T>,
    ) -> Option<Vec<T>> {
        let Node::List(parts) = self.node else { return self.fault(Code::WrongType, "This must be a list.") };
        if parts.len() > most {
            return self.fault(too_many, format!("This list has at most {most} entries."));
        }
        // Every entry is read before the first failure counts, so that all faults are found.
        let read = parts.iter().enumerate().map(|(index, node)| {
            let place = Pointer::Part(self.place, index);
            reader(Value { node, place: &place, faults: self.faults })
        });
        read.collect::<Vec<_>>().into_iter().collect()
    }

    /// Names and texts of the merchant's own.
    pub(crate) fn pairs(
        self,
        most: usize,
        longest_name: usize,
        longest: usize,
    ) -> Option<Vec<(String, String)>> {
        let Node::Object(members) = self.node else {
            return self.fault(Code::WrongType, "This must be an object.");
        };
        if members.len() > most {
            return self.fault(Code::TooLong, format!("At most {most} names may be given."));
        }
        let read = members.iter().enumerate().map(|(index, (name, node))| {
            let place = Pointer::Member(self.place, name);
            let value = Value { node, place: &place, faults: self.faults };
            if members.iter().take(index).any(|(before, _)| before == name) {
                return value.fault(Code::DuplicateField, "This name is given twice.");
            }
            let good =
                (1..=longest_name).contains(&name.chars().count()) && !name.chars().any(char::is_control);
            if !good {
                return value.fault(Code::TooLong, format!("A name has 1 to {longest_name} characters."));
            }
            Some((name.clone(), value.lines(longest)?))
        });
        read.collect::<Vec<_>>().into_iter().collect()
    }

    fn raw_text(self) -> Option<&'r str> {
        match self.node {
            Node::Text(text) => Some(text),
            _ => self.fault(Code::WrongType, "This must be a text."),
        }
    }

    /// One line of 1 to `longest` characters.
    pub(crate) fn text(self, longest: usize) -> Option<String> {
        let text = self.lines(longest)?;
        if text.trim().is_empty() {
            return self.fault(Code::InvalidValue, "This text must not be empty.");
        }
        if text.contains(['\n', '\r', '\t']) {
            return self.fault(Code::InvalidValue, "This text must be one line without control characters.");
        }
        Some(text)
    }

    /// One line of at most `longest` characters with a form that `fits` checks; `what` says which, for people.
    pub(crate) fn text_of(
        self,
        longest: usize,
        what: &str,
        fits: impl FnOnce(&str) -> bool,
    ) -> Option<String> {
        let text = self.text(longest)?;
        if fits(&text) {
            return Some(text);
        }
        self.fault(Code::InvalidValue, format!("This must be {what}."))
    }

    /// A text of at most `longest` characters, which may have several lines.
    pub(crate) fn lines(self, longest: usize) -> Option<String> {
        let text = self.raw_text()?;
        if text.chars().count() > longest {
            return self.fault(Code::TooLong, format!("This text has at most {longest} characters."));
        }
        if text.chars().any(|c| c.is_control() && !matches!(c, '\n' | '\r' | '\t')) {
            return self.fault(Code::InvalidValue, "This text must not have control characters.");
        }
        Some(text.to_owned())
    }

    /// True or false.
    pub(crate) fn flag(self) -> Option<bool> {
        match self.node {
            Node::Flag(flag) => Some(*flag),
            _ => self.fault(Code::WrongType, "This must be true or false."),
        }
    }

    /// A whole number in a range.
    pub(crate) fn integer(self, range: RangeInclusive<i64>) -> Option<i64> {
        let digits = self.digits()?;
        match digits.parse().ok().filter(|number| range.contains(number)) {
            Some(number) => Some(number),
            None => self.fault(
                Code::OutOfRange,
                format!("This number must be from {} to {}.", range.start(), range.end()),
            ),
        }
    }

    /// The digits of a whole number, written without fraction and exponent.
    pub(crate) fn digits(self) -> Option<&'r str> {
        let Node::Number(digits) = self.node else {
            return self.fault(Code::WrongType, "This must be a number.");
        };
        let plain = digits.strip_prefix('-').unwrap_or(digits);
        if plain.bytes().all(|byte| byte.is_ascii_digit()) {
            Some(digits)
        } else {
            self.fault(Code::NotAnInteger, "This must be a whole number, written with digits only.")
        }
    }

    /// A text with a form of its own; `what` says which, for people.
    pub(crate) fn parsed<T: FromStr>(self, what: &str) -> Option<T> {
        match self.raw_text()?.parse() {
            Ok(value) => Some(value),
            Err(_) => self.fault(Code::InvalidValue, format!("This must be {what}.")),
        }
    }

    /// One of a closed set of words, which `words` lists for people.
    pub(crate) fn enum_value<T: for<'de> Deserialize<'de>>(self, words: &str) -> Option<T> {
        let text = self.raw_text()?;
        match T::deserialize(StrDeserializer::<DeError>::new(text)) {
            Ok(value) => Some(value),
            Err(_) => self.fault(Code::InvalidValue, format!("This must be one of {words}.")),
        }
    }
}

/// The members of an object.
pub(crate) struct Fields<'r> {
    of: Value<'r>,
    members: &'r [(String, Node<'r>)],
    known: RefCell<Vec<&'static str>>,
}

impl Fields<'_> {
    /// A field that must be there.
    pub(crate) fn required<T>(
        &self,
        name: &'static str,
        reader: impl FnOnce(Value<'_>) -> Option<T>,
    ) -> Option<T> {
        match self.clearable(name, reader) {
            Some(Some(value)) => Some(value),
            Some(None) if self.is_given(name) => None,
            Some(None) | None => self.missing(name),
        }
    }

    /// A field that may be left out or null.
    pub(crate) fn optional<T>(
        &self,
        name: &'static str,
        reader: impl FnOnce(Value<'_>) -> Option<T>,
    ) -> Option<T> {
        self.clearable(name, reader).flatten()
    }

    /// A field of a change: not there, null, or a value.
    pub(crate) fn clearable<T>(
        &self,
        name: &'static str,
        reader: impl FnOnce(Value<'_>) -> Option<T>,
    ) -> Option<Option<T>> {
        self.known.borrow_mut().push(name);
        let node = self.node(name)?;
        if *node == Node::Null {
            return Some(None);
        }
        let place = Pointer::Member(self.of.place, name);
        Some(reader(Value { node, place: &place, faults: self.of.faults }))
    }

    /// Whether the field is there and not null.
    pub(crate) fn is_given(&self, name: &str) -> bool {
        self.node(name).is_some_and(|node| *node != Node::Null)
    }

    /// Notes that a field is missing.
    pub(crate) fn missing<T>(&self, name: &str) -> Option<T> {
        self.fault(name, Code::FieldMissing, format!("`{name}` is needed."))
    }

    /// Notes a fault of a field.
    pub(crate) fn fault<T>(&self, name: &str, code: Code, detail: impl Into<String>) -> Option<T> {
        let pointer = Pointer::Member(self.of.place, name).pointer();
        self.of.faults.note(pointer, code, detail)
    }

    fn node(&self, name: &str) -> Option<&Node<'_>> {
        self.members.iter().find(|(given, _)| given == name).map(|(_, node)| node)
    }

    fn reject_unknown_fields(&self) {
        let known = self.known.borrow();
        for (index, (name, _)) in self.members.iter().enumerate() {
            if !known.contains(&name.as_str()) {
                self.fault::<()>(name, Code::UnknownField, "This field is not known here.");
            } else if self.members.iter().take(index).any(|(before, _)| before == name) {
                self.fault::<()>(name, Code::DuplicateField, "This field is given twice.");
            }
        }
    }
}
