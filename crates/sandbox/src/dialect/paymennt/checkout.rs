//! paymennt's checkout: links and web checkouts, made, found, cancelled, refunded and shown.

use paymux_port::{Currency, Decimal};
use serde::Deserialize;

use super::{Done, OPEN, Paymennt, US, refused};
use crate::context::RequestContext;
use crate::dialect::{Call, Dialect, MAX_ROW, is_web_address, moment, two_decimals};
use crate::doc::{Doc, Sent};
use crate::exact::Exact;
use crate::object::{Effect, Kind, Object, ReturnUrls, Terms, title_of};

/// What is read of a create, or of a debit's `checkoutDetails`.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Wanted {
    #[serde(default)]
    request_id: String,
    #[serde(default)]
    order_id: String,
    description: Option<String>,
    #[serde(default)]
    currency: String,
    amount: Option<Decimal>,
    totals: Option<Totals>,
    #[serde(default)]
    items: Vec<Item>,
    pub customer: Option<Customer>,
    billing_address: Option<serde_json::Value>,
    expires_in: Option<i64>,
    return_url: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Totals {
    subtotal: Option<Decimal>,
    tax: Option<Decimal>,
    shipping: Option<Decimal>,
    handling: Option<Decimal>,
    discount: Option<Decimal>,
    skip_totals_validation: Option<bool>,
}

#[derive(Deserialize)]
struct Item {
    name: Option<String>,
    quantity: Option<Decimal>,
    linetotal: Option<Decimal>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Customer {
    pub id: Option<String>,
    #[serde(default)]
    pub first_name: String,
    #[serde(default)]
    pub last_name: String,
    #[serde(default)]
    pub email: String,
    pub phone: Option<String>,
}

/// How a checkout came to be; each kind demands other fields.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Way {
    Link,
    Web,
    Debit,
}

pub(super) const BRANCH: &str = "1853070350745600002";

const MINUTE_US: i64 = 60_000_000;

pub(super) fn create(context: &mut RequestContext<'_>, call: &Call<'_>, kind: &str) -> Done {
    let way = if kind == "link" { Way::Link } else { Way::Web };
    let wanted: Wanted = call.json().map_err(|fault| format!("Invalid request: {fault}"))?;
    let sent: Sent = call.json().map_err(|fault| format!("Invalid request: {fault}"))?;
    let object = make(context, wanted, sent, way)?;
    Ok(show(&context.seen(&object), context.base_url).finish())
}

/// Checks the request and writes a new checkout down.
pub(super) fn make(
    context: &mut RequestContext<'_>,
    wanted: Wanted,
    sent: Sent,
    way: Way,
) -> Result<Object, String> {
    let (currency, amount) = check(&wanted, way)?;
    if context.ledger.find_reference(US, &wanted.request_id).is_some() {
        return Err("requestId was used before".to_owned());
    }
    let minutes = wanted.expires_in.filter(|_| way == Way::Link);
    let customer = wanted.customer;
    let names: Vec<_> = wanted.items.into_iter().filter_map(|item| item.name).collect();
    let terms = Terms {
        hold: false,
        save_card: false,
        deadline: minutes.map(|minutes| context.now.saturating_add(minutes.saturating_mul(MINUTE_US))),
        deny_late: true,
        most_tries: None,
        return_urls: ReturnUrls {
            paid: wanted.return_url.filter(|_| way != Way::Link),
            ..ReturnUrls::default()
        },
        customer: customer.and_then(|customer| customer.id),
        order_id: None,
        title: if names.is_empty() { wanted.description.unwrap_or(wanted.order_id) } else { title_of(names) },
    };
    let mut object = Object {
        provider: US,
        kind: Kind::Checkout,
        id: context.id_generator.snowflake(context.now),
        key: context.id_generator.hex(context.now, 48),
        reference: wanted.request_id,
        currency,
        amount,
        held: 0,
        captured: 0,
        refunded: 0,
        word: String::new(),
        created_at: context.now,
        history: Vec::new(),
        declines: Vec::new(),
        terms,
        slow_until: None,
        payment_id: None,
        challenged: false,
        by_transfer: false,
        stored_card: None,
        sent,
    };
    context.transition(&mut object, "PENDING", "PENDING").map_err(refused)?;
    Ok(object)
}

