//! The hosted pages: one card form for all dialects, made of plain HTML forms.
//!
//! A page shows and reads input; the context and the dialect apply it.

mod card;
mod direct;
mod shop;
mod template;

use std::collections::BTreeMap;

use card::{Faults, SCENARIOS};
use template::{escape, fill};

use crate::context::{Outcome, RequestContext};
use crate::dialect;
use crate::http::{Request, Response};
use crate::object::{Kind, Object, Provider, Refusal};

const STYLE: &str = include_str!("style.css");
const FRAME: &str = include_str!("frame.html");
const FORM: &str = include_str!("form.html");
const CHALLENGE: &str = include_str!("challenge.html");
const MESSAGE_PAGE: &str = include_str!("note.html");
const INDEX: &str = include_str!("index.html");

/// The index lists no more than this.
const MAX_ROWS: usize = 200;

/// Answers a browser.
pub(crate) fn handle(context: &mut RequestContext<'_>, request: &Request, path: &[&str]) -> Response {
    if let (["decta", "do", key], "POST") = (path, request.method.as_str()) {
        let order = context.find(Provider::Decta, key);
        return order.map_or_else(missing, |order| direct::charge(context, order, request));
    }
    let found = match path {
        [] if reads(request) => return index(context, request),
        ["demo", name] if reads(request) => return shop::page(name, request).unwrap_or_else(missing),
        ["telness", "pay" | "save", key] => context.find(Provider::Telness, key),
        ["paymennt", "checkout", key] => context.find(Provider::Paymennt, key),
        ["decta", "pay", key] => context.find(Provider::Decta, key),
        _ => None,
    };
    match found {
        Some(object) if reads(request) => view(context, object),
        Some(object) if request.method == "POST" => act(context, object, &request.form()),
        Some(_) => Response::empty(405),
        None => missing(),
    }
}

/// Whether a page is read only; the listener leaves the body of an answer to HEAD out.
fn reads(request: &Request) -> bool {
    matches!(request.method.as_str(), "GET" | "HEAD")
}

/// The page in the object's present state. Opening it is something that a provider notices.
fn view(context: &mut RequestContext<'_>, mut object: Object) -> Response {
    if !dialect::of(object.provider).is_open(&object) {
        return closed(&object);
    }
    if object.slow_until.is_some() {
        return waiting(&object);
    }
    if object.challenged {
        return challenge(&object);
    }
    match context.apply_outcome(&mut object, Outcome::Viewed) {
        Ok(()) => form(&object, 200, &BTreeMap::new(), &Faults::new(), ""),
        Err(refusal) => refused(&object, refusal),
    }
}

/// What the customer pressed.
fn act(context: &mut RequestContext<'_>, mut object: Object, fields: &BTreeMap<String, String>) -> Response {
    if !dialect::of(object.provider).is_open(&object) {
        return closed(&object);
    }
    let outcome = match fields.get("scenario").map(String::as_str) {
        Some("approve") if object.challenged => Some(Outcome::Paid),
        Some("deny") if object.challenged => Some(Outcome::Declined),
        Some(name) => match offered(&object).find(|scenario| scenario.name == name) {
            Some(scenario) => scenario.outcome,
            None => return form(&object, 400, fields, &Faults::new(), "There is no such scenario."),
        },
        None => match card::read(fields) {
            Ok(scenario) => scenario.outcome,
            Err(faults) => return form(&object, 422, fields, &faults, ""),
        },
    };
    let Some(outcome) = outcome else { return tab_closed(&object) };
    match context.apply_outcome(&mut object, outcome) {
        Ok(()) => next(&object),
        Err(refusal) => refused(&object, refusal),
    }
}

/// Where the customer goes after pressing: on with the page, or back to the shop.
fn next(object: &Object) -> Response {
    let dialect = dialect::of(object.provider);
    if object.challenged {
        return challenge(object);
    }
    if dialect.is_open(object) && object.slow_until.is_none() {
        let banner = "Your bank declined the card: insufficient funds. You may try another one.";
        return form(object, 200, &BTreeMap::new(), &Faults::new(), banner);
    }
    match dialect.way_back(object) {
        Some(url) => Response::redirect(&url),
        None => Response::redirect(&dialect.page(object)),
    }
}

