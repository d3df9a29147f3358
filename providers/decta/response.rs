//! What DECTA answers: only the fields that are used. Statuses stay text.

use std::time::Duration;

use paymux_port::{
    Attempt, Complaint, Ctx, Decimal, Detail, Failure, Fields, Flag, Given, HttpResponse, Moment,
    PaymentMethod, PaymentMethodType, ProviderStatus, ProviderView, Result, Side, StatusTable, Text,
    Timestamp,
};
use serde::Deserialize;
use serde_json::Value;

/// An order as it is read back. Which fields a short answer has is not documented, so most may be missing.
#[derive(Deserialize)]
pub(super) struct Order {
    pub(super) id: Side<Text>,
    status: Text,
    number: Side<Text>,
    currency: Given<Text>,
    total: Given<Decimal>,
    amount_refunded: Given<Decimal>,
    is_test: Side<Flag>,
    pub(super) full_page_checkout: Side<Text>,
    status_changes: Side<Vec<StatusChange>>,
    transaction_details: Side<TransactionDetails>,
}

#[derive(Deserialize)]
struct StatusChange {
    new_status: Text,
    on: Moment,
}

#[derive(Deserialize)]
struct TransactionDetails {
    errors: Side<Vec<Side<Decline>>>,
}

#[derive(Deserialize)]
struct Decline {
    description: Side<Text>,
    code: Side<Text>,
}

impl Order {
    /// The state of the order. States no captured amount: at DECTA `captured` is a time. Amounts without a currency are
    /// in that of the attempt, so that they are compared too.
    ///
    /// # Errors
    /// [`Ctx::unreadable`] for another order, and for an amount or a currency that cannot be one.
    pub(super) fn view(&self, ctx: &Ctx<'_>, attempt: &Attempt) -> Result<ProviderView> {
        ctx.ensure_about(attempt.reference.as_deref(), self.id.as_deref(), self.number.as_deref())?;
        let currency = match self.currency.as_deref() {
            Some(code) => ctx.currency(code)?,
            None => attempt.currency(),
        };
        let money = |major: Option<Decimal>| major.map(|major| ctx.money(major, currency)).transpose();
        let (provider_status, mark) = self.status(ctx.statuses());
        Ok(ProviderView {
            provider_status,
            mark,
            total: money(self.total.0)?,
            refunded: money(self.amount_refunded.0)?,
            merchant_reference: self.number.as_deref().map(str::to_owned),
            is_test: self.is_test.map(|flag| flag.0),
            failure: self.last_decline(),
            ..ProviderView::default()
        })
    }

    /// The newest entry of the history, which moves before `status` does; the last of equals. One that only marks a
    /// test order does not say where the order is, so the newest other one does, and it is the mark. A history with an
    /// entry that cannot be read does not say which is the newest, and is none.
    fn status(&self, table: &StatusTable) -> (ProviderStatus, Option<ProviderStatus>) {
        let history = self.status_changes.as_deref().unwrap_or_default();
        let of = |status: &Text| ProviderStatus::new("order", &**status);
        let marks_test = |change: &StatusChange| {
            table.row(&of(&change.new_status)).is_some_and(|row| row.detail == Some(Detail::Test))
        };
        let newest = history.iter().max_by_key(|change| change.on);
        let decides = history.iter().max_by_key(|change| (!marks_test(change), change.on));
        let mark = newest.filter(|newest| marks_test(newest)).map(|newest| of(&newest.new_status));
        let decides = of(decides.map_or(&self.status, |change| &change.new_status));
        let mark = mark.filter(|mark| *mark != decides);
        (decides, mark)
    }

    /// The last failed try, if there was one.
    fn last_decline(&self) -> Option<Failure> {
        let last = self.transaction_details.as_ref()?.errors.as_ref()?.last()?.as_ref()?;
        let owned = |text: &Side<Text>| text.as_deref().map(str::to_owned);
        Some(Failure { code: owned(&last.code), text: owned(&last.description) })
    }
}

/// One page of the list of orders.
#[derive(Deserialize)]
pub(super) struct Page {
    /// Null on the last page. A page without it does not prove that there are no more.
    #[serde(deserialize_with = "Given::deserialize")]
    pub(super) next: Given<Text>,
    pub(super) results: Vec<Row>,
}

impl Page {
    /// Whether the list runs from new to old and has come to orders from well before this moment.
    pub(super) fn ends_before(&self, moment: Timestamp) -> bool {
        let issued = |row: Option<&Row>| row.and_then(|row| *row.issued);
        let well_before = moment.minus(Duration::from_secs(3600));
        match (issued(self.results.first()), issued(self.results.last())) {
            (Some(first), Some(last)) => first >= last && last.0 < well_before,
            _ => false,
        }
    }
}

