//! A card sent by a server instead of typed into the page: DECTA's `api_do_url`.
//!
//! It is handled beside the pages and not with the API's calls, since those are recorded and shown.

use std::collections::BTreeMap;

use serde::Deserialize;

use super::card;
use crate::context::RequestContext;
use crate::dialect::{self, decta::fault};
use crate::doc::Doc;
use crate::http::{Request, Response};
use crate::object::Object;

/// The card, in DECTA's names.
#[derive(Default, Deserialize)]
#[serde(default)]
struct SentCard {
    cardholder_name: String,
    card_number: String,
    exp_month: u8,
    exp_year: u16,
    csc: String,
}

impl SentCard {
    /// As the page's form has it; whoever sends a card has accepted the terms.
    fn as_typed(&self) -> BTreeMap<String, String> {
        let expiry = format!("{:02}/{:02}", self.exp_month, self.exp_year % 100);
        let fields = [
            ("number", self.card_number.as_str()),
            ("expiry", &expiry),
            ("cvv", &self.csc),
            ("name", &self.cardholder_name),
            ("terms", "on"),
        ];
        fields.map(|(name, value)| (name.to_owned(), value.to_owned())).into()
    }
}

/// Plays the card. An answer with `threed_check_url` sends the customer there; one without it has only been taken.
pub(super) fn charge(context: &mut RequestContext<'_>, mut object: Object, request: &Request) -> Response {
    let refused = |field: &str, text: &str| fault(400, field, text, "invalid");
    let Ok(sent) = serde_json::from_slice::<SentCard>(&request.body) else {
        return refused("__all__", "Invalid JSON");
    };
    let scenario = match card::read(&sent.as_typed()) {
        Ok(scenario) => scenario,
        Err(faults) => {
            let (field, text) = faults.first_key_value().unwrap_or((&"number", &"Not a test card"));
            return refused(name_at_decta(field), text);
        }
    };
    let played = scenario.outcome.map_or(Ok(()), |outcome| context.apply_outcome(&mut object, outcome));
    if let Err(refusal) = played {
        return refused("__all__", &format!("Order {refusal}"));
    }
    let page = format!("{}{}", context.base_url, dialect::of(object.provider).page(&object));
    let answer = Doc::default().put("status", &object.word);
    Response::json(200, answer.put_some("threed_check_url", object.challenged.then_some(page)).finish())
}

fn name_at_decta(field: &str) -> &'static str {
    match field {
        "expiry" => "exp_year",
        "cvv" => "csc",
        "name" => "cardholder_name",
        _ => "card_number",
    }
}