fn check(wanted: &Wanted, way: Way) -> Result<(Currency, i64), String> {
    let sized = |text: &str| (1..=50).contains(&text.chars().count());
    let customer_fits = wanted.customer.as_ref().is_none_or(|customer| {
        let named = !customer.first_name.is_empty() && !customer.last_name.is_empty();
        let long = |text: &str, most| text.chars().count() > most;
        let phone = customer.phone.as_deref().unwrap_or_default();
        let sized = !long(&customer.first_name, 60) && !long(&customer.last_name, 40);
        named && customer.email.contains('@') && sized && !long(&customer.email, 50) && !long(phone, 20)
    });
    let items_fit = wanted.items.iter().all(|item| {
        let positive = item.quantity.is_some_and(|quantity| quantity.parts().0 > 0);
        item.name.as_deref().is_some_and(|name| !name.is_empty()) && positive && item.linetotal.is_some()
    });
    let return_fits = wanted.return_url.as_deref().is_none_or(is_web_address);
    let demand = |holds: bool, fault: &str| if holds { Ok(()) } else { Err(fault.to_owned()) };
    demand(sized(&wanted.request_id), "requestId must have 1 to 50 characters")?;
    demand(sized(&wanted.order_id), "orderId must have 1 to 50 characters")?;
    demand(customer_fits, "customer needs firstName, lastName and email, none too long")?;
    demand(items_fit, "items need name, quantity and linetotal")?;
    demand(return_fits, "returnUrl must be an absolute URL")?;
    match way {
        Way::Link => {
            let described = wanted.description.as_deref().is_some_and(|text| !text.is_empty());
            let lasting = wanted.expires_in.is_none_or(|minutes| (15..=10_080).contains(&minutes));
            demand(described, "description is required")?;
            demand(lasting, "expiresIn must be between 15 and 10080 minutes")?;
        }
        Way::Web => {
            demand(!wanted.items.is_empty(), "items are required")?;
            demand(wanted.customer.is_some(), "customer is required")?;
            demand(wanted.billing_address.is_some(), "billingAddress is required")?;
            demand(wanted.return_url.is_some(), "returnUrl is required")?;
        }
        // The schema demands neither address nor return, but the server has validity checks for both.
        Way::Debit => demand(wanted.customer.is_some(), "customer is required")?,
    }
    let currency: Currency = wanted.currency.parse().map_err(|_| "currency is not supported".to_owned())?;
    let amount = wanted.amount.ok_or_else(|| "amount is required".to_owned())?;
    let minor = two_decimals(amount, currency).ok_or_else(|| "amount has more than 2 decimals".to_owned())?;
    demand(minor > 0, "amount must be positive")?;
    wanted.totals.as_ref().map_or(Ok(()), |totals| check_totals(totals, amount))?;
    Ok((currency, minor))
}

/// Both sums are demanded once totals are sent; that they add up, only when requested.
fn check_totals(totals: &Totals, amount: Decimal) -> Result<(), String> {
    let (Some(subtotal), Some(tax)) = (totals.subtotal, totals.tax) else {
        return Err("totals need subtotal and tax".to_owned());
    };
    if totals.skip_totals_validation.unwrap_or(true) {
        return Ok(());
    }
    let zero = Decimal::whole(0);
    let added = [subtotal, tax, totals.shipping.unwrap_or(zero), totals.handling.unwrap_or(zero)];
    let rest = added.into_iter().try_fold(Exact::from(amount), Exact::minus);
    // amount = subtotal + tax + shipping + handling - discount, so what is left over is minus the discount.
    let balanced = Exact::from(zero)
        .minus(totals.discount.unwrap_or(zero))
        .zip(rest)
        .and_then(|(less, rest)| rest.minus(less))
        .is_some_and(Exact::is_zero);
    if balanced { Ok(()) } else { Err("totals do not add up to amount".to_owned()) }
}

pub(super) fn find(context: &RequestContext<'_>, id: &str) -> Result<Object, String> {
    let found = context.find(US, id).filter(|object| object.id == id);
    found.ok_or_else(|| "Checkout not found for API merchant".to_owned())
}

pub(super) fn read(context: &RequestContext<'_>, id: &str) -> Done {
    let object = find(context, id)?;
    Ok(show(&context.seen(&object), context.base_url).finish())
}

/// Newest first. The filters that a merchant needs to find a lost create, and the status.
pub(super) fn search(context: &RequestContext<'_>, call: &Call<'_>) -> Done {
    if call.request.parameter("size").is_some_and(|size| size.parse::<u32>().is_ok_and(|size| size == 0)) {
        return Err("Page size must be a positive integer".to_owned());
    }
    let (page, size) = (call.number("page", 0, MAX_ROW), call.number("size", 20, 100).max(1));
    let parameter = |name: &str| call.request.parameter(name).filter(|value| !value.is_empty());
    let (request_id, order_id, status) = (parameter("requestId"), parameter("orderId"), parameter("status"));
    let customer = parameter("customer.reference");
    let fits = |object: &&Object| {
        object.provider == US
            && request_id.as_ref().is_none_or(|wanted| *wanted == object.reference)
            && order_id.as_ref().is_none_or(|wanted| object.sent.string("orderId").as_ref() == Some(wanted))
            && status.as_ref().is_none_or(|wanted| wanted.split(',').any(|word| word.trim() == object.word))
            && customer.as_ref().is_none_or(|wanted| object.terms.customer.as_ref() == Some(wanted))
    };
    let all: Vec<&Object> = context.ledger.objects().iter().rev().filter(fits).collect();
    let shown = all.iter().skip(page.saturating_mul(size)).take(size);
    let rows = shown.map(|object| show(&context.seen(object), context.base_url));
    let body = Doc::default()
        .put("page", page)
        .put("size", size)
        .put("totalPages", all.len().div_ceil(size))
        .put("totalElements", all.len())
        .put_list("content", rows);
    Ok(body.finish())
}

