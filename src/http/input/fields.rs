//! Reading the fields of an object, and describing them.

use std::borrow::Cow;
use std::cell::RefCell;

use super::faults::Pointer;
use super::json::Node;
use super::reader::{Given, Value, describe};
use super::schema::{Field, Object, Presence};
use crate::http::problem::Code;

/// The members of an object.
pub(crate) enum Fields<'r> {
    /// Of an object in a request, with the names that its reader takes.
    Given { of: Given<'r>, members: &'r [(Cow<'r, str>, Node<'r>)], taken: RefCell<Vec<&'static str>> },
    /// Of none: the reader leaves their descriptions.
    Described(&'r RefCell<Object>),
}

impl Fields<'_> {
    /// A field that must be there.
    pub(crate) fn required<T>(
        &self,
        name: &'static str,
        reader: impl FnOnce(Value<'_>) -> Option<T>,
    ) -> Option<T> {
        self.field(name, Presence::Required, reader)?
    }

    /// A field that may be left out or null.
    pub(crate) fn optional<T>(
        &self,
        name: &'static str,
        reader: impl FnOnce(Value<'_>) -> Option<T>,
    ) -> Option<T> {
        self.field(name, Presence::Optional, reader)?
    }

    /// A field of a change: not there, null, or a value.
    pub(crate) fn clearable<T>(
        &self,
        name: &'static str,
        reader: impl FnOnce(Value<'_>) -> Option<T>,
    ) -> Option<Option<T>> {
        self.field(name, Presence::Clearable, reader)
    }

    /// A field of a change that cannot be cleared: not there, or a value.
    pub(crate) fn kept<T>(
        &self,
        name: &'static str,
        reader: impl FnOnce(Value<'_>) -> Option<T>,
    ) -> Option<T> {
        self.field(name, Presence::Kept, reader)?
    }

    /// A field: not there; null, or with a fault; or a value.
    pub(crate) fn field<T>(
        &self,
        name: &'static str,
        presence: Presence,
        reader: impl FnOnce(Value<'_>) -> Option<T>,
    ) -> Option<Option<T>> {
        let (of, taken) = match self {
            Self::Given { of, taken, .. } => (of, taken),
            Self::Described(object) => {
                let field = Field { name, presence, schema: describe(reader) };
                object.borrow_mut().fields.push(field);
                return None;
            }
        };
        taken.borrow_mut().push(name);
        match (self.node(name), presence) {
            (None | Some(Node::Null), Presence::Required) => self.missing(name),
            (None, _) => None,
            (Some(Node::Null), Presence::Kept) => self.fault(name, Code::WrongType, "This cannot be null."),
            (Some(Node::Null), _) => Some(None),
            (Some(node), _) => {
                let pointer = Pointer::Member(of.pointer, name);
                Some(reader(Value::Given(Given { node, pointer: &pointer, ..*of })))
            }
        }
    }

    /// What must hold between fields, for a description; the reader sees to it.
    pub(crate) fn rules(&self, sentences: &[&'static str]) {
        if let Self::Described(object) = self {
            object.borrow_mut().rules.extend_from_slice(sentences);
        }
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
        match self {
            Self::Given { of, .. } => of.faults.note(&Pointer::Member(of.pointer, name), code, detail),
            Self::Described(_) => None,
        }
    }

    fn node(&self, name: &str) -> Option<&Node<'_>> {
        let Self::Given { members, .. } = self else { return None };
        members.iter().find(|(given, _)| given == name).map(|(_, node)| node)
    }

    /// Notes the fields that the reader did not take, and those that are given twice.
    pub(super) fn reject_others(&self) {
        let Self::Given { members, taken, .. } = self else { return };
        let taken = taken.borrow();
        for (index, (name, _)) in members.iter().enumerate() {
            if !taken.contains(&&**name) {
                self.fault::<()>(name, Code::UnknownField, "This is not known here.");
            } else if members.iter().take(index).any(|(before, _)| before == name) {
                self.fault::<()>(name, Code::DuplicateField, "This is given twice.");
            }
        }
    }
}
