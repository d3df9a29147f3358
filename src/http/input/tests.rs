//! The readers accept what their descriptions say, and nothing else.

use std::fmt::Write as _;

use actix_web::body::MessageBody as _;
use port::{Env, ItemId, Timestamp, Uuid};
use serde_json::{Map, Value as Json, json};

use super::faults::Pointer;
use super::reader::{Context, describe, read};
use super::schema::{Field, Object, Presence, Schema};
use super::{Reader, json, read_query};
use crate::config::{Merchant, Settings};
use crate::domain::{LineItem, TaxRate};
use crate::http::problem::{Code, Problem};
use crate::http::{Route, api_routes};

const GOLDEN: &str = include_str!("tests/requests.txt");

struct Fixed;

impl Env for Fixed {
    fn now(&self) -> Timestamp {
        "2026-06-01T00:00:00Z".parse().unwrap()
    }

    fn uuid(&self) -> Uuid {
        Uuid::nil()
    }

    fn nonce(&self) -> [u8; 16] {
        [0; 16]
    }
}

/// Reads a body, or the pairs of a query, as its route would.
fn accept((path, kind, reader): &Input, given: &Json) -> Result<(), Problem> {
    let item = LineItem {
        id: ItemId::from_uuid(Uuid::nil()),
        sku: None,
        title: "Mug".to_owned(),
        quantity: 2,
        unit_price: 3,
        tax_rate: TaxRate::zero(),
        discount: 0,
        recurring: None,
    };
    let mut settings = Settings::default();
    let shop = Merchant { unpaid_orders: true, ..Merchant::default() };
    settings.merchants.insert("shop".to_owned(), shop);
    let context = Context {
        settings: &settings,
        merchant: "shop",
        env: &Fixed,
        currency: Some("EUR".parse().unwrap()),
        personal: None,
        item: Some(&item).filter(|_| path.ends_with("{item}")),
    };
    if *kind == "query" {
        let mut query = url::form_urlencoded::Serializer::new(String::new());
        for (name, value) in given.as_object().unwrap() {
            let text = value.as_str().map_or_else(|| value.to_string(), ToOwned::to_owned);
            query.append_pair(name, &text);
        }
        return read_query(&query.finish(), Some(&context), *reader);
    }
    read(&json::parse(given.to_string().as_bytes()).unwrap(), &Pointer::Body, Some(&context), *reader)
}

/// A query or a body: the path of its route, which of the two it is, and its reader.
type Input = (&'static str, &'static str, Reader<()>);

/// Every query and body, with its description.
fn inputs() -> impl Iterator<Item = (Input, Object)> {
    api_routes().filter_map(|route| Some(((route.path, kind(route), route.reader?), route.input()?)))
}

fn kind(route: &Route) -> &'static str {
    if route.takes_query() { "query" } else { "body" }
}

/// A valid value, with every field or with the required ones. `None` where the schema has no example.
fn value(schema: &Schema, whole: bool) -> Option<Json> {
    Some(match schema {
        Schema::Line(max) => json!("x".repeat(if whole { *max } else { 1 })),
        Schema::Lines(max) => json!("\n".repeat(if whole { *max } else { 0 })),
        // The example at the end of its description.
        Schema::Formed { what, .. } => json!(what.rsplit_once(", such as ")?.1),
        Schema::OneOf(names) => json!(names.last()?),
        Schema::Flag => json!(true),
        // The largest ones are not valid together.
        Schema::Integer(range) | Schema::Amount(range) => json!((*range.start()).max(1)),
        Schema::Object(object) => {
            let fields = object.fields.iter().filter(|field| whole || field.presence == Presence::Required);
            let given = |field: &Field| Some((field.name.to_owned(), value(&field.schema, whole)?));
            Json::Object(fields.filter_map(given).collect())
        }
        Schema::Either(both) => value(&both[usize::from(whole)], whole)?,
        Schema::List { of, .. } => json!([value(of, whole)?]),
        Schema::Pairs { max_name, max_text, .. } => {
            Json::Object(Map::from_iter([("n".repeat(*max_name), json!("x".repeat(*max_text)))]))
        }
    })
}

