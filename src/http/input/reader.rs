//! Reading a parsed request strictly, with every fault at once; and describing what it may say.
//!
//! A reader takes what it needs from a [`Value`] or from the [`Fields`] of an object. What does not fit is noted
//! with its pointer, and reading goes on; a value that was read counts only if nothing was noted in the end.
//!
//! The same reader describes: given [`Value::Described`] it finds nothing, and each of its calls leaves the [`Schema`]
//! of what it would have taken. So a reader reads all fields before it leaves by `?`, and takes what it needs of its
//! [`Context`] only then.

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
use crate::domain::LineItem;
use crate::http::problem::{Code, Problem};

/// What a request is read beside: where it does not say something, this does.
pub(crate) struct Context<'c> {
    /// What the operator has set.
    pub(crate) settings: &'c Settings,
    /// Whose request it is.
    pub(crate) merchant: &'c str,
    /// Gives the moment, and ids for new lines.
    pub(crate) env: &'c dyn Env,
    /// The currency of the order that is changed.
    pub(crate) currency: Option<Currency>,
    /// The line that is changed, as it is.
    pub(crate) item: Option<&'c LineItem>,
}

/// Reads a whole request. A card number anywhere in it refuses it, whatever else is wrong.
pub(crate) fn read<T>(
    root: &Node<'_>,
    pointer: &Pointer<'_>,
    context: Option<&Context<'_>>,
    reader: impl FnOnce(Value<'_>) -> Option<T>,
) -> Result<T, Problem> {
    let cards = FieldErrors::default();
    find_cards(root, pointer, &cards);
    cards.or(Some(()))?;
    let faults = FieldErrors::default();
    let read = reader(Value::Given(Given { node: root, pointer, faults: &faults, context }));
    faults.or(read)
}

/// What a reader takes.
pub(crate) fn describe<T>(reader: impl FnOnce(Value<'_>) -> Option<T>) -> Schema {
    let described = Described::default();
    reader(Value::Described(&described));
    described.0.into_inner().expect("a reader takes something")
}

/// Where a reader leaves the schema of a value.
#[derive(Default)]
pub(crate) struct Described(OnceCell<Schema>);

impl Described {
    /// Leaves it, and answers nothing, so that a reader ends.
    fn leave<T>(&self, schema: Schema) -> Option<T> {
        self.0.set(schema).expect("a reader takes a value once");
        None
    }
}

/// What a reader takes a value from.
#[derive(Clone, Copy)]
pub(crate) enum Value<'r> {
    /// A value of a request.
    Given(Given<'r>),
    /// Nothing: the reader is to leave its schema here.
    Described(&'r Described),
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
    /// The value; in a description its schema is left, and nothing is there.
    fn given(self, schema: impl FnOnce() -> Schema) -> Option<Given<'r>> {
        match self {
            Self::Given(given) => Some(given),
            Self::Described(described) => described.leave(schema()),
        }
    }

    /// What the request is read beside; nothing in a description.
    pub(crate) fn context(self) -> Option<&'r Context<'r>> {
        match self {
            Self::Given(given) => given.context,
            Self::Described(_) => None,
        }
    }

    /// An object; fields that the reader does not take are faults, and so are those given twice.
    pub(crate) fn object<T>(self, reader: impl FnOnce(&Fields<'_>) -> Option<T>) -> Option<T> {
        match self {
            Self::Given(given) => {
                let Node::Object(members) = given.node else { return given.unfit("an object") };
                let fields = Fields::Given { of: given, members, taken: RefCell::default() };
                let read = reader(&fields);
                fields.reject_others();
                read
            }
            Self::Described(described) => {
                let object = RefCell::default();
                reader(&Fields::Described(&object));
                described.leave(Schema::Object(object.into_inner()))
            }
        }
    }

    /// What `one` reads; but an object is for `object` to read.
    pub(crate) fn either<T>(
        self,
        one: impl FnOnce(Value<'_>) -> Option<T>,
        object: impl FnOnce(Value<'_>) -> Option<T>,
    ) -> Option<T> {
        match self {
            Self::Given(Given { node: Node::Object(_), .. }) => object(self),
            Self::Given(_) => one(self),
            Self::Described(described) => {
                described.leave(Schema::Either(Box::new([describe(one), describe(object)])))
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
        let Node::List(parts) = given.node else { return given.unfit("a list") };
        if parts.len() > max {
            return given.fault(too_many, format!("This list has at most {max} entries."));
        }
        // Every entry is read before the first failure counts, so that all faults are found.
        let read = parts.iter().enumerate().map(|(index, node)| {
            let pointer = Pointer::Part(given.pointer, index);
            reader(Value::Given(Given { node, pointer: &pointer, ..given }))
        });
        read.collect::<Vec<_>>().into_iter().collect()
    }

    /// Names and texts of the merchant's own.
    pub(crate) fn pairs(self, max: usize, max_name: usize, max_text: usize) -> Option<Vec<(String, String)>> {
        let given = self.given(|| Schema::Pairs { max, max_name, max_text })?;
        let Node::Object(members) = given.node else { return given.unfit("an object") };
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

    /// One line of at most `max` characters with a form that `fits` checks; `what` says which, for people, and may
    /// end with an example after `such as`.
    pub(crate) fn text_of(
        self,
        max: usize,
        what: &'static str,
        fits: impl FnOnce(&str) -> bool,
    ) -> Option<String> {
        let given = self.given(|| Schema::Formed { what, max: Some(max) })?;
        let text = given.line(max)?;
        if fits(text) { Some(text.to_owned()) } else { given.misformed(Code::InvalidValue, what) }
    }

    /// A text that `parse` understands; `what` says which, as for [`Value::text_of`], and `code` that it is not one.
    pub(crate) fn parsed_by<T>(
        self,
        what: &'static str,
        code: Code,
        parse: impl FnOnce(&str) -> Option<T>,
    ) -> Option<T> {
        let given = self.given(|| Schema::Formed { what, max: None })?;
        parse(given.text()?).or_else(|| given.misformed(code, what))
    }

    /// A text with a form of its own; `what` says which, as for [`Value::text_of`].
    pub(crate) fn parsed<T: FromStr>(self, what: &'static str) -> Option<T> {
        self.parsed_by(what, Code::InvalidValue, |text| text.parse().ok())
    }

    /// One of a closed set of words.
    pub(crate) fn enum_value<T: for<'de> Deserialize<'de>>(self) -> Option<T> {
        let given = self.given(|| Schema::OneOf(variants_of::<T>()))?;
        let read = T::deserialize(StrDeserializer::<DeError>::new(given.text()?));
        let refuse = || format!("This must be one of {}.", variants_of::<T>().join(", "));
        read.ok().or_else(|| given.fault(Code::InvalidValue, refuse()))
    }

    /// True or false.
    pub(crate) fn flag(self) -> Option<bool> {
        let given = self.given(|| Schema::Flag)?;
        match given.node {
            Node::Flag(flag) => Some(*flag),
            Node::Parameter(text) if text == "true" || text == "false" => Some(text == "true"),
            _ => given.unfit("true or false"),
        }
    }

    /// A whole number in a range.
    pub(crate) fn integer(self, range: RangeInclusive<i64>) -> Option<i64> {
        let given = self.given(|| Schema::Integer(range.clone()))?;
        let number = given.digits()?.parse().ok().filter(|number| range.contains(number));
        let refuse = || format!("This number must be from {} to {}.", range.start(), range.end());
        number.or_else(|| given.fault(Code::OutOfRange, refuse()))
    }

    /// Minor units from `min` on: zero, or the least there is where it is for the payment to say.
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
        self.faults.note(self.pointer, code, detail)
    }

    /// Notes that this is of another type; of a parameter, which is text, that it does not say what it should.
    fn unfit<T>(self, what: &str) -> Option<T> {
        let is_text = matches!(self.node, Node::Parameter(_));
        self.misformed(if is_text { Code::InvalidValue } else { Code::WrongType }, what)
    }

    fn misformed<T>(self, code: Code, what: &str) -> Option<T> {
        self.fault(code, format!("This must be {what}."))
    }

    fn text(self) -> Option<&'r str> {
        match self.node {
            Node::Text(text) | Node::Parameter(text) => Some(text),
            _ => self.unfit("a text"),
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
            _ => return self.unfit("a number"),
        };
        let plain = digits.strip_prefix('-').unwrap_or(digits);
        if plain.bytes().all(|byte| byte.is_ascii_digit()) {
            Some(digits)
        } else {
            self.misformed(otherwise, "a whole number, written with digits only")
        }
    }
}
