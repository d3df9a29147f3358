//! The control API: what a person or a test does to the providers behind the gateway's back.
//!
//! It has no key, so the listener serves it to loopback only.

use serde::Deserialize;
use serde::de::DeserializeOwned;

use crate::context::{Outcome, RequestContext};
use crate::dialect::{rfc3339, telness};
use crate::doc::{self, Doc};
use crate::faults::Planned;
use crate::http::{Outgoing, Request, Response};
use crate::ledger::{Behaviour, Subscription};
use crate::notify::SendOptions;
use crate::object::{Object, Provider, Refusal};
use crate::sandbox::Sandbox;

#[derive(Deserialize)]
struct Pay {
    provider: Provider,
    id: String,
    outcome: Outcome,
}

#[derive(Deserialize)]
struct Advance {
    provider: Provider,
    id: String,
    word: String,
}

#[derive(Deserialize)]
struct StoreCard {
    provider: Provider,
    customer: String,
    scenario: Behaviour,
}

/// Send an object's notifications again.
#[derive(Deserialize)]
struct Again {
    provider: Provider,
    id: String,
    #[serde(default = "one")]
    copies: usize,
    #[serde(default)]
    order: Order,
    #[serde(default)]
    delay_ms: u64,
    #[serde(default)]
    forge: bool,
}

/// Which of an object's changes are sent again.
#[derive(Clone, Copy, Default, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Order {
    #[default]
    Newest,
    /// All, oldest first.
    Forward,
    /// All, newest first.
    Reverse,
}

fn one() -> usize {
    1
}

/// More copies or a longer wait than these help no rehearsal.
const MAX_COPIES: usize = 100;
const MAX_DELAY_MS: u64 = 600_000;

type Done = (Response, Vec<Outgoing>);

/// Answers a request below `/control`.
pub(crate) fn handle(sandbox: &mut Sandbox, request: &Request, path: &[&str], now: i64) -> Done {
    let done = match (request.method.as_str(), path) {
        ("GET", ["ledger"]) => provider_filter(request).map(|of| without_notifications(ledger(sandbox, of))),
        ("GET", ["calls"]) => {
            provider_filter(request).map(|of| without_notifications(data(doc::list(sandbox.calls.show(of)))))
        }
        ("GET", ["faults"]) => Ok(without_notifications(data(doc::text(&sandbox.switchboard.planned())))),
        ("DELETE", ["faults"]) => {
            sandbox.switchboard.clear();
            Ok(without_notifications(Response::empty(204)))
        }
        ("POST", ["faults"]) => body(request).and_then(|planned| plan(sandbox, planned)),
        ("POST", ["pay"]) => body(request).and_then(|pay| apply_payment(sandbox, &pay, now)),
        ("POST", ["advance"]) => body(request).and_then(|advance| set_word(sandbox, &advance, now)),
        ("POST", ["notify"]) => body(request).and_then(|again| notify(sandbox, &again, now)),
        ("POST", ["cards"]) => {
            body(request).map(|card| without_notifications(store_card(sandbox, &card, now)))
        }
        ("PUT", ["subscriptions"]) => body(request).and_then(|to| subscribe(sandbox, &to)),
        _ => Err(error(404, "there is no such control")),
    };
    done.unwrap_or_else(without_notifications)
}

fn without_notifications(response: Response) -> Done {
    (response, Vec::new())
}

fn data(json: String) -> Response {
    Response::json(200, format!("{{\"data\":{json}}}"))
}

fn error(status: u16, message: &str) -> Response {
    Response::json(status, Doc::default().put("error", message).finish())
}

fn body<T: DeserializeOwned>(request: &Request) -> Result<T, Response> {
    serde_json::from_slice(&request.body).map_err(|fault| error(400, &fault.to_string()))
}

fn provider_filter(request: &Request) -> Result<Option<Provider>, Response> {
    let Some(name) = request.parameter("provider").filter(|name| !name.is_empty()) else { return Ok(None) };
    let parsed = serde_json::from_str(&doc::text(&name));
    parsed.map(Some).map_err(|_| error(400, "there is no such provider"))
}

fn plan(sandbox: &mut Sandbox, planned: Planned) -> Result<Done, Response> {
    let shown = doc::text(&planned);
    sandbox.switchboard.plan(planned).map_err(|why| error(400, why))?;
    Ok(without_notifications(Response::json(201, shown)))
}

