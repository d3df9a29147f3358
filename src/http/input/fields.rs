//! Reads the fields of an object, or describes them.

use std::borrow::Cow;
use std::cell::RefCell;

use super::faults::Pointer;
use super::json::Node;
use super::reader::{Given, Read, Value, describe};
use super::schema::{Field, Object, Presence};
use crate::http::problem::Code;

/// The members of an object.
pub(crate) enum Fields<'r> {
    /// Of an object in a request, with the names that its reader has read.
    Given { of: Given<'r>, members: &'r [(Cow<'r, str>, Node<'r>)], names: RefCell<Vec<&'static str>> },
    /// No object: collects the descriptions of the fields.
    Described(&'r RefCell<Object>),
}

impl Fields<'_> {
    pub(crate) fn required<T>(&self, name: &'static str, reader: impl Read<T>) -> Option<T> {
        self.field(name, Presence::Required, reader)?
    }

    pub(crate) fn optional<T>(&self, name: &'static str, reader: impl Read<T>) -> Option<T> {
        self.field(name, Presence::Optional, reader)?
    }

    /// A field that forms send empty where there is nothing: an empty text is as good as null.
    pub(crate) fn may_be_empty<T>(&self, name: &'static str, reader: impl Read<T>) -> Option<T> {
        self.field(name, Presence::MayBeEmpty, reader)?
    }

    /// A field that people fill in: it may be empty, and is read as [`Value::typed`].
    pub(crate) fn typed<T>(&self, name: &'static str, reader: impl Read<T>) -> Option<T> {
        self.may_be_empty(name, |value| value.typed(reader))
    }

    /// A field of a change: left out, null, or a value.
    pub(crate) fn clearable<T>(&self, name: &'static str, reader: impl Read<T>) -> Option<Option<T>> {
        self.field(name, Presence::Clearable, reader)
    }

    /// A field of a change that cannot be cleared: left out, or a value.
    pub(crate) fn not_null<T>(&self, name: &'static str, reader: impl Read<T>) -> Option<T> {
        self.field(name, Presence::NotNull, reader)?
    }

    /// A field: `None` if it is left out, `Some(None)` if it is null, empty where it may be, or has an error.
    pub(crate) fn field<T>(
        &self,
        name: &'static str,
        presence: Presence,
        reader: impl Read<T>,
    ) -> Option<Option<T>> {
        let (of, names) = match self {
            Self::Given { of, names, .. } => (of, names),
            Self::Described(object) => {
                let field = Field { name, presence, schema: describe(reader) };
                object.borrow_mut().fields.push(field);
                return None;
            }
        };
        names.borrow_mut().push(name);
        match (self.node(name), presence) {
            (None | Some(Node::Null), Presence::Required) => self.missing(name),
            (None, _) => None,
            (Some(Node::Null), Presence::NotNull) => {
                self.fault(name, Code::WrongType, "This cannot be null.")
            }
            (Some(Node::Null), _) => Some(None),
            (Some(Node::Text(text) | Node::Parameter(text)), Presence::MayBeEmpty)
                if text.trim().is_empty() =>
            {
                Some(None)
            }
            (Some(node), _) => {
                let pointer = Pointer::Member(of.pointer, name);
                Some(reader(Value::Given(Given { node, pointer: &pointer, ..*of })))
            }
        }
    }

    /// Adds rules between fields to a description; the reader checks them itself.
    pub(crate) fn rules(&self, sentences: &[&'static str]) {
        if let Self::Described(object) = self {
            object.borrow_mut().rules.extend_from_slice(sentences);
        }
    }

    /// Whether a field is given and not null.
    pub(crate) fn is_given(&self, name: &str) -> bool {
        self.node(name).is_some_and(|node| *node != Node::Null)
    }

    /// Records that a field is missing.
    pub(crate) fn missing<T>(&self, name: &str) -> Option<T> {
        self.fault(name, Code::FieldMissing, format!("`{name}` is needed."))
    }

    /// Records an error of a field.
    pub(crate) fn fault<T>(&self, name: &str, code: Code, detail: impl Into<String>) -> Option<T> {
        match self {
            Self::Given { of, .. } => of.faults.add(&Pointer::Member(of.pointer, name), code, detail),
            Self::Described(_) => None,
        }
    }

    fn node(&self, name: &str) -> Option<&Node<'_>> {
        let Self::Given { members, .. } = self else { return None };
        members.iter().find(|(given, _)| given == name).map(|(_, node)| node)
    }

    /// Records fields that the reader did not read, and those given twice.
    pub(super) fn reject_others(&self) {
        let Self::Given { members, names, .. } = self else { return };
        let known = names.borrow();
        let unknown = || match known.as_slice() {
            [] => "This is not known here; nothing can be given.".to_owned(),
            names => format!("This is not known here; known are {}.", names.join(", ")),
        };
        for (index, (name, _)) in members.iter().enumerate() {
            if !known.contains(&&**name) {
                self.fault::<()>(name, Code::UnknownField, unknown());
            } else if members.iter().take(index).any(|(before, _)| before == name) {
                self.fault::<()>(name, Code::DuplicateField, "This is given twice.");
            }
        }
    }
}
