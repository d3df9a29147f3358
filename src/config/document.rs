//! A TOML document for validation: every value has its line, and all errors are collected.
//!
//! Values are read through a [`Section`]; a wrong type, a value out of range or an unknown key becomes a
//! [`ConfigError`]. [`Document::finish`] returns them all.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::ops::RangeInclusive;

use serde::de::DeserializeOwned;
use serde::de::value::{Error as TextError, StrDeserializer};
use toml::de::{DeTable, DeValue};

use super::error::{ConfigError, ConfigErrors, did_you_mean};
use super::setting::{Described, described};

/// The longest file that is read.
const MAX_FILE: usize = 1 << 20;

/// A parsed file and the errors found so far.
pub(crate) struct Document {
    file: String,
    root: Node,
    faults: RefCell<Vec<ConfigError>>,
}

/// A value and the line of its key.
pub(crate) struct Node {
    pub(crate) line: u32,
    pub(crate) value: Value,
}

impl Node {
    /// As a `toml` value. Types that no setting has become a list, which no setting accepts.
    pub(super) fn plain(&self) -> toml::Value {
        match &self.value {
            Value::Text(text) => toml::Value::String(text.clone()),
            Value::Whole(number) => toml::Value::Integer(*number),
            Value::Flag(flag) => toml::Value::Boolean(*flag),
            Value::List(_) | Value::Table(_) | Value::Other => toml::Value::Array(Vec::new()),
        }
    }
}

/// A value of a type that settings can have; `Other` for floats and dates.
pub(crate) enum Value {
    Text(String),
    Whole(i64),
    Flag(bool),
    List(Vec<Node>),
    Table(BTreeMap<String, Node>),
    Other,
}

/// One text of a list, with its line.
#[derive(Clone, Copy)]
pub(crate) struct ListItem<'a> {
    pub(crate) text: &'a str,
    pub(crate) line: u32,
}

impl Document {
    /// Parses `text`, which came from `file`.
    pub(crate) fn parse(file: &str, text: &str) -> Result<Self, ConfigErrors> {
        let lines = Lines::of(text);
        let fault =
            |line, message: String| ConfigError { file: file.to_owned(), line, key: String::new(), message };
        if text.len() > MAX_FILE {
            return Err(ConfigErrors(vec![fault(None, format!("is longer than {MAX_FILE} bytes"))]));
        }
        let (table, errors) = DeTable::parse_recoverable(text);
        if !errors.is_empty() {
            let found = errors.iter().map(|error| {
                fault(error.span().map(|span| lines.at(span.start)), error.message().to_owned())
            });
            return Err(ConfigErrors(found.collect()));
        }
        let value = lines.table(table.into_inner());
        Ok(Self { file: file.to_owned(), root: Node { line: 1, value }, faults: RefCell::default() })
    }

    /// The whole file as a section.
    pub(crate) fn root(&self) -> Section<'_> {
        self.section(String::new(), &self.root).expect("a file is a table")
    }

    /// How many errors have been found so far.
    pub(crate) fn errors_so_far(&self) -> usize {
        self.faults.borrow().len()
    }

    /// `value`, if the file is in order.
    ///
    /// # Errors
    /// Everything found wrong with it, in the order of the lines.
    pub(crate) fn finish<T>(self, value: T) -> Result<T, ConfigErrors> {
        let mut faults = self.faults.into_inner();
        faults.sort_by_key(|fault| fault.line);
        ConfigErrors(faults).or(value)
    }

    fn section<'a>(&'a self, key: String, node: &'a Node) -> Option<Section<'a>> {
        match &node.value {
            Value::Table(entries) => Some(Section { document: self, key, line: node.line, entries }),
            _ => {
                self.fault(node.line, key, "must be a table".to_owned());
                None
            }
        }
    }

    fn fault(&self, line: u32, key: String, message: String) {
        let fault = ConfigError { file: self.file.clone(), line: Some(line), key, message };
        self.faults.borrow_mut().push(fault);
    }
}

/// A table of a document.
pub(crate) struct Section<'a> {
    document: &'a Document,
    key: String,
    line: u32,
    entries: &'a BTreeMap<String, Node>,
}

impl<'a> Section<'a> {
    /// Reports every key that is not among `known`.
    pub(crate) fn only(&self, known: &[&str]) {
        for (key, node) in self.entries {
            if !known.contains(&key.as_str()) {
                let hint = did_you_mean(key, known.iter().copied());
                self.document.fault(node.line, self.path(key), format!("is not a known key{hint}"));
            }
        }
    }

