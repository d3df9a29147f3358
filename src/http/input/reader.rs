//! Readers: functions that validate a parsed request, reporting all errors at once, and that also describe it.
//!
//! A reader reads a [`Value`] or the [`Fields`] of an object. Errors are recorded with their pointers and reading
//! continues; the result counts only if no error was recorded.
//!
//! The same reader also describes: given [`Value::Described`], each call records the [`Schema`] of what it would read
//! and returns `None`. So a reader must read all fields before it returns early with `?` or uses its [`Context`].

use std::cell::{OnceCell, RefCell};
use std::ops::RangeInclusive;
use std::str::FromStr;

use port::{Currency, Env};
use serde::Deserialize;
use serde::de::value::{Error as DeError, StrDeserializer};

use super::faults::{FieldErrors, Pointer, find_cards};
use super::fields::Fields;
use super::json::Node;
use super::schema::Schema;
use crate::config::{Settings, variants_of};
use crate::domain::{LineItem, PersonalData};
use crate::http::problem::{Code, Problem};

/// What readers need beside the request: defaults, and what is changed.
pub(crate) struct Context<'c> {
    pub(crate) settings: &'c Settings,
    pub(crate) merchant: &'c str,
    /// Gives the time, and ids for new items.
    pub(crate) env: &'c dyn Env,
    /// The currency of the order that is changed.
    pub(crate) currency: Option<Currency>,
    /// The personal data of the order that is changed.
    pub(crate) personal: Option<&'c PersonalData>,
    /// The item that is changed.
    pub(crate) item: Option<&'c LineItem>,
}

