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
/// let order = JsonObject::new().given("note", None::<&str>).put("items", vec![item]);
/// assert_eq!(order.into_text().unwrap(), r#"{"items":[{"title":"Mug","price":12.50}]}"#);
/// ```
#[derive(Debug)]
pub struct JsonObject(Result<String, serde_json::Error>);

impl JsonObject {
    /// Without members.
    #[expect(clippy::new_without_default, reason = "a body begins empty and is never left so")]
    pub fn new() -> Self {
        Self(Ok("{".to_owned()))
    }

    /// With one more member.
    #[must_use]
    pub fn put(self, name: &str, value: impl Serialize) -> Self {
        let member = |mut text: String| {
            if text.len() > 1 {
                text.push(',');
            }
            text.push_str(&serde_json::to_string(name)?);
            text.push(':');
            text.push_str(&serde_json::to_string(&value)?);
            Ok(text)
        };
        Self(self.0.and_then(member))
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
        let text = self.0.map_err(|fault| ProviderError::NotSent(fault.to_string()))?;
        Ok(text + "}")
    }
}

impl Serialize for JsonObject {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let text = self.0.as_ref().map_err(S::Error::custom)?;
        RawValue::from_string(format!("{text}}}")).map_err(S::Error::custom)?.serialize(serializer)
    }
}
