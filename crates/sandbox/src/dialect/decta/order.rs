//! DECTA's order: how it is made, listed and shown.

use paymux_port::{Currency, Decimal};
use serde::{Deserialize, Deserializer};
use serde_json::value::RawValue;
use serde_json::{Map, Value, json};

use super::{Decta, OPEN, US, fault, refused};
use crate::context::RequestContext;
use crate::dialect::{Call, Dialect, MAX_ROW, is_web_address, two_decimals};
use crate::doc::{Doc, Sent};
use crate::exact::Exact;
use crate::http::Response;
use crate::ids;
use crate::object::{Kind, Object, ReturnUrls, Terms, title_of};

/// What is read of a create; every other field is stored as sent and ignored.
#[derive(Deserialize)]
struct Wanted {
    client: Option<Client>,
    #[serde(default)]
    products: Vec<Product>,
    currency: Option<String>,
    #[serde(default, deserialize_with = "text_or_number")]
    number: String,
    due: Option<i64>,
    deny_overdue_payment: Option<bool>,
    max_payment_attempts: Option<usize>,
    skip_capture: Option<bool>,
    save_card: Option<bool>,
    total_override: Option<Decimal>,
    success_redirect: Option<String>,
    in_progress_redirect: Option<String>,
    failure_redirect: Option<String>,
    cancel_redirect: Option<String>,
}

#[derive(Deserialize)]
struct Client {
    email: Option<String>,
    original_client: Option<String>,
    recurring_card: Option<String>,
    recurring_payment_method: Option<String>,
}

/// Tax fields are not read: nothing public says whether prices include them, so the price is what is paid.
#[derive(Deserialize)]
struct Product {
    title: Option<String>,
    price: Option<Decimal>,
    quantity: Option<Decimal>,
    discount_amount: Option<Decimal>,
}

/// Merchants number their orders with strings, one plugin with integers.
fn text_or_number<'de, D: Deserializer<'de>>(deserializer: D) -> Result<String, D::Error> {
    let raw = <&RawValue>::deserialize(deserializer)?.get();
    Ok(match raw {
        "null" => String::new(),
        raw => serde_json::from_str(raw).unwrap_or_else(|_| raw.to_owned()),
    })
}

pub(super) fn create(context: &mut RequestContext<'_>, call: &Call<'_>) -> Result<Response, Response> {
    let unreadable = |_| fault(400, "__all__", "Invalid JSON", "parse_error");
    let wanted: Wanted = call.json().map_err(unreadable)?;
    let sent: Sent = call.json().map_err(unreadable)?;
    let client = wanted.client.as_ref();
    if !client.and_then(|client| client.email.as_deref()).is_some_and(|email| email.contains('@')) {
        return Err(fault(400, "client", "A valid email is required", "required"));
    }
    let currency: Currency = wanted
        .currency
        .as_deref()
        .unwrap_or("EUR")
        .parse()
        .map_err(|_| fault(400, "currency", "Not a valid choice", "invalid_choice"))?;
    let amount = total(&wanted, currency)?;
    let stored = client.and_then(|c| c.recurring_card.as_deref().or(c.recurring_payment_method.as_deref()));
    let card = match stored {
        Some(token) => Some(
            context
                .ledger
                .card(US, token)
                .cloned()
                .ok_or_else(|| fault(400, "client", "Recurring card not found", "does_not_exist"))?,
        ),
        None => None,
    };
    let id = context.id_generator.uuid(context.now);
    let mut object = Object {
        provider: US,
        kind: Kind::Order,
        key: id.clone(),
        id,
        reference: wanted.number.clone(),
        currency,
        amount,
        held: 0,
        captured: 0,
        refunded: 0,
        word: String::new(),
        created_at: context.now,
        history: Vec::new(),
        declines: Vec::new(),
        terms: terms(wanted, context.now)?,
        slow_until: None,
        payment_id: None,
        challenged: false,
        by_transfer: false,
        stored_card: None,
        sent,
    };
    context.transition(&mut object, "issued", "issued").map_err(refused)?;
    // How DECTA charges a stored card is not public; here naming it on the order charges it at once.
    if let Some(card) = card {
        context.charge(&mut object, &card).map_err(refused)?;
    }
    Ok(reply(context, call, 201, &object))
}

