//! The schema of a request, as readers describe it.

use std::ops::RangeInclusive;

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Schema {
    /// One line of 1 to that many characters.
    Line(usize),
    /// A text of at most that many characters, which may have several lines.
    Lines(usize),
    /// A text with its own form.
    Formed {
        /// The form in words; it may end with `, such as …`.
        what: &'static str,
        /// The most characters, where the form itself does not limit them.
        max: Option<usize>,
    },
    OneOf(&'static [&'static str]),
    Flag,
    Integer(RangeInclusive<i64>),
    /// Minor units of a currency, in a range.
    Amount(RangeInclusive<i64>),
    /// Named fields, and no others.
    Object(Object),
    Either(Box<[Schema; 2]>),
    /// A list of at most `max` entries.
    List {
        max: usize,
        of: Box<Schema>,
    },
    /// At most `max` pairs of name and text, for metadata, with the most characters of each.
    Pairs {
        max: usize,
        max_name: usize,
        max_text: usize,
    },
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Object {
    /// In the order of reading.
    pub fields: Vec<Field>,
    /// Rules between fields, as sentences.
    pub rules: Vec<&'static str>,
}

/// A field of an object, or a parameter of a query.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Field {
    pub name: &'static str,
    pub presence: Presence,
    pub schema: Schema,
}

/// Whether a field may be left out or null.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Presence {
    Required,
    /// Left out or null, which mean the same.
    Optional,
    /// Left out, it keeps its value; null clears it.
    Clearable,
    /// Left out, it keeps its value; it cannot be null.
    NotNull,
    /// As `Clearable`; an empty text means the same as null.
    MayBeEmpty,
}