/// Why a text is not what it must be.
pub(crate) enum Unfit {
    /// It does not have the form.
    Form,
    /// It has another fault, with the sentence that says so.
    Because(Code, &'static str),
}

/// A function that reads a value.
pub(crate) trait Read<T>: FnOnce(Value<'_>) -> Option<T> {}

impl<T, F: FnOnce(Value<'_>) -> Option<T>> Read<T> for F {}

/// Reads a whole request. If it contains card numbers, only they are reported.
pub(crate) fn read<T>(
    root: &Node<'_>,
    pointer: &Pointer<'_>,
    context: Option<&Context<'_>>,
    reader: impl Read<T>,
) -> Result<T, Problem> {
    let cards = FieldErrors::default();
    find_cards(root, pointer, &cards);
    cards.or(Some(()))?;
    let faults = FieldErrors::default();
    let read = reader(Value::Given(Given { node: root, pointer, faults: &faults, context }));
    faults.or(read)
}

/// The schema of what a reader reads.
pub(crate) fn describe<T>(reader: impl Read<T>) -> Schema {
    let schema = OnceCell::new();
    reader(Value::Described(&schema));
    schema.into_inner().expect("a reader reads its value")
}

/// Records a schema, and returns `None`, so that a reader can return it.
fn record<T>(cell: &OnceCell<Schema>, schema: Schema) -> Option<T> {
    cell.set(schema).expect("a reader reads its value once");
    None
}

/// The input of a reader.
#[derive(Clone, Copy)]
pub(crate) enum Value<'r> {
    /// A value of a request.
    Given(Given<'r>),
    /// No value: the reader records its schema here.
    Described(&'r OnceCell<Schema>),
}

/// A value of a request, with its pointer.
#[derive(Clone, Copy)]
pub(crate) struct Given<'r> {
    pub(super) node: &'r Node<'r>,
    pub(super) pointer: &'r Pointer<'r>,
    pub(super) faults: &'r FieldErrors,
    pub(super) context: Option<&'r Context<'r>>,
}

impl<'r> Value<'r> {
    /// The given value; when describing, records the schema and returns `None`.
    fn given(self, schema: impl FnOnce() -> Schema) -> Option<Given<'r>> {
        match self {
            Self::Given(given) => Some(given),
            Self::Described(cell) => record(cell, schema()),
        }
    }

    /// `None` when describing.
    pub(crate) fn context(self) -> Option<&'r Context<'r>> {
        match self {
            Self::Given(given) => given.context,
            Self::Described(_) => None,
        }
    }

    /// Whether this is a parameter of a query.
    pub(crate) fn is_parameter(self) -> bool {
        matches!(self, Self::Given(Given { node: Node::Parameter(_), .. }))
    }

    /// Reads a text that may have been copied with blanks at its ends.
    pub(crate) fn trimmed<T>(self, reader: impl Read<T>) -> Option<T> {
        match self {
            Self::Given(given @ Given { node: Node::Text(text), .. }) => {
                let node = Node::Text(text.trim().into());
                reader(Value::Given(Given { node: &node, ..given }))
            }
            other => reader(other),
        }
    }

    /// Reads a text that a person typed or pasted: what `reader` gets has plain blanks in place of spaces of other kinds,
    /// tabs and line breaks, and none at its ends.
    pub(crate) fn typed<T>(self, reader: impl Read<T>) -> Option<T> {
        match self {
            Self::Given(given @ Given { node: Node::Text(text), .. }) => {
                let plain = text.trim().replace("\r\n", "\n").replace(char::is_whitespace, " ");
                let node = Node::Text(plain.into());
                reader(Value::Given(Given { node: &node, ..given }))
            }
            other => reader(other),
        }
    }

    /// An object; fields that the reader does not read are errors, and so are those given twice.
    pub(crate) fn object<T>(self, reader: impl FnOnce(&Fields<'_>) -> Option<T>) -> Option<T> {
        match self {
            Self::Given(given) => {
                let Node::Object(members) = given.node else { return given.wrong_type("an object") };
                let fields = Fields::Given { of: given, members, names: RefCell::default() };
                let read = reader(&fields);
                fields.reject_others();
                read
            }
            Self::Described(cell) => {
                let object = RefCell::default();
                reader(&Fields::Described(&object));
                record(cell, Schema::Object(object.into_inner()))
            }
        }
    }

    /// Reads an object with `object`, anything else with `one`.
    pub(crate) fn either<T>(self, one: impl Read<T>, object: impl Read<T>) -> Option<T> {
        match self {
            Self::Given(Given { node: Node::Object(_), .. }) => object(self),
            Self::Given(_) => one(self),
            Self::Described(cell) => {
                record(cell, Schema::Either(Box::new([describe(one), describe(object)])))
            }
        }
    }

    /// A list of at most `max` values.
    pub(crate) fn list<T>(
        self,
        max: usize,
        too_many: Code,
        mut reader: impl FnMut(Value<'_>) -> Option<T>,
    ) -> Option<Vec<T>> {
        let given = self.given(|| Schema::List { max, of: Box::new(describe(&mut reader)) })?;
        let Node::List(parts) = given.node else { return given.wrong_type("a list") };
        if parts.len() > max {
            return given.fault(too_many, format!("This list has at most {max} entries."));
        }
        // Every entry is read before returning, so that all errors are found.
        let read = parts.iter().enumerate().map(|(index, node)| {
            let pointer = Pointer::Part(given.pointer, index);
            reader(Value::Given(Given { node, pointer: &pointer, ..given }))
        });
        read.collect::<Vec<_>>().into_iter().collect()
    }

    /// Pairs of name and text, for metadata.
    pub(crate) fn pairs(self, max: usize, max_name: usize, max_text: usize) -> Option<Vec<(String, String)>> {
        let given = self.given(|| Schema::Pairs { max, max_name, max_text })?;
        let Node::Object(members) = given.node else { return given.wrong_type("an object") };
        if members.len() > max {
            return given.fault(Code::TooLong, format!("At most {max} names may be given."));
        }
        let read = members.iter().enumerate().map(|(index, (name, node))| {
            let pointer = Pointer::Member(given.pointer, name);
            let value = Given { node, pointer: &pointer, ..given };
            if members.iter().take(index).any(|(before, _)| before == name) {
                return value.fault(Code::DuplicateField, "This name is given twice.");
            }
            let good = (1..=max_name).contains(&name.chars().count()) && !name.chars().any(char::is_control);
            if !good {
                return value.fault(Code::TooLong, format!("A name has 1 to {max_name} characters."));
            }
            Some((name.to_string(), value.lines(max_text)?.to_owned()))
        });
        read.collect::<Vec<_>>().into_iter().collect()
    }

    /// One line of 1 to `max` characters.
    pub(crate) fn text(self, max: usize) -> Option<String> {
        self.given(|| Schema::Line(max))?.line(max).map(ToOwned::to_owned)
    }

    /// A text of at most `max` characters, which may have several lines.
    pub(crate) fn lines(self, max: usize) -> Option<String> {
        self.given(|| Schema::Lines(max))?.lines(max).map(ToOwned::to_owned)
    }

    /// One line of at most `max` characters with a form that `fits` checks; `what` describes it, and may end with an
    /// example after `, such as `.
    pub(crate) fn text_of(
        self,
        max: usize,
        what: &'static str,
        fits: impl FnOnce(&str) -> bool,
    ) -> Option<String> {
        self.read_as(max, what, |text| if fits(text) { Ok(text.to_owned()) } else { Err(Unfit::Form) })
    }

    /// What `form` makes of one line of at most `max` characters; `what` describes it, as for [`Value::text_of`].
    pub(crate) fn read_as<T>(
        self,
        max: usize,
        what: &'static str,
        form: impl FnOnce(&str) -> Result<T, Unfit>,
    ) -> Option<T> {
        let given = self.given(|| Schema::Formed { what, max: Some(max) })?;
        match form(given.line(max)?) {
            Ok(read) => Some(read),
            Err(Unfit::Form) => given.invalid(Code::InvalidValue, what),
            Err(Unfit::Because(code, why)) => given.fault(code, why),
        }
    }

    /// A text that `parse` accepts; `what` describes it, as for [`Value::text_of`]; `code` is that of any other text.
    pub(crate) fn parsed_by<T>(
        self,
        what: &'static str,
        code: Code,
        parse: impl FnOnce(&str) -> Option<T>,
    ) -> Option<T> {
        let given = self.given(|| Schema::Formed { what, max: None })?;
        parse(given.text()?).or_else(|| given.invalid(code, what))
    }

    /// A text with its own form; `what` describes it, as for [`Value::text_of`].
    pub(crate) fn parsed<T: FromStr>(self, what: &'static str) -> Option<T> {
        self.parsed_by(what, Code::InvalidValue, |text| text.parse().ok())
    }

    pub(crate) fn enum_value<T: for<'de> Deserialize<'de>>(self) -> Option<T> {
        let given = self.given(|| Schema::OneOf(variants_of::<T>()))?;
        let read = T::deserialize(StrDeserializer::<DeError>::new(given.text()?));
        let refuse = || match variants_of::<T>() {
            [only] => format!("This must be {only}, or be left out."),
            names => format!("This must be one of {}.", names.join(", ")),
        };
        read.ok().or_else(|| given.fault(Code::InvalidValue, refuse()))
    }

    pub(crate) fn flag(self) -> Option<bool> {
        let given = self.given(|| Schema::Flag)?;
        match given.node {
            Node::Flag(flag) => Some(*flag),
            Node::Parameter(text) if text == "true" || text == "false" => Some(text == "true"),
            _ => given.wrong_type("true or false"),
        }
    }

    /// A whole number in a range.
    pub(crate) fn integer(self, range: RangeInclusive<i64>) -> Option<i64> {
        let given = self.given(|| Schema::Integer(range.clone()))?;
        let number = given.digits()?.parse().ok().filter(|number| range.contains(number));
        let refuse = || format!("This number must be from {} to {}.", range.start(), range.end());
        number.or_else(|| given.fault(Code::OutOfRange, refuse()))
    }

    /// Minor units, at least `min`.
    pub(crate) fn amount(self, min: i64) -> Option<i64> {
        let given = self.given(|| Schema::Amount(min..=i64::MAX))?;
        let digits = given.digits()?;
        match digits.parse() {
            Ok(amount) if amount >= min => Some(amount),
            Err(_) if min < 0 || !digits.starts_with('-') => {
                given.fault(Code::AmountTooLarge, "This amount does not fit 63 bits of minor units.")
            }
            _ => given.fault(Code::AmountNegative, "This amount must be zero or more."),
        }
    }
}

impl<'r> Given<'r> {
    fn fault<T>(self, code: Code, detail: impl Into<String>) -> Option<T> {
        self.faults.add(self.pointer, code, detail)
    }

    /// Records a wrong type; for a query parameter, which is always text, an invalid value.
    fn wrong_type<T>(self, what: &str) -> Option<T> {
        let is_text = matches!(self.node, Node::Parameter(_));
        self.invalid(if is_text { Code::InvalidValue } else { Code::WrongType }, what)
    }

    fn invalid<T>(self, code: Code, what: &str) -> Option<T> {
        self.fault(code, format!("This must be {what}."))
    }

    fn text(self) -> Option<&'r str> {
        match self.node {
            Node::Text(text) | Node::Parameter(text) => Some(text),
            _ => self.wrong_type("a text"),
        }
    }

    fn lines(self, max: usize) -> Option<&'r str> {
        let text = self.text()?;
        if text.chars().count() > max {
            return self.fault(Code::TooLong, format!("This text has at most {max} characters."));
        }
        if text.chars().any(|c| c.is_control() && !matches!(c, '\n' | '\r' | '\t')) {
            return self.fault(Code::InvalidValue, "This text must not have control characters.");
        }
        Some(text)
    }

    fn line(self, max: usize) -> Option<&'r str> {
        let text = self.lines(max)?;
        if text.trim().is_empty() {
            return self.fault(Code::InvalidValue, "This text must not be empty.");
        }
        if text.contains(['\n', '\r', '\t']) {
            return self.fault(Code::InvalidValue, "This text must be one line without control characters.");
        }
        Some(text)
    }

    /// The digits of a whole number, written without fraction and exponent.
    fn digits(self) -> Option<&'r str> {
        let (digits, otherwise) = match self.node {
            Node::Number(digits) => (*digits, Code::NotAnInteger),
            Node::Parameter(digits) => (&**digits, Code::InvalidValue),
            _ => return self.wrong_type("a number"),
        };
        let plain = digits.strip_prefix('-').unwrap_or(digits);
        if plain.bytes().all(|byte| byte.is_ascii_digit()) {
            Some(digits)
        } else {
            self.invalid(otherwise, "a whole number, written with digits only")
        }
    }
}