/// An order in a list. A number that cannot be read could be ours, so it does not prove that there is no such order.
#[derive(Deserialize)]
pub(super) struct Row {
    pub(super) id: Text,
    pub(super) number: Given<Text>,
    issued: Side<Moment>,
}

/// All that is read of a notification.
#[derive(Deserialize)]
pub(super) struct NotificationBody {
    pub(super) id: Text,
    pub(super) number: Side<Text>,
    status: Side<Text>,
    status_changes: Side<Vec<StatusChange>>,
}

impl NotificationBody {
    /// The newest status that it reports.
    pub(super) fn status(&self) -> Option<ProviderStatus> {
        let newest =
            self.status_changes.as_ref().and_then(|history| history.iter().max_by_key(|change| change.on));
        let status = newest.map(|change| &change.new_status).or(self.status.as_ref())?;
        Some(ProviderStatus::new("order", &**status))
    }
}

/// Code and text of the first complaint in a refusal: `{"__all__": [{"message": …, "code": …}]}`, the same under the name
/// of a field, or there only a text or a list of texts.
pub(super) fn complaint(response: &HttpResponse) -> Option<Complaint> {
    complaint_in(&response.json().ok()?)
}

fn complaint_in(value: &Value) -> Option<Complaint> {
    first_message(value).or_else(|| first_text(value).map(|text| (None, Some(text))))
}

/// The first text, with the name of the field that it is about.
fn first_text(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()).filter(|text| !text.trim().is_empty()),
        Value::Array(several) => several.iter().find_map(first_text),
        Value::Object(fields) => {
            let named = |(name, value): (&String, &Value)| Some(format!("{} ({name})", first_text(value)?));
            value.get("__all__").and_then(first_text).or_else(|| fields.iter().find_map(named))
        }
        _ => None,
    }
}

/// What a 2xx complains about, if its `errors` are not empty.
pub(super) fn errors_in_success(response: &HttpResponse) -> Option<Complaint> {
    // Hardly any answer has them, so it is searched before it is read.
    const NAME: &[u8] = b"\"errors\"";
    if !response.body.windows(NAME.len()).any(|part| part == NAME) {
        return None;
    }
    let errors: Value = response.json::<Fields>().ok()?.get("errors")?;
    let nothing = ["null", "\"\"", "[]", "{}"].contains(&errors.to_string().as_str());
    (!nothing).then(|| complaint_in(&errors).unwrap_or_default())
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

/// What DECTA calls its methods, with their kinds: named after the addresses of an order that start them (assumed).
const METHODS: [(&str, PaymentMethodType); 8] = [
    ("card", PaymentMethodType::Card),
    ("openbanking", PaymentMethodType::BankTransfer),
    ("volt", PaymentMethodType::BankTransfer),
    ("zimpler", PaymentMethodType::BankTransfer),
    ("paypal", PaymentMethodType::Wallet),
    ("alipay", PaymentMethodType::Wallet),
    ("wechat", PaymentMethodType::Wallet),
    ("klarna", PaymentMethodType::BuyNowPayLater),
];

/// What the customer paid with, as far as a full order says: the card of the newest try, or what DECTA calls anything else.
/// It is read apart from the order, so that nothing odd about it can hide a payment.
pub(super) fn paid_with(response: &HttpResponse) -> Option<PaymentMethod> {
    let order: Value = response.json().ok()?;
    let details = order.get("transaction_details")?;
    let text = |value: Option<&Value>| value.and_then(Value::as_str).map(str::to_owned);
    match details.get("card_masked_pan").and_then(Value::as_str) {
        Some(masked) => Some(PaymentMethod {
            kind: Some(PaymentMethodType::Card),
            brand: text(details.get("payment_system")),
            last4: last_four(masked),
            wallet: None,
            country: text(details.pointer("/card_issuer_country/code")),
        }),
        None => {
            let name = text(details.get("method"))?;
            let kind = METHODS.iter().find(|(known, _)| *known == name).map(|(_, kind)| *kind);
            let brand = Some(name).filter(|_| kind != Some(PaymentMethodType::Card));
            Some(PaymentMethod { kind, brand, ..PaymentMethod::default() })
        }
    }
}

fn last_four(masked: &str) -> Option<String> {
    const LAST: usize = 4;
    let last = masked.get(masked.len().checked_sub(LAST)?..)?;
    last.bytes().all(|byte| byte.is_ascii_digit()).then(|| last.to_owned())
}
