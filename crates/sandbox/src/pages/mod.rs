//! The hosted pages: one card form for all dialects, made of plain HTML forms.
//!
//! A page shows and reads input; the context and the dialect apply it.

mod card;
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
    let found = match path {
        [] if request.method == "GET" => return index(context),
        ["telness", "pay" | "save", key] => context.find(Provider::Telness, key),
        ["paymennt", "checkout", key] => context.find(Provider::Paymennt, key),
        ["decta", "pay", key] => context.find(Provider::Decta, key),
        _ => None,
    };
    match (found, request.method.as_str()) {
        (Some(object), "GET") => view(context, object),
        (Some(object), "POST") => act(context, object, &request.form()),
        (Some(_), _) => Response::empty(405),
        (None, _) => missing(),
    }
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
        Some(name) => match SCENARIOS.iter().find(|scenario| scenario.name == name) {
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
    let mut values: Vec<(String, String)> = ["number", "expiry", "cvv", "name", "terms"]
        .into_iter()
        .flat_map(|field| {
            let fault = faults.get(field).copied();
            let ticked = if field == "terms" && fields.contains_key("terms") { "checked" } else { "" };
            let mark = if fault.is_some() { "aria-invalid=\"true\"" } else { ticked };
            let text =
                fault.map(|fault| format!("<span class=\"fault\" role=\"alert\">{}</span>", escape(fault)));
            [(format!("{field}_mark"), mark.to_owned()), (format!("{field}_fault"), text.unwrap_or_default())]
        })
        .collect();
    let saves = object.kind == Kind::ProfileSession;
    let verb = if saves { "Save card".to_owned() } else { format!("Pay {}", amount(object)) };
    let title = if object.terms.title.is_empty() { &object.reference } else { &object.terms.title };
    let banner = match banner {
        "" => String::new(),
        text => format!("<p class=\"banner\" role=\"alert\">{}</p>", escape(text)),
    };
    let own = [
        ("what", escape(title)),
        ("amount", amount(object)),
        ("banner", banner),
        ("number", number),
        ("expiry", expiry),
        ("name", name),
        ("verb", verb),
        ("tiles", tiles()),
    ];
    values.extend(own.map(|(name, value)| (name.to_owned(), value)));
    let values: Vec<(&str, &str)> =
        values.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
    page(status, object, "", &fill(FORM, &values))
}

fn tiles() -> String {
    let tile = |scenario: &card::Scenario| {
        format!(
            "<button name=\"scenario\" value=\"{}\"><b>{}</b><span>{}</span><code>{}</code></button>",
            scenario.name, scenario.title, scenario.text, scenario.number
        )
    };
    SCENARIOS.iter().map(tile).collect()
}

fn challenge(object: &Object) -> Response {
    page(200, object, "", &fill(CHALLENGE, &[("amount", &amount(object))]))
}

fn waiting(object: &Object) -> Response {
    let refresh = "<meta http-equiv=\"refresh\" content=\"3\">";
    let text = "Your bank takes its time. This page looks again by itself; you may also close it.";
    page(200, object, refresh, &message_page(object, "", "One moment", text, None))
}

fn tab_closed(object: &Object) -> Response {
    let text =
        "You closed the tab: nothing was sent to the shop, and the payment is still open at this address.";
    page(200, object, "", &message_page(object, "", "Tab closed", text, None))
}

/// The confirmation page, or what is left to say about a payment that is over.
fn closed(object: &Object) -> Response {
    let paid = object.captured > 0 || object.held > 0 || object.word == "COMPLETED";
    let (mood, headline) = if paid { ("good", "Thank you") } else { ("", "This payment is closed") };
    let text = format!("Status: {}. Reference: {}.", object.word, object.reference);
    let way_back = dialect::of(object.provider).way_back(object);
    page(200, object, "", &message_page(object, mood, headline, &text, way_back.as_deref()))
}

fn refused(object: &Object, refusal: Refusal) -> Response {
    let text = format!("The payment {refusal}.");
    page(409, object, "", &message_page(object, "", "That did not work", &text, None))
}

fn message_page(object: &Object, mood: &str, headline: &str, text: &str, way_back: Option<&str>) -> String {
    let link = way_back.map(|url| format!("<a class=\"lead\" href=\"{}\">Back to the shop</a>", escape(url)));
    fill(
        MESSAGE_PAGE,
        &[
            ("mood", mood),
            ("headline", headline),
            ("amount", &amount(object)),
            ("text", &escape(text)),
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
    Response::html(status, fill(FRAME, &values)).header("cache-control", "no-store")
}

fn missing() -> Response {
    let content =
        "<section class=\"paper\"><h1>Nothing here</h1><p>No payment has this address.</p></section>";
    frame(404, "Sandbox", "", "", content)
}

fn index(context: &RequestContext<'_>) -> Response {
    let row = |object: &Object| {
        let money = |minor: i64| object.money(minor).to_string();
        format!(
            "<tr><td>{}</td><td>{:?}</td><td>{}</td><td>{}</td><td class=\"number\">{}</td><td class=\"number\">{}</td>\
             <td class=\"number\">{}</td><td><a href=\"{}\">open</a></td></tr>",
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
    let rows: String = context.ledger.objects().iter().rev().take(MAX_ROWS).map(row).collect();
    frame(200, "paymux", "wide", "", &fill(INDEX, &[("rows", &rows)]))
}

fn amount(object: &Object) -> String {
    match object.kind {
        Kind::ProfileSession => "Save a card".to_owned(),
        _ => object.money(object.amount).to_string(),
    }
}