fn terms(wanted: Wanted, now: i64) -> Result<Terms, Response> {
    let return_urls = ReturnUrls {
        paid: address("success_redirect", wanted.success_redirect)?,
        in_progress: address("in_progress_redirect", wanted.in_progress_redirect)?,
        failed: address("failure_redirect", wanted.failure_redirect)?,
        cancelled: address("cancel_redirect", wanted.cancel_redirect)?,
    };
    let deadline = match wanted.due.map(|due| due.saturating_mul(1_000_000)) {
        Some(due) if due <= now => return Err(fault(400, "due", "Must be in the future", "invalid")),
        due => due,
    };
    let client = wanted.client;
    Ok(Terms {
        hold: wanted.skip_capture.unwrap_or(false),
        save_card: wanted.save_card.unwrap_or(false),
        deadline,
        deny_late: wanted.deny_overdue_payment.unwrap_or(false),
        most_tries: wanted.max_payment_attempts,
        return_urls,
        customer: client.and_then(|client| client.original_client.or(client.email)),
        order_id: None,
        title: title_of(wanted.products.into_iter().filter_map(|product| product.title)),
    })
}

fn address(field: &str, url: Option<String>) -> Result<Option<String>, Response> {
    match url.filter(|url| !url.is_empty()) {
        Some(url) if !is_web_address(&url) => Err(fault(400, field, "Enter a valid URL", "invalid")),
        url => Ok(url),
    }
}

/// What the customer pays, in minor units. An override of 0 means none, as one live client sends it.
fn total(wanted: &Wanted, currency: Currency) -> Result<i64, Response> {
    let blame = |message: &str, code: &str| fault(400, "products", message, code);
    if wanted.products.is_empty() {
        return Err(blame("This field is required", "required"));
    }
    let mut sum: i64 = 0;
    for product in &wanted.products {
        let (Some(_), Some(price)) = (&product.title, product.price) else {
            return Err(blame("title and price are required", "required"));
        };
        let Some(_) = two_decimals(price, currency) else {
            return Err(blame("Ensure that there are no more than 2 decimal places", "max_decimal_places"));
        };
        let gross = Exact::from(price).times(product.quantity.unwrap_or(Decimal::whole(1)));
        let net = gross.and_then(|gross| gross.minus(product.discount_amount.unwrap_or(Decimal::whole(0))));
        let minor = net.and_then(|net| net.to_minor(currency));
        sum = minor
            .and_then(|minor| sum.checked_add(minor))
            .ok_or_else(|| blame("Amount too large", "invalid"))?;
    }
    let replaced = match wanted.total_override {
        Some(total) => two_decimals(total, currency)
            .ok_or_else(|| fault(400, "total_override", "Not a valid amount", "max_decimal_places"))?,
        None => 0,
    };
    match if replaced == 0 { sum } else { replaced } {
        total if total > 0 => Ok(total),
        _ => Err(blame("Total must be above zero", "min_value")),
    }
}

/// Newest first, in pages whose cursor counts the orders already shown.
pub(super) fn list(context: &RequestContext<'_>, call: &Call<'_>) -> Response {
    let size = call.number("page_size", 20, 100).max(1);
    let start = call.number("cursor", 0, MAX_ROW);
    let orders = context.ledger.objects().iter().rev().filter(|object| object.provider == US);
    let rows: Vec<Doc> = orders
        .skip(start)
        .take(size + 1)
        .map(|object| show(&context.seen(object), context.base_url, &detail(call)))
        .collect();
    let page = |cursor: usize| {
        format!("{}/decta/api/v0.6/orders/?page_size={size}&cursor={cursor}", context.base_url)
    };
    let next = (rows.len() > size).then(|| page(start + size));
    let previous = (start > 0).then(|| page(start.saturating_sub(size)));
    let body = Doc::default()
        .put("next", next)
        .put("previous", previous)
        .put_list("results", rows.into_iter().take(size));
    Response::json(200, body.finish())
}

/// The order as an answer.
pub(super) fn reply(context: &RequestContext<'_>, call: &Call<'_>, status: u16, object: &Object) -> Response {
    Response::json(status, show(&context.seen(object), context.base_url, &detail(call)).finish())
}

fn detail(call: &Call<'_>) -> String {
    call.request.parameter("response_type").unwrap_or_else(|| "minimum".into())
}