fn form(
    object: &Object,
    status: u16,
    fields: &BTreeMap<String, String>,
    faults: &Faults,
    banner: &str,
) -> Response {
    let typed = |name: &str| escape(fields.get(name).map_or("", String::as_str));
    let (number, expiry, name) = (typed("number"), typed("expiry"), typed("name"));
    let mut values = marks(fields, faults);
    let saves = object.kind == Kind::ProfileSession;
    let verb = if saves { "Save card".to_owned() } else { format!("Pay {}", amount(object)) };
    let banner = match banner {
        "" => String::new(),
        text => format!("<p class=\"banner\" role=\"alert\">{}</p>", escape(text)),
    };
    let own = [
        ("what", escape(title(object))),
        ("amount", amount(object)),
        ("banner", banner),
        ("number", number),
        ("expiry", expiry),
        ("name", name),
        ("tiles", tiles(object, &verb)),
        ("verb", verb),
    ];
    values.extend(own.map(|(name, value)| (name.to_owned(), value)));
    let values: Vec<(&str, &str)> =
        values.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
    page(status, object, "", &fill(FORM, &values))
}

/// What a field gets beside its value: a fault, tied to it for screen readers, and the focus if it is the first.
fn marks(fields: &BTreeMap<String, String>, faults: &Faults) -> Vec<(String, String)> {
    const FIELDS: [&str; 5] = ["number", "expiry", "cvv", "name", "terms"];
    let first = FIELDS.into_iter().find(|field| faults.contains_key(field));
    let of_field = |field: &'static str| {
        let id = format!("{field}-fault");
        let Some(fault) = faults.get(field) else {
            let ticked = if field == "terms" && fields.contains_key("terms") { "checked" } else { "" };
            return [(format!("{field}_mark"), ticked.to_owned()), (format!("{field}_fault"), String::new())];
        };
        let focus = if first == Some(field) { " autofocus" } else { "" };
        let mark = format!("aria-invalid=\"true\" aria-describedby=\"{id}\"{focus}");
        let text = format!("<span class=\"fault\" id=\"{id}\" role=\"alert\">{}</span>", escape(fault));
        [(format!("{field}_mark"), mark), (format!("{field}_fault"), text)]
    };
    FIELDS.into_iter().flat_map(of_field).collect()
}

/// What the customer can do here: all scenarios, but for a bank transfer where a card is to be stored, or where the page
/// is restricted to other methods.
fn offered(object: &Object) -> impl Iterator<Item = &'static card::Scenario> {
    let restricted = object.sent.get("allowedPaymentMethods").is_some_and(|methods| methods.get() != "[]");
    let transfers = object.kind != Kind::ProfileSession && !restricted;
    SCENARIOS.iter().filter(move |scenario| transfers || scenario.name != card::TRANSFER)
}

/// The scenarios as buttons; `verb` is what an ordinary success does.
fn tiles(object: &Object, verb: &str) -> String {
    let tile = |scenario: &card::Scenario| {
        let title = if scenario.outcome == Some(Outcome::Paid) { verb } else { scenario.title };
        format!(
            "<button name=\"scenario\" value=\"{}\"><b>{title}</b><span>{}</span><code>{}</code></button>",
            scenario.name, scenario.text, scenario.number
        )
    };
    offered(object).map(tile).collect()
}

fn challenge(object: &Object) -> Response {
    page(200, object, "", &fill(CHALLENGE, &[("amount", &amount(object))]))
}

fn waiting(object: &Object) -> Response {
    let refresh = "<meta http-equiv=\"refresh\" content=\"3\">";
    let text = match object.by_transfer {
        true => "Your bank transfer is on its way. This page looks again by itself; you may also close it.",
        false => "Your bank takes its time. This page looks again by itself; you may also close it.",
    };
    page(200, object, refresh, &message_page(object, "", "One moment", text, None))
}

/// What is paid, as it was sent.
fn title(object: &Object) -> &str {
    if object.terms.title.is_empty() { "Your order" } else { &object.terms.title }
}

fn tab_closed(object: &Object) -> Response {
    let text =
        "You closed the tab: nothing was sent to the shop, and the payment is still open at this address.";
    page(200, object, "", &message_page(object, "", "Tab closed", text, None))
}

/// The confirmation page, or what is left to say about a payment that is over.
fn closed(object: &Object) -> Response {
    let (mood, headline, text) = receipt(object);
    let way_back = dialect::of(object.provider).way_back(object);
    page(200, object, "", &message_page(object, mood, headline, &text, way_back.as_deref()))
}