/// Values just outside a schema.
fn faulty(schema: &Schema) -> Vec<Json> {
    match schema {
        Schema::Line(max) => vec![json!("x".repeat(max + 1)), json!("")],
        Schema::Lines(max) => vec![json!("x".repeat(max + 1))],
        Schema::Formed { max, .. } => vec![json!("x".repeat(max.unwrap_or(100) + 1)), json!("1!")],
        Schema::OneOf(_) => vec![json!("NONE_OF_THEM"), json!("")],
        Schema::Flag => vec![json!("maybe")],
        Schema::Integer(range) | Schema::Amount(range) => {
            let above = u64::try_from(*range.end()).unwrap() + 1;
            let below = range.start().checked_sub(1).map(|below| json!(below));
            below.into_iter().chain([json!(above), json!(1.5)]).collect()
        }
        Schema::Object(_) => vec![json!({"surplus": 1}), json!([])],
        Schema::Either(both) => both.iter().flat_map(faulty).collect(),
        Schema::List { max, of } => vec![json!(vec![value(of, false); max + 1]), json!({})],
        Schema::Pairs { max, max_name, max_text } => {
            let many = (0..=*max).map(|n| (n.to_string(), json!("x")));
            let named = |name: String, text: String| Json::Object(Map::from_iter([(name, json!(text))]));
            vec![
                Json::Object(many.collect()),
                named("n".repeat(max_name + 1), String::new()),
                named("n".to_owned(), "x".repeat(max_text + 1)),
            ]
        }
    }
}

/// Every field below an object, with the pointer of its object in a whole value.
fn fields<'o>(of: &str, schema: &'o Schema, found: &mut Vec<(String, &'o Field)>) {
    match schema {
        Schema::Object(object) => {
            for field in &object.fields {
                found.push((of.to_owned(), field));
                fields(&format!("{of}/{}", field.name), &field.schema, found);
            }
        }
        Schema::Either(both) => fields(of, &both[1], found),
        Schema::List { of: entry, .. } => fields(&format!("{of}/0"), entry, found),
        _ => {}
    }
}

/// A whole value that keeps the rules between fields, which are sentences.
fn whole(path: &str, object: &Object) -> Json {
    let mut whole = value(&Schema::Object(object.clone()), true).unwrap();
    if path.ends_with("/submit") {
        let fields = whole.as_object_mut().unwrap();
        fields.retain(|name, _| !matches!(name.as_str(), "paymentSessionId" | "paymentProfileId"));
    }
    if path.ends_with("/replay") {
        whole["to"] = json!("2026-02-01T00:00:00Z");
    }
    whole
}

/// Whether a request is refused with a fault at or below this pointer.
fn refuses(input: &Input, given: &Json, pointer: &str, code: Option<Code>) -> bool {
    let pointer = if input.1 == "query" { pointer.replacen('/', "?", 1) } else { pointer.to_owned() };
    let answer = accept(input, given).unwrap_err().respond("https://pay.test", None, "r-1");
    let answer: Json = serde_json::from_slice(&answer.into_body().try_into_bytes().unwrap()).unwrap();
    let fits = |fault: &Json| code.is_none_or(|code| fault["code"] == code.as_str());
    let is_below = |fault: &Json| fault["pointer"].as_str().unwrap().starts_with(&pointer);
    answer["errors"].as_array().unwrap().iter().any(|fault| is_below(fault) && fits(fault))
}

#[test]
fn a_request_made_from_its_description_is_accepted_with_all_and_with_required_fields() {
    for (input, object) in inputs() {
        let least = value(&Schema::Object(object.clone()), false).unwrap();
        for given in [whole(input.0, &object), least] {
            accept(&input, &given).unwrap_or_else(|problem| panic!("{input:?}: {given}\n{problem:?}"));
        }
    }
}

#[test]
fn a_request_without_a_field_that_its_description_requires_is_refused() {
    for (input, object) in inputs() {
        let (schema, mut found) = (Schema::Object(object.clone()), Vec::new());
        fields("", &schema, &mut found);
        for (of, field) in found.iter().filter(|(_, field)| field.presence == Presence::Required) {
            let mut given = whole(input.0, &object);
            given.pointer_mut(of).unwrap().as_object_mut().unwrap().remove(field.name);
            let pointer = format!("{of}/{}", field.name);
            assert!(refuses(&input, &given, &pointer, Some(Code::FieldMissing)), "{input:?}: {pointer}");
        }
    }
}

#[test]
fn a_value_outside_its_description_is_refused_at_its_pointer() {
    for (input, object) in inputs() {
        let (schema, mut found) = (Schema::Object(object.clone()), Vec::new());
        fields("", &schema, &mut found);
        for (of, field) in found {
            let mut bad = faulty(&field.schema);
            bad.extend((field.presence == Presence::NotNull).then_some(Json::Null));
            bad.retain(|bad| field.presence != Presence::MayBeEmpty || *bad != json!(""));
            for bad in bad {
                let mut given = whole(input.0, &object);
                given.pointer_mut(&of).unwrap()[field.name] = bad.clone();
                let pointer = format!("{of}/{}", field.name);
                assert!(refuses(&input, &given, &pointer, None), "{input:?}: {pointer}: {bad}");
            }
        }
    }
}

#[test]
fn null_means_left_out_where_the_description_says_so() {
    for (input, object) in inputs().filter(|(input, _)| input.1 == "body") {
        for field in &object.fields {
            if !matches!(field.presence, Presence::Required | Presence::NotNull) {
                let mut given = value(&Schema::Object(object.clone()), false).unwrap();
                given[field.name] = Json::Null;
                accept(&input, &given).unwrap_or_else(|problem| panic!("{input:?}: {given}\n{problem:?}"));
            }
        }
    }
}

