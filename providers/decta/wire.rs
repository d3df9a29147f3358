//! DECTA's JSON: only the fields that are used. Words for states stay text.

use paymux_port::{Complaint, Currency, Decimal, Failure, HttpResponse};
use serde::{Deserialize, Deserializer, Serialize, de::Error as _};
use serde_json::Value;

/// The body of `POST /orders/`.
#[derive(Serialize)]
pub(super) struct NewOrder<'a> {
    pub(super) number: String,
    pub(super) currency: Currency,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) language: Option<&'a str>,
    pub(super) referrer: &'a str,
    pub(super) client: Client<'a>,
    pub(super) products: Vec<Product<'a>>,
    pub(super) success_redirect: &'a str,
    pub(super) in_progress_redirect: &'a str,
    pub(super) failure_redirect: &'a str,
    pub(super) cancel_redirect: &'a str,
    pub(super) skip_capture: bool,
    pub(super) due: i64,
    pub(super) deny_overdue_payment: bool,
}

#[derive(Serialize)]
pub(super) struct Client<'a> {
    pub(super) email: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) phone: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) first_name: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) last_name: Option<&'a str>,
}

#[derive(Serialize)]
pub(super) struct Product<'a> {
    pub(super) title: &'a str,
    pub(super) price: Decimal,
    pub(super) quantity: i64,
}

/// An order as it is read back. Which fields a short answer has is not documented, so most may be missing.
#[derive(Deserialize)]
pub(super) struct Order {
    pub(super) id: String,
    status: String,
    #[serde(default, deserialize_with = "text")]
    pub(super) number: Option<String>,
    pub(super) currency: Option<String>,
    pub(super) total: Option<Decimal>,
    pub(super) amount_refunded: Option<Decimal>,
    pub(super) is_test: Option<bool>,
    pub(super) full_page_checkout: Option<String>,
    status_changes: Option<Vec<StatusChange>>,
    transaction_details: Option<TransactionDetails>,
}

#[derive(Deserialize)]
struct StatusChange {
    new_status: String,
    on: i64,
}

#[derive(Deserialize)]
struct TransactionDetails {
    errors: Option<Vec<Decline>>,
}

#[derive(Deserialize)]
struct Decline {
    description: Option<String>,
    #[serde(default, deserialize_with = "text")]
    code: Option<String>,
}

impl Order {
    /// The newest entry of the history, which moves before `status` does; the last of equals. `test` only marks
    /// an order, so the newest other word stands before it.
    pub(super) fn status(&self) -> &str {
        let history = self.status_changes.as_deref().unwrap_or_default();
        let is_test = |word: &str| word.trim().eq_ignore_ascii_case("test");
        let newest = |change: &&StatusChange| (!is_test(&change.new_status), change.on);
        history.iter().max_by_key(newest).map_or(&self.status, |change| &change.new_status)
    }

    /// The last failed try, if there was one.
    pub(super) fn last_decline(&self) -> Option<Failure> {
        let last = self.transaction_details.as_ref()?.errors.as_ref()?.last()?;
        Some(Failure { code: last.code.clone(), text: last.description.clone() })
    }
}

/// One page of the list of orders.
#[derive(Deserialize)]
pub(super) struct Page {
    /// Null on the last page. A page without it does not prove that there are no more.
    #[serde(deserialize_with = "Option::deserialize")]
    pub(super) next: Option<String>,
    pub(super) results: Vec<Row>,
}

/// An order in a list, and all that is read of a notification.
#[derive(Deserialize)]
pub(super) struct Row {
    pub(super) id: String,
    #[serde(default, deserialize_with = "text")]
    pub(super) number: Option<String>,
    pub(super) issued: Option<i64>,
}

/// A text that some clients send as a number and so get back as one.
fn text<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<String>, D::Error> {
    match Value::deserialize(deserializer)? {
        Value::Null => Ok(None),
        Value::String(text) => Ok(Some(text)),
        Value::Number(number) => Ok(Some(number.to_string())),
        _ => Err(D::Error::custom("neither text nor number")),
    }
}

/// Code and text of the first complaint in a refusal: `{"__all__": [{"message": …, "code": …}]}`, or the same
/// under the name of a field.
pub(super) fn complaint(response: &HttpResponse) -> Option<Complaint> {
    first_message(&response.json().ok()?)
}

/// What a 2xx complains about, if its `errors` are not empty.
pub(super) fn errors_in_success(response: &HttpResponse) -> Option<Complaint> {
    #[derive(Deserialize)]
    struct Refused {
        errors: Value,
    }
    let errors = response.json::<Refused>().ok()?.errors;
    let nothing = ["null", "\"\"", "[]", "{}"].contains(&errors.to_string().as_str());
    (!nothing).then(|| first_message(&errors).unwrap_or_default())
}

fn first_message(value: &Value) -> Option<Complaint> {
    let text = |name| value.get(name).and_then(Value::as_str).map(str::to_owned);
    match value {
        Value::Array(several) => several.iter().find_map(first_message),
        Value::Object(fields) => match text("message").or_else(|| text("detail")) {
            Some(message) => Some((text("code"), Some(message))),
            None => value.get("__all__").into_iter().chain(fields.values()).find_map(first_message),
        },
        _ => None,
    }
}
