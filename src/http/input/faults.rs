//! Collects the errors of a request with their JSON pointers.

use std::cell::RefCell;
use std::fmt;

use super::json::Node;
use crate::http::card::{self, CARD_FOUND};
use crate::http::problem::{Code, FieldError, Problem};

/// The most errors that are reported.
const MAX_FAULTS: usize = 200;

/// Longer pointers are cut.
const MAX_POINTER: usize = 300;

#[derive(Default)]
pub(super) struct FieldErrors(RefCell<Vec<FieldError>>);

impl FieldErrors {
    /// Records an error and returns `None`, so that a reader can return it.
    pub(super) fn add<T>(&self, pointer: &Pointer<'_>, code: Code, detail: impl Into<String>) -> Option<T> {
        let mut faults = self.0.borrow_mut();
        if faults.len() < MAX_FAULTS {
            let pointer: String = pointer.to_string().chars().take(MAX_POINTER).collect();
            faults.push(FieldError::new(pointer, code, detail));
        }
        None
    }

    /// The value that was read, or the problem if there are errors.
    pub(super) fn or<T>(self, read: Option<T>) -> Result<T, Problem> {
        let faults = self.0.into_inner();
        match read {
            Some(value) if faults.is_empty() => Ok(value),
            _ if faults.is_empty() => {
                Err(Problem::internal("a reader returned nothing and recorded no error"))
            }
            _ => Err(Problem::faulty(faults)),
        }
    }
}

/// The position of a value.
#[derive(Clone, Copy)]
pub(super) enum Pointer<'p> {
    Body,
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

/// Records every card number. One in the name of a member is reported at its object. A `sku` may be a barcode.
pub(super) fn find_cards(node: &Node<'_>, pointer: &Pointer<'_>, faults: &FieldErrors) {
    let report = || {
        faults.add::<()>(pointer, Code::CardDataRefused, CARD_FOUND);
    };
    match node {
        Node::Text(text) if matches!(pointer, Pointer::Member(_, "sku")) && card::is_gtin(text) => {}
        Node::Number(text) if card::contains_pan(text) => report(),
        Node::Text(text) | Node::Parameter(text) if card::contains_pan(text) => report(),
        Node::Null | Node::Flag(_) | Node::Number(_) | Node::Text(_) | Node::Parameter(_) => {}
        Node::List(parts) => {
            for (index, part) in parts.iter().enumerate() {
                find_cards(part, &Pointer::Part(pointer, index), faults);
            }
        }
        Node::Object(members) => {
            for (name, value) in members {
                if card::contains_pan(name) {
                    report();
                } else {
                    find_cards(value, &Pointer::Member(pointer, name), faults);
                }
            }
        }
    }
}