#[test]
fn an_empty_text_means_null_where_the_description_says_so() {
    for (input, object) in inputs().filter(|(input, _)| input.1 == "body") {
        let (schema, mut found) = (Schema::Object(object.clone()), Vec::new());
        fields("", &schema, &mut found);
        for (of, field) in found.iter().filter(|(_, field)| field.presence == Presence::MayBeEmpty) {
            for empty in ["", " ", "\u{a0}\n"] {
                let mut given = whole(input.0, &object);
                given.pointer_mut(of).unwrap()[field.name] = json!(empty);
                let pointer = format!("{of}/{}", field.name);
                let accepted = accept(&input, &given).is_ok() || !refuses(&input, &given, &pointer, None);
                assert!(accepted, "{input:?}: {pointer}");
            }
        }
    }
}

/// The descriptions as a text. An object that was written under the same name is not written again.
#[derive(Default)]
struct Page {
    text: String,
    written: Vec<(&'static str, Schema)>,
}

impl Page {
    fn object(&mut self, object: &Object, depth: usize) {
        for Field { name, presence, schema } in &object.fields {
            let presence = match presence {
                Presence::Required => "required",
                Presence::Optional => "optional",
                Presence::Clearable => "clearable",
                Presence::NotNull => "not null",
                Presence::MayBeEmpty => "may be empty",
            };
            let indent = "  ".repeat(depth);
            write!(self.text, "{indent}{name}, {presence}: {}", outline(schema)).unwrap();
            let known = (*name, schema.clone());
            match inner(schema) {
                Some(_) if self.written.contains(&known) => self.text.push_str(", as above\n"),
                Some(inner) => {
                    self.text.push('\n');
                    self.written.push(known);
                    self.object(inner, depth + 1);
                }
                None => self.text.push('\n'),
            }
        }
        for rule in &object.rules {
            writeln!(self.text, "{}- {rule}", "  ".repeat(depth)).unwrap();
        }
    }
}

fn outline(schema: &Schema) -> String {
    match schema {
        Schema::Line(max) => format!("a line of 1 to {max}"),
        Schema::Lines(max) => format!("a text of at most {max}"),
        Schema::Formed { what, max: None } => (*what).to_owned(),
        Schema::Formed { what, max: Some(max) } => format!("{what}; at most {max}"),
        Schema::OneOf(names) => names.join(" | "),
        Schema::Flag => "true or false".to_owned(),
        Schema::Integer(range) => format!("{} to {}", range.start(), range.end()),
        Schema::Amount(range) if *range.start() == 0 => "minor units from 0".to_owned(),
        Schema::Amount(_) => "minor units".to_owned(),
        Schema::Object(_) => "an object".to_owned(),
        Schema::Either(both) => format!("{}, or {}", outline(&both[0]), outline(&both[1])),
        Schema::List { max, of } => format!("a list of at most {max}: {}", outline(of)),
        Schema::Pairs { max, max_name, max_text } => {
            format!("at most {max} names of 1 to {max_name} with texts of at most {max_text}")
        }
    }
}

fn inner(schema: &Schema) -> Option<&Object> {
    match schema {
        Schema::Object(object) => Some(object),
        Schema::Either(both) => inner(&both[1]),
        Schema::List { of, .. } => inner(of),
        _ => None,
    }
}

/// A change of this text is a change of the public contract. `PAYMUX_BLESS=1 cargo test --lib requests` writes it.
#[test]
fn requests_are_described_as_they_were() {
    let mut page = Page::default();
    for route in api_routes() {
        writeln!(page.text, "{} {}", route.method, route.path).unwrap();
        if let Some(object) = route.input() {
            writeln!(page.text, "  {}", kind(route)).unwrap();
            page.object(&object, 2);
        }
    }
    if page.text != GOLDEN {
        let golden = concat!(env!("CARGO_MANIFEST_DIR"), "/src/http/input/tests/requests.txt");
        assert!(
            std::env::var_os("PAYMUX_BLESS").is_some(),
            "{golden} is out of date; the text is now:\n{}",
            page.text
        );
        std::fs::write(golden, page.text).unwrap();
    }
}

#[test]
fn a_description_is_complete_even_where_a_reader_leaves_early() {
    let both: Reader<()> = |value| {
        value.object(|fields| {
            let (first, second) =
                (fields.required("first", |v| v.flag()), fields.required("second", |v| v.text(1)));
            first.zip(second).map(drop)
        })
    };
    let Schema::Object(object) = describe(both) else { panic!("an object") };
    assert_eq!(object.fields.iter().map(|field| field.name).collect::<Vec<_>>(), ["first", "second"]);
}