fn apply_payment(sandbox: &mut Sandbox, pay: &Pay, now: i64) -> Result<Done, Response> {
    change(sandbox, now, pay.provider, &pay.id, |context, object| {
        context.apply_outcome(object, pay.outcome).map(|()| true)
    })
}

fn set_word(sandbox: &mut Sandbox, advance: &Advance, now: i64) -> Result<Done, Response> {
    let Advance { provider, id, word } = advance;
    if *provider == Provider::Telness && sandbox.ledger.order(id).is_some() {
        let (known, sent) = sandbox.run(now, None, |context| telness::advance_order(context, id, word));
        return match known {
            Some(order) => Ok((Response::json(200, order), sent)),
            None => Err(error(400, "the provider has no such status")),
        };
    }
    change(sandbox, now, *provider, id, |context, object| context.advance(object, word))
}

/// Changes one object; `work` returns `false` for a status that the provider does not have.
fn change(
    sandbox: &mut Sandbox,
    now: i64,
    provider: Provider,
    id: &str,
    work: impl FnOnce(&mut RequestContext<'_>, &mut Object) -> Result<bool, Refusal>,
) -> Result<Done, Response> {
    let found = sandbox.ledger.find(provider, id).cloned();
    let mut object = found.ok_or_else(|| error(404, "the provider has no such object"))?;
    let (done, sent) = sandbox.run(now, None, |context| work(context, &mut object));
    match done {
        Ok(true) => Ok((Response::json(200, entry(&object).finish()), sent)),
        Ok(false) => Err(error(400, "the provider has no such status")),
        Err(refusal) => Err(error(409, &format!("the object {refusal}"))),
    }
}

fn notify(sandbox: &mut Sandbox, again: &Again, now: i64) -> Result<Done, Response> {
    let found = sandbox.ledger.find(again.provider, &again.id).cloned();
    let object = found.ok_or_else(|| error(404, "the provider has no such object"))?;
    let newest = object.history.len().saturating_sub(1);
    let indexes: Vec<usize> = match again.order {
        Order::Newest => vec![newest],
        Order::Forward => (0..=newest).collect(),
        Order::Reverse => (0..=newest).rev().collect(),
    };
    let options = SendOptions {
        copies: again.copies.min(MAX_COPIES),
        delay_ms: again.delay_ms.min(MAX_DELAY_MS),
        forged: again.forge,
    };
    let ((), sent) = sandbox.run_with_options(now, &options, |context| {
        indexes.into_iter().for_each(|index| context.announce(&object, index));
    });
    Ok((Response::json(202, Doc::default().put("sent", sent.len()).finish()), sent))
}

fn store_card(sandbox: &mut Sandbox, wanted: &StoreCard, now: i64) -> Response {
    let store = |context: &mut RequestContext<'_>| {
        context.store_card(wanted.provider, &wanted.customer, wanted.scenario)
    };
    let (card, _) = sandbox.run(now, None, store);
    Response::json(201, doc::text(&card))
}

fn subscribe(sandbox: &mut Sandbox, to: &Subscription) -> Result<Done, Response> {
    if !sandbox.subscribe(to.provider.name(), &to.url, &to.secret) {
        return Err(error(400, "url must be an absolute http or https address"));
    }
    Ok(without_notifications(Response::empty(204)))
}

fn ledger(sandbox: &Sandbox, provider: Option<Provider>) -> Response {
    let wanted = |object: &&Object| provider.is_none_or(|wanted| wanted == object.provider);
    data(doc::list(sandbox.ledger.objects().iter().filter(wanted).map(entry)))
}

/// An object as the ledger shows it; amounts in minor units.
fn entry(object: &Object) -> Doc {
    let history = object.history.iter().map(|change| {
        Doc::default()
            .put("word", &change.word)
            .put("at", rfc3339(change.at))
            .put("held", change.held)
            .put("captured", change.captured)
            .put("refunded", change.refunded)
    });
    Doc::default()
        .put("provider", object.provider)
        .put("kind", object.kind)
        .put("id", &object.id)
        .put("reference", &object.reference)
        .put("amount", object.amount)
        .put("held", object.held)
        .put("captured", object.captured)
        .put("refunded", object.refunded)
        .put("currency", object.currency)
        .put("word", &object.word)
        .put_some("paymentId", object.payment_id.as_ref())
        .put_some("orderId", object.terms.order_id.as_ref())
        .put("createdAt", rfc3339(object.created_at))
        .put_list("history", history)
}
