//! Reading the query of an address strictly, with every fault at once.

use std::borrow::Cow;
use std::cell::RefCell;
use std::str::FromStr;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::Deserialize;
use serde::de::value::{Error as DeError, StrDeserializer};

use super::reader::FieldErrors;
use crate::http::problem::{Code, Problem};
use crate::store::Page;

/// Entries of a page: at most, and where nothing is said.
const MAX: u32 = 200;
const USUAL: u32 = 50;

/// Longer parameters than any that the API has are cut where they are named.
const MAX_NAME: usize = 100;

/// The parameters of an address.
pub(in crate::http) struct Query<'q> {
    pairs: Vec<(Cow<'q, str>, Cow<'q, str>)>,
    known: RefCell<Vec<&'static str>>,
    faults: FieldErrors,
}

impl<'q> Query<'q> {
    /// Of the text behind the question mark.
    pub(in crate::http) fn of(text: &'q str) -> Self {
        let pairs = url::form_urlencoded::parse(text.as_bytes()).collect();
        Self { pairs, known: RefCell::default(), faults: FieldErrors::default() }
    }

    /// A parameter as text.
    pub(in crate::http) fn text(&self, name: &'static str) -> Option<&str> {
        self.known.borrow_mut().push(name);
        let mut given = self.pairs.iter().filter(|(known, _)| known == name).map(|(_, value)| &**value);
        let first = given.next();
        if given.next().is_some() {
            return self.fault(name, Code::DuplicateField, "This parameter is given twice.");
        }
        first
    }

    /// A parameter with a form of its own; `what` says which.
    pub(in crate::http) fn parsed<T: FromStr>(&self, name: &'static str, what: &str) -> Option<T> {
        match self.text(name)?.parse() {
            Ok(value) => Some(value),
            Err(_) => self.fault(name, Code::InvalidValue, format!("This must be {what}.")),
        }
    }

    /// One of a closed set of words, in the API's own writing.
    pub(in crate::http) fn enum_value<T: for<'de> Deserialize<'de>>(&self, name: &'static str) -> Option<T> {
        match T::deserialize(StrDeserializer::<DeError>::new(self.text(name)?)) {
            Ok(value) => Some(value),
            Err(_) => self.fault(name, Code::InvalidValue, "This is not one of the words of the API."),
        }
    }

    /// Which page: what it begins after, as `read` reads it, and `limit`.
    pub(in crate::http) fn page_after<T>(&self, read: impl FnOnce(&str) -> Option<T>) -> (Option<T>, u32) {
        let Page { before, limit } = self.page();
        let Some(text) = before else { return (None, limit) };
        let after = read(&text);
        if after.is_none() {
            self.bad_cursor();
        }
        (after, limit)
    }

    /// Which page: `limit` and `cursor`.
    pub(in crate::http) fn page(&self) -> Page {
        let limit = self.parsed("limit", "a whole number from 1 to 200").unwrap_or(USUAL);
        if !(1..=MAX).contains(&limit) {
            self.fault::<()>("limit", Code::OutOfRange, format!("A page has 1 to {MAX} entries."));
        }
        let before = self.text("cursor").and_then(|cursor| {
            let id = read_cursor(cursor);
            if id.is_none() {
                self.bad_cursor();
            }
            id
        });
        Page { before, limit }
    }

    /// Notes that the cursor is none of this list's.
    fn bad_cursor(&self) {
        self.fault::<()>("cursor", Code::InvalidValue, "This must be the `nextCursor` of a page before.");
    }

    /// Done: parameters that nobody asked for are faults.
    pub(in crate::http) fn finish<T>(self, read: T) -> Result<T, Problem> {
        let known = self.known.borrow();
        for (name, _) in self.pairs.iter().filter(|(name, _)| !known.contains(&&**name)) {
            self.fault::<()>(name, Code::UnknownField, "This parameter is not known here.");
        }
        drop(known);
        self.faults.or(Some(read))
    }

    fn fault<T>(&self, name: &str, code: Code, detail: impl Into<String>) -> Option<T> {
        let name: String = name.chars().take(MAX_NAME).collect();
        self.faults.note(format!("?{name}"), code, detail)
    }
}

/// What a client sends to get the page behind this row.
pub(in crate::http) fn cursor(last: &str) -> String {
    URL_SAFE_NO_PAD.encode(last)
}

fn read_cursor(cursor: &str) -> Option<String> {
    const MAX: usize = 100;
    if cursor.len() > MAX {
        return None;
    }
    let bytes = URL_SAFE_NO_PAD.decode(cursor).ok()?;
    String::from_utf8(bytes).ok().filter(|id| !id.is_empty())
}
