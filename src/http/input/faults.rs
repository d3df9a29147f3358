//! What is wrong in a request, and where.

use std::cell::RefCell;
use std::fmt;

use super::json::Node;
use crate::http::card;
use crate::http::problem::{Code, FieldError, Problem};

/// More faults than anybody reads.
const MAX_FAULTS: usize = 200;

/// Longer pointers than any that the API has are cut.
const MAX_POINTER: usize = 300;

/// The faults found so far.
#[derive(Default)]
pub(super) struct FieldErrors(RefCell<Vec<FieldError>>);

impl FieldErrors {
    /// Notes one, and answers nothing, so that a reader can end with it.
    pub(super) fn note<T>(&self, pointer: &Pointer<'_>, code: Code, detail: impl Into<String>) -> Option<T> {
        let mut faults = self.0.borrow_mut();
        if faults.len() < MAX_FAULTS {
            let pointer = pointer.to_string().chars().take(MAX_POINTER).collect();
            faults.push(FieldError { pointer, code, detail: detail.into() });
        }
        None
    }

    /// The value that was read, or the problem.
    pub(super) fn or<T>(self, read: Option<T>) -> Result<T, Problem> {
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
pub(super) enum Pointer<'p> {
    /// The whole body.
    Body,
    /// The whole query.
    Query,
    Member(&'p Pointer<'p>, &'p str),
    Part(&'p Pointer<'p>, usize),
}

impl fmt::Display for Pointer<'_> {
    /// A JSON pointer (RFC 6901), or `?name` for a parameter.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Body | Self::Query => Ok(()),
            Self::Member(Pointer::Query, name) => write!(f, "?{name}"),
            Self::Member(of, name) => write!(f, "{of}/{}", name.replace('~', "~0").replace('/', "~1")),
            Self::Part(of, index) => write!(f, "{of}/{index}"),
        }
    }
}

/// Notes every place of a card number. A name that holds one is reported at the object that has it.
pub(super) fn find_cards(node: &Node<'_>, pointer: &Pointer<'_>, faults: &FieldErrors) {
    let note = |pointer: &Pointer<'_>| {
        faults.note::<()>(pointer, Code::CardDataRefused, "This holds a card number.");
    };
    match node {
        Node::Null | Node::Flag(_) => {}
        Node::Number(digits) if card::contains_pan(digits) => note(pointer),
        Node::Text(text) if card::contains_pan(text) => note(pointer),
        Node::Parameter(text) if card::contains_pan(text) => note(pointer),
        Node::Number(_) | Node::Text(_) | Node::Parameter(_) => {}
        Node::List(parts) => {
            for (index, part) in parts.iter().enumerate() {
                find_cards(part, &Pointer::Part(pointer, index), faults);
            }
        }
        Node::Object(members) => {
            for (name, value) in members {
                if card::contains_pan(name) {
                    note(pointer);
                } else {
                    find_cards(value, &Pointer::Member(pointer, name), faults);
                }
            }
        }
    }
}