    /// Whether `key` is set.
    pub(crate) fn has(&self, key: &str) -> bool {
        self.entries.contains_key(key)
    }

    /// The text at `key`, if it is there.
    pub(crate) fn text(&self, key: &str) -> Option<&'a str> {
        self.of_kind(key, "text in quotes", |value| match value {
            Value::Text(text) => Some(text.as_str()),
            _ => None,
        })
    }

    /// The text at `key`, which must be there.
    pub(crate) fn need_text(&self, key: &str) -> Option<&'a str> {
        if !self.has(key) {
            self.fault(&format!("`{key}` is missing"));
        }
        self.text(key)
    }

    /// The boolean at `key`, if it is set.
    pub(crate) fn flag(&self, key: &str) -> Option<bool> {
        self.of_kind(key, "true or false", |value| match value {
            Value::Flag(flag) => Some(*flag),
            _ => None,
        })
    }

    /// The whole number at `key`, if it is there and within `range`.
    fn whole(&self, key: &str, range: RangeInclusive<u32>) -> Option<u32> {
        let expected = format!("a whole number from {} to {}", range.start(), range.end());
        self.of_kind(key, &expected, |value| match value {
            Value::Whole(number) => u32::try_from(*number).ok().filter(|number| range.contains(number)),
            _ => None,
        })
    }

    /// The texts at `key`: one text, or a list of texts. `None` if the key is not there.
    pub(crate) fn items(&self, key: &str) -> Option<Vec<ListItem<'a>>> {
        let node = self.entries.get(key)?;
        let text = |node: &'a Node| match &node.value {
            Value::Text(text) => Some(ListItem { text, line: node.line }),
            _ => None,
        };
        let texts = match &node.value {
            Value::List(nodes) => nodes.iter().map(text).collect(),
            _ => text(node).map(|only| vec![only]),
        };
        if texts.as_ref().is_none_or(Vec::is_empty) {
            self.fault_at(key, "must be text in quotes, or a list of at least one");
        }
        texts
    }

    /// The texts at `key`, each parsed as a `T` in its API spelling; invalid ones are errors.
    pub(crate) fn items_as<T: DeserializeOwned>(&self, key: &str) -> Vec<T> {
        let texts = self.items(key).unwrap_or_default();
        let read = |item: ListItem<'_>| {
            let read = T::deserialize(StrDeserializer::<TextError>::new(item.text));
            read.map_err(|fault| self.document.fault(item.line, self.path(key), fault.to_string())).ok()
        };
        texts.into_iter().filter_map(read).collect()
    }

    /// The table at `key`, if it is there.
    pub(crate) fn section(&self, key: &str) -> Option<Self> {
        self.document.section(self.path(key), self.entries.get(key)?)
    }

    /// The table or the list of texts at `key`, as pairs of text and whole number; a list gives each the number 1.
    pub(crate) fn weights(&self, key: &str, range: RangeInclusive<u32>) -> Vec<(ListItem<'a>, u32)> {
        if !matches!(self.entries.get(key).map(|node| &node.value), Some(Value::Table(_))) {
            return self.items(key).unwrap_or_default().into_iter().map(|item| (item, 1)).collect();
        }
        let Some(table) = self.section(key) else { return Vec::new() };
        if table.entries.is_empty() {
            self.fault_at(key, "must name at least one");
        }
        let pair = |(text, node): (&'a String, &Node)| {
            table.whole(text, range.clone()).map(|number| (ListItem { text, line: node.line }, number))
        };
        table.entries.iter().filter_map(pair).collect()
    }

    /// Every entry of this table, each of which must be a table.
    pub(crate) fn sections(&self) -> Vec<(&'a str, Self)> {
        let named = |(name, node): (&'a String, &'a Node)| {
            Some((name.as_str(), self.document.section(self.path(name), node)?))
        };
        self.entries.iter().filter_map(named).collect()
    }

    /// The tables of the list at `key`, in order. Errors show its `name` if it has one.
    pub(crate) fn list(&self, key: &str) -> Vec<Self> {
        let nodes = self.of_kind(key, "a list of tables", |value| match value {
            Value::List(nodes) => Some(nodes),
            _ => None,
        });
        let called = |(index, node): (usize, &'a Node)| {
            let mut section = self.document.section(format!("{}[{index}]", self.path(key)), node)?;
            if let Some(Node { value: Value::Text(name), .. }) = section.entries.get("name") {
                section.key = format!("{}.{name}", self.path(key));
            }
            Some(section)
        };
        nodes.into_iter().flatten().enumerate().filter_map(called).collect()
    }

    /// The texts of this table by key; anything else in it is an error.
    pub(crate) fn texts(&self) -> BTreeMap<String, String> {
        let pair = |key: &String| Some((key.clone(), self.text(key)?.to_owned()));
        self.entries.keys().filter_map(pair).collect()
    }

    /// Reports an error of this section as a whole.
    pub(crate) fn fault(&self, message: &str) {
        self.document.fault(self.line, self.key.clone(), message.to_owned());
    }

    /// Reports an error of the value at `key`.
    pub(crate) fn fault_at(&self, key: &str, message: &str) {
        let line = self.entries.get(key).map_or(self.line, |node| node.line);
        self.document.fault(line, self.path(key), message.to_owned());
    }

    /// Reports an error of one text of the list at `key`.
    pub(crate) fn fault_of(&self, key: &str, item: ListItem<'_>, message: &str) {
        self.document.fault(item.line, self.path(key), message.to_owned());
    }

    /// The settings of this table that `T` declares; a value that does not fit is an error.
    pub(super) fn settings<T: Described + Default + DeserializeOwned>(&self) -> T {
        let mut given = toml::Table::new();
        for setting in described::<T>("") {
            let Some(value) = self.entries.get(&setting.key).map(Node::plain) else { continue };
            match setting.refusal(&value) {
                Some(message) => self.fault_at(&setting.key, &message),
                None => drop(given.insert(setting.key, value)),
            }
        }
        T::deserialize(toml::Value::Table(given)).expect("values that are not refused can be read")
    }

    /// Every value below this section that is not a table, and every empty table, with its dotted path.
    pub(crate) fn leaves(&self) -> Vec<(String, &'a Node)> {
        let mut leaves = Vec::new();
        for (key, node) in self.entries {
            match &node.value {
                Value::Table(entries) if !entries.is_empty() => {
                    leaves.extend(self.section(key).iter().flat_map(Section::leaves))
                }
                _ => leaves.push((self.path(key), node)),
            }
        }
        leaves
    }

    fn of_kind<T>(&self, key: &str, expected: &str, read: impl FnOnce(&'a Value) -> Option<T>) -> Option<T> {
        let value = read(&self.entries.get(key)?.value);
        if value.is_none() {
            self.fault_at(key, &format!("must be {expected}"));
        }
        value
    }

    fn path(&self, key: &str) -> String {
        if self.key.is_empty() { key.to_owned() } else { format!("{}.{key}", self.key) }
    }
}