/// The order with the fields of the level `detail`: `minimum`, `standard` or `full`.
pub(super) fn show(object: &Object, base_url: &str, detail: &str) -> Doc {
    let page = format!("{base_url}{}", Decta.page(object));
    let total = object.major(object.amount);
    let none = object.major(0);
    let minimum = Doc::default()
        .put("type", "order")
        .put("id", &object.id)
        .put("number", &object.reference)
        .put("status", &object.word)
        .put("currency", object.currency)
        .put("is_test", true)
        .put("total", total)
        .put("subtotal", total)
        .put("total_tax", none)
        .put("total_discount", none)
        .put("full_page_checkout", &page)
        .put("iframe_checkout", &page)
        .put("direct_post", &page)
        .put("api_do_url", format!("{base_url}/decta/do/{}", object.key))
        .put("link", &page)
        .put_doc("transaction_details", transaction(object));
    match detail {
        "standard" => standard(minimum, object),
        "full" => full(standard(minimum, object), object),
        _ => minimum,
    }
}

fn standard(doc: Doc, object: &Object) -> Doc {
    let mut permitted: Vec<&str> = Vec::new();
    if object.word == "hold" {
        permitted.push("capture");
    }
    if object.word == "paid" {
        permitted.push("refund");
    }
    let echoed =
        ["products", "success_redirect", "in_progress_redirect", "failure_redirect", "cancel_redirect"];
    doc.put("permitted_actions", permitted)
        .put("client", client(object))
        .echo(&object.sent, &echoed)
        .put("refund_amount", object.major(object.refunded))
        .put("amount_refunded", object.major(object.refunded))
}

/// The client as it was sent, with the id it has here and the card that its payment has stored.
fn client(object: &Object) -> Map<String, Value> {
    let sent = object.sent.get("client").and_then(|raw| serde_json::from_str(raw.get()).ok());
    let mut client: Map<String, Value> = sent.unwrap_or_default();
    let customer = object.terms.customer.as_deref().unwrap_or_default();
    let named = client.get("original_client").and_then(Value::as_str).map(str::to_owned);
    let id = named.unwrap_or_else(|| ids::fixed_uuid(&format!("client/{customer}")));
    client.insert("original_client".to_owned(), json!({"id": id}));
    if let Some(card) = &object.stored_card {
        client.insert("recurring_card".to_owned(), card.as_str().into());
    }
    client
}

fn full(doc: Doc, object: &Object) -> Doc {
    let changes = object
        .history
        .iter()
        .map(|change| Doc::default().put("new_status", &change.word).put("on", seconds(change.at)));
    let echoed = ["due", "max_payment_attempts", "language", "notes", "referrer"];
    let captured = (object.captured > 0).then(|| object.first("paid")).flatten();
    doc.put("skip_capture", object.terms.hold)
        .put("deny_overdue_payment", object.terms.deny_late)
        .put("is_payable", OPEN.contains(&object.word.as_str()))
        .put("save_card", object.terms.save_card)
        .echo(&object.sent, &echoed)
        .put_list("status_changes", changes)
        .put("issued", seconds(object.created_at))
        .put("modified", seconds(object.changed_at()))
        .put("viewed", object.first("viewed").map(seconds))
        .put("captured", captured.map(seconds))
        .put("paid", object.first("paid").map(seconds))
}

fn transaction(object: &Object) -> Doc {
    let errors = object.declines.iter().map(|decline| {
        Doc::default()
            .put("on", seconds(decline.at))
            .put("description", &decline.text)
            .put("code", &decline.code)
    });
    let mut doc = Doc::default();
    if !object.declines.is_empty() {
        doc = doc.put_list("errors", errors);
    }
    match &object.payment_id {
        Some(payment) if object.by_transfer => {
            doc.put("method", "openbanking").put("processing_payment_id", payment)
        }
        Some(payment) => doc
            .put("method", "card")
            .put("payment_system", "VISA")
            .put("card_masked_pan", "424242******4242")
            .put("cardholder_name", "TEST USER")
            .put("processing_payment_id", payment)
            .put("amount_refunded", object.major(object.refunded)),
        None => doc,
    }
}

fn seconds(at: i64) -> i64 {
    at.div_euclid(1_000_000)
}
