//! JSON bodies, written member by member.

use serde::ser::Error as _;
use serde::{Serialize, Serializer};
use serde_json::value::RawValue;

use crate::ProviderError;

/// A JSON object that is sent: its members in the order in which they are put, amounts digit for digit. What is not
/// known is left out.
///
/// ```
/// # use paymux_port::{Decimal, JsonObject};
/// let item = JsonObject::new().put("title", "Mug").put("price", Decimal::new(1250, 2));
/// let order = JsonObject::new().given("email", None::<&str>).put("items", [item]);
/// assert_eq!(order.into_text().unwrap(), r#"{"items":[{"title":"Mug","price":12.50}]}"#);
/// ```
#[derive(Debug)]
pub struct JsonObject(Result<Vec<u8>, serde_json::Error>);

impl JsonObject {
    /// Without members.
    #[expect(clippy::new_without_default, reason = "`new` is more readable than a default at the call sites")]
    pub fn new() -> Self {
        Self(Ok(b"{".to_vec()))
    }

    /// With one more member.
    #[must_use]
    pub fn put(self, name: &str, value: impl Serialize) -> Self {
        let with_member = |mut text: Vec<u8>| {
            if text.len() > 1 {
                text.push(b',');
            }
            serde_json::to_writer(&mut text, name)?;
            text.push(b':');
            serde_json::to_writer(&mut text, &value)?;
            Ok(text)
        };
        Self(self.0.and_then(with_member))
    }

    /// With one more member, if its value is known.
    #[must_use]
    pub fn given(self, name: &str, value: Option<impl Serialize>) -> Self {
        match value {
            Some(value) => self.put(name, value),
            None => self,
        }
    }

    /// The whole text.
    ///
    /// # Errors
    /// [`ProviderError::NotSent`] if a value cannot be written as JSON.
    pub fn into_text(self) -> Result<String, ProviderError> {
        let fault = |fault: String| ProviderError::NotSent(fault);
        let mut text = self.0.map_err(|unwritable| fault(unwritable.to_string()))?;
        text.push(b'}');
        String::from_utf8(text).map_err(|unreadable| fault(unreadable.to_string()))
    }
}

/// As a member or an item of another.
impl Serialize for JsonObject {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let text = self.0.as_ref().map_err(S::Error::custom)?;
        let text = str::from_utf8(text).map_err(S::Error::custom)?;
        RawValue::from_string(format!("{text}}}")).map_err(S::Error::custom)?.serialize(serializer)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Decimal;

    #[test]
    fn members_stay_in_order_amounts_keep_their_digits_and_what_is_unknown_is_left_out() {
        let inner = JsonObject::new().put("price", Decimal::new(1250, 2)).put("many", [1, 2]);
        let outer = JsonObject::new()
            .put("z", "a \"quoted\"\nline")
            .given("y", None::<&str>)
            .given("x", Some(true))
            .put("w", JsonObject::new())
            .put("v", inner);
        let expected = r#"{"z":"a \"quoted\"\nline","x":true,"w":{},"v":{"price":12.50,"many":[1,2]}}"#;
        assert_eq!(outer.into_text(), Ok(expected.to_owned()));
    }

    #[test]
    fn a_value_that_is_no_json_is_not_sent_wherever_it_stands() {
        let unwritable = || JsonObject::new().put("a", std::collections::BTreeMap::from([(vec![1], 1)]));
        let nested = JsonObject::new().put("b", unwritable()).put("c", 1);
        for body in [unwritable(), nested] {
            assert!(matches!(body.into_text(), Err(ProviderError::NotSent(_))));
        }
    }
}