/// The positions of line breaks, to find the line of a byte.
struct Lines(Vec<usize>);

impl Lines {
    fn of(text: &str) -> Self {
        Self(text.bytes().enumerate().filter(|(_, byte)| *byte == b'\n').map(|(at, _)| at).collect())
    }

    fn at(&self, byte: usize) -> u32 {
        let before = self.0.partition_point(|end| *end < byte);
        u32::try_from(before + 1).unwrap_or(u32::MAX)
    }

    fn table(&self, table: DeTable<'_>) -> Value {
        let entry = |(key, value): (toml::Spanned<_>, toml::Spanned<DeValue<'_>>)| {
            let line = self.at(key.span().start);
            let key: std::borrow::Cow<'_, str> = key.into_inner();
            (key.into_owned(), Node { line, value: self.value(value.into_inner()) })
        };
        Value::Table(table.into_iter().map(entry).collect())
    }

    fn value(&self, value: DeValue<'_>) -> Value {
        match value {
            DeValue::String(text) => Value::Text(text.into_owned()),
            DeValue::Integer(number) => {
                i64::from_str_radix(number.as_str(), number.radix()).map_or(Value::Other, Value::Whole)
            }
            DeValue::Boolean(flag) => Value::Flag(flag),
            DeValue::Array(entries) => {
                let node = |entry: toml::Spanned<DeValue<'_>>| {
                    let line = self.at(entry.span().start);
                    Node { line, value: self.value(entry.into_inner()) }
                };
                Value::List(entries.into_iter().map(node).collect())
            }
            DeValue::Table(table) => self.table(table),
            DeValue::Float(_) | DeValue::Datetime(_) => Value::Other,
        }
    }
}
