//! Checking out: an order that is there, or a new one in the same call.

use port::{Approach, Customer, OrderId};

use crate::http::call::Call;
use crate::http::idempotency::{Done, Turn};
use crate::http::input::{self, Lifetimes};
use crate::http::problem::{Code, Fault, Problem};
use crate::orders::Checked;
use crate::payments::CheckoutAsk;

pub(super) fn lifetimes(call: &Call) -> Lifetimes {
    Lifetimes::from(&call.state().settings().checkout)
}

pub(in crate::http) async fn open(call: &Call) -> Result<Done, Problem> {
    let ask = call.read(|body| input::checkout(body, lifetimes(call)))?;
    checkout(call, call.id("order")?, &ask, "").await
}

pub(in crate::http) async fn quick(call: &Call) -> Result<Done, Problem> {
    let (draft, ask) =
        call.with_defaults(|defaults| call.read(|body| input::quick(body, defaults, lifetimes(call))))?;
    // An earlier try under the same key has placed the order: it goes on with that one.
    if let Some(order) = call.turn.as_ref().and_then(Turn::goes_on_with) {
        return checkout(call, order, &ask, "/checkout").await;
    }
    Ok(done(call.state().orders().quick(&call.asked(), draft, &ask).await?))
}

/// Checks an order out; `at` is where the request has what it asks.
async fn checkout(call: &Call, order: OrderId, ask: &CheckoutAsk, at: &str) -> Result<Done, Problem> {
    if ask.approach == Approach::Link && ask.notify.any() {
        let order = call.file(order).await?;
        let customer = order.header.personal.value().map(|personal| &personal.customer);
        reachable(customer, ask, at)?;
    }
    Ok(done(call.state().orders().checkout(&call.asked(), order, ask).await?))
}

/// Whether the customer has the addresses that the link is to be sent to.
fn reachable(customer: Option<&Customer>, ask: &CheckoutAsk, at: &str) -> Result<(), Problem> {
    let email = customer.and_then(|customer| customer.email.as_ref());
    let phone = customer.and_then(|customer| customer.phone.as_ref());
    let wanted = [("email", ask.notify.email && email.is_none()), ("sms", ask.notify.sms && phone.is_none())];
    let faults: Vec<_> = wanted
        .into_iter()
        .filter(|(_, missing)| *missing)
        .map(|(name, _)| Fault {
            pointer: format!("{at}/notify/{name}"),
            code: Code::NotifyAddressMissing,
            detail: "The order's customer has no such address.".to_owned(),
        })
        .collect();
    if faults.is_empty() {
        return Ok(());
    }
    let detail = "The order's customer lacks an address that the link is to be sent to.";
    Err(Problem::new(Code::NotifyAddressMissing, detail).with_faults(faults))
}

fn done(checked: Checked) -> Done {
    Done::session(checked.order, checked.session, checked.pending)
}