/// What has become of a payment that is over, for the customer.
fn receipt(object: &Object) -> (&'static str, &'static str, String) {
    let money = |minor: i64| object.money(minor);
    let (mood, headline, text) = if object.kind == Kind::ProfileSession && object.word == "COMPLETED" {
        ("good", "Thank you", "Your card is stored with the shop's payment provider.".to_owned())
    } else if object.refunded > 0 {
        (
            "good",
            "Thank you",
            format!("You have paid {}; {} went back to you.", money(object.captured), money(object.refunded)),
        )
    } else if object.captured > 0 {
        ("good", "Thank you", format!("You have paid {}.", money(object.captured)))
    } else if object.held > 0 {
        ("good", "Thank you", format!("{} are reserved on your card for the shop.", money(object.held)))
    } else {
        (
            "",
            "This payment is closed",
            "You have paid nothing here, and it cannot be paid any more.".to_owned(),
        )
    };
    (mood, headline, format!("{text} You can close this page."))
}

fn refused(object: &Object, refusal: Refusal) -> Response {
    let text = format!("The payment {refusal}.");
    page(409, object, "", &message_page(object, "", "That did not work", &text, None))
}

fn message_page(object: &Object, mood: &str, headline: &str, text: &str, way_back: Option<&str>) -> String {
    let link = way_back.map(|url| format!("<a class=\"lead\" href=\"{}\">Back to the shop</a>", escape(url)));
    let amount = format!("<p class=\"amount\">{}</p>", amount(object));
    let note = format!(
        "<p class=\"small\">If you write to the shop, give this number: {}</p>",
        escape(&object.reference)
    );
    fill(
        MESSAGE_PAGE,
        &[
            ("mood", mood),
            ("headline", headline),
            ("amount", &amount),
            ("text", &escape(text)),
            ("note", &note),
            ("way_back", &link.unwrap_or_default()),
        ],
    )
}

fn page(status: u16, object: &Object, refresh: &str, content: &str) -> Response {
    frame(status, object.provider.title(), "", refresh, content)
}

fn frame(status: u16, provider: &str, shape: &str, refresh: &str, content: &str) -> Response {
    let title = format!("{provider} sandbox");
    let values = [
        ("provider", provider),
        ("title", title.as_str()),
        ("style", STYLE),
        ("shape", shape),
        ("refresh", refresh),
        ("content", content),
    ];
    let page = Response::html(status, fill(FRAME, &values)).header("cache-control", "no-store");
    // No `form-action`: browsers hold it against the way back to the shop too.
    page.header("x-content-type-options", "nosniff").header(
        "content-security-policy",
        "default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'; base-uri 'none'; \
         frame-ancestors 'none'",
    )
}

fn missing() -> Response {
    let content =
        "<section class=\"paper\"><h1>Nothing here</h1><p>No payment has this address.</p></section>";
    frame(404, "Sandbox", "", "", content)
}

/// The newest objects, or the newest that contain what `?q=` asks for.
fn index(context: &RequestContext<'_>, request: &Request) -> Response {
    let row = |object: &Object| {
        let money = |minor: i64| object.money(minor).to_string();
        format!(
            "<tr><td>{}</td><td>{}</td><td>{:?}</td><td>{}</td><td>{}</td><td class=\"number\">{}</td>\
             <td class=\"number\">{}</td><td class=\"number\">{}</td><td><a href=\"{}\">open</a></td></tr>",
            dialect::rfc3339(object.created_at),
            object.provider.title(),
            object.kind,
            escape(&object.reference),
            escape(&object.word),
            money(object.amount),
            money(object.captured),
            money(object.refunded),
            escape(&dialect::of(object.provider).page(object)),
        )
    };
    let wanted = request.parameter("q").unwrap_or_default();
    let sought = wanted.trim().to_lowercase();
    let is_sought = |object: &&Object| {
        let texts =
            [&object.reference, &object.id, &object.word, object.provider.title(), &object.terms.title];
        texts.iter().any(|text| text.to_lowercase().contains(&sought))
    };
    let found = context.ledger.objects().iter().rev().filter(is_sought).take(MAX_ROWS);
    let rows: String = found.map(row).collect();
    frame(200, "paymux", "wide", "", &fill(INDEX, &[("rows", &rows), ("q", &escape(&wanted))]))
}

fn amount(object: &Object) -> String {
    match object.kind {
        Kind::ProfileSession => "Save a card".to_owned(),
        _ => object.money(object.amount).to_string(),
    }
}
