//! What a request may say, as values: what the readers give where they describe instead of reading.

use std::ops::RangeInclusive;

/// What a value may be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Schema {
    /// One line of 1 to so many characters.
    Line(usize),
    /// A text of at most so many characters, which may have several lines.
    Lines(usize),
    /// A text with a form of its own.
    Formed {
        /// The form, for people; it may end with `, such as …`.
        what: &'static str,
        /// The most characters, where the form itself has no end.
        max: Option<usize>,
    },
    /// One of these words.
    OneOf(&'static [&'static str]),
    /// True or false.
    Flag,
    /// A whole number in a range.
    Integer(RangeInclusive<i64>),
    /// Minor units of a currency, in a range.
    Amount(RangeInclusive<i64>),
    /// Named fields, and no others.
    Object(Object),
    /// One of two schemas.
    Either(Box<[Schema; 2]>),
    /// A list.
    List {
        /// The most entries.
        max: usize,
        /// What each entry is.
        of: Box<Schema>,
    },
    /// Names and texts of the merchant's own.
    Pairs {
        /// The most names.
        max: usize,
        /// The most characters of a name.
        max_name: usize,
        /// The most characters of a text.
        max_text: usize,
    },
}

/// The fields of an object.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Object {
    /// In the order of reading.
    pub fields: Vec<Field>,
    /// What must hold between fields, in sentences.
    pub rules: Vec<&'static str>,
}

/// A field of an object, or a parameter of a query.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Field {
    /// Its name.
    pub name: &'static str,
    /// Whether it may be left out or null.
    pub presence: Presence,
    /// What it may be.
    pub schema: Schema,
}

/// Whether a field may be left out or null.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Presence {
    /// It must be there.
    Required,
    /// It may be left out or null, which is the same.
    Optional,
    /// Left out it stays as it is, null clears it.
    Clearable,
    /// Left out it stays as it is; it cannot be null.
    Kept,
}

impl Schema {
    /// The example that the words of a form end with.
    pub fn example(&self) -> Option<&'static str> {
        match self {
            Self::Formed { what, .. } => Some(what.rsplit_once(", such as ")?.1),
            _ => None,
        }
    }
}