/// Whether a cancel also releases an authorization is not public; here it does.
pub(super) fn cancel(context: &mut RequestContext<'_>, id: &str) -> Done {
    let mut object = find(context, id)?;
    if !OPEN.contains(&object.word.as_str()) && object.word != "AUTHORIZED" {
        return Err("Only a pending checkout can be cancelled".to_owned());
    }
    context.set(&mut object, "CANCELLED", Effect::Release).map_err(refused)?;
    Ok(show(&context.seen(&object), context.base_url).finish())
}

/// Everything is in the query, as the specification has it; the body stays empty.
pub(super) fn refund(context: &mut RequestContext<'_>, call: &Call<'_>, id: &str) -> Done {
    let mut object = find(context, id)?;
    let parameter = |name: &str| {
        let value = call.request.parameter(name).filter(|value| !value.trim().is_empty());
        value.ok_or_else(|| format!("{name} is required"))
    };
    let (amount, currency) = (parameter("amount")?, parameter("currency")?);
    parameter("note")?;
    if currency != object.currency.code() {
        return Err("currency is not that of the checkout".to_owned());
    }
    if !matches!(object.word.as_str(), "PAID" | "PARTIALLY_REFUNDED") {
        return Err("Only a paid checkout can be refunded".to_owned());
    }
    let major: Decimal = amount.parse().map_err(|_| "amount is not a number".to_owned())?;
    let minor =
        two_decimals(major, object.currency).ok_or_else(|| "amount has more than 2 decimals".to_owned())?;
    object.refund(minor).map_err(refused)?;
    let word = if object.refunded == object.captured { "REFUNDED" } else { "PARTIALLY_REFUNDED" };
    context.transition(&mut object, word, word).map_err(refused)?;
    Ok(show(&context.seen(&object), context.base_url).finish())
}

/// Searches answer with rows in the same shape as a read.
pub(super) fn show(object: &Object, base_url: &str) -> Doc {
    let customer = customer(object).map(|customer| {
        Doc::default()
            .put("id", "1853070350745600001")
            .put("reference", customer.id)
            .put("firstName", customer.first_name)
            .put("lastName", customer.last_name)
            .put("email", customer.email)
            .put("phone", customer.phone)
    });
    let doc = Doc::default()
        .put("id", &object.id)
        .put("displayId", display_id(object))
        .put("checkoutKey", &object.key)
        .put("requestId", &object.reference)
        .put("orderId", object.sent.string("orderId"))
        .put("currency", object.currency)
        .put("amount", object.major(object.amount))
        .put("cashAmount", object.major(0))
        .put("totalRefunded", object.major(object.refunded))
        .put("status", &object.word)
        .put("redirectUrl", format!("{base_url}{}", Paymennt.page(object)))
        .put("usedPaymentMethod", method(object));
    let doc = match customer {
        Some(customer) => doc.put_doc("customer", customer),
        None => doc.put("customer", None::<&str>),
    };
    doc.put("billingAddress", object.sent.get("billingAddress"))
        .put("deliveryAddress", object.sent.get("deliveryAddress"))
        .put("branchId", BRANCH)
        .put("branchName", "Main")
        .put("firebaseDatabase", "paymux-sandbox")
        .put("firebaseCollection", "checkouts")
        .put("firebaseDocument", &object.id)
        .put("timestamp", moment(object.created_at, "+00:00"))
}

pub(super) fn customer(object: &Object) -> Option<Customer> {
    serde_json::from_str(object.sent.get("customer")?.get()).ok()
}

/// Six characters for people, taken from the page's key.
pub(super) fn display_id(object: &Object) -> String {
    object.key.chars().take(6).collect::<String>().to_uppercase()
}

pub(super) fn method(object: &Object) -> Option<&'static str> {
    // Its documents have no word for a bank transfer.
    object.payment_id.as_ref().filter(|_| !object.by_transfer).map(|_| "CARD")
}
