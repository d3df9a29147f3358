//! JSON objects written field by field, so that amounts keep their digits and a field can be left out.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

/// The JSON text of any plain value.
pub(crate) fn text(value: &impl Serialize) -> String {
    serde_json::to_string(value).expect("the sandbox serialises only maps with string keys and plain values")
}

/// A JSON object in the making.
#[derive(Default)]
pub(crate) struct Doc(String);

impl Doc {
    /// Adds a field.
    #[must_use]
    pub(crate) fn put(self, name: &str, value: impl Serialize) -> Self {
        let value = text(&value);
        self.put_raw(name, &value)
    }

    /// Adds a field if there is a value for it.
    #[must_use]
    pub(crate) fn put_some(self, name: &str, value: Option<impl Serialize>) -> Self {
        match value {
            Some(value) => self.put(name, value),
            None => self,
        }
    }

    /// Adds an object.
    #[must_use]
    pub(crate) fn put_doc(self, name: &str, inner: Doc) -> Self {
        let inner = inner.finish();
        self.put_raw(name, &inner)
    }

    /// Adds a list of objects.
    #[must_use]
    pub(crate) fn put_list(self, name: &str, inner: impl IntoIterator<Item = Doc>) -> Self {
        let list = list(inner);
        self.put_raw(name, &list)
    }

    /// Repeats fields of the request as they were sent; what was not sent stays out.
    #[must_use]
    pub(crate) fn echo(self, sent: &Sent, names: &[&str]) -> Self {
        names.iter().fold(self, |doc, name| doc.put_some(name, sent.get(name)))
    }

    /// The finished object.
    pub(crate) fn finish(self) -> String {
        format!("{{{}}}", self.0)
    }

    fn put_raw(mut self, name: &str, json: &str) -> Self {
        if !self.0.is_empty() {
            self.0.push(',');
        }
        self.0.push_str(&text(&name));
        self.0.push(':');
        self.0.push_str(json);
        self
    }
}

/// A JSON array of objects.
pub(crate) fn list(inner: impl IntoIterator<Item = Doc>) -> String {
    let parts: Vec<String> = inner.into_iter().map(Doc::finish).collect();
    format!("[{}]", parts.join(","))
}

/// A request's fields exactly as they were sent, digits and all.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(crate) struct Sent(BTreeMap<String, Box<RawValue>>);

impl Sent {
    pub(crate) fn get(&self, name: &str) -> Option<&RawValue> {
        self.0.get(name).map(AsRef::as_ref).filter(|raw| raw.get() != "null")
    }

    /// A field that is a string.
    pub(crate) fn string(&self, name: &str) -> Option<String> {
        serde_json::from_str(self.get(name)?.get()).ok()
    }

    /// Takes over the fields of `newer`.
    pub(crate) fn merge(&mut self, newer: Sent) {
        self.0.extend(newer.0);
    }
}
